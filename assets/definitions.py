"""Everything that Dagster loads."""

from dagster import Definitions, in_process_executor

from assets.checks import checks
from assets.decisions import decisions, notifications
from assets.jobs import maintenance, maintenance_schedule, tick_job, tick_sensor
from assets.resources import ControlPlaneResource
from assets.telemetry import inventory, kafka_lag, prometheus_samples

defs = Definitions(
    assets=[prometheus_samples, kafka_lag, inventory, decisions, notifications],
    asset_checks=[checks],
    jobs=[tick_job, maintenance],
    sensors=[tick_sensor],
    schedules=[maintenance_schedule],
    resources={"control_plane": ControlPlaneResource()},
    # Also for what is materialized by hand: a process a step would take seconds each.
    executor=in_process_executor,
)
