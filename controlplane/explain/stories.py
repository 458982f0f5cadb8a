"""The life of one alert, read from its events."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from controlplane.eventlog.log import EventLog
from controlplane.explain.model import Episode, State, Step, Story
from controlplane.model.events import Event
from controlplane.model.payloads import (
    AcknowledgementWithdrawn,
    AlertAcknowledged,
    AlertDropped,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
)

_SHOWN = 20


def read_story(log: EventLog, alert: str, at: datetime | None) -> Story:
    """Where an alert stands at a step, or now: from its newest transitions, back to an event that needs none before."""
    newest: list[Event] = []
    transitions = 0
    later: Step | None = None
    for event in log.read(stream=f"alert:{alert}", newest_first=True):
        step = _step(event)
        if at is not None and event.occurred_at > at:
            later = step or later
            continue
        newest.append(event)
        transitions += step is not None
        if transitions >= _SHOWN and isinstance(event.payload, AlertPending | AlertResolved):
            break
    return replace(_told(reversed(newest)), next=later)


def _told(events: Iterable[Event]) -> Story:
    """The events of one alert folded, oldest first."""
    story = Story()
    steps: list[Step] = []
    for event in events:
        step = _step(event)
        story = _after(story, event, step)
        if step is not None:
            steps.append(step)
    return replace(story, steps=tuple(steps[-_SHOWN:]))


def _step(event: Event) -> Step | None:
    payload = event.payload
    kind = event.type.removeprefix("alert_").partition(".")[0]
    match payload:
        case AlertPending(facts=facts) | AlertFired(facts=facts) | AlertNoData(facts=facts):
            return Step(event.occurred_at, kind, facts.value)
        case AlertResolved(facts=facts, reason=reason):
            return Step(event.occurred_at, kind, facts.value, reason)
        case AlertDropped(value=value, reason=reason):
            return Step(event.occurred_at, kind, value, reason)
        case AlertHeld(why=why):
            return Step(event.occurred_at, kind, None, why)
        case AlertReturned(value=value):
            return Step(event.occurred_at, kind, value)
    return None


def _after(story: Story, event: Event, step: Step | None) -> Story:
    at = event.occurred_at
    running = None if story.state == "inactive" else story.episode
    match event.payload:
        case AlertPending(facts=facts):
            return Story("pending", Episode(facts.active_at, facts))
        case AlertFired(facts=facts) | AlertNoData(facts=facts):
            state: State = "firing" if isinstance(event.payload, AlertFired) else "nodata"
            fired = running.fired_at if running and running.fired_at else at
            ack = story.acknowledged if running and running.fired_at else None
            return Story(state, Episode(facts.active_at, facts, fired), acknowledged=ack)
        case AlertResolved(facts=facts, fired_at=fired_at):
            return Story("inactive", Episode(facts.active_at, facts, fired_at, at, step))
        case AlertDropped():
            known = running or Episode(at)
            return Story("inactive", replace(known, ended_at=at, end=step))
        case AlertHeld(why=why, since=since):
            return replace(story, held_since=since, held_for=why)
        case AlertReturned():
            return replace(story, held_since=None, held_for=None)
        case AlertAcknowledged(acknowledgement=given):
            return replace(story, acknowledged=given)
        case AcknowledgementWithdrawn():
            return replace(story, acknowledged=None)
    return story
