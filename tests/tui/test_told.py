"""What messages told of the past of alerts, as of a position of the log."""

from datetime import timedelta

from controlplane.eventlog.log import EventLog
from controlplane.model.events import Draft
from controlplane.model.notifications import Chart
from controlplane.model.payloads import NotificationQueued
from controlplane.model.time import to_ms
from tests import drafts
from tests.tui import sample
from tests.tui.sample import NOW
from tui.data import SnapshotReader
from tui.data.past import PastLog
from tui.data.told import told_readings

AT = to_ms(NOW)


def queued(alert: str, *values: float | None) -> Draft:
    at_ms = tuple(AT + 1000 * number for number in range(len(values)))
    chart = Chart(alert=alert, at_ms=at_ms, values=values, threshold=1, unit="1") if values else None
    delivery = drafts.delivery(f"{alert}-{values}")
    delivery = delivery.model_copy(update={"message": delivery.message.model_copy(update={"chart": chart})})
    return sample.draft(NotificationQueued(delivery=delivery), NOW, stream=f"delivery:{delivery.id}")


def test_the_newest_chart_up_to_a_position_is_what_was_known(empty_log: EventLog) -> None:
    empty_log.append(
        [queued("a", 1.0, 2.0), queued("b", 5.0), queued("a", 1.0, None, 3.0), queued("a")], recorded_at=NOW
    )
    assert {name: one.history for name, one in told_readings(empty_log, 2, {"a", "c"}).items()} == {
        "a": ((AT, 1.0), (AT + 1000, 2.0))
    }
    newest = told_readings(empty_log, 4, {"a", "b"})
    assert newest["a"].history == ((AT, 1.0), (AT + 1000, None), (AT + 2000, 3.0))
    assert (newest["a"].value, to_ms(newest["a"].at), newest["b"].value) == (3.0, AT + 2000, 5.0)
    assert told_readings(empty_log, 0, {"a", "b"}) == {}


def test_what_an_alert_shows_in_the_past_is_its_value_then_and_the_chart_that_was_told(empty_log: EventLog) -> None:
    facts = sample.facts()
    sample.append(empty_log, [sample.fired(facts, timedelta(0)), queued(facts.alert, 1.0, 2.0), sample.ticked(NOW)])
    then = SnapshotReader(PastLog(empty_log, empty_log.head())).poll(NOW)
    row = then.by_id[facts.alert]
    assert (row.value, row.history, row.doubt) == (facts.value, ((AT, 1.0), (AT + 1000, 2.0)), "")
    before = SnapshotReader(PastLog(empty_log, 1)).poll(NOW)
    assert before.by_id[facts.alert].history == ()


def test_the_chart_of_an_earlier_firing_is_not_shown(empty_log: EventLog) -> None:
    facts = sample.facts(active_at=NOW + timedelta(minutes=5))
    sample.append(empty_log, [queued(facts.alert, 1.0, 2.0), sample.fired(facts, timedelta(0)), sample.ticked(NOW)])
    then = SnapshotReader(PastLog(empty_log, empty_log.head())).poll(NOW)
    assert then.by_id[facts.alert].history == ()
