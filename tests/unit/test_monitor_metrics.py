"""Metrics: what they count, bounded labels, one bad store, and what a scrape of much costs."""

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.eventlog.errors import StoreUnavailable
from controlplane.eventlog.log import EventLog
from controlplane.model.payloads import (
    AlertFired,
    AlertPending,
    AlertResolved,
    NotificationDeadLettered,
    NotificationDelivered,
    NotificationFailed,
    NotificationQueued,
    NotificationSuppressed,
    RecommendationProposed,
    RecommendationRejected,
    SourceFailed,
)
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms
from controlplane.monitor import vitals
from controlplane.monitor.bounded import LONGEST, MOST, OTHER, bounded
from controlplane.monitor.counting import Counting
from controlplane.monitor.server import CannotListen, Gathering, MonitorServer
from controlplane.settings import Heartbeat, Notify, PrometheusSource, Secret, Settings
from tests.drafts import HOSTILE, START, delivery, draft, facts, ingested, recommendation, tick
from tests.servers import free_port, require_binary

NOW = START + timedelta(seconds=40)
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
Labels = tuple[tuple[str, str], ...]


def settings(home: Path, **more: object) -> Settings:
    sources = tuple(PrometheusSource(name=name, type="prometheus", url="http://x") for name in ("mute", "prometheus"))
    heartbeat = (Heartbeat(name="snitch", url=Secret(env="SNITCH")),)
    return Settings.model_validate(
        {"home": home, "sources": sources, "notify": Notify(heartbeat=heartbeat), **more}, from_attributes=True
    )


@contextmanager
def serving(configured: Settings, log: EventLog | None = None, now: datetime = NOW) -> Iterator[str]:
    def opened() -> EventLog:
        return EventLog.open(f"sqlite:///{configured.home}/events.db") if log is None else log

    with MonitorServer(f"127.0.0.1:{free_port()}", Gathering(configured, opened, lambda: now)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        server.gathering.close()


def asked(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection = HTTPConnection(address, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Content-Type", ""), text


def samples(text: str) -> dict[tuple[str, Labels], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def full(home: Path) -> None:
    """A log with one of everything, and vitals."""
    first, second, third = delivery("d1"), delivery("d2"), delivery("d3")
    slack = first.channel
    with EventLog.open(f"sqlite:///{home}/events.db") as log:
        log.append(
            [
                draft(ingested(end_ms=to_ms(START - timedelta(seconds=20)))),
                draft(SourceFailed(source="mute", signal=None, error="gone")),
                draft(SourceFailed(source="prometheus", signal="catalyst/x", error="bad")),
                draft(AlertFired(facts=facts("a1")), key="k1"),
                draft(AlertFired(facts=facts("a2", severity=Severity.WARNING)), key="k2"),
                draft(AlertPending(facts=facts("a3"))),
                draft(RecommendationProposed(recommendation=recommendation("r1"))),
                draft(RecommendationProposed(recommendation=recommendation("r2"))),
                draft(RecommendationRejected(recommendation="r2", version=1, actor="ada")),
                draft(NotificationQueued(delivery=first)),
                draft(NotificationQueued(delivery=second)),
                draft(NotificationQueued(delivery=third)),
                draft(NotificationDelivered(delivery="d1", channel=slack, attempts=1, seconds=1.5)),
                draft(
                    NotificationFailed(
                        delivery="d3", channel=slack, attempts=1, error="HTTP 500", next_attempt_at=START
                    )
                ),
                draft(NotificationDeadLettered(delivery="d3", channel=slack, attempts=2, error="HTTP 400")),
                draft(NotificationSuppressed(incident="i1", channel=slack, reason="silenced")),
                draft(tick(steps=3)),
                draft(tick(steps=4)),  # the same tick, bite by bite
            ],
            recorded_at=START,
        )
    (home / "telemetry.duckdb").write_bytes(b"12345678DUCK" + bytes(88))
    (home / "archive").mkdir()
    (home / "archive" / "events-1-9.jsonl.gz").write_bytes(bytes(7))
    vitals.write(home, vitals.TickVitals(now=START, at=NOW, seconds=1.25))
    vitals.write(home, vitals.ChainVitals(ok=False, at=START, position=5, problem="position 5"))
    vitals.write(home, vitals.ClockVitals(sources={"prometheus": vitals.ClockReading(at=START, seconds=-7.5)}))
    beats = {"snitch": vitals.Beat(at=START, ok=True, delivered_at=START, sent=4, failed=1)}
    vitals.write(home, vitals.BeatVitals(beats={**beats, "gone": beats["snitch"]}))
    slack = vitals.Received(outcomes={"taken": 3, "unsigned": 2}, at=START, unsigned_at=START)
    vitals.write(home, vitals.ReceiveVitals(endpoints={"slack": slack}))


def test_everything_is_counted(tmp_path: Path) -> None:
    full(tmp_path)
    with serving(settings(tmp_path)) as address:
        status, kind, text = asked(address, "/metrics")
        again = samples(asked(address, "/metrics")[2])
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    found = samples(text)
    slack = delivery().channel
    of_alert = (("platform", "catalyst"), ("severity", "critical"))
    expected: dict[tuple[str, Labels], float] = {
        ("controlplane_up", ()): 1,
        ("controlplane_last_tick_timestamp_seconds", ()): START.timestamp(),
        ("controlplane_last_tick_age_seconds", ()): 40,
        ("controlplane_last_tick_duration_seconds", ()): 1.25,
        ("controlplane_ticks_total", ()): 1,
        ("controlplane_steps_total", ()): 7,
        ("controlplane_alerts", (*of_alert, ("state", "firing"))): 1,
        ("controlplane_alerts", (*of_alert, ("state", "pending"))): 1,
        ("controlplane_alerts", (of_alert[0], ("severity", "warning"), ("state", "firing"))): 1,
        ("controlplane_recommendations_open", (of_alert[0], ("status", "proposed"))): 1,
        ("controlplane_rules_failing", ()): 0,
        ("controlplane_source_up", (("source", "prometheus"),)): 1,
        ("controlplane_source_up", (("source", "mute"),)): 0,
        ("controlplane_source_signals_failed", (("source", "prometheus"),)): 1,
        ("controlplane_source_signals_failed", (("source", "mute"),)): 0,
        ("controlplane_source_behind_seconds", (("source", "prometheus"),)): 60,
        ("controlplane_outbox_messages", (("channel", slack),)): 1,
        ("controlplane_outbox_oldest_age_seconds", (("channel", slack),)): 40,
        ("controlplane_deliveries_total", (("channel", slack), ("state", "queued"))): 3,
        ("controlplane_deliveries_total", (("channel", slack), ("state", "delivered"))): 1,
        ("controlplane_deliveries_total", (("channel", slack), ("state", "dead"))): 1,
        ("controlplane_deliveries_total", (("channel", slack), ("state", "suppressed"))): 1,
        ("controlplane_delivery_failures_total", (("channel", slack),)): 1,
        ("controlplane_dead_letters_total", (("channel", slack),)): 1,
        ("controlplane_delivery_latency_seconds_bucket", (("channel", slack), ("le", "1.0"))): 0,
        ("controlplane_delivery_latency_seconds_bucket", (("channel", slack), ("le", "2.0"))): 1,
        ("controlplane_delivery_latency_seconds_bucket", (("channel", slack), ("le", "+Inf"))): 1,
        ("controlplane_delivery_latency_seconds_sum", (("channel", slack),)): 1.5,
        ("controlplane_event_log_head", ()): 18,
        ("controlplane_event_log_start", ()): 0,
        ("controlplane_telemetry_size_bytes", ()): 100,
        ("controlplane_archive_files", ()): 1,
        ("controlplane_archive_size_bytes", ()): 7,
        ("controlplane_hash_chain_ok", ()): 0,
        ("controlplane_hash_chain_position", ()): 5,
        ("controlplane_clock_skew_seconds", (("source", "prometheus"),)): -7.5,
        ("controlplane_heartbeat_ok", (("heartbeat", "snitch"),)): 1,
        ("controlplane_heartbeats_total", (("heartbeat", "snitch"), ("outcome", "failed"))): 1,
        ("controlplane_heartbeats_total", (("heartbeat", "snitch"), ("outcome", "ok"))): 4,
        ("controlplane_received_total", (("endpoint", "slack"), ("outcome", "taken"))): 3,
        ("controlplane_received_total", (("endpoint", "slack"), ("outcome", "unsigned"))): 2,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["controlplane_event_log_size_bytes", ()] > 10_000
    assert again == found, "what is kept between two scrapes changes nothing"
    assert "a1" not in {value for _, labels in found for _, value in labels}
    assert not any("gone" in dict(labels).values() for _, labels in found), "it is no longer in the settings"


def test_every_metric_stands_in_its_table_and_the_other_way_round(tmp_path: Path) -> None:
    full(tmp_path)
    with serving(settings(tmp_path)) as address:
        text = asked(address, "/metrics")[2]
    shown = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    documented = {
        line.split("`")[1].partition("{")[0] for line in DOCS.read_text().splitlines() if line.startswith("| `control")
    }
    assert shown == documented


def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    promtool = require_binary("promtool")
    full(tmp_path)
    with serving(settings(tmp_path)) as address:
        text = asked(address, "/metrics")[2]
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_openmetrics_where_it_is_asked_for(tmp_path: Path) -> None:
    full(tmp_path)
    with serving(settings(tmp_path)) as address:
        wanted = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3"
        _, kind, text = asked(address, "/metrics", Accept=wanted)
        assert kind.startswith("application/openmetrics-text; version=1.0.0")
        assert text.endswith("# EOF\n")
        for odd in ("application/openmetrics-text;version=x.y", ";;;", "text/plain;version=" + "9" * 300):
            assert asked(address, "/metrics", Accept=odd)[0] == 200


def test_an_empty_store(tmp_path: Path) -> None:
    with serving(settings(tmp_path)) as address:
        status, _, text = asked(address, "/metrics")
    found = samples(text)
    assert status == 200
    assert found["controlplane_up", ()] == 1
    assert found["controlplane_ticks_total", ()] == 0
    assert found["controlplane_source_up", (("source", "mute"),)] == 0
    assert ("controlplane_last_tick_age_seconds", ()) not in found, "no tick has no age"


def test_a_store_that_cannot_be_opened_comes_back(tmp_path: Path) -> None:
    configured = settings(tmp_path)
    broken = [True]

    def opened() -> EventLog:
        if broken[0]:
            raise StoreUnavailable("events.db: s3cret")
        return EventLog.open(f"sqlite:///{tmp_path}/events.db")

    gathering = Gathering(configured, opened, lambda: NOW)
    assert [(m.name, m.samples[0].value) for m in gathering.collect()] == [("controlplane_up", 0)]
    broken[0] = False
    assert gathering.collect()[0].samples[0].value == 1
    gathering.close()


def test_other_paths_and_methods(tmp_path: Path) -> None:
    with serving(settings(tmp_path)) as address:
        assert asked(address, "/")[0] == 404
        assert asked(address, "/metrics/../etc/passwd")[0] == 404
        assert asked(address, "/metrics", "POST")[0] == 501
        assert asked(address, "/metrics?x=1")[0] == 200
        status, _, body = asked(address, "/metrics", "HEAD")
        assert (status, body) == (200, "")


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with serving(settings(tmp_path)) as address, pytest.raises(CannotListen, match=f"{address} can't be listened on"):
        MonitorServer(address, Gathering(settings(tmp_path), lambda: pytest.fail("not opened")))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_labels_are_one_short_line(text: str) -> None:
    ((label,),) = bounded({(text,): 1.0})
    assert len(label) <= LONGEST
    assert label.isprintable()


@pytest.mark.parametrize(("number", "series"), [(0, 0), (1, 1), (MOST, MOST), (MOST + 1, MOST + 1), (5_000, MOST + 1)])
def test_labels_are_bounded_in_number(number: int, series: int) -> None:
    found = bounded({(f"n{n:05}", "x"): 1.0 for n in range(number)})
    assert len(found) == series
    assert sum(found.values()) == number
    assert found.get((OTHER, "x"), 0) == max(0, number - MOST)


def test_what_falls_together_is_merged_as_it_means() -> None:
    ages = {(f"n{n:05}",): float(n) for n in range(MOST + 5)}
    assert bounded(ages, max)[OTHER,] == MOST + 4
    assert bounded({("x" * 100 + "1",): 1.0, ("x" * 100 + "2",): 2.0}) == {("x" * 63 + "…",): 3.0}


def test_scrapes_follow_what_comes_changes_and_goes(tmp_path: Path) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as log:
        counting = Counting(log)
        assert counting.alerts() == Counter()

        def seen(*payloads: AlertPending | AlertFired | AlertResolved) -> Counter[tuple[str, str, str]]:
            log.append([draft(payload) for payload in payloads], recorded_at=START)
            assert counting.alerts() == Counting(log).alerts(), "as if it were the first look"
            return counting.alerts()

        def ended(alert: str) -> AlertResolved:
            return AlertResolved(facts=facts(alert), fired_at=START, reason="condition")

        firing, pending = ("catalyst", "critical", "firing"), ("catalyst", "critical", "pending")
        assert seen(AlertPending(facts=facts("a1")), AlertFired(facts=facts("a2"))) == {firing: 1, pending: 1}
        assert seen(AlertFired(facts=facts("a1"))) == {firing: 2}
        assert seen(ended("a2")) == {firing: 1}
        assert seen(ended("a1"), AlertFired(facts=facts("a3"))) == {firing: 1}, "as many as before"
        assert seen(AlertFired(facts=facts("a1"))) == {firing: 2}, "it is back"


def test_a_scrape_of_5000_alerts_is_cheap(tmp_path: Path) -> None:
    full(tmp_path)
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as log:
        fired = [draft(AlertFired(facts=facts(f"b{n}"))) for n in range(5_000)]
        log.append(fired, recorded_at=START)
        gathering = Gathering(settings(tmp_path), lambda: log, lambda: NOW)
        took = []
        for _ in range(5):
            began = time.process_time()
            found = gathering.collect()
            took.append(time.process_time() - began)
    (alerts,) = [metric for metric in found if metric.name == "controlplane_alerts"]
    assert sum(sample.value for sample in alerts.samples) == 5_003
    assert min(took) < 0.05


def test_a_message_of_a_step_that_was_caught_up_waits_since_it_was_recorded(tmp_path: Path) -> None:
    with EventLog.open(f"sqlite:///{tmp_path}/events.db") as log:
        log.append([draft(NotificationQueued(delivery=delivery("d1")))], recorded_at=START + timedelta(hours=9))
        log.append([draft(NotificationQueued(delivery=delivery("d2")))], recorded_at=START + timedelta(hours=8))
        assert Counting(log).outbox() == {delivery().channel: (2, START + timedelta(hours=8))}
