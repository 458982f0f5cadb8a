"""How the members of one database cluster stand at an instant, and at an earlier one to see who catches up."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from controlplane.failover.members import SIGNALS
from controlplane.history import History, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods.eligibility import Eligibility
from controlplane.model.resources import Inventory, Resource
from controlplane.readiness.databases import Refused, members_of, standings


@dataclass(frozen=True, slots=True)
class Standing:
    """One member; what isn't measured is None."""

    resource: Resource
    primary: bool
    reachable: bool
    excluded: bool
    synchronous: bool
    silent_ms: int | None
    """Since its last sample."""
    behind: float | None
    """Bytes of WAL of the primary's last known position that it hasn't got."""
    lag: float | None
    loss_bytes: float | None
    loss_seconds: float | None
    """What is lost at most if it takes over."""
    refused: Refused | None
    catches_up: float | None
    """Seconds until it isn't behind, at the pace since the earlier instant; None where it doesn't catch up."""

    @property
    def name(self) -> str:
        """Its name in the cluster manager."""
        return self.resource.attributes.get("member", self.resource.id)

    @property
    def shown(self) -> str:
        """The same, safe to print."""
        return printable(self.name, 80)


def read_standings(history: History, cluster: str, p: Eligibility, inventory: Inventory) -> tuple[Standing, ...]:
    """The members of the inventory as they stand at `history.at`; AdviceError where none of them reports a position."""
    platform, shown = history.alert.platform, printable(cluster, 80)
    resources = [one for one in inventory.of(platform, cluster=cluster) if p.role is None or one.role == p.role]
    if not resources:
        role = f" and role {p.role}" if p.role else ""
        raise AdviceError(
            f"the inventory has no resource with cluster {shown}{role}, so nobody can be made fit to take over"
        )
    position, lag, synchronous = (
        history.of(signal, "cluster", "host", fold="max", where={"cluster": cluster}).with_columns(source=pl.lit(""))
        for signal in SIGNALS
    )
    found = standings_of(position, lag, synchronous, tuple(resources), platform, history.at_ms, p)
    if not found:
        raise AdviceError(
            f"{SIGNALS[0]} of cluster {shown} has no sample of a member in the inventory before "
            f"{history.at:%Y-%m-%d %H:%M:%S} UTC, so how far each one is isn't known. Check the source and its labels "
            "cluster and host"
        )
    return found


def standings_of(
    position: pl.DataFrame,
    lag: pl.DataFrame,
    synchronous: pl.DataFrame,
    resources: Sequence[Resource],
    platform: str,
    at_ms: int,
    p: Eligibility,
) -> tuple[Standing, ...]:
    """The members of one cluster, from `databases.ROWS` of one source named `""`; empty where none has a position."""
    before = at_ms - ms(p.rate_over)
    members = members_of(resources, platform, p.role)
    steps = pl.DataFrame({"source": ["", ""], "ts": [before, at_ms]})
    found = standings(position, lag, synchronous, members, steps, p)
    earlier = dict(found.filter(pl.col("ts") == before).select("member", "behind").iter_rows())
    seconds = p.rate_over.total_seconds()
    by_id = {resource.id: resource for resource in resources}
    return tuple(
        Standing(
            resource=by_id[row["member"]],
            primary=row["primary"],
            reachable=bool(row["reachable"]),
            excluded=row["excluded"],
            synchronous=row["synchronous"],
            silent_ms=row["silent"],
            behind=row["behind"],
            lag=row["lag"],
            loss_bytes=row["loss_bytes"],
            loss_seconds=row["loss_seconds"],
            refused=Refused(row["refused"]) if row["refused"] else None,
            catches_up=_catches_up(earlier.get(row["member"]), row["behind"], seconds),
        )
        for row in found.filter(pl.col("ts") == at_ms).iter_rows(named=True)
    )


def _catches_up(before: float | None, now: float | None, seconds: float) -> float | None:
    if before is None or now is None:
        return None
    if now <= 0:
        return 0.0
    return now * seconds / (before - now) if before > now else None
