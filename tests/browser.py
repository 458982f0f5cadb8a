"""Chromium without a window, driven through its DevTools protocol: opens a page, asks it things, types into it."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers import require_binary

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?<>=]*[a-zA-Z$]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>78])")
"""What moves the cursor or colours."""


class Page:
    """A page of the browser; `requested` are the URLs that it has asked for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.requested: list[str] = []
        self._drawn = ""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if (waiting := self._answers.pop(told.get("id", 0), None)) is not None:
                waiting.set_result(told)
            elif told.get("method") == "Network.requestWillBeSent":
                self.requested.append(told["params"]["request"]["url"])
            elif told.get("method") == "Network.webSocketCreated":
                self.requested.append(told["params"]["url"])
            elif told.get("method") == "Network.webSocketFrameReceived":
                frame = told["params"]["response"]
                data = base64.b64decode(frame["payloadData"]) if frame["opcode"] == 2 else frame["payloadData"].encode()
                self._drawn += _ESCAPE.sub("", data.decode(errors="replace"))

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have a command of the protocol done; AssertionError where it fails."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, 30)
        assert "error" not in told, told["error"]
        result: dict[str, Any] = told["result"]
        return result

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, script: str, what: str, seconds: float = 25.0) -> Any:
        """Wait until an expression is true in the page; AssertionError with what was waited for."""
        found = None
        try:
            async with asyncio.timeout(seconds):
                while not (found := await self.run(script)):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s: {what}") from None
        return found

    async def shows(self, text: str, seconds: float = 25.0) -> None:
        """Wait until a terminal in the page has been told to draw a text; AssertionError with what it drew."""
        try:
            async with asyncio.timeout(seconds):
                while text not in self._drawn:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{text!r} isn't among what was drawn: {self._drawn[-2000:]}") from None

    async def press(self, text: str) -> None:
        """Type characters, each as a key; `\\r` is Enter."""
        for character in text:
            named = {"\r": ("Enter", 13), "\x1b": ("Escape", 27)}.get(character)
            key, code = named or (character, ord(character.upper()))
            plain = {"key": key, "windowsVirtualKeyCode": code}
            sent = plain if character == "\x1b" else plain | {"text": character}
            await self.ask("Input.dispatchKeyEvent", type="keyDown", **sent)
            await self.ask("Input.dispatchKeyEvent", type="keyUp", **plain)

    async def picture(self, path: Path) -> None:
        """A PNG of what is seen."""
        told = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))


@contextlib.asynccontextmanager
async def page(url: str, folder: Path, size: tuple[int, int] = (1280, 720), before: str = "") -> AsyncIterator[Page]:
    """Chromium with one page open at a URL; `before` runs in it before anything of its own. `folder` is its profile."""
    binary = require_binary("chromium")
    command = [
        str(binary),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        f"--window-size={size[0]},{size[1]}",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
    ]
    log = (folder.parent / "chromium.log").open("wb")
    process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, start_new_session=True)
    try:
        port = await _port(folder / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                found = next(one for one in await answer.json() if one["type"] == "page")
            async with session.ws_connect(found["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                opened = Page(socket)
                for domain in ("Page", "Network", "Runtime"):
                    await opened.ask(f"{domain}.enable")
                if before:
                    await opened.ask("Page.addScriptToEvaluateOnNewDocument", source=before)
                await opened.ask("Page.navigate", url=url)
                yield opened
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            os.killpg(process.pid, 9)
            await process.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _port(path: Path, process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(60):
        while not (path.exists() and path.read_text().strip()):
            assert process.returncode is None, f"chromium ended with {process.returncode}; see {path.parent.parent}"
            await asyncio.sleep(0.05)
    return int(path.read_text().split("\n")[0])
