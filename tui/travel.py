"""Looking at the past: a thread goes to where it is asked to and plays on; the screens get what it found."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable
from tui.data import Log, Snapshot
from tui.data.past_reader import PastReader
from tui.data.recording import RecordedLog, Recording
from tui.data.seek import Seek
from tui.trust import late

SPEEDS = (1, 10, 60, 600)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
FRAME = 0.25
"""Seconds between two pictures while it plays."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is seen of the past."""

    at: datetime
    position: int
    end: int
    """The last position that is known."""
    snapshot: Snapshot
    log: RecordedLog
    """The log as it was then."""
    late: bool = False
    """Whether no tick had ended for long, and none looked at that time later."""
    playing: bool = False
    speed: int = SPEEDS[0]


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a request: where one is now, None where that is the present, and what has to be said about it."""

    trip: int
    """Number of the journey, which ends with the return to the present."""
    moment: Moment | None
    said: str = ""


class _Stay(ControlplaneError):
    """A request that leads nowhere; one stays where one is."""


@dataclass(slots=True)
class _Place:
    """Where the thread is."""

    at: datetime
    position: int
    playing: bool = False
    speed: int = SPEEDS[0]
    since: float = 0.0
    """Monotonic time from which `began` is counted on while it plays."""
    began: datetime = _LONG_AGO


class Traveller:
    """One thread that does what it is asked in order, and shows only where it arrives.

    `log` gives the log once it is open, `tables` what the present has read of it (position and tables by projection).
    `closed` says that the log won't grow: then there is no present to return to, and playing stops at its end.
    """

    def __init__(
        self,
        log: Callable[[], Log | None],
        tables: Callable[[], tuple[int, Mapping[str, dict[str, Any]]] | None],
        report: Callable[[Report], None],
        *,
        environment: str = "default",
        closed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._tables, self._report, self._closed, self._clock = log, tables, report, closed, clock
        self._reader = PastReader(lambda: _never(), environment)
        self._recording: Recording | None = None
        self._asked: deque[tuple[int, Callable[[Recording], None]]] = deque()
        self._wake = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._trip = 0
        self._place: _Place | None = None
        self._shown: Moment | None = None

    # from the thread of the screens

    def ask(self, trip: int, what: str, value: Any = None) -> None:
        """Have the thread `prepare`, `seek` (Seek), `step`, `incident` or `speed` (±1), `freeze`, `play` or `end`."""
        move: Callable[[Recording, Any], None] = getattr(self, f"_{what}")
        with self._wake:
            self._asked.append((trip, lambda recording: move(recording, value)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="travel", daemon=True)
                self._thread.start()
            self._wake.notify()

    def home(self, trip: int) -> None:
        """Forget what was asked and where the thread is: the next journey has the number `trip`."""
        with self._wake:
            self._asked.clear()
            self._trip = trip
            self._wake.notify()

    def stop(self, seconds: float) -> None:
        """End the thread; wait for it no longer than so many seconds."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    # the thread

    def _run(self) -> None:
        trip = 0
        while True:
            with self._wake:
                playing = self._place is not None and self._place.playing
                if not self._asked and not self._stopped:
                    self._wake.wait(FRAME if playing else None)
                if self._stopped:
                    return
                asked, current = list(self._asked), self._trip
                self._asked.clear()
            if current != trip:
                trip, self._place, self._shown = current, None, None
            said = ""
            for number, request in asked:
                if number == trip:
                    said = self._do(request) or said
            self._arrive(trip, said, asked=bool(asked))

    def _do(self, request: Callable[[Recording], None]) -> str:
        try:
            request(self._ready())
        except ControlplaneError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever the store does, the picture stays up
            return f"{type(error).__name__}: {error}"
        return ""

    def _ready(self) -> Recording:
        log = self._log()
        if log is None:
            raise _Stay("The event store isn't open.")
        if self._recording is None:
            made = Recording(log)  # type: ignore[arg-type]  # where the past is looked at, it is a Recorded
            known = self._tables()
            made.renew()
            if known is not None:
                made.know(*known)
            self._recording = made
        if not len(self._recording.index):
            self._recording.renew()
        return self._recording

    def _arrive(self, trip: int, said: str, *, asked: bool) -> None:
        """Show where the thread is now, if it is anywhere and that is new."""
        try:
            if self._place is not None and self._place.playing:
                self._play_on(self._ready())
            place, shown = self._place, self._shown
            if place is None:
                if asked:
                    self._report(Report(trip, None, printable(said, 400)))
                return
            recording = self._ready()
            if shown is None or shown.position != place.position:
                log = recording.at(place.position)
                found = Moment(place.at, place.position, recording.index.end, self._reader.at(log), log)
            else:
                found = replace(shown, at=place.at, end=recording.index.end)
            tick = found.snapshot.tick
            stale = tick is not None and late(tick, place.at) and not recording.evaluated(place.position, place.at)
            self._shown = replace(found, late=stale, playing=place.playing, speed=place.speed)
        except Exception as error:  # noqa: BLE001 - whatever the store does, the picture stays up
            if self._place is not None:
                self._place.playing = False
            said = f"{type(error).__name__}: {error}" if not isinstance(error, ControlplaneError) else str(error)
        self._report(Report(trip, self._shown, printable(said, 400)))

    def _play_on(self, recording: Recording) -> None:
        place = self._place
        assert place is not None
        passed = timedelta(seconds=(self._clock() - place.since) * place.speed)
        at = place.began + passed
        last = recording.index.span
        if last is None or at >= last[1]:
            recording.renew()
            last = recording.index.span
        if last is not None and at < last[1]:
            place.at = at
            place.position = max(place.position, _known_at(recording, at) or 0)
        elif self._closed:
            place.at, place.position, place.playing = max(place.at, last[1] if last else at), recording.index.end, False
        else:
            self._place = self._shown = None
            self._report(Report(self._trip, None, "This is the present."))

    # requests

    def _prepare(self, recording: Recording, _: Any) -> None:
        recording.renew()

    def _go(self, recording: Recording, position: int, at: datetime | None = None) -> None:
        when = recording.index.time_of(position)
        if when is None:
            raise _Stay("No tick has ended yet, so there is no past to look at.")
        speed = self._place.speed if self._place else SPEEDS[0]
        playing = self._place.playing if self._place else False
        when = at or when
        self._place = _Place(when, position, playing, speed, self._clock(), when)

    def _here(self, recording: Recording) -> int:
        if self._place is not None:
            return self._place.position
        recording.renew()
        return recording.index.end

    def _seek(self, recording: Recording, to: Seek) -> None:
        recording.renew()
        index = recording.index
        span = index.span
        if span is None:
            raise _Stay("No tick has ended yet, so there is no past to look at.")
        if to.position is not None:
            if to.position > index.end:
                raise _Stay(f"There is no position {to.position:,}: the log ends at {index.end:,}.")
            self._go(recording, max(to.position, index.begin))
            return
        assert to.at is not None
        position = _known_at(recording, to.at)
        if position is None:
            raise _Stay(f"{_said(to.at)} lies before the first tick, {_said(span[0])}.")
        if to.at > span[1] and self._closed:
            raise _Stay(f"{_said(to.at)} lies after the end, {_said(span[1])}.")
        self._go(recording, position, to.at)

    def _step(self, recording: Recording, by: int) -> None:
        found = recording.index.step(self._here(recording), by)
        if found is None and by > 0:
            recording.renew()
            found = recording.index.step(self._here(recording), by)
        if found is None:
            raise _Stay("There is no earlier tick." if by < 0 else "There is no later tick.")
        self._go(recording, found)

    def _incident(self, recording: Recording, by: int) -> None:
        here = self._here(recording)
        found = recording.index.incident(here, by)
        if found is None and by > 0:
            recording.renew()
            found = recording.index.incident(here, by)
        if found is None:
            raise _Stay("No alert began to fire before." if by < 0 else "No alert began to fire after.")
        self._go(recording, found)

    def _freeze(self, recording: Recording, at: datetime) -> None:
        recording.renew()
        self._go(recording, recording.index.end, at)

    def _play(self, recording: Recording, _: Any) -> None:
        place = self._place
        if place is None:
            raise _Stay("Freeze or seek first.")
        span = recording.index.span
        if not place.playing and self._closed and span is not None and place.position >= recording.index.last:
            raise _Stay("This is the end; go back first.")
        place.playing, place.since, place.began = not place.playing, self._clock(), place.at

    def _speed(self, _: Recording, by: int) -> None:
        place = self._place
        if place is None:
            raise _Stay("The speed is that of playing the past; freeze or seek first.")
        if place.playing:
            place.at = place.began + timedelta(seconds=(self._clock() - place.since) * place.speed)
        place.since, place.began = self._clock(), place.at
        place.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, SPEEDS.index(place.speed) + by))]

    def _end(self, recording: Recording, _: Any) -> None:
        recording.renew()
        self._go(recording, recording.index.end)


def _known_at(recording: Recording, at: datetime) -> int | None:
    """Position of the last stop by a time, and where no tick had ended for long, of what people did since."""
    from controlplane.eventlog.projections import TICK

    position = recording.index.position_at(at)
    tick = None if position is None else recording.at(position).row(TICK, "tick")
    return position if position is None or tick is None or not late(tick, at) else recording.reached(position, at)


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"


def _never() -> Log:
    raise AssertionError("snapshots of the past are read from a log that is given")
