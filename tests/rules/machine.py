"""Helpers: rules from YAML, samples from short texts, and a state machine that is slow and plainly right."""

import json
from dataclasses import dataclass, field

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.model.rules import AlertRule, RuleSet
from controlplane.rules.compile import Compiled, compile_rules
from controlplane.rules.evaluate import STATE, evaluate
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules

STEP = 15_000
SIGNAL = "kafka.consumer.lag"

HEAD = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
rules:
"""
RULE = """
  - id: lag
    kind: alert
    title: Behind
    signal: kafka.consumer.lag
    severity: critical
    summary: "behind by {value:,.0f}"
    basis: house
    rationale: a test
"""


def rule_set(*extra: str, rule: str = RULE) -> RuleSet:
    """A rule set with one rule, to which lines such as `for: 1m` are added."""
    text = HEAD + rule + "".join(f"    {line}\n" for line in extra)
    loaded = load_rules([RuleText("test.yaml", text)])
    assert not loaded.problems, loaded.problems
    return loaded.rules


def compiled(*extra: str) -> Compiled:
    return compile_rules(rule_set(*extra))


def numbers(text: str) -> list[float | str | None]:
    """`1 _ x nan` → values a step: `_` no sample, `x` not answered, `nan` a sample that is not a number."""
    return [
        {"_": "_", "x": "x", "nan": None}.get(word, word) if word in ("_", "x", "nan") else float(word)
        for word in text.split()
    ]


def samples(series: dict[str, str], *, source: str = "s", start: int = 1) -> Samples:
    """Series by a name that becomes the label `name`; all texts have the same number of steps."""
    rows: list[tuple[int, int, float | None]] = []
    labels = []
    silent: set[int] = set()
    length = 0
    for sid, (name, text) in enumerate(series.items()):
        labels.append((sid, source, "", SIGNAL, canonical({"name": name})))
        values = numbers(text)
        length = max(length, len(values))
        for index, value in enumerate(values):
            ts = (start + index) * STEP
            if value == "x":
                silent.add(ts)
            elif value != "_":
                rows.append((sid, ts, value))
    coverage = []
    for index in range(length):
        ts = (start + index) * STEP
        if ts not in silent:
            coverage.append((source, "", SIGNAL, ts, ts))
    return Samples(
        pl.DataFrame(labels, schema=SERIES, orient="row"),
        pl.DataFrame(rows, schema=SAMPLES, orient="row"),
        pl.DataFrame(coverage, schema=COVERAGE, orient="row"),
    )


def kinds(rules: Compiled, text: str, state: pl.DataFrame | None = None) -> list[tuple[int, str]]:
    """Transitions of one series as (step, kind), steps from 1."""
    found = evaluate(rules, STATE.to_frame() if state is None else state, samples({"a": text}), STEP).transitions
    return [(ts // STEP, kind) for ts, kind in found.select("ts", "kind").iter_rows()]


@dataclass
class Plain:
    """One alert, one step at a time, in the words of the specification."""

    rule: AlertRule
    state: str = "inactive"
    known: bool = False
    """Whether the series was there before: only then it can be missing."""
    active_at: int = 0
    held_since: int | None = None
    log: list[tuple[int, str]] = field(default_factory=list)

    def step(self, ts: int, value: float | str | None) -> None:
        if value == "x":
            return
        present = value != "_"
        self.known |= present
        if self.state == "nodata":
            if not present:
                return
            self.state = "inactive"
            self.log.append((ts, "resolved"))
        if not present and self.known and self.rule.missing.policy == "alert":
            self.state, self.held_since = "nodata", None
            self.log.append((ts, "nodata"))
            return
        number = value if isinstance(value, float) else None
        hold = _ms(self.rule.for_)
        keep = _ms(self.rule.keep_firing_for)
        keep_missing = _ms(self.rule.missing.keep_for) if self.rule.missing.policy == "keep" else 0
        met = number is not None and _compare(number, self.rule.when.operator, self.rule.when.threshold)
        clear = self.rule.clear
        if number is not None and not met and self.state == "firing" and clear is not None:
            met = not _compare(number, clear.operator, clear.threshold)
        if met:
            if self.held_since is not None:
                self.held_since = None
                self.log.append((ts, "returned"))
            if self.state == "inactive":
                self.state, self.active_at = "pending", ts
                if hold:
                    self.log.append((ts, "pending"))
            if self.state == "pending" and ts - self.active_at >= hold:
                self.state = "firing"
                self.log.append((ts, "fired"))
            return
        if self.state == "inactive":
            return
        limit = keep if self.state == "firing" else 0
        if not present:
            limit = max(limit, keep_missing)
        since = ts if self.held_since is None else self.held_since
        if ts - since < limit:
            if self.held_since is None:
                self.log.append((ts, "held"))
            self.held_since = since
            return
        self.log.append((ts, "dropped" if self.state == "pending" else "resolved"))
        self.state, self.held_since = "inactive", None


class PlainRules:
    """All alert rules over all samples, one step at a time and one alert at a time."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules.alert_rules()
        self.alerts: dict[tuple[str, str, str], Plain] = {}
        self.clashes: set[tuple[int, str, str]] = set()

    def run(self, window: Samples) -> list[tuple[int, str, str, str, str]]:
        """ts, rule, source, labels and kind of every transition, in order."""
        series = {row[0]: row[1:] for row in window.series.iter_rows()}
        values = {(sid, ts): value for sid, ts, value in window.samples.iter_rows()}
        spans = list(window.coverage.iter_rows())
        found = []
        for ts in sorted({ts for *_, first, last in spans for ts in range(first, last + 1, STEP)}):
            at = {sid: values[sid, ts] for sid in series if (sid, ts) in values}
            for placed in self.rules:
                rule = placed.rule
                assert isinstance(rule, AlertRule)
                answered = {
                    source
                    for source, platform, signal, first, last in spans
                    if signal == rule.signal and platform in ("", placed.platform) and first <= ts <= last
                }
                results = self._results(placed.platform, rule, series, at)
                shown = [labels for (_, labels), many in results.items() for _ in (many if rule.by is None else [0])]
                twice = {labels for labels in shown if shown.count(labels) > 1}
                self.clashes |= {(ts, rule.id, labels) for labels in twice}
                for source, labels in results:
                    self.alerts.setdefault((rule.id, source, labels), Plain(rule))
                for (of, source, labels), alert in sorted(self.alerts.items()):
                    if of != rule.id:
                        continue
                    before = len(alert.log)
                    many = results.get((source, labels))
                    alert.known |= many is not None
                    if source in answered and not twice:
                        alert.step(ts, "_" if many is None else folded(rule.fold, many))
                    found += [(ts, of, source, labels, kind) for _, kind in alert.log[before:]]
        return found

    def _results(
        self,
        platform: str,
        rule: AlertRule,
        series: dict[int, tuple[str, str, str, str]],
        at: dict[int, float | None],
    ) -> dict[tuple[str, str], list[float | None]]:
        """Values by source and labels, in the order of the series."""
        found: dict[tuple[str, str], list[float | None]] = {}
        for sid, (source, of, signal, text) in series.items():
            labels = json.loads(text)
            wanted = all(labels.get(name) == value for name, value in rule.where.items())
            if sid in at and signal == rule.signal and of in ("", platform) and wanted:
                kept = labels if rule.by is None else {name: labels.get(name, "") for name in rule.by}
                found.setdefault((source, canonical(kept)), []).append(at[sid])
        return found


def folded(fold: str | None, values: list[float | None]) -> float | None:
    """The value of some series, as Prometheus folds them; None = not a number."""
    numbers = [value for value in values if value is not None]
    if fold == "count":
        return float(len(values))
    if fold in ("max", "min"):
        return (max if fold == "max" else min)(numbers, default=None)
    if fold is None:
        return values[0]
    if len(numbers) < len(values):
        return None
    total = 0.0
    for number in numbers:
        total += number
    total = total / len(numbers) if fold == "avg" else total
    return None if total != total else total


def _compare(value: float, operator: str, limit: float) -> bool:
    return {
        ">": value > limit,
        ">=": value >= limit,
        "<": value < limit,
        "<=": value <= limit,
        "==": value == limit,
        "!=": value != limit,
    }[operator]


def _ms(duration: object) -> int:
    from datetime import timedelta

    assert isinstance(duration, timedelta)
    return round(duration / timedelta(milliseconds=1))
