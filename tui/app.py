"""The terminal itself: polls snapshots in a thread, hands them to the screen, and has commands done."""

import gc
import getpass
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from tui import theme
from tui.acting.desk import Batch, Desk
from tui.commands import Actions, Command, Kind, Target
from tui.data import Snapshot, SnapshotReader, utc_now
from tui.data.rulebook import Rulebook, Rules
from tui.data.seek import Seek
from tui.keys import bound, checked
from tui.screens.acknowledgements import AcknowledgementsScreen
from tui.screens.alerts import AlertsScreen
from tui.screens.audit import AuditScreen
from tui.screens.base import SnapshotScreen
from tui.screens.listing import ListScreen
from tui.screens.recommendations import RecommendationsScreen
from tui.screens.timeline import TimelineScreen
from tui.stylesheet import Parsed
from tui.theme import DARK, PALETTES, Palette
from tui.travelling import TIME, TimeKeys, Travels, guarded
from tui.trust import Mode, Trust, trust

SCREENS: tuple[type[SnapshotScreen], ...] = (
    AlertsScreen,
    RecommendationsScreen,
    TimelineScreen,
    AcknowledgementsScreen,
    AuditScreen,
)
"""The screens that a digit leads to, home first."""
_JOIN = 0.3
_PHASE = 0.6
"""When in the second between two looks at the clock the store is polled, so that one picture tells of both."""
_RECENT = 0.5


class ControlplaneApp(TimeKeys, App[None], inherit_bindings=False):
    """Shows the snapshots of `reader`; `actions` does what the operator confirms, in a thread."""

    TITLE = "controlplane"
    ENABLE_COMMAND_PALETTE = True
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {screen.MODE: screen for screen in SCREENS}
    DEFAULT_MODE = SCREENS[0].MODE
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(screen.KEY, f"switch_mode('{screen.MODE}')", screen.NAME, show=False, id=f"view.{screen.KEY}")
            for screen in SCREENS
        ),
        *TIME,
        Binding("question_mark", "help", "Help", id="app.help", tooltip="These keys"),
        Binding("q,ctrl+q", "quit", "Quit", id="app.quit", tooltip="Leave the terminal"),
        Binding("ctrl+c", "help_quit", "Say how to quit", show=False, system=True, id="app.help_quit"),
    ]

    class Arrived(Message):
        """The reader has a new snapshot."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    class Unusable(Message):
        """What has to hold before anything is read doesn't."""

        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

    class Finished(Message):
        """A command of a batch was done, or failed for a reason."""

        def __init__(self, batch: Batch, command: Command, error: str = "") -> None:
            super().__init__()
            self.batch, self.command, self.error = batch, command, error

    def __init__(
        self,
        reader: SnapshotReader,
        actions: Actions | Callable[[], Actions],
        *,
        environment: str = "default",
        read_only: bool = False,
        actor: str | None = None,
        clock: Callable[[], datetime] = utc_now,
        command_clock: Callable[[], datetime] | None = None,
        rules: Callable[[], Rules] | None = None,
        palette: Palette = DARK,
        keys: Mapping[str, str] | None = None,
        start: Seek | None = None,
        closed: str = "",
        check: Callable[[], object] | None = None,
    ) -> None:
        """`start` is where in the past it opens; `closed` names a log that doesn't grow and is only looked at."""
        super().__init__()
        for known in PALETTES.values():
            self.register_theme(theme.theme(known))
        theme.use(palette)
        self.theme = palette.name
        self.stylesheet = Parsed(self.get_css_variables())
        if keys:
            self.set_keymap(checked(keys, bound(_keyed(), type(self))))
        reader.environment = environment
        self.reader, self.read_only, self.clock = reader, read_only, clock
        self.command_clock = command_clock or clock
        """What dates the commands; another one where `clock` stands still."""
        self.travels = Travels(self, reader, closed=closed)
        self._start = start
        self._check = check or (lambda: None)
        self.unusable: Exception | None = None
        """Why it ended, where it could not go on."""
        self.desk = Desk(self, guarded(actions, self._refused), self.command_clock)
        """Where commands are sent from."""
        self.book = Rulebook(rules)
        """What the rules say, read when an alert is opened."""
        self.actor = actor or getpass.getuser()
        self.snapshot = self.live = Snapshot(environment)
        self.delivered = False
        """Whether a first snapshot has arrived."""
        self.painted = False
        """Whether there has been a first picture; it waits for nothing that can come after it."""
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._poller: threading.Thread | None = None
        self._began = self._told = 0.0

    # snapshots

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._recoloured)
        self._began = time.monotonic()
        self.set_interval(1, self._second)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.painted = True
        gc.enable()  # see tui.garbage
        self.screen.refresh_bindings()
        # A daemon of its own: a poll that hangs on its store must not hold up quitting.
        self._poller = threading.Thread(target=self._poll, name="poll", daemon=True)
        self._poller.start()

    def on_unmount(self) -> None:
        self._stop.set()
        self._wake.set()
        self.travels.stop(_JOIN)
        if self._poller is not None:
            self._poller.join(_JOIN)

    def _poll(self) -> None:
        try:
            self._check()
        except Exception as error:  # noqa: BLE001 - whoever started the terminal tells of it
            self.post_message(self.Unusable(error))
            return
        while not self._stop.is_set():
            self._wake.clear()
            snapshot = self.reader.poll(self.clock())
            if snapshot is not None and not self._stop.is_set():
                self.post_message(self.Arrived(snapshot))
            late = (time.monotonic() - self._began - _PHASE) % 1
            self._wake.wait(self.reader.wait.total_seconds() - late)

    def on_controlplane_app_unusable(self, message: Unusable) -> None:
        """Leave; what is wrong is for who started the terminal."""
        self.unusable = message.error
        self.exit()

    def on_controlplane_app_arrived(self, message: Arrived) -> None:
        """Show a new snapshot."""
        self.live, first, self.delivered = message.snapshot, not self.delivered, True
        self.desk.seen()
        if first and self._start is not None:
            self.depart("seek", self._start)
        elif self.travels.moment is None:
            self.snapshot = self.live
        self.deliver(fresh=not self.travelling)
        self._told = time.monotonic()

    def _second(self) -> None:
        fresh = self.desk.second()
        if fresh or time.monotonic() - self._told > _RECENT:  # else a snapshot has just told the time, too
            self.deliver(fresh=fresh)

    def deliver(self, *, fresh: bool) -> None:
        """Hand the newest snapshot to the screen that is seen, also behind a dialog."""
        now = self.now
        trusted = self.trusted
        for screen in reversed(self.screen_stack):  # what lies under another screen is told when it is seen again
            if isinstance(screen, SnapshotScreen):
                screen.deliver(self.snapshot, trusted, now, fresh=fresh)
                break

    @property
    def trusted(self) -> Trust:
        """How far the picture can be trusted now."""
        if not self.delivered:
            return Trust(Mode.WAITING, "reading the event store")
        live = trust(self.live, self.clock(), self.reader.answered_at)
        return self.travels.trust(self.live, live) if self.travelling else live

    def _refused(self) -> str:
        return "This terminal is read-only." if self.read_only else self.travels.why_refused

    # commands

    @property
    def busy(self) -> frozenset[str]:
        """Rows with a command under way."""
        return frozenset() if self.travelling else self.desk.busy

    @property
    def failed(self) -> Mapping[str, str]:
        """Rows whose last command failed, with the reason."""
        return {} if self.travelling else self.desk.failed

    def ask(self, kind: Kind, *targets: Target | None) -> None:
        """Confirm a command about each target with the operator, then have it done."""
        self.desk.ask(kind, [target for target in targets if target is not None])

    def on_controlplane_app_finished(self, message: Finished) -> None:
        """Say how a command went."""
        self.desk.finished(message.batch, message.command, message.error)

    def unmark(self, names: Collection[str]) -> None:
        """Take the marks of rows away that were acted on."""
        for screen in self.screen_stack:
            if isinstance(screen, ListScreen):
                screen.unmark(names)

    def wake(self) -> None:
        """Poll now."""
        self._wake.set()

    # screens, keys and palette

    @property
    def tabs(self) -> tuple[tuple[str, str, str, str], ...]:
        """Digit, name, short name and count of each screen."""
        return tuple((screen.KEY, screen.NAME, screen.SHORT, screen.count(self.snapshot)) for screen in SCREENS)

    @property
    def home_key(self) -> str:
        """The digit of the screen under whatever is open."""
        first = self.screen_stack[0]
        return first.KEY if isinstance(first, SnapshotScreen) else ""

    def go(self, key: str) -> None:
        """Open the screen of a digit."""
        mode = next((screen.MODE for screen in SCREENS if key == screen.KEY), None)
        if mode is not None:
            self.switch_mode(mode)

    def _recoloured(self, chosen: Theme) -> None:
        """Draw everything again in the colours of another theme."""
        theme.use(next((palette for palette in PALETTES.values() if palette.name == chosen.name), theme.CURRENT))
        self.deliver(fresh=True)

    def action_palette(self, name: str) -> None:
        """Change to another theme."""
        self.theme = PALETTES[name].name

    def action_jump(self) -> None:
        """Ask where to go."""
        from tui.screens.jump import Jump

        self.push_screen(CommandPalette(providers=[Jump], placeholder="A screen, alert, host or recommendation"))

    def action_help(self) -> None:
        """Show every key that works here."""
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen.active_bindings))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the keys of the screen do, without what is refused now."""
        told = set()
        for node, binding, enabled, tooltip in screen.active_bindings.values():
            if not enabled or binding.action in told or binding.id is None or binding.id.startswith("move."):
                continue
            told.add(binding.action)
            run = partial(self.run_action, binding.action, node)  # the node that binds the key, as the key does
            yield SystemCommand(binding.description, tooltip or binding.description, run)
        for name, palette in PALETTES.items():
            if palette is not theme.CURRENT:
                yield SystemCommand(f"Theme: {name}", "Change the colours", partial(self.action_palette, name))


def _keyed() -> tuple[type[SnapshotScreen], ...]:
    """Screens whose keys have names, also those that a row is opened on, which the first paint does without."""
    from tui.screens.advice import AdviceScreen
    from tui.screens.detail import DetailScreen

    return (*SCREENS, DetailScreen, AdviceScreen)
