"""Secrets: settings name where one is, and it is read when it is needed."""

import os
from pathlib import Path
from typing import Self

from pydantic import model_validator

from controlplane.model.base import Model
from controlplane.model.errors import ControlplaneError


class MissingSecret(ControlplaneError):
    """A secret that the settings name isn't there."""


class Secret(Model):
    """Where a secret is read from when it is needed: an environment variable or a file."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("name either env (a variable) or file (a path), such as {env: SLACK_URL}")
        return self

    def read(self) -> str:
        """The secret, without the line end; MissingSecret says which variable or file to provide."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value:
                raise MissingSecret(f"environment variable {self.env} is not set; set it or use {{file: …}}")
            return value
        assert self.file is not None
        try:
            value = self.file.expanduser().read_text(encoding="utf-8").strip()
        except OSError as error:
            raise MissingSecret(f"secret file {self.file} can't be read: {error.strerror}") from None
        if not value:
            raise MissingSecret(f"secret file {self.file} is empty; put the secret into it")
        return value
