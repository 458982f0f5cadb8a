"""Read price books: every problem is named with its line and what to do about it."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from controlplane.documents import Document, nearest, parse_document, read_document, validate
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.labels import printable
from controlplane.model.prices import PriceBook


def read_price_book(path: Path) -> PriceBook:
    """The price book in a YAML file; InvalidInput names line, key and remedy of every problem."""
    return _checked(read_document(path))


def parse_price_book(text: str, name: str) -> PriceBook:
    """The price book in a YAML text that error messages call `name`; InvalidInput as for a file."""
    return _checked(parse_document(text, name))


def _checked(document: Document) -> PriceBook:
    problems = _entries(document)
    if problems:
        raise InvalidInput(problems)
    book = validate(document, PriceBook)
    problems = list(_unpriced(document, book))
    if problems:
        raise InvalidInput(problems)
    return book


def _unpriced(document: Document, book: PriceBook) -> Iterator[Problem]:
    """Names of prices that the book doesn't have."""
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("with_host", index), name) for index, name in enumerate(book.with_host)
    ]
    named += [(("standing", index, "price"), entry.price) for index, entry in enumerate(book.standing)]
    named += [(("breaches", index, "price"), entry.price) for index, entry in enumerate(book.breaches)]
    for number, offer in enumerate(book.offers):
        at = ("offers", number)
        named += [((*at, "takes", index, "price"), entry.price) for index, entry in enumerate(offer.takes)]
        named += [((*at, "standing", index, "price"), entry.price) for index, entry in enumerate(offer.standing)]
    known = [price.id for price in book.prices]
    for path, name in named:
        if book.get(name) is None:
            remedy = nearest(name, known) or "Add it to prices; an amount that isn't known is null"
            yield document.problem(path, f"the book has no price {printable(name, 80)!r}", remedy)


def _entries(document: Document) -> list[Problem]:
    """What the model can't tell with a line: repeated ids, impossible days and negative amounts."""
    data = document.data
    entries = data.get("prices") if isinstance(data, dict) else None
    found: list[Problem] = []
    first: dict[str, int] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        path = ("prices", index)
        name = entry.get("id")
        if isinstance(name, str):
            if name in first:
                line = document.place(("prices", first[name], "id")).line
                found.append(
                    document.problem(
                        (*path, "id"),
                        f"the price {name[:80]!r} stands in line {line} already",
                        "Give each price its own id",
                    )
                )
            first.setdefault(name, index)
        for key in ("amount", "reserved"):
            amount = entry.get(key)
            if str(amount).lstrip().startswith("-"):
                found.append(
                    document.problem(
                        (*path, key),
                        f"{str(amount)[:40]!r} is negative",
                        "A price is 0 or more; a saving is a negative quantity",
                    )
                )
        source = entry.get("source")
        day = source.get("date") if isinstance(source, dict) else None
        if isinstance(day, str) and not _is_day(day):
            found.append(
                document.problem((*path, "source", "date"), f"{day[:40]!r} is not a day", "Write it as 2026-01-31")
            )
    return found


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
