"""What is wrong with the schedules of the settings, for doctor."""

from datetime import datetime, timedelta

from controlplane.model.errors import Problem
from controlplane.oncall.roster import Roster
from controlplane.oncall.shifts import Stretch

SOON = timedelta(days=14)
"""Gaps that begin within this time are told."""
_SHOWN = 3


def gaps(roster: Roster, schedule: str, now: datetime) -> list[Stretch]:
    """The stretches of the next 14 days in which nobody is on call."""
    return list(roster.known(schedule, now, now + SOON).rota.gaps(now, now + SOON))


def problems(roster: Roster, schedule: str, now: datetime) -> tuple[Problem, ...]:
    """What of a schedule can't be used."""
    return roster.known(schedule, now, now + SOON).problems


def told(found: list[Stretch], now: datetime) -> str:
    """Gaps in words, the first ones by their time."""
    shown = [f"{_time(max(one.since, now))} to {_time(one.until)}" for one in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(shown) + more


def _time(at: datetime | None) -> str:
    return "the end of the next 14 days" if at is None else f"{at:%Y-%m-%d %H:%MZ}"
