"""Checks of what is kept: the folder, the event log with what it says of ticks and messages, the telemetry file."""

import shutil
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from controlplane import bootstrap
from controlplane.doctor.findings import Finding, Findings
from controlplane.doctor.inputs import CLOCK_TOLERANCE
from controlplane.model.time import human_duration, to_ms
from controlplane.model.units import human, many
from controlplane.model.views import DeliveryState
from controlplane.settings import Settings

LATE_STEPS = 20
"""A last tick that is older than so many steps is late."""
LEAST_SPACE = 1_000_000_000
"""Bytes that should be free where the stores are."""


def home(settings: Settings) -> Findings:
    """Whether there is space, and whether a tick runs."""
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    if free < LEAST_SPACE:
        remedy = f"Free some space, or set home to another disk; {settings.home} holds events and telemetry"
        yield Finding("home", "warn", f"{human(free, 'By')} are free", remedy)
    else:
        yield Finding("home", "ok", f"{human(free, 'By')} are free in {settings.home}")
    try:
        with FileLock(settings.home / "tick.lock").acquire(timeout=0):
            yield Finding("lock", "ok", "no tick is running now")
    except Timeout:
        yield Finding("lock", "ok", "a tick is running now")


def event_log(settings: Settings) -> Findings:
    """Whether the hash chain holds, ticks are on time, and messages go out."""
    from sqlalchemy import make_url

    from controlplane.eventlog.projections import DELIVERIES, OUTBOX, RULES, TICK
    from controlplane.monitor.chain import note_whole

    if isinstance(settings.events, str) and "://" in settings.events and make_url(settings.events).password:
        remedy = "Put the URL into a variable or a file: events: {env: CONTROLPLANE_EVENTS_URL}"
        yield Finding("event log", "warn", "the settings hold the password of the event store", remedy)
    with bootstrap.open_log(settings) as log:
        verification = log.verify()
        note_whole(settings.home, log, verification, datetime.now(UTC))
        if verification.ok:
            yield Finding("event log", "ok", f"{many(verification.checked, 'event')}, the hash chain holds")
        else:
            remedy = "Keep the store, restore a backup, and find out who changed it"
            yield Finding("event log", "fail", verification.problem, remedy)
        last = log.row(TICK, "tick")
        yield _last_tick(None if last is None else last.now, settings)
        for rule in log.rows(RULES).values():
            yield Finding("rules", "fail", f"{rule.rule} over {rule.source}: {rule.error}", "Correct the rule")
        waiting = log.rows(OUTBOX)
        late = [row for row in waiting.values() if row.attempts]
        if late:
            worst = max(late, key=lambda row: row.attempts)
            message = f"{many(len(late), 'message')} being retried; {worst.channel}: {worst.last_error}"
            yield Finding("outbox", "warn", message, "Mend the channel; they go out by themselves then")
        else:
            yield Finding("outbox", "ok", f"{many(len(waiting), 'message')} waiting")
        given_up = [row for row in log.rows(DELIVERIES).values() if row.state is DeliveryState.DEAD]
        if given_up:
            newest = max(given_up, key=lambda row: row.at)
            message = f"{many(len(given_up), 'message')} given up, the last one to {newest.channel}: {newest.error}"
            remedy = "See `controlplane notify dead-letters`, mend the channel, then `controlplane notify retry --all`"
            yield Finding("dead letters", "warn", message, remedy)


def _last_tick(at: datetime | None, settings: Settings) -> Finding:
    if at is None:
        remedy = "Start them with `make up`, or do one with `controlplane tick`"
        return Finding("ticks", "warn", "there has been no tick yet", remedy)
    age = datetime.now(UTC) - at
    if age < -CLOCK_TOLERANCE:
        return Finding("ticks", "fail", "the last tick lies in the future", "Set this machine's clock")
    if age > LATE_STEPS * settings.step:
        return Finding("ticks", "fail", f"the last tick was {human_duration(age)} ago", "Is Dagster running? `make up`")
    return Finding("ticks", "ok", f"the last one was {human_duration(age)} ago")


def telemetry(settings: Settings) -> Findings:
    """Whether the telemetry file opens, and what of it was set aside."""
    now = to_ms(datetime.now(UTC))
    recent = bootstrap.open_store(settings).read(now - 900_000, now)
    yield Finding("telemetry", "ok", f"opens; {many(len(recent.samples), 'sample')} in the last 15 minutes")
    for broken in sorted(settings.home.glob("telemetry.duckdb.broken-*")):
        yield Finding("telemetry", "warn", f"{broken.name} was set aside as damaged", "Look at it, then delete it")
