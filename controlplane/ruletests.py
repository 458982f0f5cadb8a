"""Tests of rules: short texts of samples in, the state at every step out, compared with what the test says."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

import polars as pl
from pydantic import BeforeValidator, Field, model_validator

from controlplane.documents import Document, nearest, validate
from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.base import Duration, LabelName, Model, RuleId, SignalName
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory, Resource
from controlplane.model.rules import AlertRule, DriftRule, Placed, RuleSet, SettingName
from controlplane.rules.compile import Compiled, compile_rules
from controlplane.rules.drift import SOURCE
from controlplane.rules.evaluate import FIRING, NO_DATA, PENDING, STATE, evaluate
from controlplane.telemetry.inventory_file import resources_at

State = Literal["inactive", "pending", "firing", "nodata"]
_STATES: tuple[State, ...] = ("inactive", "pending", "firing", "nodata")
_NAMES: dict[int, State] = {PENDING: "pending", FIRING: "firing", NO_DATA: "nodata"}
_TIMES = re.compile(r"(?P<word>[^*\s]+)(?:\*(?P<times>[1-9][0-9]{0,5}))?")
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf)|nan")
_MOST_STEPS = 100_000
GAP, UNANSWERED = "_", "?"
_TEST_SOURCE = "test"


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


def _values(text: object) -> tuple[str, ...]:
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
Values = Annotated[tuple[str, ...], BeforeValidator(_values)]
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case."""

    file: str
    line: int
    rule: str
    case: str
    failure: str = ""
    """Empty where the states are as expected."""


def run_tests(document: Document, rules: RuleSet, chosen: str = "") -> Iterator[Outcome]:
    """Run the cases of the rules whose id contains `chosen`; InvalidInput carries all mistakes of the file itself."""
    known = {placed.id: placed for placed in rules.alert_rules()}
    wrong: list[Problem] = []
    ready: list[tuple[tuple[str | int, ...], RuleTest, tuple[Resource, ...]]] = []
    for path, test in _readable(document, wrong):
        wrong += _mistakes(document, path, test, known, rules)
        resources: tuple[Resource, ...] = ()
        if test.rule in known:
            try:
                resources = resources_at(document, (*path, "inventory"), test.inventory, known[test.rule].platform)
            except InvalidInput as error:
                wrong += error.problems
        ready.append((path, test, resources))
    if wrong:
        raise InvalidInput(wrong)
    for path, test, resources in ready:
        if chosen not in test.rule:
            continue
        placed = known[test.rule]
        compiled = compile_rules(RuleSet(rules=(placed,), signals=rules.signals, digest=rules.digest))
        for name, case in test.cases.items():
            line = document.place((*path, "cases", name)).line or 0
            states = _run(test, case, placed, compiled, Inventory(resources=resources))
            yield Outcome(document.name, line, test.rule, name, _difference(case.states, states))


def _readable(document: Document, wrong: list[Problem]) -> Iterator[tuple[tuple[str | int, ...], RuleTest]]:
    """The tests that can be read, with their paths; what is wrong with the others goes to `wrong`."""
    try:
        tests = validate(document, RuleTests).tests
    except InvalidInput as error:
        wrong += error.problems
    else:
        yield from ((("tests", index), test) for index, test in enumerate(tests))
        return
    entries = document.data.get("tests") if isinstance(document.data, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        with contextlib.suppress(InvalidInput):
            yield ("tests", index), validate(document, RuleTest, entry, ("tests", index))


def _mistakes(
    document: Document, path: tuple[str | int, ...], test: RuleTest, known: dict[str, Placed], rules: RuleSet
) -> Iterator[Problem]:
    placed = known.get(test.rule)
    if placed is None:
        yield document.problem(
            (*path, "rule"), f"there is no usable alert or drift rule {test.rule!r}", nearest(test.rule, known)
        )
        return
    drift = isinstance(placed.rule, DriftRule)
    settings = [expected.setting for expected in placed.rule.settings] if isinstance(placed.rule, DriftRule) else []
    if drift and test.setting not in settings:
        remedy = nearest(test.setting or "", settings) or f"Add setting: one of {', '.join(settings)}"
        yield document.problem((*path, "setting"), f"the rule has no setting {test.setting!r}", remedy)
    if not drift and test.setting is not None:
        yield document.problem((*path, "setting"), f"{test.rule} is no drift rule, so it has no setting", "Remove it")
    signals = {signal.name: signal for platform, signal in rules.signals if platform == placed.platform}
    derived = isinstance(placed.rule, AlertRule) and signals[placed.rule.signal].derive is not None
    for name, case in test.cases.items():
        where = (*path, "cases", name)
        if drift and case.series:
            yield document.problem((*where, "series"), "a drift rule reads a setting, no series", "Write values")
        if derived and case.values:
            message = f"the signal of {test.rule} is derived"
            yield document.problem((*where, "values"), message, "Write series of the signals that it is derived from")
        if case.values and not drift:
            try:
                _values(" ".join(case.values))
            except ValueError as error:
                yield document.problem((*where, "values"), str(error))
        for number, series in enumerate(case.series):
            if series.signal not in signals or signals[series.signal].derive is not None:
                measured = (one.name for one in signals.values() if one.derive is None)
                message = f"{series.signal!r} is no measured signal of {placed.platform}"
                yield document.problem((*where, "series", number, "signal"), message, nearest(series.signal, measured))
        twice = {(one.signal, canonical(one.labels)) for one in case.series}
        if len(twice) < len(case.series):
            yield document.problem((*where, "series"), "two series have the same labels", "Tell them apart by a label")
        lengths = {len(case.states), *(len(one.values) for one in case.series)} | ({len(case.values)} - {0})
        if len(lengths) > 1:
            counts = " and ".join(map(str, sorted(lengths)))
            yield document.problem((*where, "states"), f"{counts} steps", "Write a value and a state for every step")


def _run(test: RuleTest, case: Case, placed: Placed, compiled: Compiled, inventory: Inventory) -> tuple[State, ...]:
    step_ms = round((case.step or test.step) / timedelta(milliseconds=1))
    if isinstance(placed.rule, DriftRule):
        return _run_drift(test, case, placed, compiled, step_ms)
    assert isinstance(placed.rule, AlertRule)
    series = case.series or (Series(signal=placed.rule.signal, labels=test.labels, values=" ".join(case.values)),)
    measured = _samples(series, placed, compiled, step_ms)
    labels = test.alert if test.alert is not None else series[0].labels
    if test.alert is None and placed.rule.by is not None:
        labels = {name: value for name, value in labels.items() if name in placed.rule.by}
    found = evaluate(compiled, STATE.to_frame(), measured, step_ms, inventory=inventory, sources=[_TEST_SOURCE])
    return _walk(found.transitions, labels, range(1, len(case.states) + 1), step_ms)


def _samples(series: Sequence[Series], placed: Placed, compiled: Compiled, step_ms: int) -> Samples:
    """The series from the first step on; a source answers for every signal that the rule reads but at `?`."""
    platform = placed.platform
    length = len(series[0].values)
    rows, named, silent = [], [], set()
    for sid, one in enumerate(series):
        named.append((sid, _TEST_SOURCE, platform, one.signal, canonical(one.labels)))
        for index, word in enumerate(one.values, start=1):
            if word == UNANSWERED:
                silent.add((one.signal, index))
            elif word != GAP:
                rows.append((sid, index * step_ms, float(word)))
    signals = sorted(compiled.signals() - {signal.name for _, signal in compiled.derived})
    coverage = [
        (_TEST_SOURCE, platform, signal, index * step_ms, index * step_ms)
        for signal in signals
        for index in range(1, length + 1)
        if (signal, index) not in silent
    ]
    samples = pl.DataFrame(rows, schema=SAMPLES, orient="row").with_columns(pl.col("value").fill_nan(None))
    return Samples(
        pl.DataFrame(named, schema=SERIES, orient="row"), samples, pl.DataFrame(coverage, COVERAGE, orient="row")
    )


def _run_drift(test: RuleTest, case: Case, placed: Placed, compiled: Compiled, step_ms: int) -> tuple[State, ...]:
    """The setting of one resource that the rule looks at, read anew at every step."""
    assert isinstance(placed.rule, DriftRule)
    assert test.setting is not None
    fields = {"id": "resource", "kind": "host", **placed.rule.of}
    labels = {"resource": fields["id"], "setting": test.setting}
    state, states = STATE.to_frame(), []
    for index, word in enumerate(case.values, start=1):
        settings = {} if word == GAP else {test.setting: word}
        resource = Resource.model_validate({"platform": placed.platform, "settings": settings, **fields})
        ts = index * step_ms
        window = Samples(
            SERIES.to_frame(),
            SAMPLES.to_frame(),
            pl.DataFrame([(_TEST_SOURCE, "", "", ts, ts)] if word != UNANSWERED else [], COVERAGE, orient="row"),
        )
        done = evaluate(compiled, state, window, step_ms, inventory=Inventory(resources=(resource,)))
        state = done.state
        now = state.filter(pl.col("labels") == canonical(labels), pl.col("source") == SOURCE)["state"].to_list()
        states.append(_NAMES[now[0]] if now else "inactive")
    return tuple(states)


_AFTER: dict[str, State] = {
    "pending": "pending",
    "fired": "firing",
    "nodata": "nodata",
    "resolved": "inactive",
    "dropped": "inactive",
}


def _walk(transitions: pl.DataFrame, labels: Labels, steps: range, step_ms: int) -> tuple[State, ...]:
    mine = transitions.filter(pl.col("labels") == canonical(labels), pl.col("kind").is_in(list(_AFTER)))
    changes: dict[int, State] = {}
    for ts, kind in mine.select("ts", "kind").iter_rows():
        changes[ts // step_ms] = _AFTER[kind]
    now: State = "inactive"
    states = []
    for step in steps:
        now = changes.get(step, now)
        states.append(now)
    return tuple(states)


def _difference(expected: Sequence[str], found: Sequence[str]) -> str:
    """Where two sequences part, in words; empty where they are equal."""
    for step, (wanted, got) in enumerate(zip(expected, found, strict=True), start=1):
        if wanted != got:
            return f"step {step} is {got}, expected {wanted}; all: {_packed(found)}"
    return ""


def _packed(states: Sequence[str]) -> str:
    parts: list[list[Any]] = []
    for state in states:
        if parts and parts[-1][0] == state:
            parts[-1][1] += 1
        else:
            parts.append([state, 1])
    return " ".join(state if times == 1 else f"{state}*{times}" for state, times in parts)
