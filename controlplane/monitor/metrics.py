"""The metrics of a control plane, gathered from projections and vitals at each scrape. docs/metrics.md lists them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from controlplane import __version__
from controlplane.eventlog.projections import ACTIVITY, RULES, SOURCES, TICK
from controlplane.model.time import from_ms
from controlplane.model.views import LATENCY, Activity, SourceHealth
from controlplane.monitor.bounded import MOST, OTHER, bounded, name
from controlplane.monitor.counting import Counting
from controlplane.monitor.vitals import BeatVitals, ChainVitals, ClockVitals, ReceiveVitals, TickVitals, read
from controlplane.settings import InventoryFile, InventoryTargets, Settings

P = "controlplane_"
Values = Mapping[Any, float]
"""Values of labels → value of the metric."""


def gather(settings: Settings, counting: Counting, now: datetime) -> Iterator[Metric]:
    """Every metric at `now`; an error of the store is raised, so that no half of them is taken for the whole."""
    yield InfoMetricFamily(P + "build", "The version that serves these metrics.", {"version": __version__})
    yield from _ticks(settings, counting, now)
    yield gauge("alerts", "Active alerts.", ("platform", "severity", "state"), counting.alerts())
    yield gauge(
        "recommendations_open",
        "Recommendations that are proposed or approved.",
        ("platform", "status"),
        counting.recommendations(),
    )
    yield gauge("rules_failing", "Rules that can't be evaluated.", (), {(): len(counting.log.rows(RULES))})
    yield from _sources(settings, counting.log.rows(SOURCES), now)
    yield from _outbox(counting, now)
    yield from _deliveries(counting.log.rows(ACTIVITY))
    yield from _stores(settings, counting)
    yield from _vitals(settings)


def gauge(
    what: str,
    help_: str,
    labels: tuple[str, ...],
    values: Values,
    merge: Callable[[Iterable[float]], float] = sum,
) -> Metric:
    """A gauge with bounded labels."""
    metric = GaugeMetricFamily(P + what, help_, labels=labels)
    for key, value in bounded(values, merge).items():
        metric.add_metric(key, value)
    return metric


def _counter(what: str, help_: str, labels: tuple[str, ...], values: Values) -> Metric:
    metric = CounterMetricFamily(P + what, help_, labels=labels)
    for key, value in bounded(values).items():
        metric.add_metric(key, value)
    return metric


def _ticks(settings: Settings, counting: Counting, now: datetime) -> Iterator[Metric]:
    last = counting.log.row(TICK, "tick")
    if last is not None:
        at = last.now.timestamp()
        yield gauge("last_tick_timestamp_seconds", "Telemetry time of the last tick.", (), {(): at})
        yield gauge("last_tick_age_seconds", "Time since the last tick.", (), {(): now.timestamp() - at})
    done = read(settings.home, TickVitals)
    if done is not None:
        help_ = "How long the last tick took, with what it sent."
        yield gauge("last_tick_duration_seconds", help_, (), {(): done.seconds})
    counts = counting.log.row(ACTIVITY, "tick") or Activity()
    yield _counter("ticks", "Ticks that were completed.", (), {(): counts.ticks})
    yield _counter("steps", "Steps of the grid that were evaluated.", (), {(): counts.steps})


def _sources(settings: Settings, health: Mapping[str, SourceHealth], now: datetime) -> Iterator[Metric]:
    declared = {source.name: source for source in settings.sources}
    names = sorted(declared)
    rows = {one: health.get(one) for one in names}
    up = {(one,): float(row is not None and "" not in row.failed) for one, row in rows.items()}
    yield gauge("source_up", "1 where the source answered when it was last asked.", ("source",), up, min)
    failed = {(one,): float(len([key for key in row.failed if key])) for one, row in rows.items() if row}
    yield gauge("source_signals_failed", "Signals of the source that fail.", ("source",), failed)
    behind = {
        (one,): max(0.0, (now - from_ms(row.through_ms)).total_seconds())
        for one, row in rows.items()
        if row and row.through_ms is not None and not isinstance(declared[one], InventoryFile | InventoryTargets)
    }
    yield gauge("source_behind_seconds", "Age of the newest step of the source.", ("source",), behind, max)


def _outbox(counting: Counting, now: datetime) -> Iterator[Metric]:
    waiting = counting.outbox()
    numbers = {(channel,): float(number) for channel, (number, _) in waiting.items()}
    ages = {(channel,): max(0.0, (now - oldest).total_seconds()) for channel, (_, oldest) in waiting.items()}
    yield gauge("outbox_messages", "Messages that wait to be sent.", ("channel",), numbers)
    yield gauge("outbox_oldest_age_seconds", "Age of the oldest message that waits.", ("channel",), ages, max)


def _deliveries(activity: Mapping[str, Activity]) -> Iterator[Metric]:
    channels = {key.removeprefix("channel/"): row for key, row in activity.items() if key.startswith("channel/")}
    states: dict[tuple[str, ...], float] = {}
    for channel, row in channels.items():
        for state in ("queued", "delivered", "dead", "suppressed"):
            states[channel, state] = float(getattr(row, state))
    yield _counter("deliveries", "Messages that came into this state.", ("channel", "state"), states)
    failed = {(channel,): float(row.failed) for channel, row in channels.items()}
    yield _counter("delivery_failures", "Attempts after which another one follows.", ("channel",), failed)
    dead = {(channel,): float(row.dead) for channel, row in channels.items()}
    yield _counter("dead_letters", "Messages that were given up.", ("channel",), dead)
    latency = HistogramMetricFamily(
        P + "delivery_latency_seconds", "From the decision to the provider's answer.", labels=("channel",)
    )
    for channel, row in _merged(channels).items():
        bounds = [*map(str, LATENCY), "+Inf"]
        latency.add_metric(
            (channel,), list(zip(bounds, map(float, (*row.within, row.delivered)), strict=True)), row.seconds
        )
    yield latency


def _merged(channels: Mapping[str, Activity]) -> dict[str, Activity]:
    """The rows by bounded names."""
    kept = set(sorted(map(name, channels))[:MOST])
    found: dict[str, Activity] = {}
    for channel, row in channels.items():
        short = name(channel) if name(channel) in kept else OTHER
        other = found.get(short)
        if other is not None:
            row = row.model_copy(
                update={
                    "delivered": row.delivered + other.delivered,
                    "seconds": row.seconds + other.seconds,
                    "within": tuple(map(sum, zip(row.within, other.within, strict=True))),
                }
            )
        found[short] = row
    return dict(sorted(found.items()))


def _stores(settings: Settings, counting: Counting) -> Iterator[Metric]:
    log = counting.log
    yield gauge("event_log_size_bytes", "Room that the event store takes.", (), {(): log.size()})
    yield gauge("event_log_head", "Position of the newest event.", (), {(): log.head()})
    yield gauge("event_log_start", "Position of the last archived event; 0 = none is.", (), {(): log.start()})
    telemetry = _size(settings.home / "telemetry.duckdb") + _size(settings.home / "telemetry.duckdb.wal")
    yield gauge("telemetry_size_bytes", "Size of the telemetry file.", (), {(): telemetry})
    files = [_size(path) for path in settings.archive.glob("events-*.jsonl.gz")] if settings.archive.is_dir() else []
    yield gauge("archive_files", "Files of archived events.", (), {(): len(files)})
    yield gauge("archive_size_bytes", "Size of all of them.", (), {(): sum(files)})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _vitals(settings: Settings) -> Iterator[Metric]:
    chain = read(settings.home, ChainVitals)
    if chain is not None:
        yield gauge("hash_chain_ok", "1 where the last verification found no broken link.", (), {(): float(chain.ok)})
        at = chain.at.timestamp()
        yield gauge("hash_chain_verified_timestamp_seconds", "When that was.", (), {(): at})
        help_ = "Position up to which the chain is verified, or of the first broken link."
        yield gauge("hash_chain_position", help_, (), {(): chain.position})
    clocks = (read(settings.home, ClockVitals) or ClockVitals()).sources
    skews = {(one,): reading.seconds for one, reading in clocks.items()}
    help_ = "How far the source's clock is ahead of this machine's."
    yield gauge("clock_skew_seconds", help_, ("source",), skews, lambda found: max(found, key=abs))
    beats = (read(settings.home, BeatVitals) or BeatVitals()).beats
    declared = {one.name for one in settings.notify.heartbeat}
    beats = {one: beat for one, beat in beats.items() if one in declared}
    ok = {(one,): float(beat.ok) for one, beat in beats.items()}
    yield gauge("heartbeat_ok", "1 where the last heartbeat got through.", ("heartbeat",), ok, min)
    at_last = {(one,): beat.delivered_at.timestamp() for one, beat in beats.items() if beat.delivered_at}
    help_ = "When a heartbeat last got through."
    yield gauge("heartbeat_last_success_timestamp_seconds", help_, ("heartbeat",), at_last, min)
    counts: dict[tuple[str, ...], float] = {}
    for one, beat in beats.items():
        counts[one, "ok"], counts[one, "failed"] = float(beat.sent), float(beat.failed)
    yield _counter("heartbeats", "Heartbeats that were sent.", ("heartbeat", "outcome"), counts)
    received = (read(settings.home, ReceiveVitals) or ReceiveVitals()).endpoints
    counts = {(one, outcome): float(n) for one, row in received.items() for outcome, n in row.outcomes.items()}
    yield _counter("received", "Requests to the receiver.", ("endpoint", "outcome"), counts)
