"""Charts as pictures, drawn by another process: to load matplotlib takes seconds in which no message would be sent."""

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from typing import IO

from controlplane.model.labels import printable
from controlplane.model.notifications import Chart, Message

HEAD = struct.Struct(">?I")
"""Before an answer: whether it is a picture, and how many bytes follow."""
_KEPT = 16
_PASSED = ("HOME", "LANG", "LC_ALL", "MPLCONFIGDIR", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR", "XDG_CACHE_HOME")
"""What the process gets of the environment: no secret."""


class CannotDraw(Exception):
    """A chart that isn't there in time, or not at all."""


def caption(message: Message) -> str:
    """What the chart shows, in a line: the summary of the worst alert."""
    shown = message.chart.alert if message.chart is not None else ""
    summary = next((item.summary for item in message.members if item.alert == shown), message.title)
    return printable(summary, 90)


def picture(chart: Chart, title: str, seconds: float) -> bytes:
    """The chart as a PNG; CannotDraw where it takes longer than so many seconds, or can't be drawn."""
    return _ARTIST.draw(chart, title, seconds)


def warm() -> None:
    """Start the process in good time, so that the first chart doesn't wait for it."""
    threading.Thread(target=_ARTIST.start, name="chart-process", daemon=True).start()


class _Artist:
    """The process, started when it is first needed and again when it died; one chart at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: dict[tuple[Chart, str], bytes] = {}
        """The last pictures; several channels send the same one."""

    def start(self) -> None:
        with self._lock:
            self._running()

    def draw(self, chart: Chart, title: str, seconds: float) -> bytes:
        ends = time.monotonic() + seconds
        late = f"no chart within {seconds:g} s"
        if not self._lock.acquire(timeout=seconds):
            raise CannotDraw(late)
        try:
            if (chart, title) in self._kept:
                return self._kept[chart, title]
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            line = json.dumps({"chart": chart.model_dump(mode="json"), "title": title}).encode()
            try:
                process.stdin.write(line + b"\n")
                process.stdin.flush()
                drawn, size = HEAD.unpack(_read(process.stdout, HEAD.size, ends))
                data = _read(process.stdout, size, ends)
            except TimeoutError:
                self._end()
                raise CannotDraw(late) from None
            except (OSError, EOFError) as error:
                self._end()
                raise CannotDraw(f"the process that draws has ended ({type(error).__name__})") from None
            if not drawn:
                raise CannotDraw(data.decode("utf-8", "replace"))
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[chart, title] = data
            return data
        finally:
            self._lock.release()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controlplane.notify.chart"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _PASSED if name in os.environ},
                start_new_session=True,
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process.wait()
            self._process = None


def _read(pipe: IO[bytes], size: int, ends: float) -> bytes:
    data = b""
    while len(data) < size:
        ready, _, _ = select.select([pipe], [], [], max(0.0, ends - time.monotonic()))
        if not ready:
            raise TimeoutError
        # Not through the buffer, which `select` knows nothing of.
        more = os.read(pipe.fileno(), size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


_ARTIST = _Artist()
