"""What a fleet carries after a change: the loss of a zone, of a member, and of copies of its data."""

from collections.abc import Sequence

from controlplane.model.labels import printable
from controlplane.model.methods import Fleet
from controlplane.model.recommendations import Survival
from controlplane.model.units import many
from controlplane.scaling.fleet.layout import Layout
from controlplane.scaling.fleet.members import Members
from controlplane.scaling.fleet.readings import Reading

_ROUNDING = 1e-9


def survives(
    members: Members, readings: Sequence[Reading], layout: Layout, count: int, p: Fleet
) -> tuple[Survival, ...]:
    """The loss of the fullest zone, of one member, and, where copies are kept, of the copies in a zone."""
    found = [_zone(members, readings, layout, count, p), _carried(f"one {p.noun}", members, readings, count - 1, p)]
    if p.replication_factor is not None:
        found.append(_copies(layout, count, p))
    return tuple(found)


def _zone(members: Members, readings: Sequence[Reading], layout: Layout, count: int, p: Fleet) -> Survival:
    if not layout.zones:
        return Survival(loss="a zone", ok=None, reason="the inventory doesn't say in which zones the members are")
    if len(layout.zones) == 1:
        zone = printable(next(iter(layout.zones)), 60)
        return Survival(loss=f"zone {zone}", ok=False, reason=f"all {many(count, p.noun)} are in it")
    fullest = max(layout.zones, key=lambda zone: (layout.zones[zone], zone))
    left = count - layout.zones[fullest]
    return _carried(f"zone {printable(fullest, 60)}", members, readings, left, p)


def _carried(loss: str, members: Members, readings: Sequence[Reading], left: int, p: Fleet) -> Survival:
    """Whether `left` members carry what all do now, by the metrics that say what one carries."""
    if left < max(1, p.quorum or 1):
        needed = f", and {p.quorum} are needed to decide" if p.quorum else ""
        return Survival(loss=loss, ok=False, reason=f"{many(left, p.noun)} would be left{needed}")
    shares = {
        r.metric.signal: r.mean * members.count / left / r.metric.carries
        for r in readings
        if r.metric.carries is not None and r.known
    }
    if not shares:
        return Survival(loss=loss, ok=None, reason="what one member carries isn't stated or not measured")
    told = ", ".join(f"{signal} {share * 100:.0f} %" for signal, share in shares.items())
    ok = all(share <= 1 + _ROUNDING for share in shares.values())
    return Survival(loss=loss, ok=ok, reason=f"{many(left, p.noun)} carry all of the load: {told} of the capacity")


def _copies(layout: Layout, count: int, p: Fleet) -> Survival:
    copies = p.replication_factor or 1
    loss = "the data of one zone"
    if count < copies:
        return Survival(loss=loss, ok=False, reason=f"{many(count, p.noun)} can't hold {copies} copies")
    if not layout.zones:
        return Survival(loss=loss, ok=None, reason="the inventory doesn't say in which zones the copies are")
    kept = copies - -(-copies // len(layout.zones))
    reason = f"{kept} of {copies} copies are in other zones where they are spread evenly"
    return Survival(loss=loss, ok=kept > 0, reason=reason)
