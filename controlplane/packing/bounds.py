"""How many hosts it takes at least."""

from collections.abc import Sequence

from controlplane.packing.problem import RESOURCES, Host, Machine, Problem


def least_hosts(problem: Problem) -> int:
    """No placement uses fewer of these hosts; more than there are where no placement exists.

    By resource: the largest rooms have to add up, and machines that are too large for each other need a host each
    (Martello and Toth's L2). Machines of a group need as many domains.
    """
    found = [1 if problem.machines else 0]
    found += [_by_resource(problem.hosts, problem.machines, of) for of in range(len(RESOURCES))]
    found += [_domains(problem.hosts, len(members)) for members in problem.groups.values()]
    return max(found)


def _by_resource(hosts: Sequence[Host], machines: Sequence[Machine], of: int) -> int:
    sizes = sorted((machine.size[of] for machine in machines), reverse=True)
    rooms = sorted((host.room[of] for host in hosts), reverse=True)
    asked, count = sum(sizes), 0
    if not asked:
        return 0
    for room in rooms:
        if asked <= 0:
            break
        asked, count = asked - room, count + 1
    if asked > 0:
        return len(rooms) + 1
    return max(count, _large(sizes, rooms[0]))


def _large(sizes: Sequence[int], room: int) -> int:
    """L2 for hosts of this room, over every threshold that a size gives."""
    best = 0
    for least in sorted({0, *(size for size in sizes if 0 < 2 * size <= room)}):
        alone = sum(size > room - least for size in sizes)
        halves = [size for size in sizes if room - least >= size and 2 * size > room]
        small = sum(size for size in sizes if least <= size and 2 * size <= room)
        left = small - (len(halves) * room - sum(halves))
        best = max(best, alone + len(halves) + max(0, -(-left // room) if room else 0))
    return best


def _domains(hosts: Sequence[Host], members: int) -> int:
    """Hosts that a group of so many needs: one in each of as many domains."""
    return members if len({host.domain for host in hosts}) >= members else len(hosts) + 1
