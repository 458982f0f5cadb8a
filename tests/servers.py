"""Real servers for tests: find their binaries, start them on loopback, wait until they answer, end them by pid."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
import requests

T = TypeVar("T")

_POLL_SECONDS = 0.05


def missing(reason: str) -> NoReturn:
    """Skip the test with the reason; under CI=true, where everything has to be there, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (tests may not be skipped in CI; .ci/install prepares the machine)", pytrace=False)
    pytest.skip(reason)


def require_binary(name: str, folders: Iterable[Path] = ()) -> Path:
    """The path of an installed program, looked for in PATH, /usr/sbin and `folders`; `missing` where it isn't there."""
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(["/usr/sbin", *map(str, folders)]))
    return Path(found) if found else missing(f"{name} is not installed")


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(probe: Callable[[], T], what: str, deadline: float = 60.0) -> T:
    """Poll until `probe` returns something true, and return that; AssertionError after `deadline` seconds.

    An exception of the probe counts as "not yet" and is named in the failure.
    """
    until = time.monotonic() + deadline
    problem: object = None
    while time.monotonic() < until:
        try:
            if result := probe():
                return result
            problem = None
        except Exception as error:  # noqa: BLE001 - it says not yet
            problem = error
        time.sleep(_POLL_SECONDS)
    because = f" ({problem!r})" if problem is not None else ""
    raise AssertionError(f"not within {deadline:g} s: {what}{because}")


@dataclass(slots=True)
class Server:
    """A process that a test started, in a process group of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children; nothing if it has ended."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def stop(self, grace: float = 10.0) -> None:
        """Ask it to end; kill it after `grace` seconds."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], object],
    deadline: float = 20.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
) -> Iterator[Server]:
    """Start a server, wait until `ready` returns something true, and end it when the block is left.

    Its output goes to the file `log`, the end of which is part of the failure where it doesn't get ready.
    `user` runs it as somebody else (needs root).
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    server = Server(process, log)

    def up() -> object:
        return process.poll() is not None or ready()

    try:
        try:
            eventually(up, f"{Path(command[0]).name} answers", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{server.tail()}") from None
        if process.returncode is not None:
            raise AssertionError(f"{Path(command[0]).name} ended with {process.returncode}\n{server.tail()}")
        yield server
    finally:
        server.signal(signal.SIGCONT)
        server.stop()


@contextlib.contextmanager
def start_prometheus(config: str, folder: Path, *options: str, listen: str | None = None) -> Iterator[str]:
    """A Prometheus with this configuration (YAML) and its data under `folder`; gives its URL."""
    binary, address = require_binary("prometheus"), listen or f"127.0.0.1:{free_port()}"
    file, url = folder / "prometheus.yml", f"http://{address}"
    file.write_text(config)
    command = [
        str(binary),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        *options,
    ]
    with running(command, log=folder / "prometheus.log", ready=lambda: answers(f"{url}/-/ready")):
        yield url


def answers(url: str, text: str = "") -> bool:
    """Whether a GET gives 200 and a body that contains `text`."""
    answer = requests.get(url, timeout=2)
    return answer.status_code == 200 and text in answer.text
