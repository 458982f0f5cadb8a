"""The JSON of recommendations, wherever it is printed: keys that are renamed break somebody's pipeline."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import alert_rules
import fixtures
from controlplane.cli.output import print_json
from controlplane.model.recommendations import Status
from tests.cli.conftest import Evening, Run

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MONEY = re.compile(r"-?\d+(\.\d+)?")
END_OF_DAY = datetime(2026, 3, 12, 23, 59, 59, 999_999)  # noqa: DTZ001 - as SQL gives it

Money, Maybe, Text, Number, Flag, When, Span = "money", "money?", "text", "number", "flag", "when", "span"
PRICE_SOURCE = {"document": Text, "section": Text, "quote": Text, "date": Text}
TOTALS = ("per_month", "per_month_reserved", "per_year", "per_year_reserved", "one_off")
AMOUNT = {"amount": Maybe, "bound": Text}
SHAPE: dict[str, Any] = {
    "id": Text,
    "version": Number,
    "rule": Text,
    "platform": Text,
    "alert": Text,
    "status": Text,
    "at": When,
    "expires_at": When,
    "decided_by": "text?",
    "decided_at": "when?",
    "reason": "text?",
    "kind": Text,
    "target": Text,
    "title": Text,
    "from": Text,
    "to": Text,
    "why": Text,
    "inputs": "texts",
    "stages": [{"name": Text, "value": Number, "limit": "text?", "reason": Text}],
    "cost": {
        "currency": Text,
        "per_month": Maybe,
        "per_month_reserved": Maybe,
        "one_off": Maybe,
        "known": Flag,
        "lines": [
            {
                "item": Text,
                "price": "text?",
                "quantity": Money,
                "unit": Text,
                "per_month": Maybe,
                "per_month_reserved": Maybe,
                "one_off": Maybe,
                "note": Text,
                "source": (PRICE_SOURCE,),
            }
        ],
        "do_nothing": Text,
        "totals": dict.fromkeys(
            ("per_month", "per_month_reserved", "per_year", "per_year_reserved", "one_off"), AMOUNT
        ),
    },
    "gain": Text,
    "survives": [{"loss": Text, "ok": "flag?", "reason": Text}],
    "time_to_effect": Span,
    "commands": [Text],
    "plan": [{"do": Text, "before": [Text], "commands": [Text]}],
    "revert": [Text],
    "evidence": [
        {
            "signal": Text,
            "labels": "texts",
            "value": "number?",
            "unit": Text,
            "at": When,
            "limit": "text?",
            "verdict": Text,
            "reference": Text,
            "trend": ["number?"],
        }
    ],
    "rejected": [{"option": Text, "reason": Text}],
}
"""Every key with what it holds: a list has any number of its element, a tuple holds it or null."""


def agrees(shape: Any, value: Any, where: str = "") -> None:
    """AssertionError names the first place at which a document isn't of this shape."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        assert set(value) == set(shape), (where, set(value) ^ set(shape))
        for key, inner in shape.items():
            agrees(inner, value[key], f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for index, one in enumerate(value):
            agrees(shape[0], one, f"{where}.{index}")
    elif isinstance(shape, tuple):
        if value is not None:
            agrees(shape[0], value, where)
    else:
        assert _is(shape, value), (where, shape, value)


def _is(kind: str, value: Any) -> bool:
    if kind.endswith("?"):
        return value is None or _is(kind[:-1], value)
    if kind == Money:
        return isinstance(value, str) and bool(MONEY.fullmatch(value))
    if kind == When:
        return isinstance(value, str) and bool(ISO.fullmatch(value))
    if kind == Number:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "texts":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if kind == Span:
        return isinstance(value, str) and bool(re.fullmatch(r"(\d+(\.\d+)?(ms|[smhd]))+", value))
    return isinstance(value, bool if kind == Flag else str)


def check(document: dict[str, Any]) -> None:
    """The shape, and what holds between its parts."""
    agrees(SHAPE, document)
    assert document["status"] in {status.value for status in Status}
    cost = document["cost"]
    for name in ("per_month", "per_month_reserved", "one_off"):
        parts = [line[name] for line in cost["lines"]]
        expected = None if None in parts else sum(map(Decimal, parts), Decimal(0))
        assert (cost[name] and Decimal(cost[name])) == expected or expected == Decimal(cost[name] or 0)
        assert cost["totals"][name]["bound"] in {"exact", "at_least", "at_most", "unknown"}
        assert (cost["totals"][name]["bound"] == "exact") == (expected is not None)
    for name in ("month", "month_reserved"):
        month, year = cost["totals"][f"per_{name}"], cost["totals"][f"per_{name.replace('month', 'year')}"]
        assert month["bound"] == year["bound"]
        assert month["amount"] is None or Decimal(year["amount"]) == 12 * Decimal(month["amount"])
    if document["plan"]:
        assert [line for step in document["plan"] for line in step["commands"]] == document["commands"]


def test_the_demo(evening: Evening) -> None:
    documents = evening.document["recommendations"]
    assert documents
    for document in documents:
        check(document)
    assert {"failover", "add_storage", "rebalance"} <= {document["kind"] for document in documents}


def test_list_and_show(run: Run, evening: Evening, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLPLANE_HOME", str(evening.home))
    listed = run("recommendations", "--all", "--json").json
    assert listed
    for document in listed:
        check(document)
        assert run("recommendations", "show", document["id"], "--json").json == document


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("TIMESTAMP '2026-03-12 20:00:00'", "2026-03-12T20:00:00Z"),
        ("TIMESTAMP '2026-03-12 20:00:00.25'", "2026-03-12T20:00:00.250000Z"),
        ("TIMESTAMPTZ '2026-03-12 20:00:00+05:30'", "2026-03-12T14:30:00Z"),
        ("DATE '2026-03-12'", "2026-03-12"),
        ("CAST(NULL AS TIMESTAMP)", None),
    ],
)
def test_times_of_sql(run: Run, home: Path, expression: str, expected: object) -> None:
    assert run("sql", f"SELECT {expression} AS a", "--json").json == [{"a": expected}]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (END_OF_DAY, "2026-03-12T23:59:59.999999Z"),
        (END_OF_DAY.replace(tzinfo=UTC), "2026-03-12T23:59:59.999999Z"),
        (END_OF_DAY.replace(tzinfo=timezone(timedelta(hours=-1))), "2026-03-13T00:59:59.999999Z"),
        (END_OF_DAY.replace(microsecond=0), "2026-03-12T23:59:59Z"),
        (END_OF_DAY.date(), "2026-03-12"),
    ],
)
def test_times_of_any_document(capsys: pytest.CaptureFixture[str], time: object, expected: str) -> None:
    print_json({"a": [time]})
    assert json.loads(capsys.readouterr().out) == {"a": [expected]}


def test_alerts_name_their_advice(run: Run, evening: Evening, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLPLANE_HOME", str(evening.home))
    open_ = {one["id"]: one["alert"] for one in run("recommendations", "--json").json}
    alerts = run("alerts", "--json").json
    assert {name: alert["id"] for alert in alerts for name in alert["recommendations"]} == {
        name: alert for name, alert in open_.items() if alert in {one["id"] for one in alerts}
    }
    assert all(isinstance(alert["no_advice"], dict) for alert in alerts)


# a machine that idles for a day, through the backtest

INVENTORY = """
resources:
  - id: "mqtt-{n}"
    count: 3
    zones: [a, b, c]
    kind: host
    role: mqtt
    cluster: absmach-mqtt
    price: bare-metal
    capacity: {cores: 32, memory: 256GB, network: 10Gbps}
"""
END = datetime.fromisoformat("2026-03-12T20:00:00Z")
STEP = timedelta(minutes=5)


def idle(folder: Path, memory: float) -> list[str | Path]:
    """Arguments of a backtest over 26 hours in which three nodes hardly work, and use this share of their memory."""
    rows = [
        (END - n * STEP, signal, f'{{"host":"mqtt-{host}"}}', value)
        for n in range(26 * 12, -1, -1)
        for host in (1, 2, 3)
        for signal, value in (
            ("system.cpu.utilization", 0.05),
            ("system.memory.utilization", memory),
            ("system.network.utilization", 0.02),
        )
    ]
    schema = {"ts": pl.Datetime("ms", "UTC"), "signal": pl.String, "labels": pl.String, "value": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("ts").dt.epoch("ms"))
    frame.write_parquet(folder / "s.parquet")
    (folder / "inventory.yaml").write_text(INVENTORY)
    hosts = Path(alert_rules.__file__).parent / "absmach" / "hosts.yaml"
    prices = fixtures.path("absmach", "prices.yaml")
    named = ["--inventory", folder / "inventory.yaml", "--prices", prices]
    return ["backtest", "--rules", hosts, "--samples", folder / "s.parquet", *named, "--step", "5m", "--json"]


def test_an_idle_day_in_the_backtest(run: Run, here: Path) -> None:
    done = run(*idle(here, 0.03))
    assert done.code == 0, done.err
    made = done.json["recommendations"]
    assert [one["kind"] for one in made] == ["resize"] * 3
    for document in made:
        check(document)
        assert (document["from"], document["to"]) == (
            "bare-metal (32 cores, 256 GB, 10 Gbit/s)",
            "node (8 cores, 16 GB, 5 Gbit/s)",
        )
        assert document["cost"]["per_month"] == "-1500.00"
        assert document["cost"]["totals"]["per_year"] == {"amount": "-18000.00", "bound": "exact"}
        assert document["cost"]["totals"]["per_year_reserved"] == {"amount": None, "bound": "unknown"}
        assert len(document["plan"]) == 3
    assert done.json["summary"]["pages"] == 0, "what is for the record pages nobody"


def test_an_idle_day_with_full_memory_in_the_backtest(run: Run, here: Path) -> None:
    done = run(*idle(here, 0.06))
    assert done.json["recommendations"] == []
    (why, *_) = [one["error"] for one in done.json["summary"]["advice_failed"]]
    assert "node: memory: 23.04 GB are needed, it has 16 GB" in why
