"""Parameters of the method that makes something smaller that has been too large for long."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, Field, Strict, model_validator

from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Fraction, Parameters, Positive, PriceId
from controlplane.model.sizes import Bytes

Part = Literal["cores", "memory", "network", "disk"]
PARTS: tuple[Part, ...] = get_args(Part)


class Use(BaseModel):
    """Where the use of a part is measured: a signal with the label `host`."""

    model_config = Parameters.model_config

    signal: Annotated[str, Field(min_length=1)]
    share: bool = True
    """Whether it is a share of the capacity in the inventory; else it counts cores, By or bit/s."""


_USES: dict[Part, Use] = {
    "cores": Use(signal="system.cpu.utilization"),
    "memory": Use(signal="system.memory.utilization"),
    "network": Use(signal="system.network.utilization"),
}
_LIMITS: dict[Part, float] = {"cores": 0.6, "memory": 0.75, "network": 0.6, "disk": 0.7}
_FILLED = (
    "target", "size", "size_before", "count", "cores", "cores_before", "memory_gb", "memory_gb_before", "memory_gib",
    "memory_gib_before",
)  # fmt: skip


class RightSize(Parameters):
    """`right_size`: the cheapest size that carries the peak of every part with headroom.

    Either `sizes`, priced in the price book with what each holds, or steps of cores and memory. The alert names a
    `group` (a role of the inventory) or a `host`. Reads the signals of `uses` over the last day; the alert's own `for`
    stands for a longer time.
    """

    lookback: ClassVar[timedelta] = timedelta(hours=24)

    kinds: tuple[Literal["instance", "host", "vm", "broker", "database"], ...] = (
        "instance",
        "host",
        "vm",
        "broker",
        "database",
    )
    """Kinds of resources that may be made smaller."""
    sizes: tuple[PriceId, ...] = ()
    """Prices of the sizes that may be taken; `holds` in the price book says what one has."""
    step_cores: Annotated[int, Strict(), Field(ge=1)] | None = None
    step_memory: Annotated[Bytes, Field(gt=0)] | None = None
    """Where cores and memory are locked to a machine one by one: they are given back in whole steps."""
    minimum_cores: Annotated[int, Strict(), Field(ge=1)] = 1
    minimum_memory: Annotated[Bytes, Field(gt=0)] = 2.0**30
    core_price: PriceId | None = None
    memory_price: PriceId | None = None
    """Prices of one core and of one GiB, where steps are billed so."""
    host_price: PriceId | None = None
    """Price of the machine that carries it, with what that holds: what is freed is told as a share of it."""
    uses: dict[Part, Use] = Field(default_factory=lambda: dict(_USES))
    keeps: tuple[Part, ...] = ("disk",)
    """Parts that stay as they are whatever the size, such as attached volumes."""
    limits: dict[Part, Fraction] = Field(default_factory=dict)
    """Most of a part that the peak may use after the change (house: cores 0.6, memory 0.75, network 0.6, disk 0.7);
    at or below the trigger that would make it larger again."""
    moves: tuple[Part, ...] = ("cores", "network")
    """Parts whose use goes to the others when one is lost; what they hold copies of already isn't one of them."""
    quorum: Annotated[int, Strict(), Field(ge=0)] = 1
    """Members that have to serve while one restarts; 0 where a short outage is taken."""
    minimum_history: Positive = timedelta(hours=20)
    """Least time for which the use of every part has to be known."""
    minimum_known: Fraction = 0.9
    """Share of that time, in stretches of 5 minutes, that has samples."""
    restart: Positive = timedelta(minutes=10)
    """Until one serves again with its new size."""
    commands: Annotated[tuple[Argv, ...], templates(*_FILLED)] = ()
    revert: Annotated[tuple[Argv, ...], templates(*_FILLED)] = ()
    """Absent = a remark of what is to be done by hand."""

    @model_validator(mode="after")
    def _ways(self) -> Self:
        steps = self.step_cores is not None or self.step_memory is not None
        if bool(self.sizes) == steps:
            raise ValueError("name either sizes (prices of the sizes that may be taken) or step_cores and step_memory")
        unknown = [part for part in PARTS if part not in self.uses and part not in self.keeps]
        if unknown:
            raise ValueError(f"say where the use of {unknown[0]} is measured (uses), or that it stays as it is (keeps)")
        if self.minimum_history > self.lookback:
            raise ValueError("minimum_history is at most 24h: samples are looked at for a day")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that a size has to carry."""
        return tuple(part for part in PARTS if part not in self.keeps)

    def limit(self, part: Part) -> float:
        """Most of a part that the peak may use."""
        return self.limits.get(part, _LIMITS[part])

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return tuple(self.uses[part].signal for part in self.parts)
