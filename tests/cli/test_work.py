"""Commands that do work: tick, deliver, rules."""

from importlib import resources
from pathlib import Path

import pytest
from filelock import FileLock

from tests.cli.conftest import Run

EVENING = resources.files("fixtures") / "datalyptica"

SETTINGS = f"""
platforms: [datalyptica]
sources:
- {{name: recorded, type: recorded, path: "{EVENING / "evening.parquet"}", platform: datalyptica, lookback: 20m}}
- {{name: hosts, type: inventory, path: "{EVENING / "inventory.yaml"}", platform: datalyptica}}
"""


@pytest.fixture
def configured(here: Path) -> Path:
    (here / "controlplane.yaml").write_text(SETTINGS)
    return here


def test_a_tick(run: Run, configured: Path) -> None:
    report = run("tick", "--at", "2026-03-12T19:50:00Z", "--json")
    assert report.code == 0, report.err
    (collected, *_) = report.json["collected"]
    assert (collected["source"], collected["failures"]) == ("recorded", [])
    assert collected["rows"] > 0
    assert report.json["inventories"][0]["resources"] == 90
    assert sum(decided["fired"] for decided in report.json["decided"]) == 1
    assert report.json["delivered"]["delivered"] == 0
    assert report.json["rule_problems"] == []
    (alert,) = run("alerts", "--json").json
    assert alert["rule"] == "datalyptica-disk-usage"

    again = run("tick", "--at", "2026-03-12T19:50:00Z", "--json")
    assert again.code == 0
    assert sum(decided["fired"] for decided in again.json["decided"]) == 0
    head = run("events", "list", "--limit", "1", "--json").json[0]["position"]
    later = run("tick", "--at", "2026-03-12T20:55:00+01:00", "--no-deliver")
    assert later.code == 0
    assert "fired" in later.out
    assert "delivered" not in later.out
    assert run("events", "list", "--limit", "1", "--json").json[0]["position"] > head
    assert run("events", "verify").code == 0


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("yesterday", "is not a time"),
        ("2026-03-12T20:00:00", "has no zone"),
        ("12:30", "is not a time"),
        ("", "is not a time"),
    ],
)
def test_a_tick_at_what_is_no_time(run: Run, configured: Path, at: str, says: str) -> None:
    shown = run("tick", "--at", at)
    assert (shown.code, shown.out) == (2, "")
    assert says in shown.err
    assert not (configured / ".controlplane").exists()


def test_a_live_source_has_no_future(run: Run, here: Path) -> None:
    (here / "controlplane.yaml").write_text("sources: [{name: p, type: prometheus, url: 'http://127.0.0.1:1'}]")
    shown = run("tick", "--at", "2200-01-01T00:00:00Z")
    assert shown.code == 2
    assert "lies in the future" in shown.err
    assert not (here / ".controlplane").exists(), "no watermark was moved there"


def test_a_tick_with_what_does_not_work(run: Run, configured: Path) -> None:
    (configured / "bad.yaml").write_text("platform: x\ncomponent: y\nrules: [{id: a, kind: alart}]\n")
    text = "rules: [bad.yaml]" + SETTINGS + "- {name: gone, type: recorded, path: gone.parquet}\n"
    text += "- {name: lost, type: inventory, path: lost.yaml, platform: datalyptica}\n"
    (configured / "controlplane.yaml").write_text(text)
    shown = run("tick", "--at", "2026-03-12T19:50:00Z")
    assert shown.code == 1
    assert "Did you mean 'alert'?" in shown.err
    assert "gone.parquet" in shown.err
    assert "lost.yaml" in shown.err
    report = run("tick", "--at", "2026-03-12T19:51:00Z", "--json")
    assert report.code == 1
    assert len(report.json["rule_problems"]) == 1
    assert [alert["rule"] for alert in run("alerts", "--json").json] == ["datalyptica-disk-usage"], "the rest works"


def test_a_tick_while_another_one_runs(run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from controlplane.tick import run as tick_run

    monkeypatch.setattr(tick_run, "PATIENCE_SECONDS", 0.1)
    home = configured / ".controlplane"
    home.mkdir()
    with FileLock(home / "tick.lock"):
        shown = run("tick", "--at", "2026-03-12T19:50:00Z")
    assert shown.code == 2
    assert "a tick is running already" in shown.err


def test_deliveries_that_fail(run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = "[{name: slack, url: {env: NO_URL}}, {name: json, url: {env: JSON_URL}}]"
    notify = f"notify: {{max_age: 3650d, channels: {channels}}}\n"
    (configured / "controlplane.yaml").write_text(SETTINGS + notify)
    monkeypatch.setenv("JSON_URL", "json://user:s3cret@127.0.0.1:1/path")
    ticked = run("tick", "--at", "2026-03-12T19:50:00Z", "--json")
    assert ticked.code == 1
    assert set(ticked.json["delivered"]["errors"]) == {"slack", "json"}
    waiting = run("deliver", "--json")
    assert waiting.json["left"] == 2
    printed = run("deliver")
    assert "2 waiting" in printed.out
    everything = ticked.out + ticked.err + waiting.out + printed.out + printed.err + run("events", "export").out
    assert "s3cret" not in everything


def test_rules_check(run: Run, here: Path) -> None:
    shown = run("rules", "check", "--json")
    assert shown.code == 0
    assert shown.json["problems"] == []
    assert shown.json["rules"] >= 20
    assert len(shown.json["digest"]) == 64
    assert "rules and" in run("rules", "check").out
    assert list(here.iterdir()) == []


def test_rules_check_of_files(run: Run, here: Path) -> None:
    (here / "controlplane.yaml").write_text("broken: [")
    (here / "bad.yaml").write_text("platform: x\ncomponent: y\nrules:\n- id: a\n  kind: alart\n")
    (here / "latin.yaml").write_bytes(b"platform: \xff")
    shown = run("rules", "check", "bad.yaml", "latin.yaml", "gone.yaml", "--json")
    assert shown.code == 1, "files that are named need no settings"
    places = {(problem["file"], problem["line"], problem["key"]) for problem in shown.json["problems"]}
    assert places == {("bad.yaml", 5, "rules.0.kind"), ("latin.yaml", None, ""), ("gone.yaml", None, "")}
    assert all(problem["remedy"] for problem in shown.json["problems"])
    printed = run("rules", "check", "bad.yaml")
    assert printed.out == "0 rules and 0 signals are usable\n"
    assert printed.err == "bad.yaml:5:3 (rules.0.kind): unknown kind of rule 'alart'. Did you mean 'alert'?\n"


def test_rules_list(run: Run, here: Path) -> None:
    every = run("rules", "list", "--json").json
    assert {rule["platform"] for rule in every} == {"absmach", "catalyst", "catalyst_hybrid", "datalyptica", "prism"}
    printed = run("rules", "list")
    assert "> 100,000 messages" in " ".join(printed.out.split())
    assert "2m" in printed.out
    (here / "controlplane.yaml").write_text("platforms: [catalyst]")
    assert {rule["platform"] for rule in run("rules", "list", "--json").json} == {"catalyst"}
    (here / "controlplane.yaml").write_text("platforms: [catalist]")
    wrong = run("rules", "list")
    assert (wrong.code, wrong.out) == (1, "No rules.\n")
    assert "Did you mean 'catalyst'?" in wrong.err
