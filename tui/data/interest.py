"""Where a recorded log is most worth looking at."""

from datetime import timedelta

from controlplane.model.severity import Severity
from tui.data.recording import Recorded
from tui.data.timeline_index import TimelineIndex

_WEIGHT = {Severity.CRITICAL: 100, Severity.WARNING: 10, Severity.INFO: 1}
_WITHIN = timedelta(minutes=5)


def most_interesting(log: Recorded) -> int | None:
    """Position of the tick in which the most begins to fire, counted with the five minutes after it by severity.

    The first of several; None where nothing fires.
    """
    index = TimelineIndex()
    index.extend(log.marks())
    fired = sorted(
        (event.occurred_at, event.position, _WEIGHT[event.payload.facts.severity])  # type: ignore[union-attr]  # no others are read
        for event in log.read(types={"alert_fired.v1", "alert_no_data.v1"})
    )
    best, found, weight, end = 0, None, 0, 0
    for at, position, own in fired:
        while end < len(fired) and fired[end][0] <= at + _WITHIN:
            weight += fired[end][2]
            end += 1
        if weight > best:
            best, found = weight, position
        weight -= own
    return None if found is None else index.stop_of(found)
