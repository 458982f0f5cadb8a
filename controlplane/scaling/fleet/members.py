"""The members of a fleet: who is in the inventory, in which zone, who answers, and what was changed before."""

from collections import Counter
from dataclasses import dataclass

import polars as pl

from controlplane.history import FRESH, History, last
from controlplane.model.commands import Argv
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Fleet
from controlplane.model.methods.fleet import Direction
from controlplane.model.recommendations import Status
from controlplane.model.resources import Inventory, Resource
from controlplane.model.time import to_ms

NOW = "now"
"""The stage that says how many members there are."""
_DONE = {Status.APPROVED, Status.EXECUTED, Status.VERIFIED, Status.INEFFECTIVE}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of size that was executed, or is approved and about to be."""

    grows: bool
    at_ms: int
    before: int
    after: int
    approved: bool


@dataclass(frozen=True, slots=True)
class Members:
    """The members of a fleet that are not in a lost zone."""

    name: str
    role: str
    resources: tuple[Resource, ...]
    """What carries them: themselves, or the hosts on which they are counted."""
    count: int
    zones: dict[str, int]
    """Zone that isn't lost → members; empty where the inventory has no zones for all of them."""
    lost: tuple[str, ...]
    """Zones that don't answer."""
    gone: int
    """Members in them."""
    silent: tuple[str, ...]
    """Ids of resources elsewhere that don't answer."""
    unready: int
    """Members on them."""
    unknown: str | None
    """The signal that would say who answers, where its source gives nothing now."""
    names: pl.DataFrame | None
    """label and member (a number): who a series is about; None where members are known by their series alone."""
    changes: tuple[Change, ...]
    """Of this fleet, oldest first."""

    @property
    def shown(self) -> str:
        """The fleet's name, safe to print."""
        return printable(self.name, 80)

    def kept(self, argv: Argv) -> int:
        """Members of lost zones that a command leaves in the group: none where it gives it the other zones alone."""
        text = " ".join(argv)
        return 0 if "{zones}" in text and "{lost}" not in text else self.gone

    @property
    def target(self) -> str:
        """What a proposal changes."""
        return f"group {self.shown}"


def lost_kept(members: Members, growth: Direction) -> int:
    """Members of lost zones that are in the size which the commands for growing set."""
    sizes = [argv for argv in growth.commands if any("{total}" in part for part in argv)]
    return max((members.kept(argv) for argv in sizes), default=0)


def read_members(history: History, inventory: Inventory, p: Fleet) -> Members:
    """The fleet that the alert names; AdviceError where the inventory doesn't know it or none of it is left."""
    name = p.name or history.label(p.label)
    role = p.roles.get(name, name)
    resources = tuple(r for r in inventory.of(history.alert.platform, role=role) if r.kind in p.kinds)
    if not resources and not (p.counted and p.counted.signal):
        raise AdviceError(
            f"the inventory has no {' or '.join(p.kinds)} with role {printable(role, 80)}, so how many there are isn't "
            f"known. Add them, or name the role of {printable(name, 80)} under roles"
        )
    each = _counts(history, p, resources)
    answers, unknown = _answers(history, p, resources)
    lost = _lost(history, p, resources, answers)
    here = tuple(r for r in resources if r.zone not in lost)
    total = each if isinstance(each, int) else sum(each[r.id] for r in here)
    if total <= 0:
        raise AdviceError(
            f"no member of {printable(name, 80)} is left"
            + (f" outside {', '.join(printable(zone, 60) for zone in sorted(lost))}" if lost else "")
            + ", so there is nothing to size. This is for a restore"
        )
    silent = tuple(r.id for r in here if answers is not None and answers.isdisjoint({r.id, r.host}))
    zones: Counter[str] = Counter()
    if not isinstance(each, int):
        for resource in here:
            zones[resource.zone] += each[resource.id]
    target = f"group {printable(name, 80)}"
    return Members(
        name=name,
        role=role,
        resources=here,
        count=total,
        zones={} if "" in zones else {zone: zones[zone] for zone in sorted(zones)},
        lost=tuple(sorted(lost)),
        gone=0 if isinstance(each, int) else sum(each[r.id] for r in resources if r.zone in lost),
        silent=silent,
        unready=len(silent) if isinstance(each, int) else sum(each[name] for name in silent),
        unknown=unknown,
        names=None if p.counted else _names(here, silent),
        changes=_changes(history, target),
    )


def _counts(history: History, p: Fleet, resources: tuple[Resource, ...]) -> int | dict[str, int]:
    """Members by resource, or all of them where a signal counts them."""
    if p.counted is None:
        return {resource.id: 1 for resource in resources}
    if p.counted.signal:
        value = history.newest(p.counted.signal, fold="sum", where=p.counted.where)
        if value is None:
            raise history.missing(p.counted.signal, "the fleet")
        return round(value)
    setting = p.counted.setting or ""
    found = {resource.id: _number(resource.settings.get(setting, "")) for resource in resources}
    counts = {name: number for name, number in found.items() if number is not None}
    if len(counts) < len(found):
        lacking = next(name for name, number in found.items() if number is None)
        raise AdviceError(
            f"the setting {printable(setting, 80)} of {printable(lacking, 80)} is no whole number, so how many members "
            "there are isn't known. Write it in the inventory"
        )
    return counts


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _answers(history: History, p: Fleet, resources: tuple[Resource, ...]) -> tuple[frozenset[str] | None, str | None]:
    """Names that answer (None = not measured), and the signal where it was measured and isn't now."""
    if p.up is None or p.up not in history.samples.series["signal"]:
        return None, None
    names = {name for resource in resources for name in (resource.id, resource.host) if name}
    series = history.series(p.up, "host").filter(pl.col("host").is_in(list(names)))
    newest = last(history.rows(series["sid"], FRESH), "sid")
    if newest.is_empty():
        return None, p.up
    up = newest.filter(pl.col("value") > 0).join(series, on="sid", maintain_order="left")
    return frozenset(up["host"].to_list()), None


def _lost(
    history: History, p: Fleet, resources: tuple[Resource, ...], answers: frozenset[str] | None
) -> frozenset[str]:
    zones = {resource.zone for resource in resources if resource.zone}
    lost: set[str] = set()
    if p.zone_up is not None:
        ratios = history.latest(p.zone_up, "zone", fold="min").filter(pl.col("value") <= 0)
        lost |= zones & set(ratios["zone"].to_list())
    if answers is not None:
        lost |= zones - {r.zone for r in resources if not answers.isdisjoint({r.id, r.host} - {""})}
    return frozenset(lost)


def _names(resources: tuple[Resource, ...], silent: tuple[str, ...]) -> pl.DataFrame:
    """label and member of those that answer: the id, and the host where only one member is on it."""
    hosts = Counter(resource.host for resource in resources if resource.host)
    quiet = set(silent)
    numbers = {resource.id: number for number, resource in enumerate(sorted(resources, key=lambda r: r.id))}
    names = {r.host: numbers[r.id] for r in resources if r.host and hosts[r.host] == 1 and r.id not in quiet}
    names |= {r.id: numbers[r.id] for r in resources if r.id not in quiet}
    return pl.DataFrame(sorted(names.items()), schema={"label": pl.String, "member": pl.UInt32}, orient="row")


def _changes(history: History, target: str) -> tuple[Change, ...]:
    found = []
    for one in history.decided:
        proposal = one.proposal
        if one.decided_at is None or one.status not in _DONE or proposal.target != target or not proposal.stages:
            continue
        if proposal.kind not in {"scale_out", "scale_in"}:
            continue
        after = round(proposal.stages[-1].value)
        before = next((round(stage.value) for stage in proposal.stages if stage.name == NOW), after)
        approved = one.status is Status.APPROVED
        found.append(Change(proposal.kind == "scale_out", to_ms(one.decided_at), before, after, approved))
    return tuple(sorted(found, key=lambda change: (change.at_ms, change.grows, change.after)))
