"""Inventory files: `resources`, a list of single resources and of groups that `count` expands.

A CSV file has a row a resource: the columns are the keys of a resource, those of `capacity` (cores, memory, disk,
network), `attributes.<name>`, `settings.<name>` and `limits.<signal>`; zones are separated by `;`, an empty cell is a
key left out.
"""

import csv
import io
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from controlplane.documents import MAX_BYTES, Document, nearest, read_document, validate
from controlplane.model.base import Model, SignalName
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.resources import Capacity, Positive, Resource, ResourceKind
from controlplane.model.rules import SettingName
from controlplane.model.units import parse_bits_per_second, parse_bytes

_GROUPS = ("attributes", "settings", "limits")
_OF_GROUP = re.compile(rf"(?:{'|'.join(_GROUPS)})\..+")
_WIDTH = re.compile(r"(?:0?[1-9])?d?")
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("is neither text nor a number")


_Text = Annotated[str, BeforeValidator(_text)]
_Bytes = Annotated[float, BeforeValidator(parse_bytes)]
_BitsPerSecond = Annotated[float, BeforeValidator(parse_bits_per_second)]


class _Capacity(Model):
    cores: float | None = Field(default=None, ge=0, allow_inf_nan=False, strict=True)
    memory: _Bytes | None = None
    disk: _Bytes | None = None
    network: _BitsPerSecond | None = None


class _Entry(Model):
    """One resource, or `count` of them."""

    id: str = Field(min_length=1, max_length=180)
    kind: ResourceKind
    role: str = ""
    cluster: str = ""
    zone: str = ""
    region: str = ""
    host: str = ""
    price: str | None = None
    capacity: _Capacity = _Capacity()
    limits: dict[SignalName, Positive] = Field(default_factory=dict)
    settings: dict[SettingName, _Text] = Field(default_factory=dict)
    attributes: dict[str, _Text] = Field(default_factory=dict)
    count: int | None = Field(default=None, ge=1, le=100_000, strict=True)
    """How many there are; `{n}` in the id counts them from 1."""
    zones: tuple[str, ...] = ()
    """The zones over which a group is spread in turn."""

    @model_validator(mode="after")
    def _group(self) -> Self:
        if self.count is None:
            if "{" in self.id or "}" in self.id:
                raise ValueError(f"id: {self.id!r} has braces, but there is no count. Add count, or remove the braces")
            if self.zones:
                raise ValueError("zones spreads a group, but there is no count. Add count, or write zone")
            return self
        if self.zones and self.zone:
            raise ValueError("zone and zones exclude each other. Remove one of them")
        try:
            fields = [part for part in string.Formatter().parse(self.id) if part[1] is not None]
        except ValueError:
            fields = []
        if [name for _, name, _, _ in fields] != ["n"] or fields[0][3] or not _WIDTH.fullmatch(fields[0][2] or ""):
            raise ValueError(f"id: {self.id!r} of a group needs {{n}} once. Write it like redis-{{n:03}}")
        return self

    def resources(self, platform: str) -> list[Resource]:
        """The resource, or those of the group in counting order."""
        capacity = Capacity(
            cores=self.capacity.cores,
            memory_bytes=self.capacity.memory,
            disk_bytes=self.capacity.disk,
            network_bits_per_second=self.capacity.network,
        )
        one = Resource(
            platform=platform,
            capacity=capacity,
            limits=self.limits,
            settings=self.settings,
            attributes=self.attributes,
            **self.model_dump(include={"id", "kind", "role", "cluster", "zone", "region", "host", "price"}),
        )
        if self.count is None:
            return [one]
        zones = self.zones or (self.zone,)
        return [
            one.model_copy(update={"id": self.id.format(n=n + 1), "zone": zones[n % len(zones)]})
            for n in range(self.count)
        ]


class _File(Model):
    resources: tuple[Any, ...]


def read_inventory(path: Path, platform: str) -> tuple[Resource, ...]:
    """Resources of a YAML, JSON or CSV file in its order; InvalidInput carries all of its problems."""
    document = _read_csv(path) if path.suffix.lower() == ".csv" else read_document(path)
    if not isinstance(document.data, dict):
        raise InvalidInput([document.problem((), "is no inventory", "Begin with the key resources and a list")])
    entries = validate(document, _File).resources
    return resources_at(document, ("resources",), entries, platform)


def resources_at(
    document: Document, path: tuple[str | int, ...], entries: Sequence[Any], platform: str
) -> tuple[Resource, ...]:
    """The resources of the list of entries at `path` of a document; InvalidInput carries all of their problems."""
    found: dict[str, Resource] = {}
    origin: dict[str, int] = {}
    problems: list[Problem] = []
    unusable: set[Any] = set()
    for index, entry in enumerate(entries):
        where = (*path, index)
        if not isinstance(entry, dict):
            problems.append(document.problem(where, "is no resource", "Write a mapping with id and kind"))
            continue
        try:
            resources = validate(document, _Entry, _written(document, entry, where), where).resources(platform)
        except InvalidInput as error:
            problems += error.problems
            unusable.add(entry["id"] if isinstance(entry.get("id"), str) else None)
            continue
        for resource in resources:
            if resource.id in found:
                first = document.place((*path, origin[resource.id])).line
                message = f"the id {resource.id!r} stands here twice; first in line {first}"
                problems.append(document.problem((*where, "id"), message, "Give each resource its own id"))
                break
            found[resource.id], origin[resource.id] = resource, index
    problems += _references(document, path, found, origin, unusable)
    if problems:
        raise InvalidInput(sorted(problems, key=lambda problem: (problem.place.line or 0, problem.place.column or 0)))
    return tuple(found.values())


def _written(document: Document, entry: dict[str, Any], where: tuple[str | int, ...]) -> dict[str, Any]:
    """The entry with numbers that are meant as text as they stand in the file: a version 1.10 isn't 1.1."""
    texts = {
        group: {name: document.as_written((*where, group, name), value) for name, value in entry[group].items()}
        for group in ("settings", "attributes")
        if isinstance(entry.get(group), dict)
    }
    return {**entry, **texts}


def _references(
    document: Document,
    path: tuple[str | int, ...],
    found: dict[str, Resource],
    origin: dict[str, int],
    unusable: set[Any],
) -> list[Problem]:
    """Hosts that aren't there, and resources that carry themselves; one problem an entry."""
    problems: dict[int, Problem] = {}
    told: set[str] = set()
    for resource in found.values():
        where = (*path, origin[resource.id], "host")
        if resource.host and resource.host not in found:
            # An entry that has problems of its own may be the host that is meant.
            if resource.host not in unusable and not any("{" in str(id_) for id_ in unusable):
                remedy = nearest(resource.host, found) or "Add it to the file, or correct the name"
                problem = document.problem(where, f"the host {resource.host!r} is not in this file", remedy)
                problems.setdefault(origin[resource.id], problem)
            continue
        seen, above = {resource.id}, resource.host
        while above in found and above not in seen:
            seen.add(above)
            above = found[above].host
        if above == resource.id and above not in told:
            told |= seen
            message = f"{resource.id!r} carries itself: {' in '.join([*_chain(found, resource), resource.id])}"
            problem = document.problem(where, message, "Name the machine that really carries it")
            problems.setdefault(origin[resource.id], problem)
    return list(problems.values())


def _chain(found: dict[str, Resource], start: Resource) -> list[str]:
    chain, above = [start.id], start.host
    while above != start.id:
        chain.append(above)
        above = found[above].host
    return chain


def _read_csv(path: Path) -> Document:
    """A CSV file as the document that the same inventory in YAML would be; every row knows its line."""
    name = str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput([Problem(Place(name), "the file is larger than 16 MB", "Split it")])
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput([Problem(Place(name), f"can't be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        problem = Problem(Place(name), f"is not UTF-8 (byte {error.start})", "Save it as UTF-8")
        raise InvalidInput([problem]) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        problem = Problem(Place(name, reader.line_num), f"not valid CSV: {error}", "Check the quotes there")
        raise InvalidInput([problem]) from None
    if not rows:
        raise InvalidInput([Problem(Place(name, 1), "an empty file", "Begin with a header row: id,kind,…")])
    (header_line, header), *rows = rows
    problems = _check_header(name, header_line, header)
    for line, cells in rows:
        if len(cells) != len(header):
            message = f"{len(cells)} cells, but the header has {len(header)}"
            problems.append(Problem(Place(name, line), message, "Quote cells that hold a comma"))
    if problems:
        raise InvalidInput(problems)
    places: dict[tuple[str | int, ...], tuple[int, int]] = {("resources",): (header_line, 1)}
    places |= {("resources", index): (line, 1) for index, (line, _) in enumerate(rows)}
    data = [_entry(dict(zip(header, cells, strict=True))) for _, cells in rows]
    return Document(name, {"resources": data}, places)


def _check_header(name: str, line: int, header: list[str]) -> list[Problem]:
    known = (_Entry.model_fields.keys() - {"capacity", *_GROUPS}) | _Capacity.model_fields.keys()
    problems = []
    for column in dict.fromkeys(header):
        if header.count(column) > 1:
            message = f"the column {column!r} stands here twice"
            problems.append(Problem(Place(name, line, path=column), message, "Remove one of them"))
        if column not in known and not _OF_GROUP.fullmatch(column):
            remedy = nearest(column, known) or f"Remove it, or write attributes.{column}"
            problems.append(Problem(Place(name, line, path=column), f"unknown column {column!r}", remedy))
    problems += [
        Problem(Place(name, line), f"the column {column!r} is missing", "Add it")
        for column in ("id", "kind")
        if column not in header
    ]
    return problems


def _entry(cells: dict[str, str]) -> dict[str, Any]:
    """A row in the shape that it has in YAML."""
    entry: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell:
            continue
        group, dot, name = column.partition(".")
        if dot and group in _GROUPS:
            entry.setdefault(group, {})[name] = _number(cell) if group == "limits" else cell
        elif column in _Capacity.model_fields:
            entry.setdefault("capacity", {})[column] = _number(cell)
        elif column == "zones":
            entry[column] = [zone.strip() for zone in cell.split(";")]
        else:
            entry[column] = _number(cell) if column == "count" else cell
    return entry


def _number(cell: str) -> str | int | float:
    if not _NUMBER.fullmatch(cell):
        return cell
    return float(cell) if "." in cell else int(cell)
