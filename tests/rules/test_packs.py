"""Shipped packs: every file parses and is cited, and the recorded evening pages for its incidents and nothing else."""

import json
import re
import subprocess
from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import yaml

import alert_rules
import fixtures
from controlplane.costs import read_price_book
from controlplane.documents import parse_document, read_document, validate
from controlplane.frames import Samples
from controlplane.history import History
from controlplane.model.alerts import alert_id
from controlplane.model.payloads import AlertFacts
from controlplane.model.resources import Inventory
from controlplane.model.rules import AlertRule, Basis, DriftRule, FailoverRule, Placed, RuleFile, RuleSet, ScalingRule
from controlplane.model.time import from_ms
from controlplane.monitor.source import SIGNALS
from controlplane.rules.compile import compile_rules
from controlplane.rules.coverage import coverage
from controlplane.rules.evaluate import STATE, evaluate
from controlplane.rules.files import OWN, is_rule_file, read_rule_texts, read_test_texts, shipped_platforms
from controlplane.rules.load import load_rules
from controlplane.ruletests import RuleTests, run_tests
from controlplane.telemetry.inventory_file import read_inventory
from controlplane.telemetry.kafka_frames import SIGNALS as OF_KAFKA
from controlplane.tick.methods import METHODS
from tests.servers import require_binary

ROOT = Path(alert_rules.__file__).parent
FILES = sorted(file for file in ROOT.glob("*/*.yaml") if is_rule_file(file.name))
RUNBOOKS = ROOT.parent / "docs" / "runbooks"
STEP_MS = 15_000

ALERTS = {
    "catalyst-kafka-consumer-lag": ("critical", "> 100000", "< 80000"),
    "catalyst-disk-usage": ("warning", "> 0.85", "< 0.8"),
    "catalyst-hybrid-disk-usage": ("warning", "> 0.85", "< 0.8"),
    "datalyptica-disk-usage": ("warning", "> 0.85", "< 0.8"),
    "absmach-disk-usage": ("warning", "> 0.85", "< 0.8"),
    "prism-disk-usage": ("warning", "> 0.85", "< 0.8"),
    "prism-cross-az-traffic": ("warning", "> 0.05", "< 0.045"),
    "catalyst-service-down": ("critical", "== 0", None),
    "absmach-node-unreachable": ("critical", "== 0", None),
    "datalyptica-service-down": ("critical", "== 0", None),
    "catalyst-hybrid-service-down": ("critical", "== 0", None),
    "catalyst-hybrid-postgresql-primary-lost": ("critical", "< 1", None),
    "catalyst-postgresql-primary-lost": ("critical", "< 1", None),
    "prism-zone-lost": ("critical", "<= 0", None),
}
ANSWERS = {
    "catalyst-kafka-lag-capacity": "consumer_lag",
    "catalyst-storage-growth": "storage_growth",
    "catalyst-kafka-brokers": "brokers",
    "catalyst-kafka-brokers-disk": "brokers",
    "catalyst-kafka-brokers-transactions": "brokers",
    "catalyst-postgresql-replicas": "replicas",
    "catalyst-postgresql-writes": "replicas",
    "catalyst-timescaledb-replicas": "replicas",
    "catalyst-dragonflydb-replicas": "replicas",
    "catalyst-dragonflydb-commands": "replicas",
    "catalyst-sms-instances": "fleet",
    "catalyst-whatsapp-instances": "fleet",
    "catalyst-microservice-servers": "fleet",
    "catalyst-hybrid-storage-growth": "storage_growth",
    "datalyptica-storage-growth": "storage_growth",
    "datalyptica-object-growth-plan": "growth_plan",
    "datalyptica-nfs-takeover": "active_standby",
    "datalyptica-workers": "fleet",
    "datalyptica-clickhouse-size": "fleet",
    "datalyptica-kafka-size": "brokers",
    "absmach-storage-growth": "storage_growth",
    "absmach-ladder": "ladder",
    "prism-storage-growth": "storage_growth",
    "prism-cross-az-placement": "placement",
    "catalyst-postgresql-failover": "primary",
    "catalyst-hybrid-postgresql-failover": "primary",
    "datalyptica-postgresql-failover": "primary",
    "catalyst-postgresql-standby": "standby",
    "catalyst-dragonflydb-failover": "cache",
    "catalyst-kafka-broker-lost": "broker",
    "catalyst-hybrid-postgresql-standby": "standby",
    "datalyptica-postgresql-standby": "standby",
    "prism-zone-failover": "zone",
    "prism-redis-size": "fleet",
    "prism-proxy-size": "fleet",
    "prism-redis-right-size": "right_size",
    "prism-proxy-right-size": "right_size",
    "catalyst-hybrid-vm-right-size": "right_size",
    "datalyptica-vm-right-size": "right_size",
    "absmach-node-right-size": "right_size",
    "catalyst-host-reserve-servers": "reserve",
    "catalyst-hybrid-host-failover": "host",
    "catalyst-hybrid-host-reserve-hosts": "reserve",
    "catalyst-hybrid-host-spare": "host_spare",
    "datalyptica-host-reserve-servers": "reserve",
    "prism-zone-reserve-instances": "reserve",
    "catalyst-region-failover": "region",
    "prism-region-failover": "region",
}


@cache
def rule_set() -> RuleSet:
    texts, problems = read_rule_texts((*shipped_platforms(), OWN))
    loaded = load_rules(texts)
    assert not problems
    assert not loaded.problems
    return loaded.rules


def rules() -> tuple[Placed, ...]:
    return rule_set().rules


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_parses_and_stands_where_it_says(path: Path) -> None:
    file = validate(read_document(path), RuleFile)
    assert (file.platform, file.component) == (path.parent.name, path.stem)
    assert file.rules


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_can_be_used_alone(path: Path) -> None:
    texts, unread = read_rule_texts((), [path])
    assert (unread, load_rules(texts).problems) == ([], ())


def test_the_rules_behind_the_recorded_evening_stay_what_they_are() -> None:
    assert shipped_platforms() == fixtures.platforms()
    found = {}
    for placed in rules():
        rule = placed.rule
        if isinstance(rule, AlertRule):
            clear = str(rule.clear.model_copy(update={"unit": None})) if rule.clear else None
            found[rule.id] = (rule.severity.value, str(rule.when.model_copy(update={"unit": None})), clear)
    assert {rule: found[rule] for rule in ALERTS} == ALERTS
    answers = {p.id: p.rule.method for p in rules() if isinstance(p.rule, ScalingRule | FailoverRule)}
    assert answers == ANSWERS


def test_ids_are_unique_and_name_their_platform() -> None:
    ids = [placed.id for placed in rules()]
    assert len(ids) == len(set(ids))
    assert all(placed.id.startswith(placed.platform.replace("_", "-") + "-") for placed in rules())


@pytest.mark.parametrize("placed", rules(), ids=lambda placed: placed.id)
def test_rules_are_cited_and_explained(placed: Placed) -> None:
    rule = placed.rule
    assert rule.rationale
    if rule.basis is Basis.DOCUMENTED:
        assert rule.source is not None
        assert rule.source.document.strip()
        assert rule.source.section.strip()
        assert rule.source.quote.strip()
    if isinstance(rule, AlertRule):
        assert rule.for_ > timedelta(0)
        assert rule.runbook is not None


def test_coverage_names_figures_alone() -> None:
    for platform in shipped_platforms():
        found = coverage(platform, rule_set())
        assert not found.problems
        assert {figure: checks for figure, checks in found.covered.items() if len(set(checks)) != len(checks)} == {}


@pytest.mark.parametrize("platform", shipped_platforms())
def test_every_figure_that_asks_for_a_rule_has_one_or_a_reason(platform: str) -> None:
    found = coverage(platform, rule_set())
    assert found.missing == ()


@pytest.mark.parametrize("placed", rules(), ids=lambda placed: placed.id)
def test_runbooks_have_their_page(placed: Placed) -> None:
    assert placed.rule.runbook is not None
    page = (RUNBOOKS / f"{placed.rule.runbook}.md").read_text(encoding="utf-8")
    for heading in ("\n## First checks\n", "\n## Likely causes\n", "\n## What the recommendation does\n", "```sh\n"):
        assert heading in page


def test_no_runbook_is_left_over() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {placed.rule.runbook for placed in rules()}


@pytest.mark.parametrize(
    "placed", [p for p in rules() if isinstance(p.rule, ScalingRule | FailoverRule)], ids=lambda placed: placed.id
)
def test_answers_answer_alerts_of_their_platform(placed: Placed) -> None:
    alerts = {p.id for p in rules() if isinstance(p.rule, AlertRule) and p.platform == placed.platform}
    assert not isinstance(placed.rule, AlertRule)
    assert set(placed.rule.on) <= alerts


@pytest.mark.parametrize("platform", shipped_platforms())
def test_recorded_signals_are_declared_and_have_the_labels_of_their_rules(platform: str) -> None:
    declared = {signal.name for owner, signal in rule_set().signals if owner == platform and signal.derive is None}
    recorded = pl.read_parquet(fixtures.path(platform, "evening.parquet")).select("signal", "labels").unique()
    assert set(recorded["signal"].to_list()) <= declared
    for placed in rules():
        if placed.platform == platform and isinstance(placed.rule, AlertRule):
            labels = recorded.filter(pl.col("signal") == placed.rule.signal)["labels"].to_list()
            assert labels or placed.id not in ALERTS
            for text in labels:
                assert set(placed.rule.by or ()) <= set(json.loads(text))


@pytest.mark.parametrize("platform", shipped_platforms())
def test_every_signal_has_a_query_and_says_who_exports_it(platform: str) -> None:
    for owner, signal in rule_set().signals:
        if owner == platform:
            # Prometheus doesn't have everything that the brokers themselves tell.
            assert signal.derive or signal.name in OF_KAFKA or (signal.prometheus and signal.exporter)
            assert signal.description.endswith((".", ")"))
            assert "(" in signal.description


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    promtool = require_binary("promtool")
    recorded = [
        {"record": "shipped:query", "expr": signal.prometheus, "labels": {"platform": owner, "signal": signal.name}}
        for owner, signal in rule_set().signals
        if signal.prometheus
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "shipped", "rules": recorded}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(recorded)} rules found" in done.stdout


def test_the_pack_about_the_control_plane_reads_what_it_gives() -> None:
    own = {signal.name for platform, signal in rule_set().signals if platform == OWN}
    read = {p.rule.signal for p in rules() if p.platform == OWN and isinstance(p.rule, AlertRule)}
    assert own == read == set(SIGNALS)
    assert not any(signal.prometheus for platform, signal in rule_set().signals if platform == OWN)


# the recorded evening


@cache
def evening() -> Samples:
    """All packs as one stretch of samples; each pack is a source of its own."""
    parts = []
    for platform in fixtures.platforms():
        frame = pl.read_parquet(fixtures.path(platform, "evening.parquet"))
        parts.append(frame.with_columns(pl.lit(platform).alias("source"), pl.lit(platform).alias("platform")))
    frame = pl.concat(parts)
    names = ["source", "platform", "signal", "labels"]
    series = frame.select(names).unique().sort(names).with_row_index("sid")
    first, last = frame["ts"].min(), frame["ts"].max()
    coverage = series.select(names[:3]).unique().sort(names[:3])
    return Samples(
        series.with_columns(pl.col("sid").cast(pl.UInt32)),
        frame.join(series, on=names).select(pl.col("sid").cast(pl.UInt32), "ts", "value"),
        coverage.with_columns(pl.lit(first).alias("first"), pl.lit(last).alias("last")),
    )


@cache
def transitions() -> pl.DataFrame:
    done = evaluate(compile_rules(rule_set()), STATE.to_frame(), evening(), STEP_MS)
    assert done.duplicates.is_empty()
    return done.transitions


def clock(ms: int) -> str:
    return from_ms(ms).strftime("%H:%M:%S")


def test_the_evening_pages_for_its_incidents_and_nothing_else() -> None:
    told = transitions().filter(pl.col("kind").is_in(["fired", "resolved", "nodata"]))
    assert [(clock(ts), rule, labels, kind) for ts, rule, labels, kind in told.select(
        "ts", "rule", "labels", "kind"
    ).iter_rows()] == [
        ("19:19:00", "catalyst-kafka-consumer-lag", '{"consumer_group":"billing"}', "fired"),
        ("19:30:30", "prism-cross-az-traffic", '{"cluster":"prism"}', "fired"),
        ("19:36:00", "catalyst-hybrid-postgresql-primary-lost", '{"cluster":"hybrid-pg"}', "fired"),
        ("19:36:00", "catalyst-hybrid-service-down", '{"host":"postgres-primary","service":"postgresql"}', "fired"),
        ("19:47:15", "datalyptica-disk-usage", '{"host":"kafka-04","mountpoint":"/data"}', "fired"),
        ("19:58:00", "catalyst-hybrid-postgresql-primary-lost", '{"cluster":"hybrid-pg"}', "resolved"),
        ("20:10:30", "prism-zone-lost", '{"zone":"us-west-2c"}', "fired"),
        ("20:12:30", "catalyst-kafka-consumer-lag", '{"consumer_group":"billing"}', "resolved"),
        ("20:21:00", "absmach-node-unreachable", '{"node":"mqtt-2"}', "fired"),
        ("20:25:00", "catalyst-hybrid-service-down", '{"host":"postgres-primary","service":"postgresql"}', "resolved"),
        ("20:26:00", "absmach-node-unreachable", '{"node":"mqtt-2"}', "resolved"),
        ("20:35:00", "prism-zone-lost", '{"zone":"us-west-2c"}', "resolved"),
    ]  # fmt: skip


def test_restarts_and_a_short_spike_wait_and_are_dropped() -> None:
    dropped = transitions().filter(pl.col("kind") == "dropped").select("rule", "labels").unique()
    assert {
        ("catalyst-kafka-consumer-lag", '{"consumer_group":"firewall-scoring"}'),
        ("catalyst-service-down", '{"host":"microservice-3","service":"whatsapp"}'),
        ("datalyptica-service-down", '{"host":"trino-coordinator-01","service":"trino"}'),
        ("catalyst-hybrid-service-down", '{"host":"rcs-services","service":"rcs"}'),
        ("absmach-node-unreachable", '{"node":"mqtt-3"}'),
    } <= set(dropped.iter_rows())


@pytest.mark.parametrize(
    ("answer", "kind", "to"),
    [
        ("catalyst-kafka-lag-capacity", "scale_out", r"^(7|8|9|10|11|12) consumers"),
        ("datalyptica-storage-growth", "add_storage", r"^[5-9] TB"),
        ("prism-cross-az-placement", "rebalance", "of traffic across zones"),
        ("prism-zone-failover", "failover", r"start \d+ redis-hot-tier"),
        ("catalyst-hybrid-postgresql-failover", "failover", "postgres-replica"),
    ],
)
def test_the_answer_to_an_incident_is_of_the_right_kind_and_priced(answer: str, kind: str, to: str) -> None:
    placed = next(p for p in rules() if p.id == answer)
    assert isinstance(placed.rule, ScalingRule | FailoverRule)
    alert = next(p for p in rules() if p.id == placed.rule.on[0])
    assert isinstance(alert.rule, AlertRule)
    fired = transitions().filter((pl.col("rule") == alert.id) & (pl.col("kind") == "fired")).row(0, named=True)
    labels = json.loads(fired["labels"])
    facts = AlertFacts(
        alert=alert_id(alert.id, fired["source"], labels),
        rule=alert.id,
        source=fired["source"],
        platform=alert.platform,
        component=alert.component,
        labels=labels,
        severity=alert.rule.severity,
        title=alert.rule.title,
        summary=alert.rule.title,
        value=fired["value"],
        threshold=str(alert.rule.when),
        unit=alert.unit,
        active_at=from_ms(fired["active_at"]),
    )
    inventory = Inventory(resources=read_inventory(fixtures.path(alert.platform, "inventory.yaml"), alert.platform))
    book = read_price_book(fixtures.path(alert.platform, "prices.yaml"))
    history = History(facts, evening(), from_ms(fired["ts"]))
    proposal = METHODS[type(placed.rule.parameters)](history, placed.rule.parameters, inventory, book)
    assert proposal.kind == kind
    assert re.search(to, proposal.to), proposal.to
    assert proposal.cost.known


# the tests that the packs bring along

CASES = {"firing", "not firing", "at the threshold", "one step short of for", "gap", "missing", "recovery"}
DRIFT_CASES = {"firing", "not firing", "missing", "recovery"}


@cache
def pack_tests() -> dict[str, set[str]]:
    """Rule → the names of its cases, over all test files."""
    found: dict[str, set[str]] = {}
    for text in read_test_texts():
        for test in validate(parse_document(text.text, text.name), RuleTests).tests:
            found.setdefault(test.rule, set()).update(test.cases)
    return found


@pytest.mark.parametrize("placed", rule_set().alert_rules(), ids=lambda placed: placed.id)
def test_every_rule_is_tested_from_below_the_threshold_to_recovery(placed: Placed) -> None:
    wanted = DRIFT_CASES if isinstance(placed.rule, DriftRule) else CASES
    assert wanted <= pack_tests().get(placed.id, set())


@pytest.mark.parametrize("platform", [*shipped_platforms(), OWN])
def test_the_tests_of_the_packs_pass(platform: str) -> None:
    ran = 0
    for text, beside in read_test_texts().items():
        if f"/{platform}/" in text.name:
            for outcome in run_tests(parse_document(text.text, text.name), load_rules(beside).rules):
                assert not outcome.failure, outcome
                ran += 1
    assert ran
