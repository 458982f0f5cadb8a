"""Which signals a Prometheus has now: every query asked once, with how many series it gives."""

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event
from typing import Literal

import polars as pl

from controlplane.model.labels import describe
from controlplane.model.rules import AlertRule, Placed
from controlplane.model.signals import Signal
from controlplane.rules.describe import reads
from controlplane.settings import PrometheusSource
from controlplane.telemetry.collector import SignalKey
from controlplane.telemetry.decode import AnswerError, decode
from controlplane.telemetry.http import ApiSession
from controlplane.telemetry.series_labels import LabelTexts

NOT_ASKED = "not asked, because the server answers nothing"


@dataclass(frozen=True, slots=True)
class Presence:
    """What a server answers to the query of one signal."""

    state: Literal["present", "absent", "error"]
    labels: pl.Series
    """Labels of its series, as rules see them: canonical JSON."""
    error: str = ""

    @property
    def series(self) -> int:
        """How many series there are."""
        return len(self.labels)


def presence(source: PrometheusSource, signals: Mapping[SignalKey, Signal]) -> dict[SignalKey, Presence]:
    """Ask for every signal that has a query, `concurrency` at a time, each within `timeout`.

    A server that answers nothing is asked no further: what is left then says so. SourceError where a secret is
    missing.
    """
    found: dict[SignalKey, Presence] = {}
    stop, answered, in_a_row = Event(), False, 0
    with ApiSession(source) as session, ThreadPoolExecutor(source.concurrency, thread_name_prefix="presence") as pool:
        running: dict[Future[pl.Series], SignalKey] = {
            pool.submit(_ask, session, signal, stop): key for key, signal in signals.items() if signal.prometheus
        }
        for future in as_completed(running):
            key = running[future]
            try:
                labels = future.result()
            except AnswerError as error:
                found[key] = Presence("error", pl.Series(dtype=pl.String), session.redact(str(error)))
                in_a_row += error.whole
                if error.whole and (not answered or in_a_row >= source.concurrency):
                    stop.set()
            else:
                answered, in_a_row = True, 0
                found[key] = Presence("present" if len(labels) else "absent", labels)
    return {key: found[key] for key in signals if key in found}


def _ask(session: ApiSession, signal: Signal, stop: Event) -> pl.Series:
    if stop.is_set():
        raise AnswerError(NOT_ASKED, whole=True)
    form = {"query": signal.prometheus, "timeout": f"{session.timeout * 0.9:.3f}"}
    answer = decode(session.post(f"{session.url}/api/v1/query", data=form).content)
    return LabelTexts(signal.labels).canonical(answer.series["labels"])


@dataclass(frozen=True, slots=True)
class RulePresence:
    """Whether a rule has what it reads; a rule over nothing is quiet, which must not be taken for fine."""

    placed: Placed
    state: Literal["present", "absent", "error", "elsewhere"]
    """elsewhere: a signal that no query gives, but another collector."""
    why: str = ""


def rule_presence(
    placed: Placed, signals: Mapping[SignalKey, Signal], found: Mapping[SignalKey, Presence]
) -> RulePresence:
    """What the answers mean for an alert rule."""
    rule = placed.rule
    assert isinstance(rule, AlertRule)
    signal = signals.get(SignalKey(placed.platform, rule.signal))
    needed = reads(placed, signal)
    states = []
    for name in needed or (signal.inputs if signal else ()):
        one = found.get(SignalKey(placed.platform, name))
        if one is None:
            states.append(RulePresence(placed, "elsewhere", f"{name} has no query"))
        elif one.state == "error" or (one.state == "absent" and needed):
            states.append(RulePresence(placed, one.state, f"{name} {one.error or 'has no series'}"))
        elif name == rule.signal and (why := _unmatched(rule, one.labels)):
            states.append(RulePresence(placed, "absent", f"{name} has {why}"))
    order = ("error", "absent", "elsewhere")
    return min(states, key=lambda one: order.index(one.state), default=RulePresence(placed, "present"))


def _unmatched(rule: AlertRule, labels: pl.Series) -> str:
    """What of the labels that the rule names none of the series has; empty where all is well."""
    maps = [json.loads(text) for text in labels.to_list()]
    for name in rule.by or ():
        if not any(name in one for one in maps):
            return f"no label {name}"
    if any(all(one.get(name) == value for name, value in rule.where.items()) for one in maps):
        return ""
    return f"no series with {describe(rule.where)}"
