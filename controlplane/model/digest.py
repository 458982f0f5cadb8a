"""The daily digest: what a day was like for those who are paged, and what there is to decide."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from controlplane.model.base import Duration, Instant, Model, Money
from controlplane.model.oncall import zone
from controlplane.model.routes import Clock
from controlplane.model.severity import Severity

LISTED = 8
"""The most entries of a list; how many there are stands next to it."""


class Paged(Model):
    """An incident that somebody was told of within the day; another page of the same incident is another one."""

    title: str
    severity: Severity
    platform: str
    component: str
    rule: str
    channels: tuple[str, ...]
    at: Instant
    """When it was first told."""
    alerts: int
    """The most that fired at once."""
    acknowledged_by: str = ""
    acknowledged_after: Duration | None = None
    lasted: Duration | None = None
    """From the first alert to the end; None = it goes on."""


class Open(Model):
    """An incident that goes on."""

    title: str
    severity: Severity
    platform: str
    component: str
    since: Instant
    alerts: int
    taken_by: tuple[str, ...] = ()
    """Who has acknowledged alerts of it."""


class Spread(Model):
    """How long something took, over so many."""

    count: int
    mean: Duration
    median: Duration
    longest: Duration


class Pages(Model):
    """The pages of the day."""

    count: int = 0
    by_severity: dict[Severity, int] = Field(default_factory=dict)
    by_platform: dict[str, int] = Field(default_factory=dict)
    by_channel: dict[str, int] = Field(default_factory=dict)
    at_night: int = 0
    """Critical ones between 22:00 and 07:00 of local time."""
    acknowledged: Spread | None = None
    """From the page to the first acknowledgement."""
    resolved: Spread | None = None
    """From the first alert to the end."""
    by_person: dict[str, int] = Field(default_factory=dict)
    """Who was first to acknowledge, and how often."""
    listed: tuple[Paged, ...] = ()
    """The worst, then the longest."""
    suppressed: int = 0
    """Decisions to tell nobody."""


class Noisy(Model):
    """A rule that fired often while nobody had to act, and what to change."""

    rule: str
    title: str
    platform: str
    severity: Severity
    fired: int
    alerts: int
    """Different ones."""
    acted: int
    """Firings that somebody acknowledged, or whose recommendation was decided."""
    median: Duration | None
    """How long they lasted; None = none has ended."""
    pages: int
    said: str
    """The facts in a sentence."""
    change: str
    """The change and what it would have done, from these facts; empty where none follows from them."""


class Advised(Model):
    """An open recommendation."""

    recommendation: str
    title: str
    change: str
    status: str
    since: Instant
    per_month: Money | None
    one_off: Money | None
    currency: str
    survives: str


class Total(Model):
    """Money of several recommendations in one currency; what isn't known is counted, not added."""

    currency: str
    per_month: Money
    one_off: Money
    count: int
    unknown_per_month: int = 0
    unknown_one_off: int = 0


class Decided(Model):
    """What became of a recommendation within the day."""

    recommendation: str
    title: str
    outcome: Literal["approved", "rejected", "executed", "verified", "ineffective", "expired"]
    by: str = ""
    at: Instant
    reason: str = ""
    per_month: Money | None = None
    currency: str = "USD"


class Drift(Model):
    """What a platform costs a month, against a day ago."""

    platform: str
    now: str
    """`$1,234`, or `at least $1,234` where prices are missing."""
    now_per_month: Money | None
    change: Money | None
    """None = it can't be told."""
    added: int = 0
    removed: int = 0
    changed: int = 0
    unknown: int = 0
    """Lines without a price."""
    note: str = ""


class Muted(Model):
    """A silence that ends within the next day, or an acknowledgement that is forgotten."""

    kind: Literal["silence", "maintenance", "acknowledgement"]
    what: str
    by: str
    at: Instant
    """When the silence ends, or when it was acknowledged."""
    matches: int
    """Firing alerts that it mutes."""
    reason: str = ""


class Down(Model):
    """A source, or signals of it, that gave no answer."""

    source: str
    signals: int
    """How many of its signals; 0 = all of it."""
    lasted: Duration
    """Within the day."""
    error: str
    now: bool
    """Whether it is still so."""


class DeadLetters(Model):
    """Messages of a channel that were given up."""

    channel: str
    count: int
    error: str
    """Of the last one."""


class Digest(Model):
    """One day; lists hold at most LISTED entries, texts are bounded, and none of them is escaped yet."""

    start: Instant
    end: Instant
    """Exclusive."""
    as_of: Instant
    """What is said to be so now was so then."""
    location: str = "UTC"
    """Time zone in which it is told."""
    environment: str = ""
    pages: Pages = Pages()
    open: tuple[Open, ...] = ()
    open_count: int = 0
    noisy: tuple[Noisy, ...] = ()
    advised: tuple[Advised, ...] = ()
    advised_count: int = 0
    totals: tuple[Total, ...] = ()
    decided: tuple[Decided, ...] = ()
    drift: tuple[Drift, ...] = ()
    muted: tuple[Muted, ...] = ()
    down: tuple[Down, ...] = ()
    dead: tuple[DeadLetters, ...] = ()
    ticks: int = 0
    gap: Duration = timedelta(0)
    """The longest time without a tick."""

    @property
    def quiet(self) -> bool:
        """Whether nothing is to be told or done."""
        worth = (self.open, self.noisy, self.advised, self.decided, self.muted, self.down, self.dead)
        return not self.pages.count and not any(worth)


class DailyDigest(Model):
    """When the digest is sent: once for each local day, to the routes that name `kind="digest"`."""

    at: Clock
    """Time of the day; where the clock jumps over it, when it jumps."""
    location: Annotated[str, AfterValidator(zone)] = "UTC"

    @field_validator("at")
    @classmethod
    def _within(cls, at: int) -> int:
        if at >= 1440:
            raise ValueError('write "00:00" for midnight')
        return at
