"""The past of alerts as messages told it: what is left of it once the readings are gone."""

from collections.abc import Collection

from controlplane.model.readings import Reading
from controlplane.model.time import from_ms
from tui.data.log import Log

_QUEUED = frozenset({"notification_queued.v1"})
_LOOKED_AT = 200
"""So many of the newest messages are looked at."""


class Told(Reading):
    """What a message said: its history is that of a reading, but its newest value is as old as the message."""

    __slots__ = ()


def told_readings(log: Log, position: int, alerts: Collection[str]) -> dict[str, Told]:
    """The newest chart of each alert among the messages up to a position, as a reading of its last point.

    Alerts without a chart in the last 200 messages are left out.
    """
    # Imported here: the first paint doesn't wait for it.
    from controlplane.model.payloads import NotificationQueued

    found: dict[str, Told] = {}
    for event in log.read(until=position, types=_QUEUED, newest_first=True, limit=_LOOKED_AT):
        if len(found) == len(alerts):
            break
        if not isinstance(event.payload, NotificationQueued):
            continue
        chart = event.payload.delivery.message.chart
        if chart is not None and chart.at_ms and chart.alert in alerts and chart.alert not in found:
            points = zip(chart.at_ms, chart.values, strict=True)
            found[chart.alert] = Told.of(chart.alert, from_ms(chart.at_ms[-1]), chart.values[-1], points)
    return found
