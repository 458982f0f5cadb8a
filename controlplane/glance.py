"""The settings at a glance: where they are, and what the terminal draws before it has checked them as a whole."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from controlplane.documents import read_document

CONFIG = "controlplane.yaml"
ENVIRONMENT = "default"
Theme = Literal["dark", "light", "colour-blind"]
THEME: Theme = "dark"


@dataclass(frozen=True, slots=True)
class Glance:
    """What the first picture shows of the settings."""

    environment: str = ENVIRONMENT
    theme: Theme = THEME
    keys: Mapping[str, str] = field(default_factory=dict)


def settings_path(given: Path | None = None) -> Path | None:
    """The settings file: the one given, else CONTROLPLANE_CONFIG, else ./controlplane.yaml if it exists."""
    if given is not None:
        return given
    named = os.environ.get("CONTROLPLANE_CONFIG")
    if named:
        return Path(named)
    here = Path(CONFIG)
    return here if here.exists() else None


def glance(given: Path | None = None) -> Glance | None:
    """What the settings file says for the first picture; the file is still to be checked as a whole.

    None where there is no file, or what it says of this can't be right. InvalidInput where it is no YAML or can't be
    read.
    """
    path = settings_path(given)
    data = None if path is None else read_document(path).data
    if not isinstance(data, dict):
        return None
    tui = data.get("tui", {})
    if not isinstance(tui, dict):
        return None
    environment, theme, keys = data.get("environment", ENVIRONMENT), tui.get("theme", THEME), tui.get("keys", {})
    if not isinstance(environment, str) or theme not in get_args(Theme) or not _texts(keys):
        return None
    return Glance(environment, theme, keys)


def _texts(keys: Any) -> bool:
    return isinstance(keys, dict) and all(isinstance(value, str) for value in keys.values())
