"""One immutable picture of everything at a position of the log, joined from the projections."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.model.severity import Severity
from controlplane.model.states import AlertState
from tui.data.board import Board
from tui.data.log import Measured
from tui.data.rows import AdviceRow, Entry, Holding, Row
from tui.data.told import Told

if TYPE_CHECKING:
    from controlplane.model.alerts import Alert
    from controlplane.model.payloads import RuleSetActivated, TickCompleted
    from controlplane.model.recommendations import Recommendation
    from controlplane.model.silences import Silence
    from controlplane.model.views import DeliveryRecord, RuleHealth, SourceHealth, Unadvised

POLL = timedelta(seconds=1)
"""How often the event store is asked for something new."""
MISSED = 3
"""A picture is stale after so many missed polls or ticks."""
LATE_STEPS = 20
"""A last tick that is older than so many steps is late, as `controlplane doctor` and `/healthz` have it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one position of the log; `error` says why it could not be renewed."""

    environment: str
    board: Board = field(default_factory=Board)
    """The active alerts."""
    advice: tuple[AdviceRow, ...] = ()
    holdings: tuple[Holding, ...] = ()
    """What is acknowledged, and what is silenced or will be."""
    entries: tuple[Entry, ...] = ()
    """The newest events, oldest first."""
    audit: tuple[Entry, ...] = ()
    """The newest decisions of people, oldest first."""
    sources: "tuple[SourceHealth, ...]" = ()
    rules: "tuple[RuleHealth, ...]" = ()
    """Rules that can't be evaluated."""
    rule_set: "RuleSetActivated | None" = None
    deliveries: "tuple[DeliveryRecord, ...]" = ()
    """The newest deliveries, oldest first."""
    tick: "TickCompleted | None" = None
    position: int = 0
    error: str = ""
    error_since: datetime | None = None
    retry_at: datetime | None = None
    open_advice: int = 0
    advice_by_id: Mapping[str, AdviceRow] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        environment: str,
        *,
        alerts: "Mapping[str, Alert]",
        readings: Mapping[str, Measured] | None = None,
        recommendations: "Mapping[str, Recommendation] | None" = None,
        unadvised: "Mapping[str, Unadvised] | None" = None,
        silences: "Mapping[str, Silence] | None" = None,
        ending: Mapping[str, int] | None = None,
        sources: "Mapping[str, SourceHealth] | None" = None,
        rules: "Mapping[str, RuleHealth] | None" = None,
        rule_set: "RuleSetActivated | None" = None,
        deliveries: "Mapping[str, DeliveryRecord] | None" = None,
        tick: "TickCompleted | None" = None,
        entries: tuple[Entry, ...] = (),
        audit: tuple[Entry, ...] = (),
        position: int = 0,
        before: "Snapshot | None" = None,
        changed: AbstractSet[str] | None = None,
    ) -> "Snapshot":
        """Join the projections; rows that are equal to those of `before` are taken over.

        `changed` are the alerts of which alone anything may differ from `before`, be it their advice, or that they are
        there at all, where tick and sources are the same; None = any.
        `ending` are the silences that end soon and how many alerts each still mutes.
        """
        before = before or cls(environment)
        health = tuple(sorted((sources or {}).values(), key=lambda source: source.source))
        failing = {source.source: source.failed[""] for source in health if "" in source.failed}
        oldest = None if tick is None else tick.now - late_after(tick)
        # A tick or a source that fails may put any row in doubt; else few of thousands differ from second to second.
        few = changed if before.tick is tick and before.sources == health else None
        readings, unadvised, recommendations = readings or {}, unadvised or {}, recommendations or {}
        found: dict[str, list[Recommendation]] = {}
        for recommendation in recommendations.values():
            if few is None or recommendation.alert in few:
                found.setdefault(recommendation.alert, []).append(recommendation)

        def made(key: str, alert: "Alert") -> Row:
            reading, missing = readings.get(key), unadvised.get(key)
            chosen = tuple(sorted(found[key], key=lambda r: (not r.open, -r.at.timestamp()))) if key in found else ()
            lack = () if missing is None else tuple(sorted(missing.errors.items()))
            return Row.of(alert, reading, chosen, _doubt(alert, reading, failing, oldest), lack, before.by_id.get(key))

        if few is None:
            board = Board.of(made(key, alert) for key, alert in sorted(alerts.items()))
        else:
            board = before.board.renewed({key: made(key, alerts[key]) if key in alerts else None for key in few})
        advice = before.advice
        if few is None or found or not few.isdisjoint(unadvised) or any(one.alert in few for one in advice):
            advice = _advice(recommendations, unadvised, board.by_id, before.advice_by_id)
        return cls(
            environment=environment,
            board=board,
            advice=advice,
            holdings=_holdings(board, silences or {}, ending or {}, tick),
            entries=entries,
            audit=audit,
            sources=health,
            rules=tuple(sorted((rules or {}).values(), key=lambda rule: (rule.rule, rule.source))),
            rule_set=rule_set,
            deliveries=tuple(sorted((deliveries or {}).values(), key=lambda record: record.position)),
            tick=tick,
            position=position,
            open_advice=sum(row.recommendation is not None and row.recommendation.open for row in advice),
            advice_by_id={row.id: row for row in advice},
        )

    @property
    def rows(self) -> tuple[Row, ...]:
        """The active alerts, in the order of their ids."""
        return self.board.rows

    @property
    def by_id(self) -> Mapping[str, Row]:
        """The same by id."""
        return self.board.by_id

    @property
    def reported(self) -> Mapping[Severity, int]:
        """Firing and no-data alerts by severity."""
        return self.board.reported

    @property
    def acknowledged(self) -> int:
        """How many alerts somebody has taken."""
        return self.board.acknowledged

    @property
    def pending(self) -> int:
        """How many alerts aren't reported yet."""
        return self.board.pending


def _advice(
    recommendations: "Mapping[str, Recommendation]",
    unadvised: "Mapping[str, Unadvised]",
    rows: Mapping[str, Row],
    known: Mapping[str, AdviceRow],
) -> tuple[AdviceRow, ...]:
    made = [AdviceRow.of(one, rows.get(one.alert), known.get(key)) for key, one in sorted(recommendations.items())]
    lacking = [AdviceRow.lacking(rows[key], one.at) for key, one in sorted(unadvised.items()) if key in rows]
    return (*made, *lacking)


def _holdings(
    board: Board, silences: "Mapping[str, Silence]", ending: Mapping[str, int], tick: "TickCompleted | None"
) -> tuple[Holding, ...]:
    """Acknowledgements, and the silences that aren't over."""
    rows = board.rows if board.acknowledged else ()
    taken = [Holding.taken(row, row.alert.acknowledged) for row in rows if row.tally[2] and row.alert.acknowledged]
    lasting = [one for one in silences.values() if tick is None or one.ends_at > tick.now]
    lasting.sort(key=lambda one: (one.starts_at, one.id))
    return (*taken, *(Holding.muted(one, ending.get(one.id, 0)) for one in lasting))


def _doubt(alert: "Alert", reading: Measured | None, failing: Mapping[str, str], oldest: datetime | None) -> str:
    if alert.source in failing:
        return f"source {alert.source} fails: {failing[alert.source]}"
    # A held or no-data alert has no fresh value by its nature; its state says so.
    measured = alert.state is not AlertState.NO_DATA and alert.held_for is None
    if isinstance(reading, Told):
        return ""
    if measured and reading is not None and oldest is not None and reading.at < oldest:
        return f"its newest value is from {reading.at:%Y-%m-%d %H:%M:%SZ}"
    return ""


def tick_interval(tick: "TickCompleted") -> timedelta:
    """How far apart ticks are if the last one did what had come since the one before: the steps that it evaluated."""
    return timedelta(milliseconds=tick.step_ms) * max(1, tick.steps)


def late_after(tick: "TickCompleted") -> timedelta:
    """How old the last tick may be: three intervals, at most 20 steps, because a tick that catches up has many."""
    return min(MISSED * tick_interval(tick), timedelta(milliseconds=tick.step_ms) * LATE_STEPS)
