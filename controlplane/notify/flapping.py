"""Alerts that come and go: their pages are held down for a while. Pure; docs/adr/0013-flapping.md.

A transition is a step at which an alert begins or ceases to fire. The alert itself stays what it is, and so does the
end of what was told.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from controlplane.model.notifications import Flap, Incident

LEVELS = (
    (20, timedelta(hours=3), timedelta(hours=1)),
    (10, timedelta(hours=1), timedelta(minutes=30)),
)
"""So many transitions within that time hold pages down for this long; the first that applies. Source: Moira."""
_MEMORY = max(within for _, within, _ in LEVELS)
_MOST = max(count for count, _, _ in LEVELS)
_ALERTS = 1_000
"""How many alerts of an incident are remembered; those that changed last."""


def changed(
    at: datetime, before: Incident | None, now: Collection[str], fired_at: Mapping[str, datetime]
) -> list[Flap]:
    """What is remembered of an incident's alerts when those in `now` fire after the step.

    `fired_at` is when those that ended had begun. An alert is remembered from its first end on, until it has been quiet
    for three hours.
    """
    if before is None:
        return []
    known = {flap.alert: flap for flap in before.flaps}
    was = set(before.firing)
    ended = was - set(now)
    begun = (set(now) - was) & known.keys()
    for alert in sorted(ended | begun):
        old = known.pop(alert, None) or Flap(alert=alert, at=(fired_at.get(alert, before.started_at),))
        times = _recent((*old.at, at), at)
        until = old.until or _until(times, at)
        told = old.told or (alert in ended and alert in before.told)
        # What changed last comes last.
        known[alert] = Flap(alert=alert, at=times, told=told, until=until)
    kept = [flap for flap in known.values() if _recent(flap.at, at)]
    return kept[-_ALERTS:]


def held(flaps: Sequence[Flap], at: datetime) -> dict[str, Flap]:
    """The alerts whose pages are held down at a step; one that was never told is not."""
    return {flap.alert: flap for flap in flaps if flap.told and flap.until is not None and at < flap.until}


def told(flaps: Sequence[Flap], at: datetime, firing: Collection[str]) -> tuple[Flap, ...]:
    """The same after a message: where a delay is over, the message was its page, and the next one may begin."""
    return tuple(
        flap.model_copy(update={"until": _until(flap.at, at)})
        if flap.until is not None and flap.until <= at and flap.alert in firing
        else flap
        for flap in flaps
    )


def reason(flaps: Collection[Flap]) -> str:
    """Why nobody is told of these alerts now."""
    first = min(flap.until for flap in flaps if flap.until is not None)
    worst = max(len(flap.at) for flap in flaps)
    who = "an alert flaps" if len(flaps) == 1 else f"{len(flaps)} alerts flap"
    return f"{who} ({worst} changes within three hours): held down until {first:%Y-%m-%d %H:%M:%SZ}"


def _recent(times: Sequence[datetime], at: datetime, within: timedelta = _MEMORY) -> tuple[datetime, ...]:
    return tuple(time for time in times[-_MOST:] if time > at - within)


def _until(times: Sequence[datetime], at: datetime) -> datetime | None:
    for count, within, delay in LEVELS:
        if len(_recent(times, at, within)) >= count:
            return at + delay
    return None
