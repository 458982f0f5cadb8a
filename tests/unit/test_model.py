"""Durations, instants, units, money and labels: exact at the boundaries, and read back as they were written."""

import json
import math
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from controlplane.model.base import Condition, Duration, Instant, Money
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.labels import canonical, describe, printable, short_hash
from controlplane.model.money import cents, human_money
from controlplane.model.time import (
    Window,
    format_duration,
    from_ms,
    human_duration,
    on_grid,
    parse_duration,
    to_ms,
)
from controlplane.model.units import (
    check_unit,
    convert,
    human,
    many,
    parse_bits_per_second,
    parse_bytes,
)

DURATION, INSTANT, MONEY = TypeAdapter(Duration), TypeAdapter(Instant), TypeAdapter(Money)


# durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("1ms", 0.001),
        ("999ms", 0.999),
        ("90s", 90),
        ("2m", 120),
        ("1h30m", 5400),
        ("1d12h", 129_600),
        ("1w2d3h4m5s6ms", 788_645.006),
        ("0m5s", 5),
        ("007s", 7),
        ("100d", 8_640_000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "s", "5 s", " 5s", "5s ", "5s\n", "-5s", "+5s", "1.5h", "1,5h", "5S", "5M", "5sec", "1h 30m", "5y"),
        *("30m1h", "1m1m", "1s1ms1s", "٥s", "5µs", "1e3s", "0x5s", "PT5S", "999999999999w"),
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|largest first|too long"):
        parse_duration(text)


@pytest.mark.parametrize("value", [5, 5.0, True, None, ["5s"], {"s": 5}, b"5s"])
def test_a_duration_is_text(value: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(value)


@given(st.integers(0, 10**15).map(lambda ms: timedelta(milliseconds=ms)))
def test_durations_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert DURATION.validate_python(DURATION.dump_python(duration)) == duration
    assert DURATION.validate_json(DURATION.dump_json(duration)) == duration


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        found = parse_duration(text)
    except ValueError:
        return
    assert found >= timedelta(0)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=-5), "0s"),
        (timedelta(microseconds=400), "0s"),
        (timedelta(milliseconds=1), "1ms"),
        (timedelta(seconds=59.999), "59s999ms"),
        (timedelta(days=8), "8d"),
    ],
)
def test_format_duration(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.4, "0s"),
        (0.6, "1s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (60, "1m"),
        (61, "1m 1s"),
        (3_600, "1h"),
        (3_661, "1h 1m"),
        (86_399, "23h 59m"),
        (90_000, "1d 1h"),
        (86_401, "1d 1s"),
        (864_000_000, "10000d"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == text


# instants and the grid

_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_instants = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=_zones)  # noqa: DTZ001 - as hypothesis asks


@given(_instants)
def test_instants_are_utc(instant: datetime) -> None:
    found = INSTANT.validate_python(instant)
    assert found == instant
    assert found.tzinfo is UTC
    assert INSTANT.validate_json(INSTANT.dump_json(found)) == found


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), "2026-01-01T00:00:00", "yesterday"])  # noqa: DTZ001 - it is refused
def test_an_instant_has_a_zone(value: object) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(value)
    if isinstance(value, datetime):
        with pytest.raises(ValueError, match="needs a zone"):
            to_ms(value)


@given(st.integers(-(2**42), 2**42))
def test_milliseconds_read_back(ms: int) -> None:
    assert to_ms(from_ms(ms)) == ms
    assert from_ms(ms).tzinfo is UTC


@pytest.mark.parametrize(
    ("ms", "instant"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        (1_773_338_400_000, datetime(2026, 3, 12, 18, tzinfo=UTC)),
        (1_773_338_400_001, datetime(2026, 3, 12, 18, 0, 0, 1_000, tzinfo=UTC)),
    ],
)
def test_milliseconds(ms: int, instant: datetime) -> None:
    assert from_ms(ms) == instant
    assert to_ms(instant) == ms


@given(st.integers(-(2**50), 2**50), st.integers(1, 10**8))
def test_the_grid(ms: int, step: int) -> None:
    found = on_grid(ms, step)
    assert found % step == 0
    assert found <= ms < found + step


@given(st.integers(-100, 100), st.integers(0, 100), st.integers(1, 60_000))
def test_windows(start: int, count: int, step: int) -> None:
    window = Window(start * step, (start + count) * step, step)
    steps = list(window.steps())
    assert len(steps) == len(window) == count
    assert all(window.start < ts <= window.end and ts % step == 0 for ts in steps)
    assert not steps or (steps[0] == window.first and steps[-1] == window.end)


@pytest.mark.parametrize("window", [(1, 30, 15), (0, 31, 15), (30, 15, 15), (0, 0, 0), (0, 0, -15)])
def test_what_is_no_window(window: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="not a window"):
        Window(*window)


# units

UNITS = (
    "1",
    "%",
    "s",
    "ms",
    "min",
    "h",
    "d",
    "By",
    "GBy",
    "GiBy",
    "bit",
    "By/s",
    "bit/s",
    "GBy/h",
    "{message}/s",
    "USD",
)


@pytest.mark.parametrize(
    "unit", [*UNITS, "{message}", "{a-b_c_1.d}", "{message}/{consumer}", "USD/mo", "1/s", "By/s/{host}"]
)
def test_known_units(unit: str) -> None:
    assert check_unit(unit) == unit
    condition = Condition.parse(f"> 5 {unit}")
    assert condition.unit == unit
    assert Condition.parse(str(condition)) == condition


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "bytes",
        "GB",
        "S",
        "kg",
        "{}",
        "{1}",
        "{a}b",
        "{a/b}",
        "{a b}",
        "{a\x1b}",
        "/s",
        "s/",
        "By//s",
        "By / s",
        " s",
        "%%",
    ],
)
def test_unknown_units(unit: str) -> None:
    with pytest.raises(ValueError, match="unknown unit"):
        check_unit(unit)


@pytest.mark.parametrize(
    ("value", "unit", "to", "result"),
    [
        (85, "%", "1", 0.85),
        (0.85, "1", "%", 85),
        (1, "GBy", "By", 1e9),
        (1, "GiBy", "By", 2**30),
        (8, "bit", "By", 1),
        (1, "By/s", "bit/s", 8),
        (1, "GBy/h", "MBy/s", 1e9 / 3600 / 1e6),
        (2, "min", "s", 120),
        (1, "mo", "h", 730),
        (1, "a", "d", 365),
        (5, "{message}/min", "{message}/s", 5 / 60),
        (math.inf, "ms", "s", math.inf),
    ],
)
def test_convert(value: float, unit: str, to: str, result: float) -> None:
    assert convert(value, unit, to) == pytest.approx(result, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "unit", "to", "result"),
    [
        (4, "ms", "us", 4000.0),
        (85, "%", "1", 0.85),
        (0.1, "s", "ms", 100.0),
        (1.1, "GBy", "By", 1.1e9),
        (18, "ds", "s", 1.8),
    ],
)
def test_a_threshold_in_another_unit_is_exactly_the_same(value: float, unit: str, to: str, result: float) -> None:
    assert convert(value, unit, to) == result


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(1e-9, 1e12))
def test_convert_there_and_back(unit: str, to: str, value: float) -> None:
    try:
        there = convert(value, unit, to)
    except ValueError as error:
        assert unit != to
        assert "measure different things" in str(error)  # noqa: PT017 - equal units raise nothing
    else:
        assert convert(there, to, unit) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "to"), [("s", "By"), ("{message}", "{row}"), ("By", "By/s"), ("1", "s"), ("%", "{message}"), ("USD", "1")]
)
def test_what_can_not_be_compared(unit: str, to: str) -> None:
    with pytest.raises(ValueError, match="measure different things"):
        convert(1, unit, to)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("64GiB", 64 * 2**30),
        ("4TB", 4e12),
        ("1.5 kB", 1500),
        ("0B", 0),
        ("7B", 7),
        ("1PiB", 2**50),
        (12, 12),
        (1.5, 1.5),
        (0, 0),
    ],
)
def test_bytes(value: object, number: float) -> None:
    assert parse_bytes(value) == number


@pytest.mark.parametrize(
    "value",
    [
        *("", "64", "GiB", "64 GIB", "64gb", "64  GB", "-1GB", "1e3GB", "0x1B", "64GiB\n", "1,5GB", "10Gbps"),
        *("9" * 400 + "GB", True, None, -1, math.nan, math.inf, [1]),
    ],
)
def test_what_are_no_bytes(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size|is negative"):
        parse_bytes(value)


def test_bits_per_second() -> None:
    assert parse_bits_per_second("10Gbps") == 1e10
    assert parse_bits_per_second("2.5 Mbps") == 2.5e6
    assert parse_bits_per_second(8) == 8
    for wrong in ("10Gb", "10GiB", "10Gbit/s", "", True):
        with pytest.raises(ValueError, match="is not a bit rate"):
            parse_bits_per_second(wrong)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "By", "no data"),
        (0.912, "1", "91.2 %"),
        (0, "1", "0 %"),
        (12.5, "%", "12.5 %"),
        (412_000, "{message}", "412,000 messages"),
        (1, "{message}", "1 message"),
        (0, "{primary}", "0 primaries"),
        (1.5, "{message}/s", "1.5 messages/s"),
        (1.0, "{message}/s", "1 message/s"),
        (412_000.0, "{query}/d", "412,000 queries/d"),
        (999, "By", "999 B"),
        (1_000, "By", "1 kB"),
        (1.4e12, "By/s", "1.4 TB/s"),
        (-2.5e9, "By", "-2.5 GB"),
        (1e18, "By", "1,000 PB"),
        (1e6, "bit/s", "1 Mbit/s"),
        (1_234.5, "s", "1,234 s"),
        (12.345678, "s", "12.35 s"),
        (math.inf, "s", "+inf s"),
        (-math.inf, "By", "-inf By"),
        (math.nan, "1", "+nan 1"),
    ],
)
def test_values_for_people(value: float | None, unit: str, text: str) -> None:
    assert human(value, unit) == text


@given(st.one_of(st.none(), st.floats()), st.sampled_from([*UNITS, "{message}"]))
def test_every_value_can_be_shown(value: float | None, unit: str) -> None:
    shown = human(value, unit)
    assert shown
    assert len(shown) < 60


def test_many() -> None:
    assert [many(number, "host") for number in (0, 1, 2, 1_200)] == ["0 hosts", "1 host", "2 hosts", "1,200 hosts"]


# money


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("735.84", Decimal("735.84")),
        ("-0.10", Decimal("-0.10")),
        (0, Decimal(0)),
        (12, Decimal(12)),
        (0.1, Decimal("0.1")),
        (1e-7, Decimal("1E-7")),
        (Decimal("1.005"), Decimal("1.005")),
        ("1e3", Decimal("1E+3")),
    ],
)
def test_amounts(value: object, amount: Decimal) -> None:
    assert MONEY.validate_python(value) == amount


@pytest.mark.parametrize(
    "value", ["", "abc", "1,000", "$5", "nan", "inf", "-Infinity", "sNaN", math.nan, math.inf, True, None, [1]]
)
def test_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValidationError, match="is not an amount"):
        MONEY.validate_python(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_amounts_read_back_exactly(amount: Decimal) -> None:
    text = json.loads(MONEY.dump_json(amount))
    assert isinstance(text, str)
    assert "E" not in text
    assert MONEY.validate_python(text) == amount


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_the_number_that_it_shows(value: float) -> None:
    assert float(MONEY.validate_python(value)) == value
    assert str(MONEY.validate_python(0.1)) == "0.1"


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("0.005", "0.00"),
        ("0.015", "0.02"),
        ("0.025", "0.02"),
        ("-0.005", "-0.00"),
        ("1.0049999", "1.00"),
        ("2", "2.00"),
    ],
)
def test_cents_are_rounded_half_even(amount: str, rounded: str) -> None:
    assert str(cents(Decimal(amount))) == rounded


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        ("0", "$0"),
        ("-0", "$0"),
        ("9702", "$9,702"),
        ("9702.5", "$9,702.50"),
        ("-120.5", "−$120.50"),
        ("0.004", "$0"),
        ("-0.004", "$0"),
        ("0.006", "$0.01"),
        ("999999999.99", "$999,999,999.99"),
    ],
)
def test_money_for_people(amount: str | None, text: str) -> None:
    assert human_money(None if amount is None else Decimal(amount)) == text


def test_other_currencies() -> None:
    assert human_money(Decimal("1.5"), "EUR") == "EUR 1.50"


# labels

_labels = st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=5)
_utf8 = st.text(st.characters(codec="utf-8"), max_size=10)


@given(_labels)
def test_equal_labels_give_equal_text(labels: dict[str, str]) -> None:
    shuffled = dict(sorted(labels.items(), reverse=True))
    assert (
        canonical(labels)
        == canonical(shuffled)
        == canonical(labels | {"empty": ""} if "empty" not in labels else labels)
    )
    canonical(labels).encode("utf-8")


@given(st.dictionaries(_utf8, _utf8, max_size=5))
def test_labels_read_back(labels: dict[str, str]) -> None:
    assert json.loads(canonical(labels)) == {name: value for name, value in labels.items() if value}


@given(st.dictionaries(_utf8, _utf8.filter(bool), max_size=3), st.dictionaries(_utf8, _utf8.filter(bool), max_size=3))
def test_different_labels_give_different_text(left: dict[str, str], right: dict[str, str]) -> None:
    assert (canonical(left) == canonical(right)) == (left == right)


def test_canonical() -> None:
    assert canonical({"b": "é", "a": "1", "c": ""}) == '{"a":"1","b":"é"}'
    assert canonical({}) == "{}"
    assert canonical({"a": "\ud800"}) == '{"a":"?"}'


@given(st.lists(_utf8, max_size=4), st.lists(_utf8, max_size=4))
def test_hashes_name_the_parts(left: list[str], right: list[str]) -> None:
    assert (short_hash(*left) == short_hash(*right)) == (left == right)
    assert len(short_hash(*left)) == 16
    assert set(short_hash(*left)) <= set("0123456789abcdef")


def test_parts_do_not_run_together() -> None:
    assert len({short_hash("ab", "c"), short_hash("a", "bc"), short_hash("abc"), short_hash("abc", "")}) == 4


@given(st.text(), st.integers(2, 50))
def test_printable_is_harmless_and_short(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    hidden = {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not hidden
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("", 3, ""),
        ("a\nb\tc", 9, "a b c"),
        ("a\x1b[31mb", 9, "a\ufffd[31mb"),
        ("a\u202eb\u2066c\u200dd", 9, "a\ufffdb\ufffdc\ufffdd"),
        ("\r\x00\x7f\x9b", 9, "\ufffd" * 4),
        ("日本 é 😀", 9, "日本 é 😀"),
        ("x" * 10_000, 200, "x" * 199 + "…"),
    ],
)
def test_printable(text: str, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown


def test_describe() -> None:
    assert describe({"b": "2", "a": "\x1b1"}) == "a=\ufffd1, b=2"
    assert describe({}) == ""


# errors


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place("a.yaml"), "a.yaml"),
        (Place("a.yaml", 3), "a.yaml:3"),
        (Place("a.yaml", 3, 5), "a.yaml:3:5"),
        (Place("a.yaml", 3, 5, "x.0.y"), "a.yaml:3:5 (x.0.y)"),
        (Place("settings", path="x"), "settings (x)"),
    ],
)
def test_places(place: Place, text: str) -> None:
    assert str(place) == text
    assert str(Problem(place, "is wrong")) == f"{text}: is wrong"
    assert str(Problem(place, "is wrong", "Mend it")) == f"{text}: is wrong. Mend it"


def test_an_error_carries_every_problem() -> None:
    problems = [Problem(Place("a", line), "wrong") for line in (1, 2)]
    error = InvalidInput(problems)
    assert error.problems == problems
    assert str(error) == "a:1: wrong\na:2: wrong"


@given(_instants)
def test_to_ms_is_the_nearest_millisecond(instant: datetime) -> None:
    assume(instant.year > 1901)
    assert abs(from_ms(to_ms(instant)) - instant) <= timedelta(microseconds=501)
