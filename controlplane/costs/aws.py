"""Read AWS price lists (offer files, JSON as AWS publishes them) of any size as price books.

Format: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal

import ijson

from controlplane.costs.aws_terms import NotMapped, Rate, on_demand, reserved
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.holds import Holds
from controlplane.model.labels import printable
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Price, PriceSource

Lease = Literal["1yr", "3yr"]
Progress = Callable[[int], None]

_FORMAT = "v1.0"
_HEADER = ("formatVersion", "offerCode", "version", "publicationDate")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CORES = re.compile(r"[0-9]{1,6}")
_MEMORY = re.compile(r"([0-9][0-9,]{0,9}(?:\.[0-9]{1,6})?) GiB")
_NETWORK = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) (Gigabit|Megabit)")
"""`Up to 12500 Megabit` is lent for a while, so it isn't what an instance has."""
_INSTANCES = {
    "Compute Instance": {
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    },
    "Compute Instance (bare metal)": {
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    },
    "Database Instance": {},
    "Cache Instance": {},
}
"""Families of products that are read, with the attributes that they have to have."""
_VARIANTS = {"Database Instance": ("databaseEngine", "deploymentOption"), "Cache Instance": ("cacheEngine",)}
"""Attributes that make several products of one instance type."""
_APART = ("databaseEdition", "licenseModel", "storage")
"""Further ones, which stand in an id where products would share it without them.

Of Aurora `storage` says whether an instance is I/O-Optimized.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the products are taken."""

    region: str | None = None
    types: tuple[str, ...] = ()
    """Instance types and volume types; empty = all."""
    lease: Lease = "1yr"
    upfront: Literal["No Upfront", "Partial Upfront", "All Upfront"] = "No Upfront"


@dataclass(slots=True)
class Imported:
    """The book, and what doesn't map with the reason."""

    book: PriceBook
    refused: list[str] = field(default_factory=list)
    read: int = 0
    """Products of the file."""
    left_out: int = 0
    """Products that weren't asked for: other families, regions, systems or tenancies."""


@dataclass(frozen=True, slots=True)
class _Product:
    sku: str
    id: str
    name: str
    """Instance or volume type."""
    item: str
    region: str
    holds: Holds | None
    apart: tuple[str, ...]
    """Values of `_APART`, '' where it has none."""

    @property
    def shown(self) -> str:
        """Id and SKU, for people."""
        return f"{self.id} (sku {self.sku})"


def read_aws_offer(path: Path, wanted: Wanted, told: Progress = lambda _: None) -> Imported:
    """The price book of an offer file; InvalidInput where it is none, or the region has to be named.

    The file is read three times and never held in memory; `told` gets the bytes read so far.
    """
    try:
        header = _header(path)
        chosen, read, refused = _products(path, wanted, told)
        chosen = _told_apart(chosen, refused)
        regions = sorted({product.region for product in chosen.values()})
        if len(regions) > 1:
            shown = ", ".join(regions[:5]) + (" …" if len(regions) > 5 else "")
            raise _invalid(path, f"it has prices of {len(regions)} regions ({shown})", "Name one: --region")
        paid = dict(_terms(path, "OnDemand", chosen, told))
        leased = dict(_terms(path, "Reserved", chosen, told))
    except ijson.JSONError as error:
        reason = printable(str(error).splitlines()[0], 200)
        raise _invalid(path, f"is not complete JSON: {reason}", "Download it again") from None
    made = Imported(PriceBook(), refused, read, read - len(chosen) - len(refused))
    priced: dict[str, list[tuple[_Product, Price]]] = {}
    for product in sorted(chosen.values(), key=lambda product: (product.id, product.sku)):
        try:
            rate = on_demand(paid.get(product.sku))
        except NotMapped as reason:
            made.refused.append(f"{product.shown}: {reason}")
            continue
        lease = None
        try:
            lease = reserved(leased.get(product.sku), wanted.lease, wanted.upfront)
        except NotMapped as reason:
            made.refused.append(f"{product.shown}, its reservation: {reason}")
        priced.setdefault(product.id, []).append((product, _price(product, header, rate, lease)))
    agreed = [_agreed(same, made.refused) for same in priced.values()]
    made.book = PriceBook(prices=tuple(price for price in agreed if price is not None))
    found = {product.name for product in chosen.values()}
    made.refused += [f"{printable(name, 60)}: not in the file" for name in wanted.types if name not in found]
    if not chosen and wanted.region is not None and not wanted.types:
        made.refused.append(f"region {printable(wanted.region, 60)}: the file has nothing of it that is read")
    return made


def _invalid(path: Path, message: str, remedy: str) -> InvalidInput:
    return InvalidInput([Problem(Place(str(path)), message, remedy)])


def _header(path: Path) -> dict[str, str]:
    """What stands before the products."""
    found: dict[str, str] = {}
    with path.open("rb") as file:
        for prefix, event, value in ijson.parse(file):
            if prefix in _HEADER and event == "string":
                found[prefix] = value
            elif prefix in {"products", "terms"} or (prefix == "" and event != "start_map" and event != "map_key"):
                break
    missing = [name for name in _HEADER if name not in found]
    if missing:
        message = f"is no AWS offer file: {', '.join(missing)} doesn't stand before the products"
        raise _invalid(path, message, "Give it the JSON of a service as AWS publishes it")
    if found["formatVersion"] != _FORMAT:
        version = printable(found["formatVersion"], 40)
        raise _invalid(path, f"has the format {version}", f"Only {_FORMAT} is read")
    try:
        date.fromisoformat(found["publicationDate"][:10])
    except ValueError:
        raise _invalid(path, "publicationDate is no date", "Download it again") from None
    return {name: printable(value, 100) for name, value in found.items()}


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, told: Progress) -> None:
        self._file, self._told = file, told

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self._told(len(data))
        return data


def _entries(path: Path, prefix: str, told: Progress) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        yield from ijson.kvitems(_Counted(file, told), prefix)


def _products(path: Path, wanted: Wanted, told: Progress) -> tuple[dict[str, _Product], int, list[str]]:
    """Chosen products by SKU, how many there are in all, and those that don't map."""
    chosen: dict[str, _Product] = {}
    refused: list[str] = []
    read = 0
    for sku, product in _entries(path, "products", told):
        read += 1
        shown = printable(sku, 40)
        attributes = product.get("attributes") if isinstance(product, dict) else None
        if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
            refused.append(f"sku {shown}: it has no attributes")
            continue
        try:
            made = _product(sku, str(product.get("productFamily", "")), attributes, wanted)
        except NotMapped as reason:
            refused.append(f"sku {shown}: {reason}")
            continue
        if made is not None:
            chosen[sku] = made
    return chosen, read, refused


def _told_apart(chosen: dict[str, _Product], refused: list[str]) -> dict[str, _Product]:
    """The products by SKU, where they share an id with what they differ in. Adds to `refused` what is no id then."""
    by_id: dict[str, list[_Product]] = {}
    for product in chosen.values():
        by_id.setdefault(product.id, []).append(product)
    made = {}
    for same in by_id.values():
        differ = [len(set(values)) > 1 for values in zip(*(product.apart for product in same), strict=True)]
        for product in same:
            words = [text for text, differs in zip(product.apart, differ, strict=True) if differs and text]
            key = _key(product.id, words)
            if _ID.fullmatch(key):
                item = printable(" ".join((product.item, *words)), 200)
                made[product.sku] = replace(product, id=key, item=item)
            else:
                refused.append(f"sku {product.sku}: {printable(key, 60)!r} can't be an id: it is too long")
    return made


def _key(name: str, words: Iterable[str]) -> str:
    return ".".join([name, *(re.sub(r"[^A-Za-z0-9]+", "-", text).lower() for text in words if text)])


def _agreed(same: list[tuple[_Product, Price]], refused: list[str]) -> Price | None:
    """The price of one id; None where its products differ, as each would be a guess. Adds them to `refused` then."""
    differs = "another product has the same id and another price, so none is taken"
    price = same[0][1]
    if len({(one.unit, one.amount) for _, one in same}) > 1:
        refused += [f"{product.shown}: {differs}" for product, _ in same]
        return None
    if len({one.reserved for _, one in same}) > 1:
        refused += [f"{product.shown}, its reservation: {differs}" for product, _ in same]
        return price.model_copy(update={"reserved": None, "note": ""})
    return price


def _product(sku: str, family: str, attributes: dict[str, str], wanted: Wanted) -> _Product | None:
    """A product that was asked for; None for others."""
    region = attributes.get("regionCode", "")
    if wanted.region is not None and region != wanted.region:
        return None
    if family == "Storage" and "volumeApiName" in attributes:
        name = attributes["volumeApiName"]
        words = f"EBS volume, {attributes.get('volumeType', '')}"
        key = f"ebs-{name}"
    elif family in _INSTANCES:
        if any(attributes.get(name) != value for name, value in _INSTANCES[family].items()):
            return None
        if attributes.get("marketoption", "OnDemand") != "OnDemand":
            return None
        name = attributes.get("instanceType", "")
        variants = [attributes.get(variant, "") for variant in _VARIANTS.get(family, ())]
        size = ", ".join(
            text
            for text in (f"{attributes['vcpu']} vCPU" if "vcpu" in attributes else "", attributes.get("memory", ""))
            if text
        )
        words = " ".join(text for text in (f"({size})" if size else "", *variants) if text)
        key = _key(name, variants)
    else:
        return None
    if wanted.types and name not in wanted.types:
        return None
    if not _ID.fullmatch(key):
        raise NotMapped(f"{printable(key, 60)!r} can't be an id: letters, digits, dots and dashes are")
    if not _ID.fullmatch(sku):
        raise NotMapped("it isn't a SKU: letters and digits are")
    item = printable(f"{name} {words}".strip(), 200)
    holds = _holds(attributes) if family in _INSTANCES else None
    apart = tuple(attributes.get(one, "") for one in _APART)
    return _Product(sku, key, name, item, printable(region, 60) or "no region", holds, apart)


def _holds(attributes: dict[str, str]) -> Holds | None:
    """Cores, memory and lasting network of an instance, as far as they are written as numbers."""
    cores, memory = _CORES.fullmatch(attributes.get("vcpu", "")), _MEMORY.fullmatch(attributes.get("memory", ""))
    network = _NETWORK.fullmatch(attributes.get("networkPerformance", ""))
    stated: dict[str, float] = {}
    if cores is not None:
        stated["cores"] = float(cores[0])
    if memory is not None:
        stated["memory"] = float(memory[1].replace(",", "")) * 2**30
    if network is not None:
        stated["network"] = float(network[1]) * (1e9 if network[2] == "Gigabit" else 1e6)
    return Holds(**stated) if stated and all(amount > 0 for amount in stated.values()) else None


def _terms(path: Path, kind: str, skus: Collection[str], told: Progress) -> Iterator[tuple[str, Any]]:
    for sku, offers in _entries(path, f"terms.{kind}", told):
        if sku in skus:
            yield sku, offers


def _price(product: _Product, header: dict[str, str], rate: Rate, lease: Rate | None) -> Price:
    return Price(
        id=product.id,
        item=product.item,
        unit=rate.unit,
        amount=rate.amount,
        reserved=None if lease is None else lease.amount,
        holds=product.holds,
        note="" if lease is None else lease.description,
        source=_source(product, header, rate),
    )


def _source(product: _Product, header: dict[str, str], rate: Rate) -> PriceSource:
    return PriceSource(
        document=f"AWS price list {header['offerCode']}, version {header['version']}",
        section=f"{product.region}, sku {product.sku}",
        quote=printable(rate.description, 300),
        date=header["publicationDate"][:10],
    )
