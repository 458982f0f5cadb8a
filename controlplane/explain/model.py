"""What an explanation holds; it is gathered first and put into words afterwards."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from controlplane.model.alerts import Acknowledgement
from controlplane.model.notifications import Incident
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Recommendation
from controlplane.model.rules import Placed
from controlplane.model.views import DeliveryRecord

Presence = Literal["present", "not a number", "absent", "unanswered"]
State = Literal["inactive", "pending", "firing", "nodata"]


@dataclass(frozen=True, slots=True)
class Point:
    """What a rule saw of one label set at a step."""

    at: datetime
    presence: Presence
    """absent: the source answered without the series; unanswered: it gave no answer, which changes no state."""
    value: float | None = None
    met: bool = False
    """Whether `when` holds."""
    cleared: bool = False
    """Whether `clear` holds."""


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of the alert."""

    at: datetime
    type: str
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """From the first step of a condition to its end."""

    active_at: datetime
    facts: AlertFacts | None = None
    """As at its last transition; None where it was only pending before the log begins."""
    fired_at: datetime | None = None
    ended_at: datetime | None = None
    end: Step | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """Where an alert stands at a step, and how it came there."""

    state: State = "inactive"
    episode: Episode | None = None
    """The one that is under way, else the last one that ended."""
    held_since: datetime | None = None
    held_for: str | None = None
    acknowledged: Acknowledgement | None = None
    steps: tuple[Step, ...] = ()
    """The newest ones up to the step, oldest first."""
    next: Step | None = None
    """The first transition after it, where that is known already."""


@dataclass(frozen=True, slots=True)
class Told:
    """What people were told of an alert, and why they weren't."""

    incident: Incident | None = None
    deliveries: tuple[DeliveryRecord, ...] = ()
    """Their newest states."""
    suppressed: tuple[tuple[datetime, str, str], ...] = ()
    """(when, channel or "" for all, reason)."""
    recommendations: tuple[Recommendation, ...] = ()
    no_advice: tuple[str, ...] = ()
    """Why a rule that advises had no recommendation."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One label set of a rule at a step."""

    rule: str
    placed: Placed | None
    """The rule as it is now; None where it is gone."""
    alert: str
    source: str
    labels: dict[str, str]
    points: tuple[Point, ...]
    """Oldest first, up to the step that is asked for."""
    story: Story
    told: Told = field(default_factory=Told)


@dataclass(frozen=True, slots=True)
class Unseen:
    """A rule without a label set at the step, and why."""

    placed: Placed
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything about a target at a step."""

    target: str
    kind: Literal["rule", "alert", "resource"]
    at: datetime
    digest: str | None
    """Of the rules in force at the step; None where the log doesn't reach that far back."""
    digest_now: str
    explanations: tuple[Explanation, ...]
    unseen: tuple[Unseen, ...] = ()
    left_out: int = 0
    """Label sets that are not listed: nothing happened to them."""
    samples_since: datetime | None = None
    """Samples before it are gone; None where all that was asked for are there."""
    notes: tuple[str, ...] = ()
