"""From samples to alerts and messages: rules over many series, and 10,000 alerts at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Case, Seconds, timed

if TYPE_CHECKING:
    from controlplane.frames import Samples

RULES = 150
STEPS = 4
STEP_MS = 15_000
ALERTS = 10_000
NOW = datetime(2026, 3, 12, 18, tzinfo=UTC)


def rule_texts(rules: int, *, folded: bool) -> str:
    """Alert rules over ten signals: a third each without folding (unless `folded`), mean by host, maximum by zone."""
    signals = "".join(f"- {{name: m{number}.value, unit: '1'}}\n" for number in range(10))
    folds = (
        "  by: [disk]\n  fold: max\n" if folded else "",
        "  by: [host]\n  fold: avg\n",
        "  by: [zone]\n  fold: max\n",
    )
    made = "".join(
        f"- id: rule-{number}\n  kind: alert\n  title: Rule {number}\n  signal: m{number % 10}.value\n"
        f"{folds[number % 3]}  when: '> {998 + number / 1000}'\n  for: 30s\n  severity: warning\n"
        f"  summary: 'value {{value:.1f}}'\n  basis: house\n  rationale: made for measuring\n"
        for number in range(rules)
    )
    return f"platform: bench\ncomponent: rules\nsignals:\n{signals}rules:\n{made}"


@dataclass(frozen=True)
class Evaluate:
    """Rules over so many series in four steps; one value in a thousand is beyond its threshold."""

    series: int
    folded: bool = False

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """The evaluation of one window from an empty state."""
        from controlplane.rules.compile import compile_rules
        from controlplane.rules.evaluate import STATE, evaluate
        from controlplane.rules.load import RuleText, load_rules

        loaded = load_rules([RuleText("bench.yaml", rule_texts(RULES, folded=self.folded))])
        assert len(loaded.rules.rules) == RULES, loaded.problems[:3]
        compiled = compile_rules(loaded.rules)
        window = samples(self.series, STEPS)
        return lambda: evaluate(compiled, STATE.to_frame(), window, STEP_MS)


def samples(series: int, steps: int, *, first_ms: int = 0) -> "Samples":
    """Samples of ten signals with host, zone and disk as labels."""
    import polars as pl

    from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples

    number = pl.int_range(series, eager=True, dtype=pl.UInt32).alias("sid")
    frame = number.to_frame().select(
        "sid",
        pl.lit("bench").alias("source"),
        pl.lit("bench").alias("platform"),
        pl.format("m{}.value", pl.col("sid") % 10).alias("signal"),
        pl.concat_str(
            pl.lit('{"disk":"sd'),
            pl.col("sid") % 97,
            pl.lit('","host":"h'),
            pl.col("sid") // 100,
            pl.lit('","zone":"z'),
            pl.col("sid") % 3,
            pl.lit('"}'),
        ).alias("labels"),
    )
    start = first_ms or to_grid()
    values = (
        number.to_frame()
        .join(pl.DataFrame({"ts": [start + STEP_MS * step for step in range(steps)]}), how="cross")
        .with_columns(value=((pl.col("sid").cast(pl.Int64) * 7919 + pl.col("ts") // STEP_MS) % 1000).cast(pl.Float64))
    )
    coverage = pl.DataFrame(
        [("bench", "bench", f"m{n}.value", start, start + STEP_MS * (steps - 1)) for n in range(10)],
        COVERAGE,
        orient="row",
    )
    return Samples(frame.cast(SERIES), values.select(SAMPLES.names()).cast(SAMPLES), coverage)


def to_grid() -> int:
    """The first step, in ms."""
    return round(NOW.timestamp() * 1000)


@dataclass(frozen=True)
class Notify:
    """Alerts that fire at once, in so many incidents (platform, component and rule)."""

    alerts: int
    rules: int

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """The decision of one step."""
        from controlplane.model.alerts import Alert, AlertState, alert_id
        from controlplane.model.events import Draft
        from controlplane.model.payloads import AlertFired
        from controlplane.model.rules import Severity
        from controlplane.notify.decide import decide
        from controlplane.settings import Notify as NotifySettings
        from controlplane.settings import Route, Secret
        from controlplane.tick.alerts import facts_of

        active: dict[str, Alert] = {}
        drafts = []
        for number in range(self.alerts):
            rule, labels = f"rule-{number % self.rules}", {"host": f"h{number}"}
            alert = Alert(
                id=alert_id(rule, "bench", labels),
                rule=rule,
                source="bench",
                platform="bench",
                component="hosts",
                labels=labels,
                state=AlertState.FIRING,
                severity=Severity.CRITICAL,
                title=f"Rule {number % self.rules}",
                summary=f"h{number} is full",
                value=0.9,
                threshold="> 0.85",
                unit="1",
                active_at=NOW - timedelta(minutes=2),
                fired_at=NOW,
            )
            active[alert.id] = alert
            payload = AlertFired(facts=facts_of(alert))
            drafts.append(Draft(stream=f"alert:{alert.id}", key="0", payload=payload, occurred_at=NOW))
        routes = tuple(Route(name=name, url=Secret(env="BENCH")) for name in ("slack", "pagerduty"))
        settings = NotifySettings(routes=routes)
        return lambda: decide(
            NOW,
            drafts,
            incidents={},
            recommendations=(),
            alerts=active,
            routes=routes,
            notify=settings,
            environment="bench",
        )


@dataclass(frozen=True)
class Ticks:
    """The recorded evening, tick by tick, as in `controlplane demo`."""

    def __call__(self, folder: Path) -> Callable[[], object]:
        """Every tick of the evening; seconds of each."""
        from controlplane import bootstrap, demo
        from controlplane.rules.load import shipped_platforms
        from controlplane.tick import tick

        def evening() -> Seconds:
            settings = demo.settings(folder, shipped_platforms())
            plane = bootstrap.control_plane(settings)
            seconds = Seconds()
            now = demo.START
            while now < demo.END:
                now = min(demo.END, now + timedelta(minutes=1))
                with timed(seconds):
                    tick(plane, now)
            plane.log.close()
            return seconds

        return evening


CASES = (
    *(
        Case(
            f"rules-{series // 1000}k",
            f"{RULES} rules, {series:,} series × {STEPS} steps",
            Evaluate(series),
            runs,
            series * STEPS,
            "samples",
            target,
            why,
        )
        for series, runs, target, why in (
            (10_000, 5, None, ""),
            (100_000, 3, None, ""),
            (500_000, 2, 15.0, "four steps (60 s) have to be evaluated in less than one"),
        )
    ),
    Case(
        "rules-500k-folded",
        "the same, all of them by host, zone or disk",
        Evaluate(500_000, folded=True),
        2,
        500_000 * STEPS,
        "samples",
        15.0,
        "four steps have to be evaluated in less than one",
    ),
    Case("notify-spread", f"{ALERTS:,} alerts in 1,000 incidents", Notify(ALERTS, 1_000), 3, ALERTS, "alerts"),
    Case("notify-storm", f"{ALERTS:,} alerts in 1 incident", Notify(ALERTS, 1), 3, ALERTS, "alerts"),
    Case("tick", "a tick of the demo: 5 packs, 4 steps", Ticks(), 1, 0, "", 1.0, "a tick ends long before the next"),
)
