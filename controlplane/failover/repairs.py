"""What makes a member of a database cluster fit to take over, and what has to be true before it is done."""

from dataclasses import dataclass
from datetime import timedelta

from controlplane.failover.members import told
from controlplane.failover.standing import Standing
from controlplane.model.commands import Argv, fill
from controlplane.model.methods import Standby
from controlplane.model.recommendations import PlanStep
from controlplane.model.time import human_duration
from controlplane.model.units import human
from controlplane.readiness.databases import Refused


@dataclass(frozen=True, slots=True)
class Repair:
    """One way to make one member fit."""

    member: Standing
    effort: int
    """Smaller first: waiting, looking, starting, rebuilding, deciding."""
    to: str
    why: str
    steps: tuple[PlanStep, ...]
    time: timedelta
    revert: tuple[str, ...] = ()


def repair(member: Standing, cluster: str, p: Standby) -> Repair:
    """The way for a member that isn't the primary; for one that is fit, what makes it lose less."""
    why = _why(member, p)
    soon = member.catches_up is not None and member.catches_up <= p.catch_up_within.total_seconds()
    match member.refused:
        case Refused.BEHIND if soon:
            left = timedelta(seconds=member.catches_up or 0.0)
            wait = PlanStep(
                do=f"Leave {member.shown} alone: it catches up in about {human_duration(left)}",
                before=("the distance to the primary falls at every look",),
            )
            return Repair(member, 0, f"{member.shown} catches up by itself", why, (wait,), left)
        case Refused.LATE | Refused.LAG_UNKNOWN | None:
            return _replay(member, cluster, p, why)
        case Refused.ASYNCHRONOUS:
            return synchronise(member, cluster, p, why)
        case Refused.SILENT | Refused.UNSEEN | Refused.UNKNOWN:
            return _start(member, cluster, p, why)
        case Refused.BEHIND:
            return _rebuild(member, cluster, p, why)
        case Refused.EXCLUDED:
            step = PlanStep(
                do=f"Decide whether {member.shown} may take over; if so, take its tag nofailover away and reload it",
                before=("it was not excluded for a reason that still holds, such as reports or a slow disk",),
            )
            return Repair(member, 5, f"{member.shown} may take over", why, (step,), timedelta(minutes=5))


def synchronise(member: Standing, cluster: str, p: Standby, why: str) -> Repair:
    """Synchronous mode: what is acknowledged is on a standby then."""
    step = PlanStep(
        do="Switch synchronous mode on: a commit then waits until a standby has it",
        before=(
            f"{member.shown} streams and is on another host than the primary",
            "writers bear the way to the standby and back on every commit",
        ),
        commands=_filled(p.synchronise, member, cluster),
    )
    back = _filled(p.desynchronise, member, cluster)
    return Repair(member, 2, f"{member.shown} becomes synchronous", why, (step,), timedelta(minutes=5), back)


def _replay(member: Standing, cluster: str, p: Standby, why: str) -> Repair:
    step = PlanStep(
        do=f"See what keeps {member.shown} from replaying, and end what may be ended: reports, old transactions",
        before=("the query isn't one that somebody waits for, such as a backup or an invoice run",),
        commands=_filled(p.replay, member, cluster),
    )
    return Repair(member, 1, f"{member.shown} replays what it has", why, (step,), timedelta(minutes=10))


def _start(member: Standing, cluster: str, p: Standby, why: str) -> Repair:
    step = PlanStep(
        do=f"Start Patroni on {member.shown}; it follows the primary again by itself",
        before=(
            "its host answers, and its disk is neither full nor failed",
            "nobody keeps it down on purpose (maintenance)",
        ),
        commands=_filled(p.start, member, cluster),
    )
    check = PlanStep(
        do=f"Rebuild {member.shown} if it doesn't stream within ten minutes: patronictl reinit",
        before=("the primary no longer has the WAL that it asks for",),
    )
    return Repair(member, 3, f"{member.shown} follows again", why, (step, check), p.time_to_effect)


def _rebuild(member: Standing, cluster: str, p: Standby, why: str) -> Repair:
    step = PlanStep(
        do=f"Rebuild {member.shown} from the primary; what it holds now is thrown away",
        before=(
            "the list shows a running leader, and it isn't this member",
            "the last backup succeeded: until the end of the copy there is one copy of the data fewer",
            "disk and link of the primary have room for a full copy",
        ),
        commands=_filled(p.rebuild, member, cluster),
    )
    return Repair(member, 4, f"{member.shown} is rebuilt", why, (step,), p.time_to_effect)


def _why(member: Standing, p: Standby) -> str:
    if member.refused is not None:
        return told(member.refused, p, silent_ms=member.silent_ms, behind=member.behind, lag=member.lag)
    loss = "an unknown time" if member.loss_seconds is None else f"up to {member.loss_seconds:,.4g} s"
    return f"it may take over and loses {loss} ({human(member.loss_bytes, 'By')})"


def _filled(commands: tuple[Argv, ...], member: Standing, cluster: str) -> tuple[str, ...]:
    host = member.resource.host or member.resource.id
    values = {"cluster": cluster, "member": member.name, "host": host}
    return tuple(fill(argv, values) for argv in commands)
