"""Commands to be read and run by a person: templates of arguments, filled in and quoted for a shell."""

import re
import shlex
from collections.abc import Mapping, Sequence

from pydantic import AfterValidator

from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable

_FIELD = re.compile(r"\{([a-z_]+)\}")

Argv = tuple[str, ...]


def _checked(names: Sequence[str], argv: Argv) -> Argv:
    if not argv:
        raise ValueError('a command needs at least its program, such as ["kubectl", "get", "pods"]')
    for part in argv:
        unknown = [name for name in _FIELD.findall(part) if name not in names]
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} can't be filled in here; use {', '.join(f'{{{n}}}' for n in names)}")
    return argv


def template(*names: str) -> AfterValidator:
    """Check that a list of arguments uses only the named placeholders."""
    return AfterValidator(lambda argv: _checked(names, argv))


def templates(*names: str) -> AfterValidator:
    """Check that every list of arguments uses only the named placeholders."""
    return AfterValidator(lambda commands: tuple(_checked(names, argv) for argv in commands))


def quote(argument: str) -> str:
    """One argument for bash; control characters are written out as `$'\\x1b'`, so that they can't reach a terminal.

    AdviceError where it holds half of a surrogate pair: no program can be given that.
    """
    if argument.isprintable():
        return shlex.quote(argument)
    return "$'" + "".join(_escaped(char) for char in argument) + "'"


def _escaped(char: str) -> str:
    if char in "'\\":
        return "\\" + char
    if char.isprintable():
        return char
    try:
        data = char.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        half = f"\\u{ord(char):04x}"
        raise AdviceError(
            f"a name holds {half}, half of a character, which no command can be given; rename it"
        ) from None
    return "".join(f"\\x{byte:02x}" for byte in data)


def command(argv: Sequence[str]) -> str:
    """The arguments as one line for a shell."""
    return " ".join(quote(part) for part in argv)


def fill(argv: Argv, values: Mapping[str, str | int | Sequence[str]]) -> str:
    """A template with its placeholders filled in, quoted for a shell.

    A list fills an argument that is nothing but its placeholder, one argument for each entry. AdviceError where a
    value that begins with `-` would be read as an option: write `--name={value}`, or `--` before it.
    """
    filled: list[str] = []
    for part in argv:
        whole = _FIELD.fullmatch(part)
        value = values[whole[1]] if whole else None
        parts = (
            list(value)
            if isinstance(value, Sequence) and not isinstance(value, str)
            else [_FIELD.sub(lambda found: _text(values[found[1]]), part)]
        )
        if part.startswith("{") and "--" not in filled:
            option = next((text for text in parts if text.startswith("-")), None)
            if option is not None:
                raise AdviceError(f"{printable(option, 80)!r} begins with a dash and would be an option of {argv[0]}")
        filled.extend(parts)
    return command(filled)


def _text(value: str | int | Sequence[str]) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ",".join(value)
