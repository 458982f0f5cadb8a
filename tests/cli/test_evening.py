"""Commands on the data of the demo: alerts, acknowledgements, recommendations, events, SQL, maintenance."""

import csv
import io
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from controlplane.demo import END
from tests.cli.conftest import Evening, Run


@pytest.fixture
def copied(evening: Evening, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of our own with the data of the demo."""
    home = here / "home"
    shutil.copytree(evening.home, home)
    monkeypatch.setenv("CONTROLPLANE_HOME", str(home))
    return home


def test_alerts(run: Run, copied: Path, evening: Evening) -> None:
    firing = [alert for alert in evening.document["alerts"] if alert["state"] == "firing"]
    shown = run("alerts", "--json")
    assert {alert["id"] for alert in shown.json} == {alert["id"] for alert in firing}
    for alert in shown.json:
        assert alert["now"]["at"] == evening.document["summary"]["to"]
        assert alert["acknowledged"] is None
    assert "as of the last tick" in shown.err
    assert f"{END:%Y-%m-%d %H:%M:%S}Z" in shown.err, "what is shown is old, and it says so"
    printed = run("alerts")
    assert printed.code == 0
    assert all(alert["id"] in printed.out for alert in firing)
    assert "2026-03-12 19:" in printed.out
    assert "Z " in printed.out


def test_acknowledge_and_back(run: Run, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alert = run("alerts", "--json").json[0]["id"]
    assert run("ack", alert[:3]).code == 1, "too short to be meant"
    assert run("ack", alert[:6], "--note", "on it").out == f"{alert} acknowledged by ada\n"
    assert run("alerts", "--json").json[0]["acknowledged"]["note"] == "on it"
    assert "ada" in run("alerts").out
    again = run("ack", alert, "--json")
    assert (again.code, again.json) == (0, {"alert": alert, "acknowledged_by": "ada", "changed": False})
    monkeypatch.setenv("CONTROLPLANE_ACTOR", "bob")
    refused = run("ack", alert)
    assert (refused.code, refused.out) == (1, "")
    assert "already acknowledged by ada" in refused.err
    assert run("unack", alert, "--json").json == {"alert": alert, "acknowledged_by": None, "changed": True}
    assert run("unack", alert).out == f"nobody has taken {alert}\n"
    assert run("ack", alert, "--note", "x" * 2_001).code == 1
    events = run("events", "list", "--stream", f"alert:{alert}", "--json").json
    assert [event["actor"] for event in events[-2:]] == ["ada", "bob"]
    assert run("events", "verify").code == 0


def test_recommendations(run: Run, copied: Path, evening: Evening) -> None:
    everything = run("recommendations", "--all", "--json").json
    assert everything == evening.document["recommendations"]
    opened = run("recommendations", "--json").json
    assert {r["status"] for r in opened} == {"proposed"}
    assert 0 < len(opened) < len(everything)
    assert run("recommendations", "--json", "show", "x").code == 2


def test_a_recommendation_is_decided_on_once_and_only_in_the_version_that_was_seen(run: Run, copied: Path) -> None:
    first, second, *_ = run("recommendations", "--json").json
    name, version = first["id"], first["version"]
    refused = run("recommendations", "approve", name, "--version", str(version + 1))
    assert (refused.code, refused.out) == (1, "")
    assert f"you saw version {version + 1}, now it is {version}" in refused.err
    done = run("recommendations", "approve", name[:6], "--version", str(version), "--json").json
    assert (done["status"], done["changed"]) == ("approved", True)
    assert run("recommendations", "approve", name, "--json").json["changed"] is False
    assert run("recommendations", "reopen", name).code == 0
    assert run("recommendations", "executed", name, "--note", "two at once").code == 0
    assert run("recommendations", "reopen", name).code == 1
    assert run("recommendations", "reject", second["id"]).code == 2
    assert run("recommendations", "reject", second["id"], "--reason", "[red]no\x1b[31m").code == 0
    states = {r["id"]: r["status"] for r in run("recommendations", "--all", "--json").json}
    assert (states[name], states[second["id"]]) == ("executed", "rejected")
    assert "\x1b" not in run("recommendations", "show", second["id"]).out
    assert run("events", "verify").code == 0


def test_show_prints_the_whole_record(run: Run, copied: Path, evening: Evening) -> None:
    for recommendation in evening.document["recommendations"]:
        name = recommendation["id"]
        assert run("recommendations", "show", name[:5], "--json").json == recommendation
        shown = run("recommendations", "show", name)
        assert shown.code == 0
        squeezed = " ".join(shown.out.split())
        for text in (recommendation["title"], recommendation["why"], recommendation["gain"], recommendation["status"]):
            assert " ".join(text.split()) in squeezed
        does = "Plan" if recommendation["plan"] else "Commands"
        for part in ("Cost", "Doing nothing", does, "To revert", "Evidence", "Survives", "Takes effect in"):
            assert part in shown.out, part
        for command in (*recommendation["commands"], *recommendation["revert"]):
            for line in command.splitlines():
                assert f"  {line}\n" in shown.out, "commands are printed whole, to be copied"
        for stage in recommendation["stages"]:
            assert stage["name"].split()[0] in shown.out
        assert "Made             2026-03-12 " in shown.out


def test_event_list(run: Run, copied: Path, evening: Evening) -> None:
    head = evening.document["summary"]["events"]
    newest = run("events", "list", "--limit", "3", "--json").json
    assert [event["position"] for event in newest] == [head - 2, head - 1, head]
    fired = run("events", "list", "--type", "alert_fired.v1", "--json").json
    assert len(fired) == evening.document["summary"]["alerts_fired"]
    assert run("events", "list", "--after", str(head), "--json").json == []
    assert f"{head}" in run("events", "list").out
    wrong = run("events", "list", "--type", "alert_fird.v1")
    assert wrong.code == 2
    assert "Did you mean 'alert_fired.v1'?" in wrong.err
    for option in (("--limit", "0"), ("--limit", "-1"), ("--after", "-1"), ("--after", str(2**63))):
        assert run("events", "list", *option).code == 2


def test_event_show(run: Run, copied: Path) -> None:
    first = run("events", "show", "1").json
    assert first["position"] == 1
    assert run("events", "show", first["id"]).json == first
    for missing in ("0", "99999", "9" * 30, "nope", "00000000-0000-0000-0000-000000000000"):
        shown = run("events", "show", missing)
        assert (shown.code, shown.out) == (1, ""), missing
        assert "there is no event" in shown.err


def test_event_export_to_a_file(run: Run, copied: Path, here: Path) -> None:
    assert run("events", "export", "--after", "5", "-o", here / "events.jsonl").out == ""
    lines = (here / "events.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["position"] == 6
    assert run("events", "export", "-o", here / "no" / "folder").code == 2


def test_verify_finds_what_was_changed(run: Run, copied: Path) -> None:
    assert run("events", "verify", "--json").json["ok"] is True
    with sqlite3.connect(copied / "events.db") as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute("UPDATE events SET actor = 'mallory' WHERE position = 7")
    connection.close()
    broken = run("events", "verify", "--json")
    assert broken.code == 1
    assert (broken.json["ok"], broken.json["position"], broken.json["checked"]) == (False, 7, 6)
    assert "position 7" in run("events", "verify").out


def test_rebuild_changes_nothing(run: Run, copied: Path) -> None:
    before = run("alerts", "--json").out, run("recommendations", "--all", "--json").out
    assert "rebuilt" in run("events", "rebuild").out
    assert (run("alerts", "--json").out, run("recommendations", "--all", "--json").out) == before
    unknown = run("events", "rebuild", "alarms")
    assert unknown.code == 2
    assert "there are activity, advised, alerts" in unknown.err


def test_sql(run: Run, copied: Path, evening: Evening) -> None:
    asked = "SELECT type, count(*) AS n FROM events WHERE type LIKE 'alert_fired%' GROUP BY type"
    fired = evening.document["summary"]["alerts_fired"]
    assert run("sql", asked, "--json").json == [{"type": "alert_fired.v1", "n": fired}]
    assert list(csv.reader(io.StringIO(run("sql", asked, "--csv").out))) == [
        ["type", "n"],
        ["alert_fired.v1", str(fired)],
    ]
    shown = run("sql", "SELECT position FROM events ORDER BY position", "--limit", "2")
    assert "position" in shown.out
    assert "the first 2" in shown.err
    assert run("sql", "SELECT 'nan'::DOUBLE AS a, 'inf'::DOUBLE AS b", "--json").json[0] in (
        {"a": "NaN", "b": "Infinity"},
        {"a": None, "b": "Infinity"},
    )
    for wrong in ("SELEC 1", "DELETE FROM events", "SELECT 1; SELECT 2", "COPY events TO '/tmp/x'", ""):
        refused = run("sql", wrong)
        assert (refused.code, refused.out) == (2, ""), wrong
        assert refused.err.startswith("error: ")
    assert run("sql", "SELECT 1", "--csv", "--json").code == 2
    assert run("sql", "SELECT 1", "--limit", "0").code == 2


def test_maintain(run: Run, copied: Path) -> None:
    report = run("maintain", "--json").json
    assert report["rows_after"]["events"] >= 0
    assert set(report["rows_before"]) == set(report["rows_after"])
    assert "events mirrored" in run("maintain").out
