"""`controlplane audit`: shipped plans and own ones, for people and as JSON, and its exit codes."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run

DOC = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
INVENTORIES = (Path(__file__).parents[2] / "docs" / "inventory.md").read_text(encoding="utf-8")
OWN = """\
platform: mine
claims:
  - id: cores
    topic: Cores of the servers
    check: equals
    matters: capacity
    says: %s
    unit: "{core}"
    of: {sum: [[3, 24], [2, 16]]}
    statements:
      - {section: Hardware, quote: 100 cores in total}
"""


def example(text: str, name: str) -> str:
    found = re.search(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def own(folder: Path, text: str) -> Path:
    file = folder / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_wrong_sum_in_a_plan_of_mine(run: Run, here: Path) -> None:
    shown = run("audit", own(here, OWN % 100))
    assert shown.code == 1
    assert re.search(r"MEDIUM +Cores of the servers +100 cores +104 cores +doesn't add up", shown.out)
    assert "3 × 24 + 2 × 16 = 104 cores" in shown.out
    assert shown.out.endswith("mine: 0 of 1 claims follow; 1 finding (1 medium)\n")
    assert shown.err == ""


def test_a_right_sum_ends_well(run: Run, here: Path) -> None:
    shown = run("audit", own(here, OWN % 104))
    assert (shown.code, shown.out) == (0, "mine: 1 of 1 claims follow; 0 findings\n")


def test_impact_chooses(run: Run, here: Path) -> None:
    file = own(here, OWN % 100)
    assert run("audit", file, "--impact", "medium").code == 1
    high = run("audit", file, "--impact", "high")
    assert high.code == 0
    assert "Cores" not in high.out
    assert high.out.endswith("1 finding (1 medium)\n")


def test_as_json(run: Run, here: Path) -> None:
    shown = run("audit", own(here, OWN % 100), "--json")
    assert shown.code == 1
    (plan,) = shown.json
    assert (plan["platform"], plan["claims"], plan["verified"]) == ("mine", 1, [])
    (finding,) = plan["findings"]
    assert finding["says"] == ["100"]
    assert finding["values"] == {"recomputed": ["104", "104"]}
    assert (finding["verdict"], finding["impact"]) == ("sum_error", "medium")
    assert finding["statements"] == [{"section": "Hardware", "quote": "100 cores in total"}]


def test_the_shipped_plans(run: Run, here: Path) -> None:
    shown = run("audit", "--impact", "high", "--json")
    assert shown.code == 1
    plans = {plan["platform"]: plan for plan in shown.json}
    assert set(plans) == {"absmach", "catalyst", "catalyst_hybrid", "datalyptica", "prism"}
    findings = {finding["id"]: finding for plan in plans.values() for finding in plan["findings"]}
    assert {finding["impact"] for finding in findings.values()} == {"high"}
    cores, line, subnet = (
        findings[name] for name in ("catalyst-hybrid-vm-cores", "prism-cross-az-line", "prism-subnet-cidr")
    )
    assert (cores["says"], cores["values"]["recomputed"]) == (["752"], ["1328", "1328"])
    assert (line["says"], line["values"]["recomputed"]) == (["1814"], ["1814400", "1814400"])
    assert line["verdict"] == "unit_error"
    assert "has host bits set: it is 10.0.0.0/20" in subnet["arithmetic"]
    for finding in findings.values():
        assert all(re.fullmatch(r"-?\d+(\.\d+)?", end) for ends in finding["values"].values() for end in ends)
        assert finding["remedy"]
    assert list(here.iterdir()) == []


def test_a_shipped_plan_for_people(run: Run, here: Path) -> None:
    shown = run("audit", "datalyptica")
    assert shown.code == 1
    assert "110 %" in shown.out
    assert "80 % + 10 % + 10 % + 5 % + 5 %" in re.sub(r"\s+", " ", shown.out)
    assert re.search(r"datalyptica: \d+ of \d+ claims follow; 12 findings", shown.out)


def test_mistakes_of_all_files_at_once(run: Run, here: Path) -> None:
    first, second = here / "a.yaml", here / "b.yaml"
    first.write_text((OWN % 100).replace("equals", "equal"))
    second.write_text(OWN % "lots")
    shown = run("audit", first, second, "datalyptica")
    assert (shown.code, shown.out) == (2, "")
    assert f"{first}:3:5 (claims.0): unknown check 'equal'. Did you mean 'equals'?" in shown.err
    assert f"{second}:7:5 (claims.0.says): 'lots' is no number" in shown.err


@pytest.mark.parametrize("name", ["nowhere.yaml", "datalyptics", ""])
def test_no_such_plan(run: Run, here: Path, name: str) -> None:
    shown = run("audit", name)
    assert (shown.code, shown.out) == (2, "")
    assert "there are absmach, catalyst" in shown.err


def test_no_text_of_a_plan_steers_the_terminal(run: Run, here: Path) -> None:
    hostile = '"\\e[31m[red]x\\u202e' + "y" * 10_000 + '"'
    text = (OWN % 100).replace("Cores of the servers", hostile).replace("100 cores in total", hostile)
    shown = run("audit", own(here, text))
    assert shown.code == 1
    assert not re.search("[\x1b\u202e]", shown.out)
    assert "[red]x" in shown.out
    as_json = run("audit", here / "plan.yaml", "--json")
    assert not re.search("[\x1b\u202e]", as_json.out)


def test_the_example_of_the_documentation(run: Run, here: Path) -> None:
    (here / "inventory.yaml").write_text(example(INVENTORIES, "inventory.yaml"))
    (here / "prices.yaml").write_text(example(INVENTORIES, "prices.yaml"))
    shown = run("audit", own(here, example(DOC, "plan.yaml")), "--json")
    assert shown.code == 1, shown.err
    (plan,) = shown.json
    assert [(one["id"], one["verdict"]) for one in plan["findings"]] == [
        ("peak-load", "infeasible"),
        ("retention", "infeasible"),
        ("cores", "sum_error"),
    ]
    assert [one["id"] for one in plan["verified"]] == ["three-years"]


def test_every_check_and_operation_is_documented() -> None:
    from typing import get_args

    from controlplane.audit.amounts import OPERATIONS
    from controlplane.audit.findings import Verdict
    from controlplane.audit.plan import Claim, Matters

    union = get_args(get_args(Claim)[0])
    checks = [get_args(model.model_fields["check"].annotation)[0] for model in union]
    assert len(checks) == 15
    assert all(f"| `{check}` |" in DOC for check in checks)
    assert all(f"`{{{operation}: " in DOC for operation in OPERATIONS)
    assert all(f"`{verdict}`" in DOC for verdict in Verdict)
    assert all(f"`{matters}`" in DOC for matters in get_args(Matters))
