"""What a silence would mute now, and how one is named: for whoever asks before it is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from controlplane.eventlog.projections import ALERTS, RESOURCES
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.base import LABEL
from controlplane.model.labels import short_hash
from controlplane.model.matchers import LONGEST, Matcher, all_match
from controlplane.model.resources import Inventory
from controlplane.model.silences import Silence
from controlplane.model.views import KnownResource
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

    @classmethod
    def of(cls, alerts: Iterable[Alert], resources: Iterable[KnownResource]) -> "Firing":
        """Those of the alerts that fire; `resources` say where they are."""
        places = Places(Inventory(resources=tuple(row.resource for row in resources)))
        found = [alert for alert in alerts if alert.state is not AlertState.PENDING]
        return cls(tuple((alert, labels_of(alert, places)) for alert in sorted(found, key=badness)))

    def matching(self, matchers: Iterable[Matcher]) -> list[Alert]:
        """The alerts for which every matcher holds, worst first."""
        wanted = tuple(matchers)
        return [alert for alert, labels in self.alerts if all_match(wanted, labels)]


def firing(log: Rows) -> Firing:
    """What fires now by the projections of a log."""
    return Firing.of(log.rows(ALERTS).values(), log.rows(RESOURCES).values())


def ending_soon(silences: Iterable[Silence], firing: Firing, at: datetime) -> dict[str, int]:
    """Silences that end soon though they still match alerts that fire: id → how many."""
    near = [one for one in silences if one.ends_soon(at)]
    return {one.id: number for one in near if (number := len(firing.matching(one.matchers)))}


def named(matchers: Sequence[Matcher], author: str, at: datetime, after: str = "") -> str:
    """The id of a silence: the same matchers by the same author at the same instant are the same silence.

    `after` is the id of one that it is made again for.
    """
    return short_hash("silence", author, at.isoformat(), *(str(one) for one in matchers), *([after] if after else []))


def matchers_of(alert: Alert) -> tuple[Matcher, ...]:
    """Matchers that hold for this alert: its rule, and those of its labels that a matcher can name."""
    seen = labels_of(alert, Places(Inventory(resources=())))
    made = [Matcher(label=name, operator="=", value=value) for name, value in alert.labels.items() if value]
    able = [one for one in made if LABEL.fullmatch(one.label) and len(str(one)) <= LONGEST and one.matches(seen)]
    rule = Matcher(label="rule", operator="=", value=alert.rule)
    return (rule, *(one for one in able if one.label not in ("rule", "severity", "title")))
