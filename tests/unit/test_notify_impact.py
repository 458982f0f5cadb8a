"""How far an incident reaches, and what the first check is: case by case."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.model.alerts import Alert
from controlplane.model.notifications import Action
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.model.routes import Tree
from controlplane.model.severity import Severity
from controlplane.notify.groups import Grouper
from controlplane.notify.impact import Extent
from controlplane.notify.labels import Places
from controlplane.runbooks import FOLDERS, first_check, first_check_in, runbook
from tests.notify_cases import Desk, alert, queued, tree

WARNING = Severity.WARNING


def host(name: str, zone: str, region: str = "eu1", **more: Any) -> Resource:
    return Resource(id=name, platform="catalyst", kind=ResourceKind.HOST, zone=zone, region=region, **more)


HOSTS = [host(f"h{n}", "b") for n in range(9)] + [host(f"x{n}", "a") for n in range(5)]


def extent(*alerts: Alert, resources: list[Resource] = HOSTS) -> Extent:
    places = Places(Inventory(resources=tuple(resources)))
    return Extent(alerts, Grouper(Tree(tree("slack")), places, "test"))


def on(name: str, label: str, **more: Any) -> Alert:
    return alert(name, labels={"host": label, "n": name}, **more)


def lines(own: list[Alert], others: Sequence[Alert] = (), **more: Any) -> list[str]:
    return list(extent(*own, *others, **more).lines(own))


CASES: dict[str, tuple[list[Alert], list[Alert], list[str]]] = {
    "nowhere": ([alert("a", labels={})], [alert("b", labels={})], []),
    "a place that only a label names": (
        [alert("a", labels={"zone": "z"})],
        [],
        ["zone z: 1 alert"],
    ),
    "a host": (
        [on("a", "h1")],
        [],
        ["region eu1: 1 alert on 1 of 14 hosts", "zone b: 1 alert on 1 of 9 hosts", "host h1: 1 alert"],
    ),
    "several rules on some hosts of a zone": (
        [on("a", "h1"), on("b", "h1", rule="r2"), on("c", "h2"), on("d", "h3")],
        [],
        [
            "region eu1: 4 alerts on 3 of 14 hosts, 2 rules",
            "zone b: 4 alerts on 3 of 9 hosts, 2 rules",
            "3 hosts: h1: 2 alerts, 2 rules; h2: 1 alert; h3: 1 alert",
        ],
    ),
    "more places than are named": (
        [on(f"a{n}", f"h{n}") for n in range(5)],
        [],
        [
            "region eu1: 5 alerts on 5 of 14 hosts",
            "zone b: 5 alerts on 5 of 9 hosts",
            "5 hosts: h0: 1 alert; h1: 1 alert; h2: 1 alert; 2 more: 2 alerts",
        ],
    ),
    "two zones, the worse one first": (
        [on("a", "x1"), on("b", "h1"), on("c", "h2")],
        [],
        [
            "region eu1: 3 alerts on 3 of 14 hosts",
            "2 zones: b: 2 alerts on 2 of 9 hosts; a: 1 alert on 1 of 5 hosts",
            "3 hosts: h1: 1 alert; h2: 1 alert; x1: 1 alert",
        ],
    ),
    "what else fires, the worst first, and no wider place that says the same": (
        [on("a", "h1")],
        [on("b", "h1", title="Disk", severity=WARNING), on("c", "h1", title="Down")],
        [
            "region eu1: 1 alert on 1 of 14 hosts",
            "zone b: 1 alert on 1 of 9 hosts",
            "host h1: 1 alert",
            "also on host h1: 2 alerts: Down (critical), Disk (warning)",
        ],
    ),
    "what else fires in the zone, of the same rule and of many": (
        [on("a", "h1")],
        [on(f"d{n}", f"h{n + 2}", title="Disk", severity=WARNING) for n in range(3)]
        + [on(f"t{n}", "h3", title=f"T{n}") for n in range(3)]
        + [on("e", "x1", title="Elsewhere")],
        [
            "region eu1: 1 alert on 1 of 14 hosts",
            "zone b: 1 alert on 1 of 9 hosts",
            "host h1: 1 alert",
            "also in zone b: 6 alerts: T0 (critical), T1 (critical), T2 (critical) and 1 more",
            "also in region eu1: 7 alerts: Elsewhere (critical), T0 (critical), T1 (critical) and 2 more",
        ],
    ),
    "several zones have others": (
        [on("a", "h1"), on("b", "x1")],
        [on("c", "h2", title="Disk", severity=WARNING), on("d", "x2", title="Disk", severity=WARNING)],
        [
            "region eu1: 2 alerts on 2 of 14 hosts",
            "2 zones: a: 1 alert on 1 of 5 hosts; b: 1 alert on 1 of 9 hosts",
            "2 hosts: h1: 1 alert; x1: 1 alert",
            "also in these zones: 2 alerts: Disk (warning, 2 times)",
        ],
    ),
    "another platform's place of the same name is another place": (
        [on("a", "h1")],
        [alert("o", platform="prism", labels={"zone": "b", "region": "eu1"})],
        ["region eu1: 1 alert on 1 of 14 hosts", "zone b: 1 alert on 1 of 9 hosts", "host h1: 1 alert"],
    ),
}


@pytest.mark.parametrize("case", list(CASES))
def test_how_far_it_reaches(case: str):
    own, others, expected = CASES[case]
    assert lines(own, others) == expected


def test_what_is_counted_is_what_most_alerts_are_about():
    resources = [
        *(Resource(id=f"i{n}", platform="catalyst", kind=ResourceKind.INSTANCE, zone="b") for n in range(30)),
        *(Resource(id=f"k{n}", platform="catalyst", kind=ResourceKind.BROKER, zone="b") for n in range(3)),
    ]
    own = [alert(f"i{n}", labels={"instance": f"i{n}"}) for n in range(4)] + [alert("k", labels={"broker": "k1"})]
    assert lines(own, resources=resources) == ["zone b: 5 alerts on 4 of 30 instances"]


def test_hostile_names_are_harmless_and_bounded():
    bad = "<!channel>\x1b[31m\u202e" + "x" * 10_000
    own = [alert(f"a{n}", labels=dict.fromkeys(("zone", "host", "cluster"), f"{n}{bad}")) for n in range(50)]
    others = [alert(f"b{n}", labels={"zone": f"0{bad}"}, title=f"{n}{bad}", rule="other") for n in range(50)]
    found = lines(own, others)
    assert 0 < len(found) <= 8
    assert all(len(line) < 600 and "\x1b" not in line and "\u202e" not in line for line in found)


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=30))
def test_own_and_other_alerts_add_up_to_all_that_fire(pairs: list[tuple[int, bool]]):
    alerts = [on(f"a{number}", f"h{at}") for number, (at, _) in enumerate(pairs)]
    own = [one for one, (_, mine) in zip(alerts, pairs, strict=True) if mine]
    if own:
        found = list(extent(*alerts).lines(own))
        first = next(line for line in found if line.startswith("zone b: "))
        also = [line for line in found if line.startswith("also in zone b: ")]
        left = len(alerts) - len(own)
        assert int(first.split()[2]) == len(own)
        elsewhere = next((line for line in found if line.startswith("also ")), "")
        assert bool(elsewhere) <= (left > 0)
        assert all(int(line.split()[4]) == left for line in also)


def test_ten_thousand_alerts_in_a_thousand_incidents_take_little_time():
    resources = [host(f"h{n}", f"z{n % 3}") for n in range(1_000)]
    alerts = [on(f"a{n}", f"h{n % 1_000}", rule=f"r{n % 10}", title=f"T{n % 10}") for n in range(10_000)]
    began = time.process_time()
    known = extent(*alerts, resources=resources)
    for number in range(1_000):
        known.lines(alerts[number * 10 : number * 10 + 10])
    known.lines(alerts)
    assert time.process_time() - began < 3.0


def test_a_message_says_how_far_it_reaches_until_it_is_over():
    desk = Desk(tree("slack"), resources=HOSTS, check=lambda name: f"Is it {name}?\nssh HOST uptime")
    (first,) = queued(desk.step(0, fire=[on("a", "h1"), on("b", "h2", rule="other")]))[:1]
    assert first.message.impact[:2] == ("region eu1: 1 alert on 1 of 14 hosts", "zone b: 1 alert on 1 of 9 hosts")
    assert first.message.impact[-1].startswith("also in zone b: 1 alert: Kafka")
    assert first.message.check == "Is it kafka-consumer-lag?\nssh h1 uptime"
    (over,) = [d for d in queued(desk.step(600, resolve=["a"])) if d.message.action is Action.RESOLVE]
    assert (over.message.impact, over.message.check) == ((), "")


@pytest.mark.parametrize("label", ["-oProxyCommand=x", "a;reboot", "a b", "", "$(x)", "a" * 200, "é"])
def test_only_a_plain_host_is_put_into_a_command(label: str):
    desk = Desk(tree("slack"), check=lambda _: "?\nssh HOST uptime")
    (said,) = queued(desk.step(0, fire=[on("a", label)]))
    assert said.message.check == "?\nssh HOST uptime"


# the first check of a runbook

TEXTS = {
    "nothing": ("# T\n\nText.\n", ""),
    "no block": (
        "# T\n\n## First checks\n\nLook at [it](x.md) and `that`.\n\nMore.\n\n## Next\n",
        "Look at it and that.",
    ),
    "no question": ("# T\n\n## First checks\n\n```sh\na -b\nc\n```\n", "\na -b"),
    "the first command of the first block": (
        "# T\n\n## First checks\n\nIs it?\nOr not?\n\n```sh\na \\\n  b\nc\n```\n\nNext?\n\n```sh\nd\n```\n",
        "Is it? Or not?\na \\\n  b",
    ),
    "an open quote goes on": ("# T\n\n## First checks\n\n```sh\nx 'a\nb'\ny\n```\n", "\nx 'a\nb'"),
    "a loop goes on": (
        "# T\n\n## First checks\n\n```sh\nfor n in 1; do\n  x\ndone\ny\n```\n",
        "\nfor n in 1; do\n  x\ndone",
    ),
    "what is too long is left out": ("# T\n\n## First checks\n\nQ?\n\n```sh\n" + "x" * 1_300 + "\n```\n", "Q?"),
    "another chapter's block": ("# T\n\n## First checks\n\nQ?\n\n## Next\n\n```sh\na\n```\n", "Q?"),
}


@pytest.mark.parametrize("case", list(TEXTS))
def test_the_first_check(case: str):
    text, expected = TEXTS[case]
    assert first_check_in(text) == expected


SHIPPED = sorted(path.stem for path in FOLDERS[0].glob("*.md"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_runbook_has_a_first_check_whose_command_is_whole(name: str):
    _, _, command = first_check(name).partition("\n")
    assert command
    assert shlex.split(command)
    assert not command.endswith(("\\", "|", "&&"))


def test_a_runbook_is_a_name_and_no_path(tmp_path: Path):
    (tmp_path / "a.md").write_text("x")
    assert runbook("a", [tmp_path]) == "x"
    assert runbook("../a", [tmp_path / "b"]) == runbook("/etc/passwd") == runbook("") == runbook(None) == ""
    assert first_check("there-is-none") == ""
