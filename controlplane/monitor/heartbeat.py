"""Heartbeats: after a tick with fresh sources somebody outside is told, who notices when they stay out."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import requests

from controlplane.model.errors import ControlplaneError
from controlplane.monitor.vitals import Beat, BeatVitals, read, write
from controlplane.settings import Heartbeat
from controlplane.telemetry.transport import TimedAdapter, ends_at

TIMEOUT = 5.0
"""Seconds of one heartbeat, the answer included; the next tick sends it again."""
EARLY = timedelta(seconds=5)
"""A heartbeat goes out with the tick that is this close to its time, rather than with the one after it."""
_THREADS = "heartbeat"
_LOGGERS = ("urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


def send(home: Path, declared: Sequence[Heartbeat], withheld: str, environment: str, now: datetime) -> BeatVitals:
    """Send what is due, all at once, and note what came of it; `withheld` says why none may be sent, else is empty.

    Takes at most TIMEOUT and raises nothing of a heartbeat; no part of a URL is in what is noted or logged.
    """
    known = read(home, BeatVitals) or BeatVitals()
    beats = {one.name: known.beats[one.name] for one in declared if one.name in known.beats}
    if withheld:
        for one in declared:
            before = beats.get(one.name)
            note = {"at": now, "ok": False, "error": f"withheld: {withheld}"}
            beats[one.name] = before.model_copy(update=note) if before else Beat(at=now, ok=False, error=note["error"])
    else:
        due = [one for one in declared if _due(beats.get(one.name), one.every, now)]
        with ThreadPoolExecutor(max_workers=max(1, len(due)), thread_name_prefix=_THREADS) as pool:
            errors = pool.map(lambda one: _beat(one, environment, now), due)
            for one, error in zip(due, errors, strict=True):
                beats[one.name] = _noted(beats.get(one.name), error, now)
    noted = BeatVitals(beats=beats)
    if declared or known.beats:
        write(home, noted)
    return noted


def _due(before: Beat | None, every: timedelta, now: datetime) -> bool:
    if before is None or not before.ok:
        return True
    return before.at > now or now - before.at >= every - min(EARLY, every / 2)


def _noted(before: Beat | None, error: str, now: datetime) -> Beat:
    before = before or Beat(at=now, ok=False)
    update = {
        "at": now,
        "ok": not error,
        "error": error,
        "delivered_at": before.delivered_at if error else now,
        "sent": before.sent + (not error),
        "failed": before.failed + bool(error),
    }
    return before.model_copy(update=update)


def _beat(one: Heartbeat, environment: str, now: datetime) -> str:
    """Send one heartbeat; what went wrong in words without any part of the URL, empty where nothing did."""
    _be_quiet()
    try:
        url = one.url.read().strip()
        if urlsplit(url).scheme not in {"http", "https"} or any(char.isspace() for char in url):
            return "what the settings name for it isn't one http or https URL"
        with requests.Session() as session, ends_at(time.monotonic() + TIMEOUT):
            for prefix in ("http://", "https://"):
                session.mount(prefix, TimedAdapter())
            answer = session.request(
                one.method,
                url,
                json={"environment": environment, "at": now.isoformat()} if one.method == "POST" else None,
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
                headers={"User-Agent": "controlplane", "Accept": "*/*"},
            )
            answer.close()
    except (requests.Timeout, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    except requests.exceptions.SSLError:
        return "TLS failed; is its certificate one that this machine trusts?"
    except (requests.ConnectionError, OSError):
        return "no connection"
    except ControlplaneError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the text of an error would show the URL
        return f"it can't be sent ({type(error).__name__})"
    if answer.is_redirect or 300 <= answer.status_code < 400:
        return f"it redirects (HTTP {answer.status_code}), which isn't followed; name the address that it leads to"
    return "" if 200 <= answer.status_code < 300 else f"it answers with HTTP {answer.status_code}"


class _Silence(logging.Filter):
    """Drops what urllib3 logs about heartbeats: it logs URLs, and here all of a URL is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record of a thread that sends one."""
        return not (record.threadName or "").startswith(_THREADS)


_SILENCE = _Silence()
_quiet = threading.Lock()


def _be_quiet() -> None:
    with _quiet:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_SILENCE)
