"""`controlplane oncall`, `notify pause|resume`, and what routes and doctor say of people on call."""

import re
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import INCIDENTS, PAUSES
from tests.cli.conftest import Run
from tests.notify_cases import alert, at
from tests.unit.test_escalation import desk

SETTINGS = """
home: home
notify:
  channels:
  - {name: slack, url: {env: NONE}}
  - {name: sms-mira, url: {env: NONE}}
  - {name: sms-jon, url: {env: NONE}}
  people:
    mira: {channels: [sms-mira]}
    jon: {channels: [sms-jon]}
  schedules:
    primary: {calendar: oncall.ics}
    secondary: {rotation: [jon, mira], start: 2026-01-05T09:00, every: 1w, location: Europe/Berlin}
  escalations:
    platform:
      levels:
      - {to: [primary]}
      - {to: [secondary, slack], after: 10m}
      repeat: 1
  route: {channels: [slack], escalate: platform}
"""
ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:test
BEGIN:VEVENT
UID:1
DTSTART:20260330T080000Z
DTEND:20260402T080000Z
SUMMARY:mira
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART:20260402T080000Z
DTEND:20260403T080000Z
SUMMARY:\x1b[31mbob
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def configured(here: Path) -> Path:
    (here / "controlplane.yaml").write_text(SETTINGS)
    (here / "oncall.ics").write_text(ICS, newline="\r\n")
    return here


@pytest.mark.usefixtures("configured")
def test_who_is_on_call_until_when_and_who_is_next(run: Run) -> None:
    done = run("oncall", "--at", "2026-03-31T07:00:00Z", "--json")
    assert done.code == 1, "an entry names nobody"
    primary, secondary = done.json["schedules"]
    assert (primary["people"], primary["until"], primary["next"]) == (["mira"], "2026-04-02T08:00:00Z", [])
    assert (secondary["people"], secondary["since"]) == (["jon"], "2026-03-30T07:00:00Z")
    assert done.json["at"] == "2026-03-31T07:00:00Z"
    first, second = done.json["escalations"]["platform"]
    assert (first["people"], first["channels"], first["after"]) == (["mira"], ["sms-mira"], "0s")
    assert (second["people"], second["channels"], second["after"]) == (["jon"], ["slack", "sms-jon"], "10m")
    (problem,) = done.json["problems"]
    assert "oncall.ics:11" in problem
    assert "names nobody of notify.people" in problem


@pytest.mark.usefixtures("configured")
def test_the_table_names_a_gap(run: Run) -> None:
    shown = run("oncall", "--at", "2026-05-01T00:00:00Z")
    assert shown.code == 1
    assert "NOBODY" in shown.out
    assert "nobody is on call in primary" in shown.out
    assert "\x1b" not in shown.out + shown.err


def test_an_instant_that_is_none_is_a_usage_error(run: Run, configured: Path) -> None:
    assert run("oncall", "--at", "yesterday").code == 2
    (configured / "controlplane.yaml").write_text("home: home\n")
    shown = run("oncall")
    assert (shown.code, "There are no schedules" in shown.out) == (0, True)


@pytest.mark.usefixtures("configured")
def test_routes_say_who_is_told_next(run: Run) -> None:
    shown = run("notify", "routes", "--explain", "severity=critical")
    assert shown.code == 0
    assert "Escalation platform, while nobody acknowledges it, gone through 2 times:" in shown.out
    assert re.search(r"2\. after 10m: (jon|mira) \(secondary\), slack on slack, sms-(jon|mira)\n", shown.out)
    (route,) = run("notify", "routes", "--explain", "severity=critical", "--json").json["routes"]
    assert [level["to"] for level in route["escalation"]] == [["primary"], ["secondary", "slack"]]
    assert "platform" in run("notify", "routes").out


def test_doctor_tells_of_problems_and_gaps(run: Run, configured: Path) -> None:
    (configured / "oncall.ics").write_text("garbage")
    found = run("doctor", "--json").json
    told = {(one["name"], one["verdict"]): one["message"] for one in found if one["name"] in {"primary", "secondary"}}
    assert "it is not an iCalendar" in told["primary", "fail"]
    assert "nobody is on call" in told["primary", "warn"]
    assert told["secondary", "ok"] == "somebody is on call in the next 14 days"


def test_an_escalation_is_paused_and_resumed(run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (configured / "home").mkdir()
    with EventLog.open(f"sqlite:///{configured / 'home' / 'events.db'}") as log:
        log.append(desk().step(0, fire=[alert("a")]), recorded_at=at(0))
        (incident,) = log.rows(INCIDENTS)
        done = run("notify", "pause", incident[:6], "--for", "30m", "--json")
        assert (done.code, done.json["incident"], done.json["changed"]) == (0, incident, True)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", done.json["paused_until"])
        assert log.rows(PAUSES)[incident].actor == "ada"
        (shown,) = run("notify", "status", "--json").json["incidents"]
        assert (shown["escalation"]["level"], shown["taken"]) == (1, [])
        monkeypatch.setenv("COLUMNS", "300")
        assert "platform level 1, next at 2026-03-01 02:10:00Z" in run("notify", "status").out
        assert "escalates again" in run("notify", "resume", incident).out
        assert log.rows(PAUSES) == {}
        assert "wasn't paused" in run("notify", "resume", incident).out
    for wrong in (["pause", incident, "--for", "soon"], ["pause", incident]):
        assert run("notify", *wrong).code == 2
    assert run("notify", "pause", incident, "--for", "2d").code == 1
    assert run("notify", "pause", "nothing", "--for", "5m").code == 1
