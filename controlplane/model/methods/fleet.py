"""Parameters of `fleet`: how many members a group of equal instances needs."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, Strict, field_validator, model_validator

from controlplane.model.base import Duration, LabelName, SignalName
from controlplane.model.commands import Argv, template, templates
from controlplane.model.methods.base import Fraction, Parameters, Positive, PriceId, Rate, Step
from controlplane.model.units import check_unit

Count = Annotated[int, Strict(), Field(ge=1)]
Tolerance = Annotated[float, Strict(), Field(ge=0, lt=1)]
Percent = Annotated[float, Strict(), Field(gt=0, le=1000, allow_inf_nan=False)]
Window = Annotated[Duration, Field(le=timedelta(hours=6))]

_STALE = timedelta(minutes=5)
_PLACEHOLDER = re.compile(r"\{fleet\}|\{zone\}|\{number\}")
_FIELDS = ("fleet", "role", "before", "total", "change", "zones", "lost")


class Measure(BaseModel):
    """A signal of the fleet, averaged or added up over its members."""

    model_config = Parameters.model_config

    signal: SignalName
    where: dict[LabelName, str] = Field(default_factory=dict)
    """Only series with exactly these label values."""
    match: tuple[LabelName, ...] = ()
    """Only series whose labels of these names have the alert's values."""
    each: bool = True
    """Whether every member has series of its own; false = the signal is the load of the fleet as a whole."""
    full: Rate | None = None
    """What one member carries at most, in the signal's unit; given, the load moves on when a member or zone is lost."""
    unit: Annotated[str, AfterValidator(check_unit)] = "1"
    """Of the signal, for what is told."""

    @property
    def carries(self) -> float | None:
        """What one member carries at most; None = not stated, or its load doesn't move."""
        return self.full


class Ratio(Measure):
    """Target tracking as the HPA does it: ceil(mean ÷ target × members)."""

    form: Literal["ratio"]
    target: Rate
    """Mean of a member that is aimed at."""
    tolerance: Tolerance = 0.1
    """No change while mean ÷ target is within 1 ± this (HPA: 0.1)."""

    @property
    def goal(self) -> float:
        """What a member shall carry."""
        return self.target


class Capacity(Measure):
    """Load in absolute units ÷ what one member may carry."""

    form: Literal["capacity"]
    capacity: Rate
    """What one member carries."""
    share: Fraction = 0.8
    """Share of it that may be used."""
    tolerance: Tolerance = 0.0
    """No change while load ÷ allowed load is within 1 ± this; none by default, since the share is the reserve."""

    @property
    def goal(self) -> float:
        """What a member shall carry."""
        return self.capacity * self.share

    @property
    def carries(self) -> float:
        """What one member carries at most."""
        return self.full or self.capacity


class StepRow(Measure):
    """One row of a step table: while the mean has been beyond a limit for some time, a percentage more or less."""

    form: Literal["step"]
    above: Rate | None = None
    below: Rate | None = None
    """Exactly one of the two: above adds members, below takes members away."""
    for_: Window = Field(default=timedelta(0), alias="for")
    """How long the mean has to have been beyond."""
    percent: Percent
    """Of the size; what was added within the cooldown counts toward it."""
    cooldown: Duration = timedelta(minutes=5)
    """Time after a change before this row asks for another."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("a row of a step table has either above or below, such as above: 0.7")
        if self.below is not None and self.percent >= 100:
            raise ValueError("a row with below can't take away all members; write a percent below 100")
        return self

    @property
    def goal(self) -> float:
        """The limit, whichever way."""
        return self.above if self.above is not None else self.below or 0.0


Metric = Annotated[Ratio | Capacity | StepRow, Field(discriminator="form")]
Absolute = Ratio | Capacity
"""Forms that name a size by themselves; they are stabilised."""


def _group(argument: str) -> tuple[Argv, ...]:
    name = "--auto-scaling-group-name={fleet}"
    return (("aws", "autoscaling", "set-desired-capacity", name, f"--desired-capacity={argument}"),)


class Direction(Parameters):
    """How fast the fleet may grow or shrink, and the commands for it."""

    stabilise: Window
    step: Step
    """The largest change within `period`; of percent and count the larger change holds."""
    period: Duration = timedelta(minutes=5)
    cooldown: Duration
    """Time after a change in this direction in which nothing is taken away; step rows have their own."""
    before: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] = ()
    """What has to be true before the commands are run."""
    commands: Annotated[tuple[Argv, ...], templates(*_FIELDS)] = _group("{total}")
    """`zones` are those that aren't lost; sizes count the lost ones too where a command doesn't give `zones` alone."""
    revert: Annotated[tuple[Argv, ...], templates(*_FIELDS)] = _group("{before}")


class Growth(Direction):
    """Growing: by default at once, up to twice the size or 4 members (HPA, but for the period)."""

    stabilise: Window = timedelta(0)
    """The smallest number that was asked for within this time counts."""
    step: Step = Step(percent=100, count=4)
    cooldown: Duration = timedelta(0)


class Shrinking(Direction):
    """Shrinking: by default what was not needed for 5 minutes (HPA), and a tenth at once every 15 (house)."""

    stabilise: Window = timedelta(minutes=5)
    """The largest number that was asked for within this time counts."""
    step: Step = Step(percent=10, count=1)
    cooldown: Duration = timedelta(minutes=15)


class Counted(Parameters):
    """Where the number of members stands when they aren't resources of their own."""

    setting: str | None = None
    """Added up over the resources of the role, such as service.instance.count/sms."""
    signal: SignalName | None = None
    """Newest value, added up over its series."""
    where: dict[LabelName, str] = Field(default_factory=dict)
    """Only series of the signal with exactly these label values."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.setting is None) == (self.signal is None):
            raise ValueError("members are counted by either setting or signal")
        return self


class Addresses(Parameters):
    """How many addresses are free where members start."""

    signal: SignalName
    """Addresses in use."""
    label: LabelName = "network"
    """Its label that names the network."""
    network: str
    """Resource of the inventory with the number of addresses: its limit of the signal."""
    reserved: Annotated[int, Strict(), Field(ge=0)] = 0
    """Addresses that can't be given away."""


class PlacementGroups(Parameters):
    """Placement groups that members start in, one or more in each zone."""

    largest: Count = 500
    """Instances in one of them."""
    name: str = "{fleet}-{zone}-{number}"
    """What they are called; `number` counts from 1 in each zone."""
    command: Annotated[Argv, template("group", "zone")] = (
        "aws",
        "ec2",
        "create-placement-group",
        "--group-name={group}",
        "--strategy=cluster",
    )
    """Makes one that the inventory doesn't have."""

    @field_validator("name")
    @classmethod
    def _fields(cls, name: str) -> str:
        if "{zone}" not in name or "{number}" not in name:
            raise ValueError("a name needs {zone} and {number}, or two groups would be one")
        return name

    def named(self, fleet: str, zone: str, number: int) -> str:
        """The name of the group with that number."""
        values = {"{fleet}": fleet, "{zone}": zone, "{number}": str(number)}
        return _PLACEHOLDER.sub(lambda found: values[found[0]], self.name)


class Extra(Parameters):
    """What one member costs besides itself, such as its volumes."""

    price: PriceId
    quantity: Rate
    """In the unit of the price."""


class Vertical(Parameters):
    """Another type of member that could take the place of the present one."""

    name: str
    price: PriceId | None = None
    times: Rate
    """How many times the present capacity it has."""
    because: str = ""
    """Why it isn't what is advised."""


class Alternative(Parameters):
    """Another policy that was considered; its number is shown next to the one that is advised."""

    name: str
    because: Annotated[str, Field(min_length=1)]
    """Why it isn't followed."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]


class Fleet(Parameters):
    """`fleet`: how many members a group needs; of several metrics the largest number counts.

    Reads the signals of the metrics, `up`, `zone_up`, and those that count members and addresses.
    """

    label: LabelName = "group"
    """Label of the alert that names the fleet."""
    name: str | None = None
    """Its name where the alert has no such label."""
    roles: dict[str, str] = Field(default_factory=dict)
    """Fleet → role of its members in the inventory, where that isn't the name of the fleet."""
    kinds: tuple[Literal["instance", "host", "vm", "container", "broker", "service", "database"], ...] = ("instance",)
    by: LabelName = "host"
    """Label of the series that names a member: its id, or its host where it is alone there."""
    noun: str = "instance"
    """What a member is called."""
    counted: Counted | None = None
    """Where the number of members stands; absent = resources of the role and kinds."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
    scale_out: Growth = Growth()
    scale_in: Shrinking | None = Shrinking()
    """null = nothing is ever taken away."""
    minimum: Count = 1
    maximum: Count | None = None
    replication_factor: Count | None = None
    """Copies of each piece of data; there are never fewer members."""
    quorum: Count | None = None
    """Members that a decision takes; there are never fewer."""
    unit: Count = 1
    """Members come in whole multiples of this, such as a primary with its replicas."""
    unit_name: str = ""
    """What such a multiple is called."""
    zone_loss: Fraction = 0.667
    """Utilisation of the metrics with `full` after members are taken away, so that the loss of a zone is carried."""
    up: SignalName | None = "instance.up"
    """1 while a member answers; null = not measured."""
    zone_up: SignalName | None = "zone.up.ratio"
    """Share of a zone that answers; 0 = lost."""
    placement_groups: PlacementGroups | None = None
    addresses: Addresses | None = None
    price: PriceId | None = None
    """Of one member; absent = the price that its resources have in common."""
    extras: tuple[Extra, ...] = ()
    vertical: tuple[Vertical, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    inspect: Annotated[Argv, template("fleet", "role")] = (
        "aws",
        "autoscaling",
        "describe-auto-scaling-groups",
        "--auto-scaling-group-names={fleet}",
    )
    """Shows the fleet where it can't be changed."""
    time_to_effect: Positive = timedelta(minutes=10)
    """Until added members serve."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.maximum is not None and self.maximum // self.unit * self.unit < self.floor:
            raise ValueError(f"no whole number of units of {self.unit} is between {self.floor} and {self.maximum}")
        shrinking = [metric for metric in self.metrics if isinstance(metric, StepRow) and metric.below is not None]
        if shrinking and self.scale_in is None:
            raise ValueError("a row with below needs scale_in, which is null")
        return self

    @property
    def floor(self) -> int:
        """Fewest members, in whole units."""
        return -(-max(self.minimum, self.replication_factor or 1, self.quorum or 1) // self.unit) * self.unit

    @property
    def lookback(self) -> timedelta:  # type: ignore[override]  # computed, where others are told it
        """The longest window of its metrics, and five minutes for the sample that held at its beginning."""
        windows = [metric.for_ for metric in self.metrics if isinstance(metric, StepRow)]
        windows += [direction.stabilise for direction in (self.scale_out, self.scale_in) if direction]
        return max(windows) + 2 * _STALE

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        metrics = [*self.metrics, *(metric for other in self.alternatives for metric in other.metrics)]
        signals = [*(metric.signal for metric in metrics), self.up, self.zone_up]
        signals += [self.counted.signal if self.counted else None, self.addresses.signal if self.addresses else None]
        return tuple(dict.fromkeys(signal for signal in signals if signal))
