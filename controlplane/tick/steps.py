"""Walk the steps of a window: what alerts do leads to recommendations and both lead to notifications."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from controlplane.eventlog.projections import (
    ADVISED,
    ALERTS,
    INCIDENTS,
    ON_CALL,
    RECOMMENDATIONS,
    SILENCES,
    UNADVISED,
    Projection,
)
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft, Event, observation
from controlplane.model.notifications import Incident
from controlplane.model.oncall import OnCall, Pause
from controlplane.model.payloads import (
    AdviceFailed,
    AlertNoData,
    AlertResolved,
    RecommendationProposed,
    RecommendationWithdrawn,
    SilenceWarned,
)
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.silences import Silence
from controlplane.model.time import from_ms, to_ms
from controlplane.model.views import AdviceTold, Unadvised
from controlplane.notify.advising import asked, tell
from controlplane.notify.decide import Rules
from controlplane.notify.decide import decide as notify
from controlplane.notify.decide import due as notify_due
from controlplane.notify.desk import Desk
from controlplane.notify.ending import ending, warn
from controlplane.tick import review
from controlplane.tick.advise import Adviser
from controlplane.tick.alerts import facts_of
from controlplane.tick.asking import Asking
from controlplane.tick.conflicts import contender, prevails

T = TypeVar("T", bound=BaseModel)


@dataclass
class Board:
    """Where alerts, open recommendations and incidents stand at the step that is being walked."""

    alerts: dict[str, Alert]
    recommendations: dict[str, Recommendation]
    incidents: dict[str, Incident]
    unadvised: dict[str, Unadvised] = field(default_factory=dict)
    silences: Sequence[Silence] = ()
    on_call: dict[str, OnCall] = field(default_factory=dict)
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    advised: dict[str, AdviceTold] = field(default_factory=dict)

    def apply(self, draft: Draft) -> None:
        """Fold an event that is about to be appended."""
        event = provisional(draft)
        folded: tuple[tuple[Projection[Any], dict[str, Any]], ...] = (
            (ALERTS, self.alerts),
            (RECOMMENDATIONS, self.recommendations),
            (INCIDENTS, self.incidents),
            (UNADVISED, self.unadvised),
            (ON_CALL, self.on_call),
            (ADVISED, self.advised),
        )
        for projection, rows in folded:
            if event.type in projection.types:
                _fold(projection, rows, event)
        if isinstance(draft.payload, SilenceWarned):
            silences = {one.id: one for one in self.silences}
            _fold(SILENCES, silences, event)
            self.silences = tuple(silences.values())


def _fold(projection: Projection[T], rows: dict[str, T], event: Event) -> None:
    for key in projection.keys(event):
        row = projection.fold(rows.get(key), event)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


def provisional(draft: Draft) -> Event:
    """The event that a draft becomes, without its place in the log."""
    # The draft is validated; doing so again costs more than the fold.
    return Event.model_construct(
        position=0,
        id=draft.id,
        stream=draft.stream,
        version=0,
        type=draft.payload.type,
        occurred_at=draft.occurred_at,
        recorded_at=draft.occurred_at,
        actor=draft.actor,
        correlation=draft.correlation,
        cause=draft.cause,
        payload=draft.payload,
        previous_hash="",
        hash="",
    )


def walk(
    rules: Rules, board: Board, changes: Sequence[Draft], steps: Sequence[int], adviser: Adviser, live: int = 0
) -> list[Draft]:
    """Every draft of the steps in order; `changes` are the drafts of them that others made, in order.

    Steps (epoch ms) before `live` are caught up: nobody could have answered what is told in them.
    """
    by_step: dict[int, list[Draft]] = {}
    for draft in changes:
        by_step.setdefault(to_ms(draft.occurred_at), []).append(draft)
    made: list[Draft] = []
    wanted = asked(rules.tree)
    asking = Asking(adviser, board.alerts, board.recommendations, board.unadvised)
    for ts in sorted(by_step.keys() | set(steps)):
        at = from_ms(ts)
        here = by_step.get(ts, [])
        for draft in here:
            board.apply(draft)
        advice = _review(board, here, ts, adviser, asking)
        for draft in advice:
            board.apply(draft)
        for facts, cause in asking.turn(here, at):
            for draft in adviser.propose(facts, at, cause):
                settled = _settled(board, draft)
                for one in settled:
                    board.apply(one)
                advice += settled
        told: list[Draft] = []
        if here or notify_due(board.incidents, at, rules.tree, board.alerts):
            told = notify(
                at,
                here,
                rules=rules,
                incidents=board.incidents,
                alerts=board.alerts,
                silences=board.silences,
                recommendations=[r for r in board.recommendations.values() if r.open],
                on_call=board.on_call,
                pauses=board.pauses,
                behind=ts < live,
            )
            for draft in told:
                board.apply(draft)
        also = _also(rules, board, at, advice, wanted=wanted, behind=ts < live)
        made += [*here, *advice, *told, *also]
    return made


def _also(
    rules: Rules, board: Board, at: datetime, advice: Sequence[Draft], *, wanted: bool, behind: bool
) -> list[Draft]:
    """What is told besides alerts: recommendations where a route wants them, and silences that end soon."""
    full = review.full(at)
    # Of a silence that may be over by now nobody is told.
    ends = not behind and bool(ending(board.silences, at))
    if not ends and not (wanted and (advice or full)):
        return []
    desk = Desk(at, rules, board.alerts, board.silences, board.on_call, board.pauses, behind)
    made = tell(desk, advice, board.recommendations, board.advised, full=full) if wanted else []
    made += warn(desk) if ends else []
    for draft in made:
        board.apply(draft)
    return made


def _settled(board: Board, draft: Draft) -> list[Draft]:
    """A proposal without a contradiction among what is open: it, the one that it replaces, or why it isn't made."""
    if isinstance(draft.payload, AdviceFailed):
        return [] if _told(board, draft.payload) else [draft]
    assert isinstance(draft.payload, RecommendationProposed)
    new = draft.payload.recommendation
    standing = contender(new, board.recommendations.values())
    if standing is None:
        return [draft]
    if prevails(new, standing):
        reason = f"superseded by recommendation {new.id} for the same target: {new.proposal.title}"
        gone = RecommendationWithdrawn(recommendation=standing.id, reason=reason)
        stream = f"recommendation:{standing.id}"
        return [draft.model_copy(update={"stream": stream, "payload": gone, "cause": draft.id}), draft]
    error = f"recommendation {standing.id} for the same target covers it: {standing.proposal.title}"
    failed = AdviceFailed(rule=new.rule, alert=new.alert, error=error)
    if _told(board, failed):
        return []
    return [observation(draft.stream, failed, draft.occurred_at, correlation=draft.correlation, cause=draft.cause)]


_VARYING = re.compile(r"\s|[0-9a-f]{16}|[\d.,:]+(ms|[dhms]\b)?")


def _told(board: Board, failed: AdviceFailed) -> bool:
    """Whether the same reason, but for its numbers and times, stands already."""
    known = board.unadvised.get(failed.alert)
    before = known.errors.get(failed.rule) if known else None
    return before is not None and _VARYING.sub("", before) == _VARYING.sub("", failed.error)


def _review(board: Board, here: Sequence[Draft], ts: int, adviser: Adviser, asking: Asking) -> list[Draft]:
    at = from_ms(ts)
    ended = dict(_ended(here))

    def over(one: Recommendation) -> bool:
        # What stands without data, or fires anew, hasn't been ended by what was done about it.
        stands = one.status is Status.EXECUTED and one.alert in board.alerts
        return one.alert in ended and not stands

    made: list[Draft] = []
    for recommendation in list(board.recommendations.values()):
        if recommendation.watched and over(recommendation):
            made += adviser.review(recommendation, None, at, ended[recommendation.alert])
    due = [one for one in review.due(board.recommendations.values(), at) if not over(one)]
    for recommendation in asking.reviews(due, at):
        alert = board.alerts.get(recommendation.alert)
        lost = _LOST["missing"] if alert and _blind(alert) else ""
        made += adviser.review(recommendation, facts_of(alert) if alert else None, at, lost)
    return made


_LOST = {"missing": "there is no data of the alert any more", "rule_removed": "the rule of the alert was removed"}


def _ended(here: Sequence[Draft]) -> Iterator[tuple[str, str]]:
    """Alerts that no longer fire, with why nothing is known of them, empty where their condition is gone."""
    for draft in here:
        match draft.payload:
            case AlertNoData(facts=facts):
                yield facts.alert, _LOST["missing"]
            case AlertResolved(facts=facts, reason=reason):
                yield facts.alert, _LOST.get(reason, "")


def _blind(alert: Alert) -> bool:
    """Whether it stands although its series is gone."""
    return alert.state is AlertState.NO_DATA or alert.held_for == "missing"
