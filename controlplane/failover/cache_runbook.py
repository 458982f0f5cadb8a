"""The steps of a cache's failover, by Sentinel or by hand, with what has to be true before each."""

from dataclasses import dataclass

from controlplane.failover.cache_members import CacheMember, Sentinels
from controlplane.model.commands import Argv, fill
from controlplane.model.labels import printable
from controlplane.model.methods import Cache
from controlplane.model.recommendations import PlanStep


@dataclass(frozen=True, slots=True)
class Situation:
    """A cache at an instant."""

    cluster: str
    found: tuple[CacheMember, ...]
    primary: CacheMember | None
    able: tuple[CacheMember, ...]
    """Replicas that may be promoted, best first."""
    sentinels: Sentinels | None
    dead: bool
    """Whether the primary is lost."""

    @property
    def shown(self) -> str:
        """Name of the cluster, safe to print."""
        return printable(self.cluster, 80)

    @property
    def primary_shown(self) -> str:
        """Name of the primary, safe to print."""
        return "its primary" if self.primary is None else self.primary.shown

    @property
    def acts(self) -> bool:
        """Whether Sentinel would fail over."""
        return self.sentinels is None or self.sentinels.acts

    def lost(self, taker: CacheMember) -> float | None:
        """Bytes of the primary's last known position that the one that takes over hasn't got."""
        if self.primary is None or self.primary.offset is None or taker.offset is None:
            return None
        return max(0.0, self.primary.offset - taker.offset)


def look(at: Situation, p: Cache) -> tuple[PlanStep, ...]:
    """Ask Sentinel once more."""
    return (PlanStep(do="Ask Sentinel what it sees", commands=_asked(p.look, at, p)),)


def by_sentinel(at: Situation, p: Cache) -> tuple[PlanStep, ...]:
    """It can act: have it do so."""
    best = at.able[0]
    return (
        PlanStep(
            do=f"Have Sentinel fail over; it takes {best.shown} by priority and position",
            before=(
                "the answer to ckquorum is OK, and no failover is on its way",
                f"{at.primary_shown} doesn't answer, from more than one place",
                f"{best.shown} was asked once more for its position, and its link was up until the loss",
            ),
            commands=_asked(p.trigger, at, p),
        ),
        _repoint(best),
        _rejoin(at),
    )


def by_hand(at: Situation, p: Cache) -> tuple[PlanStep, ...]:
    """It can't: fence, promote, and point the rest at the new primary."""
    best, rest = at.able[0], [one for one in at.found if one.replica and one.reachable and one is not at.able[0]]
    values: dict[str, str | int] = {"candidate": best.host, "port": p.port}
    return (
        PlanStep(
            do=f"Fence {at.primary_shown}: stop it, or take its network",
            before=(f"{at.primary_shown} doesn't answer, from more than one place",),
        ),
        PlanStep(
            do=f"Promote {best.shown}",
            before=(
                f"{at.primary_shown} is fenced",
                f"no other replica that may take over has a further position than {best.shown}, asked once more",
                "Sentinels that still run are stopped: a majority that comes back would change it again",
            ),
            commands=tuple(fill(argv, values) for argv in p.promote),
        ),
        *(
            PlanStep(
                do=f"Have {one.shown} follow it",
                before=(f"{best.shown} says role:master and takes a write",),
                commands=tuple(fill(argv, {**values, "replica": one.host}) for argv in p.follow),
            )
            for one in rest
        ),
        _repoint(best),
        PlanStep(
            do=f"Start the Sentinels again and have them monitor {best.shown}",
            before=("a majority of them runs, on different hosts",),
        ),
        _rejoin(at),
    )


def mend(at: Situation, p: Cache) -> tuple[str, tuple[PlanStep, ...], bool]:
    """What is reached, the steps that make the cache ready, and whether a replica has to be bought for it."""
    steps: list[PlanStep] = []
    told: list[str] = []
    silent = [one for one in at.found if one is not at.primary and not one.reachable]
    cut_off = [one for one in at.found if one.cut_off is not None and one.priority != 0]
    if at.sentinels is not None and not at.sentinels.acts:
        hosts = p.sentinels or tuple(one.host for one in at.found)
        steps.append(
            PlanStep(
                do=f"Start the Sentinels that don't answer: {at.sentinels.told}",
                before=("nobody keeps them down on purpose (maintenance)",),
                commands=tuple(fill(argv, {"host": host}) for host in hosts for argv in p.start_sentinel),
            )
        )
        told.append("enough Sentinels")
    if not at.able and silent:
        one = min(silent, key=lambda member: member.resource.id)
        steps.append(
            PlanStep(
                do=f"Start {one.shown}; it copies the primary",
                before=(
                    "its host answers and has the memory of the primary",
                    "link and memory of the primary have room for a full copy",
                ),
                commands=tuple(fill(argv, {"host": one.host}) for argv in p.start),
            )
        )
        told.append(f"{one.shown} follows again")
    elif not at.able and cut_off and at.primary is not None:
        one = min(cut_off, key=lambda member: (-(member.offset or 0.0), member.resource.id))
        values: dict[str, str | int] = {"candidate": at.primary.host, "port": p.port, "replica": one.host}
        steps.append(
            PlanStep(
                do=f"Have {one.shown} follow {at.primary_shown} again",
                before=(
                    f"the log of {one.shown} says why its link broke, and that is mended",
                    "link and memory of the primary have room for a full copy",
                ),
                commands=tuple(fill(argv, values) for argv in p.follow),
            )
        )
        told.append(f"{one.shown} follows again")
    elif not at.able and any(one.priority == 0 for one in at.found):
        one = next(member for member in at.found if member.priority == 0)
        steps.append(
            PlanStep(
                do=f"Decide whether {one.shown} may take over; if so, give it a replica-priority above 0",
                before=("it isn't excluded for a reason that still holds, such as a far site",),
            )
        )
        told.append(f"{one.shown} may take over")
    adds = not at.able and not told
    if adds:
        steps.append(
            PlanStep(
                do="Set up one more host as a replica, and three Sentinels on different hosts where there are none",
                before=(f"it has the memory and version of {at.primary_shown}", "the last snapshot succeeded"),
            )
        )
        told.append("a replica that Sentinel may promote")
    steps.append(
        PlanStep(do="Mark it as executed", before=("ckquorum says OK, and the replica's link has been up for minutes",))
    )
    return " and ".join(told) or "as it is: the replicas are fit", tuple(steps), adds


def _repoint(best: CacheMember) -> PlanStep:
    return PlanStep(
        do="Restart or point again the clients that don't ask Sentinel for the primary",
        before=(f"{best.shown} says role:master and takes a write",),
    )


def _rejoin(at: Situation) -> PlanStep:
    return PlanStep(
        do=f"Bring {at.primary_shown} back as a replica",
        before=("it starts as a replica: with an empty memory as a primary it would empty the others",),
    )


def _asked(commands: tuple[Argv, ...], at: Situation, p: Cache) -> tuple[str, ...]:
    hosts = p.sentinels or tuple(one.host for one in at.found if one.reachable) or tuple(one.host for one in at.found)
    values: dict[str, str | int] = {"cluster": at.cluster, "sentinel": hosts[0], "sentinel_port": p.sentinel_port}
    return tuple(fill(argv, values) for argv in commands)
