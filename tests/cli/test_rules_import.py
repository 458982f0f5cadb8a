"""`controlplane rules import`: files, exit codes and what is never overwritten."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.rules.test_prometheus_import import FILE

GOOD = FILE[: FILE.index("  - alert: InstanceDown")]


@pytest.fixture
def prometheus(here: Path) -> Path:
    (here / "api.rules.yml").write_text(FILE)
    (here / "good.yml").write_text(GOOD)
    (here / "more.yml").write_text(GOOD.replace("0.0", "0.1"))
    return here


def test_all_mapped(run: Run, prometheus: Path) -> None:
    done = run("rules", "import", "good.yml", "--platform", "shop", "--json")
    assert done.code == 0
    assert done.json["files"] == ["shop/good.yaml"]
    assert done.json["unmapped"] == []
    assert [one["rule"] for one in done.json["mapped"] if one["rule"]] == [
        "shop-high-error-rate-critical",
        "shop-high-error-rate-warning",
        "shop-disk-full",
    ]
    checked = run("rules", "check", "shop", "--json")
    assert (checked.code, checked.json["rules"], checked.json["signals"]) == (0, 3, 3)


def test_some_not_mapped(run: Run, prometheus: Path) -> None:
    done = run("rules", "import", "api.rules.yml", "-o", "out", "--unit", "s")
    assert done.code == 1
    assert "api.rules.yml:22:5 (groups.0.rules.4): InstanceDown: `unless` joins two conditions. Write" in done.err
    assert "wrote out/api.yaml" in done.out
    assert "3 rules and 1 recorded signal imported, 1 not mapped" in done.out
    assert "unit: s\n" in (prometheus / "out" / "api.yaml").read_text()
    assert run("rules", "check", "out").code == 0


def test_nothing_is_overwritten(run: Run, prometheus: Path) -> None:
    command = ("rules", "import", "api.rules.yml", "more.yml", "-o", "out")
    assert run(*command).code == 1
    first = {file.name: file.read_bytes() for file in (prometheus / "out").iterdir()}
    assert run(*command).code == 1, "the same again changes nothing, so it is no overwriting"
    assert {file.name: file.read_bytes() for file in (prometheus / "out").iterdir()} == first
    mine = prometheus / "out" / "more.yaml"
    mine.write_text("# mine\n")
    (prometheus / "out" / "api.yaml").unlink()
    refused = run(*command)
    assert (refused.code, refused.out) == (2, "")
    assert "out/more.yaml would be overwritten; --force replaces it" in refused.err
    assert mine.read_text() == "# mine\n"
    assert not (prometheus / "out" / "api.yaml").exists(), "all files or none"
    assert run(*command, "--force").code == 1
    assert {file.name: file.read_bytes() for file in (prometheus / "out").iterdir()} == first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gone.yml",), "gone.yml: can't be read: No such file"),
        (("bad.yml",), "bad.yml:1:1: is no rule file of Prometheus"),
        (("good.yml", "other/good.yml"), "would be written to the file of good.yml"),
        (("good.yml", "--platform", "My Shop"), "is not an id"),
        (("good.yml", "--unit", "parsec"), "unknown unit 'parsec'"),
        ((), "Missing argument"),
    ],
)
def test_what_can_not_be_imported(run: Run, prometheus: Path, arguments: tuple[str, ...], says: str) -> None:
    (prometheus / "bad.yml").write_text("rules: []")
    (prometheus / "other").mkdir()
    (prometheus / "other" / "good.yml").write_text(GOOD)
    done = run("rules", "import", *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert not (prometheus / "imported").exists()


def test_what_only_gives_nothing_writes_nothing(run: Run, here: Path) -> None:
    (here / "a.yml").write_text("groups: [{name: g, rules: [{alert: A, expr: absent(up)}]}]")
    done = run("rules", "import", "a.yml")
    assert done.code == 1
    assert "0 rules and 0 recorded signals imported, 1 not mapped" in done.out
    assert sorted(path.name for path in here.iterdir()) == ["a.yml"]
