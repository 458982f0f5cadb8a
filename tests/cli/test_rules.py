"""`controlplane rules show`, `docs` and `check --against`."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.catalogue import asked, catalogue, escaped, fenced
from controlplane.model.rules import AlertRule
from controlplane.rules.files import RuleText, read_rule_texts, shipped_platforms
from controlplane.rules.load import load_rules
from tests.cli.conftest import Run
from tests.drafts import HOSTILE
from tests.servers_hostile import Asked, Handler, Hostile
from tests.servers_hostile import hostile_server as _hostile_server

LAG = "catalyst-kafka-consumer-lag"

OWN = r"""
platform: shop
component: kafka
signals:
  - {name: kafka.lag, unit: "{message}", exporter: kafka_exporter, prometheus: lag, labels: {consumergroup: group}}
  - {name: disk.usage, unit: By, prometheus: disk_usage}
  - {name: disk.limit, unit: By, prometheus: disk_limit}
  - {name: disk.left, unit: s, derive: {method: time_to_limit, of: disk.usage, limit: disk.limit, over: 2h}}
  - {name: gone, unit: "1", derive: {method: absent, of: [unread]}}
  - {name: unread, unit: "1", prometheus: unread}
  - {name: pushed, unit: "1"}
rules:
  - {id: lag, kind: alert, title: Behind, signal: kafka.lag, by: [group], fold: sum, when: "> 100000", clear: "< 80000",
     for: 2m, severity: critical, summary: "{group} {value}", basis: house, rationale: One reason., runbook: lag}
  - {id: orders, kind: alert, title: Orders, signal: kafka.lag, where: {topic: orders}, when: "> 1", severity: info,
     summary: late, basis: house, rationale: r}
  - {id: soon-full, kind: alert, title: Full, signal: disk.left, when: "< 43200", missing: {keep: 5m},
     severity: warning, summary: full, basis: documented, source: {document: Guide, section: Disks, quote: "12 hours"}}
  - {id: nobody, kind: alert, title: Nobody tells, signal: gone, when: "== 1", severity: info, summary: s, basis: house,
     rationale: r}
  - {id: elsewhere, kind: alert, title: Pushed, signal: pushed, when: "== 1", severity: info, summary: s, basis: house,
     rationale: r}
  - {id: threads, kind: drift, title: Threads, of: {role: kafka}, severity: warning, basis: house, rationale: r,
     settings: [{setting: kafka.config.threads, expect: ">= 8"}, {setting: kafka.config.heap, expect: ">= 64 GiBy"},
                {setting: kafka.config.level, one_of: [a, b]}]}
  - {id: more, kind: scaling, title: More consumers, on: [lag], method: consumer_lag, basis: house, rationale: r,
     parameters: {drain_within: 10m, consumer_price: x, consumers_per_instance: 1, consumer_start: 5m}}
"""


@pytest.fixture
def shop(here: Path) -> Path:
    (here / "rules").mkdir()
    (here / "rules" / "kafka.yaml").write_text(OWN)
    (here / "controlplane.yaml").write_text("rules: [rules]")
    return here


def test_show_says_everything(run: Run, here: Path) -> None:
    shown = run("rules", "show", LAG)
    assert (shown.code, shown.err) == (0, "")
    for text in (
        "> 100,000 messages",
        "< 80,000 messages",
        "for 2m",
        "a missing series keeps its state for 10m",
        "critical",
        "sum by consumer_group",
        "kafka_consumergroup_lag",
        "label consumergroup is consumer_group",
        "“Alerts: lag > 100k messages”",
        "KAFKA CLUSTER (Backbone)",
        "Rationale: ",
        "docs/runbooks/kafka-consumer-lag.md",
        "catalyst-kafka-lag-alert: “Kafka lag > 100k messages”",
        "Advice: catalyst-kafka-lag-capacity",
    ):
        assert text in shown.out
    document = run("rules", "show", LAG, "--json").json
    assert document["rule"]["when"] == "> 100000 {message}"
    assert document["signal"]["prometheus"].startswith("max by (consumergroup")
    assert document["signal"]["exporter"] == "kafka_exporter"
    assert document["unit"] == "{message}"
    assert document["advised_by"][0]["id"] == "catalyst-kafka-lag-capacity"
    assert {figure["id"] for figure in document["figures"]} >= {"catalyst-kafka-lag-alert"}
    assert document["runbook"] == "docs/runbooks/kafka-consumer-lag.md"
    assert len(document["digest"]) == 64


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("soon-full", ["disk.left < 12h", "derived: time_to_limit of disk.usage and disk.limit, over 2h", "made of"]),
        ("threads", ["kafka.config.threads: >= 8", "kafka.config.heap: >= 64 GiBy", "kafka.config.level: a or b"]),
        ("more", ["scaling by consumer_lag, on lag", "drain_within: 10m"]),
        ("soon", ["soon-full: Full"]),
    ],
)
def test_show_every_kind(run: Run, shop: Path, rule: str, says: list[str]) -> None:
    shown = run("rules", "show", rule)
    assert shown.code == 0
    for text in says:
        assert text in shown.out
    assert run("rules", "show", rule, "--json").json["platform"] == "shop"


def test_show_what_is_not_there(run: Run, shop: Path) -> None:
    shown = run("rules", "show", "lagg")
    assert (shown.code, shown.out) == (1, "")
    assert "there is no rule lagg; see `controlplane rules list`" in shown.err


@pytest.mark.parametrize("platform", shipped_platforms())
def test_the_catalogue_has_every_rule_quote_and_exclusion(run: Run, here: Path, platform: str) -> None:
    done = run("rules", "docs", platform, "-o", "rules.md")
    assert (done.code, done.out) == (0, "")
    text = (here / "rules.md").read_text(encoding="utf-8")
    rules = [one for one in load_rules(read_rule_texts([platform])[0]).rules.rules if one.platform == platform]
    assert rules
    for placed in rules:
        assert text.count(f"\n#### `{placed.id}`: ") == 1
        row = next(line for line in text.splitlines() if line.startswith(f"| `{placed.id}` |"))
        assert row.count(" | ") == 4
        assert escaped(asked(placed)) in row
        if placed.rule.source:
            assert f"> {escaped(placed.rule.source.quote)}\n" in text
        if placed.rule.rationale:
            assert escaped(placed.rule.rationale) in text
        if isinstance(placed.rule, AlertRule):
            assert f"\n**{escaped(placed.rule.signal)}** in " in text
    assert text.count("```") % 2 == 0


def test_the_catalogue_of_own_rules(run: Run, shop: Path) -> None:
    text = run("rules", "docs").out
    assert "| `lag` | kafka.lag > 100,000 messages | 2m | critical | house |" in text
    assert "| `soon-full` | disk.left \\< 12h | 0s | warning | documented |" in text
    assert "| `more` | scaling by consumer\\_lag, on lag | – | – | house |" in text
    assert (
        "Sum by group; for 2m; a missing series ends the alert; ends at \\< 80,000 messages; advice by `more`." in text
    )
    assert "> 12 hours\n>\n> — Guide, Disks" in text
    assert "| kafka.config.threads | \\>= 8 |  |" in text
    assert "**kafka.lag** in {message}. Exporter: kafka\\_exporter." in text
    assert "```promql\nlag\n```" in text
    assert run("rules", "docs", "catalist").code == 1


NASTY = [*HOSTILE, "a | b\n# h", "- x", "1. x", "> q", "![i](u)", "``` code", "&lt; & ~~s~~", "--- ", "$m$", "\\"]


@pytest.mark.parametrize("text", NASTY)
def test_text_stays_text(text: str) -> None:
    made = escaped(text)
    assert "\n" not in made
    assert not re.match(r"(\s|[-+>#=]|[0-9]+[.)])", made), "it would begin a block"
    bare = re.sub(r"\\[\\`*_\[\]<|~$&>+\-=#.)]", "", made)
    assert not re.search(r"[`*_\[\]<|~$\x00-\x1f\x7f\u202e]", bare)
    code = fenced(text, "promql").split("\n")
    assert code[0].removesuffix("promql") == code[-1]
    assert not any(code[-1] in line for line in code[1:-1])


def test_hostile_rules_in_the_catalogue() -> None:
    rule = {"id": "a", "kind": "alert", "signal": "s.a", "when": "> 1", "severity": "info", "summary": "s"}
    for text in NASTY:
        if "\ud800" in text or "\x00" in text:
            continue  # no file can hold these
        more = {"title": text[:120], "basis": "documented", "rationale": text}
        more["source"] = {"document": text, "section": text, "quote": text}
        signal = {"name": "s.a", "unit": "1", "prometheus": text, "description": text, "exporter": text}
        pack = {"platform": "p", "component": "c", "signals": [signal], "rules": [{**rule, **more}]}
        loaded = load_rules([RuleText("p.yaml", json.dumps(pack, ensure_ascii=False))])
        assert not loaded.problems
        made, problems = catalogue(loaded.rules, ["p"])
        assert not problems
        lines = made.splitlines()
        assert [line for line in lines if line.startswith("#")][:2] == ["# Rules", "## p"]
        assert sum(line.startswith("#### ") for line in lines) == 1
        assert "\x1b" not in made


# check --against


@contextlib.contextmanager
def hostile_server(behave: Callable[[Handler, Asked], None]) -> Iterator[Hostile]:
    with _hostile_server() as server:
        server.behave = behave
        yield server


def vector(*labels: dict[str, str]) -> dict[str, Any]:
    result = [{"metric": {"__name__": "m", **one}, "value": [1, "1"]} for one in labels]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


ANSWERS = {
    "lag": vector({"consumergroup": "g", "topic": "orders"}, {"consumergroup": "h", "topic": "t"}),
    "disk_usage": vector({"host": "a"}),
    "disk_limit": vector({"host": "a"}),
    "unread": vector(),
}


def behaving(answers: dict[str, Any]) -> Callable[[Handler, Asked], None]:
    def behave(handler: Handler, asked: Asked) -> None:
        answer = answers[asked.form["query"]]
        handler.reply_json(answer, 400 if answer["status"] == "error" else 200)

    return behave


def against(run: Run, answers: dict[str, Any], *more: str) -> tuple[int, dict[str, str], dict[str, str]]:
    with hostile_server(behaving(answers)) as server:
        done = run("rules", "check", "--against", server.url, "--json", *more)
    found = done.json["against"]
    signals = {one["signal"]: one["state"] for one in found["signals"]}
    return done.code, signals, {one["rule"]: one["state"] for one in found["rules"]}


def test_a_server_that_has_it_all(run: Run, shop: Path) -> None:
    code, signals, rules = against(run, ANSWERS)
    assert code == 0, "a signal that no rule reads, or whose absence a rule tells, may be absent"
    assert signals == {"disk.limit": "present", "disk.usage": "present", "kafka.lag": "present", "unread": "absent"}
    present = {"lag", "orders", "soon-full", "nobody"}
    assert rules == {**dict.fromkeys(present, "present"), "elsewhere": "elsewhere"}


ERROR = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected"}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"lag": vector()}, {"lag": "absent", "orders": "absent"}),
        ({"lag": vector({"consumergroup": "g", "topic": "t"})}, {"orders": "absent"}),
        ({"lag": vector({"group2": "g", "topic": "orders"})}, {"lag": "absent"}),
        ({"disk_limit": vector()}, {"soon-full": "absent"}),
        ({"disk_usage": ERROR}, {"soon-full": "error"}),
        ({"disk_usage": vector({"host": "a"}, {"host": "a"})}, {"soon-full": "error"}),
        ({"unread": ERROR}, {"nobody": "error"}),
    ],
    ids=["no series", "none of where", "no label of by", "an input", "an error", "duplicates", "an error of absent"],
)
def test_a_rule_without_data_is_not_fine(run: Run, shop: Path, change: dict[str, Any], rules: dict[str, str]) -> None:
    code, _, found = against(run, {**ANSWERS, **change})
    assert code == 1
    assert {name: state for name, state in found.items() if state not in {"present", "elsewhere"}} == rules


def test_it_is_told_to_people(run: Run, shop: Path) -> None:
    with hostile_server(behaving({**ANSWERS, "lag": vector(), "unread": ERROR})) as server:
        done = run("rules", "check", "--against", server.url)
    assert done.code == 1
    assert "absent: shop/kafka.lag has no series: lag, orders" in done.err
    assert "parse error: unexpected" in done.err
    row = next(line for line in done.out.splitlines() if "shop/kafka.lag" in line)
    assert "absent" in row
    assert "kafka_exporter" in row
    assert "2 are absent, 1 can't tell" in " ".join(done.out.split())


def test_a_server_that_says_nothing_is_left_alone(run: Run, shop: Path) -> None:
    with hostile_server(lambda handler, _: handler.reply(b"no", 404)) as server:
        done = run("rules", "check", "--against", server.url, "--json")
        assert len(server.asked) <= 4
    assert done.code == 1
    assert {one["state"] for one in done.json["against"]["signals"]} == {"error"}
    refused = run("rules", "check", "--against", "http://127.0.0.1:1")
    assert refused.code == 1
    assert "Connection refused" in refused.err


def test_the_token_comes_from_the_environment_and_stays_there(
    run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret-token")

    def behave(handler: Handler, asked: Asked) -> None:
        known = asked.headers.get("authorization") == "Bearer s3cret-token"
        handler.reply_json(vector({"topic": "orders", "consumergroup": "g"}), 200 if known else 401)

    with hostile_server(behave) as server:
        assert run("rules", "check", "--against", server.url, "--bearer-env", "TOKEN").code == 0
        without = run("rules", "check", "--against", server.url)
        assert without.code == 1
        assert "401" in without.err
        unset = run("rules", "check", "--against", server.url, "--bearer-env", "NOT_SET")
        assert unset.code == 2
        assert "NOT_SET" in unset.err
        named = server.url.replace("http://", "http://ada:s3cret-token@")
        shown = run("rules", "check", "--against", named)
        assert "s3cret" not in shown.out + shown.err


@pytest.mark.parametrize(
    "options", [("--against", "prometheus:9090"), ("--bearer-env", "X"), ("--against", "http://[")]
)
def test_usage(run: Run, shop: Path, options: tuple[str, ...]) -> None:
    done = run("rules", "check", *options)
    assert (done.code, done.out) == (2, "")
