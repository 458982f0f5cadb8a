"""The server of the browser terminal: who is answered, how many pages there are, and that their processes end."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tui import serve
from tui.serve import HOST, PageServer

STUBBORN = """
import sys, time
sys.stdout.buffer.write(b"__GANGLION__\\n")
sys.stdout.buffer.write(b"D" + (5).to_bytes(4, "big") + b"ready")
sys.stdout.flush()
time.sleep(600)
"""
"""A program that speaks as a terminal does and never ends by itself."""


@contextlib.asynccontextmanager
async def served(script: str = STUBBORN) -> AsyncIterator[PageServer]:
    server = PageServer([sys.executable, "-c", script], 0)
    runner = web.AppRunner(await server.application(), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    server.at(runner.addresses[0][1])
    try:
        yield server
    finally:
        await server.close()
        await runner.cleanup()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_PATIENCE", 0.2)


async def test_only_this_machine_by_its_name_is_answered() -> None:
    async with served() as server, aiohttp.ClientSession() as session:
        port = server.port
        here = f"127.0.0.1:{port}"
        for path, host, origin, status in (
            ("/", here, None, 200),
            ("/", f"localhost:{port}", None, 200),
            ("/", here, f"http://{here}", 200),
            ("/", "127.0.0.1", None, 403),
            ("/", "evil.example", None, 403),
            ("/", f"evil.example:{port}", None, 403),
            ("/", f"127.0.0.1.evil.example:{port}", None, 403),
            ("/", here, "http://evil.example", 403),
            ("/", here, "null", 403),
            ("/", here, f"http://127.0.0.1:{port + 1}", 403),
            ("/", here, f"https://{here}", 403),
            ("/static/js/textual.js", here, None, 200),
            ("/static/js/textual.js", "evil.example", None, 403),
            ("/ws", here, None, 403),
            ("/ws", here, "http://evil.example", 403),
            ("/ws", "evil.example", f"http://{here}", 403),
        ):
            headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
            async with session.get(f"{server.public_url}{path}", headers=headers) as answer:
                assert answer.status == status, (path, host, origin)


async def test_the_page_asks_nobody_else_for_anything() -> None:
    async with served() as server, aiohttp.ClientSession() as session, session.get(server.public_url) as answer:
        text = await answer.text()
        assert "https://" not in text
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_pages_are_bounded_and_their_processes_end_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "PAGES", 2)
    async with served() as server, aiohttp.ClientSession(headers={"Origin": server.public_url}) as session:
        opened = [await session.ws_connect(f"{server.public_url}/ws") for _ in range(2)]
        for socket in opened:
            assert (await socket.receive(10)).data == b"ready"
        async with session.get(f"{server.public_url}/ws") as answer:
            assert answer.status == 503
        processes = [page._process for page in server._pages.values()]
        await opened[0].send_str('{"not": "a list"}')
        assert (await opened[0].receive(10)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        async with asyncio.timeout(10):
            while len(server._pages) > 1:
                await asyncio.sleep(0.01)
        again = await session.ws_connect(f"{server.public_url}/ws")
        assert (await again.receive(10)).data == b"ready"
        processes += [page._process for page in server._pages.values()]
        await server.close()
    assert len(processes) == 4
    assert all(process.returncode is not None for process in processes)


async def test_a_port_that_is_taken_is_named() -> None:
    async with served() as server:
        with pytest.raises(serve.CannotServe, match=f"port {server.port} can't be used"):
            await serve._serve(PageServer(["true"], server.port), server.port, lambda _: None)


@pytest.mark.parametrize(
    ("asked", "given"), [((80, 24), (80, 24)), ((0, -5), (20, 5)), ((10**9, 10**9), (500, 200)), ((20, 5), (20, 5))]
)
def test_a_size_is_one_that_a_screen_can_have(asked: tuple[int, int], given: tuple[int, int]) -> None:
    assert serve._bounded(*asked) == given
