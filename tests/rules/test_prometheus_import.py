"""Alerting rules of Prometheus become rules that mean the same; what doesn't map is named."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.model.errors import InvalidInput
from controlplane.model.rules import AlertRule
from controlplane.rules.files import RuleText
from controlplane.rules.load import Loaded, load_rules
from controlplane.rules.prometheus_import import Imported, import_rules
from controlplane.rules.prometheus_templates import summary
from controlplane.rules.promql import NotComparable, comparison
from tests.drafts import HOSTILE
from tests.servers import require_binary

FILE = """\
groups:
- name: api
  interval: 30s
  labels: {team: web}
  rules:
  - record: job:http_errors:ratio_rate5m
    expr: sum by (job) (rate(errors[5m])) / sum by (job) (rate(requests[5m]))
  - alert: HighErrorRate
    expr: job:http_errors:ratio_rate5m > 0.05
    for: 5m
    keep_firing_for: 1h
    labels: {severity: page}
    annotations:
      summary: '{{ $labels.job }}: {{ $value | humanizePercentage }} of requests fail'
      runbook_url: https://wiki/errors
  - alert: HighErrorRate
    expr: job:http_errors:ratio_rate5m > 0.01
    for: 10m
    labels: {severity: warning}
  - alert: DiskFull
    expr: 10 * 1024 ^ 2 >= (node_filesystem_avail_bytes{fstype!="tmpfs"})
  - alert: InstanceDown
    expr: up == 0 unless on (instance) maintenance
"""


def imported(text: str, name: str = "alerts.yml", unit: str = "1") -> Imported:
    return import_rules([RuleText(name, text)], "shop", unit)


def loaded(made: Imported) -> Loaded:
    found = load_rules([RuleText(name, text) for name, text in made.files.items()])
    assert found.problems == ()
    return found


def one(expr: str, **more: Any) -> str:
    return yaml.safe_dump({"groups": [{"name": "g", "rules": [{"alert": "A", "expr": expr, **more}]}]})


def test_a_file() -> None:
    made = imported(FILE)
    found = loaded(made)
    rules = {placed.id: placed.rule for placed in found.rules.rules}
    assert set(rules) == {"shop-high-error-rate-critical", "shop-high-error-rate-warning", "shop-disk-full"}
    page = rules["shop-high-error-rate-critical"]
    assert isinstance(page, AlertRule)
    assert str(page.when) == "> 0.05 1"
    assert (page.for_.total_seconds(), page.keep_firing_for.total_seconds()) == (300, 3600)
    assert page.summary == "{job}: {value:.2%} of requests fail"
    assert page.rationale is not None
    assert "alerts.yml, group api" in page.rationale
    assert "https://wiki/errors" in page.rationale
    warning, disk = rules["shop-high-error-rate-warning"], rules["shop-disk-full"]
    assert isinstance(warning, AlertRule)
    assert isinstance(disk, AlertRule)
    assert warning.signal == page.signal, "rules on one query share a signal"
    assert (warning.severity, disk.severity) == ("warning", "warning")
    assert warning.summary == "HighErrorRate"
    assert (disk.when.operator, disk.when.threshold) == ("<=", 10 * 1024**2)
    signals = {signal.name: signal.prometheus for _, signal in found.rules.signals}
    assert signals == {
        "high_error_rate_critical": "job:http_errors:ratio_rate5m",
        "disk_full": 'node_filesystem_avail_bytes{fstype!="tmpfs"}',
        "recorded.job.http_errors.ratio_rate5m": "job:http_errors:ratio_rate5m",
    }
    (unmapped,) = made.unmapped
    assert (unmapped.place.file, unmapped.place.line) == ("alerts.yml", 22)
    assert unmapped.message == "InstanceDown: `unless` joins two conditions"
    assert unmapped.remedy
    assert any("the labels team are left out" in note.message for note in made.notes)
    (told,) = (note for note in made.notes if "severity" in note.message)
    assert (told.message, told.place.line) == ("DiskFull: it names no severity and became warning", 20)
    assert {(mapped.name, mapped.place.line, mapped.rule) for mapped in made.mapped} >= {
        ("job:http_errors:ratio_rate5m", 6, None),
        ("DiskFull", 20, "shop-disk-full"),
    }


@pytest.mark.parametrize(
    ("named", "severity", "told"),
    [
        ("page", "critical", None),
        ("Critical", "critical", None),
        (" warning ", "warning", None),
        ("info", "info", None),
        ("emergency", "critical", "its severity emergency became critical"),
        ("error", "critical", "its severity error became critical"),
        ("HIGH", "critical", "its severity HIGH became critical"),
        ("P1", "critical", "its severity P1 became critical"),
        ("P2", "warning", "its severity P2 became warning"),
        ("none", "info", "its severity none became info"),
        ("low", "info", "its severity low became info"),
        ("wake the team", "warning", "its severity wake the team became warning"),
        ("{{ $labels.level }}", "warning", "its severity {{ $labels.level }} became warning"),
        (1, "warning", "its severity 1 became warning"),
        (0, "warning", "its severity 0 became warning"),
        ("", "warning", "it names no severity and became warning"),
        (None, "warning", "it names no severity and became warning"),
        ("x" * 10_000, "warning", "its severity xxx"),
    ],
)
def test_severities(named: Any, severity: str, told: str | None) -> None:
    made = imported(one("a > 1", labels={"severity": named}))
    rule = loaded(made).rules.rules[0].rule
    assert isinstance(rule, AlertRule)
    assert rule.severity == severity
    messages = [note.message for note in made.notes]
    assert [message.startswith(f"A: {told}") and len(message) < 120 for message in messages] == [True] * bool(told)


@pytest.mark.parametrize(
    ("of_group", "of_rule", "severity"),
    [("P1", None, "warning"), ("P1", "low", "info"), ("none", "page", "critical"), ("P1", ..., "critical")],
)
def test_the_severity_of_a_rule_goes_before_that_of_its_group(of_group: str, of_rule: Any, severity: str) -> None:
    labels = {} if of_rule is ... else {"severity": of_rule}
    group = {
        "name": "g",
        "labels": {"severity": of_group},
        "rules": [{"alert": "A", "expr": "a > 1", "labels": labels}],
    }
    rule = loaded(imported(yaml.safe_dump({"groups": [group]}))).rules.rules[0].rule
    assert isinstance(rule, AlertRule)
    assert rule.severity == severity


def test_twice_is_the_same_and_order_does_not_matter() -> None:
    texts = [RuleText("a.yml", FILE), RuleText("b.yml", FILE.replace("0.05", "0.06"))]
    once = import_rules(texts, "shop", "1")
    assert once == import_rules(texts[::-1], "shop", "1")
    loaded(once)
    rules = [mapped.rule for mapped in once.mapped if mapped.rule]
    assert len(rules) == len(set(rules)) == 4, "the same rule in two files is kept once"
    assert sum("says the same as the rule at a.yml" in problem.message for problem in once.unmapped) == 2


@pytest.mark.parametrize(
    ("expr", "query", "condition"),
    [
        ("a > 1", "a", "> 1"),
        ("(a > 1)", "a", "> 1"),
        ("1 < a", "a", "> 1"),
        ("1 >= a", "a", "<= 1"),
        ("0 == a", "a", "== 0"),
        ("a != -1.5", "a", "!= -1.5"),
        ("a > 2 * (3 + 4) / 7 - 1", "a", "> 1"),
        ("a > 1e-7", "a", "> 1e-07"),
        ("a > 1h", "a", "> 3600"),
        ("a > 0.1", "a", "> 0.1"),
        ("a > 123456789.123", "a", "> 123456789.123"),
        ("a > 1 > 0", "a > 1", "> 0"),
        ("-a < -4", "-a", "< -4"),
        ("count(a > 5 and b) > 1", "count(a > 5 and b)", "> 1"),
        ('rate(a{x=~"a.b\\\\d|c",y!="\\"q\\""}[5m] offset 1h) >= 1', None, ">= 1"),
        ("max_over_time(a[1h:5m]) > 1 # why", "max_over_time(a[1h:5m])", "> 1"),
    ],
)
def test_what_maps(expr: str, query: str | None, condition: str) -> None:
    made = imported(one(expr))
    found = loaded(made)
    ((_, signal),) = found.rules.signals
    if query is not None:
        assert signal.prometheus == query
    rule = found.rules.rules[0].rule
    assert isinstance(rule, AlertRule)
    operator, number = condition.split(" ")
    assert (rule.when.operator, rule.when.threshold) == (operator, float(number))


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ("a > 1 and b > 2", "`and` joins"),
        ("a > 1 or b > 2", "`or` joins"),
        ("a > 1 unless b", "`unless` joins"),
        ("(a > 1 unless b)", "`unless` joins"),
        ("a > bool 1", "`bool`"),
        ("a > b", "compares two expressions"),
        ("a > scalar(b)", "compares two expressions"),
        ("time() - a > time()", "compares two expressions"),
        ("absent(a)", "`absent` asks"),
        ("absent_over_time(a[5m])", "`absent_over_time` asks"),
        ("absent(a) == 1", "`absent` asks"),
        ("a", "no comparison"),
        ("a + 1", "no comparison"),
        ("vector(1)", "no comparison"),
        ("a > NaN", "no threshold"),
        ("a > Inf", "no threshold"),
        ("a > 1 / 0", "no threshold"),
        ("a > 10 ^ 10 ^ 10", "no threshold"),
        ("a >", "is not PromQL"),
        ("a[5m] > 1", "is not PromQL"),
        ("{{ .Values.expr }}", "is not PromQL"),
        ("(" * 50_000 + "a" + ")" * 50_000 + " > 1", "nested too deeply"),
        ("-" * 19_000 + "a > 1", "nested too deeply"),
        ("a" + " or a" * 3_000 + " > 1", "nested too deeply"),
        ("sum(" * 400 + "a" + ")" * 400 + " > 1", "nested too deeply"),
    ],
    ids=lambda text: text[:30],
)
def test_what_does_not_map(expr: str, reason: str) -> None:
    made = imported(one(expr))
    assert made.files == {}
    (problem,) = made.unmapped
    assert reason in problem.message
    assert problem.place.line == 4
    with pytest.raises(NotComparable):
        comparison(expr)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"alert": "A"}, "has no expr"),
        ({"expr": "a > 1"}, "a rule without a name: has no alert"),
        ({"alert": "A", "expr": "a > 1", "for": "5 minutes"}, "for: "),
        ({"alert": "A", "expr": "a > 1", "keep_firing_for": "-1m"}, "keep_firing_for: "),
        ({"alert": "A", "expr": "a > 1", "labels": ["severity"]}, "labels are no names"),
        ({"record": "r"}, "has no expr"),
    ],
)
def test_rules_that_prometheus_would_not_take(rule: dict[str, Any], reason: str) -> None:
    made = imported(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    assert reason in made.unmapped[0].message


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("{{ $labels.host }} is at {{ $value }}", "{host} is at {value}"),
        ("{{$labels.host}}{{.Value}} {{ .Labels.x }}", "{host}{value} {x}"),
        ("{{ $value | humanize }} of it", "{value:,.4g} of it"),
        ('{{ printf "%.2f%%" $value }}', "{value:.2f}%"),
        ('{{ $value | printf "%.0f" }}!', "{value:.0f}!"),
        ("a {{- $value -}} b", "a{value}b"),
        ("two\n  lines", "two lines"),
        ("a { b } {{ $value }}", "a {{ b }} {value}"),
        ("{{ $labels.value }}", None),
        ("{{ $labels.host | title }}", None),
        ("{{ if gt $value 1.0 }}x{{ end }}", None),
        ('{{ range query "up" }}x{{ end }}', None),
        ('{{ printf "%d %d" $value }}', None),
        ('{{ printf "%s" $labels.host }}', None),
        ("", None),
    ],
)
def test_templates(given: str, made: str | None) -> None:
    assert summary(given) == made


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["KubePodCrashLooping"], ["kube-pod-crash-looping"]),
        (["CPUThrottlingHigh", "etcd_members_Down"], ["cpu-throttling-high", "etcd-members-down"]),
        (["Node5xx"], ["node-5-xx"]),
    ],
)
def test_ids(names: list[str], ids: list[str]) -> None:
    rules = [{"alert": name, "expr": f"m{number} > 1"} for number, name in enumerate(names)]
    made = imported(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    assert [mapped.rule for mapped in made.mapped] == [f"shop-{name}" for name in ids]


def test_namesakes_keep_their_ids_in_any_order() -> None:
    rules = [{"alert": "A", "expr": f"m > {number}", "labels": {"severity": "page"}} for number in (1, 2, 3)]
    rules += [{"alert": "Ä", "expr": "m > 4"}, {"alert": "日本", "expr": "m > 5"}]
    first, second = (
        {mapped.rule for mapped in imported(yaml.safe_dump({"groups": [{"name": "g", "rules": order}]})).mapped}
        for order in (rules, rules[::-1])
    )
    assert first == second
    assert len(first) == 5


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\0" not in text and "\ud800" not in text])
def test_hostile_text(text: str) -> None:
    rule = {"alert": text, "expr": "m > 1", "labels": {text: text, "severity": text}}
    rule["annotations"] = {"summary": text, "runbook_url": text}
    made = imported(yaml.safe_dump({"groups": [{"name": text, "rules": [rule]}]}, allow_unicode=True))
    assert made.unmapped == ()
    loaded(made)


@pytest.mark.parametrize(
    "text", ["1e5", "010", "on", "null", "12:30:00", "~", "a: b", "# a", "- a", "'", "x\ny", "é", "{", " a "]
)
def test_text_that_looks_like_something_else(text: str) -> None:
    rule = {"alert": text, "expr": "m > 1", "annotations": {"summary": text}}
    made = imported(json.dumps({"groups": [{"name": "g", "rules": [rule]}]}, ensure_ascii=False))
    assert loaded(made).rules.rules[0].rule.title == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no rule file of Prometheus"),
        ("rules: []", "is no rule file of Prometheus"),
        ("groups: {a: b}", "is no rule file of Prometheus"),
        ("groups: [{name: g, rules: {a: b}}]", "is no list of rules"),
        ("groups: [", "not valid YAML"),
    ],
)
def test_what_is_no_rule_file(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        imported(text)


def test_kubernetes_resources_and_empty_groups() -> None:
    resource = {"kind": "PrometheusRule", "spec": yaml.safe_load(FILE)}
    assert len(imported(yaml.safe_dump(resource)).mapped) == 4
    assert imported("groups: [{name: g}]") == Imported({}, (), (), ())


SERIES = {
    'a{x="1",y="p"}': "1+1x40",
    'a{x="2",y="q"}': "40-1x40",
    'b{x="1"}': "5x40",
    'c{x="1",path="a.b7"}': "0+30x40",
    'c{x="2",path="z"}': "0+60x40",
}
EXPRESSIONS = [
    "a > 20",
    "20 > a",
    "(sum by (x) (a)) >= 2 * 10",
    "a / on (x) b > 2",
    "sum by (x) (rate(c[5m])) * 60 > 100",
    'rate(c{path=~"a\\\\.b\\\\d"}[5m]) > 0.5',
    "rate(c{path=~'a[.]b.'}[5m]) > 0.5",
    "max_over_time(a[5m:1m]) - a < 1",
    "-a ^ 2 < -100",
    "(-a) ^ 2 > 100",
    "2 ^ 3 ^ (a / 20) > 8",
    "a % 7 == 0",
    "a - on (x) (b - 1) != 0",
    "a > 5 > 10",
    "a offset 2m > 20",
    'label_replace(a, "z", "$1-\\"", "y", "(.).*") > 10',
    "a and on (x) b > 1",
    "topk(1, a) > 0",
    "avg_over_time((a > 5)[5m:30s]) > 0",
    "count(a > 5) < 3",
    "quantile by (y) (0.5, a) > 3",
]


def test_the_query_gives_what_prometheus_alerts_on(tmp_path: Path) -> None:
    """promtool on both: neither has a series or a value that the other one hasn't."""
    tests, compared = [], 0
    for expr in EXPRESSIONS:
        try:
            found = comparison(expr)
        except NotComparable:
            continue
        compared += 1
        mine = f"(\n{found.query}\n) {found.operator} {found.number!r}"
        both = f"count(({expr}) == ({mine})) == count({expr})"
        for at in ("5m", "10m"):
            gone = (f"({expr}) unless ({mine})", f"({mine}) unless ({expr})", f"({expr}) != ({mine})")
            tests += [{"expr": f"vector(1) and on () ({no})", "eval_time": at, "exp_samples": []} for no in gone]
        tests.append(
            {"expr": f"vector(1) and on () ({both})", "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": 1}]}
        )
    assert compared == len(EXPRESSIONS) - 1
    group = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
        "promql_expr_test": tests,
    }
    file = tmp_path / "same.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [group]}))
    done = subprocess.run(
        [str(require_binary("promtool")), "test", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
