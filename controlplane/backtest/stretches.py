"""Read a file of samples in time order, stretch by stretch, with bounded memory whatever the order of its rows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from controlplane.backtest.codes import Ints
from controlplane.backtest.samplefile import Group, Progress, Rows, SampleFile, step_of
from controlplane.frames import SAMPLES

TARGET_ROWS = 2_000_000
"""Samples of a stretch; one step may hold more."""
MAX_STEPS = 10_000
"""Steps of a stretch."""
_HELD_ROWS = 4 * TARGET_ROWS
"""A file that needs more rows in memory to be read in time order is put in order first."""
_RECORD = np.dtype([("ts", np.int64), ("sid", np.uint32), ("value", np.float64)])


def plan(file: SampleFile, first: int, last: int, steps: int | None = None) -> list[tuple[int, int]]:
    """(first, last) steps of the stretches that make up [first, last]: `steps` long, or of at most TARGET_ROWS rows."""
    step_ms, made, begin = file.step_ms, [], first
    before = np.concatenate([[0], np.cumsum(file.counts)])
    while begin <= last:
        if steps is not None:
            end = begin + (steps - 1) * step_ms
        else:
            place = int(np.searchsorted(file.steps, begin))
            full = int(np.searchsorted(before, before[place] + TARGET_ROWS, "right")) - 1
            # The step that doesn't fit any more begins the next stretch.
            end = int(file.steps[full]) - step_ms if full < len(file.steps) else last
            end = min(max(end, begin), begin + (MAX_STEPS - 1) * step_ms)
        made.append((begin, min(end, last)))
        begin = end + step_ms
    return made


def stretches(
    file: SampleFile, planned: list[tuple[int, int]], folder: Path, progress: Progress
) -> Iterator[pl.DataFrame]:
    """`frames.SAMPLES` of each planned stretch, in the order of step and series, on the grid and without NaN.

    Of several samples of a series that belong to one step the newest counts, of equally old ones the last.
    """
    if planned:
        pieces = _in_place if _held(file, planned) <= _HELD_ROWS else _put_in_order
        for (first, last), rows in zip(planned, pieces(file, planned, folder, progress), strict=True):
            yield _frame(rows, first, last, file)


def _held(file: SampleFile, planned: list[tuple[int, int]]) -> int:
    """Most rows in memory when row groups are read as their time comes."""
    firsts, lasts = (np.array([getattr(group, name) for group in file.groups]) for name in ("first", "last"))
    rows = np.array([group.rows for group in file.groups])
    held = [rows[(firsts <= end) & (lasts >= begin)].sum() for begin, end in planned]
    return int(max(held))


def _in_place(
    file: SampleFile, planned: list[tuple[int, int]], _folder: Path, _progress: Progress
) -> Iterator[list[Rows]]:
    waiting = sorted(_within(file, planned), key=lambda group: (-group.first, -group.index))
    held: dict[int, list[Rows]] = {}
    for first, last in planned:
        while waiting and waiting[-1].first <= last:
            group = waiting.pop()
            held[group.index] = list(file.rows(group))
        here: list[Rows] = []
        for index in sorted(held):
            later = []
            for rows in held[index]:
                steps = step_of(rows.ts, file.step_ms)
                inside, after = (steps >= first) & (steps <= last), steps > last
                if inside.any():
                    here.append(rows if inside.all() else rows.take(inside))
                if after.any():
                    later.append(rows if after.all() else rows.take(after))
            held[index] = later
        held = {index: parts for index, parts in held.items() if parts}
        yield here


def _within(file: SampleFile, planned: list[tuple[int, int]]) -> list[Group]:
    return [group for group in file.groups if group.first <= planned[-1][1] and group.last >= planned[0][0]]


def _put_in_order(
    file: SampleFile, planned: list[tuple[int, int]], folder: Path, progress: Progress
) -> Iterator[list[Rows]]:
    """Through one file a stretch in `folder`, each of which fits into memory."""
    ends = np.array([last for _, last in planned], np.int64)
    groups = _within(file, planned)
    total, done = sum(group.rows for group in groups), 0
    for group in groups:
        for rows in file.rows(group):
            steps = step_of(rows.ts, file.step_ms)
            kept = (steps >= planned[0][0]) & (steps <= planned[-1][1])
            part, place = rows.take(kept), np.searchsorted(ends, steps[kept])
            order = np.argsort(place, kind="stable")
            records = np.empty(len(part), _RECORD)
            for name in ("ts", "sid", "value"):
                records[name] = getattr(part, name)[order]
            cuts = np.searchsorted(place[order], np.arange(len(ends) + 1))
            for number in np.flatnonzero(np.diff(cuts)).tolist():
                with (folder / f"stretch-{number}").open("ab") as out:
                    records[cuts[number] : cuts[number + 1]].tofile(out)
            done += len(rows)
            progress("Putting the samples in order", done / total)
    for number in range(len(planned)):
        path = folder / f"stretch-{number}"
        if not path.exists():
            yield []
            continue
        records = np.fromfile(path, _RECORD)
        path.unlink()
        yield [Rows(records["ts"], records["sid"].astype(np.int64), records["value"])]


def _frame(parts: list[Rows], first: int, last: int, file: SampleFile) -> pl.DataFrame:
    if not parts:
        return SAMPLES.to_frame()
    ts, sid, value = (
        np.concatenate([getattr(rows, name) for rows in parts]) if len(parts) > 1 else getattr(parts[0], name)
        for name in ("ts", "sid", "value")
    )
    steps, size = step_of(ts, file.step_ms), len(file.series)
    order = _regular(steps, sid, file.step_ms, (last - first) // file.step_ms + 1)
    if order is None:
        key = (steps - first) // file.step_ms * size + sid
        if (np.diff(key) <= 0).any():
            by_key = np.lexsort((ts, key))
            key = key[by_key]
            order = by_key[np.append(key[1:] != key[:-1], True)]
    if order is not None:
        steps, sid, value = steps[order], sid[order], value[order]
    made = pl.DataFrame({"sid": sid.astype(np.uint32), "ts": steps, "value": value}, schema=SAMPLES)
    return made.with_columns(pl.col("value").fill_nan(None))


def _regular(steps: Ints, sid: Ints, step_ms: int, most: int) -> Ints | None:
    """The order by series within each step, where every step has the same series in the same order; else None.

    Files that were written step by step are like that, and one step then tells the order of all.
    """
    changes = np.flatnonzero(np.diff(steps))
    each = int(changes[0]) + 1 if len(changes) else len(steps)
    number, rest = divmod(len(steps), each)
    if rest or number > most or len(changes) != number - 1:
        return None
    table, times = sid.reshape(number, each), steps.reshape(number, each)
    same = (table == table[0]).all() and (times == times[:, :1]).all() and (np.diff(times[:, 0]) == step_ms).all()
    order = np.argsort(table[0], kind="stable")
    if not same or (np.diff(table[0][order]) == 0).any():
        return None
    return (np.arange(number)[:, None] * each + order).ravel()
