"""Labels of metrics, bounded in number and length: what names a series may come from anywhere."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from controlplane.model.labels import printable

MOST = 100
"""Values of a label; what is beyond, in the order of names, is one series `other`."""
LONGEST = 64
OTHER = "other"


def bounded(
    values: Mapping[Any, float], merge: Callable[[Iterable[float]], float] = sum
) -> dict[tuple[str, ...], float]:
    """The same values by tuples of bounded labels; what falls together is merged."""
    kept = [set(sorted({name(text) for text in column})[:MOST]) for column in zip(*values, strict=True)]
    found: dict[tuple[str, ...], list[float]] = {}
    for labels, value in values.items():
        short = tuple(text if text in known else OTHER for text, known in zip(map(name, labels), kept, strict=True))
        found.setdefault(short, []).append(value)
    return {labels: merge(found[labels]) for labels in sorted(found)}


def name(text: str) -> str:
    """A label's value on one printable line of at most LONGEST characters."""
    return printable(text, LONGEST)
