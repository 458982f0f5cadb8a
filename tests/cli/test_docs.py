"""What the documentation says is so: examples load, and every command and option is there."""

import re
from pathlib import Path

import click
import pytest

from controlplane.costs import read_price_book
from controlplane.documents import parse_document, validate
from controlplane.model.recommendations import Price
from controlplane.model.resources import ResourceKind
from controlplane.settings import Settings
from controlplane.telemetry.inventory_file import read_inventory
from tests.cli.conftest import commands

DOCS = Path(__file__).parents[2] / "docs"
INVENTORY = (DOCS / "inventory.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: ([^>]+) -->\n```\w+\n(.*?)```", INVENTORY, re.DOTALL))


def test_all_examples_are_tested() -> None:
    assert set(EXAMPLES) == {"inventory.yaml", "inventory.csv", "targets", "prices.yaml", "platform prices"}
    assert INVENTORY.count("```") == 2 * len(EXAMPLES)


def test_the_inventory_in_yaml(tmp_path: Path) -> None:
    file = tmp_path / "inventory.yaml"
    file.write_text(EXAMPLES["inventory.yaml"])
    resources = {resource.id: resource for resource in read_inventory(file, "catalyst")}
    assert list(resources) == ["host-1", "host-2", "host-3", "kafka-1", "pg-1", "pg-2"]
    assert [resources[f"host-{n}"].zone for n in (1, 2, 3)] == ["zone-a", "zone-b", "zone-a"]
    assert resources["host-1"].capacity.memory_bytes == 512 * 2**30
    assert resources["host-1"].capacity.network_bits_per_second == 1e10
    assert resources["kafka-1"].attributes == {"broker_id": "1"}


def test_the_inventory_in_csv(tmp_path: Path) -> None:
    file = tmp_path / "inventory.csv"
    file.write_text(EXAMPLES["inventory.csv"])
    resources = {resource.id: resource for resource in read_inventory(file, "catalyst")}
    assert list(resources) == ["cache-1", "cache-2", "cache-3", "cache-4", "gateway"]
    assert resources["cache-2"].zone == "zone-b"
    assert resources["gateway"].attributes == {"rack": "r12"}


def test_the_targets() -> None:
    settings = validate(parse_document(EXAMPLES["targets"], "targets"), Settings)
    assert settings.sources[0].type == "prometheus_targets"


def test_the_price_book(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(EXAMPLES["prices.yaml"])
    book = read_price_book(file)
    assert {price.unit for price in book.prices} == {"USD", "USD/h", "USD/GBy.mo", "USD/GBy"}
    assert [price.id for price in book.prices if price.amount is None] == ["operator-hour"]
    priced = {price for text in re.findall(r"price: (\S+)", EXAMPLES["inventory.yaml"]) for price in [text]}
    assert all(book.get(price) for price in priced)


def test_what_a_platform_costs() -> None:
    from controlplane.costs import parse_price_book
    from controlplane.costs.compare import compare, ways
    from controlplane.model.resources import Capacity, Resource

    book = parse_price_book(EXAMPLES["platform prices"], "prices.yaml")
    holds = Capacity(cores=16, memory_bytes=128 * 2**30, disk_bytes=4e12)
    kafka = Resource(id="a", platform="p", kind=ResourceKind.BROKER, role="kafka", price="rack-server", capacity=holds)
    made = compare("p", ways("p", [kafka], "book", book, own=True))
    assert [way.title for way in made.ways] == ["On-premise", "Cloud", "Hypervisors"]
    assert made.months["kafka"]["book"].told() == "$791.67"
    assert made.months["kafka"]["book:cloud"].told() == "$1,791.68"


@pytest.mark.parametrize("kind", ResourceKind)
def test_every_kind_is_named(kind: ResourceKind) -> None:
    assert f"`{kind.value}`" in INVENTORY


def test_every_price_unit_is_named() -> None:
    from typing import get_args

    for unit in get_args(Price.model_fields["unit"].annotation):
        assert f"`{unit}`" in INVENTORY


def leaves() -> list[tuple[str, click.Command]]:
    found = []
    for name, command in commands().items():
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {inner}", sub) for inner, sub in command.commands.items()]
    return [(name, command) for name, command in found if not isinstance(command, click.Group) or command.params]


@pytest.mark.parametrize(("name", "command"), leaves(), ids=[name for name, _ in leaves()])
def test_every_command_is_in_the_reference(name: str, command: click.Command) -> None:
    row = next((line for line in CLI.splitlines() if re.match(rf"\| `controlplane {name}( [^a-z|]|`)", line)), None)
    assert row is not None, f"docs/cli.md doesn't mention `controlplane {name}`"
    usage = row.split("`")[1]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in {"config", "help"}:
            assert any(option in usage for option in parameter.opts), f"{name}: {parameter.opts}"
        elif isinstance(parameter, click.Argument):
            assert re.search(r"[A-Z]{2,}", usage), f"{name}: {parameter.name}"


def test_the_reference_names_no_command_that_is_not_there() -> None:
    known = {name for name, _ in leaves()}
    for usage in re.findall(r"^\| `controlplane ((?:[a-z]+[ -])*[a-z]+)(?![a-z-])", CLI, re.MULTILINE):
        assert usage.strip() in known, usage
