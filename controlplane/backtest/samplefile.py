"""A file of samples, looked through once: what is wrong in it, which series it has, and how many rows at which step."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars.exceptions import PolarsError

from controlplane.backtest.ahead import ahead
from controlplane.backtest.codes import TEXTS, Codes, Fresh, Ints, series_of, wrong_texts
from controlplane.documents import nearest
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.labels import printable
from controlplane.telemetry.recorded_rows import END_OF_TIME, NEEDED, REMEDIES, cell, instant, number

BATCH_ROWS = 1 << 20
SOURCE = "samples"
"""Name of the source that the samples of a file come from."""
_COLUMNS = (*NEEDED, "platform")
_SURVEYED = (*TEXTS, "ts", "bad")
_SHOWN = 10

Progress = Callable[[str, float], None]
"""Told what is being done and which share of it is done."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the order of the file: time in epoch ms, series number, value."""

    ts: Ints
    sid: Ints
    value: Floats

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, which: npt.NDArray[np.bool_] | slice) -> "Rows":
        """Some of the rows."""
        return Rows(self.ts[which], self.sid[which], self.value[which])


@dataclass(frozen=True, slots=True)
class Group:
    """A row group of the Parquet file: its place, rows, and the steps that they belong to."""

    index: int
    rows: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A file that can be used."""

    path: Path
    """The Parquet file that is read: the one given, or a converted copy of it."""
    step_ms: int
    series: pl.DataFrame
    """`frames.SERIES`."""
    steps: Ints
    """Grid steps that hold samples, in order."""
    counts: Ints
    """Rows at each of them."""
    groups: tuple[Group, ...]
    codes: Codes
    sids: Ints

    def rows(self, group: Group) -> Iterator[Rows]:
        """The rows of a row group, in batches."""
        for batch in _batches(self.path, group.index, _COLUMNS):
            numbers, _ = self.codes.of(batch)
            value = batch.column("value").to_numpy(zero_copy_only=False)
            yield Rows(batch.column("ts").to_numpy(), self.sids[numbers], value.astype(np.float64, copy=False))


def step_of(ts: Ints, step_ms: int) -> Ints:
    """The grid step that a sample belongs to: the one it lies on, else the next one."""
    late = ts % step_ms
    return np.where(late, ts - late + step_ms, ts) if late.any() else ts


def open_samples(path: Path, step_ms: int, folder: Path, progress: Progress) -> SampleFile:
    """Look through a Parquet or CSV file of samples; InvalidInput carries all that is wrong with it.

    A sample that the file keeps as text, CSV above all, is first converted to a Parquet file in `folder`.
    """
    try:
        path.open("rb").close()
        with_types = _typed(path)
        if with_types is None:
            progress("Converting the samples", 0.0)
            with_types = _converted(path, folder)
        return _look_through(path, with_types, step_ms, progress)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "Correct the path") from None
    except (PolarsError, pa.ArrowException) as error:
        if path.suffix.lower() == ".csv" and (ragged := _ragged(path)):
            raise InvalidInput(ragged) from None
        raise _unreadable(path, str(error), f"Is it the {path.suffix[1:]} file that its name says?") from None


def _unreadable(path: Path, reason: str, remedy: str) -> InvalidInput:
    return InvalidInput([Problem(Place(str(path)), f"can't be read: {printable(reason)}", remedy)])


def _ragged(path: Path) -> list[Problem]:
    """Lines of a CSV file that have more cells than its header: the first ones."""
    found: list[Problem] = []
    with path.open(encoding="utf-8", errors="replace", newline="") as text:
        reader = csv.reader(text)
        try:
            width = len(next(reader, []))
            for cells in reader:
                if len(cells) > width and len(found) < _SHOWN:
                    message = f"{len(cells)} cells, but the header has {width}"
                    remedy = "Put cells that hold a comma in quotes, and double the quotes in them"
                    found.append(Problem(Place(str(path), reader.line_num), message, remedy))
        except csv.Error as error:
            found.append(
                Problem(Place(str(path), reader.line_num), f"not valid CSV: {error}", "Check the quotes there")
            )
    return found


def _scan(path: Path) -> pl.LazyFrame:
    match path.suffix.lower():
        case ".parquet":
            return pl.scan_parquet(path, glob=False)
        case ".csv":
            return pl.scan_csv(path, infer_schema=False, glob=False)
    remedy = "Name it .parquet or .csv"
    raise InvalidInput([Problem(Place(str(path)), "is neither Parquet nor CSV by its name", remedy)])


def _typed(path: Path) -> Path | None:
    """The path itself where it is a Parquet file that has the columns in the types that are worked with."""
    schema = _scan(path).collect_schema()
    line = 1 if path.suffix.lower() == ".csv" else None
    missing = [name for name in NEEDED if name not in schema]
    if missing:
        remedies = [nearest(name, schema) or f"It needs the columns {', '.join(NEEDED)}" for name in missing]
        raise InvalidInput(
            [
                Problem(Place(str(path), line, path=name), f"the column {name!r} is missing", remedy)
                for name, remedy in zip(missing, remedies, strict=True)
            ]
        )
    if path.suffix.lower() != ".parquet":
        return None
    types = pq.read_schema(path)
    texts = [types.field(name).type for name in TEXTS if name in types.names]
    texts = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in texts]
    plain = all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in texts)
    typed = types.field("ts").type == pa.int64() and types.field("value").type == pa.float64()
    return path if plain and typed else None


def _converted(path: Path, folder: Path) -> Path:
    """A copy as typed Parquet; a cell that can't be used is null in `ts`, and marked in `bad` for the value."""
    scan = _scan(path)
    schema = scan.collect_schema()
    value = number(schema["value"])
    copy = folder / "samples.parquet"
    scan.select(
        ts=instant(schema["ts"]),
        value=value,
        bad=value.is_null() & pl.col("value").is_not_null(),
        **{name: pl.col(name).cast(pl.String) for name in TEXTS if name in schema},
    ).sink_parquet(copy, compression="lz4", row_group_size=BATCH_ROWS)
    return copy


def _batches(path: Path, group: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    names = pq.read_schema(path).names
    there = [name for name in columns if name in names]
    with pq.ParquetFile(path, read_dictionary=[name for name in TEXTS if name in there]) as file:
        yield from file.iter_batches(BATCH_ROWS, row_groups=[group], columns=there)


@dataclass(slots=True)
class _Wrong:
    """Cells that can't be used: the first ones, and how many there are."""

    cells: list[tuple[int, str, str | None]] = field(default_factory=list)
    more: int = 0

    def first(self, column: str, marked: npt.NDArray[np.bool_]) -> list[tuple[int, str, str | None]]:
        """The first marked places; the others are counted."""
        places = np.flatnonzero(marked)
        self.more += max(0, len(places) - _SHOWN)
        return [(int(place), column, None) for place in places[:_SHOWN]]

    def add(self, row: int, column: str, text: str | None) -> None:
        if len(self.cells) < _SHOWN:
            self.cells.append((row, column, text))
        else:
            self.more += 1


def _look_through(given: Path, path: Path, step_ms: int, progress: Progress) -> SampleFile:
    codes, wrong = Codes(), _Wrong()
    counted: dict[int, int] = {}
    groups: list[Group] = []
    with pq.ParquetFile(path) as file:
        total, number_of_groups = file.metadata.num_rows, file.metadata.num_row_groups
    row = 0
    every = ((index, batch) for index in range(number_of_groups) for batch in _batches(path, index, _SURVEYED))
    for index, batch in ahead(every):
        _, fresh = codes.of(batch)
        ts = _times(batch, row, fresh, wrong)
        if len(ts):
            steps, counts = _counted(step_of(ts, step_ms))
            for step, count in zip(steps.tolist(), counts.tolist(), strict=True):
                counted[step] = counted.get(step, 0) + count
            first, last = int(steps.min()), int(steps.max())
            if groups and groups[-1].index == index:
                before = groups.pop()
                first, last = min(first, before.first), max(last, before.last)
                groups.append(Group(index, before.rows + len(ts), first, last))
            else:
                groups.append(Group(index, len(ts), first, last))
        row += batch.num_rows
        progress("Looking through the samples", row / total)
    if wrong.cells:
        raise InvalidInput(_problems(given, wrong))
    if not row:
        raise InvalidInput([Problem(Place(str(given)), "has no rows", "Record some samples first")])
    series, sids = series_of(codes, SOURCE)
    steps = np.array(sorted(counted), np.int64)
    counts = np.array([counted[step] for step in steps.tolist()], np.int64)
    return SampleFile(path, step_ms, series, steps, counts, tuple(groups), codes, sids)


def _times(batch: pa.RecordBatch, row: int, fresh: Sequence[Fresh], wrong: _Wrong) -> Ints:
    """The times of a batch that can be used; the cells of it that can't are added to `wrong`."""
    bad: list[tuple[int, str, str | None]] = []
    if fresh:
        bad += wrong_texts(fresh)
    ts: Ints = batch.column("ts").fill_null(-1).to_numpy(zero_copy_only=False)
    outside = (ts < 0) | (ts >= END_OF_TIME)
    if outside.any():
        bad += wrong.first("ts", outside)
        ts = ts[~outside]
    if "bad" in batch.schema.names:
        marked = batch.column("bad").fill_null(True).to_numpy(zero_copy_only=False)
        bad += wrong.first("value", marked)
    for place, column, text in sorted(bad, key=lambda cell: cell[:2]):
        wrong.add(row + place + 1, column, text)
    return ts


def _counted(steps: Ints) -> tuple[Ints, Ints]:
    """Distinct steps and how many rows each has; rows that are in order, as mostly, need no sorting."""
    changes = np.flatnonzero(np.diff(steps)) + 1
    if len(changes) * 4 > len(steps):
        return np.unique(steps, return_counts=True)
    begins = np.concatenate([[0], changes])
    return steps[begins], np.diff(np.concatenate([begins, [len(steps)]]))


def _problems(path: Path, wrong: _Wrong) -> list[Problem]:
    """What is wrong, with lines of a CSV file (the header is line 1) or rows of a Parquet file (from 1)."""
    lines = path.suffix.lower() == ".csv"
    rows = sorted({row for row, _, _ in wrong.cells})
    # The text of a cell was lost when it was read as a number.
    frame = _scan(path).with_row_index("_row", 1).filter(pl.col("_row").is_in(rows)).collect()
    raw = {record["_row"]: record for record in frame.iter_rows(named=True)}
    found = []
    for row, column, text in wrong.cells:
        shown = cell(text if text is not None else raw[row].get(column))
        where = Place(str(path), row + 1 if lines else None, path=column)
        found.append(Problem(where, shown if lines else f"row {row}: {shown}", REMEDIES[column]))
    if wrong.more:
        found.append(Problem(Place(str(path)), f"and {wrong.more:,} more cells", "Correct them in the same way"))
    return found
