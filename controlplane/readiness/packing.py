"""Whether whole machines find room on hosts: sums of cores may fit where no machine does."""

from collections.abc import Callable, Iterable, Sequence

from controlplane.model.resources import Resource, ResourceKind

Size = tuple[float, float]
"""Cores and bytes of memory."""
_GUESTS = {ResourceKind.VM, ResourceKind.CONTAINER}


def machines_on(resources: Iterable[Resource], hosts: Iterable[Resource]) -> list[Size]:
    """What each machine that the inventory places on these hosts asks for; a size that isn't stated counts as none."""
    names = {host.id for host in hosts}
    return [_size(one) for one in resources if one.kind in _GUESTS and one.host in names]


def packs(machines: Sequence[Size], hosts: Sequence[Size]) -> bool:
    """Whether first fit, the largest machines first, places them all; a yes is certain, a no may be too cautious."""
    if not hosts:
        return not machines
    cores, memory = max(size for size, _ in hosts) or 1.0, max(size for _, size in hosts) or 1.0
    left = [list(size) for size in sorted(hosts, reverse=True)]
    for wanted in sorted(machines, key=lambda size: (-max(size[0] / cores, size[1] / memory), size)):
        room = next((one for one in left if one[0] >= wanted[0] and one[1] >= wanted[1]), None)
        if room is None:
            return False
        room[0] -= wanted[0]
        room[1] -= wanted[1]
    return True


def after_any_loss(machines: Sequence[Size], hosts: Sequence[Resource], share: float) -> Callable[[int], bool]:
    """Whether the machines find room without the largest host, once so many hosts of the usual size are added.

    `share` of each host is theirs; the rest is the host's own.
    """
    own = (_size(host, unstated=float("inf")) for host in hosts)
    sizes = sorted((cores * share, memory * share) for cores, memory in own)
    usual = sizes[len(sizes) // 2] if sizes else (0.0, 0.0)

    def fits(added: int) -> bool:
        return packs(machines, sorted([*sizes, *[usual] * added])[:-1])

    return fits


def _size(resource: Resource, unstated: float = 0.0) -> Size:
    cores, memory = resource.capacity.cores, resource.capacity.memory_bytes
    return (unstated if cores is None else cores, unstated if memory is None else memory)
