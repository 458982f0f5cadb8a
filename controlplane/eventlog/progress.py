"""How far long work on the log has come."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called now and then with events done and events in all."""


def now_and_then(progress: Progress | None, events: int) -> Progress:
    """Passes on what it is told once every so many events, and when all are done."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if progress and (done - told >= events or done == total):
            told = done
            progress(done, total)

    return tell
