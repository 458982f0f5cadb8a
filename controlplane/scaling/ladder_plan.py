"""The order in which members join and leave a cluster with its own etcd, nodes are tuned, and topics sharded."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from controlplane.model.commands import Argv, command, fill, quote
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods.ladder import Tuning
from controlplane.model.recommendations import PlanStep
from controlplane.model.time import human_duration
from controlplane.model.units import human, many
from controlplane.scaling.ladder_loads import Cluster

_NUMBER = re.compile(r"(.*?)(\d+)", re.DOTALL)


def new_names(cluster: Cluster, count: int) -> tuple[str, ...]:
    """Names of nodes to add, in the pattern of those that are there."""
    found = [match for node in cluster.nodes if (match := _NUMBER.fullmatch(node.id))]
    prefixes = Counter(match[1] for match in found)
    if not prefixes:
        raise AdviceError(
            f"the nodes of {cluster.shown} aren't numbered ({printable(cluster.nodes[0].id, 60)}), so new ones "
            "can't be named. Number them in the inventory, such as mqtt-1"
        )
    prefix = min(prefixes, key=lambda text: (-prefixes[text], text))
    numbers = [match[2] for match in found if match[1] == prefix]
    start, width = max(int(number) for number in numbers), min(len(number) for number in numbers)
    return tuple(f"{prefix}{start + n:0{width}}" for n in range(1, count + 1))


def last_names(cluster: Cluster, count: int) -> tuple[str, ...]:
    """The nodes with the highest numbers, highest first."""

    def key(name: str) -> tuple[int, str]:
        match = _NUMBER.fullmatch(name)
        return (int(match[2]) if match else 0, name)

    return tuple(sorted((node.id for node in cluster.nodes), key=key, reverse=True)[:count])


def zones_for(cluster: Cluster, count: int) -> tuple[str, ...]:
    """A zone for each new node, always the one with the fewest; empty where no zone is known."""
    sizes = Counter(dict.fromkeys(cluster.zones, 0))
    sizes.update(node.zone for node in cluster.nodes if node.zone)
    chosen = []
    for _ in range(count if sizes else 0):
        zone = min(sizes, key=lambda name: (sizes[name], name))
        sizes[zone] += 1
        chosen.append(zone)
    return tuple(chosen)


def quorum(members: int) -> int:
    """Members that are a majority."""
    return members // 2 + 1


def filled(cluster: Cluster, commands: Sequence[Argv], node: str = "") -> tuple[str, ...]:
    """Commands of the parameters for a node."""
    return tuple(fill(argv, {"cluster": cluster.name, "node": node}) for argv in commands)


def etcdctl(cluster: Cluster, node: str, *arguments: str) -> str:
    """A command of etcd's own tool at a node."""
    return command(["etcdctl", f"--endpoints={cluster.parameters.client.replace('{node}', node)}", *arguments])


def check(cluster: Cluster, node: str) -> str:
    """Ask every member whether it takes part in the quorum."""
    return etcdctl(cluster, node, "endpoint", "health", "--cluster")


def forget(cluster: Cluster, at: str, node: str) -> str:
    """Take a member out of the quorum, asked at another one."""
    listed = etcdctl(cluster, at, "member", "list")
    return (
        etcdctl(cluster, at, "member", "remove")
        + f" \"$({listed} | awk -F ', ' -v name={quote(node)} '$3 == name {{ print $1 }}')\""
    )


def wait(cluster: Cluster, sessions: float) -> str:
    """What has to be over before the next node is touched."""
    takes = cluster.takeover(sessions)
    if takes is None:
        return "the sessions that moved are taken over"
    rate = cluster.parameters.takeover_rate or 0
    return (
        f"the {sessions:,.0f} sessions that moved are taken over, which takes about "
        f"{human_duration(timedelta(seconds=round(takes)))} at {rate:g} a second"
    )


def join(cluster: Cluster, names: Sequence[str]) -> tuple[PlanStep, ...]:
    """Add nodes one at a time: told to etcd, started, healthy, and only then open for clients."""
    p, first = cluster.parameters, cluster.nodes[0].id
    zones = zones_for(cluster, len(names))
    steps = []
    for index, name in enumerate(names):
        members = cluster.count + index
        shown, where = printable(name, 60), f" in {printable(zones[index], 60)}" if zones else ""
        steps.append(
            PlanStep(
                do=f"Have {shown} ready{where}, a machine like the others, its service stopped; tell etcd about it",
                before=(
                    f"{members} of {many(members, 'member')} answer (one that is away counts against the new majority, "
                    f"{quorum(members + 1)} of {members + 1})",
                    f"the data directory of {shown} is empty",
                ),
                commands=(
                    check(cluster, first),
                    etcdctl(
                        cluster,
                        first,
                        "member",
                        "add",
                        f"--peer-urls={p.peer.replace('{node}', name)}",
                        "--",
                        name,
                    ),
                ),
            )
        )
        steps.append(
            PlanStep(
                do=f"Start {shown} with initial-cluster-state existing",
                before=(
                    f"etcd lists {many(members + 1, 'member')}, {shown} as unstarted",
                    *(
                        (f"nobody restarts {printable(first, 60)}: with two members the loss of either stops both",)
                        if members == 1
                        else ()
                    ),
                ),
                commands=(*filled(cluster, p.start_commands, name), check(cluster, first)),
            )
        )
        steps.append(
            PlanStep(
                do=f"Send new clients to {shown}",
                before=(f"{members + 1} of {members + 1} members answer, {shown} among them",),
                commands=filled(cluster, p.admit_commands, name),
            )
        )
    return tuple(steps)


def leave(cluster: Cluster, names: Sequence[str], sessions: float) -> tuple[PlanStep, ...]:
    """Take nodes away one at a time: no new clients, stopped, taken over, and out of the quorum."""
    p = cluster.parameters
    stays = next(node.id for node in cluster.nodes if node.id not in names)
    steps = []
    for index, name in enumerate(names):
        members, shown = cluster.count - index, printable(name, 60)
        steps.append(
            PlanStep(
                do=f"Drain and stop {shown}",
                before=(
                    f"{members} of {many(members, 'member')} answer",
                    f"{shown} isn't the leader of etcd (the table says who is; etcdctl move-leader)",
                    *((wait(cluster, sessions),) if index else ()),
                ),
                commands=(
                    check(cluster, stays),
                    etcdctl(cluster, stays, "endpoint", "status", "--cluster", "--write-out=table"),
                    *filled(cluster, p.drain_commands, name),
                    *filled(cluster, p.stop_commands, name),
                ),
            )
        )
        steps.append(
            PlanStep(
                do=f"Take {shown} out of the quorum",
                before=(
                    wait(cluster, sessions),
                    f"{members - 1} of {many(members, 'member')} answer; without {shown} the majority is "
                    f"{quorum(members - 1)} of {members - 1}",
                ),
                commands=(forget(cluster, stays, name), check(cluster, stays)),
            )
        )
    shown = ", ".join(printable(name, 60) for name in names)
    return (*steps, PlanStep(do=f"Take {shown} out of the inventory of {cluster.shown}, and out of the load balancer"))


def join_again(cluster: Cluster, names: Sequence[str]) -> tuple[str, ...]:
    """Commands that bring nodes back that were taken away, in the order opposite to that in which they went."""
    stays = tuple(node for node in cluster.nodes if node.id not in names)
    steps = join(replace(cluster, nodes=stays), tuple(reversed(names)))
    return ("# empty the data directory of each node before it is added again", *commands_of(steps))


def tune(cluster: Cluster, level: Tuning, sessions: float) -> tuple[PlanStep, ...]:
    """Tune the nodes in turn; where that restarts them, their clients move to the others first."""
    p, steps = cluster.parameters, []
    for index, node in enumerate(cluster.nodes):
        other = cluster.nodes[index - 1].id
        shown = printable(node.id, 60)
        memory = "" if level.memory is None else f"{shown} has {human(level.memory, 'By')} of memory or more"
        before = [f"{cluster.count} of {many(cluster.count, 'member')} answer", memory]
        if level.restarts:
            before += [wait(cluster, sessions)] if index else []
            before.append(f"the others hold the clients of {shown} too; drain it until they do")
        steps.append(
            PlanStep(
                do=f"Tune {shown} to level {level.name}" + (" and restart its service" if level.restarts else ""),
                before=tuple(text for text in before if text),
                commands=(
                    check(cluster, other),
                    *(filled(cluster, p.drain_commands, node.id) if level.restarts else ()),
                    *filled(cluster, level.commands, node.id),
                    *(filled(cluster, p.admit_commands, node.id) if level.restarts else ()),
                ),
            )
        )
    return tuple(steps)


def note(cluster: Cluster, names: Sequence[str], level: Tuning | None) -> PlanStep:
    """What the inventory has to learn, so that alerts and the next advice count with it."""
    parts = [f"{', '.join(printable(name, 60) for name in names)} with their limits"] if names else []
    if level:
        limits = ", ".join(f"{signal} {amount:,.0f}" for signal, amount in level.limits.items())
        parts.append(f"the new limits of each node ({limits})")
    return PlanStep(do=f"Write {' and '.join(parts)} into the inventory of {cluster.shown}")


def commands_of(steps: Sequence[PlanStep]) -> tuple[str, ...]:
    """The commands of a plan, in order."""
    return tuple(text for step in steps for text in step.commands)
