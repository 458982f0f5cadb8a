"""The collector of garbage leaves alone what the terminal loads: to pass over it is felt at the start and in typing."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.data import Log


@contextmanager
def put_off() -> Iterator[None]:
    """Collect nothing until the terminal has painted something and enables it, or has ended."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def opening(log: "Log | Callable[[], Log]") -> "Callable[[], Log]":
    """A function that opens the log, if it isn't open; with it, all that the terminal needs is loaded and stays."""

    def opened() -> "Log":
        found = log() if callable(log) else log
        gc.collect()
        gc.freeze()
        return found

    return opened
