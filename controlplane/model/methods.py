"""Parameters of the sizing and failover methods, as a rule writes them under `parameters`.

Every default that no source gives is this house's and says so; a pack overrides it where its documents speak.
"""

import math
import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict, model_validator

from controlplane.model.commands import Argv, template, templates
from controlplane.model.time import Duration
from controlplane.model.units import convert


class Parameters(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*((?:[kMGT]|[KMGT]i)?By)")


def parse_bytes(value: object) -> float:
    """Read `100 GBy` or `1 MiBy`; a bare number has no unit and raises ValueError."""
    match = _BYTES.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size; write a number and a unit, such as 100 GBy or 1 MiBy")
    size = convert(float(match[1]), match[2], "By")
    if not math.isfinite(size):
        raise ValueError(f"{value!r} is too large")
    return size


Bytes = Annotated[
    float,
    BeforeValidator(lambda value: value if isinstance(value, float) else parse_bytes(value)),
    PlainSerializer(lambda size: f"{size:.0f} By", return_type=str),
]
Fraction = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
PriceId = Annotated[str, Field(min_length=1, max_length=200)]


class Step(Parameters):
    """The largest change at once; where both are given the larger one holds (HPA, policy Max)."""

    percent: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] | None = None
    """Of the size before the change."""
    count: Annotated[int, Strict(), Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.percent is None and self.count is None:
            raise ValueError("a step needs percent, count or both, such as {percent: 100, count: 4}")
        return self


class ConsumerLag(Parameters):
    """`consumer_lag`: why a consumer group is behind, and how many consumers, partitions or brokers it takes.

    Reads kafka.consumer.lag, kafka.consumer.offset, kafka.partition.offset, kafka.consumer.members,
    kafka.topic.partitions and, where known, system.cpu.utilization and system.network.utilization of the brokers.
    """

    drain_within: Positive = timedelta(minutes=30)
    """The backlog shall be worked off within this time."""
    lag_threshold: Rate | None = None
    """Messages for each consumer in KEDA's formula; absent = the threshold of the alert."""
    allowed_lag: Annotated[float, Strict(), Field(ge=0)] = 0
    """Lag of a partition that counts as none (Burrow)."""
    window: Annotated[int, Strict(), Field(ge=2, le=1000)] = 10
    """Commits of a partition that are looked at (Burrow: 10)."""
    minimum_complete: Annotated[float, Strict(), Field(ge=0, le=1)] = 0.5
    """Share of the window that must be there before a partition is judged."""
    rate_over: Positive = timedelta(minutes=5)
    """Rates are taken over this time."""
    minimum_history: Positive = timedelta(minutes=2)
    """Least time between the first and last offset of a rate."""
    tolerance: Annotated[float, Strict(), Field(ge=0, lt=1)] = 0.1
    """No change while demand ÷ capacity is within 1 ± this (HPA: 0.1)."""
    stabilise: Duration = timedelta(0)
    """The smallest demand within this time counts (HPA: 0 s upwards)."""
    max_step: Step = Step(percent=100, count=4)
    """Most consumers added at once (Kubernetes: 100 % or 4, whichever is more)."""
    max_partition_step: Step = Step(percent=100)
    """Most partitions added at once (house: twice as many, since they can't be taken away)."""
    minimum: Annotated[int, Strict(), Field(ge=0)] = 1
    maximum: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Limits of the number of consumers; the number of partitions limits it in any case."""
    zones: Annotated[int, Strict(), Field(ge=1)] = 1
    """Zones that the consumers are spread over; their number becomes a multiple of it where partitions allow."""
    consumer_rate: Rate | None = None
    """Documented capacity of one consumer, messages per second; the smaller of it and the measured rate counts."""
    consumer_price: PriceId | None = None
    """Price of one instance that runs consumers."""
    consumers_per_instance: Annotated[int, Strict(), Field(ge=1)] = 1
    consumer_start: Duration = timedelta(minutes=5)
    """Until added consumers work."""
    hot_partition_share: Fraction = 0.8
    """A partition with more than this share of the lag is a matter of keys, not of consumers."""
    broker_role: str = "kafka"
    """Role of the brokers in the inventory; resources of kind broker count too."""
    broker_cpu_limit: Fraction = 0.7
    broker_network_limit: Fraction = 0.8
    """Utilisation above which the brokers are the limit (Cruise Control: CPU 0.7, network 0.8)."""
    broker_rate: Rate | None = None
    """Documented capacity that one broker adds, messages per second."""
    broker_price: PriceId | None = None
    broker_start: Duration = timedelta(hours=1)
    """Until an added broker carries its share."""
    broker_maximum: Annotated[int, Strict(), Field(ge=1)] | None = None
    replication_factor: Annotated[int, Strict(), Field(ge=1)] = 3
    bootstrap_server: str | None = None
    """For the commands; absent = the brokers of the inventory at port 9092."""
    scale_command: Annotated[Argv, template("group", "count")] = (
        "kubectl",
        "scale",
        "deployment/{group}",
        "--replicas={count}",
    )


class StorageGrowth(Parameters):
    """`storage_growth`: how much storage a volume needs so that it stays below a target for a while.

    Reads system.filesystem.usage and system.filesystem.limit (or system.filesystem.utilization for one of them).
    """

    target: Fraction = 0.8
    """Utilisation that is not exceeded before the runway is over."""
    runway: Duration = timedelta(days=30)
    unit: Annotated[Bytes, Field(gt=0)] = 100e9
    """Storage is added in whole multiples of this: a volume step, or the disk of one server."""
    unit_name: str = ""
    """What one unit is called where it is a thing, such as `server`."""
    price: PriceId | None = None
    """Per GB and month (USD/GBy.mo), or per unit in any other unit of price."""
    maximum: Annotated[Bytes, Field(gt=0)] | None = None
    """Largest size of the volume."""
    drop: Fraction = 0.05
    """A fall of the usage by more than this share (a clean-up, a restart) begins a new trend."""
    minimum_history: Positive = timedelta(minutes=30)
    minimum_samples: Annotated[int, Strict(), Field(ge=2)] = 10
    """Least time and number of samples of a trend."""
    replication_factor: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Copies of the data on different hosts."""
    time_to_effect: Duration = timedelta(minutes=30)
    commands: Annotated[
        tuple[Argv, ...], templates("host", "mountpoint", "extra_bytes", "extra_gb", "size_bytes", "size_gb", "units")
    ] = ()
    """Absent = grow the logical volume over ssh."""
    revert: Annotated[
        tuple[Argv, ...], templates("host", "mountpoint", "extra_bytes", "extra_gb", "size_bytes", "size_gb", "units")
    ] = ()


class Placement(Parameters):
    """`placement`: which flows between zones to make local so that the cross-zone ratio is allowed again.

    Reads network.cross_az.throughput (a series for each flow) and network.throughput or network.cross_az.ratio.
    """

    allowed_ratio: Annotated[float, Strict(), Field(ge=0, lt=1)] = 0.05
    price: PriceId | None = None
    """Per GB (USD/GBy), charged on the way out of one zone and on the way into the other."""
    immovable: tuple[str, ...] = ()
    """Flows that cross zones on purpose, such as replication."""
    bytes_per_move: Annotated[Bytes, Field(ge=0)] | None = None
    """Data copied once across zones when a flow is made local; `0 By` where only a role changes."""
    time_to_effect: Duration = timedelta(hours=1)
    move_command: Annotated[Argv, template("cluster", "flow", "source_zone", "destination_zone")] | None = None
    """Run for each flow."""
    revert_command: Annotated[Argv, template("cluster", "flow", "source_zone", "destination_zone")] | None = None


class Primary(Parameters):
    """`primary`: which member of a database cluster takes over from a lost primary, and what is lost.

    Reads postgresql.wal.position, postgresql.replication.lag and postgresql.replication.synchronous.
    """

    role: str | None = None
    """Role of the members in the inventory; absent = every resource of the cluster."""
    ttl: Duration = timedelta(seconds=30)
    """Life of the leader's key (Patroni: 30 s); what was written within it may be lost too."""
    maximum_lag: Annotated[Bytes, Field(ge=0)] = 2.0**20
    """Bytes of WAL that a candidate may be behind (Patroni maximum_lag_on_failover: 1 MiB)."""
    maximum_lag_time: Duration | None = None
    """Replication lag that a candidate may have had when the primary was last seen."""
    reachable_within: Positive = timedelta(minutes=1)
    """A member without a sample for this long doesn't count as reachable."""
    rate_over: Positive = timedelta(minutes=5)
    """The write rate of the primary is taken over this time before its last sample."""
    synchronous_only: bool = False
    """Only a synchronous standby may take over."""
    rto_target: Duration | None = None
    rpo_target: Duration | None = None
    """Documented objectives."""
    time_to_effect: Duration = timedelta(minutes=1)
    """From the command to the first write."""
    commands: Annotated[tuple[Argv, ...], templates("cluster", "candidate", "lost")] = (
        ("patronictl", "list", "--", "{cluster}"),
        ("patronictl", "failover", "--candidate={candidate}", "--", "{cluster}"),
    )
    revert: Annotated[tuple[Argv, ...], templates("cluster", "candidate", "lost")] = (
        ("patronictl", "reinit", "--", "{cluster}", "{lost}"),
        ("patronictl", "switchover", "--leader={candidate}", "--candidate={lost}", "--", "{cluster}"),
    )


class Load(Parameters):
    """A load of instances: a signal with a `host` label, and what it is measured against."""

    signal: Annotated[str, Field(min_length=1)]
    capacity: Literal["cores", "memory_bytes", "disk_bytes", "network_bits_per_second"] | None = None
    """Capacity of the instance in the inventory; absent = the signal is a ratio already."""


class Zone(Parameters):
    """`zone`: how many instances to start in the surviving zones after one is lost.

    Reads the signals of `loads`, instance.up and zone.up.ratio.
    """

    roles: tuple[str, ...] = ()
    """Roles that are replaced; empty = every role of the lost zone."""
    kinds: tuple[Literal["instance", "host", "vm", "container", "broker"], ...] = ("instance",)
    loads: Annotated[tuple[Load, ...], Field(min_length=1)] = (Load(signal="system.cpu.utilization"),)
    """The largest demand of them counts; each role is measured by those that its hosts have."""
    limit: Fraction = 0.667
    """Utilisation of the surviving instances (two thirds, so that the loss of one of three zones is carried)."""
    minimum_known: Fraction = 0.9
    """Share of a role's instances whose load must be known."""
    unit: Annotated[int, Strict(), Field(ge=1)] = 1
    """Instances are started in whole multiples of this, such as a primary with its replicas."""
    units: dict[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    """The same by role, where it differs."""
    maximum: dict[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    """Largest number of instances by role."""
    replication_factor: Annotated[int, Strict(), Field(ge=1)] | None = None
    """Copies of each piece of data, spread evenly over the zones."""
    rto_target: Duration | None = None
    """Documented objective."""
    time_to_effect: Duration = timedelta(minutes=10)
    """Until started instances serve."""
    commands: Annotated[tuple[Argv, ...], templates("role", "zones", "lost", "start", "total", "before")] = (
        (
            "aws",
            "autoscaling",
            "update-auto-scaling-group",
            "--auto-scaling-group-name={role}",
            "--desired-capacity={total}",
            "--availability-zones",
            "{zones}",
        ),
    )
    """Run for each role; `zones` are the surviving ones, one argument each."""
    revert: Annotated[tuple[Argv, ...], templates("role", "zones", "lost", "start", "total", "before")] = (
        (
            "aws",
            "autoscaling",
            "update-auto-scaling-group",
            "--auto-scaling-group-name={role}",
            "--desired-capacity={before}",
            "--availability-zones",
            "{zones}",
            "{lost}",
        ),
    )


ScalingParameters = ConsumerLag | StorageGrowth | Placement
FailoverParameters = Primary | Zone

PARAMETERS: dict[str, type[Parameters]] = {
    "consumer_lag": ConsumerLag,
    "storage_growth": StorageGrowth,
    "placement": Placement,
    "primary": Primary,
    "zone": Zone,
}
"""Method → the model of its parameters."""


def check_parameters(method: str | None, value: Any) -> Any:
    """`value` as the model of the method; pydantic's ValidationError keeps the place of each finding in it.

    An unknown method leaves the value as it is: the error of the method is told already.
    """
    model = PARAMETERS.get(method or "")
    return value if model is None else model.model_validate(value)
