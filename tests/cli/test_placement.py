"""`controlplane placement`: what it says of the plan, of files, of losses, and how it ends."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, program

FINE = """
resources:
  - {id: "host-{n}", count: 3, kind: host, capacity: {cores: 16, memory: 64GB}}
  - {id: db, kind: vm, role: db, cluster: pg, host: host-1, capacity: {cores: 8, memory: 32GB}}
  - {id: db-2, kind: vm, role: db, cluster: pg, host: host-2, capacity: {cores: 8, memory: 32GB}}
"""
TIGHT = """
resources:
  - {id: "host-{n}", count: 2, kind: host, capacity: {cores: 16, memory: 64GB}}
  - {id: "app-{n}", count: 4, kind: vm, host: host-1, capacity: {cores: 8, memory: 32GB}}
  - id: boxes
    kind: vm
    host: host-2
    capacity: {cores: 0, memory: 0GB}
    attributes: {pinned: true}
  - {id: "box-{n}", count: 3, kind: container, host: boxes, capacity: {cores: 2, memory: 1GB}}
"""


@pytest.fixture
def file(here: Path) -> Path:
    path = here / "fine.yaml"
    path.write_text(FINE)
    return path


def test_the_plan_of_the_document(run: Run, here: Path) -> None:
    shown = run("placement", "catalyst_hybrid")
    assert shown.code == 1
    assert "17 machines on 3 hosts" in shown.out
    assert "cores: 1,328 asked of 768 (706.56 without the reserve)" in shown.out
    assert "memory: 9.216 TB asked of 6.144 TB" in shown.out
    assert "hosts for everything: 7, so 4 more for $1,000,000, $27,777.78 a month over 36 months" in shown.out
    assert "any one host: 8, so 5 more for $1,250,000, $34,722.22 a month over 36 months" in shown.out
    assert "moves after which the loss of any one host is carried: 8, no way takes fewer" in shown.out


def test_the_plan_as_json(run: Run, here: Path) -> None:
    shown = run("placement", "catalyst_hybrid", "--json").json
    assert shown["resources"]["cores"] == {"asked": 1328, "there": 768, "usable": 706.56, "short": 621.44}
    assert (shown["feasible"], shown["holds"], shown["needed"]["hosts"], shown["with_spare"]["hosts"]) == (
        False,
        False,
        7,
        8,
    )
    assert (shown["needed"]["proven"], shown["with_spare"]["proven"]) == (True, True)
    assert shown["cost"]["with_spare"]["one_off"] == "1250000.00"
    assert len(shown["moves_with_spare"]["moves"]) == shown["moves_with_spare"]["at_least"] == 8
    assert not [one for one in shown["containers"] if one["over"]]
    assert {(one["machine"], one["locked"]) for one in shown["containers"] if one["resource"] == "cores"} >= {
        ("sms-services", 96)
    }
    assert run("placement", "catalyst_hybrid", "--json").json == shown


def test_a_lost_host(run: Run, here: Path) -> None:
    shown = run("placement", "catalyst_hybrid", "--lose", "host-2", "--json")
    assert shown.code == 1
    assert list(shown.json["start"]) == ["timescaledb", "dragonflydb", "billing-fraud"]
    assert set(shown.json["waiting"]) == {"postgres-primary", "kafka-vm-2"} == set(shown.json["redundant"])
    assert "NOT carried: 3 of 5 start" in run("placement", "catalyst_hybrid", "--lose", "host-2").out
    two = run("placement", "catalyst_hybrid", "--lose", "host-2", "--lose", "host-3", "--json").json
    assert two["lost"] == ["host-2", "host-3"]
    assert len(two["gone"]) == 11


def test_a_file_that_holds(run: Run, file: Path) -> None:
    shown = run("placement", file)
    assert (shown.code, shown.err) == (0, "")
    assert "as it is: holds" in shown.out
    assert "hosts for everything: 2, all there" in shown.out
    assert "loss of any one host as it is: carried" in shown.out
    assert run("placement", file, "--spare", "1").code == 0
    assert run("placement", file, "--lose", "host-1").code == 0
    # Two that stay apart need two hosts, so the loss of two of three isn't carried.
    both = run("placement", file, "--spare", "2")
    assert (both.code, "NOT carried" in both.out) == (1, True)
    assert "any 2 hosts: 4, so 1 more at a price that is not known" in both.out


def test_a_file_that_holds_after_moves(run: Run, here: Path) -> None:
    path = here / "tight.yaml"
    path.write_text(TIGHT)
    shown = run("placement", path)
    assert shown.code == 1
    assert "as it is: NOT; but everything fits on these hosts" in shown.out
    assert "containers of boxes have locked 6 of its 0 cores" in shown.out
    moves = run("placement", path, "--spare", "0", "--json").json["moves"]["moves"]
    assert [(one["from"], one["to"]) for one in moves] == [("host-1", "host-2")] * 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("placement", "nobody"), "there is no inventory of nobody"),
        (("placement", "prism"), "prism has no virtual machines with a host"),
        (("placement", "catalyst_hybrid", "--lose", "host-9"), "there is no host host-9; there are host-1, host-2"),
        (("placement", "catalyst_hybrid", "--spare", "11"), "11 is not in the range"),
    ],
)
def test_what_cant_be_asked(run: Run, here: Path, arguments: tuple[str, ...], error: str) -> None:
    shown = run(*arguments)
    assert (shown.code, shown.out) == (2, "")
    assert error in shown.err


def test_an_inventory_that_lacks_a_size_is_a_usage_error(run: Run, here: Path) -> None:
    path = here / "lacks.yaml"
    path.write_text(FINE.replace("{cores: 8, memory: 32GB}}\n  - {id: db-2", "{cores: 8}}\n  - {id: db-2"))
    shown = run("placement", path)
    assert (shown.code, shown.out) == (2, "")
    assert "vm db has no memory in the inventory" in shown.err


def test_hostile_names_are_shown_literally(run: Run, here: Path) -> None:
    path = here / "evil.yaml"
    path.write_text(FINE.replace("id: db,", 'id: "[red]x\\u001b[31m",'))
    shown = run("placement", path, "--lose", "host-1")
    assert "\x1b" not in shown.out
    assert "[red]x" in shown.out


def test_the_example_of_the_page_is_placed(run: Run, here: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "placement.md").read_text(encoding="utf-8")
    path = here / "placement.yaml"
    path.write_text(page.split("<!-- example: placement.yaml -->\n```yaml\n")[1].split("```")[0])
    shown = run("placement", path, "--json")
    assert (shown.code, shown.json["resources"]["cores"]["usable"]) == (0, 176.64)
    assert shown.json["containers"][0] == {
        "machine": "billing",
        "resource": "cores",
        "containers": 4,
        "locked": 32.0,
        "there": 32.0,
        "over": False,
    }


def test_nothing_else_is_on_stdout_of_the_program(file: Path) -> None:
    done = program("placement", "catalyst_hybrid", "--json", cwd=file.parent)
    assert json.loads(done.stdout)["platform"] == "catalyst_hybrid"
    assert done.returncode == 1
