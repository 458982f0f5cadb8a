"""The servers of a database cluster: which one takes the writes, and how loaded each is."""

from dataclasses import dataclass

import polars as pl

from controlplane.history import FRESH, History
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Replicas
from controlplane.model.recommendations import Evidence
from controlplane.model.resources import Inventory, Resource
from controlplane.model.units import many
from controlplane.scaling.member_loads import Load, read_load

_STARTED = "started_as"


@dataclass(frozen=True, slots=True)
class Database:
    """A cluster at an instant, everything of it known."""

    name: str
    host: str
    """The server that the alert is about."""
    members: tuple[Resource, ...]
    loads: tuple[Load, ...]
    primary: str | None
    """None where nothing tells which one it is."""
    writes: float | None
    """Transactions as a share of what one primary takes."""
    connections: float | None
    """Of the pool that is fullest, as a share of it."""
    history: History

    @property
    def count(self) -> int:
        """Servers of the inventory."""
        return len(self.members)

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return printable(self.name, 80)

    @property
    def hot(self) -> tuple[Load, ...]:
        """The loads of which a server is above the limit."""
        return tuple(load for load in self.loads if load.hot)

    @property
    def decisive(self) -> Load:
        """The load that is farthest above its limit, or nearest to it."""
        return max(self.loads, key=lambda load: load.busiest / load.spec.limit)

    @property
    def price(self) -> str | None:
        """The price of the server of the alert."""
        return next((member.price for member in self.members if member.id == self.host), None)

    @property
    def source(self) -> str:
        """Where a new replica is copied from: the least loaded replica, else the primary."""
        by_load = self.loads[0].members["member"].to_list()
        replicas = [name for name in reversed(by_load) if name != self.primary]
        return replicas[0] if replicas else self.primary or self.host

    def target(self, called: str) -> str:
        """What a proposal changes."""
        return f"{called} {self.shown}"

    def printable(self, name: str) -> str:
        """The name of a server, safe to print."""
        return printable(name, 60)

    def share(self, value: float | None) -> str:
        """A share for people."""
        return "an unknown part" if value is None else f"{value * 100:.0f} %"

    def inputs(self, p: Replicas) -> dict[str, str]:
        """What the formulas take."""
        found = {}
        for load in self.loads:
            each = ", ".join(
                f"{printable(m, 40)} {s * 100:.1f} %" for m, s in load.members.select("member", "share").rows()
            )
            found[load.signal] = f"{each}; limit {load.spec.limit * 100:g} %"
        found["servers"] = many(self.count, "server")
        found["primary"] = "not known" if self.primary is None else printable(self.primary, 60)
        if p.writes:
            found[p.writes] = (
                "not measured" if self.writes is None else f"{self.share(self.writes)} of what a primary takes"
            )
        if p.connections:
            known = None if self.connections is None else f"{self.share(self.connections)} of the limit"
            found[p.connections] = known or "not measured"
        return found

    def evidence(self, p: Replicas) -> tuple[Evidence, ...]:
        """Writes and connections against their limits."""
        pairs = ((p.writes, self.writes, p.writes_limit), (p.connections, self.connections, p.connections_limit))
        return tuple(
            Evidence(
                signal=signal,
                labels={"cluster": self.name},
                value=value,
                unit="1",
                at=self.history.at,
                limit=f"> {limit:g}",
                verdict="above the limit" if value > limit else "within the limit",
                reference=self.history.reference(signal, within=FRESH),
            )
            for signal, value, limit in pairs
            if signal and value is not None
        )


def read_database(history: History, inventory: Inventory, p: Replicas) -> Database:
    """The cluster of the alert's host; AdviceError where a server of it or its load isn't known."""
    resources = inventory.of(history.alert.platform)
    own = _own(history, resources)
    alone = not own.cluster
    members = tuple(
        one
        for one in resources
        if one is own or (not alone and (one.cluster, one.kind, one.role) == (own.cluster, own.kind, own.role))
    )
    name = own.cluster or own.id
    loads = tuple(
        load
        for load in (read_load(history, inventory, spec, name, members, FRESH) for spec in p.loads)
        if load is not None
    )
    if not loads:
        signals = ", ".join(load.signal for load in p.loads)
        raise AdviceError(f"{signals} of {printable(name, 80)} has no sample in the last 5 minutes")
    for load in loads:
        unknown = sorted({member.id for member in members} - set(load.members["member"].to_list()))
        if load.spec.per == "member" and unknown:
            raise AdviceError(
                f"{load.signal} of {printable(unknown[0], 60)} isn't known ({load.members.height} of "
                f"{many(len(members), 'server')} are), and a number of servers needs all of them"
            )
    return Database(
        name=name,
        host=own.id,
        members=members,
        loads=loads,
        primary=_primary(history, p, members),
        writes=_writes(history, p, name, resources),
        connections=_connections(history, p, members),
        history=history,
    )


def _own(history: History, resources: tuple[Resource, ...]) -> Resource:
    """The server of the alert, or the first one of its cluster."""
    cluster = history.alert.labels.get("cluster")
    if cluster and not history.alert.labels.get("host"):
        name, found = cluster, [one for one in resources if one.cluster == cluster]
    else:
        name = history.label("host")
        found = [one for one in resources if one.id == name] or [one for one in resources if one.host == name]
    if not found:
        raise AdviceError(f"{printable(name, 80)} isn't in the inventory, so the servers beside it aren't known")
    return found[0]


def _primary(history: History, p: Replicas, members: tuple[Resource, ...]) -> str | None:
    """The one member without a series of the replicas; where that isn't one, the one that the inventory names."""
    if len(members) == 1:
        return members[0].id
    if p.replica_signal is not None:
        seen = set(history.latest(p.replica_signal, "host", fold="max")["host"].to_list())
        replicas = [member for member in members if member.id in seen or member.host in seen - {""}]
        others = [member.id for member in members if member not in replicas]
        if replicas and len(others) == 1:
            return others[0]
    named = [member.id for member in members if member.attributes.get(_STARTED) == "primary"]
    return named[0] if len(named) == 1 else None


def _writes(history: History, p: Replicas, name: str, resources: tuple[Resource, ...]) -> float | None:
    if p.writes is None:
        return None
    limit = next((one.limit(p.writes) for one in resources if one.id == name), None)
    value = history.newest(p.writes, fold="sum", where={"cluster": name})
    return value / limit if limit and value is not None and value >= 0 else None


def _connections(history: History, p: Replicas, members: tuple[Resource, ...]) -> float | None:
    if p.connections is None:
        return None
    frame = history.latest(p.connections, "host", fold="max").filter(pl.col("value") >= 0)
    now = dict(frame.select("host", "value").rows())
    limits = {member.id: member.limit(p.connections) for member in members}
    shares = [now[name] / limit for name, limit in limits.items() if limit and name in now]
    return max(shares, default=None)
