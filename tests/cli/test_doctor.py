"""The doctor: what is wrong is found, each with what to do, and nothing stops it."""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from controlplane import bootstrap
from controlplane.doctor import stores
from controlplane.eventlog.log import EventLog
from controlplane.model.payloads import NotificationFailed, NotificationQueued, RuleFailed
from tests.cli.conftest import Run
from tests.drafts import HOSTILE, delivery, draft, tick
from tests.loopback import Handler, http_server
from tests.servers import free_port, start_prometheus


def examined(run: Run, here: Path, settings: str) -> list[dict[str, str]]:
    (here / "controlplane.yaml").write_text(settings)
    shown = run("doctor", "--json")
    findings: list[dict[str, str]] = shown.json
    failed = [finding for finding in findings if finding["verdict"] == "fail"]
    assert shown.code == (1 if failed else 0)
    for finding in failed:
        assert finding["message"]
        assert finding["remedy"], finding
    printed = run("doctor")
    assert printed.code == shown.code
    assert "Traceback" not in printed.err
    return findings


def of(findings: list[dict[str, str]], name: str, verdict: str) -> list[dict[str, str]]:
    return [finding for finding in findings if finding["name"] == name and finding["verdict"] == verdict]


def test_no_settings(run: Run, here: Path) -> None:
    shown = run("doctor", "--json")
    assert shown.code == 1
    assert [(f["name"], f["verdict"]) for f in shown.json] == [("settings", "fail")]
    assert "controlplane init" in shown.json[0]["remedy"]


def test_every_problem_of_the_settings_is_a_finding(run: Run, here: Path) -> None:
    findings = examined(run, here, "steps: 15s\nplatforms: catalyst\n")
    assert [finding["verdict"] for finding in findings] == ["fail", "fail"]
    assert {finding["remedy"] for finding in findings} >= {"Did you mean 'step'?"}


CASES: list[tuple[str, str, str, str]] = [
    ("platforms: [nope]", "rules", "there is no pack 'nope'", "There are absmach"),
    ("{}", "rules", "no rule is enabled", "Name packs"),
    ("rules: [gone.yaml]", "rules", "there is no such rule file", "Correct the path"),
    (
        "rules: [bad.yaml]",
        "rules",
        "bad.yaml:3:17 (rules.0.kind): unknown kind of rule 'alart'",
        "Did you mean 'alert'?",
    ),
    (
        "{platforms: [catalyst], prices: {catalyst: gone.yaml}}",
        "prices",
        "gone.yaml: can't be read",
        "Correct the book",
    ),
    ("{platforms: [catalyst], prices: {catalyst: bad.yaml}}", "prices", "bad.yaml", ""),
    ("{}", "sources", "there is no source", "Add one under sources"),
    ("sources: [{name: p, type: prometheus, url: 'http://127.0.0.1:1'}]\nplatforms: [catalyst]", "p", "refused", "url"),
    (
        "platforms: [catalyst]\n"
        "sources: [{name: p, type: prometheus, url: 'http://127.0.0.1:1', bearer: {env: NO_TOKEN}}]",
        "p",
        "environment variable NO_TOKEN is not set",
        "et it or use",
    ),
    ("sources: [{name: r, type: recorded, path: gone.parquet}]", "r", "gone.parquet can't be read", "Correct path"),
    ("sources: [{name: r, type: recorded, path: bad.csv}]", "r", "bad.csv", ""),
    ("sources: [{name: i, type: inventory, platform: x, path: gone.yaml}]", "i", "gone.yaml: can't be read", "Correct"),
    ("sources: [{name: i, type: inventory, platform: x, path: bad.yaml}]", "i", "bad.yaml", ""),
    ("sources: [{name: t, type: prometheus_targets, platform: x, url: 'http://127.0.0.1:1'}]", "t", "refused", "url"),
    (
        "sources: [{name: k, type: kafka, platform: x, bootstrap_servers: '127.0.0.1:1', settings: {no.such: 1}}]",
        "k",
        "no.such",
        "librdkafka",
    ),
    ("notify: {channels: [{name: slack, url: {env: NO_URL}}]}", "slack", "NO_URL is not set", "et it or use"),
    ("notify: {channels: [{name: m, url: {file: gone}}]}", "m", "gone", "Correct the channel's url"),
    ("notify: {channels: [{name: m, url: {file: bad.yaml}}]}", "m", "doesn't hold one apprise URL", "put exactly one"),
    ("home: file/home", "home", "file/home", "Check that the path exists"),
    ("home: file/home", "event log", "file/home", "Check the folder"),
    ("home: file/home", "telemetry", "file/home", ""),
    ("events: 'mysql://x'", "event log", "mysql", "Write sqlite:"),
    ("events: {env: NO_EVENTS}", "event log", "NO_EVENTS is not set", "et it or use"),
    ("events: 'postgresql+psycopg://a:s3cret@127.0.0.1:1/x'", "event log", "127.0.0.1:1", "Check that the server runs"),
]


@pytest.fixture
def folder(here: Path) -> Path:
    (here / "bad.yaml").write_text("platform: x\ncomponent: y\nrules: [{id: a, kind: alart}]\n")
    (here / "bad.csv").write_text("ts,nothing\n1,2\n")
    (here / "file").write_text("")
    return here


@pytest.mark.parametrize(("settings", "name", "says", "remedy"), CASES)
def test_what_is_wrong_comes_with_a_remedy(
    run: Run, folder: Path, settings: str, name: str, says: str, remedy: str
) -> None:
    findings = examined(run, folder, settings)
    failed = of(findings, name, "fail")
    hits = [f for f in failed if says.lower() in f["message"].lower() and remedy.lower() in f["remedy"].lower()]
    assert hits, failed
    assert all("s3cret" not in str(finding) for finding in findings)
    assert findings[-1]["name"] == "telemetry", "it goes on to the end"


def test_one_bad_channel_does_not_hide_the_others(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD_URL", "pdevents://" + "k" * 32)
    channels = "[{name: bad, url: {env: NO_URL}}, {name: good, url: {env: GOOD_URL}}]"
    findings = examined(run, folder, f"notify: {{channels: {channels}}}")
    assert of(findings, "bad", "fail")
    (good,) = of(findings, "good", "ok")
    assert "nothing was sent" in good["message"]
    assert "k" * 32 not in str(findings)
    assert not of(findings, "channels", "warn"), "critical alerts reach bad, or will"
    nobody = "notify: {channels: [{name: good, url: {env: GOOD_URL}}], route: {channels: []}}"
    (warning,) = of(examined(run, folder, nobody), "channels", "warn")
    assert warning["message"] == "a critical alert that no other route matches reaches no channel"


def test_things_to_know(run: Run, folder: Path) -> None:
    findings = examined(
        run,
        folder,
        "platforms: [catalyst]\nprices: {prism: bad.yaml}\nevents: 'postgresql://u:hunter22@127.0.0.1:1/x'\n"
        "sources: [{name: p, type: prometheus, url: 'http://127.0.0.1:1', platforms: [prism]}]",
    )
    warnings = " ".join(finding["message"] for finding in findings if finding["verdict"] == "warn")
    for text in (
        "catalyst has no inventory",
        "there is a price book for prism, which has no rules",
        "p is for prism, which has no rules",
        "no signal is asked of it",
        "the settings hold the password",
        "there is no channel",
    ):
        assert text in warnings
    assert "hunter22" not in str(findings)


def test_a_prometheus_that_answers(run: Run, folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "prometheus"
    data.mkdir()
    with start_prometheus("global: {}\n", data) as url:
        (folder / "rules.yaml").write_text(
            "platform: x\ncomponent: y\nsignals:\n"
            "- {name: good, unit: '1', prometheus: vector(1)}\n- {name: none, unit: '1', prometheus: no_such_metric}\n"
            "- {name: wrong, unit: '1', prometheus: 'sum('}\n"
        )
        source = f"{{name: p, type: prometheus, url: '{url}'}}"
        findings = examined(run, folder, f"rules: [rules.yaml]\nsources: [{source}]")
    warned = [finding["message"] for finding in of(findings, "p", "warn")]
    assert any("x/none" in text and "no series" in text for text in warned)
    assert any("x/wrong" in text for text in warned)
    assert not of(findings, "p", "fail"), "it works, if not for every signal"


def test_a_server_that_is_no_prometheus(run: Run, folder: Path) -> None:
    class Plain(Handler):
        def do_GET(self) -> None:
            self.reply(b"\x1b[31mhello")

        def do_POST(self) -> None:
            self.reply(b"\x1b[31mhello")

    with http_server(Plain) as address:
        source = f"{{name: p, type: prometheus, url: 'http://{address}'}}"
        findings = examined(run, folder, f"platforms: [catalyst]\nsources: [{source}]")
    assert of(findings, "p", "fail")


@pytest.fixture
def log(folder: Path) -> Iterator[EventLog]:
    (folder / ".controlplane").mkdir()
    with EventLog.open(f"sqlite:///{folder / '.controlplane' / 'events.db'}") as opened:
        yield opened


def test_ticks(run: Run, folder: Path, log: EventLog) -> None:
    assert of(examined(run, folder, "{}"), "ticks", "warn")[0]["message"] == "there has been no tick yet"
    now = datetime.now(UTC)
    log.append([draft(tick(now=now - timedelta(hours=3)))], recorded_at=now)
    assert "3h" in of(examined(run, folder, "{}"), "ticks", "fail")[0]["message"]
    log.append([draft(tick(now=now))], recorded_at=now)
    assert of(examined(run, folder, "{}"), "ticks", "ok")
    log.append([draft(tick(now=now + timedelta(hours=3)))], recorded_at=now)
    assert "future" in of(examined(run, folder, "{}"), "ticks", "fail")[0]["message"]


def test_outbox_and_rules_of_the_log(run: Run, folder: Path, log: EventLog) -> None:
    now = datetime.now(UTC)
    failed = NotificationFailed(delivery="d1", channel="slack", attempts=3, error=HOSTILE[4], next_attempt_at=now)
    drafts = [draft(NotificationQueued(delivery=delivery("d1"))), draft(failed)]
    drafts.append(draft(RuleFailed(rule="r1", source="p", error="two results share the labels")))
    log.append(drafts, recorded_at=now)
    findings = examined(run, folder, "{}")
    assert "1 message being retried" in of(findings, "outbox", "warn")[0]["message"]
    assert any("r1 over p" in finding["message"] for finding in of(findings, "rules", "fail"))
    assert "\x1b" not in run("doctor").out


def test_a_changed_log(run: Run, folder: Path, log: EventLog) -> None:
    log.append([draft(tick()), draft(tick())], recorded_at=datetime.now(UTC))
    with contextlib.closing(sqlite3.connect(folder / ".controlplane" / "events.db")) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute("UPDATE events SET actor = 'mallory' WHERE position = 1")
        connection.commit()
    (finding,) = of(examined(run, folder, "{}"), "event log", "fail")
    assert "position 1" in finding["message"]
    assert "restore a backup" in finding["remedy"]


def test_an_event_log_that_is_none(run: Run, folder: Path) -> None:
    (folder / ".controlplane").mkdir()
    (folder / ".controlplane" / "events.db").write_bytes(b"nothing of the kind" * 100)
    assert "restore the last backup" in of(examined(run, folder, "{}"), "event log", "fail")[0]["remedy"]


def test_a_telemetry_file_that_is_in_use(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from controlplane.telemetry.store import SampleStore

    def impatient(settings: Any, on_set_aside: Any = None) -> SampleStore:
        return SampleStore(settings.home / "telemetry.duckdb", step=settings.step, wait=timedelta(milliseconds=200))

    monkeypatch.setattr(bootstrap, "open_store", impatient)
    home = folder / ".controlplane"
    home.mkdir()
    with FileLock(home / "telemetry.duckdb.lock"):
        (finding,) = of(examined(run, folder, "{}"), "telemetry", "fail")
    assert "in use" in finding["message"]
    assert "Wait" in finding["remedy"]


def test_a_telemetry_file_that_was_set_aside(run: Run, folder: Path) -> None:
    home = folder / ".controlplane"
    home.mkdir()
    (home / "telemetry.duckdb").write_bytes(b"nothing of the kind" * 1000)
    findings = examined(run, folder, "{}")
    assert of(findings, "telemetry", "ok"), "it was begun anew"
    assert "set aside" in of(findings, "telemetry", "warn")[0]["message"]


def test_a_tick_that_is_running(run: Run, folder: Path) -> None:
    (folder / ".controlplane").mkdir()
    with (folder / ".controlplane" / "tick.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "a tick is running now" in str(of(examined(run, folder, "{}"), "lock", "ok"))
    assert "no tick is running now" in str(of(examined(run, folder, "{}"), "lock", "ok"))


def test_too_little_space(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LEAST_SPACE", 10**18)
    assert "Free some space" in of(examined(run, folder, "{}"), "home", "warn")[0]["remedy"]


def test_a_defect_of_one_check_stops_no_other(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("\x1b[31mboom")

    monkeypatch.setattr(bootstrap, "load_rule_set", broken)
    findings = examined(run, folder, "sources: [{name: r, type: recorded, path: bad.csv}]")
    assert "ZeroDivisionError" in of(findings, "rules", "fail")[0]["message"]
    assert of(findings, "telemetry", "ok")


def test_ports_are_really_closed() -> None:
    """The cases above count on nobody listening on port 1."""
    assert free_port() != 1
