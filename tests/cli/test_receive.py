"""The receiver on the command line: settings, `receive`, and what the doctor says of it."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.monitor.vitals import Received, ReceiveVitals, read, write
from tests.cli.conftest import PROGRAM, Run
from tests.receive_cases import START, paged, pagerduty_headers, taken_by, webhook
from tests.servers import free_port

BOTH = """
receive:
  address: {address}
  pagerduty: {{secret: {{env: TEST_PAGERDUTY_SECRET}}}}
  slack: {{signing_secret: {{env: TEST_SLACK_SECRET}}}}
"""
SECRET = "planted-5ecret"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PAGERDUTY_SECRET", SECRET)
    monkeypatch.setenv("TEST_SLACK_SECRET", SECRET)


def found(run: Run) -> list[tuple[str, str]]:
    shown = run("doctor", "--json")
    assert SECRET not in shown.out + shown.err
    return [(one["verdict"], one["message"]) for one in shown.json if one["name"] == "receive"]


LATER = START + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("row", "finding"),
    [
        (None, ("ok", "pagerduty is ready; nothing came yet")),
        (
            Received(at=LATER, unsigned_at=START),
            ("ok", "pagerduty is ready; the last request came at 2026-03-01 02:01Z"),
        ),
        (
            Received(outcomes={"unsigned": 3}, at=START, unsigned_at=LATER),
            ("warn", "pagerduty: 3 requests without a good signature, the last one at 2026-03-01 02:01Z"),
        ),
        (
            Received(outcomes={"unsigned": 1}, unsigned_at=START),
            ("warn", "pagerduty: 1 request without a good signature, the last one at 2026-03-01 02:00Z"),
        ),
    ],
)
def test_the_doctor_shows_what_came(
    run: Run, here: Path, secrets: None, row: Received | None, finding: tuple[str, str]
) -> None:
    (here / "controlplane.yaml").write_text(BOTH.format(address="127.0.0.1:10634"))
    if row is not None:
        write(here / ".controlplane", ReceiveVitals(endpoints={"pagerduty": row}))
    assert found(run) == [finding, ("ok", "slack is ready; nothing came yet")]


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:10634", True),
        ("127.0.0.9:10634", True),
        ("'[::1]:10634'", True),
        ("localhost:10634", True),
        ("0.0.0.0:10634", False),
        ("'[::]:10634'", False),
        ("192.0.2.1:10634", False),
        ("hooks.example.com:10634", False),
    ],
)
def test_the_doctor_says_who_can_reach_it(run: Run, here: Path, secrets: None, address: str, local: bool) -> None:
    (here / "controlplane.yaml").write_text(BOTH.format(address=address))
    warned = ("warn", f"{address.strip(chr(39))} can be reached from other machines") in found(run)
    assert warned is not local


def test_the_doctor_misses_a_secret_and_an_address(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_PAGERDUTY_SECRET", raising=False)
    monkeypatch.setenv("TEST_SLACK_SECRET", SECRET)
    path = here / "controlplane.yaml"
    path.write_text(BOTH.format(address="127.0.0.1:10634"))
    (verdict, message), _ = found(run)
    assert (verdict, "TEST_PAGERDUTY_SECRET is not set" in message) == ("fail", True)
    path.write_text(BOTH.format(address="null"))
    assert found(run) == [("warn", "pagerduty and slack can't tell anything: nothing listens")]
    path.write_text("home: home\n")
    assert found(run) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("receive: {address: 127.0.0.1}", "is not host:port"),
        ("receive: {address: '127.0.0.1:10634'}", "there is nothing to receive; add pagerduty or slack"),
        ("receive: {pagerduty: {secret: plain}}", "receive.pagerduty.secret"),
        ("receive: {slack: {}}", "receive.slack.signing_secret"),
        ("receive: {teams: {}}", "unknown key 'teams'"),
        ("home: home", "receive.address of the settings is null; say where with --address"),
        (
            "receive: {slack: {signing_secret: {env: UNSET_SECRET}}, address: '127.0.0.1:10634'}",
            "environment variable UNSET_SECRET is not set",
        ),
        ("receive: {slack: {signing_secret: {file: empty}}, address: '127.0.0.1:10634'}", "empty is empty"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_served(run: Run, here: Path, text: str, says: str) -> None:
    (here / "controlplane.yaml").write_text(text)
    (here / "empty").write_text("\n")
    shown = run("receive")
    assert (shown.code, shown.out) == (2, "")
    assert says in shown.err


def test_nothing_to_receive(run: Run, here: Path) -> None:
    (here / "controlplane.yaml").write_text("home: home\n")
    shown = run("receive", "--address", "127.0.0.1:10634")
    assert shown.code == 2
    assert "add receive.pagerduty or receive.slack" in shown.err
    assert run("receive", "--address", "127.0.0.1").code == 2


def test_received_by_the_program(here: Path, secrets: None) -> None:
    """From a request over HTTP to the acknowledged alert, and an orderly end."""
    address = f"127.0.0.1:{free_port()}"
    (here / "controlplane.yaml").write_text("home: home\n" + BOTH.format(address=address))
    (here / "home").mkdir()
    url = f"sqlite:///{here / 'home' / 'events.db'}"
    with EventLog.open(url) as log:
        key = paged(log)
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "receive"],
        cwd=here,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == f"POST http://{address}/pagerduty, /slack\n"

        def ask(headers: dict[str, Any]) -> int:
            connection = HTTPConnection(address, timeout=20)
            connection.request("POST", "/pagerduty", body, headers)
            return connection.getresponse().status

        body = webhook(key=key)
        assert ask(pagerduty_headers(body, "wrong")) == 401
        assert ask(pagerduty_headers(body, SECRET)) == 202
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    with EventLog.open(url) as log:
        assert taken_by(log) == {"a1": "pagerduty:Mira Fox", "a2": "pagerduty:Mira Fox"}
    counted = read(here / "home", ReceiveVitals)
    assert counted is not None
    assert counted.endpoints["pagerduty"].outcomes == {"unsigned": 1, "taken": 1}
    assert not any(SECRET.encode() in path.read_bytes() for path in here.rglob("*") if path.is_file())
