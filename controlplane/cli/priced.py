"""What the commands about money start from: inventories, price books, and where each was taken from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controlplane.cli.output import tell
from controlplane.model.labels import printable
from controlplane.model.prices import PriceBook
from controlplane.model.resources import Resource

if TYPE_CHECKING:
    from controlplane.settings import Settings


@dataclass(frozen=True)
class Priced:
    """A platform with its resources and its book."""

    platform: str
    resources: tuple[Resource, ...]
    book: PriceBook
    inventory: str
    """Where the resources were taken from."""
    prices: str
    """Where the book was taken from."""


def platforms_to_price(config: Path | None, wanted: str | None) -> tuple[list[Priced], "Settings"]:
    """The platforms of the event log, or the shipped ones where there is no log or it knows none of them.

    ClickException where `wanted` has no inventory or no price book.
    """
    from controlplane import bootstrap

    settings = bootstrap.load_settings(config)
    known = _logged(settings)
    shipped = shipped_packs()
    names = [wanted] if wanted else sorted(known) or shipped
    books = load_books(settings, names)
    found: list[Priced] = []
    for name in names:
        if name in known:
            resources, origin = tuple(known[name]), "event log"
        elif name in shipped:
            resources, origin = _shipped(name), "shipped with the pack"
        else:
            there = ", ".join(sorted({*known, *shipped}))
            raise click.ClickException(f"there is no inventory of {printable(name, 60)}; there are {there}")
        if name not in books:
            remedy = "name one under `prices` in controlplane.yaml"
            raise click.ClickException(f"there is no price book of {printable(name, 60)}; {remedy}")
        prices = str(settings.prices[name]) if name in settings.prices else "shipped with the pack"
        found.append(Priced(name, resources, books[name], origin, prices))
    return found, settings


def load_books(settings: "Settings", names: Iterable[str]) -> dict[str, PriceBook]:
    """Price books by pack; InvalidInput names everything that is wrong with them."""
    from controlplane.bootstrap import load_prices
    from controlplane.model.errors import InvalidInput

    books, problems = load_prices(settings, list(names))
    if problems:
        raise InvalidInput(problems)
    return books


def shipped_packs() -> list[str]:
    """Packs that have a shipped inventory, in name order."""
    from importlib import resources

    return sorted(
        folder.name for folder in resources.files("fixtures").iterdir() if (folder / "inventory.yaml").is_file()
    )


def _logged(settings: "Settings") -> dict[str, list[Resource]]:
    if settings.events is None and not (settings.home / "events.db").exists():
        return {}
    from controlplane.bootstrap import open_log
    from controlplane.cli.stores import warn_if_stale
    from controlplane.eventlog.projections import RESOURCES

    found: dict[str, list[Resource]] = {}
    with open_log(settings) as log:
        for row in log.rows(RESOURCES).values():
            found.setdefault(row.resource.platform, []).append(row.resource)
        if found:
            warn_if_stale(log, settings)
    if not found:
        tell("note: the event log holds no inventory yet; priced are the shipped ones", err=True)
    return {platform: sorted(own, key=lambda resource: resource.id) for platform, own in found.items()}


def _shipped(platform: str) -> tuple[Resource, ...]:
    from importlib import resources

    from controlplane.telemetry.inventory_file import read_inventory

    with resources.as_file(resources.files("fixtures") / platform / "inventory.yaml") as path:
        return tuple(read_inventory(path, platform))
