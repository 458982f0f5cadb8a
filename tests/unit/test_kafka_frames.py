"""Samples, failures and warnings from what brokers answered, without a broker."""

import json
import time
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.frames import COVERAGE, SAMPLES, SERIES
from controlplane.model.labels import canonical
from controlplane.telemetry.kafka_frames import (
    COMMITTED,
    COMMITTED_ROWS,
    END,
    LAG,
    MEMBER_ROWS,
    MEMBERS,
    MINIMUM,
    PARTITION_ROWS,
    PARTITIONS,
    REPLICA_ROWS,
    REPLICAS,
    SETTING_ROWS,
    SIGNALS,
    UNCLEAN,
    Answer,
    measure,
    to_samples,
)


def answer(
    committed: Sequence[tuple[Any, ...]] = (),
    partitions: Sequence[tuple[Any, ...]] = (),
    members: Sequence[tuple[Any, ...]] = (),
    unlisted: str = "",
) -> Answer:
    """An answer from short rows; the last column, the problem, is None where it is left out."""

    def frame(rows: Sequence[tuple[Any, ...]], schema: pl.Schema) -> pl.DataFrame:
        full = [(*row, None) if len(row) < len(schema) else row for row in rows]
        return pl.DataFrame(full, schema=schema, orient="row")

    return Answer(
        frame(committed, COMMITTED_ROWS), frame(members, MEMBER_ROWS), frame(partitions, PARTITION_ROWS), unlisted
    )


def rows(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    return sorted(frame.rows())


@pytest.mark.parametrize(
    ("committed", "end", "lag", "warned"),
    [
        (0, 0, 0.0, False),
        (0, 1, 1.0, False),
        (7, 7, 0.0, False),
        (6, 7, 1.0, False),
        (8, 7, 0.0, True),
        (0, 100_001, 100_001.0, False),
        (2**53 - 2, 2**53 - 1, 1.0, False),
        (2**63 - 1, 0, 0.0, True),
    ],
)
def test_lag_is_end_minus_committed_and_never_negative(committed: int, end: int, lag: float, warned: bool) -> None:
    measured = measure(answer([("g", "t", 0, committed)], [("t", 0, end)]))
    assert rows(measured.frames[LAG]) == [("g", "t", 0, lag)]
    assert rows(measured.frames[COMMITTED]) == [("g", "t", 0, committed)]
    assert measured.failed == {}
    assert [("beyond its end" in warning) for warning in measured.warnings] == [True] * warned


@pytest.mark.parametrize("nothing", [-1, -1001])
def test_a_partition_without_a_commit_has_no_lag(nothing: int) -> None:
    measured = measure(answer([("g", "t", 0, nothing), ("g", "t", 1, 3)], [("t", 0, 9), ("t", 1, 9)]))
    assert rows(measured.frames[LAG]) == [("g", "t", 1, 6.0)]
    assert rows(measured.frames[COMMITTED]) == [("g", "t", 1, 3.0)]
    assert measured.warnings == ()


def test_offsets_of_a_deleted_topic_or_partition_have_no_row_and_a_warning() -> None:
    committed = [("g", "old", 1, 5), ("g", "old", 0, 5), ("g", "t", 7, 5), ("g", "t", 0, 5)]
    measured = measure(answer(committed, [("t", 0, 9)]))
    assert rows(measured.frames[LAG]) == [("g", "t", 0, 4.0)]
    assert rows(measured.frames[COMMITTED]) == [("g", "t", 0, 5.0)]
    assert [warning.split(",")[0:2] for warning in measured.warnings] == [
        ["consumer group g has offsets of topic old", " partition 0"],
        ["consumer group g has offsets of topic t", " partition 7"],
    ]
    assert "partition 0, 1" in measured.warnings[0]
    assert measured.failed == {}


def test_an_unavailable_partition_is_missing_and_the_others_are_there() -> None:
    committed = [("g", "t", 0, 5), ("g", "t", 1, 5), ("h", "t", 0, 6)]
    measured = measure(answer(committed, [("t", 0, 9), ("t", 1, None, "Broker: Leader not available")]))
    assert rows(measured.frames[LAG]) == [("h", "t", 0, 3.0)]
    assert rows(measured.frames[END]) == [("t", 0, 9.0)]
    assert rows(measured.frames[COMMITTED]) == [("g", "t", 0, 5.0), ("g", "t", 1, 5.0), ("h", "t", 0, 6.0)]
    assert rows(measured.frames[PARTITIONS]) == [("t", 2.0)]
    assert measured.warnings == (
        "topic t, partition 1: end and lag are unknown and left out: Broker: Leader not available",
        "lags of consumer group g are left out: Broker: Leader not available",
    )
    assert measured.failed == {}


@pytest.mark.parametrize(
    ("committed", "partitions", "known"),
    [
        ([("g", "t", 0, 0), ("g", "t", 1, 0)], [("t", 0, 150_000), ("t", 1, 400)], True),
        ([("g", "t", 0, 0), ("g", "t", 1, 0)], [("t", 0, None, "silent"), ("t", 1, 400)], False),
        ([("g", "t", 0, 0), ("g", "u", 0, 0)], [("t", 0, None, "silent"), ("u", 0, 400)], False),
        ([("g", "t", 0, 0), ("g", "u", 0, 0)], [("t", None, None, "no leader"), ("u", 0, 400)], False),
        ([("g", "t", 0, None, "unstable"), ("g", "t", 1, 0)], [("t", 0, 150_000), ("t", 1, 400)], False),
        # Never committed there, or nothing is there any more: nothing of its lag is missing.
        ([("g", "t", 0, -1), ("g", "t", 1, 0)], [("t", 0, None, "silent"), ("t", 1, 400)], True),
        ([("g", "t", 1, 0)], [("t", 0, None, "silent"), ("t", 1, 400)], True),
        ([("g", "t", 0, 0), ("g", "t", 1, 0)], [("t", 1, 400)], True),
    ],
)
def test_a_group_whose_lag_is_known_in_part_only_has_none(
    committed: list[Any], partitions: list[Any], known: bool
) -> None:
    measured = measure(answer([*committed, ("h", "v", 0, 1)], [*partitions, ("v", 0, 3)]))
    lags = measured.frames[LAG]
    assert rows(lags.filter(pl.col("consumer_group") == "h")) == [("h", "v", 0, 2.0)]
    assert (400 in lags["value"]) is known
    assert any("lags of consumer group g are left out" in warning for warning in measured.warnings) is not known
    assert measured.failed == {}


@pytest.mark.parametrize(
    ("given_answer", "failed"),
    [
        (answer(), set()),
        (answer([("g", "t", 0, -1001)], [("t", 0, None, "down")]), {END}),
        (answer([("g", "t", 0, 5)], [("t", 0, None, "down")]), {LAG, END}),
        (answer([("g", "t", 0, 5)], [("t", 0, None, "down"), ("u", 0, 3)]), {LAG}),
        (answer([("g", "t", 0, 5), ("g", "u", 0, 1)], [("t", 0, None, "down"), ("u", 0, 3)]), {LAG}),
        (answer([("g", "t", 0, 5), ("h", "u", 0, 1)], [("t", 0, None, "down"), ("u", 0, 3)]), set()),
        (answer([("g", "t", 0, None, "unstable"), ("g", "u", 0, 1)], [("t", 0, 9), ("u", 0, 3)]), {LAG}),
        (answer([("g", None, None, None, "no coordinator")], [("t", 0, 3)]), {LAG, COMMITTED}),
        (answer([("g", None, None, None, "no coordinator"), ("h", "t", 0, 1)], [("t", 0, 3)]), set()),
        (answer(members=[("g", None, "down"), ("h", None, "down")]), {MEMBERS}),
        (answer(members=[("g", None, "down"), ("h", 0)]), set()),
        (answer(unlisted="timed out"), {LAG, COMMITTED, MEMBERS}),
        (answer(unlisted="timed out", members=[("g", 1)]), set()),
        (answer(partitions=[("t", None, None, "Broker: Topic authorization failed")]), {END}),
    ],
)
def test_a_signal_of_which_nothing_could_be_read_failed(given_answer: Answer, failed: set[str]) -> None:
    measured = measure(given_answer)
    assert set(measured.failed) == failed
    assert all(measured.failed.values())


def test_what_could_not_be_read_is_named() -> None:
    measured = measure(
        answer(
            [
                ("g", None, None, None, "no coordinator"),
                ("h", "t", 0, 1),
                ("h", "t", 1, None, "unstable"),
                ("i", "t", 0, 1),
            ],
            [("t", 0, 3), ("u", None, None, "may not describe")],
            [("g", None, "no coordinator"), ("f", None, "no coordinator"), ("h", 2)],
            unlisted="timed out",
        )
    )
    assert rows(measured.frames[MEMBERS]) == [("h", 2.0)]
    assert rows(measured.frames[LAG]) == [("i", "t", 0, 2.0)]
    assert measured.warnings == (
        "some consumer groups can't be listed and are left out: timed out",
        "committed offsets of consumer group g are left out: no coordinator",
        "committed offsets of consumer group h are left out: unstable",
        "members of consumer group f, g are left out: no coordinator",
        "topic u: end and lag are unknown and left out: may not describe",
        "lags of consumer group h are left out: unstable",
    )


def test_kafkas_own_topics_are_left_out_but_for_the_lag_of_who_reads_them() -> None:
    measured = measure(
        answer([("mirror", "__consumer_offsets", 0, 5)], [("__consumer_offsets", 0, 9), ("__mine", 0, 1)])
    )
    assert rows(measured.frames[LAG]) == [("mirror", "__consumer_offsets", 0, 4.0)]
    assert rows(measured.frames[END]) == [("__mine", 0, 1.0)]
    assert rows(measured.frames[PARTITIONS]) == [("__mine", 1.0)]


def test_warnings_are_bounded_in_number_and_length() -> None:
    groups = [(f"{number:05d}" + "x" * 10_000, "t", 0, 5) for number in range(1_000)]
    partitions = [("wide", number, None, "down") for number in range(10_000)]
    warnings = measure(answer(groups, [("t", 0, 1), *partitions])).warnings
    assert len(warnings) == 22
    assert warnings[-1] == "980 more warnings of this kind"
    assert all(len(warning) < 1_000 for warning in warnings)
    assert "and 9980 more" in warnings[0]


def test_a_hundred_thousand_partitions_take_less_than_two_seconds() -> None:
    size = 100_000
    partition = pl.int_range(size, eager=True).cast(pl.Int32)
    committed = pl.DataFrame({"partition": partition}).select(
        consumer_group=pl.lit("g"),
        topic=pl.lit("t"),
        partition="partition",
        committed=pl.lit(1, dtype=pl.Int64),
        problem=pl.lit(None, dtype=pl.String),
    )
    ends = committed.select("topic", "partition", end=pl.lit(2, dtype=pl.Int64), problem="problem")
    started = time.perf_counter()
    measured = measure(Answer(committed, partitions=ends))
    samples = to_samples(measured.frames, dict.fromkeys(SIGNALS, 15_000), source="s", platform="p")
    assert time.perf_counter() - started < 2
    assert len(samples.samples) == 3 * size + 1


def test_replicas_and_settings_of_topics() -> None:
    replicas = pl.DataFrame([("t", 0, 3), ("t", 1, 0)], schema=REPLICA_ROWS, orient="row")
    known = [("t", 2, True, None), ("u", 1, False, None)]
    settings = pl.DataFrame([*known, ("v", None, None, "not authorised")], schema=SETTING_ROWS, orient="row")
    measured = measure(Answer(replicas=replicas, settings=settings))
    assert rows(measured.frames[REPLICAS]) == [("t", 0, 3), ("t", 1, 0)]
    assert rows(measured.frames[MINIMUM]) == [("t", 2), ("u", 1)]
    samples = to_samples(measured.frames, {UNCLEAN: 15_000}, source="s", platform="p")
    assert samples.samples["value"].to_list() == [1.0, 0.0]
    assert measured.failed == {}
    assert measured.warnings == ("settings of topic v are left out: not authorised",)
    nothing = measure(Answer(replicas=replicas, settings=settings.filter(pl.col("topic") == "v")))
    assert nothing.failed == dict.fromkeys((MINIMUM, UNCLEAN), "the settings of no topic could be read: not authorised")


HOSTILE = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


@given(HOSTILE, HOSTILE, st.integers(0, 2**31 - 1), st.one_of(st.just(""), HOSTILE))
def test_labels_are_in_the_canonical_form_whatever_the_names(
    group: str, topic: str, partition: int, cluster: str
) -> None:
    measured = measure(answer([(group, topic, partition, 1)], [(topic, partition, 3)], [(group, 2)]))
    samples = to_samples(measured.frames, {LAG: 15_000, MEMBERS: 15_000}, source="s", platform="p", cluster=cluster)
    whole = {"consumer_group": group, "topic": topic, "partition": str(partition), "cluster": cluster}
    expected = [canonical(whole), canonical({"consumer_group": group, "cluster": cluster})]
    assert samples.series.sort("signal")["labels"].to_list() == expected
    assert all(json.loads(text) for text in expected)


@given(st.lists(st.tuples(st.sampled_from("gh"), st.sampled_from("tu"), st.integers(0, 2), st.integers(-2, 9))))
def test_every_committed_offset_of_a_known_partition_has_exactly_one_lag(offsets: list[Any]) -> None:
    unique = {row[:3]: row for row in offsets}
    ends = {("t", 0): 4, ("t", 1): 0, ("u", 0): 9}
    measured = measure(answer(list(unique.values()), [(*at, end) for at, end in ends.items()]))
    expected = {
        (group, topic, number): max(0, ends[topic, number] - offset)
        for group, topic, number, offset in unique.values()
        if offset >= 0 and (topic, number) in ends
    }
    assert {row[:3]: row[3] for row in measured.frames[LAG].rows()} == expected


def test_the_frames_have_the_agreed_columns_and_cover_one_step() -> None:
    measured = measure(answer([("g", "t", 0, 1)], [("t", 0, 3)], [("g", 0)]))
    steps = {signal: 15_000 * (1 + index) for index, signal in enumerate(SIGNALS)}
    samples = to_samples(measured.frames, steps, source="brokers", platform="catalyst")
    assert (samples.series.schema, samples.samples.schema, samples.coverage.schema) == (SERIES, SAMPLES, COVERAGE)
    assert sorted(samples.coverage.rows()) == sorted(
        ("brokers", "catalyst", signal, step, step) for signal, step in steps.items()
    )
    at = samples.samples.join(samples.series, on="sid")
    assert {row["signal"]: (row["ts"], row["value"]) for row in at.iter_rows(named=True)} == {
        LAG: (steps[LAG], 2.0),
        COMMITTED: (steps[COMMITTED], 1.0),
        END: (steps[END], 3.0),
        MEMBERS: (steps[MEMBERS], 0.0),
        PARTITIONS: (steps[PARTITIONS], 1.0),
    }
    empty = to_samples(measured.frames, {}, source="brokers", platform="catalyst")
    assert empty.coverage.is_empty()
