"""Write price books as YAML that reads back as what was meant. Pure."""

from typing import Any

import yaml

from controlplane.costs.book import parse_price_book
from controlplane.documents import stays_text
from controlplane.model.prices import PriceBook

_WIDE = 1_000


class _Dumper(yaml.SafeDumper):
    """Quotes every text that would be read as something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if stays_text(text) else "'")


_Dumper.add_representer(str, _text)


def render_price_book(book: PriceBook) -> str:
    """The book as YAML, without what is left at its default; ValueError where it doesn't read back as the same book."""
    document = book.model_dump(mode="json", exclude_defaults=True)
    entries = document.pop("prices", [])
    ordered: dict[str, Any] = {"currency": book.currency, **document}
    ordered["prices"] = [
        {"id": entry["id"], "item": entry["item"], "unit": entry["unit"], "amount": entry["amount"], **entry}
        for entry in entries
    ]
    text: str = yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDE)
    if parse_price_book(text, "the book") != book:
        raise ValueError("the book doesn't read back as it was written")
    return text
