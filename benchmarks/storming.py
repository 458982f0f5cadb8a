"""A storm: 10,000 alerts of four zones fire in one tick, and a tick in which they go on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Case, Seconds, timed

ALERTS = 10_000
ZONES = 4
NOW = datetime(2026, 3, 12, 18, tzinfo=UTC)
STEP = timedelta(seconds=15)
_RULES = """\
platform: bench
component: hosts
signals:
  - {name: host.up, unit: "1", prometheus: up}
rules:
  - id: bench-host-down
    kind: alert
    title: A host doesn't answer
    signal: host.up
    when: "< 1"
    severity: critical
    summary: "{host} doesn't answer"
    basis: house
    rationale: a benchmark
"""


@dataclass(frozen=True)
class Storm:
    """Samples, inventory and rules on disk; a tick is the whole of it, from the recording to the committed events."""

    calm: bool = False
    """Time the tick after the storm instead, in which all of them still fire."""

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The tick in which they fire; everything before it isn't timed."""
        import polars as pl
        import yaml

        from controlplane import bootstrap
        from controlplane.settings import Settings
        from controlplane.tick import tick

        rows = [
            (NOW + STEP * step, "host.up", f'{{"host":"h{number}","zone":"z{number % ZONES}"}}', float(step < 0))
            for number in range(ALERTS)
            for step in (-1, 0, 1)
        ]
        pl.DataFrame(rows, schema=["ts", "signal", "labels", "value"], orient="row").write_parquet(folder / "s.parquet")
        hosts = [{"id": f"h{number}", "kind": "host", "zone": f"z{number % ZONES}"} for number in range(ALERTS)]
        (folder / "inventory.yaml").write_text(yaml.safe_dump({"resources": hosts}))
        (folder / "rules").mkdir()
        (folder / "rules" / "bench.yaml").write_text(_RULES)
        source = {
            "name": "rec",
            "type": "recorded",
            "platform": "bench",
            "path": folder / "s.parquet",
            "lookback": "1m",
        }
        inventory = {"name": "inv", "type": "inventory", "platform": "bench", "path": folder / "inventory.yaml"}
        channels = [{"name": name, "url": {"env": f"BENCH_{name.upper()}"}} for name in ("slack", "pagerduty")]
        route = {"channels": ["slack", "pagerduty"], "group_by": ["platform", "zone"], "group_wait": "0s"}
        settings = Settings.model_validate(
            {
                "home": folder,
                "rules": [folder / "rules"],
                "sources": [source, inventory],
                "notify": {"channels": channels, "route": route},
            }
        )
        plane = bootstrap.control_plane(settings)
        for before in range(2 if self.calm else 1):
            tick(plane, NOW + STEP * (before - 1))

        def work() -> Seconds:
            seconds = Seconds()
            with timed(seconds):
                done = tick(plane, NOW + STEP * self.calm).decided[-1]
            if not self.calm and (done.fired != ALERTS or done.notifications != 2 * ZONES):
                raise AssertionError(f"{done.fired} fired, {done.notifications} messages")
            plane.log.close()
            return seconds

        return work


CASES = (
    Case(
        "tick-storm",
        f"a tick in which {ALERTS:,} alerts of {ZONES} zones fire: evaluate, decide, append",
        Storm(),
        1,
        ALERTS,
        "alerts",
        10.0,
        "a storm is told within ten seconds",
    ),
    Case("tick-stormy", f"the next tick, in which {ALERTS:,} alerts go on", Storm(calm=True), 1, ALERTS, "alerts"),
)
