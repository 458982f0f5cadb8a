"""What routes, silences and inhibitions see of an alert: its labels, what it is, and the place it is about."""

from collections import Counter
from collections.abc import Mapping

from controlplane.model.alerts import Alert
from controlplane.model.notifications import Subject
from controlplane.model.payloads import AlertFacts
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.rules.files import OWN

ABOUT = ("host", "instance", "resource", "broker", "vm", "container", "node", "cluster")
"""Labels whose value may be the id of a resource; the first one that is one says where the alert is."""
_PLACE = ("host", "zone", "region", "cluster", "role")


class Places:
    """Resources of an inventory by platform and id."""

    def __init__(self, inventory: Inventory) -> None:
        self._known = {(resource.platform, resource.id): resource for resource in inventory.resources}
        self._numbers: Counter[tuple[str, ResourceKind, str, str]] = Counter()
        for one in inventory.resources:
            for place in _PLACE:
                self._numbers[one.platform, one.kind, place, getattr(one, place)] += 1

    def of(self, platform: str, labels: Mapping[str, str]) -> Resource | None:
        """The resource that an alert with these labels is about, None where the inventory has none."""
        found = (self._known.get((platform, labels[name])) for name in ABOUT if name in labels)
        return next((resource for resource in found if resource is not None), None)

    def number(self, platform: str, kind: ResourceKind, place: str, name: str) -> int:
        """How many resources of a kind there are in a zone, region, cluster or on a host (`place`) of this name."""
        return self._numbers[platform, kind, place, name]


def labels_of(alert: Alert | AlertFacts, places: Places) -> dict[str, str]:
    """The alert's own labels; where its resource is, unless they say so; and what it is, which nothing hides."""
    found = dict(alert.labels)
    resource = places.of(alert.platform, alert.labels)
    if resource is not None:
        for name in _PLACE:
            value: str = getattr(resource, name)
            if value:
                found.setdefault(name, value)
    return found | {
        "kind": (Subject.SELF if alert.platform == OWN else Subject.ALERT).value,
        "platform": alert.platform,
        "component": alert.component,
        "rule": alert.rule,
        "title": alert.title,
        "severity": alert.severity.value,
    }
