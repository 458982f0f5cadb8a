"""Python's cyclic garbage collector while a tick decides."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLD = 5_000_000
"""New objects before it looks at them."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the collector look seldom: a storm makes millions of objects and no cycles, and it would take a third of it.

    What nobody refers to any more is freed at once in any case.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], THRESHOLD), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
