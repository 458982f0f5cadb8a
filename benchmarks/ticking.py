"""A whole tick over many series: answers of Prometheus in, events in the log out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import world
from benchmarks.measure import Case, Rival, Seconds, timed

if TYPE_CHECKING:
    from controlplane.frames import Samples
    from controlplane.telemetry.series_labels import LabelTexts

STEPS = 4
TURNS = 4


def answers(series: int, turn: int) -> Iterator[bytes]:
    """What Prometheus answers to a range query of each metric."""
    seconds = world.START_MS // 1000
    steps = range(turn * STEPS, (turn + 1) * STEPS)
    for metric in range(world.RULES):
        rows = []
        for number, sid in enumerate(range(metric, series, world.RULES)):
            host, disk, zone = world.place(number)
            values = ",".join(f'[{seconds + 15 * step},"{world.value(sid, step)}"]' for step in steps)
            rows.append(
                f'{{"metric":{{"__name__":"m{metric}","disk":"sd{disk}","host":"h{host}","instance":"bench:9100",'
                f'"job":"bench","zone":"z{zone}"}},"values":[{values}]}}'
            )
        yield f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(rows)}]}}}}'.encode()


@dataclass(frozen=True)
class Tick:
    """Ticks of four steps from the second on: decode, evaluate, append; through the sample store where `stored`."""

    series: int
    stored: bool = False

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The ticks; fetching isn't part of them."""
        from controlplane.eventlog.log import EventLog
        from controlplane.model.resources import Inventory
        from controlplane.rules.evaluate import STATE, evaluate
        from controlplane.rules.files import RuleText
        from controlplane.rules.load import load_rules
        from controlplane.telemetry.series_labels import LabelTexts
        from controlplane.telemetry.store import SampleStore
        from controlplane.tick.alerts import alert_drafts

        compiled = world.compiled()
        placed = {p.id: p for p in load_rules([RuleText("bench.yaml", world.rule_text())]).rules.rules}
        log = EventLog.open(f"sqlite:///{folder / 'events.db'}")
        store = SampleStore(folder / "telemetry.duckdb")
        texts = [LabelTexts({}) for _ in range(world.RULES)]
        state = STATE.to_frame()

        def tick(turn: int, bodies: Sequence[bytes]) -> None:
            nonlocal state
            window = _window(bodies, texts, turn)
            if self.stored:
                store.write([window])
                end = world.START_MS + (turn + 1) * STEPS * world.STEP_MS
                window = store.read(end - (STEPS + 1) * world.STEP_MS, end - world.STEP_MS)
            done = evaluate(compiled, state, window, world.STEP_MS)
            state = done.state
            now = world.NOW + timedelta(minutes=turn + 1)
            log.append(alert_drafts(placed, done.transitions, Inventory()), recorded_at=now)

        tick(0, list(answers(self.series, 0)))

        def work() -> Seconds:
            seconds = Seconds()
            for turn in range(1, 1 + TURNS):
                bodies = list(answers(self.series, turn))
                with timed(seconds):
                    tick(turn, bodies)
            return seconds

        return work


def _window(bodies: Sequence[bytes], texts: "Sequence[LabelTexts]", turn: int) -> "Samples":
    """The answers as samples on the grid, series numbered on."""
    import polars as pl

    from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
    from controlplane.telemetry.decode import decode, put_on_grid

    series, samples, first_sid = [], [], 0
    for metric, body in enumerate(bodies):
        decoded = decode(body)
        sid = (pl.col("sid") + first_sid).cast(pl.UInt32)
        labels = texts[metric].canonical(decoded.series["labels"])
        signal = pl.lit(f"m{metric}.value").alias("signal")
        series.append(
            decoded.series.select(
                sid, pl.lit("bench").alias("source"), pl.lit("bench").alias("platform"), signal, labels
            )
        )
        samples.append(put_on_grid(decoded.samples, world.STEP_MS).with_columns(sid))
        first_sid += len(labels)
    first = world.START_MS + turn * STEPS * world.STEP_MS
    last = first + (STEPS - 1) * world.STEP_MS
    coverage = [("bench", "bench", f"m{metric}.value", first, last) for metric in range(len(bodies))]
    return Samples(
        pl.concat(series).cast(SERIES),
        pl.concat(samples).cast(SAMPLES),
        pl.DataFrame(coverage, COVERAGE, orient="row"),
    )


def _case(series: int, *, stored: bool = False) -> Case:
    name = f"{series // 1000}k" if series < 1_000_000 else "1m"
    how = "decode, store, read back, evaluate, append" if stored else "decode, evaluate, append"
    return Case(
        f"tick-{'stored-' if stored else ''}{name}",
        f"{how}: {series:,} series × {STEPS} steps",
        Tick(series, stored),
        1,
        series * STEPS,
        "samples",
        rival=Rival(f"prometheus-{name}") if series == 500_000 else None,
    )


CASES = (
    *(_case(series) for series in (10_000, 100_000, 500_000, 1_000_000)),
    _case(500_000, stored=True),
)
