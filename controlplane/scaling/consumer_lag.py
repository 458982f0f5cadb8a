"""Lag of a consumer group: what holds it back, and what that takes."""

import polars as pl

from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.errors import AdviceError
from controlplane.model.methods import ConsumerLag
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import many
from controlplane.scaling.broker_bound import broker_bound
from controlplane.scaling.broker_loss import losses
from controlplane.scaling.group import Group, read_group
from controlplane.scaling.hold import draining, enough, hot_partition, no_members, stuck
from controlplane.scaling.sizing import Sized, consumers, largest_step, whole


def advise(history: History, parameters: ConsumerLag, inventory: Inventory, prices: PriceBook) -> Proposal:
    """Diagnose the group of the alert and size what limits it; AdviceError says which input is missing.

    In this order: nobody reads, partitions stand still, it drains in time, the brokers are the limit, one partition
    is, the number of partitions is, the number of consumers is.
    """
    group = read_group(history, inventory, parameters)
    held = no_members(group) or stuck(group) or draining(group)
    if held is not None:
        return held
    if group.brokers.hot:
        return broker_bound(group, prices)
    if group.per_consumer <= 0:
        raise AdviceError(
            f"consumer group {group.shown} read nothing in the {format_duration(parameters.rate_over)} before, so what "
            "one consumer can do isn't known and a number of them can't be computed"
        )
    held = hot_partition(group)
    if held is not None:
        return held
    sized = consumers(
        required=group.required,
        per_consumer=group.per_consumer,
        current=group.active,
        partitions=group.partitions,
        lag=group.demand.lag,
        threshold=group.threshold,
        required_before=group.required_before(),
        parameters=parameters,
    )
    if group.members >= group.partitions and sized.short:
        return _shard(group, sized, prices)
    if sized.count <= group.members:
        return enough(group, sized)
    return _scale_out(group, sized, prices)


def _scale_out(group: Group, sized: Sized, prices: PriceBook) -> Proposal:
    count, free = sized.count, group.partitions - group.members
    rejected = [
        Rejected(option="Add partitions", reason=f"{many(free, 'partition')} have no consumer of their own yet"),
        Rejected(option="Add brokers", reason=f"nothing says that the brokers are the limit: {group.brokers.told}"),
    ]
    if count < sized.wanted:
        bit = next((stage.limit for stage in reversed(sized.stages) if stage.limit), "a limit")
        rejected.append(Rejected(option=f"Scale to {many(sized.wanted, 'consumer')} at once", reason=bit))
    return Proposal(
        kind="scale_out",
        target=group.target,
        title=f"Scale consumer group {group.shown} from {group.members} to {many(count, 'consumer')}",
        from_=many(group.members, "consumer"),
        to=many(count, "consumer"),
        why=f"{group.behind()} {group.partitions} partitions could use more than {many(group.members, 'consumer')}.",
        inputs=group.inputs(),
        stages=sized.stages,
        cost=total((_consumer_line(group, count, prices),), group.do_nothing()),
        gain=_gain(group, count, count),
        survives=_survives(group, count, count),
        time_to_effect=group.parameters.consumer_start,
        commands=(_scale(group, count), group.describe_command()),
        revert=(_scale(group, group.members),),
        evidence=group.evidence(),
        rejected=(*rejected, *_documented(group)),
    )


def _shard(group: Group, sized: Sized, prices: PriceBook) -> Proposal:
    """Every partition has its consumer: more partitions, and as many consumers as they take."""
    p, before = group.parameters, group.partitions
    topics, stages = _partitions(group, sized)
    after = before + int((topics["needed"] - topics["partitions"]).sum())
    if after == before:
        return enough(group, sized)
    reach = largest_step(group.members, p.max_step)
    most = min(sized.wanted, after) if p.maximum is None else min(sized.wanted, after, p.maximum)
    members = max(group.members, min(most, reach))
    limit = None if members >= sized.wanted else f"one step from {group.members} reaches {reach}"
    if limit is not None and members < reach:
        limit = f"maximum {p.maximum}" if members == p.maximum else many(after, "partition")
    stages = (*stages, Stage(name="consumers", value=members, limit=limit, reason="one for each partition at most"))
    active = min(members, after)
    return Proposal(
        kind="shard",
        target=group.target,
        title=f"Give {group.shown} {many(after, 'partition')} instead of {before}",
        from_=f"{many(before, 'partition')}, {many(group.members, 'consumer')}",
        to=f"{many(after, 'partition')}, {many(members, 'consumer')}",
        why=f"{group.behind()} Each of the {many(before, 'partition')} has its consumer ({group.members} are running), "
        "and a partition is read by one consumer of a group only.",
        inputs=group.inputs(),
        stages=stages,
        cost=total(
            (free_line(f"{after - before} more partitions"), _consumer_line(group, members, prices)),
            group.do_nothing(),
        ),
        gain=_gain(group, members, active),
        survives=_survives(group, members, active),
        time_to_effect=p.consumer_start,
        commands=(
            *(
                group.kafka("kafka-topics.sh", "--alter", f"--topic={topic}", f"--partitions={needed}")
                for topic, needed in topics.select("topic", "needed").rows()
            ),
            _scale(group, members),
            group.describe_command(),
        ),
        revert=(
            _scale(group, group.members),
            "# partitions can't be taken away: to go back, create the topics anew and copy their messages",
        ),
        evidence=group.evidence(),
        rejected=(
            Rejected(
                option="Add consumers only",
                reason=f"{many(before, 'partition')} for {many(group.members, 'member')}; any further one is idle",
            ),
            Rejected(option="Add brokers", reason=f"nothing says that the brokers are the limit: {group.brokers.told}"),
            Rejected(
                option="Keep the partitions because order by key matters",
                reason="new partitions move keys: until what waits is read, a newer message of a key may be read first",
            ),
            *_documented(group),
        ),
    )


def _partitions(group: Group, sized: Sized) -> tuple[pl.DataFrame, tuple[Stage, ...]]:
    """topic, partitions and needed of the topics that grow, and the stages so far."""
    p, before = group.parameters, group.partitions
    wanted = sized.wanted if p.maximum is None else min(sized.wanted, p.maximum)
    reach = largest_step(before, p.max_partition_step)
    count = max(before, min(wanted, reach))
    limit = f"one step from {before} reaches {reach}" if wanted > reach else None
    if limit is None and wanted < sized.wanted:
        limit = f"maximum {p.maximum}"
    needed = (pl.col("partitions") * count / before - 1e-9).ceil().cast(pl.Int64)
    topics = group.topics.with_columns(needed.alias("needed")).filter(pl.col("needed") > pl.col("partitions"))
    after = before + int((topics["needed"] - topics["partitions"]).sum())
    return topics, (
        *sized.stages,
        Stage(name="partitions", value=count, limit=limit, reason="one for each consumer that the demand takes"),
        Stage(name="even", value=after, reason="rounded up in each topic, in proportion to what it has"),
    )


def _gain(group: Group, count: int, active: int) -> str:
    before, after = group.active * group.per_consumer, active * group.per_consumer
    takes = group.drained_in(active)
    drained = f"the backlog is gone in {human_duration(takes)}" if takes else "not yet enough to keep up"
    return f"{many(count, 'consumer')} read {before:,.0f} → {after:,.0f} messages/s; {drained}"


def _survives(group: Group, count: int, active: int) -> tuple[Survival, ...]:
    zones, produce = group.parameters.zones, group.demand.produce
    zone = Survival(loss="one zone", ok=None, reason="the zones of the consumers aren't known (parameter zones)")
    if zones > 1:
        left = (count - whole(count / zones)) * group.per_consumer
        reason = f"the others read {left:,.0f} of {produce:,.0f} messages/s"
        zone = Survival(loss="one zone", ok=left >= produce, reason=reason)
    return (group.loss_of_consumer(active), zone, *losses(group.brokers, group.parameters.brokers(), 0)[:1])


def _consumer_line(group: Group, count: int, prices: PriceBook) -> CostLine:
    p, added = group.parameters, count - group.members
    instances = whole(count / p.consumers_per_instance) - whole(group.members / p.consumers_per_instance)
    if instances <= 0:
        return free_line("No further instance", f"{added} more consumers on those that run")
    return prices.line(p.consumer_price, instances, item=f"Instances for {added} more consumers", units=THINGS)


def _documented(group: Group) -> tuple[Rejected, ...]:
    documented = group.parameters.consumer_rate
    if documented is None or group.per_consumer >= documented:
        return ()
    reason = f"they read {group.per_consumer:,.0f} under backlog; profile them, it may save instances"
    return (Rejected(option=f"Count on the documented {documented:,.0f} messages/s of a consumer", reason=reason),)


def _scale(group: Group, count: int) -> str:
    return fill(group.parameters.scale_command, {"group": group.name, "count": count})
