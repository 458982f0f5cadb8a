"""The facts about a consumer group that every answer to its lag starts from."""

from dataclasses import dataclass
from datetime import timedelta
from math import fsum

import polars as pl

from controlplane.burrow import KEYS, STUCK, LagStatus, group_status, lag_status
from controlplane.history import History, ms
from controlplane.model.base import Condition
from controlplane.model.labels import printable
from controlplane.model.methods import ConsumerLag
from controlplane.model.recommendations import Evidence, Survival
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import many
from controlplane.scaling.brokers import Cluster, bootstrap, brokers_of, read_cluster
from controlplane.scaling.demand import COMMITTED, LAG, LOG_END, SIGNALS, Demand, Flows, measure, read_flows
from controlplane.scaling.reassignment import Kafka

MEMBERS = "kafka.consumer.members"
PARTITIONS = "kafka.topic.partitions"
_WORST = 5


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group at an instant; `demand` is that of the partitions that advance."""

    name: str
    parameters: ConsumerLag
    history: History
    flows: Flows
    demand: Demand
    total_lag: float
    threshold: float | None
    members: int
    partitions: int
    topics: pl.DataFrame
    """topic and its number of partitions."""
    status: pl.DataFrame
    """topic, partition, status and lag, worst first."""
    brokers: Cluster
    bootstrap: str
    """The brokers' addresses, quoted for a shell."""

    @property
    def shown(self) -> str:
        """The group's name, safe to print."""
        return printable(self.name, 80)

    @property
    def target(self) -> str:
        """What a proposal changes."""
        return f"consumer group {self.shown}"

    @property
    def stuck(self) -> pl.DataFrame:
        """The partitions that don't advance."""
        return self.status.filter(pl.col("status").is_in([int(status) for status in STUCK]))

    @property
    def active(self) -> int:
        """Members that can have a partition."""
        return min(self.members, self.partitions)

    @property
    def per_consumer(self) -> float:
        """Messages/s of one consumer: what it does under backlog, or what is documented where that is less."""
        measured = self.demand.consume / self.active if self.active else 0.0
        documented = self.parameters.consumer_rate
        return measured if documented is None else min(measured, documented)

    @property
    def required(self) -> float:
        """Messages/s to keep up and to work the backlog off in time."""
        return self.demand.required(self.parameters.drain_within.total_seconds())

    def required_before(self) -> tuple[float, ...]:
        """The same at the earlier steps of the stabilisation window."""
        p, at = self.parameters, self.history.at_ms
        seconds = p.drain_within.total_seconds()
        earlier = self.flows.lag.filter(pl.col("ts") > at - ms(p.stabilise), pl.col("ts") < at)
        return tuple(
            measure(self.flows, step, ms(p.rate_over), ms(p.minimum_history)).required(seconds)
            for step in earlier["ts"].unique().sort().to_list()
        )

    def inputs(self) -> dict[str, str]:
        """What the formulas take, with units."""
        p, demand = self.parameters, self.demand
        told = {
            "lag": f"{self.total_lag:,.0f} messages",
            "produce rate": f"{demand.produce:,.1f} messages/s over {format_duration(p.rate_over)}",
            "consume rate": f"{demand.consume:,.1f} messages/s over {format_duration(p.rate_over)}",
            "rate of one consumer": f"{self.per_consumer:,.1f} messages/s",
            "members": many(self.members, "consumer"),
            "partitions": f"{many(self.partitions, 'partition')} of {many(self.topics.height, 'topic')}",
            "drain within": format_duration(p.drain_within),
            "group status": group_status(self.status).name,
            "brokers": self.brokers.told,
        }
        if p.consumer_rate is not None:
            told["documented rate of one consumer"] = f"{p.consumer_rate:,.1f} messages/s"
        return told

    def evidence(self) -> tuple[Evidence, ...]:
        """The alert, the rates, the worst partitions and the busiest brokers."""
        at = self.history.at
        reference = self.history.reference(*SIGNALS)
        labels = {"consumer_group": self.name}

        def measured(signal: str, value: float, unit: str, verdict: str) -> Evidence:
            return Evidence(
                signal=signal, labels=labels, value=value, unit=unit, at=at, verdict=verdict, reference=reference
            )

        growing = "the backlog grows" if self.demand.growth > 0 else "the backlog doesn't grow"
        rates = (
            measured(LOG_END, self.demand.produce, "{message}/s", "messages that come in"),
            measured(COMMITTED, self.demand.consume, "{message}/s", f"messages that are read; {growing}"),
            measured(MEMBERS, self.members, "{member}", f"{many(self.partitions, 'partition')} to read"),
        )
        partitions = tuple(
            Evidence(
                signal=LAG,
                labels=labels | {"topic": row["topic"], "partition": row["partition"]},
                value=row["lag"],
                unit="{message}",
                at=at,
                verdict=LagStatus(row["status"]).name,
                reference=reference,
            )
            for row in self.status.head(_WORST).iter_rows(named=True)
        )
        return (self.history.told(), *rates, *partitions, *self.brokers.evidence())

    def describe_command(self) -> str:
        """Shows members, offsets and lag of the group."""
        return self.kafka("kafka-consumer-groups.sh", "--describe", f"--group={self.name}")

    def kafka(self, tool: str, *arguments: str) -> str:
        """A command of Kafka's own tools against this cluster."""
        return Kafka(self.bootstrap).run(tool, *arguments)

    def drained_in(self, consumers: int) -> timedelta | None:
        """Until that many consumers have worked the backlog off; None where they can't keep up."""
        spare = consumers * self.per_consumer - self.demand.produce
        return timedelta(seconds=self.demand.lag / spare) if spare > 0 and self.demand.lag / spare < 1e9 else None

    def behind(self) -> str:
        """The backlog and what catching up takes, in words."""
        demand, p = self.demand, self.parameters
        still = self.stuck.height
        return (
            f"{demand.lag:,.0f} messages wait; {demand.produce:,.0f} messages/s come in and {demand.consume:,.0f} are "
            f"read. To catch up within {human_duration(p.drain_within)} takes {self.required:,.0f} messages/s."
            + (f" Left out: {many(still, 'partition')} standing still." if still else "")
        )

    def loss_of_consumer(self, consumers: int) -> Survival:
        """Whether the others keep up when one of that many consumers is lost with its host."""
        left = max(0, consumers - 1)
        reads = left * self.per_consumer
        return Survival(
            loss="one host with one consumer",
            ok=left > 0 and reads >= self.demand.produce,
            reason=f"{many(left, 'consumer')} read {reads:,.0f} of {self.demand.produce:,.0f} messages/s",
        )

    def do_nothing(self) -> str:
        """What happens if nobody acts."""
        growth = self.demand.growth
        if growth > 0:
            return (
                f"The backlog grows by {growth:,.0f} messages/s, {growth * 3600:,.0f} more in an hour, "
                "and every message is read later"
            )
        if growth == 0:
            return f"The backlog stays at {self.demand.lag:,.0f} messages"
        return f"The backlog is worked off in {human_duration(timedelta(seconds=min(1e9, self.demand.lag / -growth)))}"


def read_group(history: History, inventory: Inventory, parameters: ConsumerLag) -> Group:
    """Everything known of the group that the alert names; AdviceError says what is missing."""
    p = parameters
    name = history.label("consumer_group")
    flows = read_flows(history, name)
    now = flows.lag_now(history.at_ms)
    members = history.newest(MEMBERS, fold="max", where={"consumer_group": name})
    if members is None:
        raise history.missing(MEMBERS, f"consumer group {name}")
    topics = _topics(history, now)
    commits, log = flows.judged()
    status = lag_status(
        commits,
        log,
        history.at_ms,
        window=p.window,
        allowed_lag=p.allowed_lag,
        minimum_complete=p.minimum_complete,
    ).sort("status", "lag", *KEYS, descending=[True, True, False, False])
    stuck = status.filter(pl.col("status").is_in([int(state) for state in STUCK]))
    moving = flows.without(stuck.select(KEYS)) if stuck.height else flows
    empty = moving.lag_now(history.at_ms).is_empty()
    demand = Demand(0.0, 0.0, 0.0) if empty else measure(moving, history.at_ms, ms(p.rate_over), ms(p.minimum_history))
    brokers = _brokers(history, inventory, p)
    return Group(
        name=name,
        parameters=p,
        history=history,
        flows=moving,
        demand=demand,
        total_lag=fsum(now["value"]),
        threshold=p.lag_threshold or _threshold(history),
        members=round(members),
        partitions=int(topics["partitions"].sum()),
        topics=topics,
        status=status,
        brokers=brokers,
        bootstrap=bootstrap(brokers_of(inventory, history.alert.platform, p.broker_role), p.bootstrap_server),
    )


def _topics(history: History, now: pl.DataFrame) -> pl.DataFrame:
    """topic, partitions: as measured, or as many as the lag has series where it isn't."""
    seen = now.group_by("topic", maintain_order=True).agg(
        pl.len().alias("seen"), (pl.col("partition") != "").all().alias("each")
    )
    counted = history.latest(PARTITIONS, "topic", fold="max")
    topics = seen.join(counted, on="topic", how="left", maintain_order="left")
    unknown = topics.filter(pl.col("value").is_null(), ~pl.col("each"))
    if unknown.height:
        raise history.missing(PARTITIONS, f"topic {unknown['topic'][0]}")
    return topics.select("topic", pl.max_horizontal(pl.col("value").round(), "seen").cast(pl.Int64).alias("partitions"))


def _threshold(history: History) -> float | None:
    try:
        threshold = Condition.parse(history.alert.threshold).threshold
    except ValueError:
        return None
    return threshold if threshold > 0 else None


def _brokers(history: History, inventory: Inventory, p: ConsumerLag) -> Cluster:
    """The group's brokers: those of the cluster that the alert names, else all of the platform."""
    found = brokers_of(inventory, history.alert.platform, p.broker_role)
    name = history.alert.labels.get("cluster") or next((broker.cluster for broker in found if broker.cluster), "")
    own = tuple(broker for broker in found if broker.cluster == name)
    one = own if own and (len(own) == len(found) or "cluster" in history.alert.labels) else found
    named = name if one is own else ""
    return read_cluster(history, inventory, p.brokers(), named or history.alert.platform, one)
