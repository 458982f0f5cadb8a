"""What a file of rule tests says: series of a value a step, and the state that is expected at every step."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from controlplane.documents import nearest
from controlplane.model.base import Duration, LabelName, Model, RuleId, SignalName
from controlplane.model.rules import SettingName

State = Literal["inactive", "pending", "firing", "nodata"]
_STATES: tuple[State, ...] = ("inactive", "pending", "firing", "nodata")
_TIMES = re.compile(r"(?P<word>[^*\s]+)(?:\*(?P<times>[1-9][0-9]{0,5}))?")
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf)|nan")
_MOST_STEPS = 100_000
GAP, UNANSWERED = "_", "?"


def spread(text: object) -> tuple[str, ...]:
    """`1*3 _` → 1 1 1 _; ValueError names the word that is neither `word` nor `word*times`.

    A list has a word a step, which may hold spaces.
    """
    if isinstance(text, list | tuple) and all(isinstance(word, str) for word in text):
        return tuple(text)
    if not isinstance(text, str):
        raise ValueError('is no text; write a value a step, such as "1*3 _ 2"')
    words: list[str] = []
    for part in text.split():
        found = _TIMES.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is neither a value nor value*times, such as 1*3")
        words += [found["word"]] * int(found["times"] or 1)
        if len(words) > _MOST_STEPS:
            raise ValueError(f"more than {_MOST_STEPS:,} steps; choose a larger step")
    return tuple(words)


def numbers(text: object) -> tuple[str, ...]:
    """The same where every word is a number, `_` or `?`; ValueError names one that isn't."""
    words = spread(text)
    for word in words:
        if word not in {GAP, UNANSWERED} and not _NUMBER.fullmatch(word):
            raise ValueError(f"{word!r} is no number, `_` (no sample) or `?` (no answer)")
    return words


def _states(text: object) -> tuple[str, ...]:
    words = spread(text)
    for word in words:
        if word not in _STATES:
            raise ValueError(f"{word!r} is no state. {nearest(word, _STATES) or 'There are ' + ', '.join(_STATES)}")
    return words


Words = Annotated[tuple[str, ...], BeforeValidator(spread)]
Values = Annotated[tuple[str, ...], BeforeValidator(numbers)]
States = Annotated[tuple[str, ...], BeforeValidator(_states)]
Labels = dict[LabelName, str]
Step = Annotated[Duration, Field(gt=timedelta(0))]


class Series(Model):
    """Samples of one series, a value a step."""

    signal: SignalName
    labels: Labels = Field(default_factory=dict)
    values: Values


class Case(Model):
    """Input and the states that one alert goes through."""

    values: Words = ()
    """Of the rule's signal, or of the setting of a drift rule."""
    series: tuple[Series, ...] = ()
    states: States
    step: Step | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.values) == bool(self.series):
            raise ValueError("a case has either values or series")
        return self


class RuleTest(Model):
    """Cases of one rule."""

    rule: RuleId
    labels: Labels = Field(default_factory=dict)
    """Of the series of the rule's signal."""
    alert: Labels | None = None
    """Of the alert whose states are listed; absent = those of the series that the rule keeps."""
    setting: SettingName | None = None
    """Of a drift rule."""
    inventory: tuple[Any, ...] = ()
    """Resources, as in an inventory file."""
    step: Step = timedelta(seconds=15)
    cases: dict[str, Case] = Field(min_length=1)


class RuleTests(Model):
    """`<component>.test.yaml`."""

    tests: tuple[RuleTest, ...]
