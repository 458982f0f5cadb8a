"""The Dagster side as it runs: definitions, ticks, checks, sensor, launcher, maintenance and the services."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import requests
import yaml
from dagster import (
    AssetCheckSeverity,
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Definitions,
    RunRequest,
    RunsFilter,
    SkipReason,
    build_init_resource_context,
    build_schedule_context,
    build_sensor_context,
)
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from assets import checks, jobs
from assets.definitions import defs
from assets.jobs import maintenance_schedule, tick_sensor
from assets.launcher import INLINE_TAG, HybridRunLauncher
from assets.resources import ControlPlaneResource
from assets.telemetry import NOW_TAG
from controlplane.model.payloads import SamplesIngested
from controlplane.model.time import to_ms
from controlplane.services import INSTANCE
from tests.dagster_plane import RULES, STEP, T0, Plane, job, queue, recorded, tick
from tests.drafts import draft
from tests.drafts import tick as completed
from tests.servers import eventually, free_port

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plane:
    """A queue that grows beyond its threshold with the third step."""
    monkeypatch.delenv("CONTROLPLANE_HOME", raising=False)
    made = Plane(tmp_path / "plane", queue(40, lambda n: 50.0 if n < 2 else 200.0))
    made.write()
    monkeypatch.setenv("CONTROLPLANE_CONFIG", str(made.config))
    return made


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance with files, configured as the services configure theirs."""
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(INSTANCE))
    with DagsterInstance.from_config(str(home)) as made:
        yield made


# definitions


def test_definitions_load() -> None:
    Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    groups = {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert groups == {
        "prometheus_samples": "telemetry",
        "kafka_lag": "telemetry",
        "inventory": "telemetry",
        "alerts": "decisions",
        "recommendations": "decisions",
        "notifications": "delivery",
    }
    for key in graph.get_all_asset_keys():
        assert graph.get(key).description, key
        assert graph.get(key).kinds, key
    described = {key.name: graph.get_check_spec(key).description for key in graph.asset_check_keys}
    assert described.keys() == {check.__name__ for found in checks.CHECKS.values() for check in found}
    assert all(described.values())
    assert graph.get(AssetKey("notifications")).parent_keys == {AssetKey("alerts"), AssetKey("recommendations")}
    assert tick_sensor.default_status is DefaultSensorStatus.RUNNING
    assert tick_sensor.minimum_interval_seconds == 15
    assert maintenance_schedule.default_status is DefaultScheduleStatus.RUNNING


def test_the_command_line_doesnt_load_dagster() -> None:
    seen = "import sys, controlplane.cli; sys.exit(any(name.split('.')[0] == 'dagster' for name in sys.modules))"
    subprocess.run([sys.executable, "-c", seen], check=True, cwd=ROOT, timeout=30)


# the tick


def test_a_tick_appends_what_happened_and_tells_it(plane: Plane, instance: DagsterInstance) -> None:
    first, second = tick(instance, T0 + 3 * STEP), tick(instance, T0 + 8 * STEP)
    assert (first.success, first.failures, first.warnings) == (True, {}, [])
    assert first.metadata["prometheus_samples"].items() >= {"rows": 3, "series": 1, "sources": 1, "failures": 0}.items()
    assert first.metadata["alerts"].items() >= {"steps": 20, "rows": 3, "pending": 1, "fired": 0}.items()
    assert second.metadata["alerts"].items() >= {"steps": 5, "rows": 5, "fired": 1, "transitions": 1}.items()
    assert second.metadata["alerts"]["active"] == 1
    assert second.metadata["recommendations"].items() >= {"proposed": 0, "open": 0}.items()
    for name in ("prometheus_samples", "kafka_lag", "inventory", "alerts", "recommendations", "notifications"):
        assert 0 <= second.metadata[name]["milliseconds"] < 30_000, name
    assert all(found.passed for found in second.checks.values())
    assert len(second.checks) == 8

    alerts = [(event.type, event.occurred_at) for event in plane.events() if event.type.startswith("alert_")]
    # The third step is the first above the threshold, and `for` is two steps.
    assert alerts == [("alert_pending.v1", T0 + 3 * STEP), ("alert_fired.v1", T0 + 5 * STEP)]
    assert len(plane.events("tick_completed.v1")) == 2


def test_the_same_tick_again_appends_nothing(plane: Plane, instance: DagsterInstance) -> None:
    tick(instance, T0 + 6 * STEP)
    before = plane.events()
    again = tick(instance, T0 + 6 * STEP)
    assert again.success
    assert again.metadata["alerts"]["steps"] == 0
    assert plane.events() == before


def test_missed_ticks_are_caught_up(plane: Plane, instance: DagsterInstance) -> None:
    for step in (1, 2, 33, 34):  # thirty ticks in between are missed
        assert tick(instance, T0 + step * STEP).success
    windows = [event.payload for event in plane.events("samples_ingested.v1")]
    assert all(isinstance(window, SamplesIngested) for window in windows)
    assert [window.end_ms for window in windows] == [to_ms(T0 + step * STEP) for step in (1, 2, 33, 34)]
    assert all(after.start_ms == before.end_ms for before, after in pairwise(windows))
    assert sum(window.skipped_ms for window in windows) == 0
    assert [window.rows for window in windows] == [1, 1, 31, 1]


def test_stages_can_be_run_alone(plane: Plane, instance: DagsterInstance) -> None:
    """A materialization by hand has no tag, and needs no other stage in the same run."""
    assert tick(instance, T0 + 2 * STEP).success
    done = job("tick").execute_in_process(
        instance=instance,
        tags={NOW_TAG: (T0 + 6 * STEP).isoformat()},
        asset_selection=[AssetKey("alerts"), AssetKey("recommendations")],
    )
    found = recorded(instance, done.run_id)
    assert (found.metadata["alerts"]["steps"], found.metadata["alerts"]["fired"]) == (4, 1), "it collects by itself"
    assert found.checks.keys() == {"rules_are_usable", "identities_are_unique", "hash_chain_holds"}


def test_a_broken_configuration_says_what_is_wrong_and_heals(plane: Plane, instance: DagsterInstance) -> None:
    plane.settings = {"platfroms": ["catalyst"]}
    plane.write()
    broken = tick(instance, T0 + STEP)
    assert not broken.success
    assert broken.failures.keys() == {"prometheus_samples", "kafka_lag", "inventory"}
    for message in broken.failures.values():
        assert f"{plane.config}:" in message
        assert "unknown key 'platfroms'. Did you mean 'platforms'?" in message
    plane.settings = {}
    plane.write()
    assert tick(instance, T0 + 2 * STEP).success


def test_two_ticks_at_once_are_impossible(
    plane: Plane, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.tick.run.PATIENCE_SECONDS", 0.1)
    tick(instance, T0 + STEP)
    with opened(plane) as control, control.plane.lock:
        found = tick(instance, T0 + 2 * STEP)
    assert not found.success
    assert "a tick is running already" in found.failures["decisions"]
    after = tick(instance, T0 + 3 * STEP)
    assert after.metadata["alerts"]["steps"] == 2, "the next one does what it could not"


# checks


@contextmanager
def opened(plane: Plane) -> Iterator[ControlPlaneResource]:
    """The resource outside a run."""
    resource = ControlPlaneResource(config=str(plane.config))
    with resource.yield_for_execution(build_init_resource_context()) as control:
        yield control


def _file_is_away(plane: Plane) -> None:
    plane.recording.unlink()


def _many_nans(plane: Plane) -> None:
    plane.rows = queue(40, lambda n: None if n % 10 == 0 else 1.0)
    plane.write()


def _two_of_the_same(plane: Plane) -> None:
    plane.rows += queue(40, lambda n: 1.0, platform="")
    plane.write()


def _unusable_rule(plane: Plane) -> None:
    plane.rules = RULES.replace('"> 100"', '">> 100"')
    plane.write()


def _inventory_is_away(plane: Plane) -> None:
    source = {"name": "rec", "type": "recorded", "path": "rec.csv", "lookback": "5m"}
    hosts = {"name": "hosts", "type": "inventory", "platform": "shop", "path": "hosts.yaml"}
    plane.settings = {"sources": [source, hosts]}
    plane.write()


def _nobody_listens(plane: Plane) -> None:
    channel = {"name": "pager", "url": {"file": str(plane.folder / "channel")}}
    (plane.folder / "channel").write_text(f"json://127.0.0.1:{free_port()}")
    plane.settings = {
        "notify": {"max_age": "36500d", "channels": [channel], "route": {"channels": ["pager"], "group_wait": "0s"}}
    }
    plane.write()


def _too_old_to_be_sent(plane: Plane) -> None:
    _nobody_listens(plane)
    plane.settings["notify"]["max_age"] = "1m"
    plane.write()


@pytest.mark.parametrize(
    ("spoil", "failing", "severity", "told"),
    [
        (_file_is_away, "samples_are_fresh", AssetCheckSeverity.ERROR, "rec.csv"),
        (_many_nans, "values_are_numbers", AssetCheckSeverity.WARN, "0.1"),
        (_two_of_the_same, "identities_are_unique", AssetCheckSeverity.ERROR, "shop-queue"),
        (_unusable_rule, "rules_are_usable", AssetCheckSeverity.WARN, "web.yaml"),
        (_inventory_is_away, "inventories_are_readable", AssetCheckSeverity.ERROR, "hosts.yaml"),
        (_nobody_listens, "messages_get_through", AssetCheckSeverity.ERROR, "retried': JsonMetadataValue(data={'"),
        (_too_old_to_be_sent, "messages_get_through", AssetCheckSeverity.ERROR, "a_day': JsonMetadataValue(data={'"),
    ],
)
def test_what_is_wrong_fails_its_check_and_not_the_run(
    plane: Plane,
    instance: DagsterInstance,
    spoil: Callable[[Plane], None],
    failing: str,
    severity: AssetCheckSeverity,
    told: str,
) -> None:
    spoil(plane)
    found = tick(instance, T0 + 20 * STEP)
    assert found.success, found.failures
    assert {name for name, check in found.checks.items() if not check.passed} == {failing}
    assert found.checks[failing].severity is severity
    assert told in str(found.checks[failing].metadata)


def test_a_failing_source_is_a_warning_and_recovers(plane: Plane, instance: DagsterInstance) -> None:
    tick(instance, T0 + STEP)
    _file_is_away(plane)
    failed = tick(instance, T0 + 2 * STEP)
    assert failed.success
    assert len(failed.warnings) == 1
    assert "rec.csv" in failed.warnings[0]
    assert failed.metadata["prometheus_samples"]["failures"] == 1
    plane.write()
    healed = tick(instance, T0 + 3 * STEP)
    assert healed.checks["samples_are_fresh"].passed
    assert healed.metadata["alerts"]["steps"] == 2, "nothing of the failure is lost"


@pytest.mark.parametrize(("steps_late", "fresh"), [(0, True), (20, True), (21, False), (1_000, False)])
def test_a_source_is_stale_after_twenty_steps(
    plane: Plane, instance: DagsterInstance, steps_late: int, fresh: bool
) -> None:
    tick(instance, T0 + STEP)
    late = T0 + (1 + steps_late) * STEP
    with plane.log() as log:
        log.append([draft(completed(now=late), "tick", "late")], recorded_at=late)
    with opened(plane) as control:
        found = checks.samples_are_fresh(control)
    assert found.passed is fresh


def test_a_source_that_never_answered_is_stale(plane: Plane) -> None:
    with opened(plane) as control:
        assert "has never answered" in str(checks.samples_are_fresh(control).metadata)


def _break_chain(plane: Plane, position: int) -> None:
    with sqlite3.connect(plane.folder / "home" / "events.db") as database:
        database.execute("DROP TRIGGER events_no_update")
        database.execute("UPDATE events SET actor = 'mallory' WHERE position = ?", (position,))


def test_a_changed_log_fails_the_check_and_the_maintenance(
    plane: Plane, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(instance, T0 + STEP)
    _break_chain(plane, 2)
    found = tick(instance, T0 + 2 * STEP)
    assert found.success
    assert not found.checks["hash_chain_holds"].passed
    assert "position 2" in str(found.checks["hash_chain_holds"].metadata)

    monkeypatch.setattr(checks, "LINKS", 2)
    assert tick(instance, T0 + 3 * STEP).checks["hash_chain_holds"].passed, "a tick looks at the newest links alone"
    done = job("maintenance").execute_in_process(instance=instance, raise_on_error=False)
    after = recorded(instance, done.run_id)
    assert not after.success
    assert "The event log was changed: position 2" in after.failures["verify_log"]


# sensor and schedule


def test_without_configuration_the_sensor_skips(
    instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTROLPLANE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    found = tick_sensor(build_sensor_context(instance=instance))
    assert isinstance(found, SkipReason)
    assert "controlplane init" in str(found.skip_message)


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        (DagsterRunStatus.NOT_STARTED, True),
        (DagsterRunStatus.STARTING, True),
        (DagsterRunStatus.STARTED, True),
        (DagsterRunStatus.CANCELING, True),
        (DagsterRunStatus.SUCCESS, False),
        (DagsterRunStatus.FAILURE, False),
    ],
)
def test_the_sensor_waits_for_the_tick_under_way(
    plane: Plane,
    instance: DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    status: DagsterRunStatus,
    waits: bool,
) -> None:
    instance.create_run_for_job(job("tick"), status=status)
    found = tick_sensor(build_sensor_context(instance=instance))
    assert isinstance(found, SkipReason if waits else RunRequest)
    monkeypatch.setattr(jobs, "ABANDONED", timedelta(seconds=-1))
    found = tick_sensor(build_sensor_context(instance=instance))
    assert isinstance(found, RunRequest), "one that never ended doesn't hold up the next one for ever"
    assert NOW_TAG in found.tags


def test_maintenance_is_due_every_hour() -> None:
    context = build_schedule_context(scheduled_execution_time=T0)
    (request,) = maintenance_schedule.evaluate_tick(context).run_requests or []
    assert request.job_name in (None, "maintenance")
    assert maintenance_schedule.cron_schedule == "7 * * * *"


# maintenance


def _files(instance: DagsterInstance, run_id: str) -> list[Path]:
    return [path for path in Path(instance.root_directory).rglob("*") if run_id in path.name]


def _check_results(instance: DagsterInstance) -> int:
    with sqlite3.connect(Path(instance.root_directory) / "history" / "runs" / "index.db") as database:
        return int(database.execute("SELECT count(*) FROM asset_check_executions").fetchone()[0])


def test_maintenance_keeps_the_stores_small(plane: Plane, stored: DagsterInstance) -> None:
    for step in (1, 2):
        assert tick(stored, T0 + step * STEP).success
    plane.settings = {"platfroms": []}
    plane.write()
    assert not tick(stored, T0 + 3 * STEP).success
    plane.settings = {}
    plane.write()
    good = stored.get_run_ids(RunsFilter(statuses=[DagsterRunStatus.SUCCESS]))
    (bad,) = stored.get_run_ids(RunsFilter(statuses=[DagsterRunStatus.FAILURE]))
    assert all(_files(stored, run_id) for run_id in good)
    assert _check_results(stored) == 24, "eight of each, the failed one planned them"

    kept = job("maintenance").execute_in_process(instance=stored)
    assert set(stored.get_run_ids()) >= {*good, bad}, "nothing is old yet"

    config = {"ops": {"delete_old_ticks": {"config": {"keep_hours": 0}}}}
    done = job("maintenance").execute_in_process(instance=stored, run_config=config)
    assert done.success
    assert not set(stored.get_run_ids()) & set(good)
    assert bad in stored.get_run_ids(), "failures are kept for longer"
    assert not any(_files(stored, run_id) for run_id in good)
    assert _check_results(stored) == 8
    assert kept.run_id in stored.get_run_ids(), "only ticks are deleted"
    assert tick(stored, T0 + 4 * STEP).success


# the launcher


@pytest.fixture
def workspace(stored: DagsterInstance, plane: Plane) -> Iterator[WorkspaceProcessContext]:
    """A real code server, as the daemon sees it."""
    target = ModuleTarget("assets.definitions", None, str(ROOT), "controlplane")
    with WorkspaceProcessContext(stored, target) as context:
        yield context


def _launched(workspace: WorkspaceProcessContext, name: str, tags: dict[str, str]) -> DagsterRun:
    """A run launched as the queue of the daemon does it."""
    request = workspace.create_request_context()
    location = request.get_code_location("controlplane")
    remote = next(iter(location.get_repositories().values())).get_full_job(name)
    run = workspace.instance.create_run_for_job(
        job(name),
        tags={**remote.tags, **tags},
        remote_job_origin=remote.get_remote_origin(),
        job_code_origin=remote.get_python_origin(),
    )
    workspace.instance.launch_run(run.run_id, request)
    found = workspace.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def _pids(instance: DagsterInstance, run_id: str) -> set[str]:
    logs = instance.all_logs(run_id)
    return {str(entry.dagster_event.pid) for entry in logs if entry.dagster_event and entry.dagster_event.pid}


def test_the_hybrid_launcher(workspace: WorkspaceProcessContext, plane: Plane) -> None:
    instance = workspace.instance
    assert isinstance(instance.run_launcher, HybridRunLauncher)
    good = _launched(workspace, "tick", {NOW_TAG: (T0 + 6 * STEP).isoformat()})
    assert good.status is DagsterRunStatus.SUCCESS, "when the launch returns, the tick is done"
    assert recorded(instance, good.run_id).metadata["alerts"]["fired"] == 1

    plane.settings = {"platfroms": []}
    plane.write()
    bad = _launched(workspace, "tick", {})
    assert bad.status is DagsterRunStatus.FAILURE
    assert "unknown key" in recorded(instance, bad.run_id).failures["inventory"]
    plane.settings = {}
    plane.write()
    assert _launched(workspace, "tick", {NOW_TAG: (T0 + 7 * STEP).isoformat()}).is_success

    other = _launched(workspace, "maintenance", {})
    assert not other.is_finished, "everything else is done in a process of its own"
    eventually(lambda: recorded(instance, other.run_id).success, "maintenance is done", 60)
    assert os.getpid() not in {int(pid) for pid in _pids(instance, other.run_id)}

    lost = instance.create_run_for_job(job("tick"), status=DagsterRunStatus.STARTED, tags={INLINE_TAG: "tick"})
    own = instance.create_run_for_job(job("maintenance"), status=DagsterRunStatus.STARTED)
    for problem in execute_run_monitoring_iteration(workspace, logging.getLogger("monitoring")):
        assert problem is None
    after = {run.run_id: run.status for run in instance.get_runs(RunsFilter(run_ids=[lost.run_id, own.run_id]))}
    assert after == {lost.run_id: DagsterRunStatus.FAILURE, own.run_id: DagsterRunStatus.STARTED}


# the services

CHILD = """
import signal, subprocess, sys
from controlplane.services import _as_child
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "60"], preexec_fn=_as_child())
print(child.pid, flush=True)
child.wait()
"""


def _ignored(pid: int) -> int:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["SigIgn"], 16)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _children(pid: int) -> set[int]:
    """All descendants of a process."""
    found = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found |= {int(child) for child in path.read_text().split()}
    return found.union(*(_children(child) for child in found))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_a_killed_parent_takes_its_services_along() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        eventually(lambda: not _ignored(child) & (1 << (signal.SIGINT - 1)), "SIGINT means something to the child")
        parent.kill()
    eventually(lambda: not _alive(child), "the child has ended")


def _up(plane: Plane, port: int, log: Path, **env: str) -> "subprocess.Popen[bytes]":
    program = "import sys; from controlplane.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "up", "--no-tui", "--port", str(port)]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, "CONTROLPLANE_CONFIG": str(plane.config), **env},
        )


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_controlplane_up(plane: Plane, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "up.log"
    process = _up(plane, port, log)
    try:
        eventually(lambda: process.poll() is not None or plane.events("tick_completed.v1"), "a tick is done", 90)
        assert process.poll() is None, log.read_text()
        eventually(lambda: f"http://127.0.0.1:{port}" in log.read_text(), "its pages are there", 60)

        twice = _up(plane, free_port(), tmp_path / "twice.log")
        taken = _up(plane, port, tmp_path / "taken.log", CONTROLPLANE_HOME=str(tmp_path / "other"))
        assert (twice.wait(30), taken.wait(30)) == (2, 2)
        assert "are running already" in (tmp_path / "twice.log").read_text()
        assert f"port {port} is taken" in (tmp_path / "taken.log").read_text()

        served = yaml.safe_load(plane.config.read_text())["serve"]["address"]
        assert f"http://{served}/metrics" in log.read_text()
        assert "controlplane_ticks_total" in requests.get(f"http://{served}/metrics", timeout=10).text
        assert (plane.folder / "home" / "vitals" / "tick.json").exists()

        children = _children(process.pid)
        assert len(children) >= 4
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, log.read_text()
        assert not [pid for pid in children if _alive(pid)]
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()
    with DagsterInstance.from_config(str(plane.folder / "home" / "dagster")) as instance:
        runs = instance.get_runs(RunsFilter(job_name="tick"))
        assert runs
        assert {run.status for run in runs} <= {DagsterRunStatus.SUCCESS, DagsterRunStatus.QUEUED}
        assert all(INLINE_TAG in run.tags for run in runs)
