"""Parameters of the method that plans purchases for a store that grows by a share of itself."""

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Fraction, Parameters, Positive, PriceId
from controlplane.model.sizes import Bytes

Count = Annotated[int, Strict(), Field(ge=1, le=10_000)]
StoreCommands = Annotated[tuple[Argv, ...], templates("store", "units")]


class Erasure(Parameters):
    """Erasure coding: of `data` + `parity` parts the data ones are usable, and as many as `parity` may be lost."""

    data: Annotated[int, Strict(), Field(ge=1, le=64)]
    parity: Annotated[int, Strict(), Field(ge=0, le=64)]


class GrowthPlan(Parameters):
    """`growth_plan`: when a store is full at compound growth, and what to order when, quarter by quarter.

    Reads `usage` and `limit`, both in usable bytes.
    """

    lookback: ClassVar[timedelta] = timedelta(days=7)

    label: Annotated[str, Field(min_length=1)] = "cluster"
    """Label of the alert and of the series that names the store."""
    usage: Annotated[str, Field(min_length=1)]
    limit: Annotated[str, Field(min_length=1)]
    growth: Annotated[float, Strict(), Field(ge=0, le=10, allow_inf_nan=False)] | None = None
    """Documented growth in a quarter as a share of what is there; the faster of it and the measured one counts."""
    target: Fraction = 0.8
    """Utilisation that is not exceeded."""
    horizon: Annotated[int, Strict(), Field(ge=1, le=40)] = 12
    """Quarters that are planned."""
    lead_time: Duration = timedelta(days=90)
    """From the order until what was bought serves."""
    unit: Annotated[Bytes, Field(gt=0)] = 100e12
    """Raw bytes of what is bought at least."""
    unit_name: Annotated[str, Field(min_length=1, max_length=60)] = "unit"
    multiple: Count = 1
    """Units are bought in whole multiples of this, such as the nodes of a pool."""
    erasure: Erasure | None = None
    replication_factor: Annotated[int, Strict(), Field(ge=1, le=16)] = 1
    """Copies of the data, each with its erasure coding."""
    planned: Annotated[Bytes, Field(gt=0)] | None = None
    """Usable bytes at which the document's own plan ends; what goes beyond is told."""
    price: PriceId | None = None
    """Of one unit."""
    rent: PriceId | None = None
    """Per GB and month of renting the same, for the payback."""
    drop: Fraction = 0.05
    """A fall of the usage by more than this share begins a new trend."""
    minimum_history: Positive = timedelta(hours=12)
    """Least time of a measured trend."""
    before: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] = ()
    """What has to be true before what was delivered is added."""
    commands: StoreCommands = ()
    """Add what was delivered to the store."""
    inspect_commands: StoreCommands = ()
    """Show what there is and what is used."""
    revert: StoreCommands = ()

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return (self.usage, self.limit)

    @property
    def usable(self) -> float:
        """Usable share of raw bytes."""
        parts = self.erasure
        coded = 1.0 if parts is None else parts.data / (parts.data + parts.parity)
        return coded / self.replication_factor
