"""Lag that no larger size would cure: who doesn't read, what stands still, and what is catching up by itself."""

from datetime import timedelta
from math import fsum

import polars as pl

from controlplane.burrow import LagStatus
from controlplane.model.labels import printable
from controlplane.model.prices import free_line
from controlplane.model.recommendations import Proposal, Rejected, Stage, total
from controlplane.model.time import human_duration
from controlplane.model.units import many
from controlplane.scaling.broker_loss import losses
from controlplane.scaling.group import Group
from controlplane.scaling.sizing import Sized

_HOT_NEEDS_PARTITIONS = 4


def no_members(group: Group) -> Proposal | None:
    """Nobody reads."""
    if group.members > 0:
        return None
    return _investigate(
        group,
        title=f"No consumer of {group.shown} is running",
        to="its consumers running again",
        why=f"The group has no member, so nobody reads its {group.total_lag:,.0f} waiting messages. "
        "A number of consumers can't be computed from a group that stands still.",
        rejected=(Rejected(option="Add consumers", reason="those that are deployed don't join; find out why first"),),
    )


def stuck(group: Group) -> Proposal | None:
    """Partitions stand still and hold the backlog; they are left out of scaling (KEDA), so what is left decides."""
    still = group.stuck
    if still.is_empty() or group.demand.lag > (group.threshold or 0):
        return None
    held = fsum(still["lag"])
    states = ", ".join(sorted({LagStatus(status).name for status in still["status"].to_list()}))
    return _investigate(
        group,
        title=f"Consumer group {group.shown} stands still on {many(still.height, 'partition')}",
        to="all partitions advancing",
        why=f"{still.height} of {many(group.partitions, 'partition')} are {states} and hold {held:,.0f} of "
        f"{group.total_lag:,.0f} waiting messages. A partition is read by one consumer, so more of them don't move "
        "it: look for a message that can't be processed, a consumer that hangs, or offsets that were reset.",
        rejected=(
            Rejected(option="Add consumers", reason="a partition that stands still isn't read faster by more of them"),
            Rejected(option="Skip to the end of the log", reason=f"it would lose up to {held:,.0f} messages"),
        ),
    )


def draining(group: Group) -> Proposal | None:
    """More is read than comes in, and the backlog is gone in time."""
    demand, p = group.demand, group.parameters
    if demand.growth >= 0:
        return None
    left = demand.lag / -demand.growth
    if left > p.drain_within.total_seconds():
        return None
    takes = timedelta(seconds=round(left))
    return _investigate(
        group,
        title=f"Consumer group {group.shown} is catching up",
        to=f"{many(group.members, 'consumer')} (no change)",
        why=f"It reads {demand.consume:,.0f} messages/s and {demand.produce:,.0f} come in, so the backlog of "
        f"{demand.lag:,.0f} is worked off in {human_duration(takes)}, within {human_duration(p.drain_within)}.",
        rejected=(Rejected(option="Add consumers", reason=f"it is gone in {human_duration(takes)} without them"),),
        takes=takes,
    )


def hot_partition(group: Group) -> Proposal | None:
    """One partition holds nearly all of the backlog, and one consumer only can read it."""
    moving = group.flows.lag_now(group.history.at_ms).filter(pl.col("partition") != "")
    if moving.height < _HOT_NEEDS_PARTITIONS or group.demand.lag <= 0:
        return None
    worst = moving.sort("value", "topic", "partition", descending=[True, False, False]).row(0, named=True)
    share = worst["value"] / group.demand.lag
    if share <= group.parameters.hot_partition_share:
        return None
    name = printable(f"{worst['topic']}/{worst['partition']}", 80)
    return _investigate(
        group,
        title=f"One partition holds the backlog of {group.shown}",
        to="keys spread over the partitions",
        why=f"{name} holds {share * 100:.0f} % of the backlog and only one consumer can read it. "
        "Look at the keys of its messages and at the consumer that has it.",
        rejected=(
            Rejected(option="Add consumers", reason="they would read the other partitions, which aren't behind"),
            Rejected(option="Add partitions", reason="a key stays in one partition, however many there are"),
        ),
    )


def enough(group: Group, sized: Sized) -> Proposal:
    """The demand is within the tolerance of what the group does, or a limit forbids more."""
    bit = next((stage.limit for stage in reversed(sized.stages) if stage.limit), None)
    return _investigate(
        group,
        title=f"Consumer group {group.shown} keeps its size",
        to=f"{many(group.members, 'consumer')} (no change)",
        why=f"{many(sized.wanted, 'consumer')} would work the backlog off in time and {group.members} are running"
        + (f"; {bit} holds the number." if bit else "."),
        rejected=(Rejected(option=f"Scale to {many(sized.wanted, 'consumer')}", reason=bit or "nothing would change"),),
        stages=sized.stages,
    )


def _investigate(
    group: Group,
    *,
    title: str,
    to: str,
    why: str,
    rejected: tuple[Rejected, ...],
    stages: tuple[Stage, ...] = (),
    takes: timedelta = timedelta(0),
) -> Proposal:
    return Proposal(
        kind="investigate",
        target=group.target,
        title=title,
        from_=many(group.members, "consumer"),
        to=to,
        why=why,
        inputs=group.inputs(),
        stages=stages,
        cost=total((free_line("No change of size"),), group.do_nothing()),
        gain="No capacity is added",
        survives=(group.loss_of_consumer(group.active), *losses(group.brokers, group.parameters.brokers(), 0)[:1]),
        time_to_effect=takes,
        commands=(
            group.describe_command(),
            group.kafka("kafka-consumer-groups.sh", "--describe", f"--group={group.name}", "--members", "--verbose"),
        ),
        revert=("# nothing to revert: both commands only read",),
        evidence=group.evidence(),
        rejected=rejected,
    )
