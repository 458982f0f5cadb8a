"""A small control plane on a recording, for tests of the Dagster side, and what Dagster recorded of its runs."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dagster import AssetCheckEvaluation, DagsterInstance, JobDefinition

from assets.definitions import defs
from assets.telemetry import NOW_TAG
from controlplane.eventlog.log import EventLog
from controlplane.model.events import Event
from controlplane.model.time import to_ms
from tests.servers import free_port

STEP = timedelta(seconds=15)
T0 = datetime(2026, 3, 12, 18, tzinfo=UTC)
RULES = """
platform: shop
component: web
signals:
  - {name: web.queue.length, unit: "{request}", description: Requests that wait.}
rules:
  - id: shop-queue
    kind: alert
    title: Requests wait
    signal: web.queue.length
    when: "> 100"
    for: 30s
    missing: resolve
    severity: critical
    summary: "{value:,.0f} requests wait on {host}"
    basis: house
    rationale: A hundred requests are more than a second of work.
"""
Row = tuple[datetime, str, dict[str, str], float | None]
"""Time, platform, labels, value."""


def steps(count: int, start: datetime = T0) -> list[datetime]:
    """The grid steps after `start`."""
    return [start + n * STEP for n in range(1, count + 1)]


def queue(count: int, value: Callable[[int], float | None], host: str = "web-1", platform: str = "shop") -> list[Row]:
    """A sample a step, numbered from 0."""
    return [(at, platform, {"host": host}, value(n)) for n, at in enumerate(steps(count))]


@dataclass
class Plane:
    """Settings, rules and a recording in a folder; `write` puts them there anew."""

    folder: Path
    rows: list[Row] = field(default_factory=list)
    rules: str = RULES
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "controlplane.yaml"

    @property
    def recording(self) -> Path:
        """The file behind the source `rec`."""
        return self.folder / "rec.csv"

    def write(self) -> None:
        """Write all files."""
        self.folder.mkdir(exist_ok=True)
        lines = ["ts,signal,platform,labels,value"]
        for at, platform, labels, value in self.rows:
            text = json.dumps(labels).replace('"', '""')
            number = "NaN" if value is None else value
            lines.append(f'{to_ms(at)},web.queue.length,{platform},"{text}",{number}')
        self.recording.write_text("\n".join(lines) + "\n")
        (self.folder / "web.yaml").write_text(self.rules)
        source = {"name": "rec", "type": "recorded", "path": "rec.csv", "lookback": "5m"}
        serve = {"address": f"127.0.0.1:{free_port()}"}
        settings = {"home": "home", "rules": ["web.yaml"], "sources": [source], "serve": serve, **self.settings}
        self.config.write_text(yaml.safe_dump(settings))

    def log(self) -> EventLog:
        """The event log, to be closed by the caller."""
        return EventLog.open(f"sqlite:///{self.folder}/home/events.db")

    def events(self, *types: str) -> list[Event]:
        """All events, or those of these types."""
        with self.log() as log:
            return list(log.read(types=types or None))


@dataclass(frozen=True)
class Ran:
    """What Dagster recorded of a run."""

    success: bool
    metadata: dict[str, dict[str, Any]]
    """Asset → its metadata."""
    checks: dict[str, AssetCheckEvaluation]
    failures: dict[str, str]
    """Step → the message of its failure."""
    warnings: list[str]


@cache
def job(name: str) -> JobDefinition:
    """A job of the code location."""
    return defs.resolve_job_def(name)


def tick(instance: DagsterInstance, now: datetime) -> Ran:
    """Execute the tick's job in this process, for this telemetry time."""
    done = job("tick").execute_in_process(instance=instance, tags={NOW_TAG: now.isoformat()}, raise_on_error=False)
    return recorded(instance, done.run_id)


def recorded(instance: DagsterInstance, run_id: str) -> Ran:
    """What is known of a run."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    metadata: dict[str, dict[str, Any]] = {}
    checks: dict[str, AssetCheckEvaluation] = {}
    failures: dict[str, str] = {}
    warnings: list[str] = []
    for entry in instance.all_logs(run_id):
        event = entry.dagster_event
        if event is None:
            warnings += [entry.user_message] if entry.level == 30 else []
        elif event.is_step_materialization:
            made = event.step_materialization_data.materialization
            metadata[made.asset_key.to_user_string()] = {name: value.value for name, value in made.metadata.items()}
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            found = event.asset_check_evaluation_data
            checks[found.check_name] = found
        elif event.is_step_failure and event.step_key is not None:
            error = event.step_failure_data.error
            failures[event.step_key] = error.message if error is not None else ""
    return Ran(run.is_success, metadata, checks, failures, warnings)
