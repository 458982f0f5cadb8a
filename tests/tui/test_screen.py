"""The first screen: what it says in every state, its keys, and text from outside."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from controlplane.eventlog.log import EventLog
from controlplane.model.errors import ControlplaneError
from controlplane.model.severity import Severity
from tests.tui import sample
from tests.tui.driving import Clock, alerts, notices, painted, painted_all, ready, renew, screen_text, terminal, until
from tests.tui.sample import NOW
from tests.tui.test_data import Counting
from tui.app import SCREENS, ControlplaneApp
from tui.data import SnapshotReader
from tui.screens.advice import AdviceScreen
from tui.screens.confirm import ConfirmDialog
from tui.screens.detail import DetailScreen
from tui.screens.help import HelpScreen, help_lines
from tui.widgets.panes import DetailPane, SourcesPane
from tui.widgets.status import Banner

HOSTILE = (
    "[red]not markup[/red] [@click=app.quit]x[/]",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J",
    "日本語のとても長いラベル" * 4,
    "x" * 10_000,
    "right\u202eto left\u2066 \u200b",
    "two\nlines\r\tand a tab",
    "lone \ud800 surrogate",
    "👩‍👩‍👧 é e\u0301 \u2028",
    "{curly} $dollar %s \\",
)


def bar(app: ControlplaneApp) -> str:
    return painted(app.screen.query_one("#bar"))


def banner(app: ControlplaneApp) -> str:
    found = app.screen.query_one(Banner)
    return " ".join(painted(found).split()) if found.display else ""


async def test_the_first_paint_waits_for_no_store() -> None:
    go, waited = threading.Event(), []

    def never() -> Any:
        waited.append(go.wait(30))
        raise ControlplaneError("there is no event store at /srv/controlplane/events.db")

    began = time.thread_time()  # what a busy machine adds is not counted
    app = ControlplaneApp(SnapshotReader(never), None, environment="prod-eu", clock=Clock())
    async with app.run_test(size=(80, 24)) as pilot:
        assert "prod-eu" in screen_text(app)
        assert "Reading the event store" in painted(alerts(app))
        assert time.thread_time() - began < 1
        assert waited == [], "the store is still being waited for"
        go.set()
        await ready(pilot)
        assert "DISCONNECTED" in bar(app)
        assert "there is no event store at /srv" in banner(app)
        assert "The event store can't be read" in painted(alerts(app))


async def test_before_the_first_tick_it_says_what_to_do(empty_log: EventLog) -> None:
    app = terminal(empty_log)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        shown = painted(alerts(app))
        assert "Nothing has been evaluated yet" in shown
        assert "controlplane tick" in shown
        assert "WAITING" in bar(app)
        assert banner(app) == ""

        sample.append(empty_log, [sample.ingested("prom", 3), sample.ticked(NOW - timedelta(seconds=2))])
        await renew(pilot)
        assert "No firing alerts · 1/1 sources answered 2s ago" in painted(alerts(app))
        assert "LIVE" in bar(app)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        ((160, 50), ["prod-eu", "CRIT 3", "WARN 4", "INFO 2", "1 acked", "1 pending", "src 3/3", "age 2s", "LIVE"]),
        ((80, 24), ["prod-eu", "CRIT 3", "WARN 4", "INFO 2", "src 3/3", "age 2s", "LIVE"]),
        ((60, 15), ["prod-eu", "CRIT 3", "WARN 4", "INFO 2", "src 3/3", "age 2s", "LIVE"]),
        ((50, 15), ["CRIT 3", "WARN 4", "INFO 2", "LIVE"]),
        ((8, 5), ["LIVE"]),
    ],
)
async def test_the_bar_drops_what_has_no_room(log: EventLog, size: tuple[int, int], parts: list[str]) -> None:
    app = terminal(log)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        assert all(part in bar(app) for part in parts)


async def test_stale_appears_after_three_missed_ticks_and_goes_with_the_next(log: EventLog) -> None:
    clock = Clock()
    app = terminal(log, clock=clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert banner(app) == ""
        first_age = painted(alerts(app)).split("\n")[1]
        assert "1m30s" in first_age

        clock.forward(timedelta(seconds=44))
        await until(lambda: "STALE: no tick for 46s, one is due every 15s" in banner(app))
        assert "STALE" in bar(app)
        assert "age 46s" in bar(app)
        assert "2m14s" in painted(alerts(app)).split("\n")[1]

        clock.forward(timedelta(seconds=10))
        await until(lambda: "no tick for 56s" in banner(app))

        sample.append(log, [sample.ticked(clock.now)])
        await renew(pilot)
        assert "LIVE" in bar(app)
        assert banner(app) == ""


async def test_one_source_down_leaves_the_others(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        since = NOW - timedelta(minutes=4)
        sample.append(log, [sample.source_failed("prom-us1", "connection refused", "Start Prometheus", since)])
        await renew(pilot)

        assert "src 2/3" in bar(app)
        assert "SOURCE prom-us1 fails for 4m: connection refused · Start Prometheus" in banner(app)
        lines = painted(alerts(app)).split("\n")[1:11]
        assert sorted("FIR?" in line for line in lines) == [False] * 8 + [True] * 2
        sources = painted(app.screen.query_one("#sources-lines")).split("\n")
        assert sources[0].startswith("FAILED")
        assert "for 4m · connection refused · Start Prometheus" in sources[0]
        assert [line.split()[:2] for line in sources[1:3]] == [["ok", "kafka-lag"], ["ok", "prom-eu1"]]
        assert app.screen.check_action("acknowledge", ())

        sample.append(log, [sample.source_recovered("prom-us1", since)])
        await renew(pilot)
        assert "src 3/3" in bar(app)
        assert banner(app) == ""
        assert "?" not in "".join(painted(alerts(app)).split("\n")[1:11])


async def test_a_lost_store_keeps_the_last_picture_dimmed_and_counts_down(log: EventLog) -> None:
    counting, clock = Counting(log), Clock()
    app = ControlplaneApp(SnapshotReader(counting), None, environment="prod-eu", clock=clock)
    async with app.run_test(size=(80, 28)) as pilot:
        await ready(pilot)
        before = painted(alerts(app))
        counting.error = ControlplaneError("events.db is [locked] by pid 7")
        await until(lambda: "DISCONNECTED" in bar(app))
        await pilot.pause()

        assert "for 0s, next try in 2s · events.db is [locked] by pid 7" in banner(app)
        assert [line for line in painted(alerts(app)).split("\n") if line.strip()][:8] == before.split("\n")[:8]
        assert app.screen.query_one("#panes").styles.opacity < 1
        clock.forward(timedelta(seconds=1))
        await until(lambda: "for 1s, next try in 1s" in banner(app))

        counting.error = None
        app._wake.set()
        await until(lambda: "LIVE" in bar(app))
        await pilot.pause()
        assert app.screen.query_one("#panes").styles.opacity == 1


@pytest.mark.parametrize("size", [(160, 50), (80, 24), (60, 15)])
async def test_text_from_outside_is_shown_literally(empty_log: EventLog, size: tuple[int, int]) -> None:
    drafts = []
    for number, text in enumerate(HOSTILE):
        found = sample.facts(
            f"rule-{number}",
            labels={"host": text, text[:40] or "x": "value"},
            title=text[:100],
            summary=text,
            component=text[:50],
            runbook=text[:50],
            source=text[:60],
        )
        advice = sample.scale_out(
            found.alert,
            proposal={
                "target": text,
                "why": text,
                "commands": (text,),
                "inputs": {"RTO " + text: text},
                "from": text,
                "to": text,
            },
            reason=text,
        )
        drafts += [sample.fired(found, timedelta(minutes=number)), sample.proposed(advice)]
        name = text[:60] if text.isascii() else f"source-{number}"
        drafts.append(sample.source_failed(name, text, text))
    sample.append(empty_log, [*drafts, sample.ticked()])
    app = terminal(empty_log)
    async with app.run_test(size=size, notifications=True) as pilot:
        await ready(pilot)
        seen = ""
        for number in range(len(HOSTILE)):
            seen += screen_text(app)
            for line in painted(alerts(app)).split("\n"):
                assert "\x1b" not in line
            await pilot.press("enter")
            await pilot.pause()
            seen += screen_text(app)
            await pilot.press("escape")
            if number == 0:
                await pilot.press("a")
                await pilot.pause()
                seen += screen_text(app)
                await pilot.press("escape")
            await pilot.press("j")
        assert app.is_running
        assert notices(app) == []
        assert not {"\x1b", "\x07", "\x9b", "\u202e", "\ud800", "\r", "\t"} & set(seen)
        assert "[red]not markup[/red]" in seen
        assert "日本" in seen
        from rich.cells import cell_len

        assert {cell_len(line) for line in screen_text(app).split("\n")} == {size[0]}


def _bindings(cls: type) -> Iterator[Any]:
    for base in cls.__mro__:
        yield from vars(base).get("BINDINGS", ())
        if not getattr(base, "_inherit_bindings", True):
            return


@pytest.mark.parametrize("screen", [*SCREENS, AdviceScreen, DetailScreen])
def test_no_key_is_bound_twice(screen: type) -> None:
    bound = [binding for cls in (screen, ControlplaneApp) for binding in _bindings(cls)]
    keys = [key for binding in bound for key in binding.key.split(",")]
    # ctrl+c copies marked text, and says how to quit where nothing is marked.
    assert sorted({key for key in keys if keys.count(key) > 1}) == ["ctrl+c"]
    ids = [binding.id for binding in bound]
    assert None not in ids
    assert len(ids) == len(set(ids))
    assert not {key for key in keys if key.startswith("f") and key[1:].isdigit()} | {"ctrl+enter", "ctrl+b"} & set(keys)


@pytest.mark.parametrize("opened", [[], ["enter"]])
async def test_every_binding_is_in_the_help(log: EventLog, opened: list[str]) -> None:
    app = terminal(log)
    async with app.run_test(size=(100, 60)) as pilot:
        await ready(pilot)
        await pilot.press(*opened)
        await pilot.pause()
        screen = app.screen
        told = {line for lines in help_lines(app, screen.active_bindings).values() for line in lines}
        shown_keys = {key for keys, _ in told for key in keys.split(" ")}
        bound = [binding for cls in (type(screen), ControlplaneApp) for binding in _bindings(cls)]
        for binding in bound:
            for key in binding.key.split(","):
                active = screen.active_bindings["question_mark" if key == "?" else key]
                assert app.get_key_display(active.binding) in shown_keys, key
        assert "^p" in shown_keys

        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = screen_text(app)
        for keys, said in told:
            assert keys in text
            assert said[:60] in text
        await pilot.press("question_mark")
        assert app.screen is screen


async def test_keys_can_be_bound_anew(log: EventLog) -> None:
    app = terminal(log)
    app.set_keymap({"act.acknowledge": "x", "move.down": "n"})
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        first = alerts(app).selected.alert.id
        await pilot.press("n")
        assert alerts(app).selected.alert.id != first
        await pilot.press("a")
        assert not isinstance(app.screen, ConfirmDialog)
        await pilot.press("x")
        assert isinstance(app.screen, ConfirmDialog)


async def test_a_click_in_the_footer_does_what_the_key_does(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        for action, kind in (("acknowledge", ConfirmDialog), ("app.help", HelpScreen), ("open", DetailScreen)):
            item = next(i for i in app.screen.query("FooterKey") if i.action in (action, action.removeprefix("app.")))
            await pilot.click(item)
            await pilot.pause()
            assert isinstance(app.screen, kind)
            await pilot.press("escape")
            await pilot.pause()


async def test_the_palette_offers_what_is_possible(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(pilot)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Ack", "Open", "Filter", "Copy", "Help", "Quit"} <= titles
        assert "Undo" not in titles
        await pilot.press("ctrl+p")
        await pilot.pause(0.3)
        await pilot.press(*"open")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, DetailScreen))


async def test_tab_goes_through_the_panes_and_moving_scrolls_the_one_in_focus(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(pilot)
        selected = alerts(app).selected.alert.id
        await pilot.press("tab")
        assert isinstance(app.focused, DetailPane)
        await pilot.press("j", "j", "down")
        assert app.focused.scroll_offset.y == 3
        await pilot.press("G")
        assert app.focused.scroll_offset.y == app.focused.max_scroll_y > 3
        await pilot.press("g")
        assert app.focused.scroll_offset.y == 0
        await pilot.press("tab")
        assert isinstance(app.focused, SourcesPane)
        await pilot.press("tab")
        assert app.focused is alerts(app)
        await pilot.press("shift+tab")
        assert isinstance(app.focused, SourcesPane)
        assert alerts(app).selected.alert.id == selected


async def test_the_detail_tells_everything_of_the_recommendation(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(170, 90)) as pilot:
        await ready(pilot)
        await pilot.press("j", "enter")
        await pilot.pause()
        await until(lambda: "Around it" in screen_text(app), "the story")
        text = painted_all(app.screen.query_one("#detail"))
    for part in (
        "412,000 > 100,000 messages",
        "read 5s ago",
        "SCALE OUT consumer group billing  v1 2m ago",
        "expires in 3h 40m",
        "6 consumers  →  10 consumers",
        "+$496.40",
        "limited by +4 per 5m:",
        "yes one consumer: 9 of 10",
        "NO  zone eu1-b: 6 consumers would be left",
        "?   broker kafka-2: the replication factor of orders",
        "2 of 3 inputs measured",
        "contradicts the broker's own count by 8 %",
        "$ kubectl -n billing scale deployment/billing-consumer",
        "14 consumers orders has 12 partitions",
        "consumer_group=billing  topic=orders",
        "kafka-consumer-lag",
        "100k messages",
        "rises by",
        "not while it rises",
        "FIRING",
        "kafka-consumer-groups.sh --bootstrap-server",
    ):
        assert part in text, part


async def test_an_unknown_price_is_unknown_and_a_failover_tells_rpo_and_rto(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        assert alerts(app).selected.alert.rule == "catalyst-postgres-primary-down"
        text = painted(app.screen.query_one("#advice"))
        assert "unknown · one-off $1,250" in text
        assert "0 B (pg-3 is synchronous)" in text
        assert "about 35 s" in text
        assert "unknown" in painted(alerts(app)).split("\n")[1]


async def test_advice_ages_and_expires(log: EventLog) -> None:
    clock = Clock()
    app = terminal(log, clock=clock)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        for ahead, said in ((timedelta(0), "expires in 45m"), (timedelta(minutes=46), "expired 1m ago")):
            clock.forward(ahead)
            app.deliver(fresh=False)
            await pilot.pause()
            assert said in " ".join(painted(app.screen.query_one("#advice")).split())


async def test_the_layouts(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        left, detail, sources = (
            app.screen.query_one("#left"),
            app.screen.query_one(DetailPane),
            app.screen.query_one("#sources"),
        )
        assert left.region.right <= detail.region.x
        assert sources.region.y >= left.region.bottom

        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert detail.region.y >= left.region.bottom
        assert not sources.display

        await pilot.resize_terminal(60, 15)
        await pilot.pause()
        assert not detail.display
        assert "FAILOVER cluster billing-db · pg-1 (eu1-a) → pg-3 (eu1-c)" in screen_text(app)
        assert (
            sum(line.lstrip("> ").startswith(("CRIT", "WARN", "INFO")) for line in painted(alerts(app)).split("\n"))
            == 10
        )

        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert left.region.right <= detail.region.x


async def test_a_resize_under_the_detail_screen_reaches_the_list(log: EventLog) -> None:
    app = terminal(log)
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        await pilot.press("enter")
        await pilot.resize_terminal(60, 15)
        await pilot.pause()
        await pilot.press("escape")
        await pilot.pause()
        assert not app.screen.query_one(DetailPane).display
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert app.screen.query_one(DetailPane).display


def test_every_screen_has_its_own_digit() -> None:
    assert [screen.KEY for screen in SCREENS] == [str(number + 1) for number in range(len(SCREENS))]
    assert all(screen.NAME for screen in SCREENS)


async def test_the_severity_is_told_without_colour(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = terminal(log)
    async with app.run_test(size=(100, 24)) as pilot:
        await ready(pilot)
        assert app.no_color
        for y, (word, weight) in enumerate(
            [("CRIT", "reverse"), ("CRIT", "reverse"), ("CRIT", "reverse"), ("WARN", "bold")], 1
        ):
            (segment,) = [s for s in alerts(app).render_line(y) if s.text.strip() == word]
            assert getattr(segment.style, weight)
            assert segment.style.bold
        assert {Severity.CRITICAL, Severity.WARNING, Severity.INFO} == set(app.snapshot.reported)
