"""A history cut into equal stretches of time, for as many bars or blocks as there is room."""

from collections.abc import Callable, Sequence

from tui.data.log import History

Pick = Callable[[Sequence[float]], float]
"""What stands for the values of a stretch."""

_RECENT_MS = 30 * 60_000
"""So far back from the newest point a history has every step; before that, points stand minutes apart."""
_GAP_MS = 5 * 60_000


def is_gap(before: int, after: int, newest: int) -> bool:
    """Whether two neighbours (epoch ms) are so far apart that something is missing between them."""
    return after - before > (_GAP_MS if after > newest - _RECENT_MS else 2 * _GAP_MS)


def shares(history: History, most: int, pick: Pick) -> list[float | None]:
    """At most `most` values, each picked from its share of the time; None where nothing was measured.

    A share between two points that aren't a gap apart goes on as the one before it.
    """
    if not history or most < 1:
        return []
    first, newest = history[0][0], history[-1][0]
    count = min(most, len(history))
    parts: list[list[tuple[int, float | None]]] = [[] for _ in range(count)]
    for ms, value in history:
        parts[(ms - first) * count // (newest - first + 1)].append((ms, value))
    found: list[float | None] = []
    last = first
    for number, part in enumerate(parts):
        if part:
            known = [value for _, value in part if value is not None and value - value == 0]  # finite
            found.append(pick(known) if known else None)
            last = part[-1][0]
        else:
            following = next(later[0][0] for later in parts[number + 1 :] if later)
            found.append(None if is_gap(last, following, newest) else found[-1])
    return found
