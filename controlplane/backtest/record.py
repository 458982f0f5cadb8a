"""A backtest as an event log: what the control plane's own log would hold had it run with these rules."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from controlplane.eventlog.log import EventLog
from controlplane.frames import Samples
from controlplane.model.events import Draft, observation
from controlplane.model.payloads import ResourceAdded, RuleSetActivated, SamplesIngested, TickCompleted
from controlplane.model.resources import Inventory
from controlplane.model.time import from_ms, to_ms
from controlplane.tick.plane import Policy

SOURCE = "backtest"
"""Name of the inventory that the resources of a backtest come from."""


class Recorder:
    """Appends the decisions of one run to an empty log, with the end of a tick after each step that had any."""

    def __init__(self, log: EventLog, step_ms: int) -> None:
        self._log, self._step_ms, self._ticked = log, step_ms, 0

    def begin(self, policy: Policy, inventory: Inventory, first: int) -> None:
        """Note the rules and what they are about, at the first step (epoch ms)."""
        at = from_ms(first)
        rules = RuleSetActivated(
            digest=policy.rules.digest,
            rules=len(policy.rules.rules),
            platforms=tuple(sorted({placed.platform for placed in policy.rules.rules})),
        )
        known = [
            observation(f"resource:{resource.key}", ResourceAdded(source=SOURCE, resource=resource), at)
            for resource in inventory.resources
        ]
        self._log.append([*known, observation("rules", rules, at)], recorded_at=at)
        self._ticked = first - self._step_ms

    def window(self, drafts: Sequence[Draft], samples: Samples, last: int) -> None:
        """Append what was decided in a window that ends at the step `last`."""
        samples = replace(samples, samples=samples.samples.sort("ts"))
        made: list[Draft] = []
        for ts, here in groupby(drafts, key=lambda draft: to_ms(draft.occurred_at)):
            made += self._tick(list(here), samples, ts)
        if self._ticked < last:
            made += self._tick([], samples, last)
        self._log.append(made, recorded_at=from_ms(last))

    def _tick(self, drafts: list[Draft], samples: Samples, ts: int) -> list[Draft]:
        at, before = from_ms(ts), self._ticked
        kinds = [draft.payload.type for draft in drafts]
        completed = TickCompleted(
            now=at,
            step_ms=self._step_ms,
            steps=(ts - before) // self._step_ms,
            transitions=sum(kind.startswith("alert_") for kind in kinds),
            recommendations=sum(kind.startswith("recommendation_") for kind in kinds),
            notifications=kinds.count("notification_queued.v1"),
        )
        self._ticked = ts
        return [*self._ingested(samples, before, ts), *drafts, observation("tick", completed, at)]

    def _ingested(self, samples: Samples, before: int, ts: int) -> list[Draft]:
        """One event a source: what it gave since the last tick."""
        known = samples.samples["ts"]
        here = samples.samples[known.search_sorted(before, "right") : known.search_sorted(ts, "right")]
        made = []
        for (source,), series in samples.series.group_by("source", maintain_order=True):
            rows = here.join(series.select("sid"), on="sid", how="semi")
            payload = SamplesIngested(
                source=str(source),
                start_ms=before,
                end_ms=ts,
                step_ms=self._step_ms,
                rows=len(rows),
                series=rows["sid"].n_unique(),
                nan_rows=rows["value"].null_count(),
                digest=hashlib.sha256(rows.select("ts", "value").to_numpy().tobytes()).hexdigest(),
            )
            made.append(observation(f"source:{source}", payload, from_ms(ts)))
        return made
