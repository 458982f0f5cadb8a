"""A mail server on loopback that takes everything and remembers it, or refuses as it is told."""

import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest


class Mails:
    """What was received."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.port = 0
        self.refuse = b""
        """The answer to DATA, where it is no success."""

    @property
    def url(self) -> str:
        """The apprise URL of a mail to two people."""
        return f"mailto://127.0.0.1:{self.port}/ada@example.com/bob@example.com?from=ops@example.com"


class _Session(StreamRequestHandler):
    def handle(self) -> None:
        mails: Mails = self.server.mails
        self.wfile.write(b"220 loopback\r\n")
        while line := self.rfile.readline():
            match line.strip().upper().split(b" ")[0].split(b":")[0]:
                case b"EHLO":
                    self.wfile.write(b"250-loopback\r\n250 8BITMIME\r\n")
                case b"DATA" if mails.refuse:
                    self.wfile.write(mails.refuse + b"\r\n")
                case b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    data = b""
                    while (more := self.rfile.readline()) != b".\r\n":
                        data += more.removeprefix(b".") if more.startswith(b"..") else more
                    found = message_from_bytes(data, policy=policy.default)
                    assert isinstance(found, EmailMessage)
                    mails.received.append(found)
                    self.wfile.write(b"250 taken\r\n")
                case b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                case _:
                    self.wfile.write(b"250 fine\r\n")


class _Server(ThreadingTCPServer):
    daemon_threads = True
    mails: Mails


@pytest.fixture(name="mails")
def mails_on_loopback() -> Iterator[Mails]:
    """A mail server of its own."""
    mails = Mails()
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.mails, mails.port = mails, server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield mails
        server.shutdown()
