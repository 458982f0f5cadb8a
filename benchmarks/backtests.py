"""Backtests of a fleet: 2,000 instances with six signals every 15 s, 40 rules."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Case
from benchmarks.world import START_MS, STEP_MS

INSTANCES = 2_000
SIGNALS = 6
RULES = 40
STEPS_AN_HOUR = 3_600_000 // STEP_MS
AN_HOUR = INSTANCES * SIGNALS * STEPS_AN_HOUR
_FOLDS = ("", "  by: [host]\n  fold: avg\n", "  by: [zone]\n  fold: max\n")


def rule_text() -> str:
    """A third of the rules each without folding, mean by host and maximum by zone."""
    signals = "".join(f"- {{name: m{number}.value, unit: '1'}}\n" for number in range(SIGNALS))
    made = "".join(
        f"- id: rule-{number}\n  kind: alert\n  title: Rule {number}\n  signal: m{number % SIGNALS}.value\n"
        f"{_FOLDS[number // SIGNALS % 3]}  when: '> {700 + number}'\n  for: {30 * (number % 4)}s\n  severity: warning\n"
        f"  summary: 'value {{value:.1f}}'\n  basis: house\n  rationale: made for measuring\n"
        for number in range(RULES)
    )
    return f"platform: bench\ncomponent: rules\nsignals:\n{signals}rules:\n{made}"


def write(path: Path, hours: int) -> None:
    """A file in the order of time; in every hour one series in 2,000 is beyond the thresholds for ten minutes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("ts", pa.int64()), ("signal", text), ("labels", text), ("value", pa.float64())])
    series = INSTANCES * SIGNALS
    signals = pa.array([f"m{number}.value" for number in range(SIGNALS)])
    labels = pa.array([f'{{"host":"h{number}","zone":"z{number % 3}"}}' for number in range(INSTANCES)])
    of_signal = np.repeat(np.arange(SIGNALS, dtype=np.int32), INSTANCES)
    of_labels = np.tile(np.arange(INSTANCES, dtype=np.int32), SIGNALS)
    chance = np.random.default_rng(7)
    third = STEPS_AN_HOUR // 3
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["signal", "labels"]) as writer:
        for part in range(3 * hours):
            first = START_MS + part * third * STEP_MS
            value = np.round(chance.random((third, series)) * 500, 1)
            if part % 3 == 1:
                value[: third // 2, chance.choice(series, series // 2_000, replace=False)] += 500
            columns = [
                np.repeat(first + STEP_MS * np.arange(third, dtype=np.int64), series),
                pa.DictionaryArray.from_arrays(np.tile(of_signal, third), signals),
                pa.DictionaryArray.from_arrays(np.tile(of_labels, third), labels),
                value.ravel(),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=third * series)


@dataclass(frozen=True)
class Backtest:
    """Everything from the files to the document."""

    hours: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The backtest of so many hours."""
        from datetime import timedelta
        from tempfile import TemporaryDirectory

        from controlplane.backtest.report import Night
        from controlplane.backtest.setup import Asked, backtest, prepare

        rules, samples = folder / "rules.yaml", folder / "samples.parquet"
        rules.write_text(rule_text(), encoding="utf-8")
        write(samples, self.hours)
        asked = Asked(((rules,),), samples, timedelta(milliseconds=STEP_MS))

        def run() -> object:
            with TemporaryDirectory(dir=folder) as name:
                ready = prepare(asked, Path(name), _quiet)
                (document,) = backtest(ready, Path(name), Night(), _quiet).documents
            assert document["summary"]["samples"] == AN_HOUR * self.hours
            assert document["summary"]["alerts"] > 0
            return document

        return run


def _quiet(_what: str, _share: float) -> None:
    pass


_ABOUT = f"{INSTANCES:,} instances × {SIGNALS} signals, {RULES} rules"

CASES = (
    Case("backtest-1h", f"an hour of {_ABOUT}", Backtest(1), 3, AN_HOUR, "samples", 180 / 168, "a week in 3 minutes"),
    Case(
        "backtest-7d",
        f"a week of {_ABOUT}",
        Backtest(168),
        1,
        168 * AN_HOUR,
        "samples",
        180.0,
        "somebody waits for it",
        on_request=True,
    ),
)
