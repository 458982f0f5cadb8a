"""The fleet method: read, ask, limit, and refuse to take away what may be needed."""

from collections.abc import Sequence
from datetime import timedelta

from controlplane.history import History
from controlplane.model.errors import AdviceError, AdviceRefused
from controlplane.model.labels import printable
from controlplane.model.methods import Fleet
from controlplane.model.methods.fleet import Capacity, Ratio, StepRow
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Inventory
from controlplane.model.units import human, many
from controlplane.scaling.fleet.asks import Ask, of_absolute, of_row, stabilised
from controlplane.scaling.fleet.layout import free_addresses, lay_out
from controlplane.scaling.fleet.members import Members, lost_kept, read_members
from controlplane.scaling.fleet.proposal import Decision, propose
from controlplane.scaling.fleet.readings import Reader, Reading
from controlplane.scaling.fleet.stages import Sized, ceiling, present, sized

_ROUNDING = 1e-9


def advise(history: History, parameters: Fleet, inventory: Inventory, prices: PriceBook) -> Proposal:
    """The size of the alert's fleet; AdviceError where it keeps its size, and why, or where too little is known."""
    p = parameters
    members = read_members(history, inventory, p)
    size = present(members.count, members.changes, history.at_ms, p)
    reader = Reader(history, members, p, size)
    readings = [reader.read(metric) for metric in p.metrics]
    blind = [reading for reading in readings if not reading.known]
    if len(blind) == len(readings):
        raise history.missing(blind[0].metric.signal, f"group {members.name}")
    asks = _asks(readings, history, members, size)
    if not asks:
        raise AdviceError(
            f"{members.shown} keeps its {many(size, p.noun)}: no row of its step table holds"
            + (f", and {_signals(blind)} has no data" if blind else "")
        )
    free = free_addresses(history, inventory, p)
    most = ceiling(size, free, lost_kept(members, p.scale_out), p)
    absolute = [(r, r.metric) for r in readings if isinstance(r.metric, Ratio | Capacity)]
    windows = None
    if absolute:
        down = p.scale_in.stabilise if p.scale_in else timedelta(0)
        windows = stabilised(absolute, history.at_ms, p.scale_out.stabilise, down, members.unready, size)
    result = sized(asks, windows, members.changes, history.at_ms, size, most, p)
    layout = lay_out(members, result.count, inventory, history.alert.platform, p)
    if result.count < size:
        reasons = refusals(members, readings, size, result.count, len(layout.zones), p)
        if reasons:
            raise AdviceRefused(
                f"nothing is taken away from {members.shown} ({size} → {result.count}): {'; '.join(reasons)}"
            )
    if result.count == size and not (most and result.limit == most[1]):
        raise AdviceError(f"{members.shown} keeps its {many(size, p.noun)}: {_kept(result)}")
    others = [
        (other, _asks([reader.read(metric) for metric in other.metrics], history, members, size))
        for other in p.alternatives
    ]
    return propose(Decision(history, p, members, tuple(readings), reader, result, layout, free, tuple(others)), prices)


def _asks(readings: Sequence[Reading], history: History, members: Members, size: int) -> list[Ask]:
    """What the metrics with data ask for; a row whose condition doesn't hold asks for nothing."""
    last = members.changes[-1] if members.changes else None
    found = []
    for reading in readings:
        metric = reading.metric
        if not reading.known:
            continue
        if isinstance(metric, StepRow):
            ask = of_row(reading, metric, history.at_ms, size, last)
            found += [ask] if ask else []
        else:
            found.append(of_absolute(reading, metric, members.unready, size))
    return found


def refusals(members: Members, readings: Sequence[Reading], size: int, count: int, zones: int, p: Fleet) -> list[str]:
    """Why no member may be taken away so that `count` are left, in `zones` zones; empty where nothing forbids it."""
    reasons = []
    if members.lost:
        reasons.append(f"zone {', '.join(printable(zone, 60) for zone in members.lost)} is lost")
    if members.unknown:
        reasons.append(f"{members.unknown} has no data, so who answers isn't known")
    if members.silent:
        more = f" and {len(members.silent) - 1} more" if len(members.silent) > 1 else ""
        reasons.append(f"no answer from {printable(members.silent[0], 60)}{more}")
    for reading in readings:
        metric = reading.metric
        if not reading.known:
            reasons.append(f"{metric.signal} has no data")
            continue
        if reading.missing:
            reasons.append(f"{metric.signal} of {many(reading.missing, p.noun)} is missing")
        after = reading.highest() * size / count
        if isinstance(metric, StepRow) and metric.above is not None and after > metric.above * (1 + _ROUNDING):
            trigger = human(metric.above, metric.unit)
            reasons.append(f"{metric.signal} would be {human(after, metric.unit)} and trigger at {trigger}")
        if metric.carries is not None and zones > 1 and after / metric.carries > p.zone_loss * (1 + _ROUNDING):
            used = f"{after / metric.carries * 100:.1f} % of the capacity"
            reasons.append(
                f"{metric.signal} would use {used}, and the loss of a zone is carried up to {p.zone_loss * 100:g} %"
            )
    return list(dict.fromkeys(reasons))


def _kept(result: Sized) -> str:
    if result.limit:
        return f"the metrics ask for {result.wanted}, and {result.limit} holds it"
    return "that is what the metrics ask for"


def _signals(readings: Sequence[Reading]) -> str:
    return ", ".join(dict.fromkeys(reading.metric.signal for reading in readings))
