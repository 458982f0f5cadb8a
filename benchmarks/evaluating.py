"""Rules over many series: windows of four steps as in a tick, and of 200 steps as in a backtest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import world
from benchmarks.measure import Case, Rival, Seconds, timed

STEPS = 4
RUNS = 7


@dataclass(frozen=True)
class Evaluate:
    """Rules over windows of so many steps, one after the other, each from the state that the one before left."""

    series: int
    steps: int = STEPS
    rules: int = world.RULES
    first: bool = False
    """Nothing is remembered of the series: each window is the first that the rules see."""

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """A few windows."""
        from controlplane.rules.evaluate import STATE, evaluate

        compiled = world.compiled(self.rules)
        state = STATE.to_frame()
        if not self.first:
            window = world.samples(self.series, self.steps, rules=self.rules)
            state = evaluate(compiled, state, window, world.STEP_MS).state

        def work() -> Seconds:
            nonlocal state
            seconds = Seconds()
            for turn in range(1, 1 + (RUNS if not self.first else 3)):
                window = world.samples(self.series, self.steps, turn=turn, rules=self.rules)
                rules = world.compiled(self.rules) if self.first else compiled
                with timed(seconds):
                    done = evaluate(rules, state, window, world.STEP_MS)
                assert len(done.transitions)
                state = state if self.first else done.state
            return seconds

        return work


def _case(series: int) -> Case:
    name = f"{series // 1000}k" if series < 1_000_000 else "1m"
    # A few milliseconds pass however few the series are.
    faster = {10_000: 1, 100_000: 5, 500_000: 10}
    return Case(
        f"rules-{name}",
        f"{world.RULES} rules, {series:,} series × {STEPS} steps",
        Evaluate(series),
        1,
        series * STEPS,
        "samples",
        rival=Rival(f"prometheus-{name}", faster[series]) if series in faster else None,
    )


CASES = (
    *(_case(series) for series in (10_000, 100_000, 500_000, 1_000_000)),
    Case(
        "rules-first-500k",
        "the same, series never seen before",
        Evaluate(500_000, first=True),
        1,
        500_000 * STEPS,
        "samples",
        rival=Rival("prometheus-500k"),
    ),
    Case(
        "rules-window",
        "40 rules, 12,000 series × 200 steps",
        Evaluate(12_000, steps=200, rules=40),
        1,
        12_000 * 200,
        "samples",
        0.45,
        "half of three minutes for 202 such windows, a week of 2,000 instances",
    ),
)
