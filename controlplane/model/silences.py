"""Silences: who mutes which alerts for how long, and why. A maintenance window is a silence that is planned."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from controlplane.model.base import Instant, Model
from controlplane.model.matchers import MatcherField

WARNING = timedelta(hours=1)


class Silence(Model):
    """Alerts for which every matcher holds are told to nobody from `starts_at` until before `ends_at`."""

    id: str
    kind: Literal["silence", "maintenance"] = "silence"
    matchers: tuple[MatcherField, ...] = Field(min_length=1)
    starts_at: Instant
    ends_at: Instant
    author: str
    reason: str
    created_at: Instant
    ended_by: str | None = None
    """Who ended it before its time."""
    warned_at: Instant | None = None
    """When somebody was told that it ends soon while it still mutes."""

    def active(self, at: Instant) -> bool:
        """Whether it mutes at an instant."""
        return self.starts_at <= at < self.ends_at

    @property
    def warns_at(self) -> Instant:
        """From when on its end is near: an hour before it, or a quarter of its length where that is less."""
        return self.ends_at - min(WARNING, (self.ends_at - self.starts_at) / 4)

    def ends_soon(self, at: Instant) -> bool:
        """Whether it mutes at an instant and its end is near."""
        return self.active(at) and self.warns_at <= at
