"""`controlplane explain`: the verdict and what it stands on, from recorded samples through real ticks."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from controlplane.eventlog.log import EventLog
from controlplane.explain.stories import read_story
from controlplane.model.payloads import (
    AlertDropped,
    AlertFired,
    AlertHeld,
    AlertNoData,
    AlertPending,
    AlertResolved,
    AlertReturned,
)
from tests.cli.conftest import Evening, Run
from tests.drafts import HOSTILE, draft, facts
from tests.servers_hostile import hostile_server

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=15)
LAG = "kafka.consumer.lag"

RULES = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: disk.used, unit: "1"}
  - {name: never.seen, unit: "1"}
rules:
  - {id: lag, kind: alert, title: Behind, signal: kafka.consumer.lag, by: [group], fold: sum, when: "> 100000",
     clear: "< 80000", for: 1m, missing: {keep: 1m}, severity: critical, summary: "{group} is {value:,.0f} behind",
     basis: house, rationale: a test}
  - {id: disk, kind: alert, title: Disk, signal: disk.used, when: "> 0.9", keep_firing_for: 30s, severity: warning,
     summary: "{host} is full", basis: house, rationale: a test}
  - {id: gone, kind: alert, title: Gone, signal: disk.used, when: "> 5", missing: alert, severity: warning,
     summary: "{host} is gone", basis: house, rationale: a test}
  - {id: unseen, kind: alert, title: Unseen, signal: never.seen, when: "> 0", severity: info, summary: s, basis: house,
     rationale: a test}
  - {id: threads, kind: drift, title: Threads, of: {role: kafka}, severity: warning, basis: house, rationale: a test,
     settings: [{setting: kafka.config.threads, expect: ">= 8"}, {setting: kafka.config.level, one_of: [a, b]}]}
  - {id: more, kind: scaling, title: More, on: [lag], method: consumer_lag, basis: house, rationale: a test,
     parameters: {drain_within: 10m, consumer_price: x, consumers_per_instance: 1, consumer_start: 5m}}
"""
INVENTORY = """
resources:
  - {id: db-1, kind: host}
  - {id: kafka-1, kind: broker, role: kafka, settings: {kafka.config.threads: 4, kafka.config.level: a}}
"""

Rows = Mapping[tuple[str, str], list[float | None]]
"""(signal, labels as JSON) → a value a step; None = no sample."""


def at(steps: int) -> str:
    return (START + STEP * steps).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(steps: int) -> str:
    return (START + STEP * steps).strftime("%H:%M:%SZ")


def write(path: Path, rows: Rows) -> None:
    frame = [
        {"ts": START + STEP * step, "signal": signal, "labels": labels, "value": value}
        for (signal, labels), values in rows.items()
        for step, value in enumerate(values, start=1)
        if value is not None
    ]
    pl.DataFrame(frame).write_parquet(path)


@pytest.fixture
def shop(run: Run, here: Path) -> Callable[..., None]:
    """Write a configuration with these samples, and tick up to a step."""

    def make(rows: Rows, *, until: int, notify: str = "{}", rules: str = RULES) -> None:
        (here / "rules.yaml").write_text(rules)
        (here / "inventory.yaml").write_text(INVENTORY)
        write(here / "recorded.parquet", rows)
        (here / "controlplane.yaml").write_text(
            "home: home\nrules: [rules.yaml]\nsources:\n"
            "- {name: recorded, type: recorded, path: recorded.parquet, lookback: 20m}\n"
            "- {name: hosts, type: inventory, path: inventory.yaml, platform: shop}\n"
            f"notify: {notify}\n"
        )
        assert run("tick", "--at", at(until), "--no-deliver").code in {0, 1}

    return make


def lag(*values: float | None, group: str = "billing", more: Rows | None = None) -> Rows:
    return {(LAG, json.dumps({"group": group, "topic": "t"})): list(values), **(more or {})}


HIGH, LOW, BETWEEN = 112_400.0, 50_000.0, 90_000.0

CASES: dict[str, tuple[list[float | None], int, str]] = {
    "fired": ([HIGH] * 8, 6, f"fired at {clock(5)}: 112,400 messages > 100,000 for 1m"),
    "fired in the last step": ([HIGH] * 8, 5, f"fired at {clock(5)}: 112,400 messages > 100,000 for 1m"),
    "pending": (
        [HIGH] * 8,
        4,
        f"is pending: 112,400 messages > 100,000 since {clock(1)}, it fires at {clock(5)} if that goes on",
    ),
    "before it all": ([LOW, *[HIGH] * 8], 1, "did not fire: 50,000 messages is not > 100,000"),
    "at the threshold": ([100_000.0] * 8, 8, "did not fire: 100,000 messages is not > 100,000"),
    "one step short": (
        [*[HIGH] * 4, 99_800.0, LOW],
        6,
        f"did not fire: the condition was met for 45s of 1m, then 99,800 messages at {clock(5)}",
    ),
    "one step": (
        [LOW, HIGH, LOW],
        3,
        f"did not fire: the condition was met for 0s of 1m, then 50,000 messages at {clock(3)}",
    ),
    "hysteresis": (
        [*[HIGH] * 5, BETWEEN, BETWEEN],
        7,
        f"fired at {clock(5)}: 112,400 messages > 100,000 for 1m (now 90,000 messages: it ends at < 80,000 messages)",
    ),
    "ended": (
        [*[HIGH] * 6, LOW, LOW],
        8,
        f"no longer fires: it ended at {clock(7)} (50,000 messages), after it fired at {clock(5)} for 30s",
    ),
    "kept while missing": (
        [*[HIGH] * 6, None, None],
        8,
        f"fired at {clock(5)}: 112,400 messages > 100,000 for 1m (the series is missing since {clock(7)})",
    ),
    "missing for too long": (
        [*[HIGH] * 6, *[None] * 6],
        12,
        f"no longer fires: it ended at {clock(11)} (the series was gone), after it fired at {clock(5)} for 1m30s",
    ),
    "pending, then missing": (
        [*[HIGH] * 2, *[None] * 6],
        8,
        f"did not fire: the condition was met for 15s of 1m, then the series was gone at {clock(7)}",
    ),
    "not a number": (
        [float("nan")] * 4,
        4,
        "did not fire: its value is not a number, which meets no condition",
    ),
    "looked at earlier": ([*[HIGH] * 8, LOW], 3, "is pending: 112,400 messages > 100,000 since"),
}


@pytest.mark.parametrize(("values", "step", "says"), CASES.values(), ids=CASES)
def test_the_verdict(run: Run, shop: Callable[..., None], values: list[float | None], step: int, says: str) -> None:
    shop(lag(*values, more=lag(*[1.0] * 12, group="other")), until=max(len(values), 4))
    shown = run("explain", "lag", "--labels", "group=billing", "--at", at(step))
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines()[0].startswith(says)
    document = run("explain", "lag", "--labels", "group=billing", "--at", at(step), "--json").json
    (one,) = document["explanations"]
    assert shown.out.startswith(one["verdict"])
    assert document["at"] == at(step)
    assert one["samples"][-1]["at"] == at(step)


def test_everything_about_a_page(run: Run, shop: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile_server() as server:
        server.behave = lambda handler, _: handler.reply(b"{}")
        monkeypatch.setenv("GOOD", server.url.replace("http", "json"))
        monkeypatch.setenv("BAD", "json://127.0.0.1:1")
        channels = "[{name: good, url: {env: GOOD}}, {name: bad, url: {env: BAD}}]"
        one_alert = RULES.replace("{role: kafka}", "{role: none}")
        shop(
            lag(*[HIGH] * 8),
            until=8,
            notify=f"{{max_age: 3650d, channels: {channels}}}",
            rules=one_alert,
        )
        assert run("deliver").code == 1
    (alert,) = [one for one in run("alerts", "--json").json if one["rule"] == "lag"]
    assert run("ack", alert["id"], "--note", "on it").code == 0
    shown = run("explain", alert["id"][:6], "--steps", "3")
    assert shown.code == 0
    assert shown.out.splitlines()[0].startswith("fired at")
    for text in (
        "for 1m; a missing series keeps its state for 1m; ends at < 80,000 messages; critical",
        f"Alert:     {alert['id']}, source recorded",
        f"{clock(8)}  112,400 messages  met",
        f"Decided:   {clock(1)} pending, 112,400 messages",
        f"Decided:   {clock(5)} fired, 112,400 messages",
        "1 alert of lag firing",
        f"Told:      good: trigger queued at {clock(7)}, delivered at",
        f"Told:      bad: trigger queued at {clock(7)}, failed at",
        "No advice: more: ",
        "Taken:     by ada",
        "on it",
        "the same as now",
    ):
        assert text in shown.out
    assert shown.out.count("  met\n") == 3
    one = run("explain", alert["id"], "--json").json["explanations"][0]
    assert {sent["channel"]: sent["state"] for sent in one["deliveries"]} == {"good": "delivered", "bad": "failed"}
    assert one["fired_at"] == at(5)
    assert one["acknowledged_by"] == "ada"
    before = run("explain", alert["id"], "--at", at(3), "--json").json["explanations"][0]
    assert (before["state"], before["fires_at"], before["next"]) == (
        "pending",
        at(5),
        {"at": at(5), "type": "fired"},
    )
    assert before["deliveries"] == []


def test_nobody_was_told(run: Run, shop: Callable[..., None]) -> None:
    shop(lag(*[HIGH] * 8), until=8)
    assert f"Not told:  {clock(7)} nobody: no channel is declared under notify.channels" in run("explain", "lag").out


def test_an_alert_that_flaps(run: Run, shop: Callable[..., None]) -> None:
    disk = ("disk.used", '{"host":"db-1"}')
    at_once = "{route: {group_wait: 0s, group_interval: 15s}}"
    shop({disk: [*[0.95, 0.1, 0.1, 0.1] * 8, 0.95]}, until=33, notify=at_once)
    shown = run("explain", "disk", "--steps", "0")
    assert "Not told:" in shown.out
    assert "transitions" in shown.out or "flap" in shown.out


@pytest.mark.parametrize("flaps", [1, 9, 10, 11, 250, 1_100])
def test_an_alert_that_flaps_within_keep_firing_for_fires(here: Path, flaps: int) -> None:
    held = AlertHeld(alert="a1", why="keep_firing_for", since=START)
    back = AlertReturned(alert="a1", value=0.95)
    with logged(here, [AlertFired(facts=facts(active_at=START)), *[held, back] * flaps]) as log:
        for when in (None, START + STEP * (2 * flaps), START + STEP):
            story = read_story(log, "a1", when)
            assert story.state == "firing"
            assert story.episode is not None
            assert story.episode.fired_at == START
        assert len(read_story(log, "a1", None).steps) == min(2 * flaps + 1, 20)
        assert read_story(log, "a1", START - STEP).state == "inactive"


def test_where_an_alert_stood_long_ago(here: Path) -> None:
    """However much came before and after a step: state, beginning, what led to it and what came next."""
    told = facts(active_at=START)
    end: dict[str, Any] = {"facts": told, "fired_at": START}
    over, changed = AlertResolved(reason="condition", **end), AlertResolved(reason="rule_changed", **end)
    held, back = AlertHeld(alert="a1", why="missing", since=START), AlertReturned(alert="a1", value=1.0)
    dropped = AlertDropped(alert="a1", rule="r", labels={}, value=None, reason="condition")
    pending, fired, gone = AlertPending(facts=told), AlertFired(facts=told), AlertNoData(facts=told)
    kinds: list[list[tuple[Any, str]]] = [
        [(fired, "firing"), (over, "inactive")],
        [(pending, "pending"), (dropped, "inactive")],
        [(pending, "pending"), (fired, "firing"), *[(held, "firing"), (back, "firing")] * 12, (over, "inactive")],
        [(gone, "nodata"), (over, "inactive")],
        [(fired, "firing"), (gone, "nodata"), (over, "inactive")],
        [(fired, "firing"), (changed, "inactive"), (pending, "pending"), (dropped, "inactive")],
    ]
    life = [step for n in range(60) for kind in (kinds[n % 6], kinds[n // 6 % 6]) for step in kind]
    types = [str(payload.type).removeprefix("alert_").removesuffix(".v1") for payload, _ in life]
    began: list[datetime | None] = []
    for number, (_, state) in enumerate(life):
        running = began[-1] if number and life[number - 1][1] in {"firing", "nodata"} else None
        began.append((running or START + STEP * number) if state in {"firing", "nodata"} else None)
    with logged(here, [payload for payload, _ in life]) as log:
        for number in (*range(0, len(life), 7), *range(len(life) - 40, len(life))):
            story = read_story(log, "a1", START + STEP * number)
            assert story.state == life[number][1], number
            assert story.episode is not None
            assert story.state == "inactive" or story.episode.fired_at == began[number]
            assert [step.type for step in story.steps] == types[max(number - 19, 0) : number + 1]
            assert (story.next and story.next.type) == (types[number + 1] if number + 1 < len(life) else None)


def logged(folder: Path, payloads: Sequence[Any]) -> EventLog:
    """A log with the life of the alert a1, an event a step from START on."""
    log = EventLog.open(f"sqlite:///{folder / 'events.db'}")
    drafts = [
        draft(payload, stream="alert:a1", occurred_at=START + STEP * number) for number, payload in enumerate(payloads)
    ]
    log.append(drafts, recorded_at=START)
    return log


def test_label_sets_of_a_rule(run: Run, shop: Callable[..., None]) -> None:
    more = {**lag(*[LOW] * 8, group="quiet"), **lag(*[LOW] * 6, HIGH, HIGH, group="waiting")}
    shop(lag(*[HIGH] * 8, more=more), until=8)
    shown = run("explain", "lag")
    assert shown.out.splitlines()[0] == f"lag at 2026-01-01 {clock(8)}: 1 firing, 1 pending, 1 quiet"
    order = [shown.out.index(f"lag (group={group}): ") for group in ("billing", "waiting", "quiet")]
    assert order == sorted(order), "what fires comes first"
    assert run("explain", "lag", "--labels", "group=none").out.startswith(f"lag at 2026-01-01 {clock(8)}: 1 without")


def test_a_resource(run: Run, shop: Callable[..., None]) -> None:
    shop({("disk.used", '{"host":"db-1"}'): [0.95] * 8, ("disk.used", '{"host":"db-2"}'): [0.95] * 8}, until=8)
    document = run("explain", "db-1", "--json").json
    assert {(one["rule"], one["state"]) for one in document["explanations"]} == {
        ("disk", "firing"),
        ("gone", "inactive"),
    }
    assert "did not fire: 95 % is not > 500 %" in run("explain", "db-1").out
    drift = run("explain", "kafka-1")
    assert "threads (resource=kafka-1, setting=kafka.config.threads): fired at" in drift.out
    assert "kafka.config.threads of kafka-1 is 4, documented is >= 8" in drift.out
    assert "setting=kafka.config.level): did not fire: the setting is as documented (a or b)" in drift.out


def test_missing_as_an_alert(run: Run, shop: Callable[..., None]) -> None:
    other = ("disk.used", '{"host":"db-2"}')
    shop({("disk.used", '{"host":"db-1"}'): [0.5] * 4, other: [0.5] * 8}, until=8)
    shown = run("explain", "gone", "--labels", "host=db-1")
    assert shown.out.startswith(f"fired at {clock(5)}: the series is gone while its source answers")
    assert f"{clock(8)}  absent" in shown.out


def test_a_source_that_does_not_answer(run: Run, shop: Callable[..., None], here: Path) -> None:
    shop(lag(*[HIGH] * 6), until=6)
    (here / "recorded.parquet").write_bytes(b"no parquet")
    assert run("tick", "--at", at(10), "--no-deliver").code == 1
    shown = run("explain", "lag")
    assert shown.out.startswith(f"fired at {clock(5)}")
    assert f"{clock(10)}  unanswered" in shown.out
    disk = run("explain", "disk")
    assert "disk: unanswered: no source answered for disk.used (recorded: " in disk.out


def test_a_rule_without_series_is_absent(run: Run, shop: Callable[..., None]) -> None:
    shop({**lag(*[LOW] * 8), ("never.seen", "{}"): [1.0, *[None] * 70]}, until=70)
    shown = run("explain", "unseen")
    assert shown.code == 0
    assert shown.out.splitlines()[0].endswith("1 without data")
    assert "unseen: absent: recorded answered and had no series of never.seen" in shown.out
    (unseen,) = run("explain", "unseen", "--json").json["without_data"]
    assert unseen["rule"] == "unseen"


def test_samples_that_are_gone(run: Run, shop: Callable[..., None]) -> None:
    shop(lag(*[HIGH] * 8), until=8)
    assert run("maintain").code == 0
    shown = run("explain", "lag")
    assert shown.out.startswith(f"fired at {clock(5)}: 112,400 messages > 100,000 for 1m")
    assert "are no longer kept at full resolution" in shown.out
    assert run("explain", "lag", "--json").json["samples_since"] is not None
    assert "  met\n" not in shown.out


def test_rules_that_changed_and_rules_that_are_gone(run: Run, shop: Callable[..., None], here: Path) -> None:
    shop(lag(*[HIGH] * 8), until=8)
    (alert,) = [one for one in run("alerts", "--json").json if one["rule"] == "lag"]
    (here / "rules.yaml").write_text(RULES.replace("> 100000", "> 200000"))
    changed = run("explain", "lag")
    assert changed.out.startswith(f"fired at {clock(5)}: 112,400 messages > 100,000 for 1m"), "as it was decided"
    assert "were in force" in changed.out
    (here / "rules.yaml").write_text(RULES[: RULES.index("rules:")])
    gone = run("explain", alert["id"])
    assert gone.out.startswith(f"fired at {clock(5)}: 112,400 messages > 100,000")
    assert "Note: the rule lag is gone" in gone.out


def test_advice_names_the_alerts_it_is_for(run: Run, shop: Callable[..., None]) -> None:
    shop(lag(*[HIGH] * 8), until=8)
    shown = run("explain", "more")
    assert shown.out.startswith("fired at")
    assert "Note: more advises on lag" in shown.out


def test_the_future_is_not_known(run: Run, shop: Callable[..., None]) -> None:
    shop(lag(*[HIGH] * 4), until=4)
    shown = run("explain", "lag", "--at", at(400))
    assert shown.out.startswith("is pending")
    assert "no tick has looked at what came after" in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("lagg",), 1, "lagg is no rule, alert or resource. Did you mean 'lag'?"),
        (("0123456789abcdef",), 1, "is no rule, alert or resource"),
        (("db",), 1, "Did you mean"),
        (("lag", "--at", "yesterday"), 2, "is not a time"),
        (("lag", "--at", "2026-01-01T00:00:00"), 2, "has no zone"),
        (("lag", "--labels", "group"), 2, "group is no NAME=VALUE"),
        (("lag", "--steps", "-1"), 2, "--steps"),
    ],
)
def test_what_can_not_be_explained(
    run: Run, shop: Callable[..., None], arguments: tuple[str, ...], code: int, says: str
) -> None:
    shop(lag(*[LOW] * 4), until=4)
    shown = run("explain", *arguments)
    assert (shown.code, shown.out) == (code, "")
    assert says in shown.err


def test_before_the_first_tick(run: Run, home: Path) -> None:
    shown = run("explain", "anything")
    assert (shown.code, shown.out) == (1, "")
    assert "there has been no tick yet" in shown.err


def test_hostile_labels(run: Run, shop: Callable[..., None]) -> None:
    texts = [text for text in HOSTILE if "\ud800" not in text and "\0" not in text]
    rows: dict[tuple[str, str], list[float | None]] = {(LAG, json.dumps({"group": text})): [HIGH] * 6 for text in texts}
    shop(rows, until=6)
    for shown in (run("explain", "lag"), run("explain", "lag", "--json")):
        assert shown.code == 0
        assert not any(char in shown.out for char in "\x1b\u202e\u2066\u2028\x00")
    found: list[dict[str, Any]] = run("explain", "lag", "--json").json["explanations"]
    assert {one["labels"]["group"] for one in found} == set(texts)
    assert {one["state"] for one in found} == {"firing"}


def test_the_evening(run: Run, evening: Evening, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every alert of the recorded evening can be explained at the moment at which it fired."""
    monkeypatch.setenv("CONTROLPLANE_HOME", str(evening.home))
    for alert in evening.document["alerts"]:
        shown = run("explain", alert["id"], "--at", alert["fired_at"], "--json")
        assert shown.code == 0, shown.err
        document = shown.json
        (one,) = document["explanations"]
        clocked = alert["fired_at"][11:]
        assert one["verdict"].startswith(f"fired at {clocked}: ")
        assert one["samples"][-1]["met"] is True
        assert {sent["id"] for sent in one["deliveries"]} == {
            n["id"] for n in evening.document["notifications"] if alert["id"] in n["alerts"]
        }
        advised = {r["id"] for r in evening.document["recommendations"] if r["alert"] == alert["id"]}
        assert {r["id"] for r in one["recommendations"]} == advised
