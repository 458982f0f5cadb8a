"""The last good copy of each calendar, and what came of the last attempt to get a newer one."""

import contextlib
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import ValidationError

from controlplane.model.base import Instant, Model
from controlplane.oncall.calendar import MAX_BYTES


class Attempt(Model):
    """The last attempt to fetch a feed."""

    at: Instant
    error: str = ""
    """Empty = it gave a calendar."""
    good_at: Instant | None = None
    """When it last did."""


class Copies:
    """Files in a folder of the home directory: `<schedule>.ics`, and `<schedule>.json` for attempts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, schedule: str) -> bytes | None:
        """The copy, None where there is none."""
        return read_bounded(self._folder / f"{schedule}.ics")

    def keep(self, schedule: str, data: bytes) -> None:
        """Take a calendar as the copy; a disk that is full leaves the old one."""
        if self.read(schedule) != data:
            self._write(f"{schedule}.ics", data)

    def attempt(self, schedule: str) -> Attempt | None:
        """What came of the last attempt."""
        text = read_bounded(self._folder / f"{schedule}.json")
        if text is None:
            return None
        with contextlib.suppress(ValidationError):
            return Attempt.model_validate_json(text)
        return None

    def attempted(self, schedule: str, at: datetime, error: str) -> None:
        """Note an attempt."""
        known = self.attempt(schedule)
        good_at = at if not error else known.good_at if known else None
        made = Attempt(at=at, error=error, good_at=good_at)
        self._write(f"{schedule}.json", made.model_dump_json().encode())

    def _write(self, name: str, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(data)
            Path(file.name).replace(self._folder / name)


def read_bounded(path: Path) -> bytes | None:
    """The file, one byte more than a calendar may have at most; None where it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError:
        return None
