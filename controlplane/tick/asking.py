"""Who is advised when more ask at one step than there is time for: the worst first, the others at the steps after."""

import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft
from controlplane.model.payloads import AlertFacts, AlertFired
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.time import from_ms, to_ms
from controlplane.model.views import Unadvised
from controlplane.notify.incident import badness
from controlplane.tick.advise import Adviser
from controlplane.tick.alerts import facts_of
from controlplane.tick.review import REVIEW_EVERY, full

T = TypeVar("T")
_Times = dict[tuple[str, str], datetime]

_NEVER = from_ms(0)
AT_ONCE = 50
"""So many alerts are advised at one step, and so many recommendations weighed again.

One takes some 20 ms of processor time: a storm must not hold up its own page.
"""


class Asking:
    """The alerts that wait for advice while steps are walked.

    Who waits follows from the log alone: an alert that fires, for which a rule has neither made a recommendation in
    this episode nor said why it can't.
    """

    def __init__(
        self,
        adviser: Adviser,
        alerts: Mapping[str, Alert],
        known: Mapping[str, Recommendation],
        unadvised: Mapping[str, Unadvised],
    ) -> None:
        self._adviser, self._alerts, self._known, self._unadvised = adviser, alerts, known, unadvised
        made: dict[tuple[str, str], datetime] = {}
        for one in known.values():
            key = one.rule, one.alert
            made[key] = max(one.at, made.get(key, one.at))
        self._waiting = {
            alert.id
            for alert in alerts.values()
            if any(
                rule not in (unadvised[alert.id].errors if alert.id in unadvised else ())
                and not ((rule, alert.id) in made and made[rule, alert.id] >= alert.active_at)
                for rule in self._rules(alert)
            )
        }

    def turn(self, here: Sequence[Draft], at: datetime) -> list[tuple[AlertFacts, UUID | None]]:
        """The alerts to advise at a step, with the event that made each fire at it; `here` are its drafts, applied.

        Those that never were come first; at full five minutes those follow whose advice failed or was withdrawn. Late
        data has steps walked that were walked before: there nobody is asked of whom more is known already.
        """
        began: dict[str, tuple[AlertFacts, UUID | None]] = {
            draft.payload.facts.alert: (draft.payload.facts, draft.id)
            for draft in here
            if isinstance(draft.payload, AlertFired)
        }
        if not (began or self._waiting or full(at)):
            return []
        answered, newest = self._answered()
        fire = [self._alerts[name] for name in dict.fromkeys((*began, *sorted(self._waiting))) if name in self._alerts]
        waiting = [alert for alert in fire if self._lacking(alert, answered)]
        first = [alert for alert in waiting if self._open(alert, answered, newest, at)]
        few = len(first) <= AT_ONCE and not self._waiting
        chosen = first if few else heapq.nsmallest(AT_ONCE, first, key=badness)
        self._waiting = {alert.id for alert in waiting} - {alert.id for alert in chosen}
        if full(at):
            busy = {alert.id for alert in waiting} | began.keys()
            others = [one for one in self._alerts.values() if one.id not in busy]
            again = [one for one in others if self._open(one, answered, newest, at)]
            chosen = [*chosen, *share(again, AT_ONCE - len(chosen), at)]
        return [began.get(alert.id) or (facts_of(alert), None) for alert in chosen]

    def reviews(self, due: Sequence[Recommendation], at: datetime) -> list[Recommendation]:
        """Those of `due` that are looked at now: all that need no new advice, and so many of the others."""
        costly = [one for one in due if one.status is not Status.EXECUTED and one.alert in self._alerts]
        if len(costly) <= AT_ONCE:
            return list(due)
        over = [one for one in costly if at >= one.expires_at]
        late = heapq.nsmallest(AT_ONCE, over, key=lambda one: (one.expires_at, one.id))
        rest = sorted((one for one in costly if at < one.expires_at), key=lambda one: one.id)
        chosen = {one.id for one in (*late, *share(rest, AT_ONCE - len(late), at))}
        left = {one.id for one in costly} - chosen
        return [one for one in due if one.id not in left]

    def _rules(self, alert: Alert) -> list[str]:
        return self._adviser.rules(alert.rule, alert.labels) if alert.state is AlertState.FIRING else []

    def _answered(self) -> tuple[_Times, _Times]:
        """When the newest answer that still counts was given, and the newest of all, by rule and alert."""
        counts: _Times = {}
        newest: _Times = {}
        for one in self._known.values():
            key = one.rule, one.alert
            newest[key] = max(one.at, newest.get(key, one.at))
            if one.watched or one.status is Status.REJECTED:
                counts[key] = max(one.at, counts.get(key, one.at))
        return counts, newest

    def _lacking(self, alert: Alert, answered: _Times) -> list[str]:
        """The rules that have no answer for the alert."""
        return [
            rule
            for rule in self._rules(alert)
            if (rule, alert.id) not in answered or answered[rule, alert.id] < alert.active_at
        ]

    def _open(self, alert: Alert, answered: _Times, newest: _Times, at: datetime) -> bool:
        """Whether a rule that has no answer can be asked for one at this step, in this episode."""
        if alert.fired_at is not None and alert.fired_at > at:
            return False
        failed = self._unadvised.get(alert.id)
        return any(
            newest.get((rule, alert.id), _NEVER) < at
            and (failed is None or rule not in failed.errors or failed.at < at)
            for rule in self._lacking(alert, answered)
        )


def share(all_: Sequence[T], most: int, at: datetime) -> list[T]:
    """All of them where they are few, else `most`: the next ones in their order at each full five minutes."""
    if len(all_) <= most:
        return list(all_)
    begin = to_ms(at) // (REVIEW_EVERY.seconds * 1000) * most
    return [all_[(begin + number) % len(all_)] for number in range(max(most, 0))]
