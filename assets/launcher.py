"""A run launcher that does ticks inline in the daemon and starts a process for everything else.

A tick is short and frequent; starting a process for it costs seconds. The stock launcher works as well, only
slower. This builds on private modules of Dagster, therefore its version is pinned exactly.
"""

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.execution.api import execute_run
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._utils.hosted_user_process import recon_job_from_origin

INLINE_TAG = "controlplane/inline"
"""Runs with this tag are done inline; they must be short, and they can't be terminated from outside."""

_under_way: set[str] = set()
"""Inline runs of this process; the monitoring thread asks through another instance of the launcher."""


class HybridRunLauncher(DefaultRunLauncher):
    """Inline for tagged runs, a process of its own for the rest; made for the queue of the daemon."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Execute or launch; a failing inline run is recorded like any other and leaves the daemon alive."""
        origin = context.job_code_origin
        run = context.dagster_run
        if INLINE_TAG not in run.tags or origin is None:
            super().launch_run(context)
            return
        _under_way.add(run.run_id)
        try:
            execute_run(recon_job_from_origin(origin), run, self._instance)
        finally:
            _under_way.discard(run.run_id)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring marks inline runs as failed whose daemon was killed."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """An inline run that this daemon isn't doing is lost; of other runs nothing bad is known."""
        if INLINE_TAG in run.tags and run.run_id not in _under_way:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the daemon that was doing this tick has ended")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
