"""When things run: the tick every 15 seconds, maintenance once an hour."""

from datetime import UTC, datetime, timedelta

from dagster import (
    MAX_RUNTIME_SECONDS_TAG,
    AssetSelection,
    Config,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    Failure,
    OpExecutionContext,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    SensorEvaluationContext,
    SkipReason,
    define_asset_job,
    in_process_executor,
    job,
    op,
    sensor,
)

from assets.history import forget
from assets.launcher import INLINE_TAG
from assets.resources import ControlPlaneResource, configured, readable_errors
from assets.telemetry import NOW_TAG
from controlplane.maintenance import maintain
from controlplane.monitor.chain import note_whole

TICK_SECONDS = 15
ABANDONED = timedelta(minutes=15)
"""A tick that hasn't ended after so long was killed; it doesn't hold up the next one."""
UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
MAINTENANCE_SECONDS = 3_000
_QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
"""What happens in a run is in its events; printing that too would fill the disk at a tick every 15 s."""

tick_job = define_asset_job(
    "tick",
    selection=AssetSelection.all(),
    executor_def=in_process_executor,
    tags={INLINE_TAG: "tick"},
    config=_QUIET,
    description="Collect, evaluate, recommend and tell: everything since the last tick.",
)


@sensor(job=tick_job, minimum_interval_seconds=TICK_SECONDS, default_status=DefaultSensorStatus.RUNNING)
def tick_sensor(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """One run a cadence. A missed run needs nothing: the next tick evaluates every step since the last one."""
    if not configured():
        return SkipReason("there is no configuration; write one with `controlplane init`")
    now = datetime.now(UTC)
    lately = RunsFilter(job_name=tick_job.name, statuses=UNFINISHED, created_after=now - ABANDONED)
    if context.instance.get_runs_count(lately):
        return SkipReason("the last tick is still running; the next one catches up")
    return RunRequest(run_key=f"tick-{now.timestamp():.0f}", tags={NOW_TAG: now.isoformat()})


class History(Config):
    """What maintenance keeps of Dagster's records of ticks."""

    keep_hours: int = 2
    """Runs that succeeded; 240 an hour, a third of a megabyte each."""
    keep_failed_hours: int = 168


@op
def maintain_telemetry(context: OpExecutionContext, control_plane: ControlPlaneResource) -> None:
    """Mirror and archive the event log, roll samples up, drop what is past its retention and compact the file."""
    plane = control_plane.plane
    with readable_errors():
        done = maintain(control_plane.settings, plane.log, plane.store, datetime.now(UTC))
    report = done.telemetry
    context.add_output_metadata(
        {
            "mirrored_events": done.mirrored.appended,
            "archived_events": done.archived.events,
            "log_start": done.archived.start,
            "rolled_up": report.rolled_up,
            "rows": dict(report.rows_after),
            "bytes_before": report.bytes_before,
            "bytes_after": report.bytes_after,
        }
    )


@op
def verify_log(context: OpExecutionContext, control_plane: ControlPlaneResource) -> None:
    """Verify the whole hash chain; fails with the first broken link."""
    with readable_errors():
        log = control_plane.plane.log
        verification = log.verify()
        note_whole(control_plane.settings.home, log, verification, datetime.now(UTC))
    if not verification.ok:
        raise Failure(
            f"The event log was changed: {verification.problem}. Restore it from a backup, and find out who did it",
            metadata={"verified_events": verification.checked},
        )
    context.add_output_metadata({"verified_events": verification.checked})


@op
def delete_old_ticks(context: OpExecutionContext, config: History) -> None:
    """Delete finished ticks, the oldest first; everything they did is in the event log."""
    now, deleted = datetime.now(UTC), 0
    for status, hours in (
        (DagsterRunStatus.SUCCESS, config.keep_hours),
        (DagsterRunStatus.FAILURE, config.keep_failed_hours),
        (DagsterRunStatus.CANCELED, config.keep_failed_hours),
    ):
        old = RunsFilter(job_name=tick_job.name, statuses=[status], created_before=now - timedelta(hours=hours))
        while runs := context.instance.get_runs(old, limit=100, ascending=True):
            forget(context.instance, runs)
            deleted += len(runs)
    context.add_output_metadata({"deleted_runs": deleted})


@job(executor_def=in_process_executor, tags={MAX_RUNTIME_SECONDS_TAG: str(MAINTENANCE_SECONDS)})
def maintenance() -> None:
    """Keep the stores small, and verify that nobody changed the event log."""
    maintain_telemetry()
    verify_log()
    delete_old_ticks()


maintenance_schedule = ScheduleDefinition(
    job=maintenance, cron_schedule="7 * * * *", default_status=DefaultScheduleStatus.RUNNING
)
