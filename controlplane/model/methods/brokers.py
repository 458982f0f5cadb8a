"""Parameters of the method that sizes the brokers of a Kafka cluster."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, Strict, model_validator

from controlplane.model.base import Duration
from controlplane.model.methods.base import Parameters, PriceId, Rate, Step
from controlplane.model.methods.member_load import DISK, MemberLoad
from controlplane.model.sizes import Bytes


class Brokers(Parameters):
    """`brokers`: how many brokers a Kafka cluster takes, by the formula of Cruise Control.

    Reads the signals of `loads`, kafka.partition.offset, kafka.topic.partitions, kafka.partition.replicas,
    kafka.partition.replicas_in_sync and system.filesystem.usage. Brokers are taken away only for an alert whose
    condition is that something is low (`<`).
    """

    role: str = "kafka"
    """Role of the brokers in the inventory; resources of kind broker count too."""
    cluster: str | None = None
    """Cluster of the brokers in the inventory, where neither the alert nor the inventory tells which one it is."""
    loads: Annotated[tuple[MemberLoad, ...], Field(min_length=1)] = (
        MemberLoad(signal="system.cpu.utilization", limit=0.7),
        MemberLoad(signal="system.network.utilization", limit=0.8),
        MemberLoad(signal=DISK, limit=0.8),
    )
    """The one that takes most brokers decides (Cruise Control: CPU 0.7, network and disk 0.8)."""
    replication_factor: Annotated[int, Strict(), Field(ge=1)] = 3
    """Largest one of any topic; where kafka.partition.replicas has a larger one, that counts."""
    min_insync: Annotated[int, Strict(), Field(ge=1)] = 2
    """min.insync.replicas: with fewer replicas in sync nothing can be written."""
    quorum: Annotated[int, Strict(), Field(ge=1)] = 3
    """Brokers that the controllers' quorum takes; none of them is taken away."""
    minimum: Annotated[int, Strict(), Field(ge=3)] = 3
    maximum: Annotated[int, Strict(), Field(ge=1)] | None = None
    max_step: Step = Step(percent=100)
    """Most brokers added at once (house: twice as many)."""
    max_removal: Step = Step(count=1)
    """Most brokers taken away at once (house: one, since all of its data moves)."""
    stabilise_removal: Annotated[Duration, Field(le=timedelta(hours=6))] = timedelta(hours=6)
    """The largest load within this time counts before a broker is taken away."""
    cooldown: Duration = timedelta(days=1)
    """No broker is taken away for so long after the cluster was changed (house)."""
    rate: Rate | None = None
    """Documented capacity that one broker adds, messages per second: for the gain that is told."""
    price: PriceId | None = None
    """Absent = the price that most of the brokers have in the inventory."""
    start: Duration = timedelta(hours=1)
    """Until an added broker runs; moving partitions comes on top."""
    throttle: Annotated[Bytes, Field(gt=0)] = 50e6
    """Bytes a second that a broker may copy while partitions are moved (house)."""
    bootstrap_server: str | None = None
    """For the commands; absent = the brokers of the inventory at port 9092."""

    @model_validator(mode="after")
    def _writable(self) -> "Brokers":
        if self.min_insync > self.replication_factor:
            raise ValueError(
                f"min_insync {self.min_insync} is more than replication_factor {self.replication_factor}: "
                "no write would ever be acknowledged"
            )
        return self

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        kafka = ("partition.offset", "topic.partitions", "partition.replicas", "partition.replicas_in_sync")
        loads = dict.fromkeys(load.signal for load in self.loads)
        return (*loads, *(f"kafka.{name}" for name in kafka), "system.filesystem.usage")
