"""Run a policy over samples: every decision of every step, kept in memory and sent to nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from controlplane.backtest.feed import Feed
from controlplane.backtest.record import Recorder
from controlplane.eventlog.projections import RECOMMENDATIONS
from controlplane.frames import Samples, steps_of
from controlplane.model.events import Draft
from controlplane.model.payloads import (
    AdviceFailed,
    AlertDropped,
    AlertFired,
    AlertNoData,
    AlertPending,
    AlertResolved,
    NotificationQueued,
)
from controlplane.model.recommendations import Recommendation
from controlplane.model.resources import Inventory
from controlplane.rules.evaluate import evaluate
from controlplane.tick.advise import Adviser
from controlplane.tick.alerts import alert_drafts, as_state
from controlplane.tick.plane import Policy
from controlplane.tick.steps import Board, provisional, walk

_ALERTS = (AlertPending, AlertFired, AlertNoData, AlertResolved, AlertDropped)


@dataclass(frozen=True, slots=True)
class Clash:
    """Results of a rule that share their labels: at these steps the rule says nothing."""

    rule: str
    labels: str
    source: str
    first: int
    steps: int


class Run:
    """One policy with one inventory, from the first step on; `window` takes the windows in order."""

    def __init__(self, policy: Policy, inventory: Inventory, feed: Feed, recorder: Recorder | None = None) -> None:
        self.policy = policy
        self.inventory = inventory
        self.alerts: list[Draft] = []
        """What alerts did, without what only holds their state."""
        self.recommendations: dict[str, Recommendation] = {}
        """The last version of each."""
        self.notifications: list[NotificationQueued] = []
        self.failures: list[AdviceFailed] = []
        self.steps = 0
        self._feed = feed
        self._board = Board(alerts={}, recommendations={}, incidents={})
        self._told = policy.told(inventory)
        self._clashes: dict[tuple[str, str, str], Clash] = {}
        self._recorder = recorder
        if recorder is not None:
            recorder.begin(policy, inventory, feed.first)

    def window(self, samples: Samples) -> None:
        """Evaluate the next window and walk its steps."""
        evaluation = evaluate(
            self.policy.compiled,
            as_state(self._board.alerts.values()),
            samples,
            self._feed.step_ms,
            recent=self._feed.recent(),
            inventory=self.inventory,
            past=self._feed.past(),
        )
        steps = steps_of(samples.coverage, self._feed.step_ms)["ts"].to_list()
        changes = [
            *self.policy.roster.changes(self._board.on_call, steps),
            *alert_drafts(self.policy.placed, evaluation.transitions, self.inventory),
        ]
        firing = self._board.alerts
        adviser = Adviser(self.policy, self.inventory, self._feed.history, self._board.recommendations, firing)
        made = walk(self._told, self._board, changes, steps, adviser)
        for draft in made:
            self._take(draft)
        if self._recorder is not None and steps:
            self._recorder.window(made, samples, steps[-1])
        self._board.recommendations = {
            name: known for name, known in self._board.recommendations.items() if known.open or known.alert in firing
        }
        self._clashed(evaluation.duplicates)
        self.steps += len(steps)

    def clashes(self) -> list[Clash]:
        """Rules whose results shared their labels, in the order in which they began to."""
        return sorted(self._clashes.values(), key=lambda clash: (clash.first, clash.rule, clash.labels))

    def _take(self, draft: Draft) -> None:
        payload = draft.payload
        if isinstance(payload, _ALERTS):
            self.alerts.append(draft)
        elif isinstance(payload, NotificationQueued):
            self.notifications.append(payload)
        elif isinstance(payload, AdviceFailed):
            self.failures.append(payload)
        else:
            event = provisional(draft)
            for key in RECOMMENDATIONS.keys(event):
                row = RECOMMENDATIONS.fold(self.recommendations.get(key), event)
                if row is not None:
                    self.recommendations[key] = row

    def _clashed(self, duplicates: pl.DataFrame) -> None:
        counted = duplicates.group_by("rule", "labels", "source").agg(pl.col("ts").min(), pl.len().alias("steps"))
        for rule, labels, source, first, steps in counted.sort("ts", "rule", "labels").iter_rows():
            known = self._clashes.get((rule, labels, source))
            begin, before = (known.first, known.steps) if known else (first, 0)
            self._clashes[rule, labels, source] = Clash(rule, labels, source, begin, before + steps)


def run_all(runs: list[Run], feed: Feed) -> Iterator[int]:
    """Take every run through the samples, window by window; yields the last step of each window when it is done."""
    for samples in feed.windows():
        for run in runs:
            run.window(samples)
        yield int(samples.coverage.select(pl.col("last").max()).item() or feed.last)
