"""The telemetry file on disk: one user at a time, short openings, atomic replacement, broken files set aside.

The live file is never checkpointed: a write appends new blocks and the write-ahead log, so that a kill at any
moment leaves the last committed state. Everything else is a copy that replaces the file in one rename.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import duckdb
from filelock import FileLock, Timeout
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from controlplane.model.errors import ControlplaneError
from controlplane.telemetry.connections import (
    HOLDER,
    NEVER_CHECKPOINT,
    OFFLINE,
    SESSION,
    Broken,
    Connection,
    check_version,
    is_damage,
    is_locked,
    transaction,
)
from controlplane.telemetry.schema import DDL

T = TypeVar("T")


class StoreError(ControlplaneError):
    """The telemetry file can't be used, for a reason that is not in the file itself."""


class StoreBusy(StoreError):
    """Somebody else held the telemetry file for the whole time that the caller may wait."""


class TelemetryFile:
    """One DuckDB file and its lock. `wait` is the longest wait for another user of it.

    `on_set_aside(path, error)` is told of every broken file after it was renamed; it runs without the lock. A process
    that is forked after the first call needs an object of its own.
    """

    def __init__(self, path: Path, *, on_set_aside: Callable[[Path, str], None] | None = None, wait: timedelta) -> None:
        self.path = path.absolute()
        self._on_set_aside = on_set_aside
        self._wait = wait.total_seconds()
        self._deadline = 0.0
        self._engine: Connection | None = None

    def run(self, work: Callable[[Connection], T], *, read_only: bool = False) -> T:
        """Open the file as catalog `telemetry`, run `work` in one transaction, commit, close.

        Where the file turns out to be broken, it is set aside and `work` runs once more on a fresh one.
        """

        def session() -> T:
            with self._attached(self.path, "telemetry", read_only=read_only) as connection:
                check_version(connection)
                return transaction(connection, work)

        return self.guarded(session)

    def rewrite(self, copy: Callable[[Connection], T]) -> T:
        """Let `copy` fill the empty tables of catalog `fresh` from `telemetry`, then replace the file by the copy."""

        def session() -> T:
            with self._attached(self.path, "telemetry", read_only=True) as connection:
                check_version(connection)
                result = self._build(copy)
            self._publish()
            return result

        return self.guarded(session)

    def guarded(self, session: Callable[[], T]) -> T:
        """Run `session` while nobody else uses the file, which exists; broken files are set aside as in `run`.

        Raises StoreBusy after the wait, StoreError where the machine refuses (disk full, permissions).
        """
        aside: list[tuple[Path, str]] = []
        try:
            with self._locked():
                try:
                    self._prepare(aside)
                    return session()
                except (duckdb.Error, Broken) as error:
                    self._drop_engine()
                    if isinstance(error, duckdb.Error) and not is_damage(error):
                        raise
                    aside.append((self._set_aside(), _one_line(error)))
                self._prepare(aside)
                return session()
        except (duckdb.Error, Broken) as error:
            self._drop_engine()
            raise self._explained(error) from error
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror or error}. Check that the directory is there, writable and not full"
            ) from error
        finally:
            if self._on_set_aside is not None:
                for path, reason in aside:
                    self._on_set_aside(path, reason)

    def sizes(self) -> tuple[int, int]:
        """Bytes of the file and of its write-ahead log."""
        return _size(self.path), _size(self._beside(".wal"))

    def clean(self) -> None:
        """Delete what killed processes spilled to disk."""

        def session() -> None:
            # The directory stays: other processes' engines take it for granted.
            for leftover in self._beside(".spill").glob("*"):
                leftover.unlink(missing_ok=True)

        self.guarded(session)

    # opening

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self._wait
        lock_path = self._beside(".lock")
        lock = FileLock(lock_path, timeout=self._wait, poll_interval=0.01, thread_local=False, on_acquired=_write_pid)
        try:
            lock.acquire()
        except Timeout:
            holder = _read_pid(lock_path)
            raise self._busy(f"process {holder}" if holder else "another process") from None
        self._deadline = deadline
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _attached(self, path: Path, alias: str, *, read_only: bool) -> Iterator[Connection]:
        # Attaching to a kept engine takes 1 ms, a new engine 13 ms; the file is open in between only.
        engine = self._engine = self._engine or self._new_engine()
        statement = f"ATTACH ? AS {alias}" + (" (READ_ONLY)" if read_only else "")
        attempts = Retrying(
            retry=retry_if_exception(is_locked),
            stop=stop_after_delay(max(0.0, self._deadline - time.monotonic())),
            wait=wait_random_exponential(multiplier=0.01, max=0.25),
            reraise=True,
        )
        try:
            attempts(engine.execute, statement, [str(path)])
        except duckdb.Error as error:
            if path == self.path and is_damage(error, opening=True):
                raise Broken(str(error)) from error
            raise
        try:
            yield engine
        finally:
            try:
                engine.execute(f"DETACH {alias}")
            except duckdb.Error:
                self._drop_engine()

    def _new_engine(self) -> Connection:
        spill = {"temp_directory": str(self._beside(".spill"))}
        engine = duckdb.connect(":memory:", config={**OFFLINE, **NEVER_CHECKPOINT, **spill})
        engine.execute(SESSION)
        return engine

    def _drop_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(duckdb.Error):
                engine.close()

    # replacing

    def _prepare(self, aside: list[tuple[Path, str]]) -> None:
        """Finish or undo what a killed process left, and begin a file where there is none."""
        self._install()
        for leftover in (self._beside(".compacting"), self._beside(".compacting.wal")):
            leftover.unlink(missing_ok=True)
        if self.path.exists():
            if _size(self.path) == 0:
                aside.append((self._set_aside(), "the file is empty"))
        elif self._beside(".wal").exists():
            aside.append((self._set_aside(), "the write-ahead log has lost its file"))
        if not self.path.exists():
            self._build(lambda _: None)
            self._publish()

    def _build(self, fill: Callable[[Connection], T]) -> T:
        """Write a complete, checkpointed file next to the live one."""
        compacting = self._beside(".compacting")
        with self._attached(compacting, "fresh", read_only=False) as connection:
            connection.execute("USE fresh")
            connection.execute(DDL)
            connection.execute("USE memory")
            result = transaction(connection, fill)
            connection.execute("CHECKPOINT fresh")
        _sync(compacting)
        return result

    def _publish(self) -> None:
        self._beside(".compacting").rename(self._beside(".compacted"))
        _sync(self.path.parent)
        self._install()

    def _install(self) -> None:
        # `.compacted` is complete and on disk: from here on it is the truth, however often this is interrupted. The
        # old log has to go first, or it would be replayed into the new file.
        compacted = self._beside(".compacted")
        if compacted.exists():
            self._beside(".wal").unlink(missing_ok=True)
            _sync(self.path.parent)
            compacted.replace(self.path)
            _sync(self.path.parent)

    def _set_aside(self) -> Path:
        """Rename the file and its log; the name tells when it was last written. Nothing is deleted."""
        wal = self._beside(".wal")
        newest = max(file.stat().st_mtime for file in (self.path, wal) if file.exists())
        stamp = f"{datetime.fromtimestamp(newest, UTC):%Y%m%dT%H%M%SZ}"
        target = self._beside(f".broken-{stamp}")
        number = 1
        while target.exists() or Path(f"{target}.wal").exists():
            number += 1
            target = self._beside(f".broken-{stamp}-{number}")
        if self.path.exists():
            self.path.rename(target)
        if wal.exists():
            wal.rename(f"{target}.wal")
            if not target.exists():
                target = Path(f"{target}.wal")
        _sync(self.path.parent)
        return target

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    # errors

    def _explained(self, error: Exception) -> StoreError:
        if is_locked(error):
            held = HOLDER.search(str(error))
            return self._busy(f"process {held['pid']} ({held['program']})" if held else "another process")
        return StoreError(f"{self.path}: {_one_line(error)}. Check free disk space, memory and permissions")

    def _busy(self, holder: str) -> StoreBusy:
        return StoreBusy(
            f"{self.path} is in use by {holder} for more than {self._wait:g} s. "
            "Wait for it to finish, or end it if it hangs"
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_pid(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _read_pid(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.isdecimal() else ""
