"""A Kafka broker that is lost: who leads now, whether the others carry it, and how it comes back or is replaced."""

from collections.abc import Sequence
from datetime import timedelta

from controlplane.failover.broker_runbook import REASSIGN, lead, look, move, replace, start, tool
from controlplane.failover.lost_broker import Lost, read_lost
from controlplane.failover.partitions import IN_SYNC, MINIMUM, told
from controlplane.failover.survivors import CPU, NETWORK, Carried
from controlplane.history import History
from controlplane.model.labels import printable
from controlplane.model.methods import Broker
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, Proposal, Rejected, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import human, many


def advise(history: History, parameters: Broker, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Start it again while it is away for a short time; then move its partitions, or replace the machine.

    AdviceError where the alert's host is no broker of the inventory, or no other broker is in its cluster.
    """
    p = parameters
    lost = read_lost(history, p, inventory)
    server = p.bootstrap_server or ",".join(f"{one.host or one.id}:9092" for one in lost.others[:3])
    away = lost.down >= p.away_after
    line = prices.line(p.price or lost.broker.price, 1, item=f"Another machine for {lost.shown}", units=THINGS)
    moves = away and len(lost.others) >= p.replication_factor and lost.carries is True
    plan = (
        *look(lost, server),
        *(move(lost, p, server) if moves else replace(lost, p) if away else start(lost, p, server)),
        *lead(server),
    )
    title = (
        f"Move the partitions of {lost.shown} to the other {many(len(lost.others), 'broker')}"
        if moves
        else f"Replace {lost.shown}"
        if away
        else f"Bring {lost.shown} back"
    )
    copied = None if lost.stored is None else timedelta(seconds=round(lost.stored / p.throttle))
    lines: tuple[CostLine, ...] = (line,) if away and not moves else (free_line(title),)
    return Proposal(
        kind="failover",
        target=f"kafka cluster {lost.cluster}",
        title=title,
        from_=f"{len(lost.others)} of {many(len(lost.others) + 1, 'broker')} of {lost.cluster}",
        to=f"{len(lost.others)} brokers with all partitions" if moves else f"{len(lost.others) + 1} brokers in sync",
        why=_why(lost),
        inputs=_inputs(lost, p),
        cost=total(lines, _do_nothing(lost)),
        gain=_gain(lost),
        survives=_survives(lost, p),
        time_to_effect=p.start_time if not away else max(p.start_time, copied or timedelta(0)),
        commands=tuple(line for step in plan for line in step.commands),
        plan=plan,
        revert=(
            (tool(server, REASSIGN, "--reassignment-json-file=before.json", "--execute"),)
            if moves
            else ("# nothing to revert: what is in sync is not made less",)
        ),
        evidence=_evidence(history, lost),
        rejected=_rejected(lost, p, line, moves=moves, away=away),
    )


def _why(lost: Lost) -> str:
    parts = [f"{lost.shown} is lost since {human_duration(lost.down)}; the controller gave its partitions to others"]
    held = lost.partitions
    if held is None:
        parts.append(f"{IN_SYNC} isn't measured, so whether all partitions are served isn't known")
    else:
        if held.offline:
            parts.append(f"offline are {told(held.offline)}")
        if held.refusing:
            parts.append(f"writes are refused by {told(held.refusing)}")
        if held.tight:
            parts.append(f"one more loss stops the writes to {told(held.tight)}")
        if held.spare:
            parts.append(f"all {many(held.count, 'partition')} take writes, and would after one more loss")
        if held.unclean:
            names = ", ".join(printable(topic, 60) for topic in held.unclean[:3])
            parts.append(f"an unclean election is allowed for {names}: messages may be lost")
    if lost.loads:
        parts.append("the others are at " + ", ".join(f"{one.after:.0%} of their {_what(one)}" for one in lost.loads))
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def _what(load: Carried) -> str:
    return {CPU: "CPU", NETWORK: "network"}[load.signal]


def _do_nothing(lost: Lost) -> str:
    held = lost.partitions
    if held is not None and (held.offline or held.refusing):
        return f"{told({**held.offline, **held.refusing})} can't be written as long as this lasts"
    return "One more broker lost stops writes or loses data, and the others carry its load"


def _gain(lost: Lost) -> str:
    loads = ", ".join(f"{_what(one)} {one.after:.0%} → {one.before:.0%}" for one in lost.loads)
    return f"{len(lost.others)} → {len(lost.others) + 1} brokers" + (f"; {loads}" if loads else "")


def _inputs(lost: Lost, p: Broker) -> dict[str, str]:
    given = {
        "brokers left": str(len(lost.others)),
        "away for": human_duration(lost.down),
        "replaced or moved after": format_duration(p.away_after),
        "replication factor": str(p.replication_factor),
        "throttle": human(p.throttle, "By/s"),
        "stored on the lost one": "unknown" if lost.stored is None else human(lost.stored, "By"),
    }
    given |= {f"{_what(one)} before → after": f"{one.before:.1%} → {one.after:.1%}" for one in lost.loads}
    if p.rto_target is not None:
        given["RTO objective"] = human_duration(p.rto_target)
    return given


def _survives(lost: Lost, p: Broker) -> tuple[Survival, ...]:
    held = lost.partitions
    if held is None:
        one_more = Survival(loss="one more broker", ok=None, reason=f"{IN_SYNC} isn't measured")
    elif held.spare:
        one_more = Survival(loss="one more broker", ok=True, reason="every partition has a replica to spare")
    else:
        short = {**held.tight, **held.refusing, **held.offline}
        one_more = Survival(loss="one more broker", ok=False, reason=f"nothing to spare have {told(short)}")
    load = Survival(
        loss="the load of the lost broker",
        ok=lost.carries,
        reason="; ".join(f"{_what(one)} {one.after:.0%}, limit {one.limit:.0%}" for one in lost.loads)
        or "the load of every broker before the loss isn't known",
    )
    enough = len(lost.others) >= p.replication_factor
    copies = Survival(
        loss="copies of each partition",
        ok=enough,
        reason=f"{many(len(lost.others), 'broker')} for a replication factor of {p.replication_factor}",
    )
    return (one_more, load, copies)


def _rejected(lost: Lost, p: Broker, line: CostLine, *, moves: bool, away: bool) -> tuple[Rejected, ...]:
    found = [
        Rejected(
            option="Allow an unclean election",
            reason="it loses every message that the replica which leads then hasn't got",
        )
    ]
    enough = len(lost.others) >= p.replication_factor
    if not moves:
        reason = (
            f"it is away for {human_duration(lost.down)} only; moving all it had takes longer"
            if not away
            else f"{many(len(lost.others), 'broker')} can't hold {p.replication_factor} copies"
            if not enough
            else "the others don't carry its load"
            if lost.carries is False
            else "whether the others carry its load isn't known"
        )
        found.append(Rejected(option="Move its partitions to the others", reason=reason))
    if not away or moves:
        cost = "a price that isn't known" if line.per_month is None else f"{line.one_off or line.per_month} {line.unit}"
        found.append(Rejected(option="Another machine", reason=f"the others do for now, and it costs {cost}"))
    return tuple(found)


def _evidence(history: History, lost: Lost) -> tuple[Evidence, ...]:
    reference = history.reference(IN_SYNC, MINIMUM, CPU, NETWORK)
    found = [
        history.told(),
        *(
            Evidence(
                signal=one.signal,
                labels={"cluster": lost.broker.cluster},
                value=one.after,
                unit="1",
                at=history.at,
                limit=f"> {one.limit:g}",
                verdict="of each of the others, after the loss",
                reference=reference,
            )
            for one in lost.loads
        ),
    ]
    if lost.partitions is not None:
        counts: Sequence[tuple[str, int]] = (
            ("offline", sum(lost.partitions.offline.values())),
            ("refuse writes", sum(lost.partitions.refusing.values())),
            ("nothing to spare", sum(lost.partitions.tight.values())),
        )
        found += [
            Evidence(
                signal=IN_SYNC,
                value=float(count),
                unit="{partition}",
                at=history.at,
                limit="> 0",
                verdict=verdict,
                reference=reference,
            )
            for verdict, count in counts
        ]
    return tuple(found)
