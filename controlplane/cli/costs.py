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


@costs.command("import")
@click.argument("format_", metavar="FORMAT", type=click.Choice(["aws"]), expose_value=False)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "output",
    metavar="BOOK",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write.",
)
@click.option("--region", metavar="REGION", help="Such as us-west-2; needed where the file has several.")
@click.option("-T", "--instance-type", "types", metavar="TYPE", multiple=True, help="Only these; several times.")
@click.option("--lease", type=click.Choice(["1yr", "3yr"]), default="1yr", show_default=True, help="Of reservations.")
@click.option(
    "--upfront", type=click.Choice(["no", "partial", "all"]), default="no", show_default=True, help="Of reservations."
)
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
@json_option
def import_(
    *,
    file: Path,
    output: Path,
    region: str | None,
    types: tuple[str, ...],
    lease: Any,
    upfront: str,
    force: bool,
    as_json: bool,
) -> None:
    """A price list of AWS (FORMAT `aws`: the JSON of a service as AWS publishes it) as a price book.

    Of instances Linux, shared, without installed software and in use. What doesn't map is named with its reason.
    """
    from controlplane.cli.output import console, finish
    from controlplane.costs.aws import Wanted, read_aws_offer
    from controlplane.costs.write import render_price_book

    if output.exists() and not force:
        raise click.UsageError(f"{output} would be overwritten; --force replaces it")
    paid: Any = {"no": "No Upfront", "partial": "Partial Upfront", "all": "All Upfront"}[upfront]
    size, done = max(1, 3 * file.stat().st_size), 0
    with console(stderr=True).status("Reading the price list") as status:

        def told(count: int) -> None:
            nonlocal done
            done += count
            status.update(f"Reading the price list: {min(100, done * 100 // size)} %")

        made = read_aws_offer(file, Wanted(region=region, types=types, lease=lease, upfront=paid), told)
    if made.book.prices:
        output.write_text(render_price_book(made.book), encoding="utf-8")
    if as_json:
        print_json(
            {
                "book": str(output) if made.book.prices else None,
                "prices": len(made.book.prices),
                "products": made.read,
                "left_out": made.left_out,
                "refused": made.refused,
            }
        )
    else:
        wrote = f"{output}: " if made.book.prices else "nothing written: "
        tell(f"{wrote}{len(made.book.prices)} prices of {made.read} products; {made.left_out} weren't asked for")
        for reason in made.refused:
            tell(f"not mapped: {reason}", err=True)
    finish(0 if made.book.prices and not made.refused else 1)
