"""Random alert rules with their series, written for our engine and for `promtool test rules`."""

import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical
from controlplane.rules.compile import Compiled, compile_rules
from controlplane.rules.evaluate import FIRING, PENDING, STATE, evaluate
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules
from tests.servers import require_binary

STEP = 15_000
STEPS = 90
"""Enough for the longest `for` (15m = 60 steps) to be reached and to end."""
GAP = "_"
Labels = tuple[tuple[str, str], ...]
States = dict[tuple[str, Labels], str]
"""(rule, labels) → pending or firing; inactive alerts aren't listed."""

OPERATORS = (">", ">=", "<", "<=", "==", "!=")
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
HOLDS = ("0s", "1m", "3m", "5m", "15m", "20s")
KEEPS = ("0s", "0s", "15s", "40s", "1m", "5m")
# Lengths at which some `for` or `keep_firing_for` is just not, exactly and more than reached.
RUNS = (1, 1, 2, 3, 4, 5, 6, 11, 12, 13, 19, 20, 21, 22, 59, 60, 61, 62)
WORDS = ("99", "100", "101", "80", "90", "-100", "0", "1e300", "NaN", "Inf", "-Inf", GAP)
# Sums and means of these are exact in whatever order they are added.
FOLDED = ("99", "100", "101", "50", "25.5", "-100", "0", "NaN", "Inf", "-Inf", GAP)


@dataclass(frozen=True)
class Case:
    """A rule on a signal of its own, and the values of its series, a word a step."""

    seed: int
    operator: str
    hold: str
    keep: str
    clear: tuple[str, str] | None
    fold: str | None
    where: bool
    series: Mapping[Labels, tuple[str, ...]]

    @property
    def name(self) -> str:
        return f"case_{self.seed}"

    def rule(self) -> dict[str, Any]:
        """As our rule files have it."""
        found: dict[str, Any] = {
            "id": self.name.lower(), "kind": "alert", "title": "A case", "signal": self.name,
            "when": f"{self.operator} 100", "for": self.hold, "keep_firing_for": self.keep, "severity": "info",
            "summary": "{value}", "basis": "house", "rationale": "a test",
        }  # fmt: skip
        if self.clear:
            found["clear"] = " ".join(self.clear)
        if self.fold:
            found |= {"by": ["zone"], "fold": self.fold}
        if self.where:
            found["where"] = {"kind": "x"}
        return found

    def alerting_rule(self) -> dict[str, Any]:
        """As Prometheus has it. The exit threshold is its own last state, read from ALERTS.

        Nothing compares with NaN in our rules; in PromQL NaN is unequal to every number, so `!=` needs a guard.
        """
        value = self.name + ('{kind="x"}' if self.where else "")
        if self.fold:
            value = f"{self.fold} by (zone) ({value})"
        expression = f"({value} {self.operator} 100)"
        if self.clear:
            operator, limit = self.clear
            names = "zone" if self.fold else "series, zone, kind"
            last = f'ALERTS{{alertname="{self.name}",alertstate="firing"}}'
            expression += f" or (({value} {OPPOSITE[operator]} {limit}) and on ({names}) {last})"
        if "!=" in expression:
            expression = f"({expression}) and ({value} == {value})"
        return {"alert": self.name, "expr": expression, "for": self.hold, "keep_firing_for": self.keep}


def draw(seed: int) -> Case:
    """The case of a seed."""
    chance = random.Random(seed)
    fold = chance.choice((None, None, None, "sum", "max", "min", "avg", "count"))
    operator = chance.choice(OPERATORS)
    clear = chance.choice((None, None, ("<", "80"), ("<=", "90"), (">", "101"), (">=", "101"), ("==", "80")))
    series: dict[Labels, tuple[str, ...]] = {}
    # A mean of two is exact; one of three depends on how it is computed.
    for number in range(2 if fold == "avg" else chance.randint(1, 4)):
        labels = {"series": f"s{number}", "zone": "a" if fold == "avg" else chance.choice("ab"), "kind": "x"}
        if chance.random() < 0.2:
            labels["kind"] = "y"
        series[tuple(sorted(labels.items()))] = _values(chance, FOLDED if fold else WORDS)
    return Case(
        seed, operator, chance.choice(HOLDS), chance.choice(KEEPS), clear, fold, chance.random() < 0.3, series
    )  # fmt: skip


def _values(chance: random.Random, known: Sequence[str]) -> tuple[str, ...]:
    """Runs of a value, some of them interrupted for a step; now and then a series that flaps all the time."""
    words: list[str] = []
    few = chance.sample(known, chance.randint(2, 4))
    flapping = chance.random() < 0.2
    while len(words) < STEPS:
        run = chance.randint(1, 2) if flapping else chance.choice(RUNS)
        words += [chance.choice(few)] * run
        if chance.random() < 0.3:
            words.append(chance.choice(known))
    return tuple(words[:STEPS])


# our engine


def rules_of(cases: Sequence[Case]) -> Compiled:
    """The rules of the cases, by way of a rule file."""
    document = {
        "platform": "shop",
        "component": "cases",
        "signals": [{"name": case.name, "unit": "1"} for case in cases],
        "rules": [case.rule() for case in cases],
    }
    loaded = load_rules([RuleText("cases.yaml", yaml.safe_dump(document, sort_keys=False))])
    assert not loaded.problems, loaded.problems
    return compile_rules(loaded.rules)


def samples_of(cases: Sequence[Case]) -> Samples:
    """Their series; a source answers for all of them at every step from 0 on."""
    named, rows = [], []
    for case in cases:
        for labels, words in case.series.items():
            sid = len(named)
            named.append((sid, "s", "", case.name, canonical(dict(labels))))
            rows += [(sid, n * STEP, float(word)) for n, word in enumerate(words) if word != GAP]
    coverage = [("s", "", case.name, 0, (STEPS - 1) * STEP) for case in cases]
    return Samples(
        pl.DataFrame(named, schema=SERIES, orient="row"),
        pl.DataFrame(rows, schema=SAMPLES, orient="row").with_columns(pl.col("value").fill_nan(None)),
        pl.DataFrame(coverage, schema=COVERAGE, orient="row"),
    )


def states_in_one_window(cases: Sequence[Case]) -> list[States]:
    """State of every alert after every step, read off the transitions of one evaluation."""
    found = evaluate(rules_of(cases), STATE.to_frame(), samples_of(cases), STEP)
    assert found.duplicates.is_empty()
    by_step: dict[int, list[tuple[str, str, str]]] = {}
    for ts, rule, labels, kind in found.transitions.select("ts", "rule", "labels", "kind").iter_rows():
        by_step.setdefault(ts // STEP, []).append((rule, labels, kind))
    now: States = {}
    states = []
    for step in range(STEPS):
        for rule, labels, kind in by_step.get(step, ()):
            key = (rule, _labels(labels))
            if kind in {"pending", "fired"}:
                now[key] = "firing" if kind == "fired" else "pending"
            elif kind in {"resolved", "dropped"}:
                del now[key]
        states.append(dict(now))
    return states


def states_in_windows(cases: Sequence[Case], cuts: Sequence[int]) -> dict[int, States]:
    """State of every alert at the end of each window; `cuts` are the first steps of the windows after the first."""
    rules, whole, state = rules_of(cases), samples_of(cases), STATE.to_frame()
    names = {PENDING: "pending", FIRING: "firing"}
    found = {}
    for first, end in pairwise([0, *cuts, STEPS]):
        inside = pl.col("ts").is_between(first * STEP, (end - 1) * STEP)
        coverage = whole.coverage.with_columns(
            pl.lit(first * STEP, pl.Int64).alias("first"), pl.lit((end - 1) * STEP, pl.Int64).alias("last")
        )
        state = evaluate(rules, state, Samples(whole.series, whole.samples.filter(inside), coverage), STEP).state
        rows = state.select("rule", "labels", "state").iter_rows()
        found[end - 1] = {(rule, _labels(labels)): names[number] for rule, labels, number in rows}
    return found


def _labels(text: str) -> Labels:
    return tuple(sorted(yaml.safe_load(text).items()))


# promtool


def promtool(
    folder: Path, cases: Sequence[Case], states: Sequence[States], rules: Sequence[dict[str, Any]] | None = None
) -> subprocess.CompletedProcess[str]:
    """Ask promtool whether exactly these alerts are pending and firing at every step; `rules` replaces those of the
    cases."""
    written = [case.alerting_rule() for case in cases] if rules is None else list(rules)
    _write(folder / "rules.yaml", {"groups": [{"name": "cases", "interval": "15s", "rules": written}]})
    series = [
        {"series": f"{case.name}{{{', '.join(f'{name}={value!r}' for name, value in labels)}}}",
         "values": " ".join(_notation(words))}
        for case in cases
        for labels, words in case.series.items()
    ]  # fmt: skip
    tests = [
        {
            "expr": "ALERTS",
            "eval_time": f"{step * STEP // 1000}s",
            "exp_samples": [
                {"labels": _alerts(rule, state, labels), "value": 1} for (rule, labels), state in sorted(now.items())
            ],
        }
        for step, now in enumerate(states)
    ]
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "15s",
        "tests": [{"interval": "15s", "input_series": series, "promql_expr_test": tests}],
    }
    _write(folder / "tests.yaml", document)
    command = [str(require_binary("promtool")), "test", "rules", str(folder / "tests.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _write(file: Path, document: Any) -> None:
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")


def _notation(words: Sequence[str]) -> list[str]:
    """A gap is a stale marker, since a value counts for five minutes otherwise; further steps of it are blanks."""
    found = list(words)
    for step in range(1, len(words)):
        if words[step] == GAP and words[step - 1] != GAP:
            found[step] = "stale"
    return found


def _alerts(rule: str, state: str, labels: Labels) -> str:
    pairs = [("alertname", rule), ("alertstate", state), *labels]
    return f"ALERTS{{{', '.join(f'{name}={value!r}' for name, value in pairs)}}}"
