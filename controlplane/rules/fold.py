"""From samples to one value per slot and step: folding follows Prometheus.

`sum` and `avg` of a value that is not a number are not a number, `max` and `min` ignore it, `count` counts it. Values
are added one after the other in the order of the series, so that the last digit depends neither on threads nor on the
other steps and series of a window.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne

import numpy as np
import numpy.typing as npt
import polars as pl

from controlplane.frames import Samples
from controlplane.rules.membership import Block, Bools, Ints, Membership

Floats = npt.NDArray[np.float64]

RESULTS = pl.Schema(
    {
        "rule": pl.String,
        "order": pl.UInt32,
        "source": pl.String,
        "labels": pl.String,
        "ts": pl.Int64,
        "value": pl.Float64,
        "met": pl.Boolean,
        "cleared": pl.Boolean,
    }
)
"""One row a rule, label set and step at which the folded signal has a value (null = not a number)."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": gt, ">=": ge, "<": lt, "<=": le, "==": eq, "!=": ne,
}  # fmt: skip


def compare(value: float, operator: str, threshold: float) -> bool:
    """Whether one number meets a condition."""
    return _COMPARISONS[operator](value, threshold)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What every slot of a membership shows at every step: arrays of steps × slots."""

    of: Membership
    steps: Ints
    value: Floats
    """NaN where there is none or it is not a number."""
    present: Bools | None
    """Where there is a value; None = everywhere."""
    count: Ints | None
    """How many results share the slot; None = one wherever there is a value."""

    def there(self, slots: Ints | slice) -> Bools:
        """Where some slots have a value."""
        if self.present is None:
            return np.ones(self.value[:, slots].shape, np.bool_)
        return self.present[:, slots]


def fold(membership: Membership, window: Samples, steps: Ints) -> Sheet:
    """Fold the samples of a window, one at most a series and step, over the slots of its series at `steps` (ms)."""
    wide, there = _wide(window, steps)
    shape = (len(steps), len(membership.slots))
    value = np.empty(shape)
    present = None if there is None else np.empty(shape, np.bool_)
    count: Ints | None = None
    for block in membership.blocks:
        columns = membership.columns[block.members]
        values = np.take(wide, columns, axis=1)
        having = None if there is None else np.take(there, columns, axis=1)
        value[:, block.slots], n = _folded(block, values, having)
        if present is not None:
            present[:, block.slots] = n > 0
        if not block.fold and not block.alone:
            count = np.ones(shape, np.int64) if count is None else count
            count[:, block.slots] = n
    return Sheet(membership, steps, value, present, count)


def _wide(window: Samples, steps: Ints) -> tuple[Floats, Bools | None]:
    """Samples as steps × series, and where there is one; None = everywhere."""
    series = window.series["sid"].to_numpy()
    sid, ts, value = (window.samples[name].to_numpy() for name in ("sid", "ts", "value"))
    shape = (len(steps), len(series))
    if len(sid) == len(steps) * len(series):
        # In the order in which the store gives them, and without a gap: nothing has to be looked up.
        by_series = (len(series), len(steps))
        if (ts.reshape(by_series) == steps).all() and (sid.reshape(by_series) == series[:, None]).all():
            return np.ascontiguousarray(value.reshape(by_series).T), None
    column_of = np.full(max(series.max(initial=0), sid.max(initial=0)) + 1, -1, np.int64)
    column_of[series] = np.arange(len(series))
    step, column = np.searchsorted(steps, ts), column_of[sid]
    fits = (column >= 0) & (steps[np.minimum(step, len(steps) - 1)] == ts)
    if not fits.all():
        step, column, value = step[fits], column[fits], value[fits]
    at = step * len(series) + column
    wide, there = np.full(shape, np.nan), np.zeros(shape, np.bool_)
    wide.reshape(-1)[at] = value
    there.reshape(-1)[at] = True
    return wide, None if there.all() else there


def _folded(block: Block, values: Floats, there: Bools | None) -> tuple[Floats, Ints]:
    """The value of each slot and step, and how many members have one."""
    size = len(block.starts)
    if block.alone and block.fold in {"", "max", "min"}:
        n = np.ones((1, size), np.int64) if there is None else there.astype(np.int64)
        return values, n
    if there is None:
        n = np.bincount(block.codes, minlength=size)[None, :]
    else:
        n = np.add.reduceat(there, block.starts, axis=1, dtype=np.int64)
    match block.fold:
        case "max":
            return np.fmax.reduceat(values, block.starts, axis=1), n
        case "min":
            return np.fmin.reduceat(values, block.starts, axis=1), n
        case "count":
            counted = np.broadcast_to(n, (len(values), size)).astype(np.float64)
            counted[counted == 0] = np.nan
            return counted, n
        case "sum" | "avg":
            if there is not None:
                values = np.where(there, values, 0.0)
            # bincount adds one value after the other; add.reduceat adds in parts that depend on the number of members.
            total = np.array([np.bincount(block.codes, weights=row, minlength=size) for row in values])
            most = np.maximum(n, 1) if block.fold == "avg" else 1
            return np.where(n > 0, total / most, np.nan), n
    first = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    if there is not None:
        first = np.where(there, first, values.shape[1] - 1)
    chosen = np.take_along_axis(values, np.minimum.reduceat(first, block.starts, axis=1), axis=1)
    return np.where(n > 0, chosen, np.nan), n
