"""The placement problem of an inventory: its hosts, its virtual machines, and what it says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Literal

from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.units import many, parse_bytes
from controlplane.packing.problem import RESOURCES, Host, Machine, Problem, Size

Apart = Literal["cluster", "role", "none"]
Domain = Literal["host", "rack", "zone"]
_FIELDS = ("cores", "memory_bytes", "disk_bytes")
_SCALE = (1000, 1, 1)
_LAST = 1_000


@dataclass(frozen=True, slots=True)
class Reading:
    """How an inventory is read where it doesn't say."""

    apart: Apart = "cluster"
    """Machines that have this in common mustn't share a domain; `apart` of a machine's attributes goes first."""
    domain: Domain = "host"
    reserve: Mapping[str, str] | None = None
    """Resource → what a host keeps for itself, such as 8% or 16; `reserve_<resource>` of a host goes first."""
    order: Sequence[str] = ()
    """Ids and roles in the order in which machines start; `start_order` of a machine's attributes goes first."""


def read_problem(resources: Sequence[Resource], reading: Reading, cluster: str | None = None) -> Problem:
    """Hosts (of a cluster) and the machines that run on them or nowhere; AdviceError names what the inventory lacks."""
    hosts = [r for r in resources if r.kind is ResourceKind.HOST and (cluster is None or r.cluster == cluster)]
    if not hosts:
        of = f" of cluster {printable(cluster, 60)}" if cluster else ""
        raise AdviceError(f"the inventory has no resource of kind host{of}, so nothing can be placed")
    ids = {host.id for host in hosts}
    machines = [r for r in resources if r.kind is ResourceKind.VM and (not r.host or r.host in ids)]
    if not machines:
        raise AdviceError(
            f"the inventory has no resource of kind vm on its {many(len(hosts), 'host')}: give machines `kind: vm` and "
            "the id of their host under `host`"
        )
    stated = [any(getattr(machine.capacity, field) is not None for machine in machines) for field in _FIELDS]
    return Problem(
        tuple(_host(host, stated, reading) for host in hosts),
        tuple(_machine(machine, stated, reading) for machine in machines),
    )


def unstated(resources: Sequence[Resource]) -> tuple[str, ...]:
    """Resources that no machine states, so that they don't limit anything."""
    machines = [r for r in resources if r.kind is ResourceKind.VM]
    return tuple(
        name
        for name, field in zip(RESOURCES, _FIELDS, strict=True)
        if all(getattr(machine.capacity, field) is None for machine in machines)
    )


def _host(resource: Resource, stated: Sequence[bool], reading: Reading) -> Host:
    capacity = [_amount(resource, of, needed=stated[of], up=False) for of in range(len(RESOURCES))]
    room = [_room(resource, of, capacity[of], reading) for of in range(len(RESOURCES))]
    domain = resource.id
    if reading.domain == "zone":
        domain = resource.zone or resource.id
    elif reading.domain == "rack":
        domain = resource.attributes.get("rack") or resource.id
    return Host(resource.id, _size(capacity), _size(room), domain, resource.price)


def _machine(resource: Resource, stated: Sequence[bool], reading: Reading) -> Machine:
    size = [_amount(resource, of, needed=stated[of] and of < 2, up=True) for of in range(len(RESOURCES))]
    given = {"cluster": resource.cluster, "role": resource.role, "none": ""}[reading.apart]
    return Machine(
        id=resource.id,
        size=_size(size),
        host=resource.host,
        group=resource.attributes.get("apart", given),
        pinned=resource.attributes.get("pinned", "").lower() == "true",
        rank=_rank(resource, reading.order),
    )


def _size(parts: Sequence[int]) -> Size:
    return parts[0], parts[1], parts[2]


def _amount(resource: Resource, of: int, *, needed: bool, up: bool) -> int:
    value: float | None = getattr(resource.capacity, _FIELDS[of])
    if value is None:
        if needed:
            raise AdviceError(
                f"{resource.kind.value} {printable(resource.id, 60)} has no {RESOURCES[of]} in the inventory, and "
                f"others have: without it nobody knows whether it fits. Add capacity: {{{RESOURCES[of]}: …}}"
            )
        return 0
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    return int((Decimal(repr(value)) * _SCALE[of]).to_integral_value(rounding))


def _room(resource: Resource, of: int, capacity: int, reading: Reading) -> int:
    name = RESOURCES[of]
    given = resource.attributes.get(f"reserve_{name}", (reading.reserve or {}).get(name, ""))
    if not given:
        return capacity
    kept = _kept(given, name, capacity)
    if kept is None or not 0 <= kept <= capacity:
        what = "8%, 16 or 0.5" if name == "cores" else "3%, 64GB or 64GiB"
        raise AdviceError(
            f"host {printable(resource.id, 60)}: reserve_{name} {printable(given, 40)!r} is no part of what it has. "
            f"Write a share or an amount, such as {what}"
        )
    return int((Decimal(capacity) - kept).to_integral_value(ROUND_FLOOR))


def _kept(text: str, name: str, capacity: int) -> Decimal | None:
    try:
        if text.endswith("%"):
            return Decimal(text[:-1].strip()) / 100 * capacity
        if name == "cores":
            return Decimal(text) * _SCALE[0]
        return Decimal(repr(float(parse_bytes(text))))
    except (InvalidOperation, ValueError):
        return None


def _rank(resource: Resource, order: Sequence[str]) -> int:
    stated = resource.attributes.get("start_order", "")
    if stated:
        if not stated.isdecimal() or int(stated) >= _LAST:
            raise AdviceError(
                f"{printable(resource.id, 60)}: start_order {printable(stated, 40)!r} is no whole number from 0 to "
                f"{_LAST - 1}"
            )
        return int(stated)
    for name in (resource.id, resource.role):
        if name and name in order:
            return list(order).index(name)
    return len(order)
