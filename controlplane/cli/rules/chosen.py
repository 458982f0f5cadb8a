"""Which rules a command is about."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlplane.rules.load import Loaded


def load(config: Path | None, paths: Sequence[Path] = (), platforms: Sequence[str] = ()) -> "Loaded":
    """The rules at `paths` and of shipped packs; without both those of the settings, else all shipped ones."""
    from controlplane import bootstrap
    from controlplane.rules.files import read_rule_texts, shipped_platforms
    from controlplane.rules.load import Loaded, load_rules

    if paths or platforms:
        texts, unread = read_rule_texts(platforms, paths)
    else:
        settings = bootstrap.load_settings(config)
        if settings.platforms or settings.rules:
            return bootstrap.load_rule_set(settings)
        texts, unread = read_rule_texts(shipped_platforms())
    checked = load_rules(texts)
    return Loaded(checked.rules, (*unread, *checked.problems))
