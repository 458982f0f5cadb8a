"""`controlplane.yaml`: sources, packs, prices, channels and routes. Secrets are named here, never written."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from controlplane.glance import ENVIRONMENT, THEME, Theme
from controlplane.listening import Receive
from controlplane.listening import Serve as Serve
from controlplane.listening import host_and_port as host_and_port
from controlplane.model.base import Duration, Model, RuleId
from controlplane.model.digest import DailyDigest
from controlplane.model.oncall import NOBODY, Escalation, Person
from controlplane.model.rate import RateField
from controlplane.model.routes import Inhibition, Route, Times
from controlplane.model.time import format_duration
from controlplane.schedules import Schedule, check_people
from controlplane.secret import MissingSecret as MissingSecret
from controlplane.secret import Secret as Secret

DEFAULT_HOME = ".controlplane"
MEGABYTE = 1_000_000


class Tls(Model):
    """TLS of a source: authority to trust, client certificate and key (PEM files)."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True


class Basic(Model):
    """Basic authentication."""

    username: str
    password: Secret


class SourceBase(Model):
    """What every source of samples has."""

    name: RuleId
    lookback: Duration = timedelta(hours=1)
    """How far back the very first tick looks."""
    max_catch_up: Duration = timedelta(hours=6)
    """A longer absence is given up and recorded."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.lookback > self.max_catch_up:
            raise ValueError("lookback is longer than max_catch_up; the first tick could not reach that far back")
        return self


class PrometheusSource(SourceBase):
    """A Prometheus (or compatible) HTTP API; asked for every signal of its packs that has a query."""

    type: Literal["prometheus"]
    url: str
    platforms: tuple[RuleId, ...] | None = None
    """Packs whose signals it has; absent = all enabled ones."""
    bearer: Secret | None = None
    basic: Basic | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    tls: Tls = Tls()
    timeout: Duration = timedelta(seconds=10)
    """Deadline of one query including its answer."""
    retries: int = Field(default=2, ge=0, le=10)
    max_answer_bytes: int = Field(default=256 * MEGABYTE, ge=1_000)
    concurrency: int = Field(default=4, ge=1, le=32)

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("url starts with http:// or https://")
        return url.rstrip("/")


class KafkaSource(SourceBase):
    """Consumer lag and replicas straight from the brokers."""

    type: Literal["kafka"]
    platform: RuleId
    bootstrap_servers: str
    cluster: str = ""
    settings: dict[str, str | int | bool] = Field(default_factory=dict)
    """Passed through to librdkafka, such as security.protocol."""
    secrets: dict[str, Secret] = Field(default_factory=dict)
    """librdkafka settings that are secret, such as sasl.password."""
    groups: str = ".*"
    """Regular expression that matches the whole names of the consumer groups to watch."""
    topics: str = ".*"
    """Regular expression that matches the whole names of the topics whose replicas in sync and settings to watch."""
    timeout: Duration = timedelta(seconds=10)

    @field_validator("groups", "topics")
    @classmethod
    def _expression(cls, names: str, info: ValidationInfo) -> str:
        try:
            re.compile(names)
        except re.error as error:
            raise ValueError(f"{info.field_name} is not a regular expression: {error}") from None
        return names


class RecordedSource(SourceBase):
    """Recorded samples (Parquet or CSV with ts, signal, labels, value)."""

    type: Literal["recorded"]
    path: Path
    platform: RuleId | None = None


class InventoryFile(Model):
    """Hosts, brokers, zones … in a YAML, JSON or CSV file."""

    name: RuleId
    type: Literal["inventory"]
    platform: RuleId
    path: Path


class InventoryTargets(Model):
    """Hosts as the targets that a Prometheus scrapes."""

    name: RuleId
    type: Literal["prometheus_targets"]
    platform: RuleId
    url: str
    bearer: Secret | None = None
    basic: Basic | None = None
    tls: Tls = Tls()
    timeout: Duration = timedelta(seconds=10)
    kind: Literal["host", "vm", "container", "instance", "service"] = "host"
    labels: dict[Literal["zone", "region", "role", "cluster", "host"], str] = Field(default_factory=dict)
    """Resource field → target label that holds it."""


SourceSettings = Annotated[
    PrometheusSource | KafkaSource | RecordedSource | InventoryFile | InventoryTargets,
    Field(discriminator="type"),
]


class Channel(Model):
    """A way to people: an apprise URL, kept secret."""

    name: RuleId
    url: Secret
    rate: RateField | None = None
    """The most messages in a stretch of time, such as 1/s or 120/m; absent = by kind (see `notify.pace.HOUSE`)."""


class Heartbeat(Model):
    """An address outside that is told that ticks are done; it raises the alarm when it isn't told any more."""

    name: RuleId
    url: Secret
    every: Duration = timedelta(minutes=1)
    method: Literal["GET", "POST"] = "GET"

    @field_validator("every")
    @classmethod
    def _every(cls, every: timedelta) -> timedelta:
        if every < timedelta(seconds=10):
            raise ValueError("every is at least 10s")
        return every


class Notify(Model):
    """Channels, and who is told what on which of them."""

    channels: tuple[Channel, ...] = ()
    heartbeat: tuple[Heartbeat, ...] = ()
    route: Route | None = None
    """The root of the tree; absent = by severity and kind of channel (see `notify.routing.default_route`)."""
    inhibit: tuple[Inhibition, ...] = ()
    times: dict[RuleId, Times] = Field(default_factory=dict)
    """Times of the week by name, for `mute` and `active` of routes and `quiet` of people."""
    people: dict[RuleId, Person] = Field(default_factory=dict)
    schedules: dict[RuleId, Schedule] = Field(default_factory=dict)
    """Who is on call when."""
    escalations: dict[RuleId, Escalation] = Field(default_factory=dict)
    """Who is told next when nobody acknowledges, for `escalate` of routes."""
    timeout: Duration = timedelta(seconds=15)
    max_age: Duration = timedelta(hours=6)
    """A delivery that failed for this long is given up and dead-lettered."""
    digest: DailyDigest | None = None
    """Absent = there is none."""
    runbooks: str | None = None
    """URL of the folder that holds the runbooks; a message then links to `<runbooks>/<runbook>`."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        channels = {channel.name for channel in self.channels}
        check_people(self.people, self.schedules, self.escalations, channels, self.times.keys())
        for place, route in _routes(self.route, "route") if self.route else ():
            for kind, names, known in (
                ("channel", route.channels or (), channels),
                ("time", (*route.mute, *route.active), self.times.keys()),
                ("escalation", [name for name in (route.escalate,) if name not in {None, NOBODY}], self.escalations),
            ):
                for name in names:
                    if name not in known:
                        there = ", ".join(sorted(known)) or "none"
                        raise ValueError(f"{place} names the {kind} {name}, which isn't declared; there is {there}")
        if self.route is not None and (self.route.match or self.route.continue_):
            raise ValueError("route, the root of the tree, takes neither match nor continue: it matches everything")
        return self


def _routes(route: Route, place: str) -> Iterator[tuple[str, Route]]:
    yield place, route
    for number, child in enumerate(route.routes):
        yield from _routes(child, f"{place}.routes.{number}")


class Retention(Model):
    """How long what is kept."""

    full: Duration = timedelta(hours=48)
    five_minutes: Duration = timedelta(days=30)
    hourly: Duration = timedelta(days=730)
    events: Duration = timedelta(days=730)


class Terminal(Model):
    """How the on-call terminal looks and listens."""

    theme: Theme = THEME
    keys: dict[str, str] = Field(default_factory=dict)
    """Name of a binding (the help shows them) → keys, such as `act.acknowledge: x` or `move.down: n,down`."""


class Settings(Model):
    """Everything a user configures."""

    environment: str = ENVIRONMENT
    """Name shown in the terminal and in every message."""
    home: Path = Path(DEFAULT_HOME)
    events: Secret | str | None = None
    """SQLAlchemy URL of the event store; absent = SQLite in the home directory."""
    step: Duration = timedelta(seconds=15)
    platforms: tuple[RuleId, ...] = ()
    """Packs to enable, by folder name."""
    rules: tuple[Path, ...] = ()
    """Further folders or files with rules."""
    sources: tuple[SourceSettings, ...] = ()
    prices: dict[RuleId, Path] = Field(default_factory=dict)
    """Price books that replace the shipped ones, by pack."""
    notify: Notify = Notify()
    retention: Retention = Retention()
    serve: Serve = Serve()
    receive: Receive = Receive()
    self_monitoring: bool = True
    """Whether the control plane alerts about itself, where it has a source that is asked for what is new."""
    tui: Terminal = Terminal()

    @property
    def watches_itself(self) -> bool:
        """Whether it has samples and rules about itself; a replay of recordings says nothing of how it does now."""
        return self.self_monitoring and any(
            isinstance(source, PrometheusSource | KafkaSource) for source in self.sources
        )

    @property
    def archive(self) -> Path:
        """Folder of the archived events."""
        return self.home / "archive"

    @field_validator("step")
    @classmethod
    def _step(cls, step: timedelta) -> timedelta:
        if step < timedelta(seconds=1) or step > timedelta(hours=1) or timedelta(hours=24) % step:
            raise ValueError("step is between 1s and 1h and divides a day, such as 15s")
        return step

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for what, names in (
            ("source", [source.name for source in self.sources]),
            ("channel", [channel.name for channel in self.notify.channels]),
            ("heartbeat", [heartbeat.name for heartbeat in self.notify.heartbeat]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what}s are called {twice[0]}; give each its own name")
        if self.notify.schedules and any(source.name == "on-call" for source in self.sources):
            raise ValueError("a source is called on-call, as what schedules are shown under; rename it")
        if any(source.name == "controlplane" for source in self.sources):
            raise ValueError("a source is called controlplane, as what the control plane knows of itself; rename it")
        return self

    @model_validator(mode="after")
    def _kept(self) -> Self:
        for source in self.sources:
            if isinstance(source, SourceBase) and source.max_catch_up > self.retention.full:
                reach, kept = format_duration(source.max_catch_up), format_duration(self.retention.full)
                raise ValueError(
                    f"max_catch_up of the source {source.name} ({reach}) is longer than retention.full ({kept}): what "
                    "is asked for must be kept until it is decided; shorten max_catch_up or lengthen retention.full"
                )
        return self
