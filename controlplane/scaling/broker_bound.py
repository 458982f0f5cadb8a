"""A consumer group whose brokers are the limit: more brokers, or a better spread over those that are there."""

import json
from math import fsum

import polars as pl

from controlplane.model.commands import command
from controlplane.model.labels import printable
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import Proposal, Rejected, Stage, total
from controlplane.model.units import many
from controlplane.scaling.group import Group
from controlplane.scaling.sizing import brokers_to_add

Hot = tuple[str, pl.DataFrame, float]


def broker_bound(group: Group, hot: list[Hot], prices: PriceBook) -> Proposal:
    """As many brokers as bring the sum below the limit; none where the sum fits and only its spread doesn't."""
    p, brokers = group.parameters, group.brokers
    stages, add, bit = _sized(group, hot)
    after = brokers.count + add
    signal, frame, limit = hot[0]
    load = fsum(frame["value"])
    host, value = printable(frame["host"][0], 80), float(frame["value"][0])
    why = (
        f"{group.behind()} Broker {host} is at {value * 100:.0f} % ({signal}), above its limit of {limit * 100:.0f} %. "
    )
    rejected = [
        Rejected(option="Add consumers", reason="they would ask more of brokers that are above their limit"),
        Rejected(option="Add partitions", reason="they would be served by the same brokers"),
    ]
    if add:
        item = "Kafka broker" if add == 1 else "Kafka brokers"
        line = prices.line(p.broker_price, add, item=item, units=THINGS)
        title, to = f"Add {add} {item} to {brokers.count}", many(after, "broker")
        why += f"All {brokers.count} together are {load / brokers.count * 100:.0f} % used."
        rejected.append(Rejected(option="Only move partitions", reason="all brokers together lack capacity"))
    else:
        line = free_line("Moving partitions between the brokers that are there")
        title = f"Spread the load of broker {host} over {many(brokers.count, 'broker')}"
        to = f"{many(brokers.count, 'broker')}, evenly loaded"
        why += f"On average they are at {load / brokers.count * 100:.0f} %" + (
            f", and {bit} are allowed." if bit else ", so no broker is missing: the load is uneven."
        )
        rejected.append(Rejected(option="Add brokers", reason=bit or "all brokers together have the capacity"))
    gain = f"{signal} {load / brokers.count * 100:.0f} % → {load / after * 100:.0f} % on average"
    if add == 0:
        gain = f"{signal} of the busiest broker {value * 100:.0f} % → {load / after * 100:.0f} %"
    elif p.broker_rate is not None:
        gain += f"; {p.broker_rate * brokers.count:,.0f} → {p.broker_rate * after:,.0f} messages/s as documented"
    return Proposal(
        kind="scale_out" if add else "rebalance",
        target=f"Kafka brokers of {printable(group.history.alert.platform, 60)}",
        title=title,
        from_=many(brokers.count, "broker"),
        to=to,
        why=why,
        inputs=group.inputs() | {f"limit of {signal}": f"{limit * 100:g} %" for signal, _, limit in hot},
        stages=stages,
        cost=total((line,), group.do_nothing()),
        gain=gain,
        survives=(brokers.survival(add, p), group.loss_of_consumer(group.active)),
        time_to_effect=p.broker_start,
        commands=_plan(group, add),
        revert=(
            "# save the first half of plan.txt, the assignment before, as before.json",
            group.kafka("kafka-reassign-partitions.sh", "--reassignment-json-file=before.json", "--execute"),
        ),
        evidence=group.evidence(),
        rejected=tuple(rejected),
    )


def _sized(group: Group, hot: list[Hot]) -> tuple[tuple[Stage, ...], int, str | None]:
    """The stages, the brokers to add, and the limit that bit."""
    maximum, count = group.parameters.broker_maximum, group.brokers.count
    raw = tuple(
        Stage(
            name=f"raw {signal}",
            value=brokers_to_add(frame["value"].to_list(), limit),
            reason=f"ceil(({fsum(frame['value']):.2f} − {frame.height} × {limit:g}) ÷ {limit:g}) brokers to add",
        )
        for signal, frame, limit in hot
    )
    most = int(max(stage.value for stage in raw))
    room = most if maximum is None else max(0, maximum - count)
    bit = f"at most {maximum} brokers" if most > room else None
    add = min(most, room)
    return (
        (
            *raw,
            Stage(name="largest", value=most, reason="the resource that takes most brokers decides"),
            Stage(name="clamped", value=add, limit=bit, reason=f"{many(count, 'broker')} are there"),
        ),
        add,
        bit,
    )


def _plan(group: Group, add: int) -> tuple[str, ...]:
    """Move the group's topics over all brokers; ids of brokers that don't exist yet are for the engineer to fill in."""
    topics = [{"topic": topic} for topic in group.topics["topic"].to_list()]
    moved = json.dumps({"version": 1, "topics": topics}, separators=(",", ":"))
    ids = [broker.attributes.get("broker_id", "") for broker in group.brokers.resources]
    known = add == 0 and all(ids)
    brokers = command([f"--broker-list={','.join(ids)}"]) if known else '--broker-list="$BROKER_IDS"'
    generate = group.kafka("kafka-reassign-partitions.sh", "--topics-to-move-json-file=topics.json", "--generate")
    return (
        *(() if known else ("# set BROKER_IDS to the ids of all brokers, the new ones too, such as 1,2,3,4",)),
        f"{command(['printf', '%s', moved])} > topics.json",
        f"{generate} {brokers} | tee plan.txt",
        "# save the second half of plan.txt, the proposed assignment, as plan.json",
        group.kafka("kafka-reassign-partitions.sh", "--reassignment-json-file=plan.json", "--execute"),
    )
