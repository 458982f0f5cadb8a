"""Labels: the identity of a series, and how hostile text in them is shown."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping

Labels = dict[str, str]


def canonical(labels: Mapping[str, str]) -> str:
    """Compact JSON with sorted keys and without empty labels: equal labels give equal text (valid UTF-8)."""
    kept = {name: value for name, value in labels.items() if value != ""}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def short_hash(*parts: str) -> str:
    """16 hex digits that name the parts; the parts are length-prefixed, so no two lists collide by concatenation."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:16]


def printable(text: str, limit: int = 200) -> str:
    """Text that is safe on a terminal and in a line of a log: no control or direction characters, bounded length."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    clean = "".join(_visible(char) for char in text[: limit + 1])
    return clean if len(text) <= limit else clean[: limit - 1] + "…"


def _visible(char: str) -> str:
    if char in "\n\t":
        return " "
    category = unicodedata.category(char)
    return "\N{REPLACEMENT CHARACTER}" if category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else char


def describe(labels: Mapping[str, str]) -> str:
    """`name=value` pairs for people, in name order."""
    return ", ".join(f"{printable(k)}={printable(v)}" for k, v in sorted(labels.items()))
