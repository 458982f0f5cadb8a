"""What an answer changes: a table over who answered what, who had what, what was said before, and which page it was."""

from datetime import timedelta
from typing import Any

import pytest

from controlplane.model.alerts import Acknowledgement, Alert, AlertState
from controlplane.model.matchers import Matcher, all_match
from controlplane.model.notifications import Incident
from controlplane.model.payloads import AcknowledgementWithdrawn, AlertAcknowledged, PageAnswered
from controlplane.notify.compose import dedup_key
from controlplane.receive.answers import Answer
from controlplane.receive.apply import RESOLVED, Decided, Known, decide, page_of
from tests.notify_cases import alert
from tests.receive_cases import KEY, NOW, incident

SECOND = timedelta(seconds=1)


def answer(what: Any = "acknowledged", **changes: Any) -> Answer:
    known = {
        "provider": "pagerduty",
        "event": "e1",
        "what": what,
        "dedup_key": KEY,
        "actor": "pagerduty:Mira",
        "at": NOW,
        "person": True,
    }
    return Answer(**{**known, **changes})


def had(name: str, actor: str | None = None, at: Any = NOW - 60 * SECOND, **changes: Any) -> Alert:
    """A firing alert that somebody may have."""
    given = None if actor is None else Acknowledgement(actor=actor, at=at)
    return alert(name, acknowledged=given, **{"episode": f"ep-{name}", **changes})


def said(what: Any, at: Any = NOW - 30 * SECOND, provider: Any = "pagerduty", event: str = "e0") -> PageAnswered:
    """An answer that was taken in."""
    return PageAnswered(
        incident="inc1",
        dedup_key=KEY,
        provider=provider,
        event=event,
        answer=what,
        actor="pagerduty:Mira",
        answered_at=at,
    )


def known(*alerts: Alert, **changes: Any) -> Known:
    found = {one.id: one for one in alerts}
    return Known(**{"incident": incident(firing=tuple(found) or ("a1",)), "alerts": found, **changes})


def changed(decided: Decided) -> dict[str, str]:
    """Alert → `+` and who has it, or `-` and who gave it back."""
    return {
        one.alert: f"+{one.acknowledgement.actor}" if isinstance(one, AlertAcknowledged) else f"-{one.actor}"
        for one in decided.changes
    }


A, B = had("a"), had("b")
MIRA = "+pagerduty:Mira"
BACK = "-pagerduty:Mira"


@pytest.mark.parametrize(
    ("given", "there", "changes", "recorded"),
    [
        # nobody has anything
        (answer(), known(A, B), {"a": MIRA, "b": MIRA}, True),
        (answer("resolved"), known(A, B), {"a": MIRA, "b": MIRA}, True),
        (answer("unacknowledged"), known(A, B), {}, True),
        (answer("reopened"), known(A), {}, True),
        # somebody has a part of it, or all
        (answer(), known(had("a", "bob"), B), {"b": MIRA}, True),
        (answer("resolved"), known(had("a", "bob"), B), {"b": MIRA}, True),
        (answer(), known(had("a", "bob")), {}, True),
        (answer(), known(had("a", "pagerduty:Mira")), {}, True),
        (answer("unacknowledged"), known(had("a", "bob"), B), {"a": BACK}, True),
        (answer("reopened"), known(had("a", "pagerduty:Mira")), {"a": BACK}, True),
        # by nobody in particular: nobody has it, but it can be taken away
        (answer(person=False), known(A), {}, False),
        (answer("resolved", person=False), known(A), {}, False),
        (answer("unacknowledged", person=False, actor="pagerduty"), known(had("a", "bob")), {"a": "-pagerduty"}, True),
        (answer("reopened", person=False, actor="pagerduty"), known(had("a", "bob")), {"a": "-pagerduty"}, True),
        # the same again
        (answer(), known(A, answers=[said("acknowledged", event="e1")]), {}, False),
        (answer(), known(A, answers=[said("acknowledged", NOW, event="e1")]), {}, False),
        (answer(), known(A, answers=[said("acknowledged", event="e1", provider="slack")]), {"a": MIRA}, True),
        # older than what was said there already
        (answer(), known(A, answers=[said("unacknowledged", NOW + SECOND)]), {}, False),
        (answer(), known(A, answers=[said("unacknowledged", NOW)]), {"a": MIRA}, True),
        (answer(), known(A, answers=[said("unacknowledged", NOW - SECOND)]), {"a": MIRA}, True),
        (answer(), known(A, answers=[said("acknowledged", NOW + SECOND, provider="slack")]), {"a": MIRA}, True),
        (
            answer("unacknowledged"),
            known(had("a", "bob"), answers=[said("acknowledged", NOW + SECOND), said("resolved", NOW - SECOND)]),
            {},
            False,
        ),
        # older than what was decided here
        (answer(), known(A, B, withdrawn={"a": NOW + SECOND}), {"b": MIRA}, True),
        (answer(), known(A, withdrawn={"a": NOW}), {"a": MIRA}, True),
        (answer("resolved"), known(A, withdrawn={"a": NOW + SECOND}), {}, True),
        (answer("unacknowledged"), known(had("a", "bob", NOW + SECOND)), {}, True),
        (answer("unacknowledged"), known(had("a", "bob", NOW)), {"a": BACK}, True),
        # alerts that can't be taken
        (answer(), known(had("a", state=AlertState.PENDING, episode=None), B), {"b": MIRA}, True),
        (answer(), known(had("a", state=AlertState.NO_DATA)), {"a": MIRA}, True),
        (answer(), known(B, incident=incident(firing=("gone", "b"))), {"b": MIRA}, True),
        (answer(), known(A, B, incident=incident(firing=("a",))), {"a": MIRA}, True),
        # no page of ours
        (answer(), known(A, incident=None), {}, False),
    ],
)
def test_what_changes(given: Answer, there: Known, changes: dict[str, str], recorded: bool) -> None:
    decided = decide(given, there, NOW + 60 * SECOND)
    assert changed(decided) == changes
    assert (decided.record is not None) is recorded
    assert decided.silence is None
    assert decided.said.endswith(".")
    assert decide(given, there, NOW + 60 * SECOND) == decided, "nothing but its arguments counts"


def test_what_is_written() -> None:
    decided = decide(answer(), known(A), NOW)
    (change,) = decided.changes
    assert isinstance(change, AlertAcknowledged)
    assert (change.alert, change.episode) == ("a", "ep-a")
    assert change.acknowledgement == Acknowledgement(actor="pagerduty:Mira", at=NOW)
    assert decided.record == said("acknowledged", NOW, event="e1")
    (change,) = decide(answer("resolved"), known(A), NOW).changes
    assert isinstance(change, AlertAcknowledged)
    assert change.acknowledgement.note == RESOLVED
    (back,) = decide(answer("unacknowledged"), known(had("a", "bob")), NOW).changes
    assert back == AcknowledgementWithdrawn(alert="a", actor="pagerduty:Mira")


def test_a_provider_whose_clock_is_ahead() -> None:
    """Its answers are in order among themselves; here they count as given when they came."""
    ahead = NOW + timedelta(hours=1)
    decided = decide(answer(at=ahead), known(A, withdrawn={"a": NOW}), NOW)
    (change,) = decided.changes
    assert isinstance(change, AlertAcknowledged)
    assert change.acknowledgement.at == NOW
    assert decided.record is not None
    assert decided.record.answered_at == ahead
    has = had("a", "pagerduty:Mira", NOW)
    for later, gives_back in ((SECOND, True), (-SECOND, False)):
        there = known(has, answers=[decided.record])
        after = decide(answer("unacknowledged", event="e2", at=ahead + later), there, NOW + SECOND)
        assert changed(after) == ({"a": BACK} if gives_back else {})


def test_every_order_of_the_same_answers_ends_alike() -> None:
    """Whichever way the answers of one provider arrive, and however often, the newest one holds."""
    from itertools import permutations

    answers = [
        answer("acknowledged", event="e1", at=NOW),
        answer("unacknowledged", event="e2", at=NOW + SECOND),
        answer("acknowledged", event="e3", at=NOW + 2 * SECOND, actor="pagerduty:Bob"),
        answer("reopened", event="e4", at=NOW + 3 * SECOND),
    ]
    for order in permutations([*answers, answers[0], answers[2]]):
        has: Alert = A
        told: list[PageAnswered] = []
        for one in order:
            decided = decide(one, known(has, answers=told), NOW + 60 * SECOND)
            told += [decided.record] if decided.record else []
            for change in decided.changes:
                given = change.acknowledgement if isinstance(change, AlertAcknowledged) else None
                has = has.model_copy(update={"acknowledged": given})
        assert has.acknowledged is None


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (known(A, B), "You have 2 alerts now."),
        (known(A), "You have 1 alert now."),
        (known(had("a", "bob"), B), "You have 1 alert now. Taken before by bob."),
        (known(had("a", "bob"), had("b", "eve")), "Taken before by bob, eve."),
        (known(had("a", "slack:mira")), "You had it already."),
        (known(had("a", "slack:mira"), B), "You have 1 alert now. You had the others already."),
        (
            known(A, B, withdrawn={"a": NOW + SECOND}),
            "You have 1 alert now. 1 alert given back since, left as they are.",
        ),
        (known(incident=incident(firing=("gone",))), "Nothing of it can be taken yet."),
        (known(A, answers=[said("acknowledged", provider="slack", event="e1")]), "This was taken in already."),
    ],
)
def test_what_is_said_in_slack(there: Known, words: str) -> None:
    given = answer(provider="slack", actor="slack:mira")
    assert decide(given, there, NOW).said == words


CLOSED = incident(firing=(), look_at=None)


@pytest.mark.parametrize(
    ("rows", "key", "found", "why"),
    [
        ([incident()], KEY, "inc1", ""),
        ([incident("inc0"), incident()], KEY, "inc1", ""),
        ([], KEY, None, "over"),
        ([incident("inc0")], KEY, None, "over"),
        ([CLOSED], KEY, None, "over"),
        ([incident(firing=())], KEY, None, "over"),
        ([incident(episode="another")], KEY, None, "over"),
        ([incident(page=2, superseded=(KEY,))], KEY, None, "newer page"),
        ([incident(page=2, superseded=(KEY,))], dedup_key(incident(page=2)), "inc1", ""),
        ([incident()], KEY.upper(), None, "over"),
        ([incident()], "", None, "over"),
    ],
)
def test_which_page_it_is(rows: list[Incident], key: str, found: str | None, why: str) -> None:
    page, words = page_of({one.id: one for one in rows}, key)
    assert (page and page.id) == found
    assert why in words
    assert bool(words) is (found is None)


def test_a_silence_for_an_hour() -> None:
    decided = decide(answer("silenced", provider="slack", actor="slack:mira"), known(A), NOW)
    assert decided.changes == ()
    assert decided.silence is not None
    silence = decided.silence
    assert (silence.starts_at, silence.ends_at, silence.author) == (NOW, NOW + timedelta(hours=1), "slack:mira")
    assert all_match(silence.matchers, {"platform": "catalyst", "rule": "lag", "host": "h1"})
    assert not all_match(silence.matchers, {"platform": "catalyst", "rule": "other"})
    assert decided.said == 'Silenced until 03:10 UTC: platform="catalyst", rule="lag".'
    again = decide(answer("silenced", provider="slack", actor="slack:mira"), known(A), NOW + SECOND)
    assert again.silence is not None
    assert again.silence.id == silence.id


@pytest.mark.parametrize("group", [{}, {"zone": ""}, {"zone": "", "host": ""}])
def test_what_would_silence_everything(group: dict[str, str]) -> None:
    decided = decide(answer("silenced"), known(A, incident=incident(firing=("a",), group=group)), NOW)
    assert (decided.silence, decided.record) == (None, None)
    assert "no labels in common" in decided.said


def test_a_silence_has_exactly_the_labels_of_the_group() -> None:
    group = {"rule": 'a"b\\c', "zone": ""}
    decided = decide(answer("silenced"), known(A, incident=incident(firing=("a",), group=group)), NOW)
    assert decided.silence is not None
    assert decided.silence.matchers == (
        Matcher(label="rule", operator="=", value='a"b\\c'),
        Matcher(label="zone", operator="=", value=""),
    )
