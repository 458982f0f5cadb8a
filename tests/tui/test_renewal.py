"""A snapshot that renews what changed is the one that is read anew, whatever happened between the two."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.eventlog.append import prepare
from controlplane.eventlog.codec import to_event
from controlplane.model.events import Draft, Event
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AdviceFailed,
    AlertDropped,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertReturned,
    RecommendationRejected,
    RecommendationWithdrawn,
    SilenceCreated,
    SilenceEnded,
)
from tests import drafts
from tests.tui import sample
from tests.tui.sample import NOW, draft
from tui.data.log import Measured
from tui.data.past import PastLog
from tui.data.reader import SnapshotReader
from tui.data.snapshot import Snapshot

ALERTS = [sample.facts(source=f"prom-{number % 2}", labels={"host": f"h{number}"}) for number in range(4)]
SECOND = timedelta(seconds=1)


def advised(number: int, at: datetime) -> Draft:
    """A recommendation; two of the four answer one alert."""
    made = sample.scale_out(ALERTS[number // 2].alert, at=at)
    return sample.proposed(made.model_copy(update={"id": f"r{number}"}))


def decided(payload: Any, number: int, at: datetime) -> Draft:
    """Something that befell a recommendation."""
    return draft(payload, at, stream=f"recommendation:r{number}")


def taken(number: int, at: datetime) -> Draft:
    """An acknowledgement of whatever episode there is."""
    return sample.taken(ALERTS[number], sample.fired(ALERTS[number], timedelta(0)), "mira", "mine", at)


def silence(number: int, at: datetime) -> Draft:
    """A silence that lasts for a minute or for hours."""
    made = drafts.silence(f"s{number}").model_copy(
        update={"starts_at": at, "ends_at": at + timedelta(minutes=1 + 100 * (number % 2))}
    )
    return draft(SilenceCreated(silence=made), at, stream=f"silence:s{number}")


def named(number: int) -> str:
    return ALERTS[number].alert


ACTIONS: dict[str, Callable[[int, datetime], Draft]] = {
    "pends": lambda n, at: draft(AlertPending(facts=ALERTS[n]), at),
    "fires": lambda n, at: sample.fired(ALERTS[n], NOW - at),
    "lacks data": lambda n, at: draft(AlertNoData(facts=ALERTS[n]), at),
    "held": lambda n, at: draft(AlertHeld(alert=named(n), why="missing", since=at), at),
    "returns": lambda n, at: draft(AlertReturned(alert=named(n), value=float(n)), at),
    "ends": lambda n, at: sample.resolved(ALERTS[n], at),
    "drops": lambda n, at: draft(AlertDropped(alert=named(n), rule="r", labels={}, value=None, reason="condition"), at),
    "taken": taken,
    "given back": lambda n, at: draft(AcknowledgementWithdrawn(alert=named(n), actor="mira"), at),
    "advised": advised,
    "rejected": lambda n, at: decided(
        RecommendationRejected(recommendation=f"r{n}", version=1, actor="mira", reason="no"), n, at
    ),
    "withdrawn": lambda n, at: decided(RecommendationWithdrawn(recommendation=f"r{n}", reason="over"), n, at),
    "unadvised": lambda n, at: draft(AdviceFailed(rule="r", alert=named(n), error="no price"), at),
    "silenced": silence,
    "unsilenced": lambda n, at: draft(SilenceEnded(silence=f"s{n}", actor="mira"), at, stream=f"silence:s{n}"),
    "source fails": lambda n, at: sample.source_failed(f"prom-{n % 2}", "refused", at=at),
    "source answers": lambda n, at: sample.source_recovered(f"prom-{n % 2}", at - 15 * SECOND, at),
    "ticks": lambda _, at: sample.ticked(at),
}


class Kept:
    """Events that no store keeps: opening one for each example would take all the time."""

    def __init__(self, made: Sequence[Draft]) -> None:
        stored = prepare(made, NOW)
        self.events = [to_event(one._replace(position=number)) for number, one in enumerate(stored, 1)]

    def read(
        self, *, after: int = 0, until: int, types: Collection[str] | None = None, newest_first: bool = False, **_: Any
    ) -> Iterator[Event]:
        found = [one for one in self.events[after:until] if types is None or one.type in types]
        return iter(found[::-1] if newest_first else found)


class Then(PastLog):
    """The log as it was, with the readings that its last tick left."""

    def __init__(self, log: Any, position: int, readings: Mapping[str, Measured]) -> None:
        super().__init__(log, position)
        self.readings = readings

    def latest_readings(self) -> Mapping[str, Measured]:
        return self.readings


def told(snapshot: Snapshot | None) -> tuple[Any, ...]:
    """All that a snapshot says, but for lines of events, which have the words of their time, and for how many alerts a
    silence still mutes, which is counted after each tick."""
    assert snapshot is not None
    assert not snapshot.error
    counts = (+snapshot.board.reported, snapshot.acknowledged, snapshot.pending)
    holdings = tuple(replace(one, still=0) for one in snapshot.holdings)
    return replace(snapshot, entries=(), audit=(), holdings=holdings), counts, snapshot.by_id, snapshot.advice_by_id


happenings = st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 3))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(happenings, min_size=1, max_size=5), min_size=2, max_size=12))
@example([[("fires", 0)], [("advised", 0), ("advised", 1)], [("held", 0)], [("rejected", 1)], [("ends", 0)]])
@example([[("fires", 1), ("ticks", 0)], [("taken", 1)], [("returns", 1)], [("ticks", 0)], [("drops", 1)]])
@example([[("fires", 2)], [("unadvised", 2)], [("source fails", 0)], [("ends", 2)], [("fires", 2)]])
def test_a_renewed_snapshot_is_the_one_that_is_read_anew(bites: list[list[tuple[str, int]]]) -> None:
    made: list[Draft] = []
    ends = []
    for bite in bites:
        for action, number in bite:
            at = NOW + 7 * len(made) * SECOND
            made.append(ACTIONS[action](number, at).model_copy(update={"key": f"{len(made)}"}))
        ends.append((len(made), any(action == "ticks" for action, _ in bite)))
    log, readings = Kept(made), dict[str, Measured]()
    reader = SnapshotReader(Then(log, 0, readings), "e")
    reader.poll(NOW)
    for position, ticked in ends:
        if ticked:  # of one alert there is no reading, and that of another one is old
            now = log.events[position - 1].occurred_at
            readings = {
                found.alert: sample.reading(found, [float(position)], at=now if number else NOW)
                for number, found in enumerate(ALERTS[:3])
            }
        then = Then(log, position, readings)
        reader.log = then
        assert told(reader.poll(NOW)) == told(SnapshotReader(then, "e").poll(NOW))
