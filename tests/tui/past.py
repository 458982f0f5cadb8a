"""A short past for tests: twelve ticks, three incidents, an acknowledgement, a silence, advice and a failed source."""

from datetime import datetime, timedelta

from controlplane.eventlog.log import EventLog
from controlplane.model.events import Draft
from controlplane.model.matchers import Matcher
from controlplane.model.payloads import AdviceFailed, RecommendationApproved, RuleSetActivated, SilenceCreated
from controlplane.model.severity import Severity
from controlplane.model.silences import Silence
from tests.tui import sample
from tests.tui.sample import NOW

TICKS = 12
STEP = timedelta(seconds=15)
BEGIN = NOW - (TICKS - 1) * STEP
DISK = sample.facts("disk-usage", labels={"host": "es-07"}, severity=Severity.WARNING, title="Disk is nearly full")
LAG = sample.facts()
NODE = sample.facts("mqtt-node", platform="absmach", labels={"node": "mqtt-2"}, title="MQTT node can't be reached")


def time_of(tick: int) -> datetime:
    """When a tick (from 0) ended."""
    return BEGIN + tick * STEP


def short_past() -> list[Draft]:
    """Incidents begin in the ticks 2, 5 and 9; in 6 the first is taken and a silence made, in 7 it ends."""
    disk, lag, node = (
        one.model_copy(update={"active_at": time_of(tick)}) for one, tick in ((DISK, 2), (LAG, 5), (NODE, 9))
    )
    advice = sample.scale_out(lag.alert, at=time_of(5), expires_at=time_of(5) + timedelta(hours=4))
    fired = sample.draft(sample.AlertFired(facts=disk), time_of(2))
    silence = Silence(
        id="s1",
        matchers=(Matcher.parse('host="es-07"'),),
        starts_at=time_of(6),
        ends_at=time_of(6) + timedelta(hours=1),
        author="ana",
        reason="disks are being changed",
        created_at=time_of(6),
    )
    said: dict[int, list[Draft]] = {
        0: [sample.draft(RuleSetActivated(digest="d1" * 32, rules=3, platforms=("catalyst",)), BEGIN, stream="rules")],
        2: [fired],
        5: [sample.draft(sample.AlertFired(facts=lag), time_of(5)), sample.proposed(advice)],
        6: [
            sample.taken(disk, fired, "mira", "on it", time_of(6)),
            sample.draft(SilenceCreated(silence=silence), time_of(6), stream="silence:s1"),
        ],
        7: [sample.resolved(disk, time_of(7)), sample.source_failed("kafka-lag", "refused", at=time_of(7))],
        8: [
            sample.draft(
                RecommendationApproved(recommendation=advice.id, version=1, actor="mira"),
                time_of(8),
                stream=f"recommendation:{advice.id}",
                actor="mira",
            )
        ],
        9: [
            sample.draft(sample.AlertFired(facts=node), time_of(9)),
            sample.draft(AdviceFailed(rule="mqtt-nodes", alert=node.alert, error="no history"), time_of(9)),
        ],
    }
    made: list[Draft] = []
    for tick in range(TICKS):
        at = time_of(tick)
        made += [sample.ingested(name, 10 + tick, at) for name in ("prom-eu1", "kafka-lag")]
        made += [*said.get(tick, []), sample.ticked(at)]
    return made


def ends(log: EventLog) -> list[int]:
    """Positions of the ends of ticks."""
    return [event.position for event in log.read(types={"tick_completed.v1"})]
