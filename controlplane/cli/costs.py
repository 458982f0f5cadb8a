"""`controlplane costs`: what runs now costs, what a recommendation costs, and what other ways to buy it would."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, json_option, pick, print_json, tell

if TYPE_CHECKING:
    from controlplane.costs.compare import Way

_platform = click.option("--platform", metavar="NAME", help="One platform only.")


@click.group()
def costs() -> None:
    """What the platforms cost, what recommendations cost, and price books."""


@costs.command()
@_platform
@json_option
@config_option
def show(*, platform: str | None, as_json: bool, config: Any) -> None:
    """What runs now costs, by component; what has no price makes a total `at least`."""
    from controlplane.cli.priced import platforms_to_price
    from controlplane.costs.bill import bill

    found, _ = platforms_to_price(config, platform)
    bills = [(priced, bill(priced.platform, priced.resources, priced.book)) for priced in found]
    if as_json:
        print_json(
            {
                "platforms": [
                    {
                        "platform": made.platform,
                        "inventory": priced.inventory,
                        "prices": priced.prices,
                        **made.model_dump(mode="json"),
                        "unknown": [line.model_dump(mode="json") for line in made.unknown],
                    }
                    for priced, made in bills
                ]
            }
        )
        return
    from controlplane.cli.moneyed import print_bill

    for priced, made in bills:
        print_bill(priced, made)


@costs.command()
@click.argument("recommendation")
@json_option
@config_option
def explain(*, recommendation: str, as_json: bool, config: Any) -> None:
    """One recommendation's money in full, by its id or enough of the beginning of it."""
    from controlplane.bootstrap import load_prices
    from controlplane.cli.stores import event_log
    from controlplane.costs.explain import explain as explained
    from controlplane.eventlog.projections import RECOMMENDATIONS

    with event_log(config) as (log, settings):
        rows = log.rows(RECOMMENDATIONS)
    row = rows[pick(recommendation, rows, "recommendation", "see `controlplane recommendations --all`")]
    books, problems = load_prices(settings, [row.platform])
    for problem in problems:
        tell(f"note: {problem}", err=True)
    made = explained(row, books.get(row.platform))
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        from controlplane.cli.moneyed import print_explanation

        print_explanation(made)


@costs.command()
@_platform
@click.option(
    "--book",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A further price book; several times for several.",
)
@json_option
@config_option
def compare(*, platform: str | None, files: tuple[Path, ...], as_json: bool, config: Any) -> None:
    """The same inventory bought in several ways: only what all of them include is like for like."""
    from controlplane.cli.priced import load_books, platforms_to_price
    from controlplane.costs import read_price_book
    from controlplane.costs.compare import compare as compared
    from controlplane.costs.compare import ways

    found, settings = platforms_to_price(config, platform)
    books = [(str(path), read_price_book(path)) for path in files]
    comparisons = []
    for priced in found:
        name, resources = priced.platform, priced.resources
        offered: list[Way] = [*ways(name, resources, name, priced.book, own=True)]
        for pack, book in load_books(settings, priced.book.also).items():
            offered += ways(name, resources, pack, book, own=False)
        for file, book in books:
            offered += ways(name, resources, file, book, own=not book.offers)
        unique = {way.id: way for way in offered}
        comparisons.append((priced, compared(name, list(unique.values())), list(unique.values())))
    if as_json:
        print_json(
            {
                "platforms": [
                    {
                        "inventory": priced.inventory,
                        **made.model_dump(mode="json"),
                        "offers": [way.model_dump(mode="json") for way in offered],
                    }
                    for priced, made, offered in comparisons
                ]
            }
        )
        return
    from controlplane.cli.moneyed import print_comparison

    for priced, made, _ in comparisons:
        print_comparison(priced, made)


@costs.group("import")
def import_() -> None:
    """Price books from the price lists of others."""
