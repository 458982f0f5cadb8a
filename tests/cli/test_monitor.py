"""Self-monitoring on the command line: heartbeats in the doctor, the verdict on the chain, and `serve`."""

from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.monitor.vitals import Beat, BeatVitals, ChainVitals, read, write
from tests.cli.conftest import Run
from tests.drafts import START, draft, tick

SETTINGS = """
notify:
  heartbeat:
  - {name: snitch, url: {env: SNITCH}}
"""
SECRET = "http://127.0.0.1:1/s3cret"


@pytest.mark.parametrize(
    ("beat", "verdict", "says"),
    [
        (None, "ok", "heartbeat is ready; none was sent yet"),
        (Beat(at=START, ok=True), "ok", "the last heartbeat got through at 2026-03-01 18:00:00Z"),
        (Beat(at=START, ok=False, error="no connection"), "warn", "heartbeat at 2026-03-01 18:00:00Z: no connection"),
    ],
)
def test_the_doctor_shows_heartbeats(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, beat: Beat | None, verdict: str, says: str
) -> None:
    (here / "controlplane.yaml").write_text(SETTINGS)
    monkeypatch.setenv("SNITCH", SECRET)
    if beat is not None:
        write(here / ".controlplane", BeatVitals(beats={"snitch": beat}))
    shown = run("doctor", "--json")
    (finding,) = [one for one in shown.json if one["name"] == "snitch"]
    assert (finding["verdict"], finding["message"]) == (verdict, says)
    assert "s3cret" not in shown.out + shown.err


def test_the_doctor_misses_its_secret(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "controlplane.yaml").write_text(SETTINGS)
    monkeypatch.delenv("SNITCH", raising=False)
    (finding,) = [one for one in run("doctor", "--json").json if one["name"] == "snitch"]
    assert finding["verdict"] == "fail"
    assert "SNITCH is not set" in finding["message"]


@pytest.mark.parametrize("command", [("events", "verify"), ("doctor",)])
def test_a_verification_of_the_whole_log_is_noted(run: Run, here: Path, command: tuple[str, ...]) -> None:
    (here / "controlplane.yaml").write_text("home: home\n")
    home = here / "home"
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        log.append([draft(tick()), draft(tick())], recorded_at=START)
    write(home, ChainVitals(ok=False, at=START, position=1, problem="position 1: was replaced"))
    run(*command)
    noted = read(home, ChainVitals)
    assert noted is not None
    assert (noted.ok, noted.position) == (True, 2)
    assert noted.whole_at is not None
    assert noted.whole_at - START > timedelta(0)


def test_serve_needs_settings_and_an_address(run: Run, here: Path) -> None:
    assert run("serve").code == 2
    (here / "controlplane.yaml").write_text("serve: {address: null}\n")
    shown = run("serve")
    assert shown.code == 2
    assert "say where with --address" in shown.err
    (here / "controlplane.yaml").write_text("serve: {address: 10633}\n")
    assert run("serve").code == 2
