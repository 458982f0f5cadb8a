"""Which points of a long history are kept: all of the last half hour, and what was lowest and highest before that.

What is kept of a history doesn't depend on how often it is thinned on the way: thinning the kept points together with
new ones gives what thinning all of them at once gives.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FULL_MS = 30 * 60_000
"""How far back from the newest point every point is kept."""
KEPT_MS = 6 * 3_600_000
"""How far back anything is kept."""
BUCKET_MS = 5 * 60_000
"""Before the last half hour, the first lowest and the first highest point of each such stretch are kept."""


class Points(NamedTuple):
    """Points of several owners, ordered by owner and time, one at most an owner and time."""

    owner: Ints
    at: Ints
    """Epoch ms."""
    value: Floats
    """NaN = no number."""


def thinned(owner: Ints, at: Ints, value: Floats) -> Points:
    """The points worth keeping of each owner (numbers ≥ 0); of two at the same time the later in the arrays counts."""
    if not len(at):
        return Points(owner, at, value)
    order = np.lexsort((at, owner))
    owner, at, value = owner[order], at[order], value[order]
    last = np.append((owner[1:] != owner[:-1]) | (at[1:] != at[:-1]), True)
    owner, at, value = owner[last], at[last], value[last]
    count = np.bincount(owner)
    count = count[count > 0]
    newest = np.repeat(at[np.cumsum(count) - 1], count)
    end = at - at % BUCKET_MS + BUCKET_MS
    recent = end > newest - FULL_MS
    kept = recent | ((end > newest - KEPT_MS) & _extremes(owner, end, value))
    return Points(owner[kept], at[kept], value[kept])


def extremes(at: Ints, value: Floats, most: int) -> Bools:
    """At most `most` (≥ 3) points of one history: of equal stretches the lowest and highest, and the newest point."""
    if len(at) <= most:
        return np.ones(len(at), np.bool_)
    stretches = (most - 1) // 2
    stretch = (at - at[0]) * stretches // (at[-1] - at[0] + 1)
    kept = _extremes(np.zeros(len(at), np.int64), stretch, value)
    kept[-1] = True
    return kept


def _extremes(owner: Ints, stretch: Ints, value: Floats) -> Bools:
    """The first lowest and first highest of each stretch of an owner; the first where none is a number."""
    begins = np.append(True, (owner[1:] != owner[:-1]) | (stretch[1:] != stretch[:-1]))
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.append(starts, len(owner)))
    kept = np.zeros(len(owner), np.bool_)
    numbers = np.arange(len(owner))
    for extreme in (np.fmin, np.fmax):
        found = np.repeat(extreme.reduceat(value, starts), sizes)
        hit = (value == found) | np.isnan(found)
        kept[np.minimum.reduceat(np.where(hit, numbers, len(owner)), starts)] = True
    return kept
