"""Parameters of the methods that size what an alert is about."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, template, templates
from controlplane.model.methods.base import Fraction, Parameters, Positive, PriceId, Rate, Step
from controlplane.model.methods.brokers import Brokers
from controlplane.model.methods.member_load import DISK, MemberLoad
from controlplane.model.sizes import Bytes


class ConsumerLag(Parameters):
    """`consumer_lag`: why a consumer group is behind, and how many consumers, partitions or brokers it takes.

    Reads kafka.consumer.lag, kafka.consumer.offset, kafka.partition.offset, kafka.consumer.members,
    kafka.topic.partitions and, where known, what the method `brokers` reads of the brokers.
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
    broker_disk_limit: Fraction = 0.8
    """Utilisation above which the brokers are the limit (Cruise Control: CPU 0.7, network and disk 0.8)."""
    broker_mountpoint: str | None = None
    """File system of the log directories, such as /data; absent = the fullest one of a broker counts."""
    broker_rate: Rate | None = None
    """Documented capacity that one broker adds, messages per second."""
    broker_price: PriceId | None = None
    broker_start: Duration = timedelta(hours=1)
    """Until an added broker carries its share."""
    broker_maximum: Annotated[int, Strict(), Field(ge=1)] | None = None
    replication_factor: Annotated[int, Strict(), Field(ge=1)] = 3
    min_insync: Annotated[int, Strict(), Field(ge=1)] = 2
    bootstrap_server: str | None = None
    """For the commands; absent = the brokers of the inventory at port 9092."""
    scale_command: Annotated[Argv, template("group", "count")] = (
        "kubectl",
        "scale",
        "deployment/{group}",
        "--replicas={count}",
    )

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        own = ("kafka.consumer.lag", "kafka.consumer.offset", "kafka.consumer.members")
        return (*own, *self.brokers().reads())

    def brokers(self) -> Brokers:
        """The brokers' side of the question, as the method `brokers` takes it."""
        where = {} if self.broker_mountpoint is None else {"mountpoint": self.broker_mountpoint}
        return Brokers(
            role=self.broker_role,
            loads=(
                MemberLoad(signal="system.cpu.utilization", limit=self.broker_cpu_limit),
                MemberLoad(signal="system.network.utilization", limit=self.broker_network_limit),
                MemberLoad(signal=DISK, limit=self.broker_disk_limit, where=where),
            ),
            replication_factor=self.replication_factor,
            min_insync=min(self.min_insync, self.replication_factor),
            maximum=self.broker_maximum,
            rate=self.broker_rate,
            price=self.broker_price,
            start=self.broker_start,
            bootstrap_server=self.bootstrap_server,
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

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return ("system.filesystem.usage", "system.filesystem.limit", "system.filesystem.utilization")


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

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return ("network.cross_az.throughput", "network.throughput", "network.cross_az.ratio")
