"""If a zone, region or host died now: the load of all as a share of what the others can carry."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

import polars as pl

from controlplane.frames import quotient
from controlplane.model.resources import Resource, ResourceKind

Cell = Literal["zone", "region", "host", "cluster"]

FRESH = timedelta(minutes=5)
"""A member's newest sample counts for so long (Prometheus' staleness)."""
MEMBERS = pl.Schema({"id": pl.String, "role": pl.String, "cell": pl.String})
CAPACITY = pl.Schema({"id": pl.String, "signal": pl.String, "capacity": pl.Float64, "scale": pl.Float64})
"""The most that a member carries of a signal, and the amount that a value of 1 stands for."""
LOADS = pl.Schema({"source": pl.String, "id": pl.String, "signal": pl.String, "ts": pl.Int64, "value": pl.Float64})
UPS = pl.Schema({"source": pl.String, "id": pl.String, "ts": pl.Int64, "value": pl.Float64})
_CELL = {"source": pl.String, "ts": pl.Int64, "role": pl.String, "cell": pl.String, "value": pl.Float64}
_COUNTS = {"members": pl.Int64, "down": pl.Int64, "unknown": pl.Int64, "lost": pl.Int64}
SURVIVORS = pl.Schema({**_CELL, "signal": pl.String, **_COUNTS})
"""One row a step, role and cell of which a member isn't down.

`value` is the load of all by the capacity of those elsewhere, for the `signal` that is worst; null where somebody
isn't measured, +Inf where nobody is elsewhere. `members`, `down` and `unknown` count the whole role, `lost` the cells
of it in which every member is down.
"""
SHARES = pl.Schema(
    {**_CELL, "signal": pl.String, **_COUNTS, "here": pl.Int64, "load": pl.Float64, "capacity": pl.Float64}
)
"""The same for each signal, with the members of the cell that aren't down, the load of all, and the cell's capacity."""

_CARRIERS = {
    ResourceKind.HOST,
    ResourceKind.VM,
    ResourceKind.CONTAINER,
    ResourceKind.INSTANCE,
    ResourceKind.BROKER,
    ResourceKind.DATABASE,
}
_SHARE = ".utilization"
_FRACTION = 2**40
_LARGEST = 1e18
"""Beyond this a number is no measurement, and sums of it would overflow."""
_STEP = ["source", "ts", "role"]


def cell_of(resource: Resource, cell: Cell) -> str:
    """The cell that a resource stands in, '' where the inventory doesn't say; a host is a cell of its own."""
    return resource.host or resource.id if cell == "host" else str(getattr(resource, cell))


def crew(resources: Iterable[Resource], cell: Cell, roles: Iterable[str] = ()) -> tuple[Resource, ...]:
    """What can carry load and stands in a cell; of all roles where none is named."""
    wanted = frozenset(roles)
    return tuple(
        resource
        for resource in resources
        if resource.kind in _CARRIERS and cell_of(resource, cell) and (not wanted or resource.role in wanted)
    )


def members(resources: Iterable[Resource], cell: Cell) -> pl.DataFrame:
    """MEMBERS of what `crew` gives."""
    rows = [(resource.id, resource.role, cell_of(resource, cell)) for resource in resources]
    return pl.DataFrame(rows, schema=MEMBERS, orient="row")


def capacities(resources: Iterable[Resource], signals: Iterable[str]) -> pl.DataFrame:
    """CAPACITY of what `crew` gives: the limit of the inventory, in the signal's unit.

    A share (`*.utilization`) is weighed by the size of what it is a share of; where no member of a role has a size,
    they count alike. A role of which some members have no limit or size is left out for that signal: no guess.
    """
    by_role: dict[str, list[Resource]] = {}
    for resource in resources:
        by_role.setdefault(resource.role, []).append(resource)
    rows: list[tuple[str, str, float, float]] = []
    for signal in dict.fromkeys(signals):
        for group in by_role.values():
            sizes = [_size(resource, signal) for resource in group]
            if signal.endswith(_SHARE) and not any(sizes):
                sizes = [1.0] * len(group)
            for one, size in zip(group, sizes if all(sizes) else (), strict=False):
                assert size is not None
                most = one.limits.get(signal, 1.0) * size if signal.endswith(_SHARE) else size
                rows.append((one.id, signal, most, size if signal.endswith(_SHARE) else 1.0))
    return pl.DataFrame(rows, schema=CAPACITY, orient="row")


def _size(resource: Resource, signal: str) -> float | None:
    """What a value is measured against; None where it isn't stated, is nothing, or is beyond all measure."""
    if signal.endswith(_SHARE):
        what = signal.removesuffix(_SHARE)
        size = resource.limit(f"{what}.usage") or resource.limit(f"{what}.throughput")
    else:
        size = resource.limit(signal)
    return size if size and size <= _LARGEST else None


def shares(
    who: pl.DataFrame, capacity: pl.DataFrame, loads: pl.DataFrame, ups: pl.DataFrame, steps: pl.DataFrame
) -> pl.DataFrame:
    """SHARES at the steps (source, ts), of MEMBERS, CAPACITY, LOADS and UPS (with FRESH before the first step).

    A member whose newest UPS value is 0 or less is down: it has neither load nor capacity. One that isn't down and has
    no fresh sample of a signal that others of its role have is unknown, and then nothing is said of the role. A signal
    that nobody of a role has is none of its loads. Sums are exact, so that the result depends on the step alone.
    """
    asked = who.join(steps, how="cross").sort("ts")
    state = _newest(asked, ups, "up").with_columns((pl.col("up") <= 0).fill_null(value=False).alias("gone"))
    parts = []
    for (signal,), sizes in capacity.group_by("signal", maintain_order=True):
        of_these = state.join(sizes.drop("signal"), on="id").sort("ts")
        rows = _newest(of_these, loads.filter(pl.col("signal") == signal).drop("signal"), "load")
        parts.append(rows.with_columns(pl.lit(signal, pl.String).alias("signal"), pl.col("load") * pl.col("scale")))
    return _by_cell(pl.concat(parts)) if parts else SHARES.to_frame()


def survivors(of_signals: pl.DataFrame) -> pl.DataFrame:
    """SURVIVORS of SHARES: the signal that is worst decides."""
    ranked = of_signals.sort(
        *_STEP, "cell", "value", "signal", descending=[False, False, False, False, True, False], nulls_last=True
    )
    return (
        ranked.group_by(*_STEP, "cell", maintain_order=True)
        .agg(
            pl.when(pl.col("value").null_count() == 0).then(pl.col("value").first()).first().alias("value"),
            pl.col("signal").first(),
            *(pl.col(name).max() for name in ("members", "down", "unknown", "lost")),
        )
        .select(SURVIVORS.names())
    )


def _newest(asked: pl.DataFrame, rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """`asked` (source, id, ts …) with the newest fresh value of each member."""
    usable = rows.filter(pl.col("value").is_finite(), pl.col("value").abs() <= _LARGEST).rename({"value": name})
    tolerance = FRESH // timedelta(milliseconds=1) - 1
    return asked.join_asof(usable.sort("ts"), on="ts", by=["source", "id"], tolerance=tolerance, check_sortedness=False)


def _by_cell(rows: pl.DataFrame) -> pl.DataFrame:
    """SHARES of members with `gone`, `load` and `capacity`."""
    here = ~pl.col("gone")
    known = (pl.col("load").abs() <= _LARGEST).fill_null(value=False)
    cells = rows.group_by(*_STEP, "signal", "cell").agg(
        _fixed(pl.col("load").filter(here, known)).sum().alias("load"),
        _fixed(pl.col("capacity").filter(here)).sum().alias("capacity"),
        pl.len().cast(pl.Int64).alias("members"),
        pl.col("gone").sum().cast(pl.Int64).alias("down"),
        (here & ~known).sum().cast(pl.Int64).alias("unknown"),
    )
    role = [*_STEP, "signal"]
    whole = cells.group_by(role).agg(
        *(pl.col(name).sum().alias(f"all_{name}") for name in ("load", "capacity", "members", "down", "unknown")),
        (pl.col("members") == pl.col("down")).sum().cast(pl.Int64).alias("lost"),
    )
    # A signal of which nobody has a sample is none that this role has.
    has = pl.col("all_members") > pl.col("all_down") + pl.col("all_unknown")
    both = cells.join(whole.filter(has), on=role)
    elsewhere = (pl.col("all_capacity") - pl.col("capacity")).cast(pl.Float64)
    share = quotient(pl.col("all_load").cast(pl.Float64), elsewhere)
    # 0.667 is no round number in binary: without rounding 66.7 % of three zones would be above 100.05 % of two.
    value = pl.when(elsewhere > 0).then(share.round_sig_figs(9)).otherwise(float("inf"))
    return (
        both.with_columns(
            pl.when(pl.col("all_unknown") == 0).then(value).alias("value"),
            (pl.col("members") - pl.col("down")).alias("here"),
            _amount("all_load").alias("load"),
            _amount("capacity"),
            *(pl.col(f"all_{name}").alias(name) for name in ("members", "down", "unknown")),
        )
        .filter(pl.col("here") > 0)
        .select(SHARES.names())
        .cast(SHARES)
    )


def _fixed(values: pl.Expr) -> pl.Expr:
    return (values * _FRACTION).round().cast(pl.Int128)


def _amount(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64) / _FRACTION
