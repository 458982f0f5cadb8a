"""Keys bound anew: checked against the bindings that there are, so that a mistake is told before the terminal opens."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.keys import _character_to_key  # what Textual itself reads a keymap with
from textual.screen import Screen

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable

Bound = tuple[Mapping[str, tuple[str, ...]], ...]
"""For each screen with those of the program: name of a binding → its keys."""


class BadKeys(ControlplaneError):
    """Keys in the settings that can't be used."""


def bound(screens: Iterable[type[Screen[Any]]], app: type[App[Any]]) -> Bound:
    """The keys of each screen as they are without settings."""
    return tuple({**_named(screen), **_named(app)} for screen in screens)


def _named(owner: type) -> dict[str, tuple[str, ...]]:
    found = {}
    for binding in vars(owner).get("BINDINGS", ()):
        if isinstance(binding, Binding) and binding.id is not None:
            found[binding.id] = tuple(binding.key.split(","))
    return found


def checked(keys: Mapping[str, str], screens: Bound) -> dict[str, str]:
    """The keymap for Textual; BadKeys names an unknown binding, or two that would have the same key."""
    known = sorted({name for screen in screens for name in screen})
    for name, wanted in keys.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise BadKeys(f"tui.keys: there is no binding {printable(name, 60)}; {hint}")
        if not all(part.strip() for part in wanted.split(",")):
            raise BadKeys(f"tui.keys.{name}: an empty key; write one such as x, ctrl+k or z,down")
    made = {name: ",".join(_key(part) for part in wanted.split(",")) for name, wanted in keys.items()}
    for screen in screens:
        taken: dict[str, str] = {}
        for name, before in screen.items():
            for key in made[name].split(",") if name in made else before:
                other = taken.setdefault(key, name)
                # What a screen and the program both bind on purpose, as ctrl+c, is not a mistake of the settings.
                if other != name and (name in made or other in made):
                    raise BadKeys(f"tui.keys: {printable(key, 20)} would be both {other} and {name}; choose another")
    return made


def _key(text: str) -> str:
    *modifiers, key = text.strip().split("+") if len(text.strip()) > 1 else [text.strip()]
    return "+".join([*modifiers, _character_to_key(key) if len(key) == 1 else key])
