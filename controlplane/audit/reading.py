"""Read a plan with the inventory and the prices that it names; every mistake is told with its line, all at once."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from controlplane.audit.amounts import CLAIMS, Node, Unknown
from controlplane.audit.numbers import exact
from controlplane.audit.plan import Plan
from controlplane.costs import read_price_book
from controlplane.documents import Document, Path_, nearest, parse_document, read_document, validate
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.labels import printable
from controlplane.model.prices import PriceBook
from controlplane.model.resources import Resource
from controlplane.telemetry.inventory_file import read_inventory

_CAPACITY = {
    "cores": "cores",
    "memory": "memory_bytes",
    "disk": "disk_bytes",
    "network": "network_bits_per_second",
}


@dataclass(frozen=True)
class Material:
    """A plan, what it refers to, and where its values stand."""

    plan: Plan
    document: Document
    resources: tuple[Resource, ...] = ()
    book: PriceBook = field(default_factory=PriceBook)

    def selected(self, wanted: Mapping[str, Sequence[str]]) -> tuple[Resource, ...]:
        """Resources with one of the wanted texts in each named field or attribute; Unknown where there are none."""
        found = tuple(one for one in self.resources if all(_field(one, key) in texts for key, texts in wanted.items()))
        if not found:
            shown = ", ".join(f"{key} {printable(' or '.join(texts), 40)}" for key, texts in wanted.items())
            raise Unknown(f"the inventory has no resource with {shown or 'any field'}")
        return found

    def amounts(self, wanted: Mapping[str, Sequence[str]], of: str) -> list[Decimal]:
        """What each of the selected resources has; Unknown where one doesn't say."""
        found = self.selected(wanted)
        if of == "count":
            return [Decimal(1)] * len(found)
        return [self.capacity(one, of) for one in found]

    @staticmethod
    def capacity(resource: Resource, of: str) -> Decimal:
        """Cores, bytes of memory or disk, or bit/s of a resource; Unknown where it doesn't say."""
        value: float | None = getattr(resource.capacity, _CAPACITY[of])
        if value is None:
            raise Unknown(f"the inventory doesn't say the {of} of {printable(resource.id, 60)}")
        return exact(value)

    def price(self, price_id: str, reserved: bool) -> Decimal:
        """An amount of the price book; Unknown where it isn't known."""
        price = self.book.get(price_id)
        amount = None if price is None else price.reserved if reserved else price.amount
        if amount is None:
            raise Unknown(f"the price {printable(price_id, 60)} is not known")
        return amount

    def limit(self, resource_id: str, signal: str) -> Decimal:
        """The limit of a signal at a resource; Unknown where the inventory states none."""
        resource = next((one for one in self.resources if one.id == resource_id), None)
        value = None if resource is None else resource.limit(signal)
        if value is None:
            raise Unknown(f"the inventory states no limit {printable(signal, 60)} of {printable(resource_id, 60)}")
        return exact(value)


def _field(resource: Resource, key: str) -> str:
    head, _, name = key.partition(".")
    return str(resource.attributes.get(name, "") if head == "attributes" else getattr(resource, key))


def read_plan(path: Path) -> Material:
    """The plan in a YAML or JSON file; InvalidInput carries all problems of it and of the files that it names."""
    return _material(read_document(path), path.parent)


def parse_plan(text: str, name: str, folder: Path) -> Material:
    """The plan in a text that errors call `name`; the files that it names lie in `folder`."""
    return _material(parse_document(text, name), folder)


def _material(document: Document, folder: Path) -> Material:
    if not isinstance(document.data, dict):
        raise InvalidInput([document.problem((), "is no plan", "Begin with the keys platform and claims")])
    plan = validate(document, Plan)
    problems: list[Problem] = []
    resources: tuple[Resource, ...] = ()
    book = PriceBook()
    try:
        resources = read_inventory(folder / plan.inventory, plan.platform) if plan.inventory else ()
    except InvalidInput as error:
        problems += error.problems
    try:
        book = read_price_book(folder / plan.prices) if plan.prices else book
    except InvalidInput as error:
        problems += error.problems
    problems += _mistakes(document, plan, book)
    if problems:
        raise InvalidInput(sorted(problems, key=lambda one: (one.place.file, one.place.line or 0)))
    return Material(plan, document, resources, book)


def _mistakes(document: Document, plan: Plan, book: PriceBook) -> Iterator[Problem]:
    """What the model can't tell: names that stand for nothing, ids that stand twice, networks that are none."""
    claims = [claim.id for claim in plan.claims]
    if not claims:
        yield document.problem(("claims",), "there is no claim to check", "Add one")
    for index, name in enumerate(claims):
        if name in claims[:index]:
            yield document.problem(
                ("claims", index, "id"), f"the claim {name!r} stands here twice", "Give each claim its own id"
            )
    known = {"part": list(plan.parts), "price": [price.id for price in book.prices]} | dict.fromkeys(CLAIMS, claims)
    for path, node in located(plan):
        for one in node.walk():
            names = known.get(one.operation)
            if names is not None and one.name not in names:
                kind = "claim" if one.operation in CLAIMS else one.operation
                message = f"there is no {kind} {printable(one.name, 60)!r}"
                yield document.problem(path, message, nearest(one.name, names) or _where(kind))
    for index, claim in enumerate(plan.claims):
        yield from _pairs(document, ("claims", index), claim)


def _where(kind: str) -> str:
    return "Add it to the price book" if kind == "price" else f"Add it to the {kind}s"


def _pairs(document: Document, path: Path_, claim: Any) -> Iterator[Problem]:
    if claim.check == "bound" and set(claim.has) not in ({""}, set(claim.needs)):
        yield document.problem((*path, "has"), "names other things than needs", "Use the same names on both sides")
    if claim.check == "complete":
        for name in claim.counted:
            if name not in claim.of:
                yield document.problem(
                    (*path, "counted"), f"{printable(name, 60)!r} isn't among the parts", nearest(name, claim.of)
                )
    if claim.check == "each" and (claim.at_least is None) == (claim.at_most is None):
        yield document.problem(path, "needs at_least or at_most, and not both", "Write one of them")
    if claim.check == "subnets":
        for name, text in (*claim.networks.items(), *([("block", claim.block)] if claim.block else [])):
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                where = (*path, "block") if name == "block" else (*path, "networks", name)
                yield document.problem(where, f"{printable(text, 60)!r} is no network", "Write it like 10.0.16.0/20")
    if claim.check == "fit":
        for name in claim.overhead:
            if name not in {"cores", "memory"}:
                yield document.problem((*path, "overhead", name), "there is overhead of cores and memory", "Rename it")


def located(plan: Plan) -> Iterator[tuple[Path_, Node]]:
    """Every amount of a plan with its place in the document."""
    for name, part in plan.parts.items():
        yield ("parts", name, "amount"), part.amount
    for index, claim in enumerate(plan.claims):
        for path, node in _nodes(claim):
            yield ("claims", index, *path), node


def _nodes(value: Any) -> Iterable[tuple[Path_, Node]]:
    if isinstance(value, Node):
        yield (), value
    elif isinstance(value, BaseModel | dict):
        for name, inner in value if isinstance(value, BaseModel) else value.items():
            for path, node in _nodes(inner):
                yield (name, *path), node
