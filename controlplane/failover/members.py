"""The members of a database cluster when its primary was lost: positions, lags, and who may take over."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.history import History, last, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import Primary
from controlplane.model.methods.eligibility import Eligibility
from controlplane.model.resources import Inventory, Resource
from controlplane.model.takeover import REMEMBERED
from controlplane.model.time import human_duration, to_ms
from controlplane.model.units import human
from controlplane.readiness.databases import Refused, is_excluded, names_of, refused

WAL = "postgresql.wal.position"
LAG = "postgresql.replication.lag"
SYNCHRONOUS = "postgresql.replication.synchronous"
SIGNALS = (WAL, LAG, SYNCHRONOUS)
_TESTED = pl.Schema(
    {"excluded": pl.Boolean, "silent": pl.Int64, "behind": pl.Float64, "lag": pl.Float64, "synchronous": pl.Boolean}
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster; what isn't measured is None."""

    resource: Resource
    position: float | None
    """Last known WAL position in bytes."""
    seen_ms: int | None
    """Its newest sample of any signal."""
    lag_seconds: float | None
    """Replication lag when the primary was last seen; later it grows even though nothing is written."""
    synchronous: bool

    @property
    def name(self) -> str:
        """Its name in the cluster manager."""
        return self.resource.attributes.get("member", self.resource.id)

    @property
    def shown(self) -> str:
        """The same, safe to print."""
        return printable(self.name, 80)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that lost its primary."""

    name: str
    lost: Member
    others: tuple[Member, ...]
    unknown: tuple[str, ...]
    """Hosts that report for the cluster but aren't in the inventory."""
    gone_ms: int
    """When the primary was last seen as such."""
    write_rate: float
    """By/s of WAL that the primary wrote before it was lost."""

    @property
    def shown(self) -> str:
        """The cluster's name, safe to print."""
        return printable(self.name, 80)

    def behind(self, member: Member) -> float | None:
        """Bytes of WAL of the primary's last known position that the member hasn't got."""
        if member.position is None or self.lost.position is None:
            return None
        return max(0.0, self.lost.position - member.position)

    def loss_bytes(self, member: Member, ttl: timedelta) -> float | None:
        """Bound of what is lost: what is missing, and what may have been written unseen within the time to live."""
        behind = self.behind(member)
        return None if behind is None else behind + self.write_rate * ttl.total_seconds()

    def loss_time(self, member: Member, ttl: timedelta) -> timedelta | None:
        """The same in time: the lag when the primary was last seen, and the time to live."""
        return None if member.lag_seconds is None else timedelta(seconds=member.lag_seconds) + ttl


def read_cluster(history: History, p: Primary, inventory: Inventory) -> Cluster:
    """The alert's cluster; AdviceError where its members or their positions aren't known."""
    name = history.label("cluster")
    resources = tuple(
        resource
        for resource in inventory.of(history.alert.platform, cluster=name)
        if p.role is None or resource.role == p.role
    )
    shown = printable(name, 80)
    if not resources:
        role = f" and role {p.role}" if p.role else ""
        raise AdviceError(
            f"the inventory has no resource with cluster {shown}{role}, so nobody can be named to take over"
        )
    where = {"cluster": name}
    wal = history.of(WAL, "host", fold="max", where=where)
    lags = history.of(LAG, "host", fold="max", where=where)
    synchronous = history.of(SYNCHRONOUS, "host", fold="max", where=where)
    if wal.is_empty():
        raise AdviceError(
            f"{WAL} of cluster {shown} has no sample before {history.at:%Y-%m-%d %H:%M:%S} UTC, so what each member "
            "has got isn't known and a failover could lose data. Check the source and its labels cluster and host"
        )
    names = names_of(resources)
    keyed = {
        signal: _by_member(frame, names) for signal, frame in ((WAL, wal), (LAG, lags), (SYNCHRONOUS, synchronous))
    }
    if keyed[WAL].is_empty():
        raise AdviceError(
            f"none of the hosts that report {WAL} for cluster {shown} is in the inventory. Give its resources the id "
            "or host that the label host has"
        )
    began = to_ms(history.alert.active_at)
    was = _primary(resources, keyed[WAL], keyed[LAG], p, at_ms=history.at_ms, began=began, shown=shown)
    lost_wal = keyed[WAL].filter(pl.col("host") == was.id)
    # Its series may go on with the last position; what counts is what it wrote while it still was the primary.
    written = lost_wal.filter(pl.col("ts") <= began)
    gone_ms = min(began, _newest(lost_wal) or began)
    members = {resource.id: _member(resource, keyed, gone_ms) for resource in resources}
    return Cluster(
        name=name,
        lost=members[was.id],
        others=tuple(member for name_, member in members.items() if name_ != was.id),
        unknown=tuple(sorted(set(wal["host"].unique().to_list()) - set(names) - {""})),
        gone_ms=gone_ms,
        write_rate=_write_rate(written, ms(p.rate_over)),
    )


def writes_still(history: History, cluster: Cluster) -> bool:
    """Whether the old primary's position moved after the alert's condition began, so that it isn't lost at all."""
    began = to_ms(history.alert.active_at)
    wal = _by_member(
        history.of(WAL, "host", fold="max", where={"cluster": cluster.name}), names_of((cluster.lost.resource,))
    )
    before = last(wal.filter(pl.col("ts") <= began))
    after = last(wal.filter(pl.col("ts") > began))
    return bool(after.height and before.height and after["value"][0] > before["value"][0])


def refusal(cluster: Cluster, member: Member, p: Primary, at_ms: int) -> str | None:
    """Why a member may not take over; None where it may (Patroni's tests, as far as samples tell)."""
    silent = None if member.seen_ms is None else at_ms - member.seen_ms
    behind = cluster.behind(member)
    row = {
        "excluded": is_excluded(member.resource),
        "silent": silent,
        "behind": behind,
        "lag": member.lag_seconds,
        "synchronous": member.synchronous,
    }
    failed = pl.DataFrame([row], schema=_TESTED).select(refused(p)).item()
    return None if failed is None else told(failed, p, silent_ms=silent, behind=behind, lag=member.lag_seconds)


def told(failed: str, p: Eligibility, *, silent_ms: int | None, behind: float | None, lag: float | None) -> str:
    """A test that a member failed, in words."""
    match Refused(failed):
        case Refused.EXCLUDED:
            return "its tag nofailover excludes it"
        case Refused.UNSEEN:
            return "it has never sent a sample"
        case Refused.SILENT:
            silent = timedelta(milliseconds=silent_ms or 0)
            return f"no sample for {human_duration(silent)}, longer than {human_duration(p.reachable_within)}"
        case Refused.UNKNOWN:
            return "its WAL position isn't known"
        case Refused.BEHIND:
            return f"{human(behind, 'By')} of WAL behind, more than {human(p.maximum_lag, 'By')}"
        case Refused.LAG_UNKNOWN:
            return "its replication lag isn't known"
        case Refused.LATE:
            return f"{lag:g} s behind, more than {human_duration(p.maximum_lag_time or timedelta(0))}"
        case Refused.ASYNCHRONOUS:
            return "it isn't a synchronous standby"


def ranked(cluster: Cluster, candidates: tuple[Member, ...]) -> tuple[Member, ...]:
    """Best first: synchronous, another host and another zone than the lost primary, least behind, priority, name."""
    lost = cluster.lost.resource

    def rank(member: Member) -> tuple[bool, bool, bool, float, int, str]:
        resource = member.resource
        behind = cluster.behind(member)
        priority = resource.attributes.get("failover_priority", "")
        return (
            not member.synchronous,
            bool(lost.host) and resource.host == lost.host,
            bool(lost.zone) and resource.zone == lost.zone,
            float("inf") if behind is None else behind,
            -int(priority) if priority.isdecimal() and len(priority) < 9 else 0,
            member.name,
        )

    return tuple(sorted(candidates, key=rank))


def _by_member(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    known = frame.filter(pl.col("host").is_in(list(names)))
    return (
        known.with_columns(pl.col("host").replace(names)).group_by("host", "ts").agg(pl.col("value").max()).sort("ts")
    )


def _newest(frame: pl.DataFrame) -> int | None:
    return None if frame.is_empty() else int(frame.sort("ts")["ts"][-1])


def _member(resource: Resource, keyed: dict[str, pl.DataFrame], gone_ms: int | None) -> Member:
    own = {signal: frame.filter(pl.col("host") == resource.id) for signal, frame in keyed.items()}
    lag = own[LAG] if gone_ms is None else own[LAG].filter(pl.col("ts") <= gone_ms)
    seen = [newest for newest in map(_newest, own.values()) if newest is not None]
    return Member(
        resource=resource,
        position=None if own[WAL].is_empty() else float(own[WAL].sort("ts")["value"][-1]),
        seen_ms=max(seen, default=None),
        lag_seconds=None if lag.is_empty() else float(lag.sort("ts")["value"][-1]),
        synchronous=not own[SYNCHRONOUS].is_empty() and own[SYNCHRONOUS].sort("ts")["value"][-1] == 1,
    )


def _primary(
    resources: tuple[Resource, ...],
    wal: pl.DataFrame,
    lags: pl.DataFrame,
    p: Primary,
    *,
    at_ms: int,
    began: int,
    shown: str,
) -> Resource:
    """Who wrote before the alert began: the furthest of those that did, else the inventory's word on those that tie.

    The furthest is looked for when all were read: a replica that is read once more after the loss is ahead by chance.
    AdviceError where it can't be told.
    """
    # Who gives up being the primary follows when the alert begins.
    hosts = _writing(wal.filter(pl.col("ts") < began), lags.filter(pl.col("ts") < began), began)
    if not hosts:
        # Where a primary tells a lag too, only its silence sets it apart.
        newest = wal.group_by("host").agg(pl.col("ts").max())
        hosts = newest.filter(pl.col("ts") < at_ms - ms(p.reachable_within))["host"].to_list()
    pool = wal.filter(pl.col("ts") <= began, pl.col("host").is_in(hosts))
    untold = f"which member of cluster {shown} was the primary can't be told: "
    if pool.is_empty():
        raise AdviceError(untold + "all that were heard of before the alert follow another one. See patronictl history")
    # Who had been silent for long when the furthest position was reached is a primary that was lost earlier.
    reached = int(pool.filter(pl.col("value") == pl.col("value").max()).sort("ts")["ts"][0])
    heard = pool.group_by("host").agg(pl.col("ts").max()).filter(pl.col("ts") >= reached - ms(p.reachable_within))
    pool = pool.join(heard, on="host", how="semi")
    everyone = pl.col("host").n_unique().over("ts") == pool["host"].n_unique()
    together = last(pool.filter(everyone), "host")
    ahead = together.filter(pl.col("value") == pl.col("value").max()) if together.height else heard
    tied = [one for one in resources if one.id in ahead["host"]]
    stated = [one for one in tied if "primary" in (one.attributes.get("role"), one.attributes.get("started_as"))]
    for found in (tied, stated):
        if len(found) == 1:
            return found[0]
    raise AdviceError(
        untold + f"none is ahead of the others in {WAL}, and the inventory names none of them (attribute started_as: "
        "primary)"
    )


def _writing(wal: pl.DataFrame, lags: pl.DataFrame, began: int) -> list[str]:
    """Those whose newest position is newer than their newest lag: in the hour before the alert, else before it."""
    newest = wal.group_by("host").agg(pl.col("ts").max()).sort("host")
    lagged = lags.group_by("host").agg(pl.col("ts").max().alias("lag_ts"))
    follows = (pl.col("lag_ts") >= pl.col("ts")).fill_null(value=False)
    writes = newest.join(lagged, on="host", how="left").filter(~follows)
    recent = writes.filter(pl.col("ts") > began - ms(REMEMBERED))
    return (recent if recent.height else writes)["host"].to_list()


def _write_rate(wal: pl.DataFrame, over_ms: int) -> float:
    """By/s of WAL over the time before the last sample; 0 where there is one sample only."""
    newest = _newest(wal)
    if newest is None:
        return 0.0
    span = wal.filter(pl.col("ts") >= newest - over_ms).sort("ts")
    seconds = (span["ts"][-1] - span["ts"][0]) / 1000
    return max(0.0, float(span["value"][-1] - span["value"][0])) / seconds if seconds > 0 else 0.0
