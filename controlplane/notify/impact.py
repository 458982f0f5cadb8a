"""How far an incident reaches, and what else fires at the same places. Pure.

The alerts of a step are counted once, by place; a message then takes what its own alerts and places take, however many
fire elsewhere.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from controlplane.model.alerts import Alert
from controlplane.model.labels import printable
from controlplane.model.resources import ResourceKind
from controlplane.model.severity import Severity
from controlplane.model.units import many
from controlplane.notify.groups import Grouper
from controlplane.notify.incident import RANK

KINDS = ("region", "zone", "cluster", "host")
"""Places, the widest first; each is a label."""
_COUNTED = (
    *(ResourceKind.HOST, ResourceKind.VM, ResourceKind.INSTANCE, ResourceKind.BROKER),
    *(ResourceKind.DATABASE, ResourceKind.CONTAINER, ResourceKind.VOLUME),
)
"""What is counted at a place: of the kinds that the alerts are about, the one that most are about."""
_NAMED, _TITLES = 3, 3

Place = tuple[str, str, str]
"""Platform, kind and name."""


@dataclass(slots=True)
class _Here:
    """The alerts of one place."""

    alerts: int = 0
    rules: set[str] = field(default_factory=set)
    resources: dict[ResourceKind, set[str]] = field(default_factory=lambda: defaultdict(set))
    titles: Counter[tuple[int, str]] = field(default_factory=Counter)
    """By rank of the severity and title."""


class Extent:
    """The alerts that fire at a step, by place."""

    def __init__(self, alerts: Iterable[Alert], grouper: Grouper) -> None:
        self._grouper = grouper
        self._titles: dict[Place, Counter[tuple[int, str]]] = defaultdict(Counter)
        for alert in alerts:
            for place in self._places(alert):
                self._titles[place][RANK[alert.severity], alert.title] += 1

    def lines(self, alerts: Collection[Alert]) -> tuple[str, ...]:
        """A line for each kind of place that the alerts of an incident are at, then what else fires there.

        At most eight: `zone b: 12 alerts on 4 of 9 hosts, 3 rules`, `also in zone b: 5 alerts: 5 × Disk is full
        (warning)`.
        """
        here: dict[str, dict[Place, _Here]] = {kind: {} for kind in KINDS}
        for alert in alerts:
            resource = self._grouper.places.of(alert.platform, alert.labels)
            for place in self._places(alert):
                at = here[place[1]].setdefault(place, _Here())
                at.alerts += 1
                at.rules.add(alert.rule)
                at.titles[RANK[alert.severity], alert.title] += 1
                if resource is not None and resource.kind in _COUNTED:
                    at.resources[resource.kind].add(resource.id)
        own = [line for kind in KINDS if (line := self._own(kind, here[kind]))]
        others: list[str] = []
        said: Counter[tuple[int, str]] = Counter()
        for kind in reversed(KINDS):
            left = self._left(here[kind])
            # A zone in which nothing fires but what was told of its hosts is no news.
            if left and left != said:
                others.append(_also(kind, here[kind], left))
                said = left
        return (*own, *others)

    def _places(self, alert: Alert) -> list[Place]:
        labels: Mapping[str, str] = self._grouper.labels(alert)
        return [(alert.platform, kind, labels[kind]) for kind in KINDS if labels.get(kind)]

    def _own(self, kind: str, places: Mapping[Place, _Here]) -> str:
        if not places:
            return ""
        order = sorted(places.items(), key=lambda item: (-item[1].alerts, item[0]))
        named = [f"{_name(place)}: {self._size(place, at)}" for place, at in order[:_NAMED]]
        if len(order) == 1:
            return f"{kind} {named[0]}"
        more = sum(at.alerts for _, at in order[_NAMED:])
        rest = f"; {len(order) - _NAMED:,} more: {many(more, 'alert')}" if len(order) > _NAMED else ""
        return f"{many(len(order), kind)}: {'; '.join(named)}{rest}"

    def _size(self, place: Place, at: _Here) -> str:
        said = many(at.alerts, "alert")
        if place[1] != "host" and at.resources:
            kind, found = max(at.resources.items(), key=lambda item: (len(item[1]), item[0].value))
            number = self._grouper.places.number(place[0], kind, place[1], place[2])
            of = f"of {number:,} " if number >= len(found) else ""
            noun = many(number if of else len(found), kind.value).partition(" ")[2]
            said += f" on {len(found):,} {of}{noun}"
        return said + (f", {many(len(at.rules), 'rule')}" if len(at.rules) > 1 else "")

    def _left(self, places: Mapping[Place, _Here]) -> Counter[tuple[int, str]]:
        """What fires at the places besides the incident's own alerts."""
        left: Counter[tuple[int, str]] = Counter()
        for place, at in places.items():
            left.update(self._titles[place] - at.titles)
        return left


def _also(kind: str, places: Mapping[Place, _Here], left: Counter[tuple[int, str]]) -> str:
    where = f"{kind} {_name(next(iter(places)))}" if len(places) == 1 else f"these {kind}s"
    order = sorted(left.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    titles = [
        f"{printable(title, 60)} ({_SEVERITY[rank]}{f', {count:,} times' if count > 1 else ''})"
        for (rank, title), count in order[:_TITLES]
    ]
    rest = f" and {len(order) - _TITLES:,} more" if len(order) > _TITLES else ""
    return f"also {'on' if kind == 'host' else 'in'} {where}: {many(left.total(), 'alert')}: {', '.join(titles)}{rest}"


def _name(place: Place) -> str:
    return printable(place[2], 60)


_SEVERITY: dict[int, Severity] = {rank: severity for severity, rank in RANK.items()}
