"""Trends of evidence: the past of the very value that is stated, or none."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.history import History
from controlplane.model.labels import canonical
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Evidence
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms
from controlplane.tick.trends import POINTS, with_trends
from tests import drafts

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOOKBACK = timedelta(hours=2)
EVERY = 300_000
"""Two hours in 24 stretches."""

HOSTS = {"a": [float(n) for n in range(24)], "b": [10.0] * 24}


def history(values: dict[str, list[float]]) -> History:
    series = [(sid, "prom", "shop", "cpu", canonical({"host": host})) for sid, host in enumerate(values)]
    samples = [
        (sid, to_ms(NOW) - EVERY * (len(row) - 1 - number), value)
        for sid, row in enumerate(values.values())
        for number, value in enumerate(row)
    ]
    facts = AlertFacts(
        alert="a1", rule="r", source="prom", platform="shop", component="c", labels={}, severity=Severity.WARNING,
        title="", summary="", value=1.0, threshold="> 1", unit="1", active_at=NOW,
    )  # fmt: skip
    frames = Samples(
        pl.DataFrame(series, SERIES, orient="row"), pl.DataFrame(samples, SAMPLES, orient="row"), COVERAGE.to_frame()
    )
    return History(facts, frames, NOW)


def trend(value: float | None, labels: dict[str, str], known: History, signal: str = "cpu") -> tuple[float | None, ...]:
    one = Evidence(signal=signal, labels=labels, value=value, unit="1", at=NOW)
    proposal = drafts.recommendation().proposal.model_copy(update={"evidence": (one,)})
    return with_trends(proposal, known, LOOKBACK).evidence[0].trend


@pytest.mark.parametrize(
    ("value", "labels", "first", "last"),
    [
        (23.0, {"host": "a"}, 0.0, 23.0),
        (10.0, {"host": "b"}, 10.0, 10.0),
    ],
)
def test_a_measured_value_has_its_past(value: float, labels: dict[str, str], first: float, last: float) -> None:
    found = trend(value, labels, history(HOSTS))
    assert len(found) == POINTS
    assert (found[0], found[-1]) == (first, last)


@pytest.mark.parametrize(
    ("value", "labels", "signal"),
    [
        (None, {"host": "a"}, "cpu"),
        (float("inf"), {"host": "a"}, "cpu"),
        (22.0, {"host": "a"}, "cpu"),
        (23.0, {"host": "c"}, "cpu"),
        (23.0, {"cluster": "a"}, "cpu"),
        (23.0, {"host": "a"}, "memory"),
        (33.0, {}, "cpu"),
        (23.0, {"value": "a"}, "cpu"),
        (23.0, {"sid": "a", "ts": "b"}, "cpu"),
    ],
)
def test_what_isnt_measured_so_has_none(value: float | None, labels: dict[str, str], signal: str) -> None:
    assert trend(value, labels, history(HOSTS), signal) == ()


@pytest.mark.parametrize(("value", "first"), [(33.0, 10.0), (23.0, 10.0), (10.0, 0.0), (16.5, 5.0)])
def test_the_fold_is_the_one_that_leads_to_the_value(value: float, first: float) -> None:
    known = history(HOSTS)
    series = known.samples.series.with_columns(labels=pl.Series(['{"host":"a","zone":"z"}', '{"host":"b","zone":"z"}']))
    known = History(known.alert, Samples(series, known.samples.samples, known.samples.coverage), NOW)
    assert trend(value, {"zone": "z"}, known)[0] == first


def test_what_is_missing_is_none() -> None:
    found = trend(3.0, {"host": "a"}, history({"a": [1.0, 2.0, 3.0]}))
    assert found == (*[None] * 21, 1.0, 2.0, 3.0)
