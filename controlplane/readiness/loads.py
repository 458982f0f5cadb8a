"""What members carry at an instant, from stored samples or, for hosts, from what the inventory's machines ask for."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal

import polars as pl

from controlplane.frames import Samples, in_order
from controlplane.model.resources import Resource, ResourceKind
from controlplane.readiness import cells
from controlplane.readiness.cells import FRESH, LOADS, UPS, Cell

_GUESTS = {ResourceKind.VM, ResourceKind.CONTAINER}
_ASKED = {"cores": "hypervisor.vcpu.allocated", "memory_bytes": "hypervisor.memory.allocated"}


def cell_shares(
    samples: Samples,
    resources: Sequence[Resource],
    at_ms: int,
    *,
    platform: str,
    cell: Cell,
    of: Sequence[str],
    by: str,
    up: str | None = None,
    roles: Iterable[str] = (),
    asked: bool = False,
) -> pl.DataFrame:
    """`cells.SHARES` at one instant, for every source that has fresh samples.

    With `asked` and no samples of the signals, the load of a host is what the machines that the inventory places on it
    ask for; the source of those rows is `inventory`.
    """
    who = cells.crew(resources, cell, roles)
    series = samples.series.filter(pl.col("platform").is_in([platform, ""]))
    loads = _rows(samples, series.filter(pl.col("signal").is_in(list(of))), by, at_ms)
    sources = loads.select("source").unique().sort("source")
    if asked and loads.is_empty():
        loads = asked_loads(resources, who, at_ms)
        sources = loads.select("source").unique()
        of = list(_ASKED.values())
    ups = _rows(samples, series.filter(pl.col("signal") == (up or "")), by, at_ms).select(UPS.names())
    steps = sources.with_columns(pl.lit(at_ms, pl.Int64).alias("ts"))
    return cells.shares(cells.members(who, cell), cells.capacities(who, of), loads, ups, steps)


def asked_loads(resources: Iterable[Resource], hosts: Iterable[Resource], at_ms: int) -> pl.DataFrame:
    """LOADS: cores and memory that the machines on each host ask for; a host without machines has none to carry.

    A machine without a size leaves its host without a load for that signal: no guess.
    """
    by_host: dict[str, list[Resource]] = {}
    for resource in resources:
        if resource.kind in _GUESTS and resource.host:
            by_host.setdefault(resource.host, []).append(resource)
    rows = []
    for host in hosts if by_host else ():
        guests = by_host.get(host.id, [])
        for field, signal in _ASKED.items():
            sizes = [getattr(guest.capacity, field) for guest in guests]
            if None not in sizes:
                rows.append(("inventory", host.id, signal, at_ms, float(sum(sizes))))
    return pl.DataFrame(rows, schema=LOADS, orient="row")


def _rows(samples: Samples, series: pl.DataFrame, by: str, at_ms: int) -> pl.DataFrame:
    """LOADS of these series in the FRESH before an instant."""
    name = pl.col("labels").str.json_decode(pl.Struct({by: pl.String})).struct.field(by).fill_null("")
    recent = samples.samples.filter(
        pl.col("ts") > at_ms - FRESH // timedelta(milliseconds=1), pl.col("ts") <= at_ms, pl.col("value").is_finite()
    )
    return (
        recent.join(series.with_columns(name.alias("id")), on="sid")
        .sort("source", "id", "signal", "ts", "labels")
        .group_by("source", "id", "signal", "ts", maintain_order=True)
        .agg(in_order(pl.col("value")).list.sum())
        .select(LOADS.names())
    )


def newest(
    samples: Samples,
    platform: str,
    signal: str,
    until_ms: int,
    *,
    where: Mapping[str, str] | None = None,
    fold: Literal["max", "sum"] = "max",
    within: timedelta = FRESH,
) -> float | None:
    """The newest value of a signal up to an instant, over all its series; None where there is none within that time.

    Of several sources the largest counts.
    """
    names = dict.fromkeys(where or {}, pl.String)
    series = samples.series.filter(pl.col("platform").is_in([platform, ""]), pl.col("signal") == signal)
    if names:
        decoded = pl.col("labels").str.json_decode(pl.Struct(names))
        conditions = [decoded.struct.field(name).fill_null("") == value for name, value in (where or {}).items()]
        series = series.filter(*conditions)
    rows = samples.samples.filter(
        pl.col("ts") > until_ms - within // timedelta(milliseconds=1),
        pl.col("ts") <= until_ms,
        pl.col("value").is_finite(),
    ).join(series, on="sid")
    last = rows.sort("source", "labels", "ts").group_by("source", "labels", maintain_order=True).last()
    if last.is_empty():
        return None
    value = in_order(pl.col("value")).list.sum() if fold == "sum" else pl.col("value").max()
    of_sources = last.group_by("source", maintain_order=True).agg(value)["value"].to_list()
    return float(max(of_sources))
