"""What a check comes to."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from controlplane.model.errors import ControlplaneError, InvalidInput


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


def failures(name: str, error: ControlplaneError, remedy: str) -> Findings:
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
