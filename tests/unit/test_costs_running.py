"""What inventories cost: lines, sums that may be incomplete, what is paid otherwise, and other ways to buy."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fixtures
from controlplane.costs import parse_price_book, read_price_book
from controlplane.costs.amounts import Amount, add
from controlplane.costs.bill import Bill, bill
from controlplane.costs.compare import Way, compare, load, share, units, ways
from controlplane.model.errors import InvalidInput
from controlplane.model.holds import Holds
from controlplane.model.prices import PriceBook
from controlplane.model.resources import Capacity, Resource, ResourceKind
from controlplane.telemetry.inventory_file import read_inventory

BOOK = """\
currency: USD
title: Own
amortise_months: 36
with_host: [vm]
standing:
  - {price: power, scope: power}
  - {price: store, scope: storage, pays_for: [bucket]}
offers:
  - id: cloud
    title: Cloud
    takes:
      - {role: web, price: small, holds: {cores: 8, memory: 32 GBy}}
      - {role: web, price: disk}
      - {role: db, price: big}
    includes: [power, storage]
  - id: hosts
    takes:
      - {price: server, holds: {cores: 64}, pooled: true, spare: 1}
    standing: [{price: power, scope: power}]
    includes: [storage]
prices:
  - {id: server, item: server, unit: USD, amount: "36000", source: {document: d, date: "2026-01-01"}}
  - {id: vm, item: machine, unit: USD/mo, amount: null, source: {document: d, date: "2026-01-01"}}
  - {id: power, item: power, unit: USD/a, amount: "1200", source: {document: d, date: "2026-01-01"}}
  - {id: store, item: store, unit: USD, amount: "3600", source: {document: d, date: "2026-01-01"}}
  - {id: small, item: small, unit: USD/h, amount: "0.10", reserved: "0.05", source: {document: d, date: "2026-01-01"}}
  - {id: big, item: big, unit: USD/h, amount: "1", source: {document: d, date: "2026-01-01"}}
  - {id: disk, item: disk, unit: USD/GBy.mo, amount: "0.10", source: {document: d, date: "2026-01-01"}}
  - {id: traffic, item: traffic, unit: USD/GBy, amount: "0.01", source: {document: d, date: "2026-01-01"}}
  - {id: secret, item: secret, unit: USD/h, amount: null, source: {document: d, date: "2026-01-01"}}
"""


def book(text: str = BOOK) -> PriceBook:
    return parse_price_book(text, "prices.yaml")


def resource(
    name: str,
    price: str | None = None,
    *,
    role: str = "web",
    kind: ResourceKind = ResourceKind.HOST,
    host: str = "",
    cores: float | None = None,
    memory: float | None = None,
    disk: float | None = None,
) -> Resource:
    capacity = Capacity(cores=cores, memory_bytes=memory, disk_bytes=disk)
    return Resource(id=name, platform="shop", kind=kind, role=role, host=host, price=price, capacity=capacity)


@pytest.mark.parametrize(
    ("parts", "amount", "bound", "told"),
    [
        ([], "0", "exact", "$0"),
        ([("5", "1")], "5", "exact", "$5"),
        ([("5", "1"), ("-7", "-1")], "-2", "exact", "−$2"),
        ([("5", "1"), (None, "1")], "5", "at_least", "at least $5"),
        ([("5", "1"), (None, None)], "5", "at_least", "at least $5"),
        ([("5", "1"), (None, "0")], "5", "at_least", "at least $5"),
        ([("-5", "-1"), (None, "-1")], "-5", "at_most", "at most −$5"),
        ([("5", "1"), (None, "-1"), (None, "1")], None, "unknown", "unknown"),
        ([(None, "1")], None, "unknown", "unknown"),
        ([("0", "1"), (None, "1")], None, "unknown", "unknown"),
    ],
)
def test_sums_say_what_they_lack(
    parts: list[tuple[str | None, str | None]], amount: str | None, bound: str, told: str
) -> None:
    made = add((a and Decimal(a), q and Decimal(q)) for a, q in parts)
    assert (made.amount, made.bound, made.told()) == (amount and Decimal(amount), bound, told)


amounts = st.none() | st.decimals(min_value=0, max_value=10**6, places=2)


@given(st.lists(amounts, max_size=8))
def test_an_unknown_part_is_never_nothing(parts: list[Decimal | None]) -> None:
    made = add((part, Decimal(1)) for part in parts)
    known = sum((part for part in parts if part is not None), Decimal(0))
    assert made.exact is (None not in parts)
    assert made.amount == (known if made.exact or known else None)
    assert made.per_year.bound == made.bound
    assert made.per_year.amount == (None if made.amount is None else made.amount * 12)


def test_a_bill() -> None:
    inventory = [
        resource("h1", "server", role="hypervisor"),
        resource("h2", "server", role="hypervisor"),
        resource("v1", "vm", host="h1"),
        resource("c1", host="v1", kind=ResourceKind.CONTAINER),
        resource("b1", role="bucket", kind=ResourceKind.VOLUME),
        resource("group", role="platform", kind=ResourceKind.CLUSTER),
        resource("lost", role="odd"),
        Resource(id="h9", platform="other", kind=ResourceKind.HOST, price="server"),
    ]
    made = bill("shop", inventory, book())
    (hosts,) = [line for line in made.lines if line.component == "hypervisor"]
    assert (hosts.quantity, hosts.one_off, hosts.spread) == (2, Decimal(72000), Decimal(2000))
    assert hosts.resources == ("h1", "h2")
    paid = {entry.component: (entry.resources, entry.paid_with) for entry in made.included}
    assert paid == {"web": (("v1", "c1"), "h1"), "bucket": (("b1",), "store")}
    assert [(line.component, line.per_month) for line in made.unknown] == [("odd", None)]
    assert made.unknown[0].note == "no price is named for it"
    assert made.sums.per_month == Amount(amount=Decimal(100), bound="at_least")
    assert made.sums.whole_per_month.told() == "at least $2,200"
    assert made.sums.whole_per_year.told() == "at least $26,400"
    assert made.model_dump(mode="json")["sums"]["one_off"] == {"amount": "75600.00", "bound": "at_least"}


def test_a_host_that_carries_itself_is_no_endless_loop() -> None:
    rounds = [resource("a", "vm", host="b"), resource("b", "vm", host="a")]
    made = bill("shop", rounds, book())
    assert made.included == ()
    assert [line.quantity for line in made.unknown] == [2]


@pytest.mark.parametrize(
    ("price", "disk", "quantity", "per_month"),
    [
        ("disk", 500e9, "500", "50.00"),
        ("disk", None, None, None),
        ("traffic", 500e9, None, None),
        ("secret", None, "1", None),
        ("gone", None, "1", None),
        (None, None, "1", None),
        ("big", None, "1", "730.00"),
    ],
)
def test_quantities(price: str | None, disk: float | None, quantity: str | None, per_month: str | None) -> None:
    made = bill("shop", [resource("x", price, disk=disk)], book())
    line = made.lines[0]
    assert line.quantity == (quantity and Decimal(quantity))
    assert line.per_month == (per_month and Decimal(per_month))
    assert line.known is (per_month is not None)
    assert made.sums.per_month.exact is line.known


def test_what_has_no_reservation_costs_the_same_with_one() -> None:
    made = bill("shop", [resource("a", "small"), resource("b", "big"), resource("c", "secret")], book())
    by_price = {line.price: line for line in made.lines}
    assert (by_price["small"].per_month, by_price["small"].per_month_reserved) == (Decimal("73.00"), Decimal("36.50"))
    assert by_price["big"].per_month_reserved == Decimal("730.00")
    assert by_price["secret"].per_month_reserved is None


def test_without_months_nothing_is_spread() -> None:
    made = bill("shop", [resource("h1", "server")], book(BOOK.replace("amortise_months: 36\n", "")))
    assert made.sums.spread is None
    assert made.sums.one_off.told() == "$39,600"
    assert made.sums.whole_per_month == made.sums.per_month


prices = st.sampled_from([None, "gone", *(entry.id for entry in book().prices)])
resources_ = st.lists(
    st.builds(
        lambda n, price, role, disk: resource(f"r{n}", price, role=role, disk=disk),
        st.integers(0, 10**6),
        prices,
        st.sampled_from(["web", "db", "bucket"]),
        st.none() | st.floats(0, 1e15),
    ),
    max_size=8,
)


@given(resources_)
def test_totals_are_sums_of_their_lines(inventory: list[Resource]) -> None:
    made = bill("shop", inventory, book())
    for sums, lines in [(made.sums, made.lines), *((c.sums, c.lines) for c in made.components)]:
        for field in ("per_month", "per_month_reserved", "one_off", "spread"):
            parts = [getattr(line, field) for line in lines]
            total = getattr(sums, field)
            assert total.exact is (None not in parts)
            if total.exact:
                assert total.amount == sum(parts, Decimal(0))
        assert sums.per_year.amount == (None if sums.per_month.amount is None else 12 * sums.per_month.amount)
        if sums.whole_per_month.exact:
            assert sums.whole_per_month.amount == sums.per_month.amount + sums.spread.amount
    assert all(line.per_month is None for line in made.lines if line.price in {None, "gone", "secret"})
    counted = sum(len(line.resources) for line in made.lines) + sum(len(entry.resources) for entry in made.included)
    assert counted == len({r.id for r in inventory})


def shipped(platform: str) -> tuple[list[Resource], PriceBook]:
    inventory = list(read_inventory(fixtures.path(platform, "inventory.yaml"), platform))
    return inventory, read_price_book(fixtures.path(platform, "prices.yaml"))


def shipped_bill(platform: str) -> Bill:
    return bill(platform, *shipped(platform))


@pytest.mark.parametrize(
    ("platform", "capex", "opex"),
    [
        # 3 + 3 + 1 + 8 + 1 + 2 + 1 servers of the topology, network 450k, storage 250k; opex as the guide adds it up.
        ("catalyst", "710000 + 450000 + 250000", "1082000"),
        ("catalyst_hybrid", "1100000", "758280"),
        ("datalyptica", "2530000", "979200"),
    ],
)
def test_the_shipped_books_give_the_totals_of_their_documents(platform: str, capex: str, opex: str) -> None:
    made = shipped_bill(platform)
    assert made.unknown == ()
    assert made.sums.one_off == Amount(amount=sum(Decimal(part) for part in capex.split(" + ")), bound="exact")
    assert made.sums.per_year.amount == pytest.approx(Decimal(opex), abs=Decimal("0.1"))


def test_prism_as_its_memo_adds_up_nodes() -> None:
    made = shipped_bill("prism")
    month = {line.price: (line.per_month, line.per_month_reserved) for line in made.lines}
    assert month["r6i.4xlarge"][1] == 48 * Decimal("735.84")
    assert month["c6i.2xlarge"][1] == 48 * Decimal("124.10")
    assert month["nat-hour"][0] == Decimal("98.55")
    assert {line.price for line in made.unknown} == {"s3", "cross-az", "nlb-data", "nat-data"}
    assert made.sums.per_month.bound == "at_least"


@pytest.mark.parametrize(
    ("holds", "filled", "count"),
    [
        ({"cores": 8}, 2.0, 2),
        ({"cores": 16}, 1.0, 1),
        ({"cores": 15}, 16 / 15, 2),
        ({"cores": 32}, 0.5, 1),
        ({"memory": "32 GBy"}, 3.0, 3),
        ({"cores": 8, "memory": "32 GBy"}, 3.0, 3),
        ({"disk": "1 TBy"}, None, None),
    ],
)
def test_how_many_hold_a_server(holds: dict[str, object], filled: float | None, count: int | None) -> None:
    server = [resource("a", cores=16, memory=96e9)]
    assert load(server, Holds.model_validate(holds)) == filled
    assert units(server, Holds.model_validate(holds)) == count


@given(st.integers(0, 100), st.lists(st.floats(0, 1e6), min_size=1, max_size=8))
def test_shares_add_up_to_the_whole(count: int, loads: list[float]) -> None:
    parts = [share(count, loads, place) for place in range(len(loads))]
    assert sum(parts) == count
    assert all(part >= 0 for part in parts)


def bought(inventory: list[Resource], text: str = BOOK) -> list[Way]:
    return list(ways("shop", inventory, "own", book(text), own=True))


INVENTORY = [
    resource("w1", "server", cores=16, memory=96e9, disk=1e12),
    resource("w2", "server", cores=16, memory=96e9, disk=1e12),
    resource("d1", "server", role="db", cores=32, memory=256e9),
]


def test_ways_to_buy() -> None:
    found = {way.id: way for way in bought(INVENTORY)}
    assert list(found) == ["own", "own:cloud", "own:cloud/reserved", "own:hosts"]
    cloud = {(line.component, line.price): (line.quantity, line.per_month) for line in found["own:cloud"].lines}
    assert cloud == {
        ("db", "big"): (1, Decimal("730.00")),
        ("web", "small"): (6, Decimal("438.00")),
        ("web", "disk"): (2000, Decimal("200.00")),
    }
    assert found["own:cloud/reserved"].whole.amount == Decimal("730.00") + 219 + 200
    hosts = {line.component: line.quantity for line in found["own:hosts"].lines if line.price == "server"}
    assert hosts == {"db": 1, "web": 1}, "64 cores fill one host, one is spare; each role has half of the load"


def test_only_what_all_have_is_compared() -> None:
    made = compare("shop", bought(INVENTORY))
    assert set(made.scopes) == {"web", "db", "power", "storage"}
    assert made.lacks == ()
    common = {way.way: way.common.amount for way in made.ways}
    assert common["own"] == 3000 + 100 + 100
    assert min(way.over_cheapest for way in made.ways if way.over_cheapest is not None) == 0
    assert common["own:hosts"] == 2000 + 100

    staffed = BOOK.replace("  - {price: power, scope: power}\n", "  - {price: power, scope: staff}\n", 1)
    made = compare("shop", bought(INVENTORY, staffed))
    assert "staff" not in made.scopes
    assert {(lack.scope, lack.way) for lack in made.lacks if lack.scope == "staff"} == {
        ("staff", "own:cloud"),
        ("staff", "own:cloud/reserved"),
        ("staff", "own:hosts"),
    }
    own = next(way for way in made.ways if way.way == "own")
    assert own.full.amount == Decimal(3200)
    assert own.common.amount == Decimal(3100)


def test_a_role_that_an_offer_does_not_know_is_not_compared() -> None:
    inventory = [*INVENTORY, resource("q1", "server", role="queue", cores=8)]
    made = compare("shop", bought(inventory))
    assert "queue" not in made.scopes
    assert ("queue", "own:cloud", "price not known in full") in {(k.scope, k.way, k.reason) for k in made.lacks}
    cloud = next(way for way in made.ways if way.way == "own:cloud")
    assert cloud.full.bound == "at_least"
    assert cloud.common.exact


def test_a_book_that_spreads_nothing_is_not_compared() -> None:
    made = compare("shop", bought(INVENTORY, BOOK.replace("amortise_months: 36\n", "")))
    own = next(way for way in made.ways if way.way == "own")
    assert (own.unspread, own.common.bound, own.over_cheapest) == (True, "unknown", None)


def test_the_shipped_offers_like_for_like() -> None:
    inventory, own = shipped("catalyst")
    hybrid = shipped("catalyst_hybrid")[1]
    found = [
        *ways("catalyst", inventory, "catalyst", own, own=True),
        *ways("catalyst", inventory, "catalyst_hybrid", hybrid, own=False),
    ]
    made = compare("catalyst", found)
    assert len(made.ways) == 4
    assert {lack.scope for lack in made.lacks} == {"staff", "licences", "backup site"}
    kafka = next(line for way in found for line in way.lines if line.price == "aws-i3en-3xlarge")
    assert (kafka.quantity, kafka.per_month) == (6, Decimal("58210.20")), "as many as the guide has"
    hosts = [line.quantity for line in found[-1].lines if line.price == "host"]
    assert sum(filter(None, hosts)) == 3, "352 cores and 2,688 GB fill two hosts, and one is spare"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("id: hosts", "id: cloud", "the offer 'cloud' stands here twice"),
        ("holds: {cores: 64}, ", "", "pooled and spare need holds"),
        ("{cores: 64}", "{}", "say what one of it holds"),
        ("32 GBy", "32", "write a number and a unit"),
        ("months: 36", "months: 0", "prices.yaml:3:1 (amortise_months)"),
        (
            "{price: power, scope: power}",
            "{price: powr, scope: power}",
            "(standing.0.price): the book has no price 'powr'",
        ),
        ("price: big}", "price: bigg}", "(offers.0.takes.2.price): the book has no price 'bigg'. Did you mean 'big'?"),
        ("with_host: [vm]", "with_host: [VM]", "(with_host.0): the book has no price 'VM'"),
        ("scope: storage, pays", 'scope: storage, quantity: "-1", pays', "greater than or equal to 0"),
        ("scope: power}\n  - {price: store", "scop: power}\n  - {price: store", "unknown key 'scop'"),
    ],
)
def test_errors_of_books(old: str, new: str, told: str) -> None:
    with pytest.raises(InvalidInput) as error:
        book(BOOK.replace(old, new, 1))
    assert told in str(error.value)


def test_books_of_before_still_load(tmp_path: Path) -> None:
    old = tmp_path / "p.yaml"
    old.write_text("currency: USD\nprices: []\n")
    made = read_price_book(old)
    assert (made.amortise_months, made.standing, made.offers, made.with_host) == (None, (), (), ())
