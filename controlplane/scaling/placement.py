"""Traffic between zones above what is allowed: which flows to make local, and what that saves."""

from dataclasses import dataclass
from decimal import Decimal
from math import fsum

import polars as pl

from controlplane.history import FRESH, History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Placement
from controlplane.model.money import human_money
from controlplane.model.prices import TRAFFIC, PriceBook, free_line, gb_per_month
from controlplane.model.recommendations import CostLine, Evidence, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.units import human, many

FLOWS = "network.cross_az.throughput"
TOTAL = "network.throughput"
RATIO = "network.cross_az.ratio"
_LABELS = ("flow", "source_zone", "destination_zone")
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes per second of a cluster: all of it, and the flows that cross zones (largest first)."""

    cluster: str
    total: float
    flows: pl.DataFrame
    """flow, source_zone, destination_zone and value."""

    @property
    def cross(self) -> float:
        """By/s that cross zones."""
        return fsum(self.flows["value"])


def moves(flows: pl.DataFrame, excess: float) -> pl.DataFrame:
    """The largest flows, whole, until their sum covers `excess`; all of them where that isn't enough.

    `flows` has flow, source_zone, destination_zone and value (By/s); equal values are taken in name order.
    """
    if excess <= 0:
        return flows.clear()
    ranked = flows.filter(pl.col("value") > 0).sort("value", *_LABELS, descending=[True, False, False, False])
    return ranked.filter(pl.col("value").cum_sum().shift(1, fill_value=0.0) < excess)


def advise(history: History, parameters: Placement, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Flows to make local so that the cross-zone ratio is allowed again; AdviceError says what is missing."""
    p = parameters
    traffic = _read(history)
    cross, allowed = traffic.cross, p.allowed_ratio * traffic.total
    excess = cross - allowed
    if excess <= 0:
        raise AdviceError(
            f"{cross / traffic.total * 100:.2f} % of the traffic of cluster {printable(traffic.cluster, 80)} crosses "
            f"zones, within the {p.allowed_ratio * 100:g} % that are allowed: nothing has to move"
        )
    movable = traffic.flows.filter(~pl.col("flow").is_in(list(p.immovable)))
    moved = moves(movable, excess)
    gone = fsum(moved["value"])
    left = cross - gone
    short = left > allowed * (1 + 1e-9)
    ratio, remains = cross / traffic.total, left / traffic.total
    kept = traffic.flows.height - movable.height
    limit = None if moved.equals(moves(traffic.flows, excess)) else f"{many(kept, 'flow')} kept on purpose"
    stages = (
        Stage(name="allowed", value=allowed, reason=f"{p.allowed_ratio:g} × {human(traffic.total, 'By/s')}, in By/s"),
        Stage(name="excess", value=excess, reason=f"{human(cross, 'By/s')} − {human(allowed, 'By/s')}, in By/s"),
        Stage(name="moved", value=gone, limit=limit, reason=f"whole flows, the largest first: {moved.height}; in By/s"),
        Stage(name="remaining", value=left, reason=f"{remains * 100:.2f} % of all traffic, in By/s"),
    )
    names = tuple(
        f"{_flow(row['flow'])} {printable(row['source_zone'], 40)} → {printable(row['destination_zone'], 40)} "
        f"({human(row['value'], 'By/s')})"
        for row in moved.iter_rows(named=True)
    )
    cluster = printable(traffic.cluster, 80)
    why = f"{human(cross, 'By/s')} of {human(traffic.total, 'By/s')} cross zones ({ratio * 100:.2f} %), "
    why += f"{human(excess, 'By/s')} more than the {p.allowed_ratio * 100:g} % that are allowed. "
    shared = {
        "target": f"placement of cluster {cluster}",
        "from_": f"{ratio * 100:.2f} % of traffic across zones",
        "inputs": {
            "cross-zone traffic": human(cross, "By/s"),
            "all traffic": human(traffic.total, "By/s"),
            "allowed ratio": f"{p.allowed_ratio * 100:g} %",
            "excess": human(excess, "By/s"),
            "month": "30 days of 86,400 s; GB = 10⁹ bytes",
        },
        "stages": stages,
        "survives": _survives(history, traffic, p, inventory),
        "evidence": _evidence(history, traffic, moved, p),
    }
    if moved.is_empty():
        return Proposal(
            kind="investigate",
            title=f"Cluster {cluster} crosses zones on purpose",
            to="the same, or a higher ratio allowed",
            why=why + "All flows that are measured cross zones on purpose, so none can be made local.",
            cost=total((free_line("Nothing moves"),), _do_nothing(excess, p, prices)),
            gain="No traffic is saved",
            time_to_effect=p.time_to_effect,
            commands=(f"# look at the flows of {cluster} that cross zones: {', '.join(map(_flow, p.immovable))}",),
            revert=("# nothing to revert",),
            rejected=(Rejected(option="Make them local", reason="they cross on purpose (parameter immovable)"),),
            **shared,
        )
    goal = f"{remains * 100:.2f} %, still above {p.allowed_ratio * 100:g} %" if short else f"{remains * 100:.2f} %"
    return Proposal(
        kind="rebalance",
        title=f"Make {many(moved.height, 'flow')} of {cluster} local to their zones",
        to=f"{goal} of traffic across zones",
        why=why + f"To move: {'; '.join(names[:_SHOWN])}" + ("; …" if len(names) > _SHOWN else "") + ".",
        cost=total(_lines(gone, moved.height, p, prices), _do_nothing(excess, p, prices)),
        gain=f"traffic across zones {human(cross, 'By/s')} → {human(left, 'By/s')}",
        time_to_effect=p.time_to_effect,
        commands=_commands(traffic, moved, p.move_command, "make {} local: serve {} from {}"),
        revert=_commands(traffic, moved, p.revert_command, "put {} back: serve {} from {} as before", back=True),
        rejected=(
            Rejected(
                option="Move the smallest flows first",
                reason="more moves for the same bytes, and each of them is a risk",
            ),
            Rejected(option="Allow a higher ratio", reason=_do_nothing(excess, p, prices)),
        ),
        **shared,
    )


def _read(history: History) -> Traffic:
    cluster = history.label("cluster")
    where = {"cluster": cluster}
    flows = history.latest(FLOWS, *_LABELS, fold="sum", where=where).select(*_LABELS, "value")
    if flows.is_empty():
        raise history.missing(FLOWS, f"cluster {cluster}")
    everything = history.newest(TOTAL, fold="sum", where=where)
    if everything is None:
        ratio = history.newest(RATIO, fold="max", where=where)
        if ratio is None:
            raise history.missing(f"{TOTAL} (or {RATIO})", f"cluster {cluster}")
        everything = fsum(flows["value"]) / ratio if ratio > 0 else 0.0
    if everything <= 0:
        raise AdviceError(f"{TOTAL} of cluster {printable(cluster, 80)} is 0, so no ratio can be computed")
    return Traffic(cluster, everything, flows.sort("value", *_LABELS, descending=[True, False, False, False]))


def _lines(saved: float, count: int, p: Placement, prices: PriceBook) -> tuple[CostLine, ...]:
    """The traffic saved, once for each direction in which it is charged, and what moving copies."""
    gb = -gb_per_month(saved)
    lines = (
        prices.line(p.price, gb, item="Traffic out of the source zone, GB a month", units=TRAFFIC),
        prices.line(p.price, gb, item="Traffic into the destination zone, GB a month", units=TRAFFIC),
    )
    if p.bytes_per_move is None:
        copied = CostLine(
            item="Copying data across zones once",
            price=None,
            quantity=Decimal(0),
            unit="unknown",
            per_month=Decimal(0),
            per_month_reserved=Decimal(0),
            note="how much a move copies isn't stated (parameter bytes_per_move)",
        )
        return (*lines, copied)
    if p.bytes_per_move == 0:
        return (*lines, free_line("Copying data across zones once", "roles change, no data is copied"))
    copies = count * p.bytes_per_move / 1e9 * 2
    item = f"Copying data of {many(count, 'flow')} once, both directions, GB"
    return (*lines, prices.line(p.price, copies, item=item, units=TRAFFIC, once=True))


def _do_nothing(excess: float, p: Placement, prices: PriceBook) -> str:
    gb = gb_per_month(excess)
    amount = prices.line(p.price, gb * 2, units=TRAFFIC).per_month
    cost = "at an unknown price" if amount is None else f"{human_money(amount)} a month, both directions"
    return f"The excess of {human(excess, 'By/s')} is {gb:,.0f} GB a month: {cost}"


def _flow(name: str) -> str:
    return printable(name, 60) or "flow"


def _commands(
    traffic: Traffic, moved: pl.DataFrame, argv: tuple[str, ...] | None, words: str, *, back: bool = False
) -> tuple[str, ...]:
    rows = moved.select(_LABELS).rows()
    if argv is None:
        source, destination = (2, 1) if not back else (1, 2)
        return tuple(
            "# "
            + words.format(_flow(row[0]), f"its side in {printable(row[source], 40)}", printable(row[destination], 40))
            for row in rows
        )
    return tuple(
        fill(argv, {"cluster": traffic.cluster, "flow": flow, "source_zone": source, "destination_zone": destination})
        for flow, source, destination in rows
    )


def _survives(history: History, traffic: Traffic, p: Placement, inventory: Inventory) -> tuple[Survival, ...]:
    kept = ", ".join(map(_flow, p.immovable))
    zones = [resource.zone for resource in inventory.of(history.alert.platform, cluster=traffic.cluster)]
    counts = sorted((zones.count(zone) for zone in set(zones) - {""}), reverse=True)
    told = f"flows that cross on purpose stay: {kept}" if kept else "no flow is named that crosses zones on purpose"
    spread = (
        f"the largest zone has {counts[0]} of {sum(counts)} instances, as before; their load isn't part of this advice"
        if counts
        else "the inventory has no zones for this cluster"
    )
    return (
        Survival(loss="one zone", ok=None, reason=f"{told}; {spread}"),
        Survival(loss="one host", ok=True, reason="no instance is taken away and no two are merged"),
    )


def _evidence(history: History, traffic: Traffic, moved: pl.DataFrame, p: Placement) -> tuple[Evidence, ...]:
    reference = history.reference(FLOWS, TOTAL, RATIO, within=FRESH)
    cluster = {"cluster": traffic.cluster}
    ratio = Evidence(
        signal=RATIO,
        labels=cluster,
        value=traffic.cross / traffic.total,
        unit="1",
        at=history.at,
        limit=f"> {p.allowed_ratio:g}",
        verdict="above what is allowed",
        reference=reference,
    )
    keys = moved.select(_LABELS)
    chosen = set(keys.rows())
    flows = tuple(
        Evidence(
            signal=FLOWS,
            labels=cluster | dict(zip(_LABELS, row[:3], strict=True)),
            value=row[3],
            unit="By/s",
            at=history.at,
            verdict="to be made local" if row[:3] in chosen else "stays",
            reference=reference,
        )
        for row in traffic.flows.select(*_LABELS, "value").head(_SHOWN).rows()
    )
    return (history.told(), ratio, *flows)
