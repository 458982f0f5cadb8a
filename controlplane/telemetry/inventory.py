"""Inventories: resources from a file or from the targets that a Prometheus scrapes, and what changed since."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from controlplane import settings
from controlplane.model.labels import describe, printable
from controlplane.model.payloads import ResourceAdded, ResourceChanged, ResourceRemoved
from controlplane.model.resources import Resource, ResourceKind
from controlplane.telemetry.collector import SourceError
from controlplane.telemetry.http import ApiSession, HttpFailure
from controlplane.telemetry.inventory_file import read_inventory

_PORT = re.compile(r"(?P<host>\[[^\]]+\]|[^:]+):[0-9]+")
_MACHINES = frozenset({"host", "vm", "instance"})


class InventoryFile:
    """Resources of a YAML, JSON or CSV file, read anew when the file has changed."""

    def __init__(self, source: settings.InventoryFile) -> None:
        self.name = source.name
        self._source = source
        self._read: tuple[object, tuple[Resource, ...]] | None = None

    def load(self) -> tuple[Resource, ...]:
        """The resources in the order of the file; InvalidInput with every problem found in it."""
        version = _version(self._source.path)
        if version is None or self._read is None or self._read[0] != version:
            self._read = (version, read_inventory(self._source.path, self._source.platform))
        return self._read[1]


def _version(path: Path) -> object:
    """What changes whenever the file does; None where it can't be told."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class InventoryTargets:
    """Resources behind the active targets of a Prometheus; the targets of one machine are one resource.

    A machine (host, vm, instance) is named by the label mapped to `host`, else by `instance` without its port. A
    container or service is named by `instance`, and the label mapped to `host` names what carries it.
    """

    def __init__(self, source: settings.InventoryTargets) -> None:
        self.name = source.name
        self._source = source

    def load(self) -> tuple[Resource, ...]:
        """The resources in id order; SourceError where the server gives no usable answer."""
        with ApiSession(self._source) as session:
            try:
                targets = session.client().get_targets(state="active")["activeTargets"]
                labels = [target["labels"] for target in targets]
            except HttpFailure as error:
                raise SourceError(self.name, session.redact(error.message), error.remedy) from None
            except (ValueError, LookupError, TypeError):
                raise SourceError(self.name, f"{session.url} gives no list of targets", "Check url") from None
        by_id: dict[str, list[Mapping[str, str]]] = {}
        for one in labels:
            by_id.setdefault(self._id(one), []).append(one)
        return tuple(self._resource(id_, members) for id_, members in sorted(by_id.items()))

    def _id(self, labels: Any) -> str:
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise SourceError(self.name, "a target whose labels are not texts", "Is url a Prometheus API?")
        machine = self._source.kind in _MACHINES
        name = labels.get(self._source.labels.get("host", ""), "") if machine else ""
        if not name:
            name = labels.get("instance", "")
            port = _PORT.fullmatch(name)
            name = port["host"] if machine and port else name
        if not name:
            raise SourceError(
                self.name,
                f"a target without the label instance: {printable(describe(labels))}",
                "Keep instance when relabelling, or map host to a label that every target has",
            )
        return name

    def _resource(self, id_: str, members: Sequence[Mapping[str, str]]) -> Resource:
        """One resource from its targets; where they disagree on a field, the first value in text order is taken."""
        fields = {
            field: min(filter(None, (labels.get(label, "") for labels in members)), default="")
            for field, label in self._source.labels.items()
            if field != "host" or self._source.kind not in _MACHINES
        }
        jobs = sorted({labels["job"] for labels in members if labels.get("job")})
        try:
            return Resource(
                id=id_,
                platform=self._source.platform,
                kind=ResourceKind(self._source.kind),
                attributes={"jobs": ", ".join(jobs)} if jobs else {},
                **fields,
            )
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            message = f"{printable(id_)}: {problem['loc'][0]}: {problem['msg']}"
            raise SourceError(self.name, message, "Correct the labels of that target") from None


def inventory_changes(
    before: Mapping[str, Resource], after: Sequence[Resource], source: str
) -> list[ResourceAdded | ResourceChanged | ResourceRemoved]:
    """What turns `before` (resources of this source by key) into `after`, in key order."""
    now = {resource.key: resource for resource in after}
    changes: list[ResourceAdded | ResourceChanged | ResourceRemoved] = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if new is None:
            changes.append(ResourceRemoved(source=source, key=key))
        elif old is None:
            changes.append(ResourceAdded(source=source, resource=new))
        elif old != new:
            changed = tuple(name for name in Resource.model_fields if getattr(old, name) != getattr(new, name))
            changes.append(ResourceChanged(source=source, resource=new, changed=changed))
    return changes
