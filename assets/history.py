"""Dagster's own records of runs: there are thousands of ticks a day, and everything they did is in the event log."""

from collections.abc import Sequence
from pathlib import Path

from dagster import DagsterInstance, DagsterRun
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from sqlalchemy import delete

_AT_ONCE = 500


def forget(instance: DagsterInstance, runs: Sequence[DagsterRun]) -> None:
    """Delete runs with what Dagster leaves behind of a deleted run: check results, captured output, files."""
    for run in runs:
        instance.delete_run(run.run_id)
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage):
        ids = [run.run_id for run in runs]
        with storage.index_connection() as connection:
            for start in range(0, len(ids), _AT_ONCE):
                some = AssetCheckExecutionsTable.c.run_id.in_(ids[start : start + _AT_ONCE])
                connection.execute(delete(AssetCheckExecutionsTable).where(some))
    if isinstance(storage, SqliteEventLogStorage):
        for run in runs:
            Path(storage.path_for_shard(run.run_id)).unlink(missing_ok=True)
