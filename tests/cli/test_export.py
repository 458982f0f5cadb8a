"""`recommendations export`: the change on stdout, in a file or in a document, and refusals that say what to do."""

import json
from pathlib import Path

import pytest
import yaml

from controlplane.cli.recommendations import _FORMATS
from controlplane.export import FORMATS
from tests.cli.conftest import Evening, Run


@pytest.fixture
def replayed(evening: Evening, here: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    monkeypatch.setenv("CONTROLPLANE_HOME", str(evening.home))
    return evening


def named(evening: Evening, rule: str) -> str:
    """The id of the recommendation of a rule."""
    return str(next(r["id"] for r in evening.document["recommendations"] if r["rule"] == rule))


def test_the_choice_of_formats_is_that_of_the_export() -> None:
    assert _FORMATS == FORMATS


def test_terraform_of_a_lost_zone(run: Run, replayed: Evening) -> None:
    zone = named(replayed, "prism-zone-failover")
    shown = run("recommendations", "export", zone, "--format", "terraform")
    assert (shown.code, shown.err) == (0, "")
    assert "  desired_capacity   = 44\n" in shown.out
    made = run("recommendations", "export", zone[:6], "--format", "aws-cli", "--json")
    assert made.json["text"].startswith("#!/usr/bin/env bash\n")
    assert made.json["formats"] == ["terraform", "aws-cli", "ansible"]
    assert (made.json["recommendation"], made.json["file"]) == (zone, None)
    assert set(made.json) == {"recommendation", "version", "status", "format", "formats", "name", "file", "text"}


def test_a_file_that_can_be_run(run: Run, replayed: Evening, here: Path) -> None:
    zone = named(replayed, "prism-zone-failover")
    arguments = ("recommendations", "export", zone, "--format", "aws-cli", "-o", "change.sh")
    assert run(*arguments).code == 0
    file = here / "change.sh"
    assert file.stat().st_mode & 0o111
    file.write_text("mine")
    refused = run(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert "change.sh would be overwritten; --force replaces it" in refused.err
    assert file.read_text() == "mine"
    assert run(*arguments, "--force").code == 0
    assert "desired-capacity=44" in file.read_text()


def test_ansible_for_a_volume(run: Run, replayed: Evening) -> None:
    shown = run("recommendations", "export", named(replayed, "datalyptica-storage-growth"), "--format", "ansible")
    expiry, play, revert = yaml.safe_load(shown.out)
    assert {one["hosts"] for one in (expiry, play, revert)} == {"localhost"}
    assert play["tasks"][0]["ansible.builtin.command"]["argv"][:3] == ["ssh", "--", "kafka-04"]
    assert revert["tags"] == ["never", "revert"]


@pytest.mark.parametrize(
    ("rule", "form", "told"),
    [
        ("prism-zone-failover", "patronictl", "terraform and aws-cli and ansible can"),
        ("datalyptica-storage-growth", "terraform", "terraform can't say this add_storage of volume kafka-04:/data"),
        ("prism-cross-az-placement", "ansible", "is work by hand: no command is recorded"),
        ("catalyst-kafka-lag-capacity", "kubectl", "is withdrawn; --closed hands it over all the same"),
    ],
)
def test_refusals(run: Run, replayed: Evening, rule: str, form: str, told: str) -> None:
    shown = run("recommendations", "export", named(replayed, rule), "--format", form)
    assert (shown.code, shown.out) == (1, "")
    assert told in shown.err


def test_a_closed_one_says_so(run: Run, replayed: Evening) -> None:
    for rule, form in (
        ("catalyst-kafka-lag-capacity", "kubectl"),
        ("catalyst-hybrid-postgresql-failover", "patronictl"),
    ):
        shown = run("recommendations", "export", named(replayed, rule), "--format", form, "--closed")
        assert shown.code == 0
        assert "# CLOSED: this recommendation is withdrawn." in shown.out


def test_usage(run: Run, replayed: Evening) -> None:
    zone = named(replayed, "prism-zone-failover")
    assert run("recommendations", "export", zone).code == 2
    assert run("recommendations", "export", zone, "--format", "puppet").code == 2
    assert run("recommendations", "export", "ffffffff", "--format", "ansible").code == 1
    text = run("recommendations", "export", zone, "--format", "ansible", "--json").out
    assert json.loads(text)["format"] == "ansible"
