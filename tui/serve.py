"""The terminal in a browser on this machine: a process of its own for each page, which shows and changes nothing.

textual-serve has no authentication and takes any origin. So this listens on loopback alone, answers no other host name
(a page elsewhere may have its own name lead here) and no other origin, and the command that it starts is read-only.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from controlplane.model.errors import ControlplaneError

HOST = "127.0.0.1"
DEFAULT_PORT = 8765
PAGES = 8
"""Pages that may be open at a time; each takes a process."""
_PATIENCE = 3.0
"""Seconds that a page's process gets to end by itself."""
_POLICY = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    f"connect-src 'self' ws://{HOST}:* ws://localhost:*",
    "frame-ancestors 'none'",
)
_HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CannotServe(ControlplaneError):
    """The port can't be used."""


class Page(AppService):
    """The process of one page; it is ended with its page, by force if it takes too long."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        environment = self._build_environment(*_bounded(width, height)) | {"TEXTUAL_FPS": "20"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self.command.split("\0"), stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        self._process, self._stdin = process, process.stdin
        return process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Take a size within what a screen can be."""
        await super().set_terminal_size(*_bounded(width, height))

    async def stop(self) -> None:
        """Ask the process to end, and end it where it doesn't."""
        task, process = self._task, self._process
        self._task = None
        if task is None or process is None:
            return
        with suppress(Exception):  # it may be gone already
            await asyncio.wait_for(self.send_meta({"type": "quit"}), _PATIENCE)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _PATIENCE)
        if process.returncode is None:
            process.kill()
            await process.wait()
        with suppress(TimeoutError):
            await asyncio.wait_for(task, _PATIENCE)


class PageServer(Server):
    """Serves `command` to pages of this machine alone, at most PAGES at a time."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        super().__init__(
            "\0".join(command),
            host=HOST,
            port=port,
            title="controlplane",
            templates_path=Path(__file__).parent / "page",
        )
        self._pages: dict[web.WebSocketResponse, Page] = {}
        self._opening = 0

    async def application(self) -> web.Application:
        """The routes, behind the check of host and origin."""
        app = await self._make_app()
        app.middlewares.append(self._guard)
        return app

    def at(self, port: int) -> None:
        """Take the port that was given."""
        self.port, self.public_url = port, f"http://{HOST}:{port}"

    @property
    def _hosts(self) -> frozenset[str]:
        return frozenset({f"{name}:{self.port}" for name in (HOST, "localhost")})

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise web.HTTPForbidden(text="This answers to 127.0.0.1 and localhost alone.\n")
        allowed = {f"http://{host}" for host in self._hosts}
        if any(origin not in allowed for origin in origins) or (request.path == "/ws" and len(origins) != 1):
            raise web.HTTPForbidden(text="Other pages may not open this one.\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: whoever starts it does."""

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Open a page's process and hand what is typed and drawn to and fro until either ends."""
        if len(self._pages) + self._opening >= PAGES:
            raise web.HTTPServiceUnavailable(text=f"{PAGES} pages are open; close one first.\n")
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=1 << 16)
        self._opening += 1
        try:
            await socket.prepare(request)
            page = Page(
                self.command,
                write_bytes=socket.send_bytes,
                write_str=socket.send_str,
                close=partial(_close, socket),
                download_manager=self.download_manager,
            )
            self._pages[socket] = page
        finally:
            self._opening -= 1
        try:
            await page.start(_number(request.query.get("width"), 80), _number(request.query.get("height"), 24))
            await self._process_messages(socket, page)
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            await page.stop()
            del self._pages[socket]
        return socket

    async def close(self) -> None:
        """End every page."""
        pages = list(self._pages.items())
        closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket, _ in pages]
        await asyncio.gather(*closing, *(page.stop() for _, page in pages), return_exceptions=True)


def serve(command: Sequence[str], port: int, tell: Callable[[str], None]) -> None:
    """Serve a command until Ctrl-C or SIGTERM; CannotServe where the port can't be used."""
    asyncio.run(_serve(PageServer(command, port), port, tell))


async def _serve(server: PageServer, port: int, tell: Callable[[str], None]) -> None:
    runner = web.AppRunner(await server.application(), access_log=None, shutdown_timeout=_PATIENCE)
    await runner.setup()
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            said = os.strerror(error.errno) if error.errno else str(error)
            raise CannotServe(f"port {port} can't be used ({said}); choose another with --port") from None
        server.at(runner.addresses[0][1])
        tell(
            f"http://{HOST}:{server.port}/ shows the terminal to whoever is on this machine, read-only. Ctrl-C ends it."
        )
        await stopped.wait()
    finally:
        await server.close()
        await runner.cleanup()


def follow(server: int) -> None:
    """End this process, the one of a page, once the server that started it is gone."""

    def watch() -> None:
        while os.getppid() == server:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="server", daemon=True).start()


async def _close(socket: web.WebSocketResponse) -> None:
    await socket.close()


def _bounded(width: int, height: int) -> tuple[int, int]:
    return max(20, min(int(width), 500)), max(5, min(int(height), 200))


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else otherwise
