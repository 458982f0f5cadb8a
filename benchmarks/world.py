"""A platform to measure with: 150 metrics, hosts with ten disks each, and a rule for every metric.

A third of the rules look at each series, a third at the mean of each host, a third at the maximum of each zone. The
same metrics and rules are given to Prometheus. One series in a hundred is beyond its threshold, one host in twenty and
every zone; once a minute one series in a thousand gets beyond it and as many get back.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlplane.frames import Samples
    from controlplane.rules.compile import Compiled

RULES = 150
STEP_MS = 15_000
STEPS_A_MOVE = 4
NOW = datetime(2026, 3, 12, 18, tzinfo=UTC)
START_MS = round(NOW.timestamp() * 1000)
FOR = "30s"
_DISKS, _ZONES = 10, 3
_FOLDS = (("", "", 989), ("host", "avg", 597), ("zone", "max", 990))


def rule_text(rules: int = RULES) -> str:
    """The pack of rules over metrics m0, m1 …"""
    signals, made = [], []
    for number in range(rules):
        by, fold, limit = _FOLDS[number % 3]
        signals.append(f"- {{name: m{number}.value, unit: '1'}}\n")
        folded = f"  by: [{by}]\n  fold: {fold}\n" if by else ""
        made.append(
            f"- id: rule-{number}\n  kind: alert\n  title: Rule {number}\n  signal: m{number}.value\n{folded}"
            f"  when: '> {limit}'\n  for: {FOR}\n  severity: warning\n  summary: 'value {{value:.1f}}'\n"
            "  basis: house\n  rationale: made for measuring\n"
        )
    return f"platform: bench\ncomponent: rules\nsignals:\n{''.join(signals)}rules:\n{''.join(made)}"


def compiled(rules: int = RULES) -> "Compiled":
    """The rules, ready to be evaluated."""
    from controlplane.rules.compile import compile_rules
    from controlplane.rules.files import RuleText
    from controlplane.rules.load import load_rules

    loaded = load_rules([RuleText("bench.yaml", rule_text(rules))])
    assert len(loaded.rules.rules) == rules, loaded.problems[:3]
    return compile_rules(loaded.rules)


def prometheus_rules(rules: int = RULES) -> str:
    """The same rules for Prometheus, in one group."""
    made = []
    for number in range(rules):
        by, fold, limit = _FOLDS[number % 3]
        query = f"{fold} by ({by}) (m{number})" if by else f"m{number}"
        made.append(f"  - {{alert: rule-{number}, expr: '{query} > {limit}', for: {FOR}}}\n")
    return f"groups:\n- name: bench\n  rules:\n{''.join(made)}"


def place(number: int) -> tuple[int, int, int]:
    """Host, disk and zone of a series of its metric."""
    host = number // _DISKS
    return host, number % _DISKS, host % _ZONES


def value(number: int, step: int) -> int:
    """What a series (by its number over all metrics) shows at a step: 0 to 999."""
    return (number * 7919 + step // STEPS_A_MOVE) % 1000


def samples(series: int, steps: int, *, turn: int = 0, rules: int = RULES) -> "Samples":
    """The samples of a window as the store gives them: ordered by series and step; windows count from 0 (`turn`)."""
    import polars as pl

    from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples

    number = pl.col("sid") // rules
    host = number // _DISKS
    frame = pl.int_range(series, eager=True, dtype=pl.UInt32).alias("sid").to_frame()
    named = frame.select(
        "sid",
        pl.lit("bench").alias("source"),
        pl.lit("bench").alias("platform"),
        pl.format("m{}.value", pl.col("sid") % rules).alias("signal"),
        pl.concat_str(
            pl.lit('{"disk":"sd'),
            number % _DISKS,
            pl.lit('","host":"h'),
            host,
            pl.lit('","zone":"z'),
            host % _ZONES,
            pl.lit('"}'),
        ).alias("labels"),
    )
    first = START_MS + turn * steps * STEP_MS
    grid = pl.DataFrame({"step": [turn * steps + step for step in range(steps)]})
    rows = frame.join(grid, how="cross").select(
        "sid",
        (START_MS + pl.col("step") * STEP_MS).alias("ts"),
        ((pl.col("sid").cast(pl.Int64) * 7919 + pl.col("step") // STEPS_A_MOVE) % 1000).cast(pl.Float64).alias("value"),
    )
    last = first + (steps - 1) * STEP_MS
    coverage = [("bench", "bench", f"m{metric}.value", first, last) for metric in range(rules)]
    return Samples(named.cast(SERIES), rows.cast(SAMPLES), pl.DataFrame(coverage, COVERAGE, orient="row"))
