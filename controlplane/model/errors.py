"""Errors that tell the reader where, what and how to mend it."""

from dataclasses import dataclass


class ControlplaneError(Exception):
    """Base of every error that is meant for a person: the message is complete as it stands."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document a problem lies; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        where = self.file
        if self.line is not None:
            where += f":{self.line}"
            if self.column is not None:
                where += f":{self.column}"
        return f"{where} ({self.path})" if self.path else where


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with user input, and what to do about it."""

    place: Place
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f". {self.remedy}" if self.remedy else "")


class InvalidInput(ControlplaneError):
    """A document that can't be used; carries every problem found in it, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class AdviceError(ControlplaneError):
    """No advice can be given: the message says which input is missing, too old or contradictory."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class AdviceRefused(AdviceError):
    """What is known now forbids the change; advice to make it that was given before must not stand either."""
