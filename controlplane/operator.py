"""What people decide: acknowledgements, written as events through the same door as everything else."""

from datetime import datetime

from controlplane.eventlog.errors import ConcurrencyError
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS
from controlplane.model.alerts import Acknowledgement, Alert, AlertState
from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Draft, Event
from controlplane.model.payloads import AcknowledgementWithdrawn, AlertAcknowledged, EventPayload
from controlplane.model.time import to_ms

MAX_NOTE = 2_000


class ActionRefused(ControlplaneError):
    """An action that no longer fits what it was meant for, or never could be done; nothing was changed."""


class Operator:
    """Actions of the person on call. Each one is idempotent: doing it twice does it once."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def acknowledge(
        self, alert_id: str, *, actor: str, note: str = "", episode: str | None = None, now: datetime
    ) -> Event | None:
        """Take an alert; None where the same actor has it already.

        `episode` is the firing that the actor saw: ActionRefused if the alert has ended or fired anew since.
        """
        version = self._version(alert_id)
        alert = self._alert(alert_id)
        if alert.state is AlertState.PENDING or alert.episode is None:
            raise ActionRefused(f"alert {alert_id} is pending: there is nothing to acknowledge yet")
        if episode is not None and episode != alert.episode:
            raise ActionRefused(f"alert {alert_id} has fired anew since; look at it again")
        if len(note) > MAX_NOTE:
            raise ActionRefused(f"the note is longer than {MAX_NOTE} characters")
        if alert.acknowledged is not None:
            if alert.acknowledged.actor == actor:
                return None
            raise ActionRefused(f"alert {alert_id} is already acknowledged by {alert.acknowledged.actor}")
        given = Acknowledgement(actor=actor, at=now, note=note)
        payload = AlertAcknowledged(alert=alert_id, episode=alert.episode, acknowledgement=given)
        return self._append(alert_id, payload, actor, now, version)

    def undo_acknowledge(self, alert_id: str, *, actor: str, now: datetime) -> Event | None:
        """Give an alert back; None where nobody has it."""
        version = self._version(alert_id)
        if self._alert(alert_id).acknowledged is None:
            return None
        return self._append(alert_id, AcknowledgementWithdrawn(alert=alert_id, actor=actor), actor, now, version)

    def _version(self, alert_id: str) -> int:
        newest = next(self._log.read(stream=f"alert:{alert_id}", newest_first=True, limit=1), None)
        return 0 if newest is None else newest.version

    def _alert(self, alert_id: str) -> Alert:
        alert = self._log.row(ALERTS, alert_id)
        if alert is None:
            raise ActionRefused(f"there is no active alert {alert_id}; it may have ended")
        return alert

    def _append(self, alert_id: str, payload: EventPayload, actor: str, now: datetime, version: int) -> Event | None:
        draft = Draft(
            stream=f"alert:{alert_id}",
            key=f"{actor}@{to_ms(now)}",
            payload=payload,
            occurred_at=now,
            actor=actor,
            correlation="operator",
        )
        try:
            appended = self._log.append([draft], recorded_at=now, expected={draft.stream: version})
        except ConcurrencyError:
            raise ActionRefused(f"alert {alert_id} changed at the same moment; look at it again") from None
        return appended[0] if appended else None
