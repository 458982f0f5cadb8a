"""What containers have locked of the machines that they run on."""

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.sizes import parse_bytes


@dataclass(frozen=True, slots=True)
class Locked:
    """What the containers of a machine have locked of one resource: cores, or bytes of memory."""

    machine: str
    resource: str
    containers: int
    asked: float
    there: float

    @property
    def over(self) -> bool:
        """Whether they have locked more than there is."""
        return self.asked > self.there


def locked(resources: Sequence[Resource]) -> tuple[Locked, ...]:
    """Machines whose containers are known, with what these have locked of cores and memory.

    Containers are resources of kind container with the machine as their host; a machine without any may state them
    itself: `container.cpu.limit` and `container.memory.limit`, `container.count` times (once where that is absent),
    against `vm.memory.limit/<id>` where it has that setting.
    """
    by_host: dict[str, list[Resource]] = {}
    for resource in resources:
        if resource.kind is ResourceKind.CONTAINER and resource.host:
            by_host.setdefault(resource.host, []).append(resource)
    found: list[Locked] = []
    for machine in resources:
        if machine.kind is ResourceKind.VM:
            inside = by_host.get(machine.id, [])
            found += _listed(machine, inside) if inside else _stated(machine)
    return tuple(found)


def _listed(machine: Resource, inside: Sequence[Resource]) -> list[Locked]:
    found = []
    for name, field in (("cores", "cores"), ("memory", "memory_bytes")):
        there: float | None = getattr(machine.capacity, field)
        parts = [value for one in inside if (value := getattr(one.capacity, field)) is not None]
        if there is not None and parts:
            found.append(Locked(machine.id, name, len(parts), sum(parts), there))
    return found


def _stated(machine: Resource) -> list[Locked]:
    settings = machine.settings
    count = _number(settings.get("container.count", "1"))
    found = []
    cores, there = _number(settings.get("container.cpu.limit", "")), machine.capacity.cores
    if count and cores and there is not None:
        found.append(Locked(machine.id, "cores", int(count), count * cores, there))
    memory = _bytes(settings.get("container.memory.limit", ""))
    own = _bytes(settings.get(f"vm.memory.limit/{machine.id}", "")) or machine.capacity.memory_bytes
    if count and memory and own is not None:
        found.append(Locked(machine.id, "memory", int(count), count * memory, own))
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None


def _bytes(text: str) -> float | None:
    try:
        return parse_bytes(text)
    except ValueError:
        return None
