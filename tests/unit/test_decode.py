"""Answers of the Prometheus API become the same columns on both ways as a plain JSON parser gives."""

import json
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controlplane.frames import SAMPLES
from controlplane.model.labels import canonical
from controlplane.telemetry import decode as subject
from controlplane.telemetry.decode import AnswerError, Decoded, api_error, decode, put_on_grid
from controlplane.telemetry.series_labels import LabelTexts

T0 = 1_700_000_000
HOSTILE = (
    '"',
    "\\",
    '\\"',
    '},{"metric":',
    '\\"},{"metric":{',
    '"},{"metric":{"a":"b"},"values":[[1,"2"]]},{"metric":{',
    ',"values":[[',
    ',"value":[',
    '"]]}]}}',
    ']},"warnings":["',
    ',"histograms":[',
    "},",
    '},"',
    "{}",
    "]]",
    "\x1b[31m\x00\x07",
    "\u2028\u202e\ufeff",
    "größe 🦀 日本",
    "'; DROP TABLE samples; --",
    "x" * 10_000,
    "\n\t\r",
    "</script>&amp;",
)
NUMBERS = ("NaN", "+Inf", "-Inf", "5e-324", "-0", "0", "1.7976931348623157e+308", "0.1", "123456789012345678", "1e3")


def body(kind: str, series: list[tuple[dict[str, str], list[tuple[float, str]]]], **more: Any) -> dict[str, Any]:
    """A successful answer as the API documents it."""
    result = [
        {
            "metric": labels,
            **({"values": [list(p) for p in points]} if kind == "matrix" else {"value": list(points[0])}),
        }
        for labels, points in series
    ]
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


def compact(answer: Any) -> bytes:
    """As Prometheus writes it: no white space, UTF-8 as it is."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def spread(answer: Any) -> bytes:
    """As another server might: other order of keys, white space, ASCII only."""
    data = answer["data"]
    result = [dict(reversed(one.items())) for one in data["result"]]
    return json.dumps({"data": {"result": result, "resultType": data["resultType"]}, **{
        k: v for k, v in answer.items() if k != "data"
    }}, indent=1).encode()  # fmt: skip


def reference(answer: Any) -> list[tuple[dict[str, str], list[tuple[int, float | None]]]]:
    """Series and samples by the plainest means."""
    out = []
    for one in json.loads(json.dumps(answer))["data"]["result"]:
        points = one.get("values", []) + ([one["value"]] if "value" in one else [])
        if points:
            out.append((one["metric"], [(round(ts * 1000), _plain(text)) for ts, text in points]))
    return out


def _plain(text: str) -> float | None:
    value = float(text)
    return None if math.isnan(value) else value


def rows(decoded: Decoded) -> list[tuple[dict[str, str], list[tuple[int, float | None]]]]:
    samples = decoded.samples.group_by("sid").agg(pl.struct("ts", "value")).rows()
    points = {sid: [(one["ts"], one["value"]) for one in structs] for sid, structs in samples}
    return [(json.loads(text), points[sid]) for sid, text in decoded.series.rows()]


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

labels_strategy = st.dictionaries(
    st.sampled_from(["__name__", "host", "a", "metric", "value", "values", "status", "B", "_"]),
    st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30), st.lists(st.sampled_from(HOSTILE[:18])).map("".join)),
    max_size=4,
)
time_strategy = st.one_of(
    st.integers(0, 4_000_000_000),
    st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000),
    st.sampled_from([1.5e9, 1700000000.123, 1700000000.0]),
)
number_strategy = st.one_of(st.sampled_from(NUMBERS), st.floats(allow_nan=False, allow_infinity=False).map(repr))
series_strategy = st.lists(
    st.tuples(labels_strategy, st.lists(st.tuples(time_strategy, number_strategy), min_size=1, max_size=4)), max_size=6
)


@unhurried
@given(
    kind=st.sampled_from(["matrix", "vector"]),
    series=series_strategy,
    chunk=st.sampled_from([1, 50, 300, subject.CHUNK_BYTES]),
    warnings=st.lists(st.sampled_from([*HOSTILE[:18], "few samples"]), max_size=2),
)
def test_both_ways_agree_with_a_plain_parser(kind: str, series: list[Any], chunk: int, warnings: list[str]) -> None:
    answer = body(kind, series, **({"warnings": warnings} if warnings else {}))
    expected = reference(answer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "CHUNK_BYTES", chunk)
        fast = subject._split(compact(answer))
        whole = decode(compact(answer))
    slow, other = subject._parse(compact(answer)), decode(spread(answer))
    for decoded in (whole, slow, other, *([fast] if fast else [])):
        assert decoded.samples.schema == SAMPLES
        assert rows(decoded) == expected
        assert len(decoded.warnings) == len(set(warnings))
    kept = [canonical({k: v for k, v in labels.items() if k != "__name__"}) for labels, _ in expected]
    if len(set(kept)) == len(kept):
        assert LabelTexts({}).canonical(whole.series["labels"]).to_list() == kept


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", ["matrix", "vector"])
def test_hostile_label_values_survive(kind: str, text: str) -> None:
    answer = body(kind, [({"a": text, "n": str(n)}, [(T0, "1")]) for n in range(3)])
    assert rows(decode(compact(answer))) == reference(answer)


@pytest.mark.parametrize("kind", ["matrix", "vector"])
def test_what_prometheus_writes_takes_the_fast_way(kind: str) -> None:
    series = [({"__name__": "up", "q": '\\" },{ ]]'}, [(T0, "1"), (T0 + 0.5, "2")]), ({"b": "ü"}, [(1.5, "3")])]
    for more in ({}, {"warnings": ["a"]}, {"warnings": ["a"], "infos": ["b"]}, {"infos": ["b"]}):
        for end in (b"", b"\n"):
            fast = subject._split(compact(body(kind, series, **more)) + end)
            assert fast is not None
            assert rows(fast) == reference(body(kind, series))
            assert fast.warnings == tuple(more.get("warnings", ()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", None),
        ("+Inf", math.inf),
        ("-Inf", -math.inf),
        ("5e-324", 5e-324),
        ("-0", -0.0),
        ("1e400", math.inf),
        ("0.30000000000000004", 0.30000000000000004),
    ],
)
def test_values(text: str, value: float | None) -> None:
    answer = body("matrix", [({}, [(T0, text)])])
    for decoded in (subject._split(compact(answer)), subject._parse(compact(answer))):
        assert decoded is not None
        (got,) = decoded.samples["value"]
        assert got == value
        assert value is None or math.copysign(1, got) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("ts", "ms"),
    [("1.5e9", 1_500_000_000_000), ("1700000000.123", 1_700_000_000_123), ("0", 0), ("0.001", 1), ("-1.5", -1500)],
)
def test_times_become_milliseconds(ts: str, ms: int) -> None:
    text = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[%s,"1"]]}]}}'
    for decoded in (subject._split(text % ts.encode()), subject._parse(text % ts.encode())):
        assert decoded is not None
        assert decoded.samples["ts"].to_list() == [ms]


def test_empty_results() -> None:
    for kind in ("matrix", "vector"):
        for text in (compact(body(kind, [])), spread(body(kind, []))):
            decoded = decode(text)
            assert decoded.series.height == decoded.samples.height == 0
            assert decoded.samples.schema == SAMPLES
    no_points = b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[]}]}}'
    assert decode(no_points).series.height == 0


SMALL = compact(body("matrix", [({"a": '"]]}]}}', "b": "]]}]}}"}, [(T0, "1"), (T0 + 15, "2")])] * 2, warnings=["w"]))


@pytest.mark.parametrize("whole", [SMALL, compact(body("vector", [({"a": "]}]}}"}, [(T0, "1")])]))])
def test_no_part_of_an_answer_is_used(whole: bytes) -> None:
    decode(whole)
    for end in range(len(whole)):
        with pytest.raises(AnswerError) as caught:
            decode(whole[:end])
        assert caught.value.whole
    for more in (b"x", b"{}", b"]"):
        with pytest.raises(AnswerError):
            decode(whole + more)


@unhurried
@given(st.integers(0, len(SMALL) - 1), st.sampled_from([b"", b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"1", b"\x01"]))
@example(SMALL.index(b'"2"') + 1, b"n")
def test_a_damaged_byte_is_an_error_or_means_what_json_says(place: int, put: bytes) -> None:
    damaged = SMALL[:place] + put + SMALL[place + 1 :]
    try:
        decoded = decode(damaged)
        LabelTexts({}).canonical(decoded.series["labels"].unique())
    except AnswerError:
        return
    assert rows(decoded) == reference(json.loads(damaged))


@pytest.mark.parametrize(
    ("text", "message", "whole"),
    [
        (b"", "empty", True),
        (b"   ", "empty", True),
        (b"<!DOCTYPE html><html>log in</html>", "web page", True),
        (b"\n <html>", "web page", True),
        (b"null", "not complete JSON", True),
        (b"[]", "not complete JSON", True),
        (b'{"status":"success"}', "without data", True),
        (b'{"status":"error","errorType":"bad_data","error":"parse \x7f error"}', "bad_data: parse", False),
        (compact({"status": "success", "data": {"resultType": "scalar", "result": [T0, "1"]}}), "scalar", False),
        (compact({"status": "success", "data": {"resultType": "streams", "result": []}}), "streams", False),
        (compact(body("matrix", [({}, [(T0, "abc")])])), "not a number", True),
        (compact(body("matrix", [({}, [(T0, "infinity")])])), "not a number", True),
        (compact(body("matrix", [({}, [(T0, "")])])), "not a number", True),
        (compact(body("matrix", [({}, [(1e300, "1")])])), "not a number", True),
        (SMALL.replace(b'"values"', b'"valeus"', 1), "without values", True),
        (SMALL.replace(b'"1"', b"1"), "not complete JSON", True),
        (SMALL.replace(b'"w"', b'"\xff"'), "not complete JSON", True),
    ],
)
def test_what_is_no_answer_is_an_error(text: bytes, message: str, whole: bool) -> None:
    with pytest.raises(AnswerError, match=message) as caught:
        decode(text)
    assert caught.value.whole is whole
    assert "\x7f" not in str(caught.value)


@pytest.mark.parametrize("more", [b',"x":{}', b',"x":{"},":1}', b',"x":"},"', b',"x":[{"metric":{}}]'])
@pytest.mark.parametrize("kind", ["matrix", "vector"])
def test_another_key_between_labels_and_values_is_passed_over(kind: str, more: bytes) -> None:
    text = compact(body(kind, [({"a": "b"}, [(T0, "1")])])).replace(b'"b"}', b'"b"}' + more)
    assert rows(decode(text)) == [({"a": "b"}, [(T0 * 1000, 1.0)])]


@pytest.mark.parametrize("ts", [b"+5", b"05", b"5.", b".5", b"nan", b"inf", b"1_0", b'"5"', b"null", b"0x5", b""])
@pytest.mark.parametrize("kind", ["matrix", "vector"])
def test_a_time_that_json_does_not_know_is_an_error(kind: str, ts: bytes) -> None:
    whole = compact(body(kind, [({}, [(T0, "1")])]))
    with pytest.raises(AnswerError, match="not complete JSON"):
        decode(whole.replace(str(T0).encode(), ts))


def test_native_histograms_are_left_out_with_a_warning() -> None:
    answer = body("matrix", [({"a": "b"}, [(T0, "1")])])
    histogram = [T0, {"count": "1", "sum": "2", "buckets": []}]
    answer["data"]["result"] += [{"metric": {"h": "1"}, "histograms": [histogram]}]
    answer["data"]["result"] += [{"metric": {"m": "1"}, "values": [[T0, "4"]], "histograms": [histogram]}]
    decoded = decode(compact(answer))
    assert [labels for labels, _ in rows(decoded)] == [{"a": "b"}, {"m": "1"}]
    assert "histograms of 2 series" in decoded.warnings[0]


def test_a_partial_answer_says_so() -> None:
    assert decode(compact({"isPartial": True, **body("matrix", [])})).warnings == (
        "the server says that its answer is partial",
    )


def test_the_words_of_the_api() -> None:
    assert api_error(b'{"status":"error","errorType":"execution","error":"many-to-many"}') == "execution: many-to-many"
    assert api_error(b"nope") is None
    assert api_error(compact(body("vector", []))) is None


# labels


def canonicals(texts: list[str], renames: dict[str, str] | None = None) -> list[str]:
    return LabelTexts(renames or {}).canonical(pl.Series(texts, dtype=pl.String)).to_list()


def test_labels_lose_the_name_are_renamed_and_sorted() -> None:
    texts = ['{"__name__":"up","z":"1","consumergroup":"b","empty":""}', "{}", '{ "a" : "\\u00e9" }']
    assert canonicals(texts, {"consumergroup": "consumer_group", "absent": "x"}) == [
        '{"consumer_group":"b","z":"1"}',
        "{}",
        '{"a":"é"}',
    ]


@unhurried
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=5), st.booleans())
@example({"a": "\x7f\x1f\b\f\u2028"}, False)
def test_labels_equal_the_model(labels: dict[str, str], ascii_only: bool) -> None:
    labels.pop("__name__", None)
    assert canonicals([json.dumps(labels, ensure_ascii=ascii_only)]) == [canonical(labels)]


def test_half_a_surrogate_pair_equals_the_model() -> None:
    assert canonicals(['{"a":"\\ud800"}']) == [canonical({"a": "\ud800"})]


def test_swapped_names_are_no_collision() -> None:
    assert canonicals(['{"a":"1","b":"2"}'], {"a": "b", "b": "a"}) == ['{"a":"2","b":"1"}']


@pytest.mark.parametrize(
    ("texts", "renames", "message"),
    [
        (['{"__name__":"a","x":"1"}', '{"__name__":"b","x":"1"}'], {}, "two series have the same labels: x=1"),
        (['{"__name__":"a"}', '{"__name__":"b"}'], {}, "no labels at all"),
        (['{"p":"1"}', '{"q":"1"}'], {"p": "q"}, "q=1"),
        (['{"p":"1","q":"2"}'], {"p": "q"}, "two labels of one name"),
        (['{"a":"\\u001b[31m"}', '{"a":"\\u001b[31m","b":""}'], {}, r"a=.\[31m"),
        (['{"a":1}'], {}, "JSON object of texts"),
        (["[]"], {}, "JSON object of texts"),
        (['{"a":"b"'], {}, "JSON object of texts"),
        (["[" * 100_000], {}, "JSON object of texts"),
    ],
)
def test_unusable_labels(texts: list[str], renames: dict[str, str], message: str) -> None:
    with pytest.raises(AnswerError, match=message) as caught:
        canonicals(texts, renames)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_known_series_keep_their_labels_and_new_ones_are_decoded() -> None:
    texts = LabelTexts({"h": "host"})
    first = texts.canonical(pl.Series(['{"h":"1"}', '{"h":"2"}']))
    second = texts.canonical(pl.Series(['{"h":"3"}', '{"h":"2"}']))
    assert first.to_list() == ['{"host":"1"}', '{"host":"2"}']
    assert second.to_list() == ['{"host":"3"}', '{"host":"2"}']
    assert texts.canonical(pl.Series([], dtype=pl.String)).to_list() == []
    assert texts.canonical(pl.Series(['{"h":"2"}'])).to_list() == ['{"host":"2"}']


def test_a_refused_answer_leaves_nothing_behind() -> None:
    texts = LabelTexts({})
    with pytest.raises(AnswerError):
        texts.canonical(pl.Series(['{"__name__":"a"}', '{"__name__":"b"}']))
    assert texts.canonical(pl.Series(['{"__name__":"a"}'])).to_list() == ["{}"]


# grid


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([(0, 15_000, 1.0)], [(0, 15_000, 1.0)]),
        ([(0, 15_001, 1.0)], [(0, 30_000, 1.0)]),
        ([(0, 14_999, 1.0)], [(0, 15_000, 1.0)]),
        ([(0, 1, 1.0), (0, 15_000, 2.0)], [(0, 15_000, 2.0)]),
        ([(0, 15_000, 2.0), (0, 1, 1.0)], [(0, 15_000, 2.0)]),
        ([(0, 15_000, 1.0), (0, 15_000, None)], [(0, 15_000, None)]),
        ([(0, 10, 1.0), (1, 20, 2.0)], [(0, 15_000, 1.0), (1, 15_000, 2.0)]),
        ([(0, -1, 1.0)], [(0, 0, 1.0)]),
        ([], []),
    ],
)
def test_samples_move_to_the_next_step_and_the_newest_wins(samples: list[Any], expected: list[Any]) -> None:
    moved = put_on_grid(pl.DataFrame(samples, SAMPLES, orient="row"), 15_000)
    assert moved.schema == SAMPLES
    assert sorted(moved.rows()) == expected
