"""What comes in: samples of Prometheus and of the Kafka brokers, and the inventories."""

import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, asset

from assets.resources import ControlPlaneResource, readable_errors
from controlplane.settings import KafkaSource, PrometheusSource, RecordedSource, Settings
from controlplane.tick.collect import collect
from controlplane.tick.inventory import take_inventory

NOW_TAG = "controlplane/now"
"""Run tag with the telemetry time to catch up with (ISO-8601); absent = the time at which the asset runs."""

SampleSource = PrometheusSource | RecordedSource | KafkaSource
SAMPLED: tuple[type[SampleSource], ...] = (PrometheusSource, RecordedSource)
"""The sources behind `prometheus_samples`."""
BROKERS: tuple[type[SampleSource], ...] = (KafkaSource,)
"""The sources behind `kafka_lag`."""


def now_of(context: AssetExecutionContext) -> datetime:
    """The telemetry time that a run is for."""
    tagged = context.run.tags.get(NOW_TAG)
    return datetime.fromisoformat(tagged) if tagged else datetime.now(UTC)


def source_names(settings: Settings, kinds: tuple[type[SampleSource], ...]) -> set[str]:
    """The names of the sources of these kinds."""
    return {source.name for source in settings.sources if isinstance(source, kinds)}


def _collected(
    context: AssetExecutionContext, resource: ControlPlaneResource, kinds: tuple[type[SampleSource], ...]
) -> MaterializeResult[None]:
    began = time.monotonic()
    names = source_names(resource.settings, kinds)
    with readable_errors():
        report = collect(resource.plane, now_of(context), only=names)
    resource.add_collected(report)
    failures = [f"{got.source}: {error}" for got in report for error in got.failures]
    warnings = [f"{got.source}: {warning}" for got in report for warning in got.warnings]
    for text in (*failures, *warnings):
        context.log.warning(text)
    return MaterializeResult(
        metadata={
            "rows": sum(got.rows for got in report),
            "series": sum(got.series for got in report),
            "sources": len(names),
            "failures": len(failures),
            "warnings": len(warnings),
            "milliseconds": round((time.monotonic() - began) * 1000),
            **({"failed": MetadataValue.json(failures)} if failures else {}),
            **({"warned": MetadataValue.json(warnings)} if warnings else {}),
            **_link(resource.settings, names),
        }
    )


def _link(settings: Settings, names: set[str]) -> dict[str, MetadataValue]:
    """To the pages of the first Prometheus among the sources, without any password in its address."""
    for source in settings.sources:
        if isinstance(source, PrometheusSource) and source.name in names:
            parts = urlsplit(source.url)
            bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
            return {"link": MetadataValue.url(bare.geturl())}
    return {}


@asset(group_name="telemetry", kinds={"prometheus", "duckdb"})
def prometheus_samples(context: AssetExecutionContext, control_plane: ControlPlaneResource) -> MaterializeResult[None]:
    """Samples of every signal on the step grid, from Prometheus or a recording, into the telemetry store."""
    return _collected(context, control_plane, SAMPLED)


@asset(group_name="telemetry", kinds={"kafka", "duckdb"})
def kafka_lag(context: AssetExecutionContext, control_plane: ControlPlaneResource) -> MaterializeResult[None]:
    """Committed offsets against end offsets, straight from the brokers, into the telemetry store."""
    return _collected(context, control_plane, BROKERS)


@asset(group_name="telemetry", kinds={"yaml", "prometheus"})
def inventory(context: AssetExecutionContext, control_plane: ControlPlaneResource) -> MaterializeResult[None]:
    """Hosts, brokers, zones and their capacity; what changed becomes events."""
    began = time.monotonic()
    with readable_errors():
        report = take_inventory(control_plane.plane, now_of(context))
    failures = [got.error for got in report if got.error]
    for failure in failures:
        context.log.warning(failure)
    return MaterializeResult(
        metadata={
            "resources": sum(got.resources for got in report),
            "changes": sum(got.changes for got in report),
            "sources": len(report),
            "failures": len(failures),
            "milliseconds": round((time.monotonic() - began) * 1000),
            **({"failed": MetadataValue.json(failures)} if failures else {}),
        }
    )
