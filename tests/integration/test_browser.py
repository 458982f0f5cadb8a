"""`tui --serve` in a real browser: what it shows, that nothing can be changed, and that its processes end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import page
from tests.servers import eventually, require_binary
from tests.tui import sample
from tests.tui.past import NODE, short_past


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


async def test_the_terminal_in_a_browser(tmp_path: Path) -> None:
    require_binary("chromium")
    with sample.open_log(tmp_path) as log:
        sample.append(log, short_past())
        head = log.head()
        said = (tmp_path / "said").open("w+")
        server = subprocess.Popen(
            [sys.executable, "-m", "controlplane", "tui", "--serve", "--port", "0"],
            env={**os.environ, "CONTROLPLANE_HOME": str(tmp_path)},
            cwd=tmp_path,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            found = eventually(
                lambda: re.search(r"http://127\.0\.0\.1:\d+/", (tmp_path / "said").read_text()), "the address"
            )
            async with page(found[0], tmp_path / "profile") as opened:
                await opened.until("document.body?.classList.contains('-first-byte')", "the first picture")
                await opened.shows(NODE.title)
                await opened.until(_DRAWN, "something drawn")
                await opened.shows("READ-ONLY")
                await opened.run("document.querySelector('.xterm-helper-textarea').focus()")
                for key in "aA":
                    await opened.press(key)
                await opened.shows("This terminal is read-only.")
                await opened.press("2")
                await opened.shows("consumer group billing")
                await opened.picture(tmp_path / "browser.png")
                assert {re.match(r"(?:http|ws)://[^/]+", url)[0].partition("//")[2] for url in opened.requested} == {
                    found[0].split("/")[2]
                }
            assert log.head() == head
            eventually(lambda: not _children(server.pid), "the end of the page's process")
            server.send_signal(signal.SIGINT)
            assert server.wait(15) == 0
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
            said.close()


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_no_process_outlives_the_server(tmp_path: Path, name: signal.Signals) -> None:
    import aiohttp

    with sample.open_log(tmp_path) as log:
        sample.append(log, short_past())
    said = tmp_path / "said"
    with said.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "controlplane", "tui", "--serve", "--port", "0"],
            env={**os.environ, "CONTROLPLANE_HOME": str(tmp_path)},
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        found = eventually(lambda: re.search(r"http://127\.0\.0\.1:\d+", said.read_text()), "the address")
        async with aiohttp.ClientSession(headers={"Origin": found[0]}) as session:
            socket = await session.ws_connect(f"{found[0]}/ws")
            await socket.receive(30)
            children = _children(server.pid)
            assert len(children) == 1
            server.send_signal(name)
            server.wait(15)
        eventually(lambda: not Path(f"/proc/{children[0]}").exists(), "the end of the page's process", 20)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


_DRAWN = """(() => {
    const layer = document.querySelector('canvas.xterm-text-layer');
    if (!layer) return false;
    const data = layer.getContext('2d').getImageData(0, 0, layer.width, layer.height).data;
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
    return seen.size > 8;
})()"""
"""Whether the terminal has drawn more than a background."""
