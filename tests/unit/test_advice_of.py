"""Scaling and failover rules that answer alerts about some resources only."""

from pathlib import Path

import pytest

from tests.backtest_cases import comma_separated, judged, ms

RULES = """
platform: shop
component: databases
signals:
  - {{name: system.cpu.utilization, unit: "1"}}
rules:
  - id: shop-cpu
    kind: alert
    title: Short of CPU
    signal: system.cpu.utilization
    by: [host]
    fold: max
    when: "> 0.8"
    severity: warning
    summary: "{{host}} is at {{value:.0%}}"
    basis: house
    rationale: a test
  - id: shop-replicas
    kind: scaling
    title: Replicas
    on: [shop-cpu]
    {only}
    method: replicas
    basis: house
    rationale: a test
"""
INVENTORY = """
resources:
  - {id: pg-1, kind: database, role: postgresql}
  - {id: web-1, kind: host, role: web}
"""


@pytest.mark.parametrize(
    ("only", "targets"),
    [
        ("of: {}", ["database cluster pg-1", "database cluster web-1"]),
        ("of: {kind: database}", ["database cluster pg-1"]),
        ("of: {role: web, kind: host}", ["database cluster web-1"]),
        ("of: {role: web, kind: vm}", []),
        ("where: {host: pg-1}", ["database cluster pg-1"]),
        ("where: {host: pg-1, zone: a}", []),
    ],
)
def test_only_alerts_about_these_resources_are_answered(tmp_path: Path, only: str, targets: list[str]) -> None:
    rows = [
        (ms(step), "system.cpu.utilization", {"host": host}, 0.9) for step in range(4) for host in ("pg-1", "web-1")
    ]
    (tmp_path / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    document = judged(
        tmp_path,
        RULES.format(only=only),
        comma_separated(tmp_path / "samples.csv", rows),
        inventory=tmp_path / "inventory.yaml",
    )
    assert sorted(one["target"] for one in document["recommendations"]) == targets
    assert document["summary"]["advice_failed"] == []
    assert document["summary"]["alerts"] == 2


LOST = """
platform: shop
component: services
signals:
  - {{name: service.up, unit: "1"}}
rules:
  - id: shop-down
    kind: alert
    title: It doesn't answer
    signal: service.up
    by: [service, host]
    fold: min
    when: "== 0"
    severity: critical
    summary: "{{service}} on {{host}} doesn't answer"
    basis: house
    rationale: a test
  - id: shop-broker
    kind: failover
    title: What to do about a broker
    on: [shop-down]
    {only}
    method: broker
    basis: house
    rationale: a test
"""
BROKERS = """
resources:
  - {id: k-1, kind: broker, role: kafka, cluster: main}
  - {id: k-2, kind: broker, role: kafka, cluster: main}
  - {id: web-1, kind: host, role: web}
"""


@pytest.mark.parametrize(
    ("only", "failed"),
    [("of: {}", 1), ("of: {role: kafka}", 0), ("where: {service: kafka}", 0), ("where: {service: web}", 1)],
)
def test_a_failover_rule_answers_what_it_is_about(tmp_path: Path, only: str, failed: int) -> None:
    rows = [
        (ms(step), "service.up", {"host": host, "service": service}, 0.0)
        for step in range(4)
        for host, service in (("k-1", "kafka"), ("web-1", "web"))
    ]
    (tmp_path / "inventory.yaml").write_text(BROKERS, encoding="utf-8")
    document = judged(
        tmp_path,
        LOST.format(only=only),
        comma_separated(tmp_path / "samples.csv", rows),
        inventory=tmp_path / "inventory.yaml",
    )
    answered = [] if only == "where: {service: web}" else ["kafka cluster main"]
    assert [one["target"] for one in document["recommendations"]] == answered
    assert len(document["summary"]["advice_failed"]) == failed
