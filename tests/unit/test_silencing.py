"""Silences and notes of the operator: what they refuse, that they are made once, and what a silence would mute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import SILENCES
from controlplane.model.matchers import Matcher, parse_matchers
from controlplane.model.payloads import AlertFired, AlertPending, NoteAdded, RecommendationProposed, ResourceAdded
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.operator import MAX_NOTE, ActionRefused, Operator
from controlplane.silencing import firing, named
from tests.drafts import HOSTILE, draft, facts, recommendation

NOW = datetime(2026, 3, 1, 19, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with EventLog.open(f"sqlite:///{tmp_path / 'events.db'}") as opened:
        yield opened


def fire(log: EventLog, name: str, **fields: object) -> None:
    payload = AlertFired(facts=facts(name, **fields))
    log.append([draft(payload, f"alert:{name}", occurred_at=NOW)], recorded_at=NOW)


def silence(**fields: object) -> Silence:
    matchers = (Matcher.parse("host=h1"),)
    plain = {
        "id": named(matchers, "ana", NOW),
        "matchers": matchers,
        "starts_at": NOW,
        "ends_at": NOW + HOUR,
        "author": "ana",
        "reason": "disks are changed",
        "created_at": NOW,
    }
    return Silence.model_validate(plain | fields)


def test_the_same_silence_twice_is_one(log: EventLog) -> None:
    new = silence()
    assert Operator(log).silence(new) is not None
    assert Operator(log).silence(new) is None
    assert list(log.rows(SILENCES).values()) == [new]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"reason": "  "}, "say why"),
        ({"author": ""}, "say why"),
        ({"reason": "x" * (MAX_NOTE + 1)}, "longer than"),
        ({"ends_at": NOW}, "over already"),
        ({"starts_at": NOW - HOUR, "ends_at": NOW - timedelta(seconds=1)}, "over already"),
        ({"matchers": (Matcher.parse('host=~".*"'),)}, "every alert"),
        ({"matchers": (Matcher.parse('host!="h1"'),)}, "every alert"),
    ],
)
def test_what_a_silence_must_not_be(log: EventLog, fields: dict[str, object], why: str) -> None:
    with pytest.raises(ActionRefused, match=why):
        Operator(log).silence(silence(**fields))
    assert log.rows(SILENCES) == {}


def test_a_silence_is_ended_once(log: EventLog) -> None:
    operator, new = Operator(log), silence()
    operator.silence(new)
    later = NOW + timedelta(minutes=5)
    assert operator.end_silence(new.id, actor="mira", now=later) is not None
    assert operator.end_silence(new.id, actor="mira", now=later) is None
    row = log.row(SILENCES, new.id)
    assert row is not None
    assert (row.ends_at, row.ended_by) == (later, "mira")
    with pytest.raises(ActionRefused, match="there is no silence"):
        operator.end_silence("nothing", actor="mira", now=later)


def test_what_a_silence_would_mute_is_seen_with_the_labels_of_routes(log: EventLog) -> None:
    resource = Resource(id="h1", platform="catalyst", kind=ResourceKind.HOST, zone="z1")
    added = ResourceAdded(source="inv", resource=resource)
    log.append([draft(added, f"resource:{resource.key}", occurred_at=NOW)], recorded_at=NOW)
    fire(log, "a1", labels={"host": "h1"}, severity=Severity.WARNING, platform="catalyst")
    fire(log, "a2", labels={"host": "h2"}, severity=Severity.CRITICAL, platform="catalyst")
    waiting = AlertPending(facts=facts("a3", labels={"host": "h1"}))
    log.append([draft(waiting, "alert:a3", occurred_at=NOW)], recorded_at=NOW)
    found = firing(log)
    for line, muted in (
        ("host=h1", ["a1"]),
        ("zone=z1", ["a1"]),
        ("severity=critical", ["a2"]),
        ('host=~"h."', ["a2", "a1"]),
        ('host=~"h"', []),
        ("host!=h1", ["a2"]),
        ("host=h1 severity=critical", []),
    ):
        assert [alert.id for alert in found.matching(parse_matchers(line))] == muted, line


@pytest.mark.parametrize(
    ("line", "matchers"),
    [
        ("host=h1", ['host="h1"']),
        ('host=~"a b|c, d"  zone!=z1', ['host=~"a b|c, d"', 'zone!="z1"']),
        ('{ host = "h1", zone !~ "z.*", }', ['host="h1"', 'zone!~"z.*"']),
        ("host=", ['host=""']),
        ('host="a\\"b\\\\c"', ['host="a\\"b\\\\c"']),
    ],
)
def test_a_line_of_matchers(line: str, matchers: list[str]) -> None:
    assert [str(one) for one in parse_matchers(line)] == matchers


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no matcher yet"),
        (" {} ", "no matcher yet"),
        ("{host=h1", "brace is open"),
        ("host", "'host' is not a matcher"),
        ("zone=z1 host", "'host' is not a matcher"),
        ('host="h1', "is not a matcher"),
        ('host="h1"zone=z1', "is not a matcher"),
        ('host=~"["', "is not a regular expression"),
        ('host=~"(?!h1).*"', "RE2 syntax.*invalid perl operator"),
        ('host=~"(h)\\\\1"', "RE2 syntax.*invalid escape sequence"),
        ('host=~"((h?){990}){9}"', "RE2 syntax.*repetition"),
        ('host=~"' + "(h?){990}" * 10 + '"', "RE2 syntax.*too large"),
        ("1host=h1", "is not a label name"),
    ],
)
def test_what_a_line_of_matchers_must_not_be(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_matchers(line)


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|aa)+", "(.*a){20}", "(a*)*b?"])
def test_no_pattern_holds_up_a_page(pattern: str) -> None:
    matcher = Matcher.parse(f'host=~"{pattern}"')
    assert matcher.matches({"host": "a" * 10_000})
    assert not matcher.matches({"host": "a" * 10_000 + "!"})


def test_a_pattern_looks_at_any_text() -> None:
    matcher = Matcher.parse('host=~"ü.*"')
    assert matcher.matches({"host": "ü\ud800\x00\u200b" + "x" * 10_000})
    assert not matcher.matches({"host": "u"})


_values = st.text(max_size=40).filter(lambda text: len(text.encode("utf-8", "surrogatepass")) < 200)


@given(st.lists(st.tuples(st.sampled_from(["host", "zone"]), st.sampled_from(["=", "!="]), _values), min_size=1))
def test_matchers_survive_being_written_in_a_line(parts: list[tuple[str, str, str]]) -> None:
    made = tuple(Matcher(label=label, operator=operator, value=value) for label, operator, value in parts)
    assert parse_matchers(" ".join(map(str, made))) == made


@pytest.mark.parametrize("about", ["alert:a1", "recommendation:r1"])
def test_a_note_is_written_once(log: EventLog, about: str) -> None:
    fire(log, "a1")
    made = recommendation().model_copy(update={"id": "r1"})
    proposed = draft(RecommendationProposed(recommendation=made), "recommendation:r1", occurred_at=NOW)
    log.append([proposed], recorded_at=NOW)
    operator = Operator(log)
    first = operator.note(about, actor="ana", text="looks like the deploy", now=NOW)
    assert first is not None
    assert (first.stream, first.actor) == (about, "ana")
    assert operator.note(about, actor="ana", text="looks like the deploy", now=NOW + HOUR) is None
    assert operator.note(about, actor="mira", text="looks like the deploy", now=NOW + HOUR) is not None
    assert operator.note(about, actor="ana", text="looks like the deploy", now=NOW + HOUR) is not None
    assert log.verify().ok


@pytest.mark.parametrize("text", HOSTILE)
def test_a_note_keeps_what_was_written(log: EventLog, text: str) -> None:
    fire(log, "a1")
    if len(text) > MAX_NOTE:
        with pytest.raises(ActionRefused, match="longer than"):
            Operator(log).note("alert:a1", actor="ana", text=text, now=NOW)
        return
    event = Operator(log).note("alert:a1", actor="ana", text=text, now=NOW)
    assert event is not None
    assert isinstance(event.payload, NoteAdded)
    assert event.payload.text == text


@pytest.mark.parametrize(
    ("about", "text", "why"),
    [
        ("alert:a1", " ", "is empty"),
        ("alert:a9", "x", "there is no alert a9"),
        ("recommendation:r9", "x", "there is no recommendation r9"),
        ("silence:s1", "x", "there is no silence s1"),
    ],
)
def test_what_a_note_must_not_be(log: EventLog, about: str, text: str, why: str) -> None:
    fire(log, "a1")
    Operator(log).silence(silence(id="s1"))
    head = log.head()
    with pytest.raises(ActionRefused, match=why):
        Operator(log).note(about, actor="ana", text=text, now=NOW)
    assert log.head() == head
