"""As of a position: what the log had then, and nothing of what came after."""

from datetime import timedelta
from itertools import pairwise

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import PROJECTIONS
from controlplane.model.errors import ControlplaneError
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.sample import NOW
from tui.data import SnapshotReader
from tui.data.past import PastLog, position_at


def test_as_of_the_head_is_the_present(log: EventLog) -> None:
    past = PastLog(log, log.head())
    for projection in PROJECTIONS:
        assert past.rows(projection) == log.rows(projection), projection.name


def test_as_of_each_position_equals_a_log_that_ended_there(log: EventLog, tmp_path) -> None:
    drafts, _ = sample.evening()
    for position in range(1, log.head() + 1, 5):
        (tmp_path / str(position)).mkdir()
        with sample.open_log(tmp_path / str(position)) as fresh:
            sample.append(fresh, drafts[:position])
            then = SnapshotReader(PastLog(log, position), "e").poll(NOW)
            assert then == SnapshotReader(fresh, "e").poll(NOW)
            assert then.position == position


def test_nothing_later_is_seen(log: EventLog) -> None:
    before = log.head()
    row = next(row for row in SnapshotReader(log).poll(NOW).rows if row.alert.rule == sample.LAG)
    Operator(log).acknowledge(row.id, actor="ana", now=NOW)
    sample.append(log, [sample.resolved(sample.facts())])

    then = SnapshotReader(PastLog(log, before)).poll(NOW)

    assert then.by_id[row.id].alert.acknowledged is None
    assert [entry.position for entry in then.entries] == sorted(entry.position for entry in then.entries)
    assert all(one.position < other.position <= before for one, other in pairwise(then.entries))
    assert row.id not in SnapshotReader(log).poll(NOW).by_id


def test_a_time_is_that_of_the_last_tick_before_it(empty_log: EventLog) -> None:
    minute = timedelta(minutes=1)
    sample.append(empty_log, [sample.ticked(NOW), sample.ingested("a", 1), sample.ticked(NOW + minute)])
    assert position_at(empty_log, NOW + 2 * minute) == 3
    assert position_at(empty_log, NOW + minute) == 3
    assert position_at(empty_log, NOW + minute / 2) == 1
    with pytest.raises(ControlplaneError, match="the log begins later"):
        position_at(empty_log, NOW - minute)
