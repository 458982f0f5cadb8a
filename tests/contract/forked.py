"""Processes made to be killed: each forked from one that has imported everything and run nothing."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection

_SERVED = multiprocessing.get_context("forkserver")
_SERVED.set_forkserver_preload(["tests.contract.ticker", "tests.contract.sample_writer"])
STARTING = 60
"""Seconds that a process may take to be ready, on a busy machine."""


class Forked:
    """A running `work(*arguments, tell)`, which has told `ready`; what it tells is kept until it is asked for."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._told, tell = _SERVED.Pipe(duplex=False)
        self.process = _SERVED.Process(target=_run, args=(work, arguments, tell))
        self.process.start()
        tell.close()
        assert self.told(STARTING) == "ready"

    def told(self, seconds: float) -> str | None:
        """What it tells next; None where it ended without another word."""
        assert self._told.poll(seconds), f"nothing within {seconds} s"
        try:
            return str(self._told.recv())
        except (EOFError, OSError):  # it ended, or was killed half through a word
            return None

    def ended(self, seconds: float) -> bool:
        """Whether it ended by itself within so many seconds."""
        self.process.join(seconds)
        return self.process.exitcode is not None

    def kill(self) -> list[str]:
        """Kill it; all that it told and nobody asked for."""
        self.process.kill()
        return self.rest()

    def rest(self) -> list[str]:
        """All that it tells until it ends."""
        words = list(iter(lambda: self.told(STARTING), None))
        self.process.join()
        self._told.close()
        return words


def _run(work: Callable[..., None], arguments: tuple[object, ...], tell: Connection) -> None:
    work(*arguments, tell.send)
