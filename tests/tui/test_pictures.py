"""Pictures of the screens and their states; the accepted ones are in __snapshots__."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import ALERTS, RECOMMENDATIONS
from controlplane.model.matchers import Matcher
from controlplane.model.payloads import (
    AdviceFailed,
    NotificationDelivered,
    NotificationQueued,
    RuleSetActivated,
    SilenceCreated,
)
from controlplane.model.silences import Silence
from controlplane.operator import Operator
from tests import drafts
from tests.tui import sample
from tests.tui.driving import Clock, ready, still, terminal, until
from tests.tui.past import ends, short_past
from tests.tui.sample import NOW
from tui.app import ControlplaneApp
from tui.data.seek import Seek
from tui.screens.detail import DetailScreen
from tui.theme import PALETTES
from tui.trust import Mode

SIZES = [(60, 15), (80, 24), (120, 30), (160, 50)]


@pytest.fixture
def alike(snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Compare with the accepted picture after the first snapshot was painted and the keys were pressed."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")

    def compare(
        app, size: tuple[int, int], *keys: str, meanwhile: Callable[[ControlplaneApp], Awaitable[None]] | None = None
    ) -> bool:
        async def prepare(pilot) -> None:
            await ready(pilot)
            if meanwhile:
                await meanwhile(pilot.app)
            if pilot.app.travelling:
                await until(lambda: pilot.app.travels.moment, "the past")
            await pilot.press(*keys)
            await pilot.pause()
            if isinstance(pilot.app.screen, DetailScreen):
                await until(lambda: pilot.app.screen.told, "the story")
                await pilot.pause()
            await still(pilot)

        return snap_compare(app, terminal_size=size, run_before=prepare)

    return compare


def sized(*sizes: tuple[int, int]):
    return pytest.mark.parametrize("size", sizes, ids=lambda size: f"{size[0]}x{size[1]}")


@sized(*SIZES)
def test_alerts(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "j")


@sized(*SIZES)
def test_detail(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "j", "enter")


@pytest.fixture
def busy(log: EventLog) -> EventLog:
    """The evening with an alert that has no advice, a silence, a rule set, a failed source and a decision."""
    gone = next(row for row in log.rows(ALERTS).values() if row.component == "spark")
    silence = Silence(
        id="s1",
        matchers=(Matcher.parse('host=~"es-.*"'),),
        starts_at=NOW - timedelta(minutes=5),
        ends_at=NOW + timedelta(minutes=55),
        author="ana",
        reason="disks are being changed",
        created_at=NOW,
    )
    error = "spark.executors of nightly-load has no sample in the 5 minutes before 19:04:00 UTC"
    active = RuleSetActivated(digest="d1" * 32, rules=339, platforms=("catalyst", "prism"))
    page = NotificationQueued(delivery=drafts.delivery("d1", "Kafka consumer group is behind"))
    sent = NotificationDelivered(delivery="d1", channel="slack", attempts=1, seconds=0.4)
    events = [
        (page, "delivery:d1"),
        (active, "rules"),
        (AdviceFailed(rule="datalyptica-spark-size", alert=gone.id, error=error), f"alert:{gone.id}"),
        (SilenceCreated(silence=silence), "silence:s1"),
        (sent, "delivery:d1"),
    ]
    sample.append(log, [sample.draft(payload, NOW, stream=stream) for payload, stream in events])
    found = next(one for one in log.rows(RECOMMENDATIONS).values() if one.proposal.kind == "scale_out")
    Operator(log).approve(found.id, actor="mira", reason="before the nightly run", now=NOW)
    return log


@sized(*SIZES)
@pytest.mark.parametrize("key", ["2", "3", "4", "5"], ids=["recommendations", "timeline", "held", "sources"])
def test_screens(busy: EventLog, alike, key: str, size: tuple[int, int]) -> None:
    assert alike(terminal(busy), size, key)


@sized(*SIZES)
def test_recommendation(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "2", "j", "enter")


@pytest.mark.parametrize("name", ["light", "colour-blind"])
def test_themes(log: EventLog, alike, name: str) -> None:
    assert alike(terminal(log, palette=PALETTES[name]), (120, 30))


def test_no_colour(log: EventLog, alike, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert alike(terminal(log), (120, 30))


def test_filtered(log: EventLog, alike) -> None:
    assert alike(terminal(log), (120, 30), "slash", *"sev:crit", "enter")


def test_jump(log: EventLog, alike) -> None:
    assert alike(terminal(log), (80, 24), "colon", *"lag")


def test_seek(log: EventLog, alike) -> None:
    assert alike(terminal(log), (80, 24), "t", *"-1h")


def test_failover_is_confirmed_by_name(log: EventLog, alike) -> None:
    assert alike(terminal(log), (80, 24), "A", *"billing")


@sized((60, 15), (80, 24))
def test_confirm(log: EventLog, alike, size: tuple[int, int]) -> None:
    assert alike(terminal(log), size, "a")


def test_help(log: EventLog, alike) -> None:
    assert alike(terminal(log), (100, 40), "question_mark")


def test_first_run(empty_log: EventLog, alike) -> None:
    assert alike(terminal(empty_log), (80, 24))


def test_nothing_fires(empty_log: EventLog, alike) -> None:
    sample.append(empty_log, [sample.ingested("prom-eu1", 10), sample.ticked(NOW - timedelta(seconds=2))])
    assert alike(terminal(empty_log), (80, 24))


def test_a_source_fails(log: EventLog, alike) -> None:
    since = NOW - timedelta(minutes=4)
    failed = sample.source_failed("prom-us1", "connection refused", "Start Prometheus or correct its url", since)
    sample.append(log, [failed])
    assert alike(terminal(log), (120, 30))


def test_stale(log: EventLog, alike) -> None:
    assert alike(terminal(log, clock=Clock(NOW + timedelta(minutes=2))), (80, 24))


def test_read_only(log: EventLog, alike) -> None:
    assert alike(terminal(log, read_only=True), (80, 24))


@pytest.mark.parametrize("damage", ["removed", "overwritten"])
def test_disconnected(alike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr("tui.data.reader._LONGEST_WAIT", timedelta(seconds=2))  # the same countdown after each failure
    monkeypatch.chdir(tmp_path)  # the message names the file
    file = Path("events.db")
    with EventLog.open("sqlite:///events.db") as log:
        sample.append(log, *sample.evening())

    async def damaged(app: ControlplaneApp) -> None:
        log.close()
        if damage == "removed":
            file.unlink()
        else:
            file.write_bytes(b"\xde\xad\xbe\xef" * 1024)
        app.wake()
        await until(lambda: app.trusted.mode is Mode.DISCONNECTED, "disconnected")

    assert alike(terminal(log), (120, 30), meanwhile=damaged)


@sized(*SIZES)
def test_the_past(empty_log: EventLog, alike, size: tuple[int, int]) -> None:
    sample.append(empty_log, short_past())
    position = ends(empty_log)[9]
    assert alike(terminal(empty_log, start=Seek(position=position)), size)
