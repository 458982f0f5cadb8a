"""Inventory files, quantities with units, and the difference between two inventories."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane import bootstrap, settings
from controlplane.documents import parse_document
from controlplane.eventlog.projections import RESOURCES
from controlplane.model.errors import InvalidInput
from controlplane.model.resources import Capacity, Resource, ResourceKind
from controlplane.model.units import parse_bits_per_second, parse_bytes
from controlplane.telemetry.inventory import InventoryFile, inventory_changes
from controlplane.tick.inventory import take_inventory


def load(folder: Path, text: str, name: str = "inventory.yaml") -> tuple[Resource, ...]:
    path = folder / name
    path.write_bytes(text.encode())
    source = settings.InventoryFile(name="file", type="inventory", platform="prism", path=path)
    return InventoryFile(source).load()


def problems(folder: Path, text: str, name: str = "inventory.yaml") -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load(folder, text, name)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


FULL = """\
resources:
  - id: host-1
    kind: host
    role: database
    cluster: main
    zone: a
    region: eu
    price: r7g.large
    capacity: {cores: 48, memory: 128GB, disk: 4TB, network: 10Gbps}
    attributes: {rack: 7, ssd: true, note: "ü\\e[31m", ratio: 0.5}
  - {id: vm-1, kind: vm, host: host-1, capacity: {cores: 0.5, memory: 64GiB, disk: 1000, network: 2500000000}}
"""


def test_a_file_with_everything(tmp_path: Path) -> None:
    host, vm = load(tmp_path, FULL)
    assert host == Resource(
        id="host-1",
        platform="prism",
        kind=ResourceKind.HOST,
        role="database",
        cluster="main",
        zone="a",
        region="eu",
        price="r7g.large",
        capacity=Capacity(cores=48, memory_bytes=128e9, disk_bytes=4e12, network_bits_per_second=10e9),
        attributes={"rack": "7", "ssd": "true", "note": "ü\x1b[31m", "ratio": "0.5"},
    )
    assert vm.capacity == Capacity(cores=0.5, memory_bytes=64 * 2**30, disk_bytes=1000, network_bits_per_second=2.5e9)
    assert (vm.key, vm.host) == ("prism/vm-1", "host-1")


def test_json_and_csv_say_the_same(tmp_path: Path) -> None:
    expected = load(tmp_path, FULL.replace("\\e[31m", ""))
    data = {
        "resources": [
            {"id": "host-1", "kind": "host", "role": "database", "cluster": "main", "zone": "a", "region": "eu",
             "price": "r7g.large", "attributes": {"rack": 7, "ssd": True, "note": "ü", "ratio": 0.5},
             "capacity": {"cores": 48, "memory": "128GB", "disk": "4TB", "network": "10Gbps"}},
            {"id": "vm-1", "kind": "vm", "host": "host-1",
             "capacity": {"cores": 0.5, "memory": "64GiB", "disk": 1000, "network": 2500000000}},
        ]
    }  # fmt: skip
    assert load(tmp_path, json.dumps(data), "i.json") == expected
    table = (
        "\ufeffid,kind,role,cluster,zone,region,price,host,cores,memory,disk,network,"
        "attributes.rack,attributes.ssd,attributes.note,attributes.ratio\r\n"
        "host-1,host,database,main,a,eu,r7g.large,,48,128GB,4TB,10Gbps,7,true,ü,0.5\r\n"
        "\r\n"
        'vm-1,vm,,,,,,host-1,0.5,"64GiB",1000,2500000000,,,,\r\n'
    )
    assert load(tmp_path, table, "i.csv") == expected


def test_a_group_is_counted_from_one_and_spread_over_zones(tmp_path: Path) -> None:
    found = load(tmp_path, 'resources: [{id: "redis-{n:03}", kind: instance, count: 5, zones: [a, b, c], role: hot}]')
    assert [(r.id, r.zone, r.role) for r in found] == [
        ("redis-001", "a", "hot"),
        ("redis-002", "b", "hot"),
        ("redis-003", "c", "hot"),
        ("redis-004", "a", "hot"),
        ("redis-005", "b", "hot"),
    ]
    found = load(tmp_path, 'id,kind,count,zones,zone\n"p{n}",vm,2,,z\nq{n:02d},vm,3,a; b,\n', "i.csv")
    assert [(r.id, r.zone) for r in found] == [("p1", "z"), ("p2", "z"), ("q01", "a"), ("q02", "b"), ("q03", "a")]


def test_an_inventory_may_be_empty(tmp_path: Path) -> None:
    assert load(tmp_path, "resources: []") == ()
    assert load(tmp_path, "id,kind\n", "i.csv") == ()


def test_a_host_may_come_later_in_the_file(tmp_path: Path) -> None:
    found = load(tmp_path, 'resources: [{id: v, kind: vm, host: h2}, {id: "h{n}", kind: host, count: 2}]')
    assert [r.id for r in found] == ["v", "h1", "h2"]


def test_all_problems_of_a_file_are_told_in_line_order(tmp_path: Path) -> None:
    text = """\
resources:
  - {id: a, kind: host, capacity: {cores: -1, memory: 64 gigs}}
  - {id: b, kind: hosst}
  - {id: c, kind: vm, host: nowhere}
  - {id: c, kind: vm}
  - {id: d, kind: vm, hots: c, attributes: {x: [1]}}
  - {kind: vm}
  - {id: e, kind: vm, host: a}
  - {id: f, kind: vm, host: cc}
"""
    found = problems(tmp_path, text)
    for start, words in [
        ("inventory.yaml:2:36 (resources.0.capacity.cores)", "greater than or equal to 0"),
        ("inventory.yaml:2:47 (resources.0.capacity.memory)", "'64 gigs' is not a size; write a number and a unit"),
        ("inventory.yaml:3:13 (resources.1.kind)", "'host', 'vm'"),
        ("inventory.yaml:4:23 (resources.2.host)", "the host 'nowhere' is not in this file. Add it"),
        ("inventory.yaml:5:6 (resources.3.id)", "the id 'c' stands here twice; first in line 4. Give each"),
        ("inventory.yaml:6:23 (resources.4.hots)", "unknown key 'hots'. Did you mean 'host'?"),
        ("inventory.yaml:6:45 (resources.4.attributes.x)", "neither text nor a number"),
        ("inventory.yaml:7:5 (resources.5.id)", "the key 'id' is missing. Add it"),
        ("inventory.yaml:9:23 (resources.7.host)", "the host 'cc' is not in this file. Did you mean 'c'?"),
    ]:
        (line,) = [line for line in found if line.startswith(start)]
        assert words in line
    assert len(found) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1:1: is no inventory"),
        ("- a", "is no inventory"),
        ("resources: 5", "(resources)"),
        ("resource: []", "unknown key 'resource'. Did you mean 'resources'?"),
        ("resources: [a]", ":1:13 (resources.0): is no resource"),
        ("resources:\n- {id: a, kind: vm}\n- {id: a, kind: vm", "not valid YAML"),
        ("resources: [{id: '', kind: vm}]", "at least 1 character"),
        ("resources: [{id: 5, kind: vm}]", "(resources.0.id): Input should be a valid string"),
        ("resources: [{id: a, kind: vm, capacity: {cores: true}}]", "valid number"),
        ("resources: [{id: a, kind: vm, capacity: {cores: '4'}}]", "valid number"),
        ("resources: [{id: a, kind: vm, capacity: {memory: true}}]", "True is not a size"),
        ("resources: [{id: a, kind: vm, capacity: {disk: -4}}]", "-4 is negative"),
        ("resources: [{id: a, kind: vm, capacity: {ram: 4GB}}]", "unknown key 'ram'"),
        ("resources: [{id: a, kind: vm, host: a}]", "'a' carries itself: a in a"),
        (
            "resources: [{id: a, kind: vm, host: b}, {id: b, kind: vm, host: c}, {id: c, kind: vm, host: a}]",
            "'a' carries itself: a in b in c in a",
        ),
        ("resources: [{id: 'a{n}', kind: vm}]", "there is no count. Add count"),
        ("resources: [{id: a, kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: '{n}{n}', kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: '{m}', kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: '{n.real}', kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: '{n!r}', kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: '{n:0999999999}', kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: '{n', kind: vm, count: 2}]", "needs {n} once"),
        ("resources: [{id: 'a{n}', kind: vm, count: 0}]", "greater than or equal to 1"),
        ("resources: [{id: 'a{n}', kind: vm, count: 100001}]", "less than or equal to 100000"),
        ("resources: [{id: 'a{n}', kind: vm, count: 1.5}]", "valid integer"),
        ("resources: [{id: a, kind: vm, zones: [a]}]", "there is no count"),
        ("resources: [{id: 'a{n}', kind: vm, count: 2, zone: a, zones: [b]}]", "exclude each other"),
        ("resources: [{id: 'a{n}', kind: vm, count: 3}, {id: a2, kind: vm}]", "the id 'a2' stands here twice"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, message: str) -> None:
    (found,) = problems(tmp_path, text) if "resource:" not in text else problems(tmp_path, text)[-1:]
    assert message in found
    assert found.startswith("inventory.yaml:")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [":1: an empty file. Begin with a header row: id,kind,…"]),
        ("id,kind,hots,id\n", [
            ":1 (id): the column 'id' stands here twice. Remove one of them",
            ":1 (hots): unknown column 'hots'. Did you mean 'host'?",
        ]),
        ("id\na\n", [":1: the column 'kind' is missing. Add it"]),
        ("id,kind\na,vm,x\nb\n", [
            ":2: 3 cells, but the header has 2. Quote cells that hold a comma",
            ":3: 1 cells, but the header has 2. Quote cells that hold a comma",
        ]),
        ('id,kind,attributes.note\na,vm,"two\nlines"\nb,nonsense,\n', [":4:1 (resources.1.kind)"]),
        ("id,kind,cores,host\na,vm,-4,\n\nb,vm,lots,c\n", [
            ":2:1 (resources.0.cores)",
            ":4:1 (resources.1.cores)",
        ]),
        ('id,kind\n"a,vm\n', [":2: not valid CSV: unexpected end of data. Check the quotes there"]),
        ("id,kind,count\na{n},vm,two\n", [":2:1 (resources.0.count): Input should be a valid integer"]),
        (f"id,kind,cores\na,vm,{'9' * 500}\n", [":2:1 (resources.0.cores)"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = problems(tmp_path, text, "i.csv")
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(f"i.csv{start}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("absent.yaml", "absent.csv"):
        source = settings.InventoryFile(name="file", type="inventory", platform="prism", path=tmp_path / name)
        with pytest.raises(InvalidInput, match="No such file"):
            InventoryFile(source).load()
    (tmp_path / "latin.csv").write_bytes("id,kind\nä,vm".encode("latin-1"))
    source = settings.InventoryFile(name="file", type="inventory", platform="prism", path=tmp_path / "latin.csv")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        InventoryFile(source).load()


# quantities


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("64GiB", 64 * 2**30),
        ("4TB", 4e12),
        ("1.5 kB", 1500),
        ("0B", 0),
        ("2PiB", 2**51),
        (0, 0),
        (12.5, 12.5),
        (137438953472, 137438953472),
    ],
)
def test_sizes(value: object, expected: float) -> None:
    assert parse_bytes(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "64", "GiB", "64gib", "64 GiBs", "64KB", "64Gb", "-4TB", "+4TB", "1e3MB", "4  TB", " 4TB", "4TB ", "٤TB",
     ".5TB", "5.TB", "NaN", "9" * 400 + "TB", "10Gbps", None, True, [], float("nan"), float("inf"), -1],
)  # fmt: skip
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a size|is negative"):
        parse_bytes(value)


@pytest.mark.parametrize(("value", "expected"), [("10Gbps", 1e10), ("2.5 Gbps", 2.5e9), ("1bps", 1), (1000, 1000)])
def test_bit_rates(value: object, expected: float) -> None:
    assert parse_bits_per_second(value) == expected


@pytest.mark.parametrize("value", ["10GBps", "10Gib", "10Gbit/s", "10", "10GB", None, False, -1])
def test_what_is_no_bit_rate(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a bit rate|is negative"):
        parse_bits_per_second(value)


# changes


def resource(id_: str, **more: Any) -> Resource:
    return Resource(id=id_, platform="p", kind=ResourceKind.VM, **more)


def test_changes_come_in_key_order_and_name_the_fields() -> None:
    before = {r.key: r for r in (resource("a"), resource("b", zone="1"), resource("d"))}
    after = (resource("e"), resource("b", zone="2", capacity=Capacity(cores=2)), resource("a"), resource("c"))
    changes = inventory_changes(before, after, "file")
    assert [change.model_dump(exclude={"resource"}, exclude_defaults=True) for change in changes] == [
        {"source": "file", "changed": ("zone", "capacity")},
        {"source": "file"},
        {"source": "file", "key": "p/d"},
        {"source": "file"},
    ]
    assert [change.type for change in changes] == [
        "resource_changed.v1",
        "resource_added.v1",
        "resource_removed.v1",
        "resource_added.v1",
    ]


inventories = st.dictionaries(
    st.sampled_from("abcde"), st.sampled_from(["", "1", "2"]), max_size=5
).map(lambda zones: [resource(id_, zone=zone) for id_, zone in zones.items()])  # fmt: skip


@given(inventories, inventories)
def test_changes_turn_one_inventory_into_the_other(old: list[Resource], new: list[Resource]) -> None:
    known = {r.key: r for r in old}
    changes = inventory_changes(known, new, "s")
    assert changes == inventory_changes(known, new[::-1], "s")
    for change in changes:
        match change.type:
            case "resource_removed.v1":
                del known[change.key]
            case "resource_added.v1":
                assert change.resource.key not in known
                known[change.resource.key] = change.resource
            case _:
                assert known[change.resource.key] != change.resource
                known[change.resource.key] = change.resource
    assert known == {r.key: r for r in new}
    assert inventory_changes(known, new, "s") == []


# inventories that the settings no longer name


class Stock:
    """A control plane that takes inventory every minute, with other settings each time."""

    def __init__(self, home: Path) -> None:
        self.home, self.now = home, datetime(2026, 3, 1, 19, tzinfo=UTC)

    def take(self, *, only: set[str] | None = None, **files: str) -> dict[str, str]:
        """The resources that are known after reading `files` (inventory → the ids in it), with where from."""
        sources = []
        for name, ids in files.items():
            path = self.home / f"{name}.yaml"
            path.write_text(f"resources: [{', '.join(f'{{id: {id_}, kind: host}}' for id_ in ids.split())}]")
            sources.append(settings.InventoryFile(name=name, type="inventory", platform="p", path=path))
        self.now += timedelta(minutes=1)
        plane = bootstrap.control_plane(settings.Settings(home=self.home, rules=(), sources=tuple(sources)))
        try:
            take_inventory(plane, self.now, only)
            return {key.removeprefix("p/"): row.source for key, row in sorted(plane.log.rows(RESOURCES).items())}
        finally:
            plane.log.close()


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    opened = Stock(tmp_path)
    assert opened.take(hosts="h1 h2", brokers="b1") == {"b1": "brokers", "h1": "hosts", "h2": "hosts"}
    return opened


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"brokers": "b1"}, {"b1": "brokers"}),
        ({"brokers": "b1 h2"}, {"b1": "brokers", "h2": "brokers"}),
        ({"machines": "h1", "brokers": "b1"}, {"b1": "brokers", "h1": "machines"}),
        ({"brokers": ""}, {}),
        ({}, {}),
        ({"hosts": "h1 h2", "brokers": "b1"}, {"b1": "brokers", "h1": "hosts", "h2": "hosts"}),
    ],
    ids=["removed", "merged", "renamed", "removed with the last one emptied", "all removed", "all there"],
)
def test_what_no_inventory_of_the_settings_holds_is_removed(
    stock: Stock, files: dict[str, str], left: dict[str, str]
) -> None:
    assert stock.take(**files) == left
    assert stock.take(**files) == left


def test_an_inventory_that_cannot_be_read_may_hold_what_another_one_had(stock: Stock) -> None:
    kept = {"b1": "brokers", "h1": "hosts", "h2": "hosts"}
    assert stock.take(machines="h1 h1", brokers="b1") == kept
    assert stock.take(machines="h1", brokers="b1 b1") == kept | {"h1": "machines"}
    assert stock.take(machines="h1", brokers="b1") == {"b1": "brokers", "h1": "machines"}


def test_a_look_at_some_inventories_removes_nothing_of_others(stock: Stock) -> None:
    assert stock.take(only={"brokers"}, brokers="b1 b2") == {
        "b1": "brokers",
        "b2": "brokers",
        "h1": "hosts",
        "h2": "hosts",
    }


def test_one_that_comes_back_is_known_again(stock: Stock) -> None:
    assert stock.take(brokers="b1") == {"b1": "brokers"}
    assert stock.take(hosts="h2", brokers="b1") == {"b1": "brokers", "h2": "hosts"}


TEXTS = {
    "1.10": "1.10",
    "1.0": "1.0",
    "100": "100",
    "1e3": "1e3",
    "-0.50": "-0.50",
    "+5": "+5",
    "0.10": "0.10",
    ".5": ".5",
    "010": "010",
    '"1.10"': "1.10",
    "true": "true",
    "123456789012345678901234567890": "123456789012345678901234567890",
}


@pytest.mark.parametrize("written", TEXTS)
def test_numbers_that_are_meant_as_text_stay_as_they_are_written(tmp_path: Path, written: str) -> None:
    entry = f"{{id: a, kind: vm, settings: {{app.version: {written}}}, attributes: {{release: {written}}}}}"
    (one,) = load(tmp_path, f"resources:\n  - {entry}\n")
    assert one.settings == {"app.version": TEXTS[written]}
    assert one.attributes == {"release": TEXTS[written]}


def test_numbers_of_a_group_and_of_json_stay_as_they_are_written(tmp_path: Path) -> None:
    group = load(tmp_path, 'resources:\n  - {id: "a-{n}", count: 2, kind: vm, settings: {app.version: 1.10}}\n')
    assert [one.settings for one in group] == [{"app.version": "1.10"}] * 2
    (one,) = load(tmp_path, '{"resources": [{"id": "a", "kind": "vm", "settings": {"v": 1.10}}]}', "i.json")
    assert one.settings == {"v": "1.10"}


def test_numbers_stay_numbers_where_they_are_meant_as_such(tmp_path: Path) -> None:
    (one,) = load(tmp_path, "resources:\n  - {id: a, kind: vm, capacity: {cores: 8.0}, limits: {a.rate: 1e3}}\n")
    assert (one.capacity.cores, one.limits) == (8.0, {"a.rate": 1000.0})


def test_json_with_escaped_characters_beyond_the_basic_plane(tmp_path: Path) -> None:
    document = {"resources": [{"id": "a\U0001f600", "kind": "vm", "attributes": {"\U0001f4be": "\\ud83d \U00010437"}}]}
    for ascii_ in (True, False):
        (one,) = load(tmp_path, json.dumps(document, ensure_ascii=ascii_, indent=1), "i.json")
        assert (one.id, one.attributes) == ("a\U0001f600", {"\U0001f4be": "\\ud83d \U00010437"})


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"\uDE00\uD83D", r"\ud83dx\ude00"])
def test_half_a_pair_is_told_with_its_place(tmp_path: Path, half: str) -> None:
    text = '{"resources": [\n {"id": "a' + half + '", "kind": "vm"}]}'
    (told,) = problems(tmp_path, text, "i.json")
    assert told.startswith("i.json:2:11: \\u")
    assert "half of a surrogate pair, which is no character. Write both halves" in told


def test_half_a_pair_before_a_whole_one(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, '{"a": "\\ud83d\\ude00",\n "b": "\\ud83d\\ud83d\\ude00"}', "i.json")
    assert told.startswith("i.json:2:8: \\ud83d is half")


def test_what_looks_like_a_pair_in_yaml_stays_text(tmp_path: Path) -> None:
    (one,) = load(tmp_path, "resources:\n  - {id: a, kind: vm, attributes: {x: '\\ud83d\\ude00'}}\n")
    assert one.attributes == {"x": "\\ud83d\\ude00"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_whatever_json_escapes_reads_back(text: str) -> None:
    assert parse_document(json.dumps({"a": text}), "x.json").data == {"a": text}
