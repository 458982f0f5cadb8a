"""A cluster of equal nodes now: what each load asks of it, by instant, and what a rung of the ladder carries."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from controlplane.history import FRESH, History, last, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Ladder
from controlplane.model.methods.ladder import NodeLoad, Tuning
from controlplane.model.resources import Inventory, Resource
from controlplane.model.units import many
from controlplane.scaling.sizing import whole

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a cluster, in the unit of its signal."""

    of: NodeLoad
    per_node: float
    """What a node carries with its present tuning."""
    now: Mapping[str, float]
    """Node → newest value."""
    steps: pl.DataFrame
    """ts and value: the sum over the nodes at each instant at which all that answer have a sample."""

    @property
    def total(self) -> float:
        """Of all nodes that have a sample."""
        return math.fsum(self.now.values())

    @property
    def fullest(self) -> tuple[str, float]:
        """The node that has most of it; ties in name order."""
        return min(self.now.items(), key=lambda item: (-item[1], item[0]))

    def share(self, nodes: int, per_node: float | None = None) -> float:
        """Share of what that many nodes carry."""
        return self.total / (nodes * (per_node or self.per_node)) if nodes else math.inf

    def pressure(self, nodes: int) -> float:
        """Its share of what may be used, as things are or without one node; above 1 it asks for more nodes."""
        present = self.share(nodes) / self.of.headroom
        if nodes == 1 or self.of.after_loss is None:
            return present
        return max(present, self.share(nodes - 1) / self.of.after_loss)

    def need(self, total: float, per_node: float) -> int:
        """Nodes that carry `total` with headroom and, where asked for, after the loss of one."""
        with_headroom = max(1, whole(total / (per_node * self.of.headroom)))
        if self.of.after_loss is None:
            return with_headroom
        # Whatever the load, one node alone has nobody to carry it.
        return max(2, with_headroom, whole(total / (per_node * self.of.after_loss)) + 1)

    def alone(self, total: float, per_node: float) -> int:
        """The same for a cluster of one, which has nobody to carry its loss."""
        return max(1, whole(total / (per_node * self.of.headroom)))


@dataclass(frozen=True, slots=True)
class Cluster:
    """The alert's cluster at an instant."""

    name: str
    parameters: Ladder
    history: History
    nodes: tuple[Resource, ...]
    """In name order."""
    loads: tuple[Load, ...]
    crossing: float | None
    """Share of the messages that cross nodes, None where it isn't known or asked for."""
    down: tuple[str, ...]
    """Nodes that don't answer."""
    unknown: tuple[str, ...]
    """`signal of node` of what a node that answers has no sample of."""
    absent: tuple[str, ...]
    """Signals of optional loads that no node has a sample of."""
    tuning: int
    """Index of the present level of tuning, −1 where none is stated."""
    zones: tuple[str, ...]
    """Zones of the platform, in name order."""

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.name, 60)

    @property
    def count(self) -> int:
        """Nodes that it has, those that don't answer included."""
        return len(self.nodes)

    @property
    def deciding(self) -> tuple[Load, ...]:
        """Loads that a larger cluster answers."""
        return tuple(load for load in self.loads if not load.of.guard)

    @property
    def bound(self) -> Load:
        """The load that is closest to what the cluster carries."""
        return max(self.deciding, key=lambda load: load.pressure(self.count))

    def load(self, signal: str | None) -> Load | None:
        """The load of a signal."""
        return next((load for load in self.loads if load.of.signal == signal), None)

    def capacity(self, load: Load, tuning: int) -> float:
        """What a node carries of a load at a level of tuning."""
        if tuning == self.tuning or tuning < 0:
            return load.per_node
        return self.parameters.tunings[tuning].limits.get(load.of.signal, load.per_node)

    def totals(self, window_ms: int = 0, *, largest: bool = False, spare: float = 0.0) -> dict[str, float]:
        """Signal → its newest sum, or the smallest or largest one of a window, with `spare` on top."""
        begin = self.history.at_ms - window_ms
        found = {}
        for load in self.loads:
            window = [load.total, *load.steps.filter(pl.col("ts") > begin)["value"].to_list()] if window_ms else []
            chosen = (max(window) if largest else min(window)) if window else load.total
            found[load.of.signal] = chosen * (1 + spare)
        return found

    def need(self, load: Load, totals: Mapping[str, float], tuning: int, *, keeps: bool = False) -> int:
        """Nodes that a load asks for; with `keeps` a cluster of one that carries its load stays one."""
        total, per_node = totals[load.of.signal], self.capacity(load, tuning)
        # A cluster of one has chosen to live without a second node: only its load asks for more.
        if keeps and self.count == 1 and load.alone(total, per_node) == 1:
            return 1
        return load.need(total, per_node)

    def wanted(self, totals: Mapping[str, float], *, guards: bool = False, keeps: bool = True) -> int:
        """Nodes that all loads ask for at the present tuning."""
        loads = self.loads if guards else self.deciding
        return max(self.need(load, totals, self.tuning, keeps=keeps) for load in loads)

    def carries(self, rung: int, tuning: int, totals: Mapping[str, float]) -> bool:
        """Whether that many nodes carry every load with headroom and after the loss of one."""
        keeps = rung == self.count
        return all(self.need(load, totals, tuning, keeps=keeps) <= rung for load in self.deciding)

    def short(self, totals: Mapping[str, float]) -> tuple[Load, ...]:
        """Loads that ask for more nodes than there are."""
        return tuple(load for load in self.deciding if self.need(load, totals, self.tuning, keeps=True) > self.count)

    def covers(self, window_ms: int) -> bool:
        """Whether the samples of every load reach back over a window."""
        reach = self.history.at_ms - window_ms + ms(FRESH)
        return all(load.steps.height and load.steps["ts"][0] <= reach for load in self.loads)

    def fits(self, level: Tuning) -> bool:
        """Whether every node has the memory that a level of tuning takes."""
        if level.memory is None:
            return True
        sizes = [node.capacity.memory_bytes for node in self.nodes]
        return all(size is not None and size >= level.memory for size in sizes)

    def takeover(self, sessions: float) -> float | None:
        """Seconds in which the other nodes take over that many sessions."""
        rate = self.parameters.takeover_rate
        return None if rate is None else sessions / rate


def read_cluster(history: History, p: Ladder, inventory: Inventory) -> Cluster:
    """The cluster that the alert names, by itself or by one of its nodes; AdviceError says what is missing."""
    platform = history.alert.platform
    everyone = inventory.of(platform, role=p.role)
    name = _cluster_of(history, everyone, p)
    nodes = tuple(sorted((node for node in everyone if node.cluster == name), key=lambda node: node.id))
    if not nodes:
        raise AdviceError(
            f"the inventory has no resource with role {printable(p.role, 60)} in cluster {printable(name, 60)}, so how "
            "large it is isn't known. Add its nodes with `role` and `cluster`"
        )
    if len(nodes) < max(p.rungs) and len(nodes) not in p.rungs:
        sizes = ", ".join(str(rung) for rung in p.rungs)
        raise AdviceError(
            f"cluster {printable(name, 60)} has {many(len(nodes), 'node')} in the inventory, which is none of its "
            f"sizes ({sizes}): a change is under way, or the inventory is wrong"
        )
    limit = history.alert.labels.get("limit", "")
    if limit and limit not in p.reads():
        known = ", ".join(load.signal for load in p.loads)
        raise AdviceError(
            f"the limit {printable(limit, 60)} isn't one that the number of nodes decides; those are {known}"
        )
    down = _down(history, p, nodes)
    loads: list[Load] = []
    unknown: list[str] = []
    absent: list[str] = []
    for of in p.loads:
        if of.optional and history.latest(of.signal, fold="max").is_empty():
            absent.append(of.signal)
            continue
        load, missing = _load(history, of, nodes, down)
        loads.append(load)
        unknown += [f"{of.signal} of {printable(node, 60)}" for node in missing]
    if all(load.of.guard for load in loads):
        raise history.missing(p.loads[0].signal, f"cluster {name}")
    return Cluster(
        name=name,
        parameters=p,
        history=history,
        nodes=nodes,
        loads=tuple(loads),
        crossing=_crossing(history, p, name),
        down=down,
        unknown=tuple(unknown),
        absent=tuple(absent),
        tuning=_tuning(p, nodes),
        zones=tuple(sorted({one.zone for one in inventory.of(platform) if one.zone})),
    )


def _cluster_of(history: History, nodes: Sequence[Resource], p: Ladder) -> str:
    labels = history.alert.labels
    if labels.get("cluster"):
        return labels["cluster"]
    named = {labels[load.label] for load in p.loads if labels.get(load.label)}
    found = {node.cluster for node in nodes if node.id in named and node.cluster}
    found = found or {node.cluster for node in nodes if node.cluster}
    if len(found) == 1:
        return found.pop()
    names = sorted({load.label for load in p.loads})
    raise AdviceError(
        f"the alert {history.alert.rule} has neither a label cluster nor one of {', '.join(names)} that names a node "
        f"of the inventory, which has {many(len(found), 'cluster')} of role {printable(p.role, 60)}, so it doesn't say "
        "which one it is about"
    )


def _down(history: History, p: Ladder, nodes: Sequence[Resource]) -> tuple[str, ...]:
    if p.up is None:
        return ()
    up = history.latest(p.up, "node", fold="max")
    silent = set(up.filter(pl.col("value") == 0)["node"].to_list())
    return tuple(node.id for node in nodes if node.id in silent)


def _load(
    history: History, of: NodeLoad, nodes: Sequence[Resource], down: Sequence[str]
) -> tuple[Load, tuple[str, ...]]:
    names = [node.id for node in nodes]
    per_node = of.per_node
    if per_node is None:
        limits = [node.limit(of.signal) for node in nodes]
        stated = [value for value in limits if value is not None and value > 0]
        if len(stated) < len(nodes):
            raise AdviceError(
                f"what a node carries of {of.signal} isn't known: the inventory has no limit of it for "
                f"{printable(names[limits.index(None)], 60) if None in limits else 'every node'}. Add it under `limits`"
            )
        per_node = min(stated)
    samples = history.of(of.signal, of.label, fold="max").filter(pl.col(of.label).is_in(names), pl.col("value") >= 0)
    fresh = last(samples.filter(pl.col("ts") > history.at_ms - ms(FRESH)), of.label)
    now = dict(zip(fresh[of.label].to_list(), fresh["value"].to_list(), strict=True))
    answering = [name for name in names if name not in down]
    if not any(name in now for name in answering):
        raise history.missing(of.signal, f"the nodes {', '.join(names)}")
    missing = tuple(name for name in answering if name not in now)
    steps = (
        samples.group_by("ts")
        .agg(pl.len().alias("nodes"), pl.col("value").sort().sum())
        .filter(pl.col("nodes") >= len(answering))
        .sort("ts")
        .select("ts", "value")
    )
    return Load(of=of, per_node=per_node, now=now, steps=steps), missing


def _crossing(history: History, p: Ladder, name: str) -> float | None:
    if p.crossing is None:
        return None
    share = history.newest(p.crossing, fold="max", where={"cluster": name})
    return None if share is None else min(max(share, 0.0), 1.0)


def _tuning(p: Ladder, nodes: Sequence[Resource]) -> int:
    """The highest level that all nodes have, by the limits of the inventory."""
    level = -1
    for index, tuning in enumerate(p.tunings):
        limits = [(node.limit(signal), amount) for node in nodes for signal, amount in tuning.limits.items()]
        if all(limit is not None and limit >= amount * (1 - _ROUNDING) for limit, amount in limits):
            level = index
    return level
