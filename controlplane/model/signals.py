"""Signals: what is measured, in which unit, and where it comes from: a query, a collector or other signals."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from controlplane.model.base import Duration, LabelName, Model, SignalName
from controlplane.model.takeover import Takeover, TakeoverSignals
from controlplane.model.units import check_unit

Names = Annotated[tuple[SignalName, ...], Field(min_length=1)]
Length = Annotated[Duration, Field(gt=timedelta(0))]
Span = tuple[timedelta, timedelta]
"""A stretch before a step: how long before it begins and ends."""


class Utilization(Model):
    """Measured load as a share of what the inventory says that the resource can carry.

    Each signal in `of` is summed by the label `by`, whose value is the id of a resource; its limit is
    `limits[<signal>]` of that resource, else its capacity. Series: `by` and `limit` (the name of the signal).
    """

    method: Literal["utilization"]
    of: Names
    by: LabelName

    @field_validator("by")
    @classmethod
    def _apart(cls, by: str) -> str:
        if by == "limit":
            raise ValueError(
                "limit is the label that names the signal; name the label that holds the id of the resource"
            )
        return by


class TimeToLimit(Model):
    """Seconds until `of` reaches the signal `limit` of the same labels, by least squares over `over`.

    +Inf where it doesn't grow, 0 where it is there already; no sample before half of `over` is measured.
    """

    method: Literal["time_to_limit"]
    of: SignalName
    limit: SignalName
    over: Length = timedelta(hours=1)


class BurnRate(Model):
    """How many times faster than allowed the error budget is used; the smaller of two windows.

    `of` is the share of what went well (1 = all). (1 - mean over the window) / (1 - objective), as the Google SRE
    workbook has it: a long window so that it matters, a short one so that it ends when the trouble ends. No sample
    before half of a window is measured.
    """

    method: Literal["burn_rate"]
    of: SignalName
    objective: Annotated[float, Strict(), Field(gt=0, lt=1, allow_inf_nan=False)]
    windows: tuple[Length, Length]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.windows[0] <= self.windows[1]:
            raise ValueError("windows are the long one and then the short one, such as [1h, 5m]")
        return self


class BaselineRatio(Model):
    """`of` now (mean over `over`) by what it was `before` ago (mean over the same length); no sample without both."""

    method: Literal["baseline_ratio"]
    of: SignalName
    before: Length = timedelta(days=7)
    over: Length = timedelta(minutes=10)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.before < self.over:
            raise ValueError("before is shorter than over, so now would be compared with itself")
        return self


class ExpectedLoad(Model):
    """`of` summed by the label `by`, left out where it was below `at_least` `before` ago: for floors.

    A floor is meant for hours in which there is load to expect. Where nothing is known of then, it counts as expected.
    Series: `by`.
    """

    method: Literal["expected_load"]
    of: SignalName
    by: LabelName
    at_least: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
    before: Length = timedelta(days=7)
    over: Length = timedelta(minutes=10)


class LagState(Model):
    """Burrow's status of a consumer group, that of its worst partition: 1 OK, 2 WARN, 4 STOP, 5 STALL, 6 REWIND.

    Reads `of` (lag), `offset` (committed) and `end` (log end) by consumer_group, topic and partition; the last
    `window` samples count. No row where the lag of no partition is known in them. Series: consumer_group.
    Source: Burrow, evaluator/caching.go.
    """

    method: Literal["lag_status"]
    of: SignalName = "kafka.consumer.lag"
    offset: SignalName = "kafka.consumer.offset"
    end: SignalName = "kafka.partition.offset"
    window: Annotated[int, Strict(), Field(ge=2, le=1000)] = 10


class TimeToDrain(Model):
    """Seconds until the lag of a consumer group is gone, by least squares over `over`; +Inf where it doesn't fall.

    Reads `of` summed by consumer_group; 0 where there is no lag. Series: consumer_group.
    """

    method: Literal["time_to_drain"]
    of: SignalName = "kafka.consumer.lag"
    over: Length = timedelta(minutes=10)


class SurvivorLoad(Model):
    """Load of all members of a role as a share of what those outside one cell can carry: if that cell died now.

    The members are the resources of `roles` (default: every role) that stand in a `cell`. Each signal in `of` is summed
    by the label `by`, whose value is the id of a member, and is measured as for `Utilization`; a share of a member
    (`*.utilization`) is weighed by its size. The largest of the signals counts. No sample while a member isn't
    measured, nor while a whole cell is down by `up` (1 = it answers): then the reserve is in use. +Inf where nobody is
    elsewhere. Series: the name of the cell (`zone`, `region`, `host` or `cluster`) and `role`.
    """

    method: Literal["survivor_load"]
    of: Names
    by: LabelName = "host"
    cell: Literal["zone", "region", "host", "cluster"]
    roles: tuple[str, ...] = ()
    up: SignalName | None = None


class Absent(Model):
    """1 where a source answered for a signal and had no series of it, else 0. Series: signal."""

    method: Literal["absent"]
    of: Names


Derivation = Annotated[
    Utilization
    | TimeToLimit
    | BurnRate
    | BaselineRatio
    | ExpectedLoad
    | LagState
    | TimeToDrain
    | SurvivorLoad
    | Absent
    | TakeoverSignals,
    Field(discriminator="method"),
]


class Signal(Model):
    """A quantity: its name, unit, and where it comes from: Prometheus (a PromQL expression) or other signals."""

    name: SignalName
    unit: str
    description: str = ""
    prometheus: str | None = None
    exporter: str | None = None
    """What exposes the metrics of the query, such as node_exporter."""
    labels: dict[str, LabelName] = Field(default_factory=dict)
    """Label names of the source → label names of the signal; other labels are kept as they are."""
    derive: Derivation | None = None

    @field_validator("unit")
    @classmethod
    def _unit(cls, unit: str) -> str:
        return check_unit(unit)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.derive is not None and (self.prometheus is not None or self.labels):
            raise ValueError("a derived signal has no query of its own: remove prometheus and labels, or derive")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The signals that it is derived from; none where it is measured."""
        match self.derive:
            case None:
                return ()
            case Utilization() | Absent() as derive:
                return derive.of
            case SurvivorLoad() as derive:
                return derive.of if derive.up is None else (*derive.of, derive.up)
            case TimeToLimit() as derive:
                return (derive.of, derive.limit)
            case LagState() as derive:
                return (derive.of, derive.offset, derive.end)
            case Takeover() as derive:
                return derive.inputs
            case derive:
                return (derive.of,)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What of its inputs before a step a derived signal needs."""
        now = timedelta(0)
        match self.derive:
            case TimeToLimit() | TimeToDrain() as derive:
                return ((derive.over, now),)
            case BurnRate() as derive:
                return ((derive.windows[0], now),)
            case BaselineRatio() | ExpectedLoad() as derive:
                return ((derive.before + derive.over, derive.before), (derive.over, now))
            case LagState():
                return ((timedelta(hours=1), now),)
            case SurvivorLoad():
                return ((timedelta(minutes=5), now),)
            case Takeover() as derive:
                return derive.spans
            case _:
                return ()
