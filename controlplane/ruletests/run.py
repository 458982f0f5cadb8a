"""Tests of rules: short texts of samples in, the state at every step out, compared with what the test says."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.documents import Document, nearest, validate
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.labels import canonical
from controlplane.model.resources import Resource
from controlplane.model.rules import AlertRule, DriftRule, Placed, RuleSet
from controlplane.ruletests.format import RuleTest, RuleTests, numbers
from controlplane.ruletests.play import Played, play
from controlplane.telemetry.inventory_file import resources_at


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
    cases = [
        (document.place((*path, "cases", name)).line or 0, name, Played(test, case, known[test.rule], resources))
        for path, test, resources in ready
        if chosen in test.rule
        for name, case in test.cases.items()
    ]
    found = play([played for _, _, played in cases], rules.signals)
    for (line, name, played), states in zip(cases, found, strict=True):
        failure = _difference(played.case.states, states)
        yield Outcome(document.name, line, played.test.rule, name, failure)


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
                numbers(" ".join(case.values))
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
