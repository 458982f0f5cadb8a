"""JSON as the YAML reader takes it: characters that JSON writes as two escapes become the characters that they are."""

import json
import re

from controlplane.model.errors import InvalidInput, Place, Problem

_ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|.)", re.DOTALL)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_LOW = re.compile(r"\\u(?P<code>[dD][c-fC-F][0-9a-fA-F]{2})")


def joined(text: str, name: str) -> str:
    """The text with every escaped surrogate pair as one escape of YAML, where it is JSON; others stay as they are.

    InvalidInput names line and column of half a pair, which is no character. Columns behind a pair move by 2.
    """
    if not _HALF.search(text) or not _is_json(text):
        return text
    parts: list[str] = []
    done = 0
    for found in _ESCAPE.finditer(text):
        high = int(found["code"] or "0", 16)
        if found.start() < done or not 0xD800 <= high <= 0xDFFF:
            continue
        low = _LOW.match(text, found.end())
        if high >= 0xDC00 or low is None:
            raise _half(text, found, name)
        code = 0x10000 + ((high - 0xD800) << 10) + int(low["code"], 16) - 0xDC00
        parts += [text[done : found.start()], f"\\U{code:08x}"]
        done = low.end()
    return "".join([*parts, text[done:]])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _half(text: str, found: re.Match[str], name: str) -> InvalidInput:
    line = text.count("\n", 0, found.start()) + 1
    column = found.start() - (text.rfind("\n", 0, found.start()) + 1) + 1
    message = f"{found[0]} is half of a surrogate pair, which is no character"
    remedy = "Write both halves, such as \\ud83d\\ude00, or the character itself"
    return InvalidInput([Problem(Place(name, line, column), message, remedy)])
