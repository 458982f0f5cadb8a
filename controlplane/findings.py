"""What a check of `controlplane doctor` comes to, and the check of who gets the daily digest."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from controlplane import bootstrap
from controlplane.model.routes import Tree
from controlplane.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    message: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """The finding as a document."""
        return asdict(self)


Findings = Iterator[Finding]


def digest(settings: Settings) -> Findings:
    """Who gets it; nothing where there is none."""
    from controlplane.notify.routing import schemes, told_digest

    notify = settings.notify
    if notify.digest is None:
        return
    known = schemes(notify.channels)
    to, why = told_digest(Tree(bootstrap.route(notify)), {}, known, datetime.now(UTC), always=True)
    if to:
        yield Finding("digest", "ok", f"the daily digest goes to {', '.join(to)}")
    else:
        remedy = 'Let a route that matches kind="digest" name a channel, or declare one that sends mail'
        yield Finding("digest", "warn", f"the daily digest reaches nobody: {why}", remedy)
