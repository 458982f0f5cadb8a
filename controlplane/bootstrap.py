"""Put the parts together as the settings say. Heavy libraries are imported by the function that needs them."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from controlplane.documents import read_document, validate
from controlplane.glance import CONFIG
from controlplane.glance import settings_path as settings_path
from controlplane.model.errors import ControlplaneError, InvalidInput, Place, Problem
from controlplane.model.routes import Route, Tree
from controlplane.settings import (
    InventoryFile,
    InventoryTargets,
    KafkaSource,
    Notify,
    PrometheusSource,
    RecordedSource,
    Secret,
    Settings,
)

if TYPE_CHECKING:
    from controlplane.eventlog.log import EventLog
    from controlplane.model.prices import PriceBook
    from controlplane.monitor.server import MonitorServer
    from controlplane.notify.channels import Channels
    from controlplane.notify.outbox import DeliveryReport, Outbox
    from controlplane.receive.server import ReceiveServer
    from controlplane.rules.load import Loaded
    from controlplane.telemetry.collector import Collector
    from controlplane.telemetry.store import SampleStore
    from controlplane.tick.plane import ControlPlane, InventorySource


class NoSettings(ControlplaneError):
    """There is no configuration where one is needed."""


def load_settings(given: Path | None = None) -> Settings:
    """Read and check the settings; relative paths in them are relative to the file. Defaults where there is none.

    CONTROLPLANE_HOME overrides `home`.
    """
    path = settings_path(given)
    if path is None:
        return _at_home(Settings(), Path.cwd())
    document = read_document(path)
    if document.data is None:
        return _at_home(Settings(), path.resolve().parent)
    return _at_home(validate(document, Settings), path.resolve().parent)


def _at_home(settings: Settings, base: Path) -> Settings:
    home = os.environ.get("CONTROLPLANE_HOME")
    anchored: Settings = _anchored(settings, base)
    return anchored.model_copy(update={"home": Path(home).absolute()}) if home else anchored


def _anchored(value: Any, base: Path) -> Any:
    """The same settings with every relative path, however deep inside, relative to `base`."""
    if isinstance(value, Path):
        return base / value.expanduser()
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _anchored(inner, base) for name, inner in value})
    if isinstance(value, tuple):
        return tuple(_anchored(inner, base) for inner in value)
    if isinstance(value, dict):
        return {key: _anchored(inner, base) for key, inner in value.items()}
    return value


def events_url(settings: Settings) -> str:
    """SQLAlchemy URL of the event store."""
    if isinstance(settings.events, Secret):
        return settings.events.read()
    return settings.events or f"sqlite:///{settings.home.absolute() / 'events.db'}"


def open_log(settings: Settings) -> "EventLog":
    """The event log of the settings, created where there is none; its archives are in the home directory."""
    from controlplane.eventlog.log import EventLog

    return EventLog.open(events_url(settings), archives=settings.archive)


def open_store(settings: Settings, on_set_aside: Callable[[Path, str], None] | None = None) -> "SampleStore":
    """The telemetry store of the settings; nothing is opened yet."""
    from controlplane.telemetry.store import SampleStore

    return SampleStore(settings.home / "telemetry.duckdb", step=settings.step, on_set_aside=on_set_aside)


def load_rule_set(settings: Settings) -> "Loaded":
    """The rules of the enabled packs, of further folders and about the control plane itself.

    With the problems of those that can't be used.
    """
    from controlplane.rules.files import OWN, read_rule_texts
    from controlplane.rules.load import Loaded, load_rules

    packs = dict.fromkeys((*settings.platforms, OWN) if settings.watches_itself else settings.platforms)
    texts, problems = read_rule_texts(tuple(packs), settings.rules)
    loaded = load_rules(texts)
    return Loaded(loaded.rules, (*problems, *loaded.problems))


def load_prices(settings: Settings, platforms: Sequence[str]) -> tuple[dict[str, "PriceBook"], list[Problem]]:
    """Price books by pack: the user's, else the shipped one; one that can't be read is a problem of its pack only."""
    from controlplane.costs import read_price_book

    books: dict[str, PriceBook] = {}
    problems: list[Problem] = []
    shipped = resources.files("fixtures")
    for platform in platforms:
        try:
            if platform in settings.prices:
                books[platform] = read_price_book(settings.prices[platform])
                continue
            with resources.as_file(shipped / platform / "prices.yaml") as path:
                if path.is_file():
                    books[platform] = read_price_book(path)
        except InvalidInput as error:
            problems += error.problems
    return books, problems


def collectors(settings: Settings, loaded: "Loaded") -> list["Collector"]:
    """The sources of samples."""
    step_ms = round(settings.step.total_seconds() * 1000)
    made: list[Collector] = []
    for source in settings.sources:
        if isinstance(source, PrometheusSource):
            from controlplane.telemetry.prometheus import PrometheusCollector

            wanted = [
                (platform, signal)
                for platform, signal in loaded.rules.signals
                if signal.prometheus is not None and (source.platforms is None or platform in source.platforms)
            ]
            made.append(PrometheusCollector(source, wanted, step_ms))
        elif isinstance(source, KafkaSource):
            from controlplane.telemetry.kafka import KafkaCollector

            made.append(KafkaCollector(source, step_ms))
        elif isinstance(source, RecordedSource):
            from controlplane.telemetry.recorded import RecordedCollector

            made.append(RecordedCollector(source, step_ms))
    return made


def inventories(settings: Settings) -> list["InventorySource"]:
    """The sources of resources."""
    from controlplane.telemetry import inventory

    made: list[InventorySource] = []
    for source in settings.sources:
        if isinstance(source, InventoryFile):
            made.append(inventory.InventoryFile(source))
        elif isinstance(source, InventoryTargets):
            made.append(inventory.InventoryTargets(source))
    return made


def control_plane(settings: Settings) -> "ControlPlane":
    """Everything a tick needs; problems of rules and prices are kept in it, not raised."""
    from controlplane.notify.routing import schemes
    from controlplane.oncall.roster import Roster
    from controlplane.tick.plane import ControlPlane

    settings.home.mkdir(parents=True, exist_ok=True)
    loaded = load_rule_set(settings)
    platforms = sorted({placed.platform for placed in loaded.rules.rules} | set(settings.platforms))
    books, problems = load_prices(settings, platforms)
    set_aside: list[tuple[Path, str]] = []
    log = open_log(settings)
    sources = collectors(settings, loaded)
    if settings.watches_itself:
        from controlplane.monitor.source import SelfCollector

        names, schedules = [source.name for source in sources], tuple(settings.notify.schedules)
        sources.append(SelfCollector(log, settings.home, names, settings.step, schedules))
    return ControlPlane(
        log=log,
        store=open_store(settings, lambda path, error: set_aside.append((path, error))),
        home=settings.home,
        step_ms=round(settings.step.total_seconds() * 1000),
        rules=loaded.rules,
        rule_problems=(*loaded.problems, *problems),
        collectors=sources,
        inventories=inventories(settings),
        prices=books,
        notify=settings.notify,
        route=route(settings.notify),
        schemes=schemes(settings.notify.channels),
        roster=Roster(settings.notify.schedules, settings.notify.people, settings.home),
        environment=settings.environment,
        set_aside=set_aside,
    )


def route(notify: Notify) -> Route:
    """The root of the tree of routes: the settings' own, else the default for their channels."""
    from controlplane.notify.routing import default_route, schemes

    return notify.route if notify.route is not None else default_route(schemes(notify.channels))


def outbox(settings: Settings, log: "EventLog") -> "Outbox":
    """What is queued, and the channels of the settings to send it by; what they can't be loaded for is in it."""
    from controlplane.eventlog.projections import DELIVERIES, OUTBOX, SHOWN
    from controlplane.notify.letters import LABELS
    from controlplane.notify.outbox import Outbox

    notify = settings.notify
    tree = Tree(route(notify))
    tell = [channel for node in tree.of(LABELS) for channel in node.channels]
    tell += [channel.name for channel in notify.channels]
    return Outbox(
        log=log,
        channels=channels(settings),
        rows=OUTBOX,
        records=DELIVERIES,
        shown=SHOWN,
        now=lambda: datetime.now(UTC),
        holder=f"{socket.gethostname()}/{os.getpid()}",
        max_age=notify.max_age,
        tell=tuple(dict.fromkeys(tell)),
        environment=settings.environment,
    )


def channels(settings: Settings) -> "Channels":
    """The channels of the settings, with the reason for each that can't be loaded."""
    from controlplane.notify.channels import load_channels

    return load_channels(
        settings.notify.channels,
        timeout=settings.notify.timeout,
        strict=False,
        buttons=settings.receive.buttons,
    )


def deliver(settings: Settings, log: "EventLog") -> "DeliveryReport":
    """Send what is due in the outbox by the channels of the settings."""
    from controlplane.notify.outbox import deliver as send

    return send(outbox(settings, log))


def follow(
    path: Path | None, log: "EventLog", ended: Callable[[], bool], on_report: "Callable[[DeliveryReport], None]"
) -> None:
    """Keep sending what becomes due until `ended`, by the settings and secret files as they are at the time."""
    from controlplane.notify.outbox import follow as keep_sending

    def load() -> "tuple[Outbox, dict[Path, int]]":
        # Stamped before they are read: what changes meanwhile is read again.
        stamps = {(file := settings_path(path) or Path(CONFIG)): _stamp(file)}
        settings = load_settings(path)
        secrets = [channel.url.file.expanduser() for channel in settings.notify.channels if channel.url.file]
        stamps |= {file: _stamp(file) for file in secrets}
        return outbox(settings, log), stamps

    current, stamps = load()

    def reload() -> "Outbox | None":
        nonlocal current, stamps
        if not current.channels.broken and all(_stamp(file) == stamp for file, stamp in stamps.items()):
            return None
        try:
            current, stamps = load()
        except ControlplaneError:
            return None  # a file that is being edited; the next look finds it whole
        return current

    keep_sending(current, ended, reload=reload, on_report=on_report)


def _stamp(file: Path) -> int:
    """When the file was changed, in ns since 1970; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def check_channels(settings: Settings) -> list[Problem]:
    """Each declared channel that can't be loaded, with the routes that name it and thereby tell nobody there."""
    problems = []
    nodes = Tree(route(settings.notify)).nodes.values()
    for name, error in channels(settings).broken.items():
        named = [node.path or "the root" for node in nodes if name in node.channels]
        by = (
            f" (named by {', '.join(f'route {path}' if path[0].isdigit() else path for path in named)})"
            if named
            else ""
        )
        problems.append(Problem(Place("settings", path=f"notify.channels.{name}"), f"can't be loaded{by}: {error}"))
    return problems


def monitor(settings: Settings, address: str) -> "MonitorServer":
    """The server of `/metrics` and `/healthz`, listening; CannotListen where it can't."""
    from controlplane.monitor.server import Gathering, MonitorServer

    return MonitorServer(address, Gathering(settings, lambda: open_log(settings)))


def receiver(settings: Settings, address: str) -> "ReceiveServer":
    """The server of what providers send back, listening; CannotListen where it can't, MissingSecret without secrets."""
    from controlplane.receive.receiver import Receiver
    from controlplane.receive.reply import reply
    from controlplane.receive.server import ReceiveServer

    check_receiver(settings)
    people = settings.notify.people
    taking = Receiver(settings.receive, settings.home, lambda: open_log(settings), reply, people=people)
    return ReceiveServer(address, taking)


def check_receiver(settings: Settings) -> None:
    """MissingSecret names the secret of an endpoint that isn't there or is empty."""
    for secret in settings.receive.endpoints.values():
        if secret is not None:
            secret.read()


def missing_settings(path: Path | None) -> NoSettings:
    """The error for a command that can't do without settings."""
    shown = path or Path(CONFIG)
    place = Place(str(shown))
    return NoSettings(str(Problem(place, "there is no configuration", "Write one with `controlplane init`")))
