"""`controlplane placement`: which virtual machine runs on which host, whether that holds, and what would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, tell
from controlplane.model.labels import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.model.prices import PriceBook
    from controlplane.model.resources import Resource
    from controlplane.packing.reading import Reading


@dataclass(frozen=True, slots=True)
class Source:
    """What is placed, and by which rules."""

    platform: str
    inventory: str
    """Where the resources were taken from."""
    resources: "tuple[Resource, ...]"
    reading: "Reading"
    book: "PriceBook"


@click.command()
@click.argument("target", metavar="[PLATFORM|FILE]", required=False)
@click.option("--lose", "lost", metavar="HOST", multiple=True, help="What to do when this host dies; several times.")
@click.option("--spare", metavar="N", type=click.IntRange(0, 10), help="Carry the loss of any N hosts. [default: 1]")
@click.option(
    "--least", type=click.Choice(["moves", "memory"]), default="moves", show_default=True, help="What moves keep small."
)
@json_option
@config_option
def placement(
    *, target: str | None, lost: tuple[str, ...], spare: int | None, least: Any, as_json: bool, config: Path | None
) -> None:
    """Where virtual machines run: does it fit, how few hosts does it take, what moves, what if a host dies?

    Takes a platform or an inventory file of your own. Reserves, groups and start order come from the inventory, and
    from the rules of a platform. Exit 1 where the placement breaks a rule or doesn't carry what --spare or --lose asks.
    """
    from controlplane.cli import placed
    from controlplane.packing.reading import read_problem

    source = _source(target, config)
    problem = read_problem(source.resources, source.reading)
    with _progress() as told:
        if lost:
            document, show, fine = placed.loss(source, problem, _hosts(problem.hosts, lost), told)
        else:
            document, show, fine = placed.whole(source, problem, spare, least, told)
    if as_json:
        print_json(document)
    else:
        show(console())
    finish(0 if fine else 1)


def _hosts(hosts: Any, lost: tuple[str, ...]) -> tuple[str, ...]:
    known = [host.id for host in hosts]
    for name in lost:
        if name not in known:
            shown = ", ".join(printable(host, 60) for host in known[:12]) + (" …" if len(known) > 12 else "")
            raise click.UsageError(f"there is no host {printable(name, 60)}; there are {shown}")
    return tuple(dict.fromkeys(lost))


def _source(target: str | None, config: Path | None) -> Source:
    from controlplane.cli.priced import load_books, platforms_to_price
    from controlplane.model.prices import PriceBook
    from controlplane.model.resources import ResourceKind
    from controlplane.packing.reading import Reading
    from controlplane.telemetry.inventory_file import read_inventory

    if target is not None and Path(target).is_file():
        name = Path(target).stem
        return Source(name, target, read_inventory(Path(target), name), Reading(), PriceBook())
    try:
        found, settings = platforms_to_price(config, target)
    except click.ClickException as error:
        raise click.UsageError(error.message) from None
    hosting = [one for one in found if any(r.kind is ResourceKind.VM and r.host for r in one.resources)]
    if len(hosting) != 1:
        if target is not None:
            raise click.UsageError(f"{printable(target, 60)} has no virtual machines with a host; nothing is placed")
        names = ", ".join(one.platform for one in hosting)
        raise click.UsageError(f"name a platform{f' ({names})' if names else ' that has machines on hosts'}, or a file")
    one = hosting[0]
    books = load_books(settings, [one.platform])
    return Source(one.platform, one.inventory, one.resources, _reading(config, one.platform), books[one.platform])


def _reading(config: Path | None, platform: str) -> "Reading":
    """The parameters of the platform's rules about hosts."""
    from controlplane.cli.rules.chosen import load
    from controlplane.model.methods.host import Placed
    from controlplane.packing.reading import Reading

    for placed in load(config).rules.rules:
        parameters = getattr(placed.rule, "parameters", None)
        if placed.platform == platform and isinstance(parameters, Placed):
            return Reading(
                parameters.apart,
                parameters.domain,
                {str(k): v for k, v in parameters.reserve.items()},
                parameters.order,
            )
    return Reading()


@contextmanager
def _progress() -> "Iterator[Callable[[str], None]]":
    """What is being looked for, on stderr: a status line on a terminal, elsewhere a line for what takes long."""
    import time

    screen = console(stderr=True)
    began = time.monotonic()
    with screen.status("reading") as status:

        def told(text: str) -> None:
            if screen.is_terminal:
                status.update(text)
            elif time.monotonic() - began > 1:
                tell(f"looking for: {text}", err=True)

        yield told
