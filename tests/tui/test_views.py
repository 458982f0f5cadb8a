"""The five screens: what each lists, how they are reached, and what opens from them."""

from datetime import timedelta

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.matchers import Matcher
from controlplane.model.payloads import (
    AdviceFailed,
    NotificationDelivered,
    NotificationSuppressed,
    ResourceAdded,
    RuleFailed,
    RuleSetActivated,
    SilenceCreated,
)
from controlplane.model.resources import Resource, ResourceKind
from controlplane.model.silences import Silence
from controlplane.operator import Operator
from tests.tui import sample
from tests.tui.driving import Clock, alerts, notices, painted, painted_all, ready, renew, screen_text, terminal, until
from tests.tui.sample import NOW
from tui.app import SCREENS
from tui.data import Row
from tui.data.outlook import Outlook, outlook, per_minute
from tui.data.rulebook import RuleFacts
from tui.screens.advice import AdviceScreen
from tui.screens.detail import DetailScreen
from tui.widgets.tabs import Tabs

MINUTE = timedelta(minutes=1)
GONE = sample.facts(
    "datalyptica-spark-executors",
    platform="datalyptica",
    component="spark",
    labels={"application": "nightly-load"},
)


def lines(app) -> list[str]:
    return [line for line in painted(app.screen.table).split("\n")[1:] if line.strip()]


@pytest.mark.parametrize("key", [screen.KEY for screen in SCREENS])
@pytest.mark.parametrize("size", [(160, 50), (80, 24)])
async def test_a_digit_and_a_click_lead_to_the_same_screen(log: EventLog, key: str, size: tuple[int, int]) -> None:
    app = terminal(log)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press(key)
        await pilot.pause()
        there = app.current_mode
        assert {screen.MODE for screen in SCREENS if key == screen.KEY} == {there}
        await pilot.press("1" if key != "1" else "2")
        await pilot.pause()
        tabs = app.screen.query_one(Tabs)
        end = {name: end for end, name in tabs._ends}[key]
        await pilot.click(tabs, offset=(end - 2, 0))
        await pilot.pause()
        assert app.current_mode == there
        assert all(len(line) <= size[0] for line in screen_text(app).split("\n"))


async def test_recommendations_come_in_the_order_in_which_they_matter(log: EventLog) -> None:
    sample.append(log, [sample.draft(AdviceFailed(rule="r1", alert=GONE.alert, error="no [samples] of it"), NOW)])
    app = terminal(log)
    async with app.run_test(size=(240, 40)) as pilot:
        await ready(pilot)
        name = app.snapshot.advice[0].id
        await pilot.press("2")
        await pilot.pause()
        shown = lines(app)
        assert ["FAILOVER" in shown[0], "SCALE OUT" in shown[1], "NO ADVICE" in shown[2]] == [True] * 3
        assert "no [samples] of it" in shown[2]
        assert "2/3" in shown[1]
        assert "NO 1/3" in shown[1]
        Operator(log).reject(name, actor="mira", reason="no", now=NOW)
        await renew(pilot)
        assert "rejected" in lines(app)[-1]
        assert "mira" in lines(app)[-1]

        await pilot.press("slash", *"state:lacking", "enter")
        assert ["NO ADVICE" in line for line in lines(app)] == [True]
        await pilot.pause()
        assert "no [samples] of it" in painted_all(app.screen.query_one("#advice-pane"))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, DetailScreen)
        assert "NO RECOMMENDATION" in painted_all(app.screen.query_one("#detail"))


async def test_the_alert_list_says_that_advice_is_lacking(log: EventLog) -> None:
    sample.append(log, [sample.draft(AdviceFailed(rule="r1", alert=GONE.alert, error="why"), NOW)])
    app = terminal(log)
    async with app.run_test(size=(200, 40)) as pilot:
        await ready(pilot)
        assert ["no advice" in line for line in lines(app)] == ["Spark" in line for line in lines(app)]


async def test_the_timeline_tells_what_happened_and_opens_it(log: EventLog) -> None:
    sent = NotificationDelivered(delivery="d1", channel="slack", attempts=1, seconds=0.4)
    held = NotificationSuppressed(incident="i1", channel="slack", reason="silenced by s1")
    sample.append(
        log,
        [
            sample.draft(sent, NOW, stream="delivery:d1"),
            sample.draft(held, NOW, stream="incident:i1"),
            sample.source_failed("prom-us1", "refused"),
            sample.resolved(sample.facts()),
        ],
    )
    app = terminal(log)
    async with app.run_test(size=(170, 50)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await pilot.pause()
        shown = lines(app)
        for line, parts in zip(
            shown,
            [
                ("ENDED", "after 4m 12s"),
                ("SOURCE", "refused"),
                ("NOT TOLD", "silenced by s1"),
                ("TOLD", "slack in 0.4 s"),
            ],
            strict=False,
        ):
            assert all(part in line for part in parts), (line, parts)
        await pilot.press("enter")
        await pilot.pause()
        assert notices(app) == ["The alert has ended."]

        await pilot.press("slash", *"kind:advice kind:adv", "enter", "enter")
        await pilot.pause()
        assert isinstance(app.screen, AdviceScreen)
        await pilot.press("escape", "escape", "slash", *"kind:firing sev:crit mqtt", "enter", "enter")
        await pilot.pause()
        assert isinstance(app.screen, DetailScreen)


async def test_what_is_held_is_listed_with_who_and_until_when(log: EventLog) -> None:
    silence = Silence(
        id="s1",
        kind="maintenance",
        matchers=(Matcher.parse('host=~"es-.*"'),),
        starts_at=NOW + 10 * MINUTE,
        ends_at=NOW + 70 * MINUTE,
        author="ana",
        reason="disks are [bold]changed[/]",
        created_at=NOW,
    )
    over = silence.model_copy(update={"id": "s2", "starts_at": NOW - 9 * MINUTE, "ends_at": NOW - 8 * MINUTE})
    sample.append(
        log,
        [sample.draft(SilenceCreated(silence=each), NOW, stream=f"silence:{each.id}") for each in (silence, over)],
    )
    app = terminal(log)
    async with app.run_test(size=(240, 40)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        await pilot.pause()
        ack, mute = lines(app)
        assert all(part in ack for part in ("ACK", "WARN", "20m", "mira", "Disk is nearly full", "cold tier"))
        assert all(part in mute for part in ("MAINT", "in 10m", "1h10m", "ana", 'host=~"es-.*"', "[bold]changed[/]")), (
            mute
        )
        await pilot.press("u", "tab", "enter")
        await until(lambda: len(app.snapshot.holdings) == 1)
        await pilot.pause()
        assert [line for line in lines(app) if "ACK" in line] == []


async def test_sources_rules_and_decisions(log: EventLog) -> None:
    active = RuleSetActivated(digest="d" * 64, rules=339, platforms=("shop",), problems=("a.yaml:3: [bad] key",))
    broken = RuleFailed(rule="r1", source="prom-eu1", error="two results with one identity")
    sample.append(log, [sample.draft(active, NOW, stream="rules"), sample.draft(broken, NOW, stream="rule:r1")])
    app = terminal(log)
    async with app.run_test(size=(120, 45)) as pilot:
        await ready(pilot)
        await pilot.press("5")
        await pilot.pause()
        health = painted_all(app.screen.query_one("#health"))
        for part in (
            "339 rules of shop",
            "UNUSED  a.yaml:3: [bad] key",
            "r1 over prom-eu1",
            "one identity",
            "prom-us1",
        ):
            assert part in health, part
        assert [line.split()[1:3] for line in lines(app)] == [["RULES", "rule"], ["ACK", "WARN"]] or "ACK" in lines(
            app
        )[1]
        name = next(row.id for row in app.snapshot.advice if row.recommendation.proposal.kind == "scale_out")
        Operator(log).approve(name, actor="ana", reason="[why]", now=NOW)
        await renew(pilot)
        assert "APPROVED" in lines(app)[0]
        assert "[why]" in lines(app)[0]


async def test_jump_leads_to_screens_alerts_and_advice(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        for typed, there in (("time", None), ("es-07", DetailScreen), ("failover", AdviceScreen)):
            await pilot.press("colon")
            await pilot.pause(0.2)
            await pilot.press(*typed)
            await pilot.pause(0.6)
            await pilot.press("enter")
            if there is None:
                await until(lambda: app.current_mode == "timeline")
            else:
                await until(lambda kind=there: isinstance(app.screen, kind), typed)
                await pilot.press("escape")
                await pilot.pause()


async def test_an_alert_knows_what_else_is_red_around_it(log: EventLog) -> None:
    def host(name: str, zone: str) -> ResourceAdded:
        kind = ResourceKind.HOST
        return ResourceAdded(source="inv", resource=Resource(id=name, platform="catalyst", kind=kind, zone=zone))

    found = [host("pg-1", "eu1-a"), host("pg-2", "eu1-a"), host("es-07", "eu1-b")]
    sample.append(log, [sample.draft(each, NOW, stream=f"resource:{each.resource.key}") for each in found])
    app = terminal(log)
    async with app.run_test(size=(160, 60)) as pilot:
        await ready(pilot)
        assert alerts(app).selected.alert.labels["host"] == "pg-1"
        await pilot.press("enter")
        await until(lambda: "Around it" in screen_text(app))
        around = painted_all(app.screen.query_one("#around"))
        assert "zone eu1-a · 2 resources · 1 more red" in around
        assert "cluster billing-db · 1 more red" in around
        assert "INFO Replica is behind" in around
        assert "host pg-1 · nothing else is red" in around.replace(" · 1 resources", "")


async def test_a_pending_alert_shows_how_far_its_wait_is(log: EventLog) -> None:
    facts = RuleFacts(timedelta(minutes=2), clear="< 700")
    clock = Clock()
    app = terminal(log, clock=clock, rules=lambda: {("catalyst", "catalyst-api-latency"): facts})
    async with app.run_test(size=(170, 40)) as pilot:
        await ready(pilot)
        await pilot.press("G", "enter")
        await until(lambda: "fires in" in screen_text(app))
        assert "45s of 2m · fires in 1m 15s if it holds" in screen_text(app)


def measured(values: list[float | None], threshold: str = "> 100", **fields) -> Row:
    facts = sample.facts(threshold=threshold, value=values[-1])
    known = {name: getattr(facts, name) for name in type(facts).model_fields if name != "alert"}
    plain = {"id": facts.alert, "state": AlertState.FIRING, "fired_at": NOW, "episode": "e1"}
    return Row.of(Alert(**(known | plain | fields)), sample.reading(facts, values))


@pytest.mark.parametrize(
    ("values", "threshold", "clear", "rate", "ends"),
    [
        ([140, 130, 120, 110], "> 100", "", -40, 0.25),
        ([140, 130, 120, 110], "> 100", "< 80", -40, 0.75),
        ([110, 120, 130, 140], "> 100", "", 40, None),
        ([120, 120, 120, 120], "> 100", "", 0, None),
        ([60, 70, 80, 90], "< 100", "", 40, 0.25),
        ([90, 80, 70, 60], "< 100", "", -40, None),
        ([140, None, None, 110], "> 100", "", None, None),
        ([140, 130, 120, float("nan")], "> 100", "", None, None),
        ([1e9 + 3, 1e9 + 2, 1e9 + 1, 1e9], "> 100", "", -4, None),
        ([0, 0, 0, 0], "== 0", "", 0, None),
    ],
)
def test_when_an_alert_ends_at_its_rate(values, threshold, clear, rate, ends) -> None:
    view = outlook(measured(values, threshold), RuleFacts(MINUTE, clear=clear), NOW)
    assert view.per_minute == (None if rate is None else pytest.approx(rate))
    assert view.ends_in == (None if ends is None else pytest.approx(timedelta(minutes=ends), abs=timedelta(seconds=1)))
    assert view.fires_in is None


@pytest.mark.parametrize(("waited", "left"), [(0, 120), (45, 75), (120, 0), (500, 0)])
def test_when_a_pending_alert_fires(waited: int, left: int) -> None:
    view = Outlook(waited=timedelta(seconds=waited), waits=timedelta(seconds=120))
    assert view.fires_in == timedelta(seconds=left)


def test_the_rate_looks_at_ten_minutes_alone() -> None:
    early = [(index * 15_000, 1_000.0) for index in range(10)]
    late = [(3_600_000 + index * 15_000, float(index)) for index in range(8)]
    assert per_minute((*early, *late)) == pytest.approx(4)
    assert per_minute(()) is None
