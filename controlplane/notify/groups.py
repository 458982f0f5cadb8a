"""Which alerts are told as one: those of a route with the same values of its group labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.events import Draft
from controlplane.model.labels import canonical, short_hash
from controlplane.model.payloads import AlertFacts, AlertFired, AlertNoData, AlertResolved
from controlplane.model.routes import Node, Tree
from controlplane.notify.labels import Places, labels_of


@dataclass(slots=True)
class Group:
    """An incident's alerts at a step."""

    node: Node
    labels: dict[str, str]
    firing: list[Alert] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Changed:
    """What a step's drafts say of alerts."""

    began: Mapping[str, Draft]
    """Alert → the draft that it fires."""
    ended: Mapping[str, AlertResolved]
    first: Mapping[str, Draft]
    """Alert → its first draft of the step."""


class Grouper:
    """Sorts alerts into groups; remembers where each one belongs, which its labels and severity decide."""

    def __init__(self, tree: Tree, places: Places, environment: str) -> None:
        self._tree, self.places, self._environment = tree, places, environment
        self._labels: dict[tuple[str, str], dict[str, str]] = {}
        self._known: dict[tuple[str, tuple[str, ...]], tuple[str, Node, dict[str, str]]] = {}
        self._groups: dict[tuple[str, str], list[tuple[str, Node, dict[str, str]]]] = {}

    def labels(self, alert: Alert | AlertFacts) -> dict[str, str]:
        """See `labels_of`."""
        key = (_id(alert), alert.severity.value)
        if key not in self._labels:
            self._labels[key] = labels_of(alert, self.places)
        return self._labels[key]

    def of(self, alert: Alert) -> list[tuple[str, Node, dict[str, str]]]:
        """The incidents that an alert is part of: id, route and group labels."""
        key = (alert.id, alert.severity.value)
        if key not in self._groups:
            labels = self.labels(alert)
            found = []
            for node in self._tree.of(labels):
                values = tuple(labels.get(name, "") for name in node.group_by)
                if (node.key, values) not in self._known:
                    group = dict(zip(node.group_by, values, strict=True))
                    incident = short_hash("incident", self._environment, node.key, canonical(group))
                    self._known[node.key, values] = (incident, node, group)
                found.append(self._known[node.key, values])
            self._groups[key] = found
        return self._groups[key]

    def groups(self, alerts: Iterable[Alert]) -> dict[str, Group]:
        """Incident id → its firing alerts."""
        found: dict[str, Group] = {}
        for alert in alerts:
            if alert.state is AlertState.PENDING:
                continue
            for incident, node, labels in self.of(alert):
                found.setdefault(incident, Group(node, labels)).firing.append(alert)
        return found


def changed(drafts: Sequence[Draft]) -> Changed:
    """Sort the drafts of a step; what isn't about the firing of an alert is left out."""
    began: dict[str, Draft] = {}
    ended: dict[str, AlertResolved] = {}
    first: dict[str, Draft] = {}
    for draft in drafts:
        payload = draft.payload
        if isinstance(payload, AlertFired | AlertNoData | AlertResolved):
            alert = payload.facts.alert
            first.setdefault(alert, draft)
            if isinstance(payload, AlertResolved):
                ended[alert] = payload
            else:
                began[alert] = draft
    return Changed(began, ended, first)


def _id(alert: Alert | AlertFacts) -> str:
    return alert.alert if isinstance(alert, AlertFacts) else alert.id
