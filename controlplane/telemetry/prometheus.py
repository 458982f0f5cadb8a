"""Samples from the HTTP API of Prometheus: one range query a signal, on the step grid."""

import json
import math
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event
from urllib.parse import urlsplit

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import printable
from controlplane.model.signals import Signal
from controlplane.model.time import Window
from controlplane.settings import PrometheusSource
from controlplane.telemetry.collector import Batch, SignalFailure, SignalKey, SourceError
from controlplane.telemetry.decode import AnswerError, Decoded, decode, put_on_grid
from controlplane.telemetry.http import ApiSession, HttpFailure
from controlplane.telemetry.series_labels import LabelTexts

MAX_POINTS = 11_000
"""Points a series that the API gives in one answer."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class PrometheusCollector:
    """Asks one server for every signal that has a query; see Collector for what it offers.

    A signal whose query is wrong, too large or ambiguous fails alone; where nothing was answered and every failure
    lies in the server or the way to it, the source fails.
    """

    history = True

    def __init__(self, settings: PrometheusSource, signals: Sequence[tuple[str, Signal]], step_ms: int) -> None:
        self.name = settings.name
        self.lookback = settings.lookback
        self.max_catch_up = settings.max_catch_up
        self._settings = settings
        self._step_ms = step_ms
        self._queries: dict[SignalKey, str] = {}
        self._texts: dict[SignalKey, LabelTexts] = {}
        for platform, signal in signals:
            if signal.prometheus and (settings.platforms is None or platform in settings.platforms):
                key = SignalKey(platform, signal.name)
                self._queries[key] = signal.prometheus
                self._texts[key] = LabelTexts(signal.labels)

    def signals(self) -> tuple[SignalKey, ...]:
        """The signals with a query, in the order of the packs."""
        return tuple(self._queries)

    def collect(self, windows: Mapping[SignalKey, Window]) -> Batch:
        """Ask for each signal on the steps of its window; equal queries over equal windows are asked once."""
        jobs: dict[tuple[str, Window], list[SignalKey]] = defaultdict(list)
        for key, window in windows.items():
            if window.step != self._step_ms:
                raise ValueError(f"{key}: a window on {window.step} ms steps, but the grid has {self._step_ms} ms")
            if len(window):
                jobs[self._queries[key], window].append(key)
        result = _Result(self.name)
        if jobs:
            with ApiSession(self._settings) as session:
                self._run(session, jobs, result)
                return result.batch(session)
        return Batch(self.name, Samples.empty())

    def check(self) -> list[str]:
        """What is wrong with the connection or a query, one text each; asks for the number of series of each signal."""
        findings = _transport(self._settings)
        try:
            with ApiSession(self._settings) as session:
                client = session.client()
                queries = {"the API": "vector(1)"} | {
                    str(key): f"count(\n{query}\n)" for key, query in self._queries.items()
                }
                for what, query in queries.items():
                    try:
                        if not client.custom_query(query):
                            findings.append(f"{what}: the query gives no series now")
                    except HttpFailure as error:
                        findings.append(session.redact(f"{what}: {error}"))
                        if error.whole:
                            break
                    except (ValueError, LookupError, TypeError):
                        findings.append(f"{what}: {session.url} gives no answer of a Prometheus API. Check url")
                        break
        except SourceError as error:
            findings.append(str(error))
        return findings

    def available(self, names: Collection[str]) -> frozenset[str]:
        """Which of these metric names the server knows; SourceError where it can't say."""
        with ApiSession(self._settings) as session:
            try:
                return frozenset(names) & frozenset(session.client().all_metrics())
            except HttpFailure as error:
                raise SourceError(self.name, session.redact(error.message), error.remedy) from None
            except (ValueError, LookupError, TypeError):
                raise SourceError(self.name, f"{session.url} is no Prometheus API", "Check url") from None

    def clock_skew(self) -> float | None:
        """Seconds by which the server's clock is ahead of this machine's, half of the request's time more or less.

        None where it gives no answer.
        """
        try:
            with ApiSession(self._settings) as session:
                began = time.time()
                answer = session.post(f"{session.url}/api/v1/query", data={"query": "time()"}).content
                middle = (began + time.time()) / 2
                skew = float(json.loads(answer)["data"]["result"][1]) - middle
        except (AnswerError, SourceError, ValueError, LookupError, TypeError):
            return None
        return skew if math.isfinite(skew) else None

    def _run(
        self, session: ApiSession, jobs: Mapping[tuple[str, Window], Sequence[SignalKey]], result: "_Result"
    ) -> None:
        """Fetch every job, `concurrency` at a time; stop asking a server that answers nothing, not even a trifle."""
        stop, probed = Event(), False
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix=f"prometheus-{self.name}") as pool:
            running: dict[Future[list[Decoded]], tuple[str, Window]] = {
                pool.submit(_fetch, session, query, window, stop): (query, window) for query, window in jobs
            }
            for future in as_completed(running):
                job = running.pop(future)
                for key in jobs[job]:
                    try:
                        result.add(key, job[1], future.result(), self._texts[key])
                    except AnswerError as error:
                        result.fail(key, error)
                del future
                if not (probed or result.answered) and result.whole_failures >= self._settings.concurrency:
                    probed = True
                    if not _works(session):
                        stop.set()


class _NotAsked(AnswerError):
    """A signal that was passed over, because the source answers nothing."""


class _Result:
    """What has been answered so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._answers: dict[SignalKey, tuple[Window, pl.DataFrame, pl.DataFrame, tuple[str, ...]]] = {}
        self._failures: dict[SignalKey, AnswerError] = {}

    @property
    def answered(self) -> bool:
        return bool(self._answers)

    @property
    def whole_failures(self) -> int:
        return sum(error.whole for error in self._failures.values())

    def add(self, key: SignalKey, window: Window, parts: Sequence[Decoded], texts: LabelTexts) -> None:
        """Take over the answers to one signal, a part for each stretch of the window."""
        series, samples = _join([(texts.canonical(part.series["labels"]), part) for part in parts])
        samples = put_on_grid(samples, window.step).filter(pl.col("ts").is_between(window.first, window.end))
        warnings = tuple(dict.fromkeys(text for part in parts for text in part.warnings))
        self._answers[key] = window, series, samples, warnings

    def fail(self, key: SignalKey, error: AnswerError) -> None:
        self._failures[key] = error

    def batch(self, session: ApiSession) -> Batch:
        """Everything that was answered; SourceError where nothing was and the failures are the source's own."""
        errors = [error for _, error in sorted(self._failures.items())]
        if errors and not self.answered and all(error.whole for error in errors):
            first = next(error for error in errors if not isinstance(error, _NotAsked))
            more = "" if len(errors) == 1 else f" ({len(errors)} signals failed)"
            raise SourceError(self._source, session.redact(first.message) + more, first.remedy)
        return Batch(
            self._source,
            self._samples(),
            tuple(
                SignalFailure(key, session.redact(error.message), error.remedy)
                for key, error in sorted(self._failures.items())
            ),
            tuple(
                session.redact(f"{key}: {text}")
                for key, (*_, warnings) in sorted(self._answers.items())
                for text in warnings
            ),
        )

    def _samples(self) -> Samples:
        series, samples, coverage, first_sid = [SERIES.to_frame()], [SAMPLES.to_frame()], [], 0
        for key, (window, names, points, _) in sorted(self._answers.items()):
            about = {"source": self._source, "platform": key.platform, "signal": key.signal}
            sid = pl.col("sid").cast(pl.UInt32) + pl.lit(first_sid, pl.UInt32)
            series.append(names.select(sid, *(pl.lit(text).alias(name) for name, text in about.items()), "labels"))
            samples.append(points.with_columns(sid))
            coverage.append((*about.values(), window.first, window.end))
            first_sid += names.height
        return Samples(pl.concat(series), pl.concat(samples), pl.DataFrame(coverage, COVERAGE, orient="row"))


def _works(session: ApiSession) -> bool:
    """Whether the server answers the cheapest of queries."""
    try:
        decode(session.post(f"{session.url}/api/v1/query", data={"query": "vector(1)"}).content)
    except AnswerError:
        return False
    return True


def _fetch(session: ApiSession, query: str, window: Window, stop: Event) -> list[Decoded]:
    """The answers to a query over a window, in parts where one answer would hold too many points or bytes."""
    if stop.is_set():
        raise _NotAsked("not asked, because the source failed other signals", "See its other errors", whole=True)
    if len(window) > MAX_POINTS:
        middle = window.start + MAX_POINTS * window.step
    else:
        try:
            return [decode(_ask(session, query, window))]
        except HttpFailure as error:
            if not error.too_large or len(window) == 1:
                raise
        middle = window.start + len(window) // 2 * window.step
    earlier, later = Window(window.start, middle, window.step), Window(middle, window.end, window.step)
    return _fetch(session, query, earlier, stop) + _fetch(session, query, later, stop)


def _ask(session: ApiSession, query: str, window: Window) -> bytes:
    form = {
        "query": query,
        "start": _seconds(window.first),
        "end": _seconds(window.end),
        "step": _seconds(window.step),
        "timeout": f"{session.timeout * 0.9:.3f}",  # the rest is for the answer's way
    }
    return session.post(f"{session.url}/api/v1/query_range", data=form).content


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


def _join(parts: Sequence[tuple[pl.Series, Decoded]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Series (sid, labels) and samples of several parts, in which a series is the same where its labels are."""
    rows = pl.concat(
        [part.series.select(pl.lit(n).alias("part"), "sid", labels) for n, (labels, part) in enumerate(parts)]
    )
    samples = pl.concat([part.samples.select(pl.lit(n).alias("part"), pl.all()) for n, (_, part) in enumerate(parts)])
    if len(parts) == 1:
        return rows.select("sid", "labels"), samples.select(SAMPLES.names())
    names = rows.select("labels").unique(maintain_order=True).with_row_index("known")
    known = rows.join(names, on="labels", maintain_order="left").select("part", "sid", "known")
    joined = samples.join(known, on=["part", "sid"], maintain_order="left")
    return names.rename({"known": "sid"}), joined.select(pl.col("known").alias("sid"), "ts", "value")


def _transport(settings: PrometheusSource) -> list[str]:
    """What is unsafe about how the server is reached."""
    findings = []
    parts = urlsplit(settings.url)
    secret = settings.bearer or settings.basic or settings.headers or parts.username
    if secret and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        findings.append(f"credentials travel unencrypted to {printable(parts.hostname or '')}. Use https in url")
    if not settings.tls.verify:
        findings.append("the server's certificate is not verified. Name its authority in tls.ca, remove tls.verify")
    return findings
