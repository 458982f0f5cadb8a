"""Does it work? Every part is tried as a tick would use it, and what fails comes with what to do."""

import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from controlplane import bootstrap
from controlplane.findings import Finding as Finding
from controlplane.findings import Findings, digest
from controlplane.model.errors import ControlplaneError, InvalidInput
from controlplane.model.routes import Tree
from controlplane.model.rules import AlertRule
from controlplane.model.severity import Severity
from controlplane.model.time import Window, human_duration, on_grid, to_ms
from controlplane.model.units import human, many
from controlplane.model.views import DeliveryState
from controlplane.settings import InventoryFile, InventoryTargets, PrometheusSource, Settings, SourceSettings

CLOCK_TOLERANCE = timedelta(seconds=5)
LATE_STEPS = 20
"""A last tick that is older than so many steps is late."""
LEAST_SPACE = 1_000_000_000
"""Bytes that should be free where the stores are."""

_log = logging.getLogger(__name__)


def examine(config: Path | None, on_check: Callable[[str], None]) -> Findings:
    """Check everything that the settings name, in a fixed order; `on_check` is told what is tried next."""
    on_check("settings")
    path = bootstrap.settings_path(config)
    if path is None:
        yield Finding("settings", "fail", "there is no configuration", "Write one with `controlplane init`")
        return
    try:
        settings = bootstrap.load_settings(path)
    except ControlplaneError as error:
        yield from _failures("settings", error, "Correct the file")
        return
    yield Finding("settings", "ok", f"{path} is valid; home is {settings.home}")
    # What comes along by itself is neither right nor wrong.
    settings = settings.model_copy(update={"self_monitoring": False})
    checks: list[tuple[str, Callable[[Settings], Findings]]] = [
        ("rules", _rules),
        ("prices", _prices),
        ("sources", _sources),
    ]
    checks += [(source.name, partial(_source, source)) for source in settings.sources]
    checks += [
        ("channels", _channels),
        ("digest", digest),
        ("heartbeats", _heartbeats),
        ("on call", _on_call),
        ("receive", _receive),
        ("home", _home),
        ("event log", _event_log),
        ("telemetry", _telemetry),
    ]
    for name, check in checks:
        on_check(name)
        yield from _guarded(name, check, settings)


def _guarded(name: str, check: Callable[[Settings], Findings], settings: Settings) -> Findings:
    try:
        yield from check(settings)
    except ControlplaneError as error:
        yield from _failures(name, error, f"Correct what the settings say of {name}")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        yield Finding(name, "fail", what, "Check that the path exists and may be read and written")
    except Exception as error:  # noqa: BLE001 - a defect is a finding, and the other checks go on
        # A doctor that falls ill helps nobody: the other checks still have to be made.
        _log.debug("the check of %s failed", name, exc_info=True)
        yield Finding(name, "fail", f"a defect of the control plane: {type(error).__name__}: {error}", "Report it")


def _failures(name: str, error: ControlplaneError, remedy: str) -> Findings:
    """One finding a problem, with what to do apart from what is wrong where the error tells them apart."""
    if isinstance(error, InvalidInput):
        for problem in error.problems:
            yield Finding(name, "fail", f"{problem.place}: {problem.message}", problem.remedy or remedy)
        return
    # SourceError has both; this module doesn't import the collectors for that.
    message, own = getattr(error, "message", None), getattr(error, "remedy", "")
    if isinstance(message, str) and own:
        yield Finding(name, "fail", message, str(own))
        return
    # Errors end with the remedy, as a sentence or clause of its own.
    for separator in (". ", "; "):
        what, found, advice = str(error).rpartition(separator)
        if found:
            yield Finding(name, "fail", what, advice[:1].upper() + advice[1:])
            return
    yield Finding(name, "fail", str(error), remedy)


def _rules(settings: Settings) -> Findings:
    loaded = bootstrap.load_rule_set(settings)
    for problem in loaded.problems:
        yield Finding("rules", "fail", f"{problem.place}: {problem.message}", problem.remedy or "Correct the rule")
    if loaded.rules.rules:
        rules, signals = many(len(loaded.rules.rules), "rule"), many(len(loaded.rules.signals), "signal")
        yield Finding("rules", "ok", f"{rules}, {signals}")
    else:
        yield Finding("rules", "fail", "no rule is enabled", "Name packs under platforms, or files under rules")


def _prices(settings: Settings) -> Findings:
    platforms = sorted({placed.platform for placed in bootstrap.load_rule_set(settings).rules.rules})
    books, problems = bootstrap.load_prices(settings, platforms)
    for problem in problems:
        yield Finding("prices", "fail", f"{problem.place}: {problem.message}", problem.remedy or "Correct the book")
    broken = {problem.place.file for problem in problems}
    for platform in platforms:
        if platform in books:
            prices = books[platform].prices
            unknown = sum(price.amount is None for price in prices)
            yield Finding("prices", "ok", f"{platform}: {many(len(prices), 'price')}, {unknown} unknown")
        elif str(settings.prices.get(platform)) not in broken:
            remedy = "Name a price book under prices; until then there are no recommendations for it"
            yield Finding("prices", "warn", f"{platform} has no price book", remedy)
    for platform in sorted(settings.prices.keys() - set(platforms)):
        remedy = "Correct the name of the pack, or remove the book"
        yield Finding("prices", "warn", f"there is a price book for {platform}, which has no rules", remedy)


def _sources(settings: Settings) -> Findings:
    if not settings.sources:
        yield Finding("sources", "fail", "there is no source", "Add one under sources")
    rules = bootstrap.load_rule_set(settings).rules.rules
    inventories = [s.platform for s in settings.sources if isinstance(s, InventoryFile | InventoryTargets)]
    for platform in sorted({placed.platform for placed in rules}):
        mine = [placed for placed in rules if placed.platform == platform]
        if platform not in inventories and any(not isinstance(placed.rule, AlertRule) for placed in mine):
            remedy = "Add a source of type inventory or prometheus_targets; capacity and failover advice needs it"
            yield Finding("sources", "warn", f"{platform} has no inventory", remedy)
    known = {placed.platform for placed in rules}
    for source in settings.sources:
        named = source.platforms or () if isinstance(source, PrometheusSource) else (source.platform,)
        for wanted in named:
            if wanted is not None and wanted not in known:
                remedy = "Enable the pack under platforms, or correct the name"
                yield Finding("sources", "warn", f"{source.name} is for {wanted}, which has no rules", remedy)


def _source(source: SourceSettings, settings: Settings) -> Findings:
    """Try one source as if it were the only one."""
    settings = settings.model_copy(update={"sources": (source,)})
    for inventory in bootstrap.inventories(settings):
        yield Finding(source.name, "ok", many(len(inventory.load()), "resource"))
    for collector in bootstrap.collectors(settings, bootstrap.load_rule_set(settings)):
        signals = collector.signals()
        if not signals:
            remedy = "Enable packs under platforms, or correct its own platforms"
            yield Finding(source.name, "warn", "no signal is asked of it", remedy)
            continue
        step = round(settings.step.total_seconds() * 1000)
        notes = collector.check()
        if notes:
            # Whether it works at all, a real question tells: it raises where the source as a whole fails.
            end = on_grid(to_ms(datetime.now(UTC)), step)
            collector.collect({signals[0]: Window(end - step, end, step)})
        for note in notes:
            yield Finding(source.name, "warn", note)
        if not notes:
            yield Finding(source.name, "ok", f"answers; it is asked for {many(len(signals), 'signal')}")
        yield from _clock(collector)


def _clock(collector: Any) -> Findings:
    ask = getattr(collector, "clock_skew", None)
    seconds = ask() if ask is not None else None
    if seconds is None:
        return
    skew = timedelta(seconds=abs(seconds))
    if skew > CLOCK_TOLERANCE:
        remedy = "Synchronise the clocks (chrony, ntpd); durations are measured in telemetry time"
        yield Finding("clock", "fail", f"{collector.name} is {human_duration(skew)} away from this machine", remedy)
    else:
        yield Finding("clock", "ok", f"within {CLOCK_TOLERANCE.seconds} s of {collector.name}")


def _channels(settings: Settings) -> Findings:
    notify = settings.notify
    if not notify.channels:
        yield Finding("channels", "warn", "there is no channel: nobody will be told", "Add one under notify.channels")
        return
    channels = bootstrap.channels(settings)
    nodes = Tree(bootstrap.route(notify)).nodes.values()
    for channel in notify.channels:
        if channel.name in channels.broken:
            yield from _failures(
                channel.name, ControlplaneError(channels.broken[channel.name]), "Correct the channel's url"
            )
            if named := sum(channel.name in node.channels for node in nodes):
                remedy = "Mend the channel; until then `controlplane up` doesn't start"
                yield Finding(channel.name, "fail", f"{many(named, 'route')} would tell nobody there", remedy)
        else:
            loaded = channels.loaded[channel.name]
            message = f"{loaded.kind.value} channel is ready, at most {loaded.rate} (nothing was sent)"
            yield Finding(channel.name, "ok", message)
    critical = {"severity": Severity.CRITICAL.value, "kind": "alert"}
    if not any(node.channels for node in Tree(bootstrap.route(notify)).of(critical)):
        remedy = "Let the root of notify.route name a channel"
        yield Finding("channels", "warn", "a critical alert that no other route matches reaches no channel", remedy)


def _heartbeats(settings: Settings) -> Findings:
    """Whether each can be sent, and what came of the last one; none is sent, since that would say that all is well."""
    from controlplane.monitor.vitals import BeatVitals, read

    beats = (read(settings.home, BeatVitals) or BeatVitals()).beats
    for one in settings.notify.heartbeat:
        try:
            one.url.read()
        except ControlplaneError as error:
            yield from _failures(one.name, error, "Correct the heartbeat's url")
            continue
        last = beats.get(one.name)
        if last is None:
            yield Finding(one.name, "ok", "heartbeat is ready; none was sent yet")
        elif last.ok:
            yield Finding(one.name, "ok", f"the last heartbeat got through at {last.at:%Y-%m-%d %H:%M:%SZ}")
        else:
            remedy = "Mend what is said; the next tick sends it again"
            yield Finding(one.name, "warn", f"heartbeat at {last.at:%Y-%m-%d %H:%M:%SZ}: {last.error}", remedy)


def _receive(settings: Settings) -> Findings:
    """What PagerDuty and Slack can tell, and whether what came was signed; nothing where neither is set up."""
    from controlplane.receive.health import look

    for verdict, message, remedy in look(settings.receive, settings.home):
        yield Finding("receive", verdict, message, remedy)


def _on_call(settings: Settings) -> Findings:
    """Whether each schedule can be read, and whether somebody is on call all the time."""
    if not settings.notify.schedules:
        return
    from controlplane.oncall import check
    from controlplane.oncall.roster import Roster, settle

    roster = Roster(settings.notify.schedules, settings.notify.people, settings.home)
    now = datetime.now(UTC)
    settle(roster.refresh(now))
    for name in roster.schedules:
        for problem in check.problems(roster, name, now):
            yield Finding(name, "fail", f"{problem.place}: {problem.message}", problem.remedy)
        found = check.gaps(roster, name, now)
        if found:
            remedy = "Put somebody there; until then the next level of an escalation is told at once"
            yield Finding(name, "warn", f"nobody is on call {check.told(found, now)}", remedy)
        else:
            yield Finding(name, "ok", f"somebody is on call in the next {check.SOON.days} days")


def _home(settings: Settings) -> Findings:
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


def _event_log(settings: Settings) -> Findings:
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


def _telemetry(settings: Settings) -> Findings:
    now = to_ms(datetime.now(UTC))
    recent = bootstrap.open_store(settings).read(now - 900_000, now)
    yield Finding("telemetry", "ok", f"opens; {many(len(recent.samples), 'sample')} in the last 15 minutes")
    for broken in sorted(settings.home.glob("telemetry.duckdb.broken-*")):
        yield Finding("telemetry", "warn", f"{broken.name} was set aside as damaged", "Look at it, then delete it")
