"""Measure one case in a process of its own: best and median time of a few runs, and the most memory they took."""

import gc
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Prepare = Callable[[Path], Callable[[], object]]


class Seconds(list[float]):
    """What the runs took that a piece of work timed by itself."""

    peak_bytes: int | None = None
    """The most memory that another program took, where it did the work."""


class Unavailable(Exception):
    """What a case needs isn't installed; says what to install."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A case that does the same by other means, and how much better than it a case has to be in the same run."""

    name: str
    faster: float = 1.0
    """The rival's best time has to be at least so many times as long."""
    memory: float | None = None
    """Share of the memory that the rival's work takes at most."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: `prepare` gets an empty folder and returns the work that is timed.

    Work that returns Seconds times itself.
    """

    name: str
    about: str
    prepare: Prepare
    runs: int = 3
    amount: int = 0
    """How many of `unit` one run works on; 0 = there is no rate to tell."""
    unit: str = ""
    target: float | None = None
    """Seconds that the median should stay below."""
    why: str = ""
    """Where the target comes from."""
    rival: Rival | None = None
    on_request: bool = False
    """Whether it takes so long that it is measured only when it is named."""
    tail: bool = False
    """Whether the target is for the p99 instead of the median."""


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds and bytes of a case."""

    name: str
    about: str
    runs: int
    best: float
    median: float
    cpu: float
    """Median of the processor time, over all cores and child processes: what others do on the machine isn't in it."""
    p99: float
    peak_bytes: int
    before_bytes: int
    """What the process held before the work began: libraries and prepared input."""
    amount: int
    unit: str
    target: float | None
    why: str
    tail: bool
    rival: Rival | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else (self.p99 if self.tail else self.median) < self.target

    @property
    def work_bytes(self) -> int:
        """The most memory that the work took on top of what was there before it."""
        return max(0, self.peak_bytes - self.before_bytes)

    def as_dict(self) -> dict[str, Any]:
        """The result as a document."""
        return {**asdict(self), "met": self.met}


class CaseFailed(Exception):
    """The work of a case raised, or its process died."""


def measure(case: Case) -> Result:
    """Run a case in a fresh process; CaseFailed where it doesn't come to an end, Unavailable where it can't begin."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(case, sender), name=case.name)
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError:
        process.join()
        raise CaseFailed(f"{case.name}: its process ended with {process.exitcode}") from None
    process.join()
    if isinstance(answer, Result):
        return answer
    if isinstance(answer, Unavailable):
        raise answer
    raise CaseFailed(f"{case.name}: {answer}")


def _child(case: Case, sender: Connection) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="controlplane-bench-") as folder:
            sender.send(_measured(case, Path(folder)))
    except Unavailable as error:
        sender.send(error)
    except Exception as error:  # noqa: BLE001 - the parent tells of it
        sender.send(f"{type(error).__name__}: {error}")
    finally:
        sender.close()


def _measured(case: Case, folder: Path) -> Result:
    work = case.prepare(folder)
    gc.collect()
    before = _reset_peak()
    seconds: list[float] = []
    cpu: list[float] = []
    elsewhere: int | None = None
    for _ in range(case.runs):
        began, began_cpu = time.perf_counter(), _cpu()
        own = work()
        taken, taken_cpu = time.perf_counter() - began, _cpu() - began_cpu
        seconds += own if isinstance(own, Seconds) else [taken]
        elsewhere = own.peak_bytes if isinstance(own, Seconds) else None
        cpu += [taken_cpu / len(own)] * len(own) if isinstance(own, Seconds) else [taken_cpu]
    ordered = sorted(seconds)
    return Result(
        name=case.name,
        about=case.about,
        runs=len(seconds),
        best=ordered[0],
        median=statistics.median(ordered),
        cpu=statistics.median(cpu),
        p99=ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))],
        peak_bytes=_peak() if elsewhere is None else elsewhere,
        before_bytes=before if elsewhere is None else 0,
        amount=case.amount,
        unit=case.unit,
        target=case.target,
        why=case.why,
        tail=case.tail,
        rival=case.rival,
    )


def _cpu() -> float:
    spent = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def _reset_peak() -> int:
    """Let the kernel count the peak from here (Linux); bytes that are resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return 0
    return _status("VmRSS")


def _peak() -> int:
    own = _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def _status(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else 0


@contextmanager
def timed(into: Seconds) -> Iterator[None]:
    """Append the seconds that the block takes."""
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)
