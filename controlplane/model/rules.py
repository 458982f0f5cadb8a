"""Rules and signals as a pack declares them in `alert_rules/<platform>/<component>.yaml`."""

import re
import string
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from controlplane.model.base import LABEL, ConditionField, Duration, LabelName, Model, RuleId, SignalName, matches
from controlplane.model.methods import (
    FailoverMethod,
    FailoverParameters,
    ScalingMethod,
    ScalingParameters,
    check_parameters,
)
from controlplane.model.severity import Severity
from controlplane.model.signals import Signal
from controlplane.model.time import parse_duration


class Basis(StrEnum):
    """Where a figure comes from: the cited document, or this house with a rationale."""

    DOCUMENTED = "documented"
    HOUSE = "house"


class Missing(Model):
    """What a rule does when a series it knew is gone while its source answers.

    `resolve` lets the alert end (Prometheus), `keep` holds its state for `keep_for`, `alert` raises a no-data alert.
    """

    policy: Literal["resolve", "keep", "alert"] = "resolve"
    keep_for: Duration = timedelta(0)

    @classmethod
    def parse(cls, value: object) -> "Missing":
        """Read `resolve`, `alert` or `{keep: 10m}`."""
        if isinstance(value, Missing):
            return value
        if value in ("resolve", "alert"):
            return cls(policy=value)
        if isinstance(value, dict) and set(value) == {"keep"}:
            return cls(policy="keep", keep_for=parse_duration(value["keep"]))
        if isinstance(value, dict) and "policy" in value:
            return cls(**value)
        raise ValueError(f"{value!r} is not a missing-data policy; write resolve, alert or {{keep: 10m}}")


class Source(Model):
    """Where in which document a figure stands, word for word."""

    document: str = Field(min_length=1)
    section: str = Field(min_length=1)
    quote: str = Field(min_length=1)


class RuleBase(Model):
    """What every kind of rule says about itself."""

    id: RuleId
    title: str = Field(min_length=1, max_length=120)
    runbook: RuleId | None = None
    covers: tuple[str, ...] = ()
    basis: Basis
    source: Source | None = None
    rationale: str | None = None
    """Why the figures that no document gives were chosen."""

    @model_validator(mode="after")
    def _cited(self) -> Self:
        if self.basis is Basis.DOCUMENTED and self.source is None:
            raise ValueError("a documented rule needs its source: document, section and quote")
        if self.basis is Basis.HOUSE and not self.rationale:
            raise ValueError("a house rule needs a rationale")
        return self


class AlertRule(RuleBase):
    """Raises an alert per label set while a folded signal meets a condition for long enough."""

    kind: Literal["alert"]
    signal: SignalName
    where: dict[LabelName, str] = Field(default_factory=dict)
    """Only series with these exact label values."""
    by: tuple[LabelName, ...] | None = None
    """Labels that identify an alert; absent = every label of the series, without folding."""
    fold: Literal["sum", "max", "min", "avg", "count"] | None = None
    when: ConditionField
    clear: ConditionField | None = None
    for_: Duration = Field(default=timedelta(0), alias="for")
    keep_firing_for: Duration = timedelta(0)
    missing: Annotated[Missing, BeforeValidator(Missing.parse)] = Missing()
    severity: Severity
    summary: str = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.by is None) != (self.fold is None):
            raise ValueError("by and fold go together: name the labels to keep and how to fold over the others")
        if self.by is not None and len(set(self.by)) != len(self.by):
            raise ValueError("by names a label twice")
        check_summary(self.summary, self.by)
        return self


_SUMMARY_FIELDS = {"value", "threshold"}
DURATION = "duration"
"""Format of a time for people, such as `3d 4h`; the signal's unit is one of time."""


def check_summary(template: str, by: tuple[str, ...] | None) -> None:
    """ValueError where a summary uses anything but `{label}`, `{value:format}` and `{threshold:format}`."""
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"summary: {error}; write {{{{ for a literal brace") from None
    for _, name, spec, conversion in fields:
        if name is None:
            continue
        if not LABEL.fullmatch(name) or conversion or name.startswith(("value.", "threshold.")):
            field = f"{name}!{conversion}" if conversion else name
            raise ValueError(f"summary: {{{field}}} is not a label, value or threshold")
        if name in _SUMMARY_FIELDS:
            if spec and "{" in spec:
                raise ValueError("summary: a format can't be nested")
            if spec == DURATION:
                continue
            try:
                format(1.0, spec or "")
            except ValueError:
                raise ValueError(f"summary: {spec!r} is no format of a number (,.0f or .1%) or duration") from None
        elif spec:
            raise ValueError(f"summary: only value and threshold take a format, not {name}")
        elif by is not None and name not in by:
            raise ValueError(f"summary: {{{name}}} is not among the labels in by: {', '.join(by) or 'none'}")


class ScalingRule(RuleBase):
    """Sizes what an alert is about: a named method with its parameters, run while one of `on` fires."""

    kind: Literal["scaling"]
    on: tuple[RuleId, ...] = Field(min_length=1)
    """Alert rules of the same platform whose firing alerts are sized."""
    where: dict[LabelName, str] = Field(default_factory=dict)
    """Only alerts with exactly these labels."""
    of: dict[Literal["id", "kind", "role", "cluster", "zone", "region", "host"], str] = Field(default_factory=dict)
    """Only alerts with a label that names a resource whose fields have exactly these values."""
    method: ScalingMethod
    parameters: ScalingParameters = Field(default_factory=dict, validate_default=True)
    """The model of the method; its keys are in `controlplane.model.methods`."""
    expires_after: Duration = timedelta(hours=4)

    @field_validator("parameters", mode="wrap")
    @classmethod
    def _of_method(cls, value: Any, _: object, info: ValidationInfo) -> Any:
        return check_parameters(info.data.get("method"), value)


class FailoverRule(RuleBase):
    """Plans who takes over what an alert says is lost: a named method with its parameters."""

    kind: Literal["failover"]
    on: tuple[RuleId, ...] = Field(min_length=1)
    where: dict[LabelName, str] = Field(default_factory=dict)
    """Only alerts with exactly these labels."""
    of: dict[Literal["id", "kind", "role", "cluster", "zone", "region", "host"], str] = Field(default_factory=dict)
    """Only alerts with a label that names a resource whose fields have exactly these values."""
    method: FailoverMethod
    parameters: FailoverParameters = Field(default_factory=dict, validate_default=True)
    """The model of the method; its keys are in `controlplane.model.methods`."""
    expires_after: Duration = timedelta(hours=1)

    @field_validator("parameters", mode="wrap")
    @classmethod
    def _of_method(cls, value: Any, _: object, info: ValidationInfo) -> Any:
        return check_parameters(info.data.get("method"), value)


_SETTING = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*(\.[a-zA-Z0-9_]+)*(/[^\s/]+)?")
SettingName = Annotated[
    str, matches(_SETTING, "a setting such as kafka.config.num.io.threads or topic.partitions/NAME")
]
_ONE_UNIT = "1"


class Expected(Model):
    """What a document says that a setting is: a comparison that has to hold, or the texts that are right."""

    setting: SettingName
    """Its name in the inventory; what it is about stands behind a slash (`kafka.topic.partitions/billing.events`)."""
    expect: ConditionField | None = None
    """Has to hold, in the unit that it names (default: a number without one)."""
    one_of: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.expect is None) == (not self.one_of):
            raise ValueError('name either expect (a condition such as "== 8") or one_of (a list of texts)')
        return self

    @property
    def unit(self) -> str:
        """Unit of a number without one."""
        return (self.expect.unit if self.expect else None) or _ONE_UNIT

    @property
    def breach(self) -> str:
        """The trouble as a condition without its unit: `!= 8`, or `!= replica or logical`."""
        if self.expect is None:
            return "!= " + " or ".join(self.one_of)
        return str(self.expect.negated().model_copy(update={"unit": None}))

    def __str__(self) -> str:
        return str(self.expect) if self.expect else " or ".join(self.one_of)


class DriftRule(RuleBase):
    """Raises an alert per resource and setting where the inventory differs from what a document says.

    A setting that the inventory doesn't have raises none. Labels of an alert: resource and setting.
    """

    kind: Literal["drift"]
    of: dict[Literal["id", "kind", "role", "cluster", "zone", "region", "host"], str] = Field(default_factory=dict)
    """Only resources whose fields have exactly these values."""
    settings: tuple[Expected, ...] = Field(min_length=1)
    for_: Duration = Field(default=timedelta(0), alias="for")
    severity: Severity
    summary: str = "{setting} of {resource} is {actual}, documented is {expected}"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [expected.setting for expected in self.settings]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"settings names {twice[0]} twice")
        check_summary(self.summary, ("resource", "setting", "actual", "expected"))
        return self


Rule = Annotated[AlertRule | ScalingRule | FailoverRule | DriftRule, Field(discriminator="kind")]


class RuleFile(Model):
    """One YAML file of a pack."""

    platform: RuleId
    component: RuleId
    signals: tuple[Signal, ...] = ()
    rules: tuple[Rule, ...] = ()


class Placed(Model):
    """A rule together with the pack and component that it belongs to and the unit of its signal."""

    platform: str
    component: str
    rule: Rule
    unit: str = "1"

    @property
    def id(self) -> str:
        """The rule's permanent id."""
        return self.rule.id

    @property
    def covers(self) -> tuple[str, ...]:
        """Ids of the documented figures that the rule and its settings check."""
        settings = self.rule.settings if isinstance(self.rule, DriftRule) else ()
        return (*self.rule.covers, *(figure for expected in settings for figure in expected.covers))


class RuleSet(Model):
    """All enabled rules and signals, with the digest that names this exact set."""

    rules: tuple[Placed, ...]
    signals: tuple[tuple[str, Signal], ...]
    """(platform, signal) pairs."""
    digest: str

    def alert_rules(self) -> tuple[Placed, ...]:
        """The rules that raise alerts, in file order: those of kind alert and drift."""
        return tuple(placed for placed in self.rules if isinstance(placed.rule, AlertRule | DriftRule))
