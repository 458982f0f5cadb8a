"""Dagster and what listens as services of their own: code server, daemon, pages, serve, receive; ended together."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import yaml
from filelock import FileLock, Timeout
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from controlplane.model.errors import ControlplaneError
from controlplane.settings import Settings, host_and_port

INSTANCE = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {
            "dequeue_interval_seconds": 1,
            "max_concurrent_runs": 4,
            # Two ticks at once would do the same work twice.
            "tag_concurrency_limits": [{"key": "controlplane/inline", "limit": 1}],
        },
    },
    "run_launcher": {"module": "assets.launcher", "class": "HybridRunLauncher"},
    # A tick whose daemon was killed is marked as failed, so that it doesn't hold up the next one.
    "run_monitoring": {"enabled": True, "poll_interval_seconds": 30, "start_timeout_seconds": 120},
    # Inline runs would capture the output of the whole daemon.
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"},
    "retention": {
        "sensor": {"purge_after_days": {"skipped": 1, "success": 1, "failure": 7}},
        "schedule": {"purge_after_days": 30},
    },
}
"""The launch configuration with the shortest way from sensor to finished tick (docs/dagster.md)."""
_START_SECONDS = 60
_STOP_SECONDS = 20
"""A tick under way may end; one that is killed is done again by the next."""
_PR_SET_PDEATHSIG = 1
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to look for what listens everywhere
_PROGRAM = "import sys; from controlplane.cli import main; sys.exit(main())"


class ServiceFailed(ControlplaneError):
    """A service ended, or never came up."""


class _Ended(SystemExit):
    """Asked to end; event loops let a SystemExit through."""


@contextmanager
def orderly_end() -> Iterator[None]:
    """SIGINT, SIGTERM and the end of the terminal leave the block, which cleans up; further ones are ignored."""
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # What a shell has programs in the background ignore stays ignored; SIGTERM always means the end.
        if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN
    ]

    def leave(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise _Ended

    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    except _Ended:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Services:
    """Starts the services of one control plane and ends exactly those, with the processes that they started."""

    def __init__(self, settings: Settings, config: Path, port: int) -> None:
        self._config = config
        self._port = port
        self._serve = None if settings.serve.address is None else host_and_port(settings.serve.address)
        self._receive = None if settings.receive.address is None else host_and_port(settings.receive.address)
        self._root = settings.home.absolute() / "dagster"
        self.logs = settings.home.absolute() / "logs"
        self._lock = FileLock(self._root / "up.lock")
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        self._root.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ServiceFailed(
                f"the services of {self._root.parent} are running already; end them, or give these another home"
            ) from None
        try:
            self._start_all()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def wait(self) -> None:
        """Block for as long as all services run; ServiceFailed says which one has ended."""
        while True:
            self.check()
            with suppress(subprocess.TimeoutExpired):
                self._running[0][1].wait(timeout=1)

    def check(self) -> None:
        """ServiceFailed says which service has ended, if one has."""
        for name, process in self._running:
            self._check(name, process)

    def _check(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is not None:
            raise ServiceFailed(f"{name} ended with {process.returncode}; see {self.logs / name}.log")

    def _start_all(self) -> None:
        if _listening("127.0.0.1", self._port):
            raise ServiceFailed(f"port {self._port} is taken; choose another one with --port")
        for name, address in (("serve", self._serve), ("receive", self._receive)):
            if address is not None and _listening(*address):
                host, port = address
                raise ServiceFailed(f"port {port} of {host} is taken; choose another one with {name}.address")
        (self._root / "dagster.yaml").write_text(yaml.safe_dump(INSTANCE), encoding="utf-8")
        code = _free_port()
        server = {"host": "127.0.0.1", "port": code, "location_name": "controlplane"}
        workspace = self._root / "workspace.yaml"
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
        module = ["-m", "dagster", "api", "grpc", "-m", "assets.definitions", "-h", "127.0.0.1", "-p", str(code)]
        self._start("code", module)
        self._await("code", "127.0.0.1", code)
        self._start("daemon", ["-m", "dagster._daemon", "run", "-w", str(workspace), "--log-level", "warning"])
        pages = ["-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(self._port), "-w", str(workspace)]
        self._start("webserver", pages)
        self._start("deliver", ["-c", _PROGRAM, "deliver", "--follow"])
        for name, address in (("serve", self._serve), ("receive", self._receive)):
            if address is not None:
                self._start(name, ["-c", _PROGRAM, name])
                self._await(name, *address)
        self._await("webserver", "127.0.0.1", self._port)

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(self._root),
            "CONTROLPLANE_CONFIG": str(self._config),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        path = self.logs / f"{name}.log"
        if path.exists():
            path.replace(path.with_suffix(".log.1"))
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                # Ctrl-C is for this process, which ends the others in good order.
                start_new_session=True,
                preexec_fn=_as_child(),
            )
        self._running.append((name, process))

    def _await(self, name: str, host: str, port: int) -> None:
        @retry(
            stop=stop_after_delay(_START_SECONDS),
            wait=wait_fixed(0.2),
            retry=retry_if_exception_type(ConnectionError),
            reraise=True,
        )
        def up() -> None:
            self.check()
            if not _listening(host, port):
                raise ConnectionRefusedError(name)

        try:
            up()
        except ConnectionError:
            raise ServiceFailed(f"{name} did not come up in {_START_SECONDS} s; see {self.logs / name}.log") from None

    def _stop(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        for _, process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _, process in self._running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
            # The group holds what the service itself started, such as runs.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()
        self._lock.release()


def _as_child() -> Callable[[], None]:
    """What a child does before it becomes a service."""
    prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None

    def prepare() -> None:
        # Dagster treats SIGTERM as it finds SIGINT, which a shell lets programs in the background ignore.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if prctl is not None:  # it ends with its parent, also where that is killed
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((_EVERYWHERE.get(host, host), port), timeout=1):
            return True
    except OSError:
        return False
