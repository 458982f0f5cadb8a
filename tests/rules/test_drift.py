"""Configuration in the inventory against what documents say: numbers, texts, which resources, hostile values."""

from typing import Any

import polars as pl
import pytest
import yaml

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.model.labels import canonical, printable
from controlplane.model.payloads import AlertFired
from controlplane.model.resources import Inventory, Resource
from controlplane.model.rules import RuleSet
from controlplane.rules.compile import compile_rules
from controlplane.rules.drift import SOURCE, number
from controlplane.rules.evaluate import STATE, Evaluation, evaluate
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules
from controlplane.tick.alerts import alert_drafts

STEP = 15_000
BROKER = {"id": "k1", "platform": "shop", "kind": "broker", "role": "kafka", "zone": "a"}


def rules(*settings: dict[str, Any], **more: Any) -> RuleSet:
    rule = {
        "id": "settings", "kind": "drift", "title": "Configured differently", "severity": "warning",
        "settings": list(settings), "basis": "house", "rationale": "a test", **more,
    }  # fmt: skip
    text = yaml.safe_dump({"platform": "shop", "component": "kafka", "rules": [rule]})
    loaded = load_rules([RuleText("shop.yaml", text)])
    assert not loaded.problems, loaded.problems
    return loaded.rules


def inventory(*resources: dict[str, Any]) -> Inventory:
    return Inventory(resources=tuple(Resource.model_validate({**BROKER, **one}) for one in resources))


def look(
    rule_set: RuleSet,
    stock: Inventory,
    state: pl.DataFrame | None = None,
    step: int = 1,
    *,
    last: int | None = None,
    decided: int = 0,
) -> Evaluation:
    """One step, or those up to the `last` one; a source of samples answers for something else."""
    asked = ("s", "", "other", step * STEP, (step if last is None else last) * STEP)
    window = Samples(SERIES.to_frame(), SAMPLES.to_frame(), pl.DataFrame([asked], schema=COVERAGE, orient="row"))
    before = STATE.to_frame() if state is None else state
    return evaluate(
        compile_rules(rule_set), before, window, STEP, inventory=stock, sources=["s"], decided=decided * STEP
    )


def kinds(done: Evaluation) -> list[str]:
    return done.transitions["kind"].to_list()


@pytest.mark.parametrize(
    ("expect", "actual", "differs"),
    [
        ("== 8", "8", False),
        ("== 8", "8.0", False),
        ("== 8", " 8 ", False),
        ("== 8", "9", True),
        ("== 8", "7.999999999", True),
        (">= 64 GiBy", "64 GiBy", False),
        (">= 64 GiBy", "65536 MiBy", False),
        (">= 64 GiBy", "63.999 GiBy", True),
        (">= 64 GiBy", "64 GBy", True),
        (">= 64 GiBy", "0.0625 TiBy", False),
        # Without a unit it is in that of the expectation.
        (">= 64 GiBy", "64", False),
        (">= 64 GiBy", "63", True),
        ("<= 30 s", "30000 ms", False),
        ("<= 30 s", "1 min", True),
        ("> 85 %", "0.86 1", False),
        # What can't be compared isn't what is expected.
        (">= 64 GiBy", "64 s", True),
        (">= 64 GiBy", "64 parsecs", True),
        (">= 64 GiBy", "64GiBy", True),
        (">= 64 GiBy", "", True),
        ("== 8", "many", True),
        # A value that isn't a number satisfies no condition.
        ("!= 0", "nan", True),
        ("!= 0", "many", True),
        ("!= 0", "1", False),
        ("<= 8", "-inf", False),
        # Digits of other scripts and grouped ones are no way to write a number here.
        ("== 1000", "1_000", True),
        ("== 8", "\u0668", True),
    ],
)
def test_numbers_and_units(expect: str, actual: str, *, differs: bool) -> None:
    done = look(rules({"setting": "x", "expect": expect}), inventory({"settings": {"x": actual}}))
    assert kinds(done) == (["fired"] if differs else [])


@pytest.mark.parametrize(
    ("actual", "differs"),
    [("replica", False), ("logical", False), (" logical ", False), ("Replica", True), ("minimal", True), ("", True),
     ("replica,logical", True)],
)  # fmt: skip
def test_texts(actual: str, *, differs: bool) -> None:
    rule_set = rules({"setting": "wal", "one_of": ["replica", "logical"]})
    assert bool(kinds(look(rule_set, inventory({"settings": {"wal": actual}})))) is differs


@pytest.mark.parametrize(
    ("text", "value"),
    [("8", 8.0), ("1e3", 1000.0), ("-1", -1.0), ("2 KiBy", 2048.0), ("2 s", None), ("x", None), ("nan", None),
     ("1_0", None), ("0x10", None), ("inf", float("inf")), ("inf KiBy", float("inf")),
     ("1e999 KiBy", float("inf")), ("1e308 KiBy", None)],
)  # fmt: skip
def test_a_setting_as_a_number(text: str, value: float | None) -> None:
    assert number(text, "By") == value


@pytest.mark.parametrize(("written", "wanted"), [("on", "on"), ("010", "010"), (8, "8"), (0.5, "0.5")])
def test_a_setting_of_the_inventory_reads_as_it_is_written(written: object, wanted: str) -> None:
    rule_set = rules({"setting": "x", "one_of": [wanted]})
    assert kinds(look(rule_set, inventory({"settings": {"x": written}}))) == []


@pytest.mark.parametrize(
    ("of", "found"),
    [
        ({}, ["k1", "k2", "z1"]),
        ({"role": "kafka"}, ["k1", "k2"]),
        ({"role": "kafka", "zone": "b"}, ["k2"]),
        ({"id": "k2"}, ["k2"]),
        ({"id": "k2", "zone": "a"}, []),
        ({"kind": "host"}, ["z1"]),
        ({"cluster": "c"}, []),
        ({"region": "r"}, ["z1"]),
        ({"host": "h"}, ["k2"]),
    ],
)
def test_which_resources(of: dict[str, str], found: list[str]) -> None:
    wrong = {"settings": {"x": "1"}}
    stock = inventory(
        wrong,
        {**wrong, "id": "k2", "zone": "b", "host": "h"},
        {**wrong, "id": "z1", "kind": "host", "role": "", "region": "r"},
        {**wrong, "id": "elsewhere", "platform": "other"},
        {"id": "silent"},
    )
    done = look(rules({"setting": "x", "expect": "== 8"}, of=of), stock)
    fired = done.transitions.filter(pl.col("kind") == "fired")
    assert fired["labels"].to_list() == [canonical({"resource": name, "setting": "x"}) for name in found]
    assert set(fired["source"]) <= {SOURCE}


def test_each_resource_and_setting_is_an_alert() -> None:
    rule_set = rules({"setting": "x", "expect": "== 8"}, {"setting": "topic.partitions/a.b", "expect": ">= 100"})
    stock = inventory({"settings": {"x": "1", "topic.partitions/a.b": "99"}}, {"id": "k2", "settings": {"x": "2"}})
    fired = look(rule_set, stock).transitions.filter(pl.col("kind") == "fired")
    assert fired.select("labels", "value").rows() == [
        ('{"resource":"k1","setting":"topic.partitions/a.b"}', 99.0),
        ('{"resource":"k1","setting":"x"}', 1.0),
        ('{"resource":"k2","setting":"x"}', 2.0),
    ]


def test_an_inventory_that_changes_over_time() -> None:
    rule_set = rules({"setting": "x", "expect": "== 8"}, **{"for": "30s"})
    state, seen = STATE.to_frame(), []
    for step, value in enumerate(["8", "4", "4", "5", "8", "4", None, "4", "4", "4"], start=1):
        done = look(rule_set, inventory({"settings": {"x": value} if value else {}}), state, step)
        state = done.state
        seen += [(step, *row) for row in done.transitions.select("kind", "reason").iter_rows()]
    assert seen == [
        (2, "pending", "condition"),
        (4, "fired", "condition"),
        (5, "resolved", "condition"),
        (6, "pending", "condition"),
        # A setting that the inventory no longer has raises none.
        (7, "dropped", "missing"),
        (8, "pending", "condition"),
        (10, "fired", "condition"),
    ]


def test_a_resource_that_is_gone_ends_its_alert_and_a_source_that_is_gone_does_not() -> None:
    rule_set = rules({"setting": "x", "expect": "== 8"})
    state = look(rule_set, inventory({"settings": {"x": "1"}})).state
    assert kinds(look(rule_set, inventory({"settings": {"x": "1"}}), state, 2)) == []
    gone = look(rule_set, inventory({"id": "k2"}), state, 2)
    assert gone.transitions.select("kind", "reason").rows() == [("resolved", "missing")]


def test_a_removed_or_changed_expectation() -> None:
    stock = inventory({"settings": {"x": "4", "y": "4"}})
    both = rules({"setting": "x", "expect": "== 8"}, {"setting": "y", "expect": "== 8"})
    state = look(both, stock).state
    looser = rules({"setting": "x", "expect": "== 4"})
    done = look(looser, stock, state, 2)
    assert done.transitions.select("labels", "kind", "reason").rows() == [
        ('{"resource":"k1","setting":"x"}', "resolved", "condition"),
        ('{"resource":"k1","setting":"y"}', "resolved", "missing"),
    ]
    assert not len(done.state)


def _told(done: Evaluation) -> list[tuple[int, str, str]]:
    rows = done.transitions.select("ts", "kind", "reason").iter_rows()
    return [(ts // STEP, kind, reason) for ts, kind, reason in rows]


@pytest.mark.parametrize("hold", ["0s", "30s"])
@pytest.mark.parametrize(
    ("before", "now", "last", "expected"),
    [
        # The inventory was compared up to step 40; a source that was away is caught up from step 10 on.
        pytest.param("4", "4", 41, [], id="it goes on"),
        pytest.param("4", "8", 41, [(41, "resolved", "condition")], id="it is mended"),
        pytest.param("4", "8", 40, [], id="it is mended, and no step is new"),
        pytest.param("8", "4", 41, [(41, "begins", "condition")], id="it begins now, not in the past"),
        pytest.param("8", "4", 40, [], id="it begins, and no step is new"),
    ],
)
def test_steps_that_were_decided_before(
    before: str, now: str, last: int, expected: list[tuple[int, str, str]], hold: str
) -> None:
    rule_set = rules({"setting": "x", "expect": "== 8"}, **{"for": hold})
    state = STATE.to_frame()
    for step in (35, 40):
        state = look(rule_set, inventory({"settings": {"x": before}}), state, step).state
    done = look(rule_set, inventory({"settings": {"x": now}}), state, 10, last=last, decided=40)
    begins = "fired" if hold == "0s" else "pending"
    assert _told(done) == [(step, kind.replace("begins", begins), reason) for step, kind, reason in expected]


def test_what_began_after_a_step_was_not_active_for_too_short_a_time_at_it() -> None:
    rule_set = rules({"setting": "x", "expect": "== 8"})
    stock = inventory({"settings": {"x": "4"}})
    assert kinds(look(rule_set, stock, look(rule_set, stock, step=40).state, 10)) == []


HOSTILE = [
    "z" * 10_000,
    "\x1b[2J\x1b]0;title\x07",
    "[bold red]x[/] <script>alert(1)</script> <!channel>",
    "'; DROP TABLE alerts; --",
    "\u202eright\u2066 to left\u2028next\x00",
    "{value} {0} {resource.__class__}",
    "9" * 400,
    "1e999",
]


@pytest.mark.parametrize("actual", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("expected", [{"expect": "== 8"}, {"one_of": ["right"]}], ids=["number", "text"])
def test_hostile_values_are_printable_and_bounded(actual: str, expected: dict[str, Any]) -> None:
    rule_set = rules({"setting": "x", **expected})
    stock = inventory({"settings": {"x": actual}})
    placed = {one.id: one for one in rule_set.rules}
    drafts = alert_drafts(placed, look(rule_set, stock).transitions, stock)
    (fired,) = [draft.payload for draft in drafts if isinstance(draft.payload, AlertFired)]
    assert len(fired.facts.summary) <= 300
    assert fired.facts.summary == printable(fired.facts.summary, 300)
    assert fired.facts.summary.startswith("x of k1 is ")
    assert len(fired.model_dump_json()) < 2_000
