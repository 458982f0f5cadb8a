"""Pages of an alert that comes and goes are held down; its first page and the end of what was told never are."""

from collections.abc import Iterable

import pytest

from controlplane.model.notifications import Incident
from controlplane.model.payloads import NotificationSuppressed
from controlplane.model.severity import Severity
from tests.notify_cases import Desk, alert, at, told, tree

MINUTE, HOUR = 60, 3600
FIRE, END = ("slack", "trigger", 1, 0), ("slack", "resolve", 0, 1)


def desk() -> Desk:
    """Tells everything within a second, so that nothing but flapping holds a message back."""
    return Desk(tree("slack", group_interval="1s"))


def toggle(d: Desk, seconds: Iterable[float], name: str = "a") -> list[tuple[float, str]]:
    """Fire and end an alert in turn at these times; what is told (+ trigger, - resolve) or held down (0)."""
    found = []
    for second in seconds:
        if name in d.alerts:
            drafts = d.step(second, resolve=[name])
        else:
            drafts = d.step(second, fire=[alert(name, active_at=at(second))])
        found += [(second, "+" if action == "trigger" else "-") for _, action, _, _ in told(drafts)]
        found += [(second, "0") for draft in drafts if isinstance(draft.payload, NotificationSuppressed)]
    return found


def every(step: int, count: int, start: int = 0) -> list[int]:
    return [start + step * n for n in range(count)]


def said(found: Iterable[tuple[float, str]]) -> str:
    return "".join(word for _, word in found)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(every(60, 9), "+-+-+-+-+", id="nine transitions"),
        pytest.param(every(60, 10), "+-+-+-+-+-", id="the tenth is an end: it is told"),
        pytest.param(every(60, 11), "+-+-+-+-+-0", id="the eleventh begins no message"),
        pytest.param(every(60, 12), "+-+-+-+-+-0", id="what was not told doesn't end"),
        pytest.param(every(60, 13), "+-+-+-+-+-00", id="each firing that is held down is on record"),
        pytest.param(every(600, 30), "+-" * 15, id="six an hour, eighteen in three, aren't flapping"),
    ],
)
def test_ten_transitions_within_an_hour_hold_pages_down(seconds: list[int], expected: str) -> None:
    assert said(toggle(desk(), seconds)) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [(4000 + HOUR - 1, "0"), (4000 + HOUR, "+")],
    ids=["ten within 59m59s", "nine within an hour, the tenth is an hour old"],
)
def test_an_hour_is_an_hour(last: int, expected: str) -> None:
    d = desk()
    # It fired long ago: the end at 4000 is the first of nine transitions; the next one fires.
    assert said(toggle(d, [0, 4000, *every(60, 8, 4060)])) == "+-+-+-+-+-"
    assert said(toggle(d, [last])) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [(20_000 + 3 * HOUR - 1, "0"), (20_000 + 3 * HOUR, "+")],
    ids=["twenty within 2h59m59s", "nineteen within three hours"],
)
def test_twenty_within_three_hours_hold_pages_down_too(last: int, expected: str) -> None:
    d = desk()
    assert said(toggle(d, [0, *every(580, 19, 20_000)])) == "+-" * 10
    assert said(toggle(d, [last])) == expected


@pytest.mark.parametrize(
    ("seconds", "until"),
    [
        pytest.param(every(60, 11), 540 + 30 * MINUTE, id="ten in an hour: thirty minutes from the tenth on"),
        pytest.param(
            [0, *every(565, 20, 20_000)], 20_000 + 565 * 19 + HOUR, id="twenty in three hours: an hour from the last on"
        ),
    ],
)
def test_a_page_is_held_down_until_the_delay_is_over(seconds: list[int], until: int) -> None:
    d = desk()
    assert said(toggle(d, seconds)).endswith("0")
    assert told(d.step(until - 1)) == []
    assert d.due(until)
    assert told(d.step(until)) == [FIRE]
    assert not d.due(until + HOUR - 1)
    assert told(d.step(until + HOUR, resolve=["a"])) == [END]


def test_after_the_delay_one_page_is_told_and_flapping_on_is_held_down_again() -> None:
    d = desk()
    found = toggle(d, every(60, 120))
    # The delays begin at 540, and with the pages that end them, at 2400 (twenty in three hours: an hour) and 6000.
    assert said(found[:10]) == "+-+-+-+-+-"
    pages = [(second, word) for second, word in found[10:] if word != "0"]
    assert pages == [(2400, "+"), (2460, "-"), (6000, "+"), (6060, "-")]


def test_a_flapping_alert_that_has_calmed_down_is_told_like_any_other() -> None:
    d = desk()
    toggle(d, every(60, 12))
    quiet = 660 + 3 * HOUR
    assert said(toggle(d, every(60, 9, quiet))) == "+-+-+-+-+"


def test_the_first_page_of_an_alert_is_never_held_down() -> None:
    d = Desk(tree("slack"))
    d.step(0, fire=[alert("y")])
    # Within the group interval nobody is told of it; it flaps all the while.
    assert toggle(d, every(15, 19, 15), "x") == []
    assert told(d.step(300)) == [("slack", "trigger", 2, 0)]
    # From here on it was told; in an incident that tells of nothing else it is held down.
    assert toggle(d, [315], "x") == []
    d.step(316, resolve=["y"])
    assert told(d.step(600)) == [("slack", "resolve", 0, 2)]
    assert toggle(d, [630, 645], "x") == [(630, "0")]


def test_another_alert_of_the_rule_is_told_without_the_one_that_flaps() -> None:
    d = desk()
    assert said(toggle(d, every(60, 11))).endswith("0")
    assert told(d.step(601, fire=[alert("b")])) == [("slack", "trigger", 1, 0)]
    assert told(d.step(661, resolve=["a"])) == []
    assert told(d.step(721, resolve=["b"])) == [("slack", "resolve", 0, 1)]


def test_a_flapping_member_of_an_incident_that_goes_on_is_held_down() -> None:
    d = desk()
    d.step(0, fire=[alert("y")])
    assert said(toggle(d, every(301, 10, 301), "x")) == "+" * 10
    assert toggle(d, [3_611], "x") == [(3_611, "0")]
    assert told(d.step(3_010 + 30 * MINUTE)) == [("slack", "trigger", 2, 0)]


def test_a_higher_severity_of_another_alert_is_told_at_once() -> None:
    d = desk()
    d.step(0, fire=[alert("y", severity=Severity.WARNING)])
    toggle(d, every(301, 24, 301), "x")
    assert told(d.step(7300, fire=[alert("z", severity=Severity.CRITICAL)]))[0][:2] == ("slack", "trigger")


def test_the_reason_is_on_record() -> None:
    d = desk()
    toggle(d, every(60, 10))
    drafts = d.step(600, fire=[alert("a")])
    assert [type(draft.payload).__name__ for draft in drafts] == ["IncidentChanged", "NotificationSuppressed"]
    payload = drafts[1].payload
    assert isinstance(payload, NotificationSuppressed)
    assert (payload.channel, payload.incident) == ("", next(iter(d.rows)))
    assert payload.reason == "an alert flaps (11 changes within three hours): held down until 2026-03-01 02:39:00Z"


def test_what_is_remembered_survives_a_restart() -> None:
    one, two = desk(), desk()
    for second in every(60, 60):
        first = toggle(one, [second])
        two.rows = {key: Incident.model_validate_json(row.model_dump_json()) for key, row in two.rows.items()}
        assert toggle(two, [second]) == first
    assert one.rows == two.rows


def test_memory_is_bounded() -> None:
    d = desk()
    names = [f"g{n:04}" for n in range(1_500)]
    d.step(0, fire=[alert(name) for name in names])
    assert d.rows[next(iter(d.rows))].flaps == ()
    d.step(60, resolve=names)
    toggle(d, every(60, 60, 120))
    (row,) = d.rows.values()
    assert len(row.flaps) == 1_000
    assert (row.flaps[-1].alert, len(row.flaps[-1].at)) == ("a", 20)
