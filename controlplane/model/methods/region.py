"""Parameters of the method that moves a platform out of a lost region."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, Strict, model_validator

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Parameters, PriceId
from controlplane.model.methods.reserve import Lag

Commands = Annotated[tuple[Argv, ...], templates("lost", "target", "candidate")]
TierCommands = Annotated[tuple[Argv, ...], templates("lost", "target", "tier", "start", "total")]


class Measured(BaseModel):
    """The sum of a signal's series, and of which."""

    model_config = Parameters.model_config

    signal: Annotated[str, Field(min_length=1)]
    where: dict[str, str] = Field(default_factory=dict)
    """Only series with exactly these labels."""
    copies: Annotated[int, Strict(), Field(ge=1)] = 1
    """How often each piece is in the sum."""


class Target(BaseModel):
    """A region that can take over."""

    model_config = Parameters.model_config

    region: Annotated[str, Field(min_length=1)]
    mode: Literal["automatic", "manual"]
    candidate: str = ""
    """The member of the database that is promoted there."""
    lag: Lag | None = None
    """How far behind it is; absent = what would be lost isn't known."""
    duration: Lag | None = None
    """How long the last failover there took."""
    takes: Duration | None = None
    """How long it takes where none was measured; absent = not known."""
    rto_target: Duration | None = None
    rpo_target: Duration | None = None
    """Documented objectives."""


class Tier(BaseModel):
    """Instances that a region needs, counted in the inventory."""

    model_config = Parameters.model_config

    name: Annotated[str, Field(min_length=1)]
    """The role of the instances in the inventory."""
    setting: str | None = None
    """The setting of the region that holds their number; absent = its resources with that role are counted."""
    price: PriceId | None = None
    """Of one priced thing."""
    per: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] = 1.0
    """Instances for each priced thing."""


class Region(Parameters):
    """`region`: which region takes over from a lost one, in which steps, and what is lost.

    Reads the signals of `up`, `load`, `copy` and of each target.
    """

    home: Annotated[str, Field(min_length=1)]
    """The region that serves in normal times."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """Those that can take over, the preferred one first."""
    up: str = "region.up"
    """1 while a region (label `region`) answers."""
    load: Measured | None = None
    """What the home region carries; its `limits` in the inventory say what it can."""
    tiers: tuple[Tier, ...] = ()
    copy_back: Measured | None = None
    """Bytes that are copied when the home region is back."""
    traffic_price: PriceId | None = None
    """Of a GB between the regions."""
    start: Duration = timedelta(minutes=10)
    """Until started instances serve."""
    read: Commands = ()
    """Reads how far behind the target is; as all commands: what the pack's platform is run with."""
    fence: Commands = ()
    """Keeps the lost region from taking writes."""
    promote: Commands = ()
    scale: TierCommands = ()
    """Run for each tier of which instances are missing."""
    route: Commands = ()
    """Leads clients to the target."""
    verify: Commands = ()
    revert: Commands = ()

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        names = [target.region for target in self.targets]
        if self.home in names:
            raise ValueError(f"{self.home} can't take over from itself; name other regions under targets")
        if len(set(names)) < len(names):
            raise ValueError("targets names a region twice")
        if not any((self.read, self.fence, self.promote, self.route, self.verify)):
            raise ValueError("name the commands of at least one of read, fence, promote, route and verify")
        return self

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        of_targets = (one.signal for target in self.targets for one in (target.lag, target.duration) if one)
        measured = (one.signal for one in (self.load, self.copy_back) if one)
        return tuple(dict.fromkeys((self.up, *measured, *of_targets)))
