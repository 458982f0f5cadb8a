"""Where commands are sent from: each once, one after the other, with what came of it told and taken back if it can."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from controlplane.model.errors import ControlplaneError
from tui.commands import DONE, OF_ALERTS, Actions, Command, Kind, Target, refusal, silencing, superseded
from tui.data import Row
from tui.text import safe
from tui.trust import Mode

if TYPE_CHECKING:
    from controlplane.model.silences import Silence
    from tui.app import ControlplaneApp

_SETTLE = 3
"""Seconds for which a command that was done is shown as under way, unless a snapshot shows it before."""


@dataclass(slots=True)
class Batch:
    """Commands that were confirmed together."""

    commands: tuple[Command, ...]
    done: list[Command] = field(default_factory=list)
    errors: list[tuple[Command, str]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether each of them was done or failed."""
        return len(self.done) + len(self.errors) == len(self.commands)


class Desk:
    """Asks, sends and tells for one terminal."""

    def __init__(self, app: "ControlplaneApp", actions: Actions, clock: Callable[[], datetime]) -> None:
        self._app = app
        self._actions = actions
        self._clock = clock
        self.failed: dict[str, str] = {}
        """Rows whose last command failed, with the reason."""
        self._under_way: dict[tuple[str, str], int] = {}
        self._last: tuple[Command, ...] = ()

    @property
    def busy(self) -> frozenset[str]:
        """Rows with a command under way."""
        return frozenset(subject for subject, _ in self._under_way)

    def ask(self, kind: Kind, targets: Sequence[Target]) -> None:
        """Confirm a command about each target with the operator, then have those done that are still possible."""
        reasons = [self._refusal(kind, target) for target in targets]
        able = [target for target, reason in zip(targets, reasons, strict=True) if not reason]
        if len(targets) > 1 and not able:
            self._refuse(reasons[0])
            return
        if len(targets) == 1:
            able = list(targets)  # what can't be done is refused when it is sent, as everything is
        if not able:
            return
        refused = [reason for reason in reasons if reason] if len(targets) > 1 else []
        commands = [Command.about(kind, target) for target in able]

        def answered(note: str | None) -> None:
            if note is not None:
                self.submit([command.noted(note) for command in commands])

        from tui.questions import question
        from tui.screens.confirm import ConfirmDialog

        self._app.push_screen(ConfirmDialog(question(kind, *able, refused=refused)), answered)

    def ask_silence(self, kind: Kind, rows: Sequence[Row]) -> None:
        """Ask what to mute, how long and why, showing what that is; then have it done."""
        if reason := self._refusal(kind, next(iter(rows), None)):
            self._refuse(reason)
            return
        from tui.screens.silence import SilenceDialog, Wish  # it brings the projections: not at the start

        wish = Wish(kind, tuple(rows))
        subjects = [row.id for row in rows] if wish.each else [rows[0].id if rows else ""]

        def answered(made: "tuple[Silence, ...] | None") -> None:
            if made is not None:
                self.submit([silencing(kind, *pair) for pair in zip(subjects, made, strict=True)])

        self._app.push_screen(SilenceDialog(wish), answered)

    def submit(self, commands: Sequence[Command]) -> None:
        """Send each command once; refuse those that what has happened meanwhile makes impossible."""
        reasons = {command: self._refused(command) for command in commands}
        able = tuple(command for command in commands if not reasons[command] and command.key not in self._under_way)
        for command in commands:
            if reasons[command] and len(commands) > 1:
                self.failed[command.subject] = reasons[command]
        if refused := [reason for reason in reasons.values() if reason]:
            number = f"{len(refused)} of {len(commands)}: " if len(commands) > 1 else ""
            self._refuse(f"{number}{refused[0]}")
        if not able:
            self._app.deliver(fresh=True)
            return
        for command in able:
            self._under_way[command.key] = 0
            self.failed.pop(command.subject, None)
        self._app.deliver(fresh=True)
        batch = Batch(able)
        self._app.run_worker(lambda: self._carry_out(batch), thread=True, group="commands", exit_on_error=False)

    def undo_last(self) -> None:
        """Ask, then take back what was done last from this terminal."""
        if not self._last:
            self._refuse("Nothing was done from this terminal that could be taken back.")
            return
        from tui.acting.inverse import inverse
        from tui.questions import undoing
        from tui.screens.confirm import ConfirmDialog

        undone = [inverse(command, self._app.snapshot, self._app.actor, self._clock()) for command in self._last]
        able = [command for command in undone if isinstance(command, Command)]
        reasons = [reason for reason in undone if isinstance(reason, str)]
        if not able:
            self._refuse(reasons[0])
            return

        def answered(note: str | None) -> None:
            if note is not None:
                self.submit(able)

        self._app.push_screen(ConfirmDialog(undoing(self._last, reasons)), answered)

    # from the app

    def seen(self) -> None:
        """A snapshot has arrived: it shows what was done already."""
        self._under_way = {key: left for key, left in self._under_way.items() if not left}

    def second(self) -> bool:
        """A second has passed; whether something is no longer under way."""
        settled = [key for key, left in self._under_way.items() if left == 1]
        for key in settled:
            del self._under_way[key]
        self._under_way = {key: max(0, left - 1) for key, left in self._under_way.items()}
        return bool(settled)

    def finished(self, batch: Batch, command: Command, error: str) -> None:
        """A command was done, or failed for a reason: tell once its batch has ended, and look for the effect."""
        if error:
            self._under_way.pop(command.key, None)
            self.failed[command.subject] = safe(error, 400)
            batch.errors.append((command, safe(error, 400)))
        else:
            self._under_way[command.key] = _SETTLE
            batch.done.append(command)
        if batch.ended:
            self._tell(batch)
            self._app.unmark({done.subject for done in batch.done})
        if error:
            self._app.deliver(fresh=True)
        else:
            self._app.wake()

    def _tell(self, batch: Batch) -> None:
        many = len(batch.commands)
        if batch.done:
            self._last = tuple(batch.done)
            word = DONE[batch.done[0].kind]
            said = safe(batch.done[0].title, 80) if many == 1 else f"{len(batch.done)} of {many}"
            self._app.notify(f"{word}: {said}", markup=False)
        if batch.errors:
            number = f"{len(batch.errors)} of {many}: " if many > 1 else ""
            said = f"{number}{batch.errors[0][1]}"
            self._app.notify(said, title="Failed", severity="error", markup=False)

    # sending

    def _carry_out(self, batch: Batch) -> None:
        for command in batch.commands:
            error = ""
            try:
                command.run(self._actions, self._app.actor, self._clock())
            except ControlplaneError as failed:
                error = str(failed) or "refused"
            except Exception as failed:  # noqa: BLE001 - a command that fails is told of, it doesn't end the terminal
                error = f"{type(failed).__name__}: {failed}"
            self._app.post_message(self._app.Finished(batch, command, error))

    def _refused(self, command: Command) -> str:
        """Why a command can't be sent now; empty where it can."""
        app, snapshot = self._app, self._app.snapshot
        target: Target | None
        if command.kind in OF_ALERTS:
            target = snapshot.by_id.get(command.subject)
        elif command.kind is Kind.END_SILENCE:
            target = next((one for one in snapshot.holdings if one.id == command.subject), None)
        elif command.stream.startswith("recommendation:"):
            row = snapshot.advice_by_id.get(command.subject)
            target = None if row is None else row.recommendation
        else:
            target = snapshot.by_id.get(command.subject)
        reason = self._refusal(command.kind, target, ended=target is None)
        if not app.read_only and app.trusted.mode is Mode.LIVE:
            reason = superseded(command, target) or reason
        return reason

    def _refusal(self, kind: Kind, target: Target | None, *, ended: bool = False) -> str:
        return refusal(kind, target, self._app.trusted, read_only=self._app.read_only, ended=ended)

    def _refuse(self, reason: str) -> None:
        self._app.notify(safe(reason, 400), title="Refused", severity="warning", markup=False)
