"""What a unit of capacity costs before and after a change, where the record of a recommendation says enough. Pure."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from controlplane.model.base import Model, Money
from controlplane.model.money import cents
from controlplane.model.prices import SECONDS_PER_TRAFFIC_MONTH
from controlplane.model.recommendations import CostLine, Proposal

_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")
_COUNT = re.compile(r"([0-9][0-9,]*) ([a-z][a-z ]*[a-z])\b")
_LIMIT = "system.filesystem.limit"
_RATIO = "network.cross_az.ratio"
_TB = Decimal(10**12)


class UnitCost(Model):
    """Money by unit of capacity; None where the record doesn't say enough."""

    what: str
    unit: str
    paid: Literal["per_month", "one_off"]
    capacity_before: Money
    capacity_after: Money
    before: Money | None
    after: Money | None
    added: Money | None
    """Of each unit that is added."""
    basis: str


def unit_costs(proposal: Proposal) -> tuple[UnitCost, ...]:
    """What a unit costs before and after, for whatever of the record can be read."""
    found: list[UnitCost] = []
    for read in (_consumers, _brokers, _storage, _traffic, _instances, _resized):
        found += read(proposal)
    return tuple(found or _counted(proposal))


def _stage(proposal: Proposal, name: str) -> Decimal | None:
    values = [stage.value for stage in proposal.stages if stage.name == name]
    return _plain(Decimal(repr(values[-1]))) if values else None


def _plain(number: Decimal) -> Decimal:
    """At most thousandths, and no zeros behind the point."""
    rounded = number.quantize(Decimal("0.001"))
    whole = rounded.to_integral_value()
    return whole if whole == rounded else rounded.normalize()


def _input(proposal: Proposal, name: str) -> Decimal | None:
    match = _NUMBER.match(proposal.inputs.get(name, ""))
    return Decimal(match[0].replace(",", "")) if match else None


def _line(proposal: Proposal, wanted: Callable[[CostLine], bool]) -> CostLine | None:
    found = [line for line in proposal.cost.lines if line.price is not None and wanted(line)]
    return found[0] if len(found) == 1 else None


def _of_role(role: str) -> Callable[[CostLine], bool]:
    return lambda line: f" × {role} " in line.item


def _money(line: CostLine | None) -> tuple[Literal["per_month", "one_off"], Decimal | None]:
    if line is not None and line.one_off:
        return "one_off", line.one_off
    return "per_month", None if line is None else line.per_month


def _by(amount: Decimal | None, capacity: Decimal) -> Decimal | None:
    return None if amount is None or capacity <= 0 else cents(amount / capacity)


def _consumers(proposal: Proposal) -> list[UnitCost]:
    """Consumers: as many as read, times the rate of one; those that are there at the price of those to come."""
    rate, members = _input(proposal, "rate of one consumer"), _input(proposal, "members")
    partitions = _input(proposal, "partitions")
    after = _stage(proposal, "consumers") or _stage(proposal, "clamped")
    if _stage(proposal, "largest") is not None or proposal.kind not in {"scale_out", "shard"}:
        return []
    if rate is None or members is None or partitions is None or after is None or after <= members or rate <= 0:
        return []
    places = _stage(proposal, "even") or partitions
    thousand = Decimal(1000)
    before_rate = min(members, partitions) * rate / thousand
    after_rate = min(after, places) * rate / thousand
    paid, amount = _money(_line(proposal, lambda line: line.quantity > 0))
    one = None if amount is None else amount / (after - members)
    return [
        UnitCost(
            what="messages that consumers read",
            unit="1,000 messages/s",
            paid=paid,
            capacity_before=_plain(before_rate),
            capacity_after=_plain(after_rate),
            before=_by(None if one is None else one * members, before_rate),
            after=_by(None if one is None else one * after, after_rate),
            added=_by(amount, after_rate - before_rate),
            basis="consumers that run are reckoned at the price of those that are added",
        )
    ]


def _brokers(proposal: Proposal) -> list[UnitCost]:
    count, add = _input(proposal, "brokers"), _stage(proposal, "clamped")
    if _stage(proposal, "largest") is None or count is None or not add:
        return []
    paid, amount = _money(_line(proposal, lambda line: line.quantity > 0))
    one = _by(amount, add)
    basis = "brokers that run are reckoned at the price of those that are added"
    return [_alike("brokers", "broker", paid, count, add, one, basis)]


def _storage(proposal: Proposal) -> list[UnitCost]:
    extra = _stage(proposal, "clamped")
    sizes = [item.value for item in proposal.evidence if item.signal == _LIMIT and item.value is not None]
    if proposal.kind != "add_storage" or not sizes or not extra:
        return []
    before = Decimal(repr(sizes[0])) / _TB
    line = _line(proposal, lambda line: line.quantity > 0)
    paid, amount = _money(line)
    added = _by(amount, extra / _TB)
    kept = added if line is not None and line.unit == "USD/GBy.mo" else None
    return [
        UnitCost(
            what="storage",
            unit="TB",
            paid=paid,
            capacity_before=_plain(before),
            capacity_after=_plain(before + extra / _TB),
            before=kept,
            after=kept,
            added=added,
            basis="storage that is there is reckoned at the price of what is added"
            if kept is not None
            else "what the storage that is there cost isn't part of the record",
        )
    ]


def _traffic(proposal: Proposal) -> list[UnitCost]:
    """All traffic of a month, which stays, by what crossing zones costs, which falls."""
    moved, left = _stage(proposal, "moved"), _stage(proposal, "remaining")
    ratios = [item.value for item in proposal.evidence if item.signal == _RATIO and item.value]
    lines = [line for line in proposal.cost.lines if line.unit == "USD/GBy" and line.quantity < 0]
    if moved is None or left is None or moved <= 0 or not ratios or not lines:
        return []
    amounts = [line.per_month for line in lines if line.per_month is not None]
    saved = -sum(amounts, Decimal(0)) if len(amounts) == len(lines) else None
    crossing = moved + left
    volume = crossing / Decimal(repr(ratios[0])) * SECONDS_PER_TRAFFIC_MONTH / _TB
    before = None if saved is None else saved * crossing / moved
    after = None if saved is None or before is None else before - saved
    return [
        UnitCost(
            what="traffic, by what crossing zones costs",
            unit="TB",
            paid="per_month",
            capacity_before=_plain(volume),
            capacity_after=_plain(volume),
            before=_by(before, volume),
            after=_by(after, volume),
            added=None,
            basis="all traffic of 30 days, whether it crosses zones or not",
        )
    ]


def _instances(proposal: Proposal) -> list[UnitCost]:
    found = []
    for stage in proposal.stages:
        role, _, last = stage.name.rpartition(" ")
        counts = proposal.inputs.get(f"{role} before, lost, serving", "").split(", ")
        if last != "clamped" or not stage.value or len(counts) < 3:
            continue
        match = _NUMBER.match(counts[2])
        start = _plain(Decimal(repr(stage.value)))
        line = _line(proposal, _of_role(role))
        if match is not None:
            paid, amount = _money(line)
            basis = "instances that serve are reckoned at the price of those to start"
            serving = Decimal(match[0].replace(",", ""))
            found.append(_alike(role, "instance", paid, serving, start, _by(amount, start), basis))
    return found


def _resized(proposal: Proposal) -> list[UnitCost]:
    """Cores of machines that get another size: all of them at the old price, and at the new one."""
    count, had, has = (_input(proposal, name) for name in ("members", "cores there is", "cores with the new size"))
    old = _line(proposal, lambda line: line.quantity < 0)
    new = _line(proposal, lambda line: line.quantity > 0 and line.unit != "USD")
    if proposal.kind != "resize" or not count or not had or not has or old is None or new is None:
        return []
    before = None if old.per_month is None else -old.per_month
    return [
        UnitCost(
            what="cores",
            unit="core",
            paid="per_month",
            capacity_before=_plain(count * had),
            capacity_after=_plain(count * has),
            before=_by(before, count * had),
            after=_by(new.per_month, count * has),
            added=None,
            basis="all of its machines, at the prices of both sizes",
        )
    ]


def _counted(proposal: Proposal) -> list[UnitCost]:
    """So many of something instead of so many, where one price was asked for each that comes or goes."""
    found = [_COUNT.match(text) for text in (proposal.from_, proposal.to)]
    line = _line(proposal, lambda line: bool(line.quantity))
    if proposal.kind not in {"scale_out", "scale_in"} or line is None or found[0] is None or found[1] is None:
        return []
    before, after = (Decimal(match[1].replace(",", "")) for match in found if match is not None)
    if found[0][2].rstrip("s") != found[1][2].rstrip("s") or line.quantity != after - before:
        return []
    paid, amount = _money(line)
    noun = found[0][2]
    one = _by(amount, line.quantity) if line.quantity > 0 else _by(amount and -amount, -line.quantity)
    basis = f"all {noun} are reckoned at the price of those that change"
    made = _alike(noun, noun.rstrip("s"), paid, before, after - before, one, basis)
    return [made if line.quantity > 0 else made.model_copy(update={"added": None})]


def _alike(
    what: str,
    unit: str,
    paid: Literal["per_month", "one_off"],
    before: Decimal,
    add: Decimal,
    one: Decimal | None,
    basis: str,
) -> UnitCost:
    return UnitCost(
        what=what,
        unit=unit,
        paid=paid,
        capacity_before=before,
        capacity_after=before + add,
        before=one,
        after=one,
        added=one,
        basis=basis,
    )
