"""Commands of the operator: what may be asked for, why it is refused, and that it is sent once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from controlplane.model.alerts import AlertState
from tui.data import Row
from tui.trust import Mode, Trust


class Actions(Protocol):
    """What the terminal can have done (`controlplane.operator.Operator`); doing it twice does it once.

    Each raises ControlplaneError with the reason where it can't be done.
    """

    def acknowledge(self, alert_id: str, *, actor: str, note: str, episode: str | None, now: datetime) -> object:
        """Take the alert, for the episode that was seen."""
        ...

    def undo_acknowledge(self, alert_id: str, *, actor: str, now: datetime) -> object:
        """Give the alert back."""
        ...


class Kind(StrEnum):
    """The commands."""

    ACKNOWLEDGE = "acknowledge"
    UNDO = "undo_acknowledge"


@dataclass(frozen=True, slots=True)
class Command:
    """One command about one episode of one alert."""

    kind: Kind
    alert: str
    episode: str
    title: str
    note: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Commands with the same key are the same command."""
        return self.alert, self.episode

    def run(self, actions: Actions, actor: str, now: datetime) -> None:
        """Have it done."""
        if self.kind is Kind.ACKNOWLEDGE:
            actions.acknowledge(self.alert, actor=actor, note=self.note, episode=self.episode, now=now)
        else:
            actions.undo_acknowledge(self.alert, actor=actor, now=now)


def refusal(kind: Kind, row: Row | None, trusted: Trust, *, read_only: bool, ended: bool = False) -> str:
    """Why a command about `row` is refused now; empty where it may be sent."""
    if read_only:
        return "This terminal is read-only."
    if trusted.mode is not Mode.LIVE:
        return f"The picture is {trusted.mode.value.lower()}: {trusted.reason or 'nothing is known yet'}"
    if row is None:
        return "This alert has ended; nothing was done." if ended else "No alert is selected."
    alert = row.alert
    if kind is Kind.UNDO:
        return "" if alert.acknowledged else "Nobody has acknowledged this alert."
    if alert.state is AlertState.PENDING or alert.episode is None:
        return "A pending alert has not been reported yet, so there is nothing to acknowledge."
    if alert.acknowledged is not None:
        return f"{alert.acknowledged.actor} has acknowledged this alert already."
    return ""
