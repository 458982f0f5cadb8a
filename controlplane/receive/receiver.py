"""What a request does, apart from HTTP: verify, read, take in, count; the status says what became of it."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controlplane.eventlog.log import EventLog
from controlplane.listening import Receive
from controlplane.model.errors import ControlplaneError
from controlplane.model.oncall import Person
from controlplane.operator import ActionRefused
from controlplane.receive import pagerduty, signatures, slack
from controlplane.receive.answers import Answer, NotUnderstood, pagerduty_users, slack_members
from controlplane.receive.apply import Decided
from controlplane.receive.counting import Counts, Outcome
from controlplane.receive.desk import take

AT_ONCE = 2.0
"""Seconds after which Slack gets its answer, whatever the store does: it waits for 3."""
TURN = 4.0
"""Seconds that an answer waits for the one before it: PagerDuty waits for 5."""
_NOT_WRITTEN = "Nothing was done: the control plane can't write it down now. Try again."

_log = logging.getLogger(__name__)

Headers = Callable[[str], Sequence[str]]
"""The values of a header by its name, in any case."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The status of the answer, and what is left to do once it is sent."""

    status: int
    then: Callable[[], None] | None = None


class Receiver:
    """Takes in what providers send. Safe to use from several threads; answers are taken in one at a time."""

    def __init__(
        self,
        receive: Receive,
        home: Path,
        open_log: Callable[[], EventLog],
        say: Callable[[str, str], object],
        clock: Callable[[], datetime] | None = None,
        people: Mapping[str, Person] | None = None,
    ) -> None:
        self._receive, self._open, self._say = receive, open_log, say
        self._clock = clock or (lambda: datetime.now(UTC))
        self._members, self._users = slack_members(people or {}), pagerduty_users(people or {})
        self._counts = Counts(home)
        self._turn = threading.Lock()
        self._log: EventLog | None = None
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="receive")
        self.paths: dict[str, Callable[[Headers, bytes], Reply]] = {}
        """The endpoints that there are."""
        if receive.pagerduty is not None:
            self.paths["/pagerduty"] = self._pagerduty
        if receive.slack is not None:
            self.paths["/slack"] = self._slack

    def handle(self, path: str, headers: Headers, body: bytes) -> Reply:
        """Do what a request to one of `paths` asks for. 401: not signed; 503: to be sent again; 500: a defect."""
        try:
            return self.paths[path](headers, body)
        except NotUnderstood as error:
            _log.warning("%s: signed, but not understood: %s", path, error)
            return self.counted(path, Outcome.INVALID, 400)
        except ControlplaneError as error:
            _failed(path, error)
            return self.counted(path, Outcome.FAILED, 503)
        except Exception as error:  # noqa: BLE001 - it is sent again, and others go on
            _failed(path, error)
            return self.counted(path, Outcome.FAILED, 500)

    def counted(self, path: str, outcome: Outcome, status: int, then: Callable[[], None] | None = None) -> Reply:
        """The reply, once it is counted."""
        self._counts.add(path.removeprefix("/"), outcome, self._clock())
        return Reply(status, then)

    def close(self) -> None:
        """Let what is on its way come to an end, and close the event log."""
        self._pool.shutdown(wait=True)
        self._forget()

    def _pagerduty(self, headers: Headers, body: bytes) -> Reply:
        assert self._receive.pagerduty is not None
        secret = self._receive.pagerduty.secret.read()
        if not signatures.pagerduty(secret, headers("X-PagerDuty-Signature"), body):
            return self.counted("/pagerduty", Outcome.UNSIGNED, 401)
        answer = pagerduty.read(body, self._users)
        if answer is None:
            return self.counted("/pagerduty", Outcome.IGNORED, 202)
        return self.counted("/pagerduty", _outcome(self._take(answer)), 202)

    def _slack(self, headers: Headers, body: bytes) -> Reply:
        assert self._receive.slack is not None
        secret, now = self._receive.slack.signing_secret.read(), self._clock()
        stamps, given = headers("X-Slack-Request-Timestamp"), headers("X-Slack-Signature")
        if not signatures.slack(secret, stamps, given, body, now):
            return self.counted("/slack", Outcome.UNSIGNED, 401)
        pressed = slack.read(body, now, self._members)
        if pressed is None:
            return self.counted("/slack", Outcome.IGNORED, 200)
        work = self._pool.submit(self._take, pressed.answer)
        work.add_done_callback(_note)
        try:
            outcome, status = _outcome(work.result(AT_ONCE)), 200
        except TimeoutError:
            # It is under way, and whoever pressed hears of the end in any case.
            outcome, status = Outcome.TAKEN, 200
        except Exception as error:  # noqa: BLE001 - whoever pressed has to know
            outcome, status = Outcome.FAILED, 503 if isinstance(error, ControlplaneError) else 500
        url = pressed.reply_to
        return self.counted("/slack", outcome, status, None if url is None else lambda: self._tell(url, work))

    def _tell(self, url: str, work: "Future[Decided]") -> None:
        self._say(url, _NOT_WRITTEN if work.exception() is not None else work.result().said)

    def _take(self, answer: Answer) -> Decided:
        with self._opened() as log:
            try:
                return take(log, answer, self._clock())
            except ActionRefused as refused:
                return Decided(f"Nothing was done: {refused}.")

    @contextmanager
    def _opened(self) -> Iterator[EventLog]:
        """The event log, for one at a time; it is opened anew after an error."""
        if not self._turn.acquire(timeout=TURN):
            raise ControlplaneError("the answer before this one isn't taken in yet")
        try:
            if self._log is None:
                self._log = self._open()
            yield self._log
        except ControlplaneError:
            self._forget()
            raise
        finally:
            self._turn.release()

    def _forget(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


def _outcome(decided: Decided) -> Outcome:
    return Outcome.IGNORED if decided.record is None else Outcome.TAKEN


def _note(work: "Future[Decided]") -> None:
    error = work.exception()
    if error is not None:
        _failed("/slack", error)


def _failed(path: str, error: BaseException) -> None:
    if isinstance(error, ControlplaneError):
        _log.error("%s: not taken in: %s", path, error)
    else:
        _log.error("%s: a defect of the control plane: %s", path, _where(error))


def _where(error: BaseException) -> str:
    """Type and place of an error; its message may quote what was sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__}{place}"
