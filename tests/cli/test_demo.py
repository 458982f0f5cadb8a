"""The demo: five incidents, priced advice, messages, the same events every time, and nothing left elsewhere."""

import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Evening, Run, program

INCIDENTS = {
    "consumer lag": "catalyst-kafka-consumer-lag",
    "disk": "datalyptica-disk-usage",
    "cross-AZ traffic": "prism-cross-az-traffic",
    "primary lost": "catalyst-hybrid-postgresql-primary-lost",
    "zone lost": "prism-zone-lost",
}


@pytest.mark.parametrize("rule", INCIDENTS.values(), ids=INCIDENTS)
def test_each_incident_has_an_alert_and_priced_advice(evening: Evening, rule: str) -> None:
    fired = [alert for alert in evening.document["alerts"] if alert["rule"] == rule]
    assert fired
    assert all(alert["fired_at"].endswith("Z") and alert["state"] in {"firing", "resolved"} for alert in fired)
    advice = [r for r in evening.document["recommendations"] if r["alert"] in {alert["id"] for alert in fired}]
    assert advice
    for recommendation in advice:
        cost = recommendation["cost"]
        assert cost["known"] is True
        for name in ("per_month", "one_off"):
            assert isinstance(cost[name], str)
            assert sum(Decimal(line[name]) for line in cost["lines"]) == Decimal(cost[name])
        assert recommendation["from"]
        assert recommendation["to"]
        assert recommendation["why"]
        assert recommendation["commands"]


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
def test_messages(evening: Evening, kind: str) -> None:
    messages = [n for n in evening.document["notifications"] if n["kind"] == kind]
    fired = {alert["id"] for alert in evening.document["alerts"] if alert["severity"] == "critical"}
    told = {alert for n in messages if n["action"] == "trigger" for alert in n["alerts"]}
    assert fired <= told
    assert {n["action"] for n in messages} == {"trigger", "resolve"}
    assert all(n["body"] for n in messages)


def test_the_document(evening: Evening) -> None:
    document = evening.document
    assert set(document) == {"alerts", "recommendations", "notifications", "summary"}
    summary = document["summary"]
    assert summary["log_verified"] is True
    assert summary["rule_problems"] == []
    assert summary["alerts_fired"] == len(document["alerts"])
    assert summary["notifications"] == len(document["notifications"])
    assert summary["platforms"] == ["absmach", "catalyst", "catalyst_hybrid", "datalyptica", "prism"]
    assert evening.seconds < 20


def _tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_printed_and_again(evening: Evening, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run anew, printed, in a folder that may not be written: the same events, and files only in the home."""
    cwd, someone, home = tmp_path / "cwd", tmp_path / "someone", tmp_path / "home"
    cwd.mkdir()
    someone.mkdir()
    cwd.chmod(0o555)
    done = program("demo", cwd=cwd, HOME=str(someone), CONTROLPLANE_HOME=str(home), TMPDIR=str(someone))
    assert done.returncode == 0, done.stderr
    assert _tree(cwd) == []
    assert _tree(someone) == []
    assert _tree(home)[0] == "demo"
    assert all(name.startswith("demo") for name in _tree(home))
    _check_tables(done.stdout, evening.document)
    assert re.findall(r"replayed to (\d\d:\d\d)Z", done.stderr) == ["18:48", "19:12", "20:00", "20:24"]

    def exported(folder: Path) -> str:
        monkeypatch.setenv("CONTROLPLANE_HOME", str(folder))
        shown = run("events", "export")
        assert shown.code == 0
        return shown.out

    first, second = exported(evening.home), exported(home / "demo")
    assert first == second, "ids, order and hashes depend on the recording alone"
    lines = [json.loads(line) for line in first.splitlines()]
    assert [line["position"] for line in lines] == list(range(1, evening.document["summary"]["events"] + 1))
    assert lines[-1]["hash"] == evening.document["summary"]["head"]


def _check_tables(out: str, document: dict[str, Any]) -> None:
    assert "\x1b" not in out
    tables, _, messages = out.partition("The first message to Slack:")
    assert all(len(line) <= 120 for line in tables.splitlines())
    squeezed = " ".join(out.split())
    assert "Per month" in tables
    assert "One-off" in tables
    assert "−$" in tables, "a saving"
    assert "$25,000" in tables
    for recommendation in document["recommendations"]:
        assert recommendation["id"] in tables
    for alert in document["alerts"]:
        assert alert["platform"] in tables
    assert "Nothing was sent." in squeezed
    slack, _, pagerduty = messages.partition("The first message to PagerDuty:")
    assert json.loads(slack)["blocks"]
    body, _ = json.JSONDecoder().raw_decode(pagerduty.strip())
    assert body["event_action"] == "trigger"


def test_unknown_cost_is_printed_as_unknown(evening: Evening, capsys: pytest.CaptureFixture[str]) -> None:
    from controlplane.cli.output import console
    from controlplane.cli.recommendations import list_recommendations

    known = evening.document["recommendations"][0]
    list_recommendations(console(), [known | {"cost": known["cost"] | {"per_month": None, "one_off": None}}])
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if known["id"] in line)
    assert row.count("unknown") == 2
    assert "None" not in out


def test_clears_only_its_own(evening: Evening) -> None:
    assert sorted(path.name for path in evening.home.parent.iterdir()) == ["demo"]
    assert os.access(evening.home / "events.db", os.R_OK)
