"""What a silence would mute now, and how one is named: for whoever asks before it is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from controlplane.eventlog.projections import ALERTS, RESOURCES
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.labels import short_hash
from controlplane.model.matchers import Matcher, all_match
from controlplane.model.resources import Inventory
from controlplane.notify.incident import badness
from controlplane.notify.labels import Places, labels_of


class Rows(Protocol):
    """What is asked of the event log."""

    def rows(self, projection: Any) -> dict[str, Any]:
        """All rows of a projection by key."""
        ...


@dataclass(frozen=True, slots=True)
class Firing:
    """The alerts that fire now, worst first, with the labels that matchers see."""

    alerts: tuple[tuple[Alert, dict[str, str]], ...] = ()

    def matching(self, matchers: Iterable[Matcher]) -> list[Alert]:
        """The alerts for which every matcher holds, worst first."""
        wanted = tuple(matchers)
        return [alert for alert, labels in self.alerts if all_match(wanted, labels)]

    def labels(self, alert: str) -> dict[str, str]:
        """What matchers see of an alert; nothing where it doesn't fire."""
        return next((labels for found, labels in self.alerts if found.id == alert), {})


def firing(log: Rows) -> Firing:
    """What fires now by the projections of a log."""
    places = Places(Inventory(resources=tuple(row.resource for row in log.rows(RESOURCES).values())))
    found = [alert for alert in log.rows(ALERTS).values() if alert.state is not AlertState.PENDING]
    return Firing(tuple((alert, labels_of(alert, places)) for alert in sorted(found, key=badness)))


def named(matchers: Sequence[Matcher], author: str, at: datetime) -> str:
    """The id of a silence: the same matchers by the same author at the same instant are the same silence."""
    return short_hash("silence", author, at.isoformat(), *(str(one) for one in matchers))
