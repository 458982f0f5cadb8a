"""Sizes of placements in words."""

from collections.abc import Iterable

from controlplane.model.labels import printable
from controlplane.model.units import human
from controlplane.packing.problem import RESOURCES, Size

_SHOWN = 8


def amount(of: int, value: int) -> str:
    """A part of a size: `1,328`, `9.216 TB`."""
    return f"{round(value / 1000, 3):,.7g}" if of == 0 else human(value, "By")


def size(one: Size) -> str:
    """A whole size, without what is 0: `432 cores, 3.328 TB of memory`."""
    parts = [
        f"{amount(of, part)} {'cores' if of == 0 else f'of {RESOURCES[of]}'}" for of, part in enumerate(one) if part
    ]
    return ", ".join(parts) or "nothing"


def names(ids: Iterable[str], shown: int = _SHOWN) -> str:
    """Names, safe to print, of which the first are shown."""
    every = list(ids)
    more = f" and {len(every) - shown:,} more" if len(every) > shown else ""
    return ", ".join(printable(name, 60) for name in every[:shown]) + more
