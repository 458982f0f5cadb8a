"""What the terminal does with the past: its keys, where it is, and that nothing can be done there."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from textual.binding import Binding, BindingType
from textual.message import Message

from controlplane.model.errors import ControlplaneError
from controlplane.model.severity import Severity
from controlplane.model.time import human_duration
from tui.commands import Actions
from tui.data import Log, Snapshot, SnapshotReader
from tui.data.seek import Seek, parse_seek
from tui.text import safe
from tui.trust import Mode, Trust

if TYPE_CHECKING:
    from tui.app import ControlplaneApp
    from tui.travel import Moment, Report, Traveller

TIME: tuple[BindingType, ...] = (
    Binding("t", "seek", "Time", id="time.seek", tooltip="Go to a time such as 20:14 or -2h, or to a position"),
    Binding("left_square_bracket", "step(-1)", "Tick", id="time.back", tooltip="The tick before"),
    Binding("right_square_bracket", "step(1)", "Tick", id="time.forward", tooltip="The next tick"),
    Binding("left_curly_bracket", "incident(-1)", "Incident", id="time.incident_back", tooltip="The incident before"),
    Binding("right_curly_bracket", "incident(1)", "Incident", id="time.incident_forward", tooltip="The next incident"),
    Binding("p", "play", "Play", id="time.play", tooltip="Freeze the present; in the past play on, or stop"),
    Binding("plus", "speed(1)", "Faster", id="time.faster", tooltip="Play faster: 1x, 10x, 60x, 600x"),
    Binding("minus", "speed(-1)", "Slower", id="time.slower", tooltip="Play slower"),
    Binding("L", "live", "Live", id="time.live", tooltip="Back to the present"),
)
"""Keys for looking at the past."""
TIMES = tuple(binding.action for binding in TIME if isinstance(binding, Binding))
PAST = "This is the past; nothing can be done in it. Go back to the present first."


class Refused(ControlplaneError):
    """A command that isn't carried out, whoever asks for it."""


class Guarded:
    """Actions of the service that `found` gives, refused for as long as `why` gives a reason."""

    def __init__(self, found: Callable[[], object], why: Callable[[], str]) -> None:
        self._found, self._why = found, why

    def __getattr__(self, name: str) -> Callable[..., object]:
        def guarded(*given: Any, **named: Any) -> object:
            if reason := self._why():
                raise Refused(reason)
            action: Callable[..., object] = getattr(self._found(), name)
            return action(*given, **named)

        return guarded


class Travels:
    """Where one terminal is: in the present, or at a moment of the past that it is going to or has reached.

    `closed` names a log that doesn't grow, such as `BACKTEST`: nothing can be done in it, and its end is no present.
    """

    def __init__(self, app: "ControlplaneApp", reader: SnapshotReader, *, closed: str = "") -> None:
        self.moment: Moment | None = None
        """What is seen of the past."""
        self.closed = closed
        self._app = app
        self._trip = 0
        self._away = False
        self._went = False
        self._reader = reader
        self._made: Traveller | None = None

    @property
    def _traveller(self) -> "Traveller":
        from tui.travel import Traveller  # it brings the models of events: not at the start

        if self._made is None:
            reader = self._reader
            self._made = Traveller(
                lambda: reader.log,
                reader.known,
                self._tell,
                environment=reader.environment,
                closed=bool(self.closed),
            )
        return self._made

    @property
    def away(self) -> bool:
        """Whether the past is looked at, or gone to; always so in a log that doesn't grow."""
        return self._away or bool(self.closed)

    @property
    def why_refused(self) -> str:
        """Why nothing can be done now; empty where something can."""
        if self.closed:
            return f"This is a {self.closed.lower()}; nothing can be done in it."
        return PAST if self._away else ""

    def go(self, what: str, value: Any = None) -> None:
        """Go somewhere; from the present that begins a journey."""
        if not self._away:
            self._away = True
            self._trip += 1
            self._traveller.home(self._trip)
        self._traveller.ask(self._trip, what, value)

    def prepare(self) -> None:
        """Have what a journey needs read, so that it begins sooner."""
        self._traveller.ask(self._trip, "prepare")

    def home(self) -> None:
        """Return to the present."""
        self._away, self.moment = False, None
        self._trip += 1
        self._traveller.home(self._trip)

    def _tell(self, report: "Report") -> None:
        self._app.post_message(Reported(report))

    def stop(self, seconds: float) -> None:
        """End the thread."""
        if self._made is not None:
            self._made.stop(seconds)

    def arrived(self, report: "Report") -> tuple[bool, bool]:
        """Take a report: whether anything is to be drawn, and whether the picture is another one."""
        if report.trip != self._trip or not self._away:
            return False, False
        before, self.moment = self.moment, report.moment
        if report.moment is None:
            self.home()
            return True, True
        return True, before is None or before.position != report.moment.position

    def trust(self, live: Snapshot, beside: Trust) -> Trust:
        """What the bar says of the past; `live` and `beside` are the present and how far it can be trusted."""
        seen = self.moment
        if seen is None:
            reason = "going there"
        else:
            pace = f"playing {seen.speed}x" if seen.playing else f"stopped ({seen.speed}x)"
            tick = seen.snapshot.tick
            late = f" · no tick for {human_duration(seen.at - tick.now)} then" if seen.late and tick else ""
            reason = f"{seen.at:%Y-%m-%d %H:%M:%SZ}{late} · position {seen.position:,} of {seen.end:,} · {pace}"
        at = None if seen is None else seen.at
        word, aside = self.closed or "REPLAY", self._beside(live, beside)
        late_then = seen is not None and seen.late
        return Trust(Mode.REPLAY, reason, at, word, late_then, aside, self.why_refused)

    def _beside(self, live: Snapshot, beside: Trust) -> str:
        if self.closed:
            return ""
        if beside.mode in {Mode.DISCONNECTED, Mode.WAITING}:
            return "live: no answer"
        stale = " (stale)" if beside.mode is Mode.STALE else ""
        return f"live: {live.reported.get(Severity.CRITICAL, 0):,} critical{stale}"


class Reported(Message):
    """The thread of the past has arrived somewhere, or says why it hasn't."""

    def __init__(self, report: "Report") -> None:
        super().__init__()
        self.report = report


class TimeKeys:
    """What the keys for the past do; a part of the app."""

    travels: Travels
    live: Snapshot
    """The newest snapshot of the present."""
    snapshot: Snapshot
    reader: SnapshotReader
    clock: Callable[[], datetime]

    @property
    def _control(self) -> "ControlplaneApp":
        return cast("ControlplaneApp", self)

    @property
    def travelling(self) -> bool:
        """Whether the past is looked at."""
        return self.travels.away

    @property
    def event_log(self) -> Log | None:
        """The log as it was at the moment that is looked at, else as it is; None where it isn't open."""
        return self.reader.log if self.travels.moment is None else self.travels.moment.log

    @property
    def now(self) -> datetime:
        """The time that ages are counted to."""
        return self.clock() if self.travels.moment is None else self.travels.moment.at

    def on_reported(self, message: Reported) -> None:
        """Show where the thread of the past has arrived."""
        app, report = self._control, message.report
        draw, fresh = self.travels.arrived(report)
        if not draw:
            return
        self.snapshot = self.live if self.travels.moment is None else self.travels.moment.snapshot
        if report.said:
            app.notify(safe(report.said, 400), markup=False)
        app.deliver(fresh=fresh)

    def action_seek(self) -> None:
        """Ask where to look."""
        from tui.screens.seek import SeekDialog

        self.travels.prepare()
        end, seen = self.clock(), self.travels.moment

        def read(text: str) -> Seek:
            to = parse_seek(text, self.now, end)
            if to.at is not None and to.at > end:
                raise Refused(f"{to.at:%Y-%m-%d %H:%M:%SZ} has not come yet")
            return to

        def answered(to: Seek | None) -> None:
            if to == Seek():
                self.action_live()
            elif to is not None:
                self.depart("seek", to)

        here = "the present" if seen is None else f"{seen.at:%H:%M:%SZ}, position {seen.position:,}"
        self._control.push_screen(SeekDialog(f"now: {here}", read), answered)

    def action_step(self, by: int) -> None:
        """To the tick before or the next one."""
        if by > 0 and not self.travelling:
            self._control.notify("This is the present.", markup=False)
        else:
            self.depart("step", by)

    def action_incident(self, by: int) -> None:
        """To where an alert began to fire."""
        if by > 0 and not self.travelling:
            self._control.notify("This is the present.", markup=False)
        else:
            self.depart("incident", by)

    def action_play(self) -> None:
        """Freeze the present; in the past play on, or stop."""
        if self.travelling:
            self.depart("play")
        else:
            self.depart("freeze", self.clock())

    def action_speed(self, by: int) -> None:
        """Play faster or slower."""
        if self.travelling:
            self.depart("speed", by)
        else:
            self._control.notify("The speed is that of playing the past: p freezes the present.", markup=False)

    def action_live(self) -> None:
        """Back to the present; in a log that doesn't grow, to its end."""
        if self.travels.closed:
            self.depart("end")
            return
        if not self.travelling:
            self._control.notify("This is the present.", markup=False)
            return
        self.travels.home()
        self.snapshot = self.live
        self._control.deliver(fresh=True)

    def depart(self, what: str, value: Any = None) -> None:
        """Go somewhere in the past."""
        self.travels.go(what, value)
        self._control.deliver(fresh=False)


def guarded(actions: Actions | Callable[[], Actions], why: Callable[[], str]) -> Actions:
    """The same actions (or those that a function gives, when needed), refused for as long as there is a reason."""
    return cast("Actions", Guarded(actions if callable(actions) else lambda: actions, why))
