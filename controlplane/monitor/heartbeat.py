"""Heartbeats: after a tick with fresh sources somebody outside is told, who notices when they stay out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from controlplane.model.errors import ControlplaneError
from controlplane.monitor.vitals import Beat, BeatVitals, read, write
from controlplane.settings import Heartbeat
from controlplane.telemetry.secret_request import RequestFailed, answer_of

TIMEOUT = 5.0
"""Seconds of one heartbeat, the answer included; the next tick sends it again."""
EARLY = timedelta(seconds=5)
"""A heartbeat goes out with the tick that is this close to its time, rather than with the one after it."""


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
        with ThreadPoolExecutor(max_workers=max(1, len(due)), thread_name_prefix="heartbeat") as pool:
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
    try:
        url = one.url.read().strip()
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    except ControlplaneError as error:
        return str(error)
    if scheme not in {"http", "https"} or any(char.isspace() for char in url):
        return "what the settings name for it isn't one http or https URL"
    told = {"environment": environment, "at": now.isoformat()} if one.method == "POST" else None
    try:
        with answer_of(one.method, url, TIMEOUT, json=told):
            return ""
    except RequestFailed as error:
        return str(error)
