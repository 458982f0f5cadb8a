"""Which series a rule looks at and which results they fold into, worked out once for a table of series.

A *slot* is one result of a view: a source and a label set. Members (series of a view) are listed slot by slot, so
that folding works on stretches of arrays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SLOTS = pl.Schema({"view": pl.UInt32, "source": pl.String, "labels": pl.String})
"""One row a slot; labels: canonical JSON of the labels in `by`, of all labels where a view doesn't fold."""


@dataclass(frozen=True, slots=True)
class View:
    """How some rules look at a signal."""

    platform: str
    signal: str
    where: tuple[tuple[str, str], ...]
    by: tuple[str, ...] | None
    fold: str | None

    def can_give(self, labels: Mapping[str, str]) -> bool:
        """Whether there may be series that it looks at whose result has these labels."""
        kept = None if self.by is None else frozenset(self.by)
        wanted = [(name, value) for name, value in self.where if kept is None or name in kept]
        return (kept is None or labels.keys() <= kept) and all(labels.get(name, "") == value for name, value in wanted)


@dataclass(frozen=True, slots=True)
class Block:
    """Slots that are folded in the same way; they lie next to each other, and so do their members."""

    fold: str
    """`""` where a view doesn't fold."""
    slots: slice
    members: slice
    codes: Ints
    """The slot of each member, counted from the first of the block."""
    starts: Ints
    """The first member of each slot, counted from the first of the block."""

    @property
    def alone(self) -> bool:
        """Whether every slot has one member."""
        return len(self.codes) == len(self.starts)


@dataclass(frozen=True, slots=True)
class Membership:
    """Slots of all views over one table of series."""

    slots: pl.DataFrame
    """SLOTS; the slots of a view lie next to each other."""
    columns: Ints
    """The row in the table of series of every member; within a slot in the order of the table."""
    blocks: tuple[Block, ...]
    spans: tuple[tuple[int, int], ...]
    """First and last + 1 slot of each view."""
    clashing: Bools
    """Slots whose view has another result with the same labels, or whose series don't fold and have equal labels."""

    def find(self, wanted: pl.DataFrame) -> Ints:
        """The slot of each row of `wanted` (SLOTS); -1 where there is none."""
        found = np.full(len(wanted), -1, np.int64)
        if wanted.is_empty():
            return found
        some = self.slots.with_row_index("slot").filter(pl.col("labels").is_in(wanted["labels"].unique().implode()))
        rows = wanted.with_row_index("row").join(some, on=SLOTS.names())
        found[rows["row"].to_numpy()] = rows["slot"].to_numpy()
        return found


@dataclass(slots=True)
class Memory:
    """The membership of the table of series that was seen last: most windows have the same series as the one before."""

    _last: tuple[pl.DataFrame, frozenset[int], Membership] | None = field(default=None, repr=False)

    def of(self, views: tuple[View, ...], series: pl.DataFrame, chosen: frozenset[int]) -> Membership:
        """Membership of the `chosen` views (numbers) in `series` (frames.SERIES)."""
        last = self._last
        if last is not None and last[1] == chosen and (last[0] is series or last[0].equals(series)):
            return last[2]
        made = membership(views, series, chosen)
        self._last = series, chosen, made
        return made


def membership(views: tuple[View, ...], series: pl.DataFrame, chosen: frozenset[int]) -> Membership:
    """Find the slots and members of the `chosen` views in `series` (frames.SERIES)."""
    alike: dict[tuple[str, tuple[str, ...]], list[pl.DataFrame]] = {}
    for number, rows in _members(views, series, chosen):
        alike.setdefault((views[number].fold or "", views[number].by or ()), []).append(rows)
    slots, columns, blocks, clashing = [SLOTS.to_frame()], [np.empty(0, np.int64)], [], [np.empty(0, np.bool_)]
    slot = member = 0
    for (fold, by), parts in alike.items():
        names, sizes, order, clash = _grouped(fold, by, parts)
        if not len(names):
            continue
        codes = np.repeat(np.arange(len(names)), sizes)
        starts = np.cumsum(sizes) - sizes
        blocks.append(Block(fold, slice(slot, slot + len(names)), slice(member, member + len(order)), codes, starts))
        slots.append(names)
        columns.append(order)
        clashing.append(clash)
        slot, member = slot + len(names), member + len(order)
    table = pl.concat(slots)
    spans = [(0, 0)] * len(views)
    ends = table.with_row_index("slot").group_by("view").agg(pl.min("slot"), pl.max("slot").alias("last"))
    for view, first, last in ends.iter_rows():
        spans[view] = first, last + 1
    return Membership(table, np.concatenate(columns), tuple(blocks), tuple(spans), np.concatenate(clashing))


def _members(
    views: tuple[View, ...], series: pl.DataFrame, chosen: frozenset[int]
) -> Iterator[tuple[int, pl.DataFrame]]:
    """For each view the rows of its series: view, source, column, and labels or a column for each name in `by`."""
    keyed = series.with_row_index("column").group_by("platform", "signal").agg("column")
    rows_of = {key: keyed["column"][row] for row, key in enumerate(keyed.select("platform", "signal").iter_rows())}
    over: dict[tuple[str, str], list[int]] = {}
    for number in sorted(chosen):
        over.setdefault((views[number].platform, views[number].signal), []).append(number)
    for (platform, signal), numbers in over.items():
        found = [rows_of[key] for key in {(platform, signal), ("", signal)} if key in rows_of]
        if not found:
            continue
        columns = pl.concat(found).sort().alias("column")
        mine = series.select("source", "labels")[columns].with_columns(columns)
        names = sorted(
            {name for n in numbers for name in (*(views[n].by or ()), *(name for name, _ in views[n].where))}
        )
        if names:
            fields = pl.Struct([pl.Field(name, pl.String) for name in names])
            mine = mine.with_columns(pl.col("labels").str.json_decode(fields).alias("_"))
        for number in numbers:
            view = views[number]
            there = mine
            for name, value in view.where:
                there = there.filter(pl.col("_").struct.field(name) == value)
            labels = (
                [pl.col("labels")]
                if view.by is None
                else [pl.col("_").struct.field(name).fill_null("").alias(f"_{name}") for name in view.by]
            )
            yield number, there.select(pl.lit(number, pl.UInt32).alias("view"), "source", "column", *labels)


def _grouped(fold: str, by: tuple[str, ...], parts: list[pl.DataFrame]) -> tuple[pl.DataFrame, Ints, Ints, Bools]:
    """Slots of like views, the number of members of each, the columns of the members slot by slot, and who clashes."""
    rows = pl.concat(parts)
    if not fold and all(part["labels"].n_unique() == len(part) for part in parts):
        free = np.zeros(len(rows), np.bool_)
        return rows.select(SLOTS.names()), np.ones(len(rows), np.int64), _ints(rows["column"]), free
    keys = [f"_{name}" for name in by] if fold else ["labels"]
    groups = rows.group_by("view", "source", *keys, maintain_order=True).agg("column")
    sizes = _ints(groups["column"].list.len())
    slots = groups.select("view", "source", _identity(by).alias("labels") if fold else "labels")
    clash = slots.select("view", "labels").is_duplicated().to_numpy()
    if not fold:
        clash = clash | (sizes > 1)
    return slots, sizes, _ints(groups["column"].explode()), clash


def _identity(by: tuple[str, ...]) -> pl.Expr:
    """Canonical JSON of the named labels, leaving out empty ones."""
    pairs = []
    for name in by:
        value = pl.col(f"_{name}")
        # A struct with one field encodes to {"name":…}; its inside is the quoted pair.
        pair = pl.struct(value.alias(name)).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        pairs.append(pl.when(value != "").then(pair))
    if not pairs:
        return pl.lit("{}")
    return pl.concat_str(pl.lit("{"), pl.concat_str(pairs, separator=",", ignore_nulls=True), pl.lit("}"))


def _ints(series: pl.Series) -> Ints:
    return series.cast(pl.Int64).to_numpy()
