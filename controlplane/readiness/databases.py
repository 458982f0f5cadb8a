"""Members of database clusters: who was the primary, how far each is behind, and who may take over (Patroni, ha.py)."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum

import polars as pl

from controlplane.frames import quotient
from controlplane.model.methods.eligibility import Eligibility
from controlplane.model.resources import Resource
from controlplane.model.takeover import REMEMBERED

ROWS = pl.Schema({"source": pl.String, "cluster": pl.String, "host": pl.String, "ts": pl.Int64, "value": pl.Float64})
"""One row a member and step of one signal; `host` as the label of the samples has it."""
MEMBERS = pl.Schema(
    {"cluster": pl.String, "host": pl.String, "member": pl.String, "excluded": pl.Boolean, "stated": pl.Boolean}
)
"""One row a host label of a member: its id, whether it never takes over, whether the inventory calls it primary."""

_OF = ["source", "cluster"]
_REMEMBERED_MS = REMEMBERED // timedelta(milliseconds=1)
_NEVER = 2**62


class Refused(StrEnum):
    """Why a member may not take over."""

    EXCLUDED = "excluded"
    UNSEEN = "unseen"
    SILENT = "silent"
    UNKNOWN = "position unknown"
    BEHIND = "behind"
    LAG_UNKNOWN = "lag unknown"
    LATE = "late"
    ASYNCHRONOUS = "asynchronous"


def refused(p: Eligibility) -> pl.Expr:
    """The first of Patroni's tests that a member fails, null where it may take over.

    Over the columns excluded, silent (ms since its last sample, null = it never had one), behind (bytes), lag
    (seconds, when the primary was last seen) and synchronous.
    """
    behind, lag = pl.col("behind"), pl.col("lag")
    tests: list[tuple[pl.Expr, Refused]] = [
        (pl.col("excluded"), Refused.EXCLUDED),
        (pl.col("silent").is_null(), Refused.UNSEEN),
        (pl.col("silent") > _ms(p.reachable_within), Refused.SILENT),
        (behind.is_null(), Refused.UNKNOWN),
        (behind > p.maximum_lag, Refused.BEHIND),
    ]
    if p.maximum_lag_time is not None:
        tests += [
            (lag.is_null(), Refused.LAG_UNKNOWN),
            (lag > p.maximum_lag_time.total_seconds(), Refused.LATE),
        ]
    if p.synchronous_only:
        tests.append((~pl.col("synchronous"), Refused.ASYNCHRONOUS))
    return pl.coalesce(pl.when(failed).then(pl.lit(reason.value)) for failed, reason in tests).alias("refused")


def is_excluded(resource: Resource) -> bool:
    """Whether its tag nofailover keeps it from taking over."""
    return resource.attributes.get("nofailover", "").lower() == "true"


def names_of(resources: Sequence[Resource]) -> dict[str, str]:
    """Host label → id: by the resource's own id, or by its host where no other member shares it."""
    hosts = [resource.host for resource in resources]
    by_host = {r.host: r.id for r in resources if r.host and hosts.count(r.host) == 1}
    return by_host | {resource.id: resource.id for resource in resources}


def members_of(resources: Iterable[Resource], platform: str, role: str | None) -> pl.DataFrame:
    """MEMBERS of every cluster of a platform."""
    clusters: dict[str, list[Resource]] = {}
    for resource in resources:
        if resource.platform == platform and resource.cluster and (role is None or resource.role == role):
            clusters.setdefault(resource.cluster, []).append(resource)
    rows = []
    for cluster, found in clusters.items():
        by_id = {resource.id: resource for resource in found}
        for host, name in names_of(found).items():
            stated = "primary" in (by_id[name].attributes.get("role"), by_id[name].attributes.get("started_as"))
            rows.append((cluster, host, name, is_excluded(by_id[name]), stated))
    return pl.DataFrame(rows, schema=MEMBERS, orient="row")


def standings(
    position: pl.DataFrame,
    lag: pl.DataFrame,
    synchronous: pl.DataFrame,
    members: pl.DataFrame,
    steps: pl.DataFrame,
    p: Eligibility,
) -> pl.DataFrame:
    """Every member of every cluster that reports positions, at every step (source, ts): one row each.

    Columns: source, cluster, member, ts, primary (whether it is the one that dies), excluded, synchronous, silent (ms),
    behind (bytes), lag (seconds), loss_bytes, loss_seconds, reachable, refused (see `refused`, null for the primary
    too). Only what lies before a step, not longer than an hour, counts for it.
    """
    read = {"position": position, "lag": lag, "synchronous": synchronous}
    rows = {name: _by_member(frame.lazy(), members.lazy()) for name, frame in read.items()}
    clusters = rows["position"].select(_OF).unique()
    each = members.lazy().select("cluster", "member", "excluded", "stated").unique(["cluster", "member"])
    grid = clusters.join(each, on="cluster").join(steps.lazy().select("source", "ts"), on="source")
    for name, frame in rows.items():
        grid = _newest(grid, frame, name, "ts")
    grid = _rate(grid, rows["position"], _ms(p.rate_over))
    reachable = pl.col("silent").is_not_null() & (pl.col("silent") <= _ms(p.reachable_within))
    grid = grid.with_columns(silent=pl.col("ts") - pl.max_horizontal("position_ts", "lag_ts", "synchronous_ts"))
    # Where no position is remembered, nothing is known of the cluster.
    grid = _primaries(grid.with_columns(reachable=reachable)).filter(pl.col("reference").is_not_null())
    grid = _newest(grid.drop("lag", "lag_ts").sort("gone"), rows["lag"], "lag", "gone")
    behind = (pl.col("reference") - pl.col("position")).clip(lower_bound=0)
    ttl = p.ttl.total_seconds()
    nothing = pl.col("synchronous")
    judged = grid.with_columns(behind=behind, synchronous=(pl.col("synchronous") == 1).fill_null(value=False))
    judged = judged.with_columns(
        refused=pl.when(~pl.col("primary")).then(refused(p)),
        loss_bytes=pl.when(nothing).then(0.0).otherwise(pl.col("behind") + pl.col("rate") * ttl),
        loss_seconds=pl.when(nothing).then(0.0).otherwise(pl.col("lag") + ttl),
    )
    return (
        judged.select(
            *_OF,
            "member",
            "ts",
            "primary",
            "excluded",
            "synchronous",
            "silent",
            "behind",
            "lag",
            "loss_bytes",
            "loss_seconds",
            "reachable",
            "refused",
        )
        .sort(*_OF, "ts", "member")
        .collect()
    )


def candidates(standing: pl.DataFrame) -> pl.DataFrame:
    """source, cluster, ts, value: how many may take over, from `standings`."""
    able = ~pl.col("primary") & pl.col("refused").is_null()
    return standing.group_by(*_OF, "ts").agg(able.sum().cast(pl.Float64).alias("value"))


def losses(standing: pl.DataFrame, measure: str) -> pl.DataFrame:
    """source, cluster, ts, value: the least loss of any reachable member; +Inf where there is none.

    A member that isn't eligible counts too, for somebody may force it. No row where no loss is known.
    """
    pool = ~pl.col("primary") & ~pl.col("excluded") & pl.col("reachable") & pl.col("behind").is_not_null()
    loss = pl.col(f"loss_{measure}").filter(pool).min()
    found = standing.group_by(*_OF, "ts").agg(pl.when(pool.any()).then(loss).otherwise(float("inf")).alias("value"))
    return found.drop_nulls("value")


def _by_member(rows: pl.LazyFrame, members: pl.LazyFrame) -> pl.LazyFrame:
    known = rows.join(members, on=["cluster", "host"])
    return known.group_by(*_OF, "member", "ts").agg(pl.col("value").max())


def _newest(grid: pl.LazyFrame, rows: pl.LazyFrame, name: str, at: str) -> pl.LazyFrame:
    """The newest value of each member at or before the column `at`, with its time: `name` and `<name>_ts`."""
    found = rows.select(*_OF, "member", pl.col("ts").alias(f"{name}_ts"), pl.col("value").alias(name))
    return grid.sort(at).join_asof(
        found.sort(f"{name}_ts"),
        left_on=at,
        right_on=f"{name}_ts",
        by=[*_OF, "member"],
        tolerance=_REMEMBERED_MS - 1,
        check_sortedness=False,
        coalesce=False,
    )


def _rate(grid: pl.LazyFrame, rows: pl.LazyFrame, over_ms: int) -> pl.LazyFrame:
    """`rate`: By/s of each member over the time before its last position; 0 where there is one sample only."""
    first = rows.select(*_OF, "member", pl.col("ts").alias("first_ts"), pl.col("value").alias("first"))
    # Who has no position began never, and finds none.
    begun = grid.with_columns(begin=(pl.col("position_ts") - over_ms).fill_null(_NEVER)).sort("begin")
    known = begun.join_asof(
        first.sort("first_ts"),
        left_on="begin",
        right_on="first_ts",
        by=[*_OF, "member"],
        strategy="forward",
        check_sortedness=False,
        coalesce=False,
    )
    time = pl.col("position_ts") - pl.col("first_ts")
    rate = quotient((pl.col("position") - pl.col("first")) * 1000, time).clip(lower_bound=0)
    return known.with_columns(rate=pl.when(time > 0).then(rate).otherwise(0.0)).drop("begin", "first", "first_ts")


def _primaries(grid: pl.LazyFrame) -> pl.LazyFrame:
    """`primary`, and of the primary for every member: `reference` (position), `rate`, `gone` (when it was last seen).

    Who writes has a position and no lag of the same age or newer; among several the reachable, furthest one. Where all
    follow, nobody is the primary and the furthest is the reference.
    """
    writes = pl.col("position").is_not_null() & (
        pl.col("lag_ts").is_null() | (pl.col("lag_ts") < pl.col("position_ts"))
    )
    order = {"_writes": True, "reachable": True, "position": True, "stated": True, "member": False}
    first = (
        grid.with_columns(_writes=writes)
        .filter(pl.col("position").is_not_null())
        .sort(*order, descending=list(order.values()), nulls_last=True)
        .group_by(*_OF, "ts", maintain_order=True)
        .first()
    )
    of = first.select(
        *_OF,
        "ts",
        pl.when("_writes").then("member").alias("_primary"),
        pl.col("position").alias("reference"),
        pl.col("rate").alias("_rate"),
        pl.when("_writes").then("position_ts").otherwise("ts").alias("gone"),
    )
    joined = grid.join(of, on=[*_OF, "ts"], how="left")
    return joined.with_columns(
        primary=(pl.col("member") == pl.col("_primary")).fill_null(value=False),
        rate=pl.col("_rate"),
        gone=pl.col("gone").fill_null(pl.col("ts")),
    ).drop("_rate", "_primary")


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
