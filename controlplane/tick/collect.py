"""Ask every source for what is new and store the samples; a failed source is an event, never a zero."""

import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from controlplane.eventlog.projections import SOURCES
from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Draft, observation
from controlplane.model.payloads import EventPayload, SourceFailed, SourceRecovered
from controlplane.model.time import Window, from_ms, on_grid, to_ms
from controlplane.model.views import SourceHealth
from controlplane.rules.files import OWN
from controlplane.telemetry.collector import Batch, Collector, SignalKey, SourceError
from controlplane.tick.plane import ControlPlane
from controlplane.tick.watermarks import after, floor

T = TypeVar("T")

_log = logging.getLogger(__name__)

MAX_STEPS = 96
"""Steps asked for at once; a longer absence is caught up bite by bite, so that progress survives a crash."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one source gave."""

    source: str
    rows: int
    series: int
    failures: tuple[str, ...]
    warnings: tuple[str, ...]
    through_ms: int
    """Last step that was asked for; that of the signal furthest behind."""


def collect(plane: ControlPlane, now: datetime, only: Collection[str] | None = None) -> list[Collected]:
    """Fetch the next bite of every source (or those in `only`) up to `now` and store it in one transaction.

    Failures and recoveries are appended to the log. What the control plane knows of itself is asked with the last bite
    of the others: it knows the newest step alone, and steps are decided in their order.
    """
    health = plane.log.rows(SOURCES)
    end = on_grid(to_ms(now), plane.step_ms)
    kept = plane.store.kept_since()
    chosen = [source for source in plane.collectors if only is None or source.name in only]
    jobs = [
        (source, guarded(source.name, partial(windows, source, health.get(source.name), end, plane.step_ms, kept)))
        for source in chosen
    ]
    jobs = [(source, asked) for source, asked in jobs if asked]
    if not jobs:
        return []
    own = [job for job in jobs if job[0].name == OWN]
    jobs = [job for job in jobs if job[0].name != OWN]
    with ThreadPoolExecutor(max_workers=max(1, len(jobs)), thread_name_prefix="collect") as pool:
        answers = list(pool.map(lambda job: _ask(*job), jobs))
    if not any(_through(job[1], end) < end and not _failures(got) for job, got in zip(jobs, answers, strict=True)):
        jobs += own
        answers += [_ask(*job) for job in own]
    plane.store.write([answer.samples for answer in answers if isinstance(answer, Batch)])
    drafts = []
    report = []
    for (source, asked), answer in zip(jobs, answers, strict=True):
        failures = _failures(answer)
        errors = tuple(f"{key}: {error}" if key else error for key, (error, _) in failures.items())
        drafts += _changes(source.name, failures, health.get(source.name), from_ms(end))
        through = _through(asked, end)
        if isinstance(answer, Batch):
            plane.warnings[source.name] = answer.warnings
            samples = answer.samples
            counts = (len(samples.samples), len(samples.series))
            report.append(Collected(source.name, *counts, errors, answer.warnings, through))
        else:
            report.append(Collected(source.name, 0, 0, errors, (), through))
    if drafts:
        plane.log.append(drafts, recorded_at=now)
    return report


def going_on(collected: Collection[Collected], end: int) -> set[str]:
    """Sources that answered but not up to the step `end`; one that failed is asked again by the next tick."""
    return {got.source for got in collected if got.through_ms < end and not got.failures}


def _through(asked: dict[SignalKey, Window] | SourceError, end: int) -> int:
    return end if isinstance(asked, SourceError) else min(window.end for window in asked.values())


def windows(
    source: Collector, health: SourceHealth | None, end: int, step_ms: int, kept_since: int = 0
) -> dict[SignalKey, Window]:
    """What to ask a source for: each signal from its own watermark on, at most MAX_STEPS steps.

    `kept_since` (epoch ms) is the instant since which samples are kept at full resolution: older ones could be stored
    and never be decided.
    """
    least = floor(source, end, step_ms, kept_since)
    first = on_grid(end - source.lookback // timedelta(milliseconds=1), step_ms)
    asked = {}
    for key in source.signals():
        known = after(health, str(key), first, least, step_ms)
        # Without history only the newest step can be answered, so there are no bites to take.
        until = min(end, known + MAX_STEPS * step_ms) if source.history else end
        if until > known:
            asked[key] = Window(known, until, step_ms)
    return asked


def _ask(source: Collector, asked: dict[SignalKey, Window] | SourceError) -> Batch | SourceError:
    return asked if isinstance(asked, SourceError) else guarded(source.name, partial(source.collect, asked))


def guarded(source: str, work: Callable[[], T]) -> T | SourceError:
    """What `work` gives, or why the source can't; nothing that one source brings out stops the others."""
    try:
        return work()
    except SourceError as error:
        return error
    except ControlplaneError as error:
        return SourceError(source, str(error))
    except Exception as error:  # noqa: BLE001 - the failure of one source, and the others go on
        _log.exception("source %s failed", source)
        return SourceError(source, f"a defect of the control plane: {type(error).__name__}: {error}")


def _failures(answer: Batch | SourceError) -> dict[str, tuple[str, str]]:
    """Failed signal (`""` = the whole source) → what is wrong, and what to do."""
    if isinstance(answer, SourceError):
        return {"": (answer.message, answer.remedy)}
    return {str(failure.key): (failure.message, failure.remedy) for failure in answer.failures}


def _changes(
    source: str, failures: dict[str, tuple[str, str]], health: SourceHealth | None, at: datetime
) -> list[Draft]:
    """Events for what began to fail, fails for another reason, or works again."""
    known = health.failed if health is not None else {}
    payloads: list[EventPayload] = [
        SourceFailed(source=source, signal=signal or None, error=error, remedy=remedy)
        for signal, (error, remedy) in sorted(failures.items())
        if known.get(signal) != error
    ]
    if health is not None:
        payloads += [
            SourceRecovered(source=source, signal=signal or None, failed_since=health.since.get(signal, at))
            for signal in sorted(known)
            # While the whole source is away nothing is known of its signals.
            if signal not in failures and "" not in failures
        ]
    return [observation(f"source:{source}", payload, at) for payload in payloads]
