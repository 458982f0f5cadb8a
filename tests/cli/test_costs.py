"""`costs show`, `explain` and `compare`: one document each, money as decimal strings, and where it comes from."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.export import FORMATS
from tests.cli.conftest import Evening, Run
from tests.cli.test_hostile import filled, harmless
from tests.drafts import HOSTILE

MONEY = re.compile(r"-?\d+(\.\d+)?")
AMOUNTS = {"amount", "per_month", "per_month_reserved", "one_off", "spread", "unit_amount", "unit_reserved", "quantity"}


def money(value: Any, key: str = "") -> list[str]:
    """Every amount of a document."""
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in money(inner, name)]
    if isinstance(value, list):
        return [found for inner in value for found in money(inner, key)]
    if key in AMOUNTS and value is not None:
        assert isinstance(value, str), f"{key}: {value!r} is no decimal string"
        return [value]
    return []


@pytest.fixture
def replayed(evening: Evening, here: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    monkeypatch.setenv("CONTROLPLANE_HOME", str(evening.home))
    return evening


def test_show_without_a_control_plane_prices_what_is_shipped(run: Run, here: Path) -> None:
    shown = run("costs", "show", "--json")
    assert shown.code == 0, shown.err
    platforms = {entry["platform"]: entry for entry in shown.json["platforms"]}
    assert set(platforms) == {"absmach", "catalyst", "catalyst_hybrid", "datalyptica", "prism"}
    assert {entry["inventory"] for entry in platforms.values()} == {"shipped with the pack"}
    assert all(MONEY.fullmatch(amount) for amount in money(shown.json))
    assert platforms["absmach"]["sums"]["per_month"] == {"amount": "1500.00", "bound": "exact"}
    assert platforms["prism"]["sums"]["per_month"]["bound"] == "at_least"
    assert {line["price"] for line in platforms["prism"]["unknown"]} == {"s3", "cross-az", "nlb-data", "nat-data"}
    for entry in platforms.values():
        for component in entry["components"]:
            for line in component["lines"]:
                assert line["source"]["date"]
                assert line["source"]["document"]
    assert list(here.iterdir()) == [], "asking for money makes no stores"


def test_show_for_people(run: Run, here: Path) -> None:
    shown = run("costs", "show", "--platform", "prism")
    assert shown.code == 0
    assert "at least $85,443.61 a month, at least $1,025,323.32 a year" in shown.out
    assert "unknown: traffic: Traffic between zones" in shown.out
    assert "48 × 2.016 USD/h" in shown.out
    assert re.search(r"^\[1\] MEMO-077: .*, 2025-11-16$", shown.out, re.MULTILINE)


def test_show_prices_the_inventory_of_the_event_log(run: Run, replayed: Evening) -> None:
    shown = run("costs", "show", "--platform", "absmach", "--json")
    (entry,) = shown.json["platforms"]
    assert entry["inventory"] == "event log"
    assert entry["sums"]["per_month"]["amount"] == "1500.00"


def test_show_says_at_least_where_a_resource_has_no_price(run: Run, here: Path) -> None:
    (here / "hosts.yaml").write_text(
        "resources: [{id: a, kind: host, price: s}, {id: b, kind: host, price: '[red]x'}]\n"
    )
    (here / "prices.yaml").write_text(
        "prices: [{id: s, item: s, unit: USD/mo, amount: '10', source: {document: d, date: '2026-01-01'}}]\n"
    )
    (here / "controlplane.yaml").write_text(
        "prices: {shop: prices.yaml}\nsources: [{name: hosts, type: inventory, platform: shop, path: hosts.yaml}]\n"
    )
    assert run("tick", "--no-deliver", "--json").code == 0
    shown = run("costs", "show")
    assert shown.code == 0, shown.err
    assert "at least $10 a month, at least $120 a year" in shown.out
    assert "unknown: host: b: the price book has no entry '[red]x'" in shown.out
    (entry,) = run("costs", "show", "--json").json["platforms"]
    assert [line["per_month"] for line in entry["unknown"]] == [None]


@pytest.mark.parametrize("command", ["show", "compare"])
def test_a_platform_that_nobody_knows(run: Run, here: Path, command: str) -> None:
    shown = run("costs", command, "--platform", "nowhere\x1b[2J")
    assert (shown.code, shown.out) == (1, "")
    assert "there is no inventory of nowhere�[2J; there are absmach, catalyst" in shown.err


def test_explain(run: Run, replayed: Evening) -> None:
    for found in replayed.document["recommendations"]:
        shown = run("costs", "explain", found["id"], "--json")
        assert shown.code == 0, shown.err
        made = shown.json
        assert (made["recommendation"], made["version"]) == (found["id"], found["version"])
        assert made["per_month"] == {"amount": found["cost"]["per_month"], "bound": "exact"}
        assert Decimal(made["per_year"]["amount"]) == 12 * Decimal(found["cost"]["per_month"])
        assert made["do_nothing"] == found["cost"]["do_nothing"]
        assert all(MONEY.fullmatch(amount) for amount in money(made))
        for line, recorded in zip(made["lines"], found["cost"]["lines"], strict=True):
            assert line["per_month"] == recorded["per_month"]
            if line["unit"] == "USD/h":
                reckoned = Decimal(line["quantity"]) * Decimal(line["unit_amount"]) * 730
                assert round(reckoned, 2) == Decimal(line["per_month"])
        for_people = run("costs", "explain", found["id"])
        assert for_people.code == 0
        assert "Doing nothing: " in for_people.out
        assert "Pays back" in for_people.out


def test_explain_what_is_not_there(run: Run, replayed: Evening) -> None:
    shown = run("costs", "explain", "ffffffff")
    assert (shown.code, shown.out) == (1, "")
    assert "there is no recommendation ffffffff" in shown.err


def test_explain_without_a_log(run: Run, here: Path) -> None:
    assert run("costs", "explain", "ffff").code == 2


def test_compare(run: Run, here: Path) -> None:
    (made,) = run("costs", "compare", "--platform", "catalyst", "--json").json["platforms"]
    ways = {way["title"]: way for way in made["ways"]}
    assert list(ways) == ["On-premise", "AWS, on demand", "AWS, reserved", "Hybrid (hosts and Ceph)"]
    for way in ways.values():
        assert way["common"]["bound"] == "exact"
        assert Decimal(way["common"]["amount"]) <= Decimal(way["full"]["amount"])
        assert Decimal(way["common_per_year"]["amount"]) == 12 * Decimal(way["common"]["amount"])
        scopes = [Decimal(made["months"][scope][way["way"]]["amount"]) for scope in made["scopes"]]
        assert sum(scopes) == Decimal(way["common"]["amount"])
    assert "staff" not in made["scopes"]
    assert {"scope": "staff", "way": "catalyst:aws", "reason": "no line"} in made["lacks"]
    assert made["months"]["power"]["catalyst:aws"] == {"amount": "0", "bound": "exact"}, "a cloud's prices include it"
    shown = run("costs", "compare", "--platform", "catalyst")
    assert "not compared: staff: no line: AWS, on demand; AWS, reserved" in shown.out
    assert "Like for like are 15 of 18 scopes" in shown.out


def test_compare_with_further_books(run: Run, here: Path) -> None:
    for number in (1, 2):
        (here / f"{number}.yaml").write_text(
            f"title: Book {number}\nprices: [{{id: node, item: n, unit: USD/h, amount: '{number}', reserved: '0.5', "
            "source: {document: d, date: '2026-01-01'}}]\n"
        )
    shown = run("costs", "compare", "--platform", "absmach", "--book", "1.yaml", "--book", "2.yaml", "--json")
    assert shown.code == 0, shown.err
    (made,) = shown.json["platforms"]
    common = {way["way"]: way["common"]["amount"] for way in made["ways"]}
    assert common == {
        "absmach": "1500.00",
        "1.yaml": "2190.00",
        "1.yaml/reserved": "1095.00",
        "2.yaml": "4380.00",
        "2.yaml/reserved": "1095.00",
    }
    cheapest = [way["way"] for way in made["ways"] if way["over_cheapest"] == "0.00"]
    assert cheapest == ["1.yaml/reserved", "2.yaml/reserved"]


def test_a_broken_book_is_named(run: Run, here: Path) -> None:
    (here / "bad.yaml").write_text("prices: [{id: a}]\n")
    shown = run("costs", "compare", "--platform", "absmach", "--book", "bad.yaml")
    assert (shown.code, shown.out) == (2, "")
    assert "bad.yaml:1" in shown.err
    assert run("costs", "compare", "--book", "gone.yaml").code == 2


def test_hostile_records_reach_no_terminal(run: Run, home: Path) -> None:
    for name in filled(home, [*HOSTILE, "[red]x[/red] {value} %s", "a\x1b[2Jb", "a\u202eb", "a\u2066b", "a\x9bb"]):
        for command in ("costs explain NAME", "costs explain NAME --json"):
            shown = run(*command.replace("NAME", name).split())
            assert shown.code == 0, shown.err
            assert harmless(shown.out)
        for form in FORMATS:
            shown = run("recommendations", "export", name, "--format", form, "--closed")
            assert shown.code == (0 if shown.out else 1)
            assert harmless(shown.out + shown.err)
            if shown.out:
                yaml.safe_load(shown.out)


OFFER = Path(__file__).parents[1] / "data" / "aws_offer.json"


def test_import_and_use_a_price_list(run: Run, here: Path) -> None:
    made = run("costs", "import", "aws", OFFER, "-o", "book.yaml", "--lease", "3yr", "--json")
    assert made.code == 0, made.err
    assert made.json == {"book": "book.yaml", "prices": 3, "products": 8, "left_out": 5, "refused": []}
    shown = run("costs", "compare", "--platform", "prism", "--book", "book.yaml", "--json")
    months = shown.json["platforms"][0]["months"]["redis-hot-tier"]
    assert months["prism"]["amount"] == "70640.64"
    assert months["book.yaml"]["amount"] == "35320.32"
    assert months["book.yaml/reserved"]["amount"] == str(round(48 * 730 * Decimal("0.4356"), 2))


def test_import_replaces_nothing_unasked(run: Run, here: Path) -> None:
    (here / "book.yaml").write_text("mine")
    refused = run("costs", "import", "aws", OFFER, "-o", "book.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert "--force" in refused.err
    assert (here / "book.yaml").read_text() == "mine"
    assert run("costs", "import", "aws", OFFER, "-o", "book.yaml", "--force").code == 0


def test_import_of_what_is_not_there(run: Run, here: Path) -> None:
    made = run("costs", "import", "aws", OFFER, "-o", "book.yaml", "-T", "r6i.4xlarge", "-T", "x9.huge")
    assert made.code == 1
    assert "not mapped: x9.huge: not in the file" in made.err
    assert "r6i.4xlarge" in (here / "book.yaml").read_text()
    nothing = run("costs", "import", "aws", OFFER, "-o", "none.yaml", "--region", "mars-1")
    assert nothing.code == 1
    assert not (here / "none.yaml").exists()
    assert run("costs", "import", "gcp", OFFER, "-o", "none.yaml").code == 2
    (here / "bad.json").write_text("{")
    assert run("costs", "import", "aws", "bad.json", "-o", "none.yaml").code == 2
