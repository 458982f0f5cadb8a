"""The states that alerts go through in the cases of rule tests: many cases are evaluated at once."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory, Resource
from controlplane.model.rules import AlertRule, DriftRule, Placed, RuleSet
from controlplane.model.signals import Signal
from controlplane.rules.compile import Compiled, compile_rules
from controlplane.rules.evaluate import FIRING, NO_DATA, PENDING, STATE, evaluate
from controlplane.ruletests.format import GAP, UNANSWERED, Case, Labels, RuleTest, Series, State

Signals = Sequence[tuple[str, Signal]]
"""(platform, signal) pairs."""
_NAMES: dict[int, State] = {PENDING: "pending", FIRING: "firing", NO_DATA: "nodata"}
_SOURCE = "test"
_AT_ONCE = 200_000
"""Most steps of cases that are evaluated together, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class Played:
    """One case of a test, with the rule and the inventory that it is about."""

    test: RuleTest
    case: Case
    placed: Placed
    resources: tuple[Resource, ...] = ()

    @property
    def step_ms(self) -> int:
        """How far apart its steps are."""
        return round((self.case.step or self.test.step) / timedelta(milliseconds=1))


def play(cases: Sequence[Played], signals: Signals) -> list[tuple[State, ...]]:
    """The state of each case's alert at every step of it.

    Every case is a platform of its own, with a copy of the rule: no rule sees what another platform has.
    """
    found: dict[int, tuple[State, ...]] = {}
    for numbers in _batches(cases):
        own = {number: _alone(cases[number], number) for number in numbers}
        read = {number: _signal(cases[number].placed, signals) for number in numbers}
        compiled = compile_rules(
            RuleSet(
                rules=tuple(case.placed for case in own.values()),
                signals=tuple((own[number].placed.platform, signal) for number, signal in read.items() if signal),
                digest="",
            )
        )
        found |= _play_alerts(own, read, compiled) if any(read.values()) else _play_drift(own, compiled)
    return [found[number] for number in range(len(cases))]


def _signal(placed: Placed, signals: Signals) -> Signal | None:
    """The signal that the rule reads; a drift rule reads none."""
    if not isinstance(placed.rule, AlertRule):
        return None
    name = placed.rule.signal
    return next(signal for platform, signal in signals if (platform, signal.name) == (placed.platform, name))


def _alone(case: Played, number: int) -> Played:
    platform = f"{case.placed.platform}-{number}"
    rule = case.placed.rule.model_copy(update={"id": f"{case.placed.id}-{number}"})
    return replace(
        case,
        placed=case.placed.model_copy(update={"platform": platform, "rule": rule}),
        resources=tuple(resource.model_copy(update={"platform": platform}) for resource in case.resources),
    )


def _batches(cases: Sequence[Played]) -> Iterator[list[int]]:
    """Numbers of cases that have the same grid."""
    alike: dict[Hashable, list[int]] = {}
    for number, case in enumerate(cases):
        drift = isinstance(case.placed.rule, DriftRule)
        # What an inventory says has no time: all of them are read at once, or none is.
        silent = tuple(word == UNANSWERED for word in case.case.values) if drift else ()
        alike.setdefault((drift, silent, case.step_ms), []).append(number)
    for numbers in alike.values():
        batch: list[int] = []
        longest = 0
        for number in numbers:
            longest = max(longest, len(cases[number].case.states))
            if batch and longest * (len(batch) + 1) > _AT_ONCE:
                yield batch
                batch, longest = [], len(cases[number].case.states)
            batch.append(number)
        yield batch


def _play_alerts(
    cases: Mapping[int, Played], read: Mapping[int, Signal | None], compiled: Compiled
) -> dict[int, tuple[State, ...]]:
    series: list[tuple[int, str, str, str, str]] = []
    rows: list[tuple[int, int, float]] = []
    coverage: list[tuple[str, str, str, int, int]] = []
    for number, case in cases.items():
        signal = read[number]
        assert signal is not None
        for one in _series(case):
            rows += [
                (len(series), index * case.step_ms, float(word))
                for index, word in enumerate(one.values, start=1)
                if word not in {GAP, UNANSWERED}
            ]
            series.append((len(series), _SOURCE, case.placed.platform, one.signal, canonical(one.labels)))
        coverage += _coverage(case, [signal.name] if signal.derive is None else sorted(signal.inputs))
    window = Samples(
        pl.DataFrame(series, schema=SERIES, orient="row"),
        pl.DataFrame(rows, schema=SAMPLES, orient="row").with_columns(pl.col("value").fill_nan(None)),
        pl.DataFrame(coverage, schema=COVERAGE, orient="row"),
    )
    inventory = Inventory(resources=tuple(resource for case in cases.values() for resource in case.resources))
    step_ms = next(iter(cases.values())).step_ms
    done = evaluate(compiled, STATE.to_frame(), window, step_ms, inventory=inventory, sources=[_SOURCE])
    told = done.transitions.filter(pl.col("kind").is_in(list(_AFTER)))
    changes: dict[tuple[str, str], dict[int, State]] = {}
    for rule, labels, ts, kind in told.select("rule", "labels", "ts", "kind").iter_rows():
        changes.setdefault((rule, labels), {})[ts // step_ms] = _AFTER[kind]
    return {
        number: _walk(changes.get((case.placed.id, canonical(_alert(case))), {}), len(case.case.states))
        for number, case in cases.items()
    }


def _series(case: Played) -> Sequence[Series]:
    assert isinstance(case.placed.rule, AlertRule)
    values = " ".join(case.case.values)
    return case.case.series or (Series(signal=case.placed.rule.signal, labels=case.test.labels, values=values),)


def _alert(case: Played) -> Labels:
    """Labels of the alert whose states are looked at."""
    if case.test.alert is not None:
        return case.test.alert
    assert isinstance(case.placed.rule, AlertRule)
    labels, by = _series(case)[0].labels, case.placed.rule.by
    return labels if by is None else {name: value for name, value in labels.items() if name in by}


def _coverage(case: Played, signals: Sequence[str]) -> list[tuple[str, str, str, int, int]]:
    """A source answers at every step for every signal that the rule reads, but where the case says `?`."""
    series = _series(case)
    silent = {
        (one.signal, index) for one in series for index, word in enumerate(one.values, start=1) if word == UNANSWERED
    }
    return [
        (_SOURCE, case.placed.platform, signal, index * case.step_ms, index * case.step_ms)
        for signal in signals
        for index in range(1, len(series[0].values) + 1)
        if (signal, index) not in silent
    ]


_AFTER: dict[str, State] = {
    "pending": "pending",
    "fired": "firing",
    "nodata": "nodata",
    "resolved": "inactive",
    "dropped": "inactive",
}


def _walk(changes: Mapping[int, State], steps: int) -> tuple[State, ...]:
    now: State = "inactive"
    states = []
    for step in range(1, steps + 1):
        now = changes.get(step, now)
        states.append(now)
    return tuple(states)


def _play_drift(cases: Mapping[int, Played], compiled: Compiled) -> dict[int, tuple[State, ...]]:
    """The setting of one resource that the rule looks at, read anew at every step."""
    found: dict[int, list[State]] = {number: [] for number in cases}
    alerts = {number: (case.placed.id, _drift_labels(case)) for number, case in cases.items()}
    first = next(iter(cases.values()))
    state = STATE.to_frame()
    for index in range(max(len(case.case.values) for case in cases.values())):
        ts = (index + 1) * first.step_ms
        answered = [] if index < len(first.case.values) and first.case.values[index] == UNANSWERED else [ts]
        window = Samples(
            SERIES.to_frame(),
            SAMPLES.to_frame(),
            pl.DataFrame([(_SOURCE, "", "", ts, ts) for ts in answered], COVERAGE, orient="row"),
        )
        there = [resource for case in cases.values() for resource in _resource(case, index)]
        state = evaluate(compiled, state, window, first.step_ms, inventory=Inventory(resources=tuple(there))).state
        now = {(rule, labels): code for rule, labels, code in state.select("rule", "labels", "state").iter_rows()}
        for number, states in found.items():
            states.append(_NAMES[now[alerts[number]]] if alerts[number] in now else "inactive")
    return {number: tuple(states[: len(cases[number].case.values)]) for number, states in found.items()}


def _drift_labels(case: Played) -> str:
    assert isinstance(case.placed.rule, DriftRule)
    return canonical({"resource": case.placed.rule.of.get("id", "resource"), "setting": str(case.test.setting)})


def _resource(case: Played, index: int) -> Iterator[Resource]:
    assert isinstance(case.placed.rule, DriftRule)
    if index < len(case.case.values):
        word, setting = case.case.values[index], str(case.test.setting)
        settings = {} if word == GAP else {setting: word}
        fields = {"id": "resource", "kind": "host", **case.placed.rule.of}
        yield Resource.model_validate({**fields, "platform": case.placed.platform, "settings": settings})
