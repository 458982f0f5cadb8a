"""The same timelines played to a real Alertmanager and to our decisions: the same messages in the same order.

Every case is a route of its own, and all are played at once. Groups are looked at two seconds off every change, so that
no message depends on which of two timers is the faster one.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.model.matchers import Matcher
from controlplane.model.notifications import Incident
from controlplane.model.routes import Inhibition, Route, Times
from controlplane.model.silences import Silence
from tests.notify_cases import Desk, alert, at, queued
from tests.servers_alertmanager import alertmanager, webhook

pytestmark = pytest.mark.integration

CHANGE, WAIT, REPEAT, END = 4, 2, 10, 48
"""Changes happen at multiples of 4 s; a group is first looked at 2 s after its first alert, then every 4 s."""
FAR = 10_000
ALWAYS = {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
Messages = dict[str, list[tuple[str, frozenset[str], frozenset[str]]]]
"""Channel and group → (status, firing, ended) of its messages in order; alerts by their label `name`."""


@dataclass(frozen=True)
class Case:
    """A timeline: when each alert fires (begin, end), when what is silenced, and who is told."""

    id: str
    alerts: dict[str, list[tuple[int, int]]]
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    silences: list[tuple[int, int, list[str]]] = field(default_factory=list)
    inhibit: dict[str, list[str]] | None = None
    route: dict[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = ("one",)
    differs: str = ""
    """Point of ADR 17 in which we differ on purpose."""


CASES = [
    Case("one alert", {"a": [(0, 16)]}),
    Case("one joins within the wait", {"a": [(0, FAR)], "b": [(0, FAR)]}),
    Case("one joins later", {"a": [(0, FAR)], "b": [(4, FAR)]}),
    Case("one of two ends", {"a": [(0, FAR)], "b": [(0, 8)]}),
    Case("both end", {"a": [(0, 8)], "b": [(0, 8)]}),
    Case("both end apart", {"a": [(0, 8)], "b": [(0, 12)]}),
    Case("it comes again after its end was told", {"a": [(0, 8), (12, 20)]}),
    Case("it repeats", {"a": [(0, FAR)]}),
    Case("another comes while it repeats", {"a": [(0, FAR)], "b": [(16, 20)]}),
    Case("by name", {"a": [(0, 16)], "b": [(4, FAR)]}, route={"group_by": ["case", "name"]}),
    Case("all together", {"a": [(0, 16)], "b": [(4, FAR)]}, route={"group_by": []}),
    Case(
        "the first child that matches",
        {"a": [(0, FAR)], "b": [(0, FAR)]},
        route={"routes": [{"match": ['name="a"'], "channels": ["two"]}, {"match": ['name!=""'], "channels": ["one"]}]},
        channels=("one", "two"),
    ),
    Case(
        "two children by continue",
        {"a": [(0, 12)]},
        route={
            "routes": [
                {"match": ['name=~"a|x"'], "channels": ["two"], "continue": True},
                {"match": ['name!~"b.*"'], "channels": ["three"]},
            ]
        },
        channels=("one", "two", "three"),
    ),
    Case(
        "a pattern matches the whole value",
        {"ab": [(0, FAR)]},
        route={"routes": [{"match": ['name=~"a"'], "channels": ["two"]}]},
        channels=("one", "two"),
    ),
    Case(
        "an absent label is empty",
        {"a": [(0, FAR)]},
        route={"routes": [{"match": ['zone=""'], "channels": ["two"]}]},
        channels=("one", "two"),
    ),
    Case("silenced for a while", {"a": [(4, FAR)]}, silences=[(0, 16, ['name="a"'])]),
    Case("silenced after it was told", {"a": [(0, FAR)]}, silences=[(4, 28, ['name="a"'])]),
    Case("one of two silenced", {"a": [(4, FAR)], "b": [(4, FAR)]}, silences=[(0, FAR, ['name="a"'])]),
    Case("began and ended under a silence", {"a": [(0, FAR)], "b": [(8, 12)]}, silences=[(4, FAR, ['name="b"'])]),
    Case(
        "inhibited until its source ends",
        {"source": [(0, 12)], "a": [(4, FAR)]},
        inhibit={"source": ['name="source"'], "target": ['name="a"']},
    ),
    Case(
        "inhibited elsewhere only",
        {"source": [(0, FAR)], "a": [(4, FAR)], "b": [(4, FAR)]},
        labels={"source": {"zone": "z1"}, "a": {"zone": "z1"}, "b": {"zone": "z2"}},
        inhibit={"source": ['name="source"'], "target": ['name!="source"'], "equal": ["zone"]},
    ),
    Case(
        "both are source and target",
        {"a": [(0, FAR)], "b": [(4, FAR)]},
        inhibit={"source": ['name=~"a|b"'], "target": ['name=~"a|b"']},
    ),
    Case("muted at all times", {"a": [(0, 12)]}, route={"mute": ["always"]}),
    Case("active at all times", {"a": [(0, 12)]}, route={"active": ["always"]}),
    Case("the end under a silence", {"a": [(0, 12)]}, silences=[(4, FAR, ['name="a"'])], differs="1"),
]


def chance(seed: int) -> Case:
    """Three alerts that come and go, and silences, by chance."""
    dice = random.Random(seed)
    alerts = {}
    for name in "abc":
        times = sorted(dice.sample(range(0, END - 8, CHANGE), dice.choice([0, 2, 2, 4])))
        alerts[name] = list(zip(times[::2], times[1::2], strict=True))
    silences = []
    if dice.random() < 0.4:
        begin, end = sorted(dice.sample(range(0, END, CHANGE), 2))
        # An end under a silence is told by us alone.
        free = [name for name in "abc" if not any(begin <= over < end for _, over in alerts[name])]
        silences = [(begin, end, [f'name="{dice.choice(free)}"'])] if free else []
    return Case(f"chance {seed}", alerts, silences=silences)


BY_CHANCE = [chance(seed) for seed in range(60)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Messages]:
    """What Alertmanager told in each case."""
    every = CASES + BY_CHANCE
    with webhook() as hook, alertmanager(tmp_path_factory.mktemp("alertmanager"), config(every, hook.url)) as server:
        timeline = sorted(((when, number, what) for number, what in enumerate(actions(every)) for when in [what[0]]))
        for when, _, (_, case, kind, what, since, until) in timeline:
            time.sleep(max(0.0, server.begin + when - time.time()))
            if kind == "alert":
                server.alert(case_labels(case, what), since=since, until=until)
            else:
                matchers = [amtool(Matcher.parse(text)) for text in [*case.silences[what][2], f'case="{case.id}"']]
                server.silence(matchers, until=until)
        time.sleep(max(0.0, server.begin + END + 1 - time.time()))
        got = list(hook.got)
    found: dict[str, Messages] = {}
    for path, body in got:
        number, channel = path.split("/")
        sets = [
            frozenset(one["labels"]["name"] for one in body["alerts"] if one["status"] == status)
            for status in ("firing", "resolved")
        ]
        # Groups of a route are looked at in any order.
        place = f"{channel} {body['groupLabels'].get('name', '')}"
        messages = found.setdefault(every[int(number)].id, {}).setdefault(place, [])
        messages.append((body["status"], sets[0], sets[1]))
    return found


def actions(cases: list[Case]) -> Iterator[tuple[int, Case, str, Any, int, int]]:
    """(when, case, kind, what, since, until) of everything that is posted; an end is posted when it comes."""
    for case in cases:
        for name, spans in case.alerts.items():
            for begin, end in spans:
                yield begin, case, "alert", name, begin, FAR
                if end < END:
                    yield end, case, "alert", name, begin, end
        for number, (begin, end, _) in enumerate(case.silences):
            yield begin, case, "silence", number, begin, end


def case_labels(case: Case, name: str) -> dict[str, str]:
    return {"alertname": "test", "case": case.id, "name": name, **case.labels.get(name, {})}


def amtool(matcher: Matcher) -> dict[str, object]:
    return {
        "name": matcher.label,
        "value": matcher.value,
        "isRegex": matcher.operator.endswith("~"),
        "isEqual": not matcher.operator.startswith("!"),
    }


def config(cases: list[Case], url: str) -> dict[str, Any]:
    """Alertmanager's configuration: a route for each case."""
    receivers: list[dict[str, Any]] = [{"name": "nobody"}]
    routes, inhibit = [], []
    for number, case in enumerate(cases):
        for channel in case.channels:
            hook = {"url": f"{url}/{number}/{channel}"}
            receivers.append({"name": f"{number}/{channel}", "webhook_configs": [hook]})
        own = {"matchers": [f'case="{case.id}"'], **theirs({"channels": [case.channels[0]], **case.route}, number)}
        waits = {"group_wait": f"{WAIT}s", "group_interval": f"{CHANGE}s", "repeat_interval": f"{REPEAT}s"}
        routes.append({"group_by": ["case"], **waits, **own})
        if case.inhibit:
            inhibit.append(
                {
                    "source_matchers": [*case.inhibit["source"], f'case="{case.id}"'],
                    "target_matchers": [*case.inhibit["target"], f'case="{case.id}"'],
                    "equal": case.inhibit.get("equal", []),
                }
            )
    return {
        "route": {"receiver": "nobody", "routes": routes},
        "receivers": receivers,
        "inhibit_rules": inhibit,
        "time_intervals": [{"name": "always", "time_intervals": [ALWAYS]}],
    }


def theirs(route: dict[str, Any], number: int) -> dict[str, Any]:
    """A route of ours as Alertmanager writes it."""
    names = {"match": "matchers", "mute": "mute_time_intervals", "active": "active_time_intervals"}
    made = {names.get(key, key): value for key, value in route.items() if key not in ("channels", "routes")}
    if "channels" in route:
        made["receiver"] = f"{number}/{route['channels'][0]}"
    if "routes" in route:
        made["routes"] = [theirs(child, number) for child in route["routes"]]
    return made


def ours(case: Case) -> Messages:
    """What we tell in a case."""
    root = Route.model_validate(
        {
            "channels": [case.channels[0]],
            "group_by": ["case"],
            "group_wait": f"{WAIT}s",
            "group_interval": f"{CHANGE}s",
            "repeat_interval": f"{REPEAT}s",
            **case.route,
        }
    )
    inhibit = (Inhibition.model_validate(case.inhibit),) if case.inhibit else ()
    desk = Desk(root, channels=case.channels, inhibit=inhibit, times={"always": Times.model_validate(ALWAYS)})
    desk.silences = [
        Silence(
            id=f"s{number}",
            matchers=tuple(Matcher.parse(text) for text in matchers),
            starts_at=at(begin),
            ends_at=at(end),
            author="ada",
            reason="a test",
            created_at=at(begin),
        )
        for number, (begin, end, matchers) in enumerate(case.silences)
    ]
    found: Messages = {}
    groups: dict[str, str] = {}
    for second in range(END + 1):
        spans = [(name, begin, end) for name, times in case.alerts.items() for begin, end in times]
        fire = [alert(name, labels=case_labels(case, name)) for name, begin, _ in spans if begin == second]
        resolve = [name for name, _, end in spans if end == second]
        if not (fire or resolve or desk.due(second)):
            continue
        drafts = desk.step(second, fire=fire, resolve=resolve)
        groups |= {
            one.id: one.group.get("name", "")
            for d in drafts
            if isinstance(one := getattr(d.payload, "incident", None), Incident)
        }
        for delivery in queued(drafts):
            sets = [
                frozenset(one.alert for one in delivery.message.members if one.firing is firing)
                for firing in (True, False)
            ]
            status = "firing" if delivery.message.action == "trigger" else "resolved"
            place = f"{delivery.channel} {groups[delivery.message.incident]}"
            found.setdefault(place, []).append((status, sets[0], sets[1]))
    return found


@pytest.mark.parametrize("case", [case for case in CASES if not case.differs], ids=lambda case: case.id)
def test_the_same_messages_in_the_same_order(told: dict[str, Messages], case: Case) -> None:
    assert ours(case) == told.get(case.id, {})


@pytest.mark.parametrize("case", BY_CHANCE, ids=lambda case: case.id)
def test_the_same_messages_by_chance(told: dict[str, Messages], case: Case) -> None:
    assert ours(case) == told.get(case.id, {})


@pytest.mark.parametrize("case", [case for case in CASES if case.differs], ids=lambda case: case.id)
def test_where_we_differ_on_purpose(told: dict[str, Messages], case: Case) -> None:
    theirs_, mine = told.get(case.id, {}), ours(case)
    assert theirs_ != mine
    # The page that they leave open is closed.
    assert mine["one "][:-1] == theirs_["one "]
    assert mine["one "][-1] == ("resolved", frozenset(), frozenset({"a"}))
