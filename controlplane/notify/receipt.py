"""What a channel leaves behind after a send: apprise itself gives no status, header or message id."""

import contextlib
import socket
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from controlplane.notify.thread import Edit

TOO_MANY = 429


class Verdict(StrEnum):
    """What an attempt means: delivered; retry = it may work later; rejected = the same message never will."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome of one attempt; `detail` is for people and free of secrets once a channel has returned it."""

    verdict: Verdict
    detail: str = ""
    status: int | None = None
    """HTTP status, None where there was no answer."""
    retry_after: timedelta | None = None
    """How long the provider asked us to wait."""
    reference: str = ""
    """The provider's id of the message, such as Slack's ts."""
    editable: bool = False
    """Whether later messages of the page can edit the one that `reference` names."""
    unreachable: bool = False
    """No answer came, so that any other message of the channel would fare no better now."""

    @property
    def limited(self) -> bool:
        """Whether the provider wants fewer messages."""
        return self.retry_after is not None or self.status == TOO_MANY


class Aborted(OSError):
    """The deadline of the attempt passed before its connection was open."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that goes where a message is."""

    name: str
    title: str
    data: bytes
    reference: str
    """The message's."""


@dataclass(slots=True)
class Attempt:
    """One send in progress: its time limit, what goes out, and the receipt that the plugin leaves."""

    timeout: timedelta
    body: dict[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    """What is edited instead of sending the body anew, where that is still there."""
    ends: tuple[Edit, ...] = ()
    """Other messages that are edited once this one arrived."""
    upload: Upload | None = None
    """A picture to send instead of the body."""
    receipt: Receipt | None = None
    arrived: Receipt | None = None
    """What holds whatever comes of the rest of the attempt: the message is there."""
    _socket: socket.socket | None = None
    _aborted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def connected(self) -> bool:
        """Whether the connection was opened, so that the message may have arrived."""
        return self._socket is not None

    def opened(self, sock: socket.socket) -> None:
        """Remember the connection so that `abort` can cut it; Aborted where it is too late for it."""
        with self._lock:
            if self._aborted:
                raise Aborted("the deadline of the send has passed")
            self._socket = sock

    def abort(self) -> None:
        """Cut the connection, so that nothing of this attempt is sent after its deadline. From any thread."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                # The plain shutdown: that of an SSL socket would wait for, or race with, the thread that reads.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


CURRENT: ContextVar[Attempt | None] = ContextVar("controlplane_notify_attempt", default=None)
"""The attempt for which the running thread calls a plugin."""
