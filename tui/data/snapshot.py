"""One immutable picture of everything at a position of the log, joined from the projections."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.payloads import RuleSetActivated, TickCompleted
from controlplane.model.recommendations import Recommendation
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from controlplane.model.views import DeliveryRecord, RuleHealth, SourceHealth, Unadvised
from tui.data.log import Measured
from tui.data.rows import AdviceRow, Entry, Holding, Row
from tui.data.told import Told

POLL = timedelta(seconds=1)
"""How often the event store is asked for something new."""
MISSED = 3
"""A picture is stale after so many missed polls or ticks."""
_LONGEST_TICK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one position of the log; `error` says why it could not be renewed."""

    environment: str
    rows: tuple[Row, ...] = ()
    advice: tuple[AdviceRow, ...] = ()
    holdings: tuple[Holding, ...] = ()
    """What is acknowledged, and what is silenced or will be."""
    entries: tuple[Entry, ...] = ()
    """The newest events, oldest first."""
    audit: tuple[Entry, ...] = ()
    """The newest decisions of people, oldest first."""
    sources: tuple[SourceHealth, ...] = ()
    rules: tuple[RuleHealth, ...] = ()
    """Rules that can't be evaluated."""
    rule_set: RuleSetActivated | None = None
    deliveries: tuple[DeliveryRecord, ...] = ()
    """The newest deliveries, oldest first."""
    tick: TickCompleted | None = None
    position: int = 0
    error: str = ""
    error_since: datetime | None = None
    retry_at: datetime | None = None
    reported: Mapping[Severity, int] = field(default_factory=dict, compare=False)
    """Firing and no-data alerts by severity."""
    acknowledged: int = 0
    pending: int = 0
    open_advice: int = 0
    by_id: Mapping[str, Row] = field(default_factory=dict, compare=False, repr=False)
    advice_by_id: Mapping[str, AdviceRow] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        environment: str,
        *,
        alerts: Mapping[str, Alert],
        readings: Mapping[str, Measured] | None = None,
        recommendations: Mapping[str, Recommendation] | None = None,
        unadvised: Mapping[str, Unadvised] | None = None,
        silences: Mapping[str, Silence] | None = None,
        ending: Mapping[str, int] | None = None,
        sources: Mapping[str, SourceHealth] | None = None,
        rules: Mapping[str, RuleHealth] | None = None,
        rule_set: RuleSetActivated | None = None,
        deliveries: Mapping[str, DeliveryRecord] | None = None,
        tick: TickCompleted | None = None,
        entries: tuple[Entry, ...] = (),
        audit: tuple[Entry, ...] = (),
        position: int = 0,
        before: "Snapshot | None" = None,
        changed: Collection[str] | None = None,
    ) -> "Snapshot":
        """Join the projections; rows that are equal to those of `before` are taken over.

        `changed` are the alerts that alone may differ from `before`, with the same advice and readings; None = any.
        `ending` are the silences that end soon and how many alerts each still mutes.
        """
        health = tuple(sorted((sources or {}).values(), key=lambda source: source.source))
        failing = {source.source: source.failed[""] for source in health if "" in source.failed}
        oldest = None if tick is None else tick.now - MISSED * tick_interval(tick)
        found: dict[str, list[Recommendation]] = {}
        for recommendation in (recommendations or {}).values():
            found.setdefault(recommendation.alert, []).append(recommendation)
        known = before.by_id if before is not None else {}
        readings, unadvised = readings or {}, unadvised or {}
        # Thousands of rows of which few changed, each second: what is the same is taken over unseen.
        same = before is not None and before.tick is tick and before.sources == health

        def made(key: str, alert: Alert) -> Row:
            reading, row = readings.get(key), known.get(key)
            if same and row is not None and row.plain(alert, reading) and key not in found and key not in unadvised:
                return row
            chosen = tuple(sorted(found.get(key, ()), key=lambda r: (not r.open, -r.at.timestamp())))
            missing = unadvised.get(key)
            lack = () if missing is None else tuple(sorted(missing.errors.items()))
            return Row.of(alert, reading, chosen, _doubt(alert, reading, failing, oldest), lack, row)

        if same and before is not None and changed is not None and alerts.keys() == known.keys():
            rows = list(before.rows)
            for key in changed:
                rows[bisect_left(rows, key, key=_ID)] = made(key, alerts[key])
        else:
            rows = [made(key, alert) for key, alert in sorted(alerts.items())]
        by_id = {row.id: row for row in rows}
        tally = Counter(map(_TALLY, rows))
        advice = _advice(recommendations or {}, unadvised, by_id, before)
        return cls(
            environment=environment,
            rows=tuple(rows),
            advice=advice,
            holdings=_holdings(rows, silences or {}, ending or {}, tick),
            entries=entries,
            audit=audit,
            sources=health,
            rules=tuple(sorted((rules or {}).values(), key=lambda rule: (rule.rule, rule.source))),
            rule_set=rule_set,
            deliveries=tuple(sorted((deliveries or {}).values(), key=lambda record: record.position)),
            tick=tick,
            position=position,
            reported=_sums((severity, number) for (pending, severity, _), number in tally.items() if not pending),
            acknowledged=sum(number for (_, _, taken), number in tally.items() if taken),
            pending=sum(number for (pending, _, _), number in tally.items() if pending),
            open_advice=sum(row.recommendation is not None and row.recommendation.open for row in advice),
            by_id=by_id,
            advice_by_id={row.id: row for row in advice},
        )


_TALLY, _ID = attrgetter("tally"), attrgetter("id")


def _sums(pairs: Iterable[tuple[Severity, int]]) -> Counter[Severity]:
    total: Counter[Severity] = Counter()
    for severity, number in pairs:
        total[severity] += number
    return total


def _advice(
    recommendations: Mapping[str, Recommendation],
    unadvised: Mapping[str, Unadvised],
    rows: Mapping[str, Row],
    before: Snapshot | None,
) -> tuple[AdviceRow, ...]:
    known = before.advice_by_id if before is not None else {}
    made = [AdviceRow.of(one, rows.get(one.alert), known.get(key)) for key, one in sorted(recommendations.items())]
    lacking = [AdviceRow.lacking(rows[key], one.at) for key, one in sorted(unadvised.items()) if key in rows]
    return (*made, *lacking)


def _holdings(
    rows: Iterable[Row], silences: Mapping[str, Silence], ending: Mapping[str, int], tick: TickCompleted | None
) -> tuple[Holding, ...]:
    """Acknowledgements, and the silences that aren't over."""
    taken = [Holding.taken(row, row.alert.acknowledged) for row in rows if row.tally[2] and row.alert.acknowledged]
    lasting = [one for one in silences.values() if tick is None or one.ends_at > tick.now]
    lasting.sort(key=lambda one: (one.starts_at, one.id))
    return (*taken, *(Holding.muted(one, ending.get(one.id, 0)) for one in lasting))


def _doubt(alert: Alert, reading: Measured | None, failing: Mapping[str, str], oldest: datetime | None) -> str:
    if alert.source in failing:
        return f"source {alert.source} fails: {failing[alert.source]}"
    # A held or no-data alert has no fresh value by its nature; its state says so.
    measured = alert.state is not AlertState.NO_DATA and alert.held_for is None
    if isinstance(reading, Told):
        return ""
    if measured and reading is not None and oldest is not None and reading.at < oldest:
        return "its newest value is older than 3 ticks"
    return ""


def tick_interval(tick: TickCompleted) -> timedelta:
    """How far apart ticks are: the steps that the last one evaluated, within one step and five minutes."""
    step = timedelta(milliseconds=tick.step_ms)
    return max(step, min(step * max(1, tick.steps), _LONGEST_TICK))
