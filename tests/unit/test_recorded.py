"""Recordings: what is in the file arrives on the grid, what is wrong with it is named."""

import json
import math
import random
import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.frames import COVERAGE, SAMPLES, SERIES
from controlplane.model.time import Window
from controlplane.settings import RecordedSource
from controlplane.telemetry.collector import Batch, SignalKey, SourceError
from controlplane.telemetry.recorded import RecordedCollector

STEP = 15_000
T0 = 1_773_338_400_000


def recorded(path: Path, platform: str | None = None) -> RecordedCollector:
    return RecordedCollector(RecordedSource(name="rec", type="recorded", path=path, platform=platform), STEP)


def parquet(folder: Path, **columns: Any) -> Path:
    """A file of one signal and no labels unless columns say otherwise."""
    height = len(next(iter(columns.values())))
    path = folder / "r.parquet"
    base = {"ts": [T0] * height, "signal": ["a.b"] * height, "labels": ["{}"] * height, "value": [1.0] * height}
    pl.DataFrame(base | columns, strict=False).write_parquet(path)
    return path


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "r.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def everything(subject: RecordedCollector) -> Batch:
    span = subject.span()
    assert span is not None
    return subject.collect(dict.fromkeys(subject.signals(), Window(span[0] - STEP, span[1], STEP)))


def rows(batch: Batch) -> list[tuple[Any, ...]]:
    joined = batch.samples.samples.join(batch.samples.series, on="sid")
    return sorted(joined.select("platform", "signal", "labels", "ts", "value").rows(), key=repr)


def test_a_parquet_file(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        ts=[T0, T0 + STEP, T0, T0],
        signal=["a.b", "a.b", "c", "a.b"],
        labels=['{"b":"2", "a":"1"}', '{"a":"1","b":"2","e":""}', "{}", '{"host":"ü\\n"}'],
        value=[1.0, math.nan, math.inf, None],
    )
    subject = recorded(path, "pack")
    assert subject.history
    assert subject.signals() == (SignalKey("pack", "a.b"), SignalKey("pack", "c"))
    assert subject.span() == (T0, T0 + STEP)
    batch = everything(subject)
    assert sorted(rows(batch), key=lambda row: row[1:4]) == [
        ("pack", "a.b", '{"a":"1","b":"2"}', T0, 1.0),
        ("pack", "a.b", '{"a":"1","b":"2"}', T0 + STEP, None),
        ("pack", "a.b", '{"host":"ü\\n"}', T0, None),
        ("pack", "c", "{}", T0, math.inf),
    ]
    assert batch.samples.series.schema == SERIES
    assert batch.samples.samples.schema == SAMPLES
    assert batch.samples.coverage.schema == COVERAGE
    assert batch.samples.coverage.rows() == [
        ("rec", "pack", "a.b", T0, T0 + STEP),
        ("rec", "pack", "c", T0, T0 + STEP),
    ]
    assert batch.failures == batch.warnings == ()


def test_a_csv_file_and_every_way_to_write_a_time(tmp_path: Path) -> None:
    times = ["2026-03-12T18:00:00Z", "2026-03-12T20:00:00+02:00", "2026-03-12 18:00:00.000Z", str(T0),
             "2026-03-12T18:00Z", "2026-03-12t18:00:00z".upper()]  # fmt: skip
    lines = [f'{ts},s{n},"{{""host"":""h""}}",+Inf' for n, ts in enumerate(times)]
    batch = everything(recorded(csv(tmp_path, "ts,signal,labels,value", *lines)))
    assert rows(batch) == [("", f"s{n}", '{"host":"h"}', T0, math.inf) for n in range(len(times))]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_with_a_zone_in_parquet(tmp_path: Path, unit: str) -> None:
    at = datetime(2026, 3, 12, 18, tzinfo=UTC)
    column = pl.Series([at, at + timedelta(seconds=15)], dtype=pl.Datetime(unit, "Europe/Berlin"))
    assert recorded(parquet(tmp_path, ts=column)).span() == (T0, T0 + STEP)
    text = at.astimezone(timezone(timedelta(hours=-5))).isoformat()
    assert recorded(parquet(tmp_path, ts=[text])).span() == (T0, T0)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(T0, 1.0)], [(T0, 1.0)]),
        ([(T0 + 1, 1.0)], [(T0 + STEP, 1.0)]),
        ([(T0 + STEP - 1, 1.0)], [(T0 + STEP, 1.0)]),
        (
            [(T0 + 1, 1.0), (T0 + 2, 2.0), (T0 + STEP, 3.0), (T0 + STEP + 1, 4.0)],
            [(T0 + STEP, 3.0), (T0 + 2 * STEP, 4.0)],
        ),
        ([(T0 + 2, 2.0), (T0 + 1, 1.0)], [(T0 + STEP, 2.0)]),
        ([(T0 + 1, 1.0), (T0 + 2, None)], [(T0 + STEP, None)]),
        ([(T0, 1.0), (T0, 2.0)], [(T0, 2.0)]),
    ],
)
def test_the_newest_sample_of_a_step_wins(
    tmp_path: Path, samples: list[tuple[int, float | None]], expected: list[tuple[int, float | None]]
) -> None:
    path = parquet(tmp_path, ts=[ts for ts, _ in samples], value=[value for _, value in samples])
    subject = recorded(path)
    assert [row[3:] for row in rows(everything(subject))] == expected
    assert subject.span() == (expected[0][0], expected[-1][0])


@pytest.mark.parametrize(
    ("columns", "setting", "expected"),
    [
        ({}, None, ""),
        ({}, "set", "set"),
        ({"labels": ['{"platform":"label"}']}, "set", "label"),
        ({"platform": ["column"]}, "set", "column"),
        ({"platform": ["same"], "labels": ['{"platform":"same"}']}, None, "same"),
        ({"platform": [None]}, "set", "set"),
        ({"platform": [""]}, "set", "set"),
    ],
)
def test_where_the_pack_comes_from(tmp_path: Path, columns: dict[str, Any], setting: str | None, expected: str) -> None:
    subject = recorded(parquet(tmp_path, ts=[T0], **columns), setting)
    assert subject.signals() == (SignalKey(expected, "a.b"),)
    assert rows(everything(subject)) == [(expected, "a.b", "{}", T0, 1.0)]


def test_windows_cut_and_cover(tmp_path: Path) -> None:
    steps = [T0 + n * STEP for n in range(10)]
    path = parquet(tmp_path, ts=steps * 2, signal=["a"] * 10 + ["b"] * 10, value=[float(n) for n in range(20)])
    subject = recorded(path)
    a, b = subject.signals()
    batch = subject.collect({a: Window(steps[2], steps[4], STEP), b: Window(steps[8], steps[9] + 5 * STEP, STEP)})
    assert [(row[1], row[3], row[4]) for row in rows(batch)] == [
        ("a", steps[3], 3.0),
        ("a", steps[4], 4.0),
        ("b", steps[9], 19.0),
    ]
    assert batch.samples.coverage.rows() == [
        ("rec", "", "a", steps[3], steps[4]),
        ("rec", "", "b", steps[9], steps[9] + 5 * STEP),
    ]
    only = subject.collect({b: Window(T0 - STEP, steps[9], STEP)})
    assert only.samples.series["signal"].to_list() == ["b"]
    assert only.samples.samples.height == 10
    before = subject.collect({a: Window(T0 - 3 * STEP, T0 - STEP, STEP), b: Window(T0, T0, STEP)})
    assert before.samples.samples.height == before.samples.series.height == 0
    assert before.samples.coverage.rows() == [("rec", "", "a", T0 - 2 * STEP, T0 - STEP)]
    with pytest.raises(ValueError, match="not in"):
        subject.collect({SignalKey("", "zzz"): Window(T0, T0 + STEP, STEP)})
    with pytest.raises(ValueError, match="grid"):
        subject.collect({a: Window(0, 1000, 1000)})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 20 * STEP), st.sampled_from("ab"), st.floats(allow_nan=False)), min_size=1),
    st.lists(st.integers(0, 22), max_size=4),
)
def test_consecutive_windows_give_what_one_gives_and_what_the_definition_says(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[int, str, float]], cuts: list[int]
) -> None:
    path = parquet(
        tmp_path_factory.mktemp("r"),
        ts=[T0 + ts for ts, _, _ in samples],
        labels=[json.dumps({"h": host}) for _, host, _ in samples],
        value=[value for *_, value in samples],
    )
    newest: dict[tuple[str, int], float] = {}
    for ts, host, value in sorted(samples, key=lambda sample: sample[0]):
        newest[host, T0 + -(-ts // STEP) * STEP] = value
    expected = sorted([("", "a.b", f'{{"h":"{host}"}}', ts, v) for (host, ts), v in newest.items()], key=repr)
    subject = recorded(path)
    bounds = sorted({-1, *cuts, 22})
    got: list[tuple[Any, ...]] = []
    for start, end in pairwise(bounds):
        window = Window(T0 + start * STEP, T0 + end * STEP, STEP)
        got += rows(subject.collect(dict.fromkeys(subject.signals(), window)))
    assert sorted(got, key=repr) == expected


BAD = "ts,signal,labels,value"
GOOD = f"{T0},a,{{}},1"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2026-03-12T18:00:00,a,{},1", "row 2, ts: '2026-03-12T18:00:00' can't be used"),
        ("yesterday,a,{},1", "row 2, ts: 'yesterday'"),
        (",a,{},1", "row 2, ts: an empty cell"),
        ("-5,a,{},1", "row 2, ts: '-5'"),
        ("99999999999999999999,a,{},1", "row 2, ts: '9999"),
        ("999999999999999,a,{},1", "row 2, ts: '9999"),
        ("1773338400000.5,a,{},1", "row 2, ts: '1773338400000.5'"),
        (f"{T0},,{{}},1", "row 2, signal: an empty cell"),
        (f"{T0},a b,{{}},1", "row 2, signal: 'a b'"),
        (f"{T0},\x1b[31m,{{}},1", "row 2, signal: '"),
        (f"{T0},a,nope,1", "row 2, labels: 'nope'"),
        (f'{T0},a,"{{""n"":1}}",1', "row 2, labels: "),
        (f"{T0},a,[],1", "row 2, labels: '[]'"),
        (f"{T0},a,{{}},much", "row 2, value: 'much'"),
        (
            f"{T0},a b,nope,much",
            "row 2, signal: 'a b' can't be used; row 2, labels: 'nope' can't be used; row 2, value",
        ),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, line: str, message: str) -> None:
    subject = recorded(csv(tmp_path, BAD, GOOD, line, GOOD))
    with pytest.raises(SourceError) as caught:
        subject.signals()
    assert f"r.csv: {message}" in caught.value.message
    assert caught.value.remedy.startswith("Write ")
    assert "\x1b" not in str(caught.value)
    with pytest.raises(SourceError):
        subject.collect({})


def test_an_empty_value_is_a_sample_without_a_number(tmp_path: Path) -> None:
    assert [row[4] for row in rows(everything(recorded(csv(tmp_path, BAD, f"{T0},a,{{}},"))))] == [None]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    subject = recorded(csv(tmp_path, BAD, *["x,a,{},1"] * 1000))
    with pytest.raises(SourceError, match="row 10, ts: 'x' can't be used; and 990 more"):
        subject.span()


def test_packs_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="row 1, platform: 'a' can't be used"):
        recorded(parquet(tmp_path, ts=[T0], platform=["a"], labels=['{"platform":"b"}'])).signals()
    with pytest.raises(SourceError, match="row 1, platform: 'A B'"):
        recorded(parquet(tmp_path, ts=[T0], platform=["A B"])).signals()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ts": [datetime(2026, 1, 1)]}, "row 1, ts"),  # noqa: DTZ001 - it is refused
        ({"ts": [1.5]}, "row 1, ts"),
        ({"ts": [None]}, "row 1, ts"),
        ({"value": [True]}, "row 1, value"),
        ({"signal": [7]}, "row 1, signal"),
        ({"labels": [{"a": "b"}]}, "labels|can't be read"),
    ],
)
def test_columns_of_another_type(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        recorded(parquet(tmp_path, **columns)).signals()


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent.parquet can't be read: No such file"):
        recorded(tmp_path / "absent.parquet").signals()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SourceError, match=r"broken.parquet can't be read") as caught:
        recorded(tmp_path / "broken.parquet").signals()
    assert "Is it the parquet file" in caught.value.remedy
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(SourceError, match="neither Parquet nor CSV"):
        recorded(tmp_path / "a.txt").signals()
    with pytest.raises(SourceError, match="the column labels is missing"):
        recorded(csv(tmp_path, "ts,signal,value")).signals()
    with pytest.raises(SourceError, match="can't be read"):
        recorded(csv(tmp_path, BAD, GOOD + ",one,too,many")).signals()
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(SourceError, match="can't be read"):
        recorded(tmp_path / "empty.csv").signals()


def test_a_recording_without_rows(tmp_path: Path) -> None:
    subject = recorded(csv(tmp_path, BAD))
    assert subject.span() is None
    assert subject.signals() == ()
    assert subject.collect({}).samples.coverage.height == 0


def test_a_name_is_not_a_pattern(tmp_path: Path) -> None:
    path = csv(tmp_path, BAD, GOOD).rename(tmp_path / "r[1]*.csv")
    csv(tmp_path, BAD, "x,y,z,w").rename(tmp_path / "r1x.csv")
    assert recorded(path).span() == (T0, T0)


def test_a_hundred_windows_of_a_long_recording_are_fast(tmp_path: Path) -> None:
    height, hosts = 300_000, 400
    order = random.Random(7).sample(range(height), height)
    path = parquet(
        tmp_path,
        ts=[T0 + n // hosts * STEP for n in order],
        labels=[f'{{"host":"h{n % hosts}"}}' for n in order],
        value=[float(n) for n in order],
    )
    subject = recorded(path)
    subject.signals()
    path.unlink()  # read once
    began, found = time.perf_counter(), 0
    for tick in range(100):
        window = Window(T0 + (8 * tick - 1) * STEP, T0 + (8 * tick + 7) * STEP, STEP)
        found += subject.collect(dict.fromkeys(subject.signals(), window)).samples.samples.height
    assert found == height
    assert time.perf_counter() - began < 2.0
