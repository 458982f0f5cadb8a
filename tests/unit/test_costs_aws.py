"""Price lists of AWS become price books; what doesn't map is named, and nothing becomes a price of 0."""

import json
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.costs import parse_price_book
from controlplane.costs.aws import Wanted, read_aws_offer
from controlplane.costs.aws_terms import NotMapped, on_demand, reserved
from controlplane.costs.write import render_price_book
from controlplane.model.errors import InvalidInput
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Price, PriceSource

OFFER = Path(__file__).parents[1] / "data" / "aws_offer.json"
R, C = "R6IXLARGE4OREGON", "C6IXLARGE2OREGON"
Change = Callable[[dict[str, Any]], None]


def offer(tmp_path: Path, change: Change = lambda _: None) -> Path:
    document = json.loads(OFFER.read_text())
    change(document)
    path = tmp_path / "offer.json"
    path.write_text(json.dumps(document))
    return path


def rate(document: dict[str, Any], sku: str = R) -> dict[str, Any]:
    (term,) = document["terms"]["OnDemand"][sku].values()
    (dimension,) = term["priceDimensions"].values()
    found: dict[str, Any] = dimension
    return found


def test_what_is_asked_for_becomes_a_book() -> None:
    made = read_aws_offer(OFFER, Wanted())
    assert {price.id: (price.unit, price.amount, price.reserved) for price in made.book.prices} == {
        "r6i.4xlarge": ("USD/h", Decimal("1.008"), Decimal("0.6349")),
        "c6i.2xlarge": ("USD/h", Decimal("0.34"), Decimal("0.2142")),
        "ebs-gp3": ("USD/GBy.mo", Decimal("0.08"), None),
    }
    assert (made.read, made.left_out, made.refused) == (8, 5, [])
    node = made.book.get("r6i.4xlarge")
    assert node is not None
    assert node.item == "r6i.4xlarge (16 vCPU, 128 GiB)"
    assert node.source == PriceSource(
        document="AWS price list AmazonEC2, version 20261101000000",
        section=f"us-west-2, sku {R}",
        quote="$1.008 per On Demand Linux r6i.4xlarge Instance Hour",
        date="2026-11-01",
    )
    assert parse_price_book(render_price_book(made.book), "b") == made.book


@pytest.mark.parametrize(
    ("lease", "upfront", "amount", "note"),
    [
        ("1yr", "No Upfront", "0.6349", "reserved: standard, 1yr, no upfront"),
        ("3yr", "No Upfront", "0.4356", "reserved: standard, 3yr, no upfront"),
        # 2,646 ÷ 8,760 h = 0.302055, 5,186 ÷ 8,760 h = 0.592009
        ("1yr", "Partial Upfront", "0.604055", "partial upfront: $2646 at once, spread over 8,760 h"),
        ("1yr", "All Upfront", "0.592009", "all upfront: $5186 at once, spread over 8,760 h"),
        ("3yr", "All Upfront", None, ""),
    ],
)
def test_reservations(lease: Any, upfront: Any, amount: str | None, note: str) -> None:
    made = read_aws_offer(OFFER, Wanted(types=("r6i.4xlarge",), lease=lease, upfront=upfront))
    (price,) = made.book.prices
    assert price.reserved == (amount and Decimal(amount))
    assert price.note.endswith(note)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("operatingSystem", "Windows"),
        ("operatingSystem", "RHEL"),
        ("tenancy", "Dedicated"),
        ("tenancy", "Host"),
        ("preInstalledSw", "SQL Web"),
        ("capacitystatus", "AllocatedCapacityReservation"),
        ("marketoption", "CapacityBlock"),
        ("regionCode", "eu-central-1"),
    ],
)
def test_other_products_are_left_out(tmp_path: Path, attribute: str, value: str) -> None:
    path = offer(tmp_path, lambda d: d["products"][R]["attributes"].update({attribute: value}))
    made = read_aws_offer(path, Wanted(region="us-west-2"))
    assert {price.id for price in made.book.prices} == {"c6i.2xlarge", "ebs-gp3"}
    assert made.refused == []


def set_rate(**changes: Any) -> Change:
    return lambda document: rate(document).update(changes)


def tiers(document: dict[str, Any]) -> None:
    (term,) = document["terms"]["OnDemand"][R].values()
    term["priceDimensions"]["x"] = dict(rate(document), beginRange="100")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_rate(unit="Quantity"), "it is priced by 'Quantity'; Hrs and GB-Mo are known"),
        (set_rate(unit=None), "it is priced by 'None'"),
        (set_rate(pricePerUnit={"CNY": "7"}), "it is priced in CNY, not in USD"),
        (set_rate(pricePerUnit={}), "it is priced in no currency, not in USD"),
        (set_rate(pricePerUnit=[]), "not in USD"),
        (set_rate(pricePerUnit={"USD": "0.0000000000"}), "its price is 0"),
        (set_rate(pricePerUnit={"USD": "-1"}), "'-1' is no price"),
        (set_rate(pricePerUnit={"USD": "NaN"}), "'NaN' is no price"),
        (set_rate(pricePerUnit={"USD": "1e999"}), "'1e999' is no price"),
        (set_rate(pricePerUnit={"USD": "Infinity"}), "'Infinity' is no price"),
        (set_rate(pricePerUnit={"USD": "a\x1b[2J"}), "'a�[2J' is no price"),
        (set_rate(endRange="10240"), "depends on how much is used"),
        (tiers, "depends on how much is used"),
        (lambda d: d["terms"]["OnDemand"].pop(R), "it has no price on demand"),
        (lambda d: d["terms"]["OnDemand"].update({R: {"x": 3}}), "its terms can't be read"),
        (lambda d: d["terms"]["OnDemand"].update({R: {"x": {"priceDimensions": []}}}), "its terms can't be read"),
        (lambda d: d["products"][R].pop("attributes"), "it has no attributes"),
        (lambda d: d["products"][R]["attributes"].update(instanceType="-x; rm"), "can't be an id"),
        (lambda d: d["products"][R]["attributes"].update(instanceType="x" * 10_000), "can't be an id"),
        (lambda d: d["products"][R]["attributes"].update(instanceType="a\nb"), "can't be an id"),
        (lambda d: d["products"][R]["attributes"].update(vcpu=16), "it has no attributes"),
    ],
)
def test_what_does_not_map_is_named(tmp_path: Path, change: Change, told: str) -> None:
    made = read_aws_offer(offer(tmp_path, change), Wanted())
    assert len(made.refused) == 1
    assert told in made.refused[0]
    assert made.refused[0].isprintable()
    assert all(price.amount is not None and price.amount > 0 for price in made.book.prices)
    assert len(made.book.prices) == 2


STANDARD, OPTIMIZED = "EBS Only", "Aurora IO Optimization Mode"


def database(document: dict[str, Any], sku: str, amount: str, like: str = R, **attributes: str) -> None:
    """A database at this price; `like` has the terms that it gets."""
    given = {
        "instanceType": "db.r6g.large",
        "regionCode": "us-west-2",
        "databaseEngine": "Aurora PostgreSQL",
        "deploymentOption": "Single-AZ",
        "licenseModel": "No license required",
        "storage": STANDARD,
    }
    family = {"sku": sku, "productFamily": "Database Instance", "attributes": given | attributes}
    document["products"][sku] = family
    for kind, terms in document["terms"].items():
        if like in terms:
            document["terms"][kind][sku] = json.loads(json.dumps(terms[like]))
    rate(document, sku)["pricePerUnit"] = {"USD": amount}


AURORA = "db.r6g.large.aurora-postgresql.single-az"


@pytest.mark.parametrize("skus", [("AAA", "BBB"), ("BBB", "AAA")])
@pytest.mark.parametrize(
    ("one", "other", "ids"),
    [
        pytest.param({}, {"storage": OPTIMIZED}, ("ebs-only", "aurora-io-optimization-mode"), id="storage"),
        pytest.param(
            {}, {"licenseModel": "License included"}, ("no-license-required", "license-included"), id="licence"
        ),
        pytest.param(
            {"databaseEdition": "Standard"}, {"databaseEdition": "Enterprise"}, ("standard", "enterprise"), id="edition"
        ),
        pytest.param({}, {"databaseEdition": "Enterprise"}, ("", "enterprise"), id="one has no edition"),
        pytest.param(
            {"databaseEdition": "Standard"},
            {"databaseEdition": "Enterprise", "storage": OPTIMIZED},
            ("standard.ebs-only", "enterprise.aurora-io-optimization-mode"),
            id="two",
        ),
    ],
)
def test_products_of_one_type_are_told_apart(
    tmp_path: Path, skus: tuple[str, str], one: dict[str, str], other: dict[str, str], ids: tuple[str, str]
) -> None:
    def change(document: dict[str, Any]) -> None:
        database(document, skus[0], "0.26", **one)
        database(document, skus[1], "0.338", **other)

    made = read_aws_offer(offer(tmp_path, change), Wanted(types=("db.r6g.large",)))
    names = [f"{AURORA}.{text}" if text else AURORA for text in ids]
    assert {price.id: price.amount for price in made.book.prices} == {
        names[0]: Decimal("0.26"),
        names[1]: Decimal("0.338"),
    }
    assert len({price.item for price in made.book.prices}) == 2
    assert made.refused == []


def test_what_one_product_alone_is_stands_in_no_id(tmp_path: Path) -> None:
    made = read_aws_offer(
        offer(tmp_path, lambda d: database(d, "AAA", "0.338", storage=OPTIMIZED)), Wanted(types=("db.r6g.large",))
    )
    assert [price.id for price in made.book.prices] == [AURORA]


@pytest.mark.parametrize("skus", [("AAA", "BBB"), ("BBB", "AAA")])
@pytest.mark.parametrize(
    ("amount", "like", "taken", "reserved", "told"),
    [
        pytest.param("0.26", R, "0.26", "0.6349", "", id="the same price"),
        pytest.param("0.260001", R, None, None, "", id="another price"),
        pytest.param("0.26", C, "0.26", None, ", its reservation", id="another reservation"),
    ],
)
def test_of_different_prices_under_one_id_none_is_taken(
    tmp_path: Path, skus: tuple[str, str], amount: str, like: str, taken: str | None, reserved: str | None, told: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        database(document, skus[0], "0.26")
        database(document, skus[1], amount, like)

    made = read_aws_offer(offer(tmp_path, change), Wanted(types=("db.r6g.large",)))
    assert [(price.id, price.amount, price.reserved) for price in made.book.prices] == (
        [(AURORA, Decimal(taken), reserved and Decimal(reserved))] if taken else []
    )
    why = f"{told}: another product has the same id and another price, so none is taken"
    agree = (amount, like) == ("0.26", R)
    assert made.refused == ([] if agree else [f"{AURORA} (sku {sku}){why}" for sku in ("AAA", "BBB")])


def test_instances_that_nothing_tells_apart_have_no_price(tmp_path: Path) -> None:
    path = offer(tmp_path, lambda d: d["products"][C]["attributes"].update(instanceType="r6i.4xlarge"))
    made = read_aws_offer(path, Wanted())
    assert [price.id for price in made.book.prices] == ["ebs-gp3"]
    assert [text.partition(":")[0] for text in made.refused] == [f"r6i.4xlarge (sku {sku})" for sku in sorted((R, C))]


def test_an_id_that_becomes_too_long_is_named(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        database(document, "AAA", "0.26")
        database(document, "BBB", "0.338", storage="x" * 100)

    made = read_aws_offer(offer(tmp_path, change), Wanted(types=("db.r6g.large",)))
    assert [price.id for price in made.book.prices] == [f"{AURORA}.ebs-only"]
    assert len(made.refused) == 1
    assert "is too long" in made.refused[0]
    assert (made.read, made.left_out) == (10, 8)


def test_a_reservation_that_does_not_map_leaves_the_price_on_demand(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        for term in document["terms"]["Reserved"][R].values():
            for dimension in term["priceDimensions"].values():
                dimension["unit"] = "Fortnights"

    made = read_aws_offer(offer(tmp_path, change), Wanted(types=("r6i.4xlarge",)))
    (price,) = made.book.prices
    assert (price.amount, price.reserved) == (Decimal("1.008"), None)
    assert "its reservation is priced by 'Fortnights'" in made.refused[0]


def test_what_was_asked_for_and_is_not_there() -> None:
    made = read_aws_offer(OFFER, Wanted(types=("m7i.large", "ebs\x1b")))
    assert made.book.prices == ()
    assert made.refused == ["m7i.large: not in the file", "ebs�: not in the file"]
    made = read_aws_offer(OFFER, Wanted(region="mars-1"))
    assert made.refused == ["region mars-1: the file has nothing of it that is read"]


def test_several_regions_need_a_name(tmp_path: Path) -> None:
    path = offer(tmp_path, lambda d: d["products"][C]["attributes"].update(regionCode="us-east-1"))
    with pytest.raises(InvalidInput, match=r"prices of 2 regions \(us-east-1, us-west-2\)\. Name one: --region"):
        read_aws_offer(path, Wanted())
    assert {price.id for price in read_aws_offer(path, Wanted(region="us-east-1")).book.prices} == {"c6i.2xlarge"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not complete JSON"),
        ("{", "is not complete JSON"),
        ("hello", "is not complete JSON"),
        ("[]", "is no AWS offer file: formatVersion, offerCode"),
        ("{}", "is no AWS offer file"),
        ("3", "is no AWS offer file"),
        ('{"products": {}}', "is no AWS offer file"),
        (OFFER.read_text()[:-500], "is not complete JSON"),
        (OFFER.read_text()[:3000], "is not complete JSON"),
        (OFFER.read_text().replace('"v1.0"', '"v2.0"'), "has the format v2.0. Only v1.0 is read"),
        (OFFER.read_text().replace('"2026-11-01T00:00:00Z"', '"soon"', 1), "publicationDate is no date"),
    ],
)
def test_what_is_no_offer_file(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "offer.json"
    path.write_text(text)
    with pytest.raises(InvalidInput) as error:
        read_aws_offer(path, Wanted())
    assert told in str(error.value)
    assert str(path) in str(error.value)


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    def many(document: dict[str, Any]) -> None:
        product, term = document["products"][R], document["terms"]["OnDemand"][R]
        windows = {**product, "attributes": {**product["attributes"], "operatingSystem": "Windows"}}
        document["products"] |= {f"W{n}": windows for n in range(8_000)}
        document["terms"]["OnDemand"] |= {f"W{n}": term for n in range(8_000)}

    path = offer(tmp_path, many)
    size = path.stat().st_size
    assert size > 8_000_000
    seen = 0

    def told(count: int) -> None:
        nonlocal seen
        seen += count

    tracemalloc.start()
    made = read_aws_offer(path, Wanted(), told)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (made.read, len(made.book.prices)) == (8_008, 3)
    assert peak < size / 10
    assert seen == 3 * size


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["Hrs", "USD", "1.5"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["priceDimensions", "pricePerUnit", "unit", "USD", "termAttributes", "x"]), inner
            )
        ),
        max_leaves=20,
    )
)
def test_terms_of_any_shape_are_a_price_or_a_reason(terms: Any) -> None:
    for read in (on_demand, lambda offers: reserved(offers, "1yr", "No Upfront")):
        found = reason = None
        try:
            found = read(terms)
        except NotMapped as error:
            reason = str(error)
        assert found is None or found.amount > 0
        assert reason is None or reason.isprintable()


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(texts, texts, st.decimals(min_value=0, max_value=10**6, places=6))
@example(item="0E0", note="null", amount=Decimal(1))
def test_books_read_back_as_they_were_written(item: str, note: str, amount: Decimal) -> None:
    source = PriceSource(document=item, section=note, quote=item, date="2026-11-01")
    book = PriceBook(prices=(Price(id="a", item=item, unit="USD/h", amount=amount, note=note, source=source),))
    assert parse_price_book(render_price_book(book), "b") == book


@pytest.mark.parametrize(
    ("attributes", "cores", "memory", "network"),
    [
        ({}, 16, 128 * 2.0**30, None),
        ({"networkPerformance": "10 Gigabit"}, 16, 128 * 2.0**30, 10e9),
        ({"networkPerformance": "12500 Megabit"}, 16, 128 * 2.0**30, 12.5e9),
        ({"networkPerformance": "Up to 12500 Megabit"}, 16, 128 * 2.0**30, None),
        ({"memory": "1,952 GiB"}, 16, 1952 * 2.0**30, None),
        ({"memory": "NA", "vcpu": "NA"}, None, None, None),
        ({"memory": "0.5 GiB", "vcpu": "1"}, 1, 2.0**29, None),
        ({"vcpu": "0"}, None, None, None),
    ],
)
def test_what_an_instance_holds(
    tmp_path: Path, attributes: dict[str, str], cores: float | None, memory: float | None, network: float | None
) -> None:
    path = offer(tmp_path, lambda d: d["products"][R]["attributes"].update(attributes))
    holds = read_aws_offer(path, Wanted(region="us-west-2", types=("r6i.4xlarge",))).book.prices[0].holds
    if cores is None:
        assert holds is None
    else:
        assert holds is not None
        assert (holds.cores, holds.memory, holds.network) == (cores, memory, network)
