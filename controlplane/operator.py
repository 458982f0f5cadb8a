"""What people decide about alerts and recommendations, written as events through the same door as everything else."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from controlplane.eventlog.errors import ConcurrencyError
from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, DELIVERIES, INCIDENTS, PAUSES, RECOMMENDATIONS, SILENCES
from controlplane.model.alerts import Acknowledgement, Alert, AlertState
from controlplane.model.errors import ControlplaneError
from controlplane.model.events import Draft, Event
from controlplane.model.notifications import Action, Incident
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AlertAcknowledged,
    EscalationPaused,
    EscalationResumed,
    EventPayload,
    NoteAdded,
    NotificationQueued,
    PageAnswered,
    RecommendationApproved,
    RecommendationExecuted,
    RecommendationRejected,
    RecommendationReopened,
    SilenceCreated,
    SilenceEnded,
)
from controlplane.model.recommendations import Recommendation, Status
from controlplane.model.silences import Silence
from controlplane.model.time import to_ms
from controlplane.model.views import DeliveryState

MAX_NOTE = 2_000
NOTABLE = ("alert", "recommendation")
"""What notes can be written on."""
_NOTE = frozenset({NoteAdded.model_fields["type"].default})


MAX_PAUSE = timedelta(days=1)


class ActionRefused(ControlplaneError):
    """An action that no longer fits what it was meant for, or never could be done; nothing was changed."""


def page_stream(dedup_key: str) -> str:
    """The stream of the answers to a page."""
    return f"page:{dedup_key}"


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
        version = self._version(f"alert:{alert_id}")
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
        return self._append(f"alert:{alert_id}", payload, actor, now, version)

    def undo_acknowledge(self, alert_id: str, *, actor: str, now: datetime) -> Event | None:
        """Give an alert back; None where nobody has it."""
        version = self._version(f"alert:{alert_id}")
        if self._alert(alert_id).acknowledged is None:
            return None
        payload = AcknowledgementWithdrawn(alert=alert_id, actor=actor)
        return self._append(f"alert:{alert_id}", payload, actor, now, version)

    def note(self, about: str, *, actor: str, text: str, now: datetime) -> Event | None:
        """Write a note on `alert:<id>` or `recommendation:<id>`, also on one that is over.

        None where it says what the newest note there says already, by the same actor. ActionRefused where nothing is
        known of it, or where the note is empty or too long.
        """
        if not text.strip():
            raise ActionRefused("the note is empty")
        if len(text) > MAX_NOTE:
            raise ActionRefused(f"the note is longer than {MAX_NOTE} characters")
        version = self._version(about)
        if not version or about.partition(":")[0] not in NOTABLE:
            raise ActionRefused(f"there is no {about.replace(':', ' ', 1)}")
        notes = self._log.read(stream=about, types=_NOTE, newest_first=True, limit=1)
        payload = NoteAdded(about=about, text=text, actor=actor)
        if any(event.payload == payload for event in notes):
            return None
        return self._append(about, payload, actor, now, version)

    def answered(
        self,
        record: PageAnswered,
        changes: Iterable[AlertAcknowledged | AcknowledgementWithdrawn],
        *,
        expected: Mapping[str, int],
        now: datetime,
    ) -> list[Event]:
        """Take in how a page was answered elsewhere, with what that changes for its alerts, all at once or not at all.

        The same answer again adds nothing. ConcurrencyError where a stream isn't at its `expected` version any more.
        """
        drafts = [
            Draft(
                stream=stream,
                key=f"{record.provider}/{record.event}",
                payload=payload,
                occurred_at=min(record.answered_at, now),
                actor=record.actor,
                correlation="operator",
            )
            for stream, payload in (
                (page_stream(record.dedup_key), record),
                *((f"alert:{change.alert}", change) for change in changes),
            )
        ]
        return self._log.append(drafts, recorded_at=now, expected=expected)

    def silence(self, new: Silence) -> Event | None:
        """Mute alerts for a while; None where it is there already.

        ActionRefused where it would mute everything, is over already, or says no reason.
        """
        if not new.reason.strip() or not new.author.strip():
            raise ActionRefused("say why: a silence without a reason and an author helps nobody who comes after")
        if max(len(new.reason), len(new.author)) > MAX_NOTE:
            raise ActionRefused(f"the reason is longer than {MAX_NOTE} characters")
        if new.ends_at <= max(new.starts_at, new.created_at):
            raise ActionRefused("the silence would be over already; give it a later end")
        if all(matcher.matches({}) for matcher in new.matchers):
            raise ActionRefused("the silence would mute every alert; name at least one label with its value")
        version = self._version(f"silence:{new.id}")
        if self._log.row(SILENCES, new.id) is not None:
            return None
        payload = SilenceCreated(silence=new)
        return self._append(f"silence:{new.id}", payload, new.author, new.created_at, version)

    def end_silence(self, name: str, *, actor: str, now: datetime) -> Event | None:
        """End a silence before its time; None where it is over."""
        version = self._version(f"silence:{name}")
        row = self._log.row(SILENCES, name)
        if row is None:
            raise ActionRefused(f"there is no silence {name}")
        if row.ends_at <= now:
            return None
        return self._append(f"silence:{name}", SilenceEnded(silence=name, actor=actor), actor, now, version)

    def pause(self, incident: str, *, length: timedelta, actor: str, now: datetime) -> Event | None:
        """Hold back the next level of an incident; the pause ends by itself. None where it is held back as long.

        ActionRefused where it doesn't escalate, or for longer than a day.
        """
        stream = f"escalation:{incident}"
        version = self._version(stream)
        row = self._escalating(incident)
        if not timedelta(0) < length <= MAX_PAUSE:
            raise ActionRefused("a pause is longer than nothing and at most 24h; nobody remembers it any longer")
        known = self._log.row(PAUSES, incident)
        until = now + length
        if known is not None and (known.page, known.until) == (row.page, until):
            return None
        payload = EscalationPaused(incident=incident, page=row.page, until=until, actor=actor)
        return self._append(stream, payload, actor, now, version)

    def resume(self, incident: str, *, actor: str, now: datetime) -> Event | None:
        """End a pause before its time; None where there is none."""
        stream = f"escalation:{incident}"
        version = self._version(stream)
        self._escalating(incident)
        known = self._log.row(PAUSES, incident)
        if known is None or known.until <= now:
            return None
        return self._append(stream, EscalationResumed(incident=incident, actor=actor), actor, now, version)

    def _escalating(self, name: str) -> Incident:
        row = self._log.row(INCIDENTS, name)
        if row is None or row.look_at is None:
            raise ActionRefused(f"there is no open incident {name}; it may have ended")
        if row.escalation is None:
            raise ActionRefused(f"incident {name} doesn't escalate: its route names no escalation, or nobody is told")
        return row

    def approve(
        self, recommendation: str, *, actor: str, version: int | None = None, reason: str = "", now: datetime
    ) -> Event | None:
        """Want a recommendation done; None where the same actor has approved it already.

        `version` is what the actor saw: ActionRefused if it was revised since, or is no longer open.
        """
        return self._decide(recommendation, RecommendationApproved, Status.APPROVED, actor, version, reason, now)

    def reject(
        self, recommendation: str, *, actor: str, version: int | None = None, reason: str, now: datetime
    ) -> Event | None:
        """Not want it done; `reason` tells those who come after. Otherwise as `approve`."""
        if not reason.strip():
            raise ActionRefused("say why: a rejection without a reason helps nobody who comes after")
        return self._decide(recommendation, RecommendationRejected, Status.REJECTED, actor, version, reason, now)

    def executed(
        self, recommendation: str, *, actor: str, version: int | None = None, reason: str = "", now: datetime
    ) -> Event | None:
        """Have done it: its alert is watched for the stated time to effect. Otherwise as `approve`."""
        return self._decide(recommendation, RecommendationExecuted, Status.EXECUTED, actor, version, reason, now)

    def reopen(self, recommendation: str, *, actor: str, now: datetime) -> Event | None:
        """Take an approval or rejection back; None where it is open. ActionRefused once it was done or is over."""
        stream_version, row = self._recommendation(recommendation)
        if row.status is Status.PROPOSED:
            return None
        if row.status not in {Status.APPROVED, Status.REJECTED}:
            raise ActionRefused(f"recommendation {row.id} is {row.status.value}; that can't be taken back")
        payload = RecommendationReopened(recommendation=row.id, version=row.version, actor=actor)
        return self._append(f"recommendation:{row.id}", payload, actor, now, stream_version)

    def send_again(self, delivery: str, *, actor: str, now: datetime) -> Event | None:
        """Queue a message again that was given up; None where it waits already.

        ActionRefused where nobody needs it: it arrived, its incident has ended or was told of since, or it only says
        that messages are given up.
        """
        stream = f"delivery:{delivery}"
        version = self._version(stream)
        rows = self._log.rows(DELIVERIES)
        row = rows.get(delivery)
        if row is None:
            raise ActionRefused(f"there is no message {delivery}")
        if row.state in {DeliveryState.QUEUED, DeliveryState.FAILED}:
            return None
        if row.state is not DeliveryState.DEAD:
            raise ActionRefused(f"message {delivery} is {row.state.value}: there is nothing to send again")
        later = [r for r in rows.values() if (r.incident, r.channel) == (row.incident, row.channel)]
        later = [r for r in later if r.position > row.position]
        opens = row.action is Action.TRIGGER
        if opens and any(r.action is Action.RESOLVE for r in later):
            raise ActionRefused(f"message {delivery} isn't needed: its incident has ended since")
        if opens and any(r.state is DeliveryState.DELIVERED for r in later):
            raise ActionRefused(f"message {delivery} isn't needed: {row.channel} was told of its incident since")
        events = self._log.read(stream=stream, newest_first=True)
        queued = next((e.payload.delivery for e in events if isinstance(e.payload, NotificationQueued)), None)
        if queued is None:
            raise ActionRefused(f"message {delivery} only says that others were given up: send those again")
        again = queued.model_copy(update={"turn": queued.turn + 1, "queued_at": now, "next_attempt_at": now})
        return self._append(stream, NotificationQueued(delivery=again), actor, now, version)

    def _decide(
        self,
        recommendation: str,
        kind: type[RecommendationApproved | RecommendationRejected | RecommendationExecuted],
        status: Status,
        actor: str,
        version: int | None,
        reason: str,
        now: datetime,
    ) -> Event | None:
        stream_version, row = self._recommendation(recommendation)
        if row.status is status and row.decided_by == actor:
            return None
        if not row.open or (row.status is status):
            by = f" by {row.decided_by}" if row.decided_by else ""
            raise ActionRefused(f"recommendation {row.id} is {row.status.value}{by}")
        if version is not None and version != row.version:
            raise ActionRefused(
                f"recommendation {row.id} was revised: you saw version {version}, now it is {row.version}; look again"
            )
        if len(reason) > MAX_NOTE:
            raise ActionRefused(f"the reason is longer than {MAX_NOTE} characters")
        payload = kind(recommendation=row.id, version=row.version, actor=actor, reason=reason)
        return self._append(f"recommendation:{row.id}", payload, actor, now, stream_version)

    def _recommendation(self, name: str) -> tuple[int, Recommendation]:
        version = self._version(f"recommendation:{name}")
        row = self._log.row(RECOMMENDATIONS, name)
        if row is None:
            raise ActionRefused(f"there is no recommendation {name}")
        return version, row

    def _version(self, stream: str) -> int:
        return self._log.versions([stream])[stream]

    def _alert(self, alert_id: str) -> Alert:
        alert = self._log.row(ALERTS, alert_id)
        if alert is None:
            raise ActionRefused(f"there is no active alert {alert_id}; it may have ended")
        return alert

    def _append(self, stream: str, payload: EventPayload, actor: str, now: datetime, version: int) -> Event | None:
        draft = Draft(
            stream=stream,
            key=f"{actor}@{to_ms(now)}/{version}",
            payload=payload,
            occurred_at=now,
            actor=actor,
            correlation="operator",
        )
        try:
            appended = self._log.append([draft], recorded_at=now, expected={draft.stream: version})
        except ConcurrencyError:
            what = stream.replace(":", " ", 1)
            raise ActionRefused(f"{what} changed at the same moment; look at it again") from None
        return appended[0] if appended else None
