"""Recommendations over time: proposed when an alert fires, reviewed while it does, withdrawn when it ends."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import polars as pl

from controlplane.costs.breach import breached
from controlplane.frames import Samples
from controlplane.history import History
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.errors import AdviceError, AdviceRefused
from controlplane.model.events import Draft, observation
from controlplane.model.labels import short_hash
from controlplane.model.payloads import (
    AdviceFailed,
    AlertFacts,
    EventPayload,
    RecommendationExpired,
    RecommendationProposed,
    RecommendationRevised,
    RecommendationWithdrawn,
)
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal, Recommendation, Status
from controlplane.model.resources import Inventory
from controlplane.model.rules import FailoverRule, Placed, ScalingRule
from controlplane.model.time import to_ms
from controlplane.tick.methods import METHODS
from controlplane.tick.plane import Policy
from controlplane.tick.review import effect, material_changes
from controlplane.tick.trends import with_trends

_log = logging.getLogger(__name__)

REMEMBERED = timedelta(days=1)
"""How long an executed change counts: no cooldown is longer."""

Read = Callable[[str, Collection[str], timedelta], Samples]
"""(platform, signals, lookback) → their samples of the window and of that time before it."""
_Reads = tuple[str, tuple[str, ...], timedelta]


class Adviser:
    """Makes the recommendation events of one step after the other.

    `known` and `alerts` are the recommendations and alerts that decisions may depend on, as they stand at the step that
    is being walked.
    """

    def __init__(
        self,
        policy: Policy,
        inventory: Inventory,
        history: Read,
        known: Mapping[str, Recommendation],
        alerts: Mapping[str, Alert],
    ) -> None:
        self._policy = policy
        self._inventory = inventory
        self._read = history
        self._known = known
        self._alerts = alerts
        self._histories: dict[_Reads, Samples] = {}
        self._at: datetime | None = None
        self._cut: dict[_Reads, tuple[Samples, dict[Any, Any]]] = {}
        self._others: dict[str, tuple[Alert, ...]] = {}
        self._names: dict[str, frozenset[str]] = {}

    def _samples(self, reads: _Reads, at: datetime) -> tuple[Samples, dict[Any, Any]]:
        """The samples of the lookback before a step, with what was found out about them: the same for every alert."""
        # Most windows need no advice: read the history only for those that do.
        if reads not in self._histories:
            self._histories[reads] = self._read(*reads)
        if reads not in self._cut:
            known, since = self._histories[reads], to_ms(at - reads[2])
            # The same stretch and series whether this step is evaluated alone or in a long window.
            rows = known.samples.filter(pl.col("ts") > since, pl.col("ts") <= to_ms(at))
            series = known.series.filter(pl.col("sid").is_in(rows["sid"].unique().implode()))
            self._cut[reads] = Samples(series, rows, known.coverage), {}
        return self._cut[reads]

    def _begin(self, at: datetime) -> None:
        if at != self._at:
            self._at, self._cut, self._others = at, {}, {}

    def propose(self, facts: AlertFacts, at: datetime, cause: UUID | None = None) -> list[Draft]:
        """What to do about an alert that fires: one recommendation a rule, or why there is none.

        A rule that has answered this episode already is left out, unless its answer turned out to be ineffective; so is
        one that has answered at this step or a later one.
        """
        return [
            self._first(placed, facts, at, cause)
            for placed in self._policy.advisers.get(facts.rule, ())
            if self._about(placed, facts.labels) and not self._answered(placed.id, facts, at)
        ]

    def rules(self, rule: str, labels: Mapping[str, str]) -> list[str]:
        """Ids of the rules that answer an alert of a rule with these labels."""
        return [placed.id for placed in self._policy.advisers.get(rule, ()) if self._about(placed, labels)]

    def _about(self, placed: Placed, labels: Mapping[str, str]) -> bool:
        """Whether the alert is one that the rule has an answer for."""
        if not isinstance(placed.rule, ScalingRule | FailoverRule):
            return True
        where, of = placed.rule.where, placed.rule.of
        if any(labels.get(name) != value for name, value in where.items()):
            return False
        if of and placed.id not in self._names:
            found = self._inventory.of(placed.platform, **of)
            self._names[placed.id] = frozenset(resource.id for resource in found)
        return not of or not self._names[placed.id].isdisjoint(labels.values())

    def _answered(self, rule: str, facts: AlertFacts, at: datetime) -> bool:
        return any(
            one.rule == rule
            and one.alert == facts.alert
            and (one.at >= at or (one.at >= facts.active_at and (one.watched or one.status is Status.REJECTED)))
            for one in self._known.values()
        )

    def review(
        self, recommendation: Recommendation, facts: AlertFacts | None, at: datetime, lost: str = ""
    ) -> list[Draft]:
        """Revise, keep or end a watched recommendation; `facts` of its alert, None where that is over.

        What was approved stays as it is until it expires, for somebody is about to do it; what was executed ends as
        verified when the alert is over, and as ineffective when it still fires after the time to effect, or where
        `lost` says why nobody can tell.
        """
        draft = partial(_draft, recommendation.id, at)
        if recommendation.status is Status.EXECUTED:
            return [draft(payload) for payload in effect(recommendation, facts, at, lost)]
        if facts is None:
            if recommendation.status is Status.PROPOSED:
                reason = lost or "the alert is over"
                return [draft(RecommendationWithdrawn(recommendation=recommendation.id, reason=reason))]
            if at >= recommendation.expires_at:
                return [draft(RecommendationExpired(recommendation=recommendation.id))]
            return []
        if recommendation.status is Status.APPROVED and at < recommendation.expires_at:
            return []
        placed = self._policy.placed.get(recommendation.rule)
        if placed is None:
            gone = "the rule that made it was removed"
            return [draft(RecommendationWithdrawn(recommendation=recommendation.id, reason=gone))]
        try:
            proposal, trended = self._advise(placed, facts, at)
        except AdviceRefused as refused:
            return [draft(RecommendationWithdrawn(recommendation=recommendation.id, reason=str(refused)))]
        except AdviceError:
            # What was true stays until it expires: no number is better than a guess.
            if at >= recommendation.expires_at:
                return [draft(RecommendationExpired(recommendation=recommendation.id))]
            return []
        changed = material_changes(recommendation.proposal, proposal)
        expires = at + _validity(placed)
        if not changed and recommendation.expires_at - at > _validity(placed) / 2:
            return []
        update = {
            "version": recommendation.version + 1,
            "status": Status.PROPOSED,
            "decided_by": None,
            "decided_at": None,
            "reason": None,
            "proposal": trended(),
            "at": at,
            "expires_at": expires,
        }
        revised = recommendation.model_copy(update=update)
        return [draft(RecommendationRevised(recommendation=revised, changed=changed or ("expires_at",)))]

    def _first(self, placed: Placed, facts: AlertFacts, at: datetime, cause: UUID | None) -> Draft:
        name = short_hash("recommendation", placed.id, facts.alert, str(to_ms(at)))
        try:
            _, trended = self._advise(placed, facts, at)
        except AdviceError as error:
            failed = AdviceFailed(rule=placed.id, alert=facts.alert, error=str(error))
            return observation(f"recommendation:{name}", failed, at, correlation=f"step-{to_ms(at)}", cause=cause)
        proposed = Recommendation(
            id=name,
            version=1,
            rule=placed.id,
            platform=placed.platform,
            alert=facts.alert,
            status=Status.PROPOSED,
            proposal=trended(),
            at=at,
            expires_at=at + _validity(placed),
        )
        return _draft(name, at, RecommendationProposed(recommendation=proposed), cause=cause)

    def _advise(self, placed: Placed, facts: AlertFacts, at: datetime) -> tuple[Proposal, Callable[[], Proposal]]:
        """The proposal, and what makes it with its trends: most reviews change nothing and need none."""
        # Without a price book the advice stands, and its costs are unknown.
        book = self._policy.prices.get(placed.platform, PriceBook())
        assert isinstance(placed.rule, ScalingRule | FailoverRule)
        parameters = placed.rule.parameters
        self._begin(at)
        try:
            reads = placed.platform, tuple(parameters.reads()), parameters.lookback
            samples, found = self._samples(reads, at)
            decided = self._decided(placed.platform, at)
            firing = self._firing(placed.platform, facts.alert)
            history = History(facts, samples, at, decided, firing, found)
            proposal = METHODS[type(parameters)](history, parameters, self._inventory, book)
        except AdviceError:
            raise
        except Exception as error:
            # A defect in advice must never cost the page it belongs to.
            _log.exception("advice of rule %s failed", placed.id)
            raise AdviceError(f"a defect of the control plane: {type(error).__name__}: {error}") from error
        cost = breached(proposal.cost, facts.rule, book)
        why = proposal.why + _tried(placed.id, facts.alert, decided)
        proposal = proposal.model_copy(update={"cost": cost, "why": why})
        return proposal, partial(_trended, proposal, history, parameters.lookback)

    def _decided(self, platform: str, at: datetime) -> tuple[Recommendation, ...]:
        found = [one for one in self._known.values() if one.platform == platform and remembered(one, at)]
        return tuple(sorted(found, key=lambda one: (one.decided_at, one.id)))

    def _firing(self, platform: str, alert: str) -> tuple[Alert, ...]:
        if platform not in self._others:
            found = [
                one for one in self._alerts.values() if one.platform == platform and one.state is not AlertState.PENDING
            ]
            self._others[platform] = tuple(sorted(found, key=lambda one: one.id))
        return tuple(one for one in self._others[platform] if one.id != alert)


def _trended(proposal: Proposal, history: History, lookback: timedelta) -> Proposal:
    try:
        return with_trends(proposal, history, lookback)
    except Exception:  # noqa: BLE001 - a defect in a picture must never cost the advice
        _log.exception("trends of %s failed", proposal.title)
        return proposal


def _tried(rule: str, alert: str, decided: Iterable[Recommendation]) -> str:
    """What was done about the alert before and didn't help, to be told with the next advice."""
    return "".join(
        f" Recommendation {one.id} ({one.proposal.title}) was executed at {one.decided_at:%H:%M} UTC and didn't end it."
        for one in decided
        if one.rule == rule and one.alert == alert and one.status is Status.INEFFECTIVE
    )


def remembered(recommendation: Recommendation, at: datetime) -> bool:
    """Whether it was executed within the last day, or is approved and about to be."""
    if recommendation.decided_at is None or recommendation.status is Status.REJECTED:
        return False
    return recommendation.open or recommendation.decided_at > at - REMEMBERED


def advice_reads(policy: Policy) -> dict[str, timedelta]:
    """Signals that advice may look at, with how far back."""
    reads: dict[str, timedelta] = {}
    for placed in policy.rules.rules:
        if isinstance(placed.rule, ScalingRule | FailoverRule):
            for signal in placed.rule.parameters.reads():
                reads[signal] = max(reads.get(signal, timedelta(0)), placed.rule.parameters.lookback)
    return reads


def _validity(placed: Placed) -> timedelta:
    assert isinstance(placed.rule, ScalingRule | FailoverRule)
    return placed.rule.expires_after


def _draft(name: str, at: datetime, payload: EventPayload, *, cause: UUID | None = None) -> Draft:
    return Draft(
        stream=f"recommendation:{name}",
        key=str(to_ms(at)),
        payload=payload,
        occurred_at=at,
        correlation=f"step-{to_ms(at)}",
        cause=cause,
    )
