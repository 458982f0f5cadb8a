"""A storm: 10,000 alerts of several zones fire at one step. Few messages, right counts, bounded sizes."""

from datetime import timedelta
from typing import Any

import pytest

from controlplane.model.events import Draft
from controlplane.model.notifications import Action, Delivery
from controlplane.model.payloads import AlertFired, IncidentChanged, NotificationQueued
from controlplane.model.resources import Inventory, Resource, ResourceKind
from controlplane.model.routes import Route, Tree
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms
from controlplane.notify.desk import Rules
from controlplane.notify.groups import Grouper
from controlplane.notify.incident import MEMBERS
from controlplane.notify.labels import Places
from controlplane.notify.preview import Kind, bodies
from controlplane.notify.slack import SECTION
from controlplane.tick.steps import Board, walk
from tests.drafts import START, facts

ALERTS = 10_000
ZONES = 4
CRITICAL = 8
"""One in so many."""
BYTES = 100_000
"""A message is smaller than this, however many alerts it is about."""


class NoAdvice:
    """An adviser that knows nothing."""

    def rules(self, *_: Any) -> list[str]:
        return []

    def propose(self, *_: Any) -> list[Draft]:
        return []

    def review(self, *_: Any) -> list[Draft]:
        return []


@pytest.fixture(scope="module")
def stormed() -> list[Draft]:
    hosts = tuple(
        Resource(id=f"h{n}", platform="shop", kind=ResourceKind.HOST, zone=f"z{n % ZONES}") for n in range(ALERTS)
    )
    fired = []
    for n in range(ALERTS):
        severity = Severity.CRITICAL if n % CRITICAL == 0 else Severity.WARNING
        of = facts(
            f"a{n}",
            rule="shop-host-down",
            platform="shop",
            labels={"host": f"h{n}", "text": "x" * 300},
            severity=severity,
        )
        fired.append(Draft(stream=f"alert:a{n}", key="0", payload=AlertFired(facts=of), occurred_at=START))
    tree = Tree(
        Route.model_validate(
            {
                "channels": ["slack"],
                "group_by": ["platform", "zone"],
                "group_wait": "30s",
                "routes": [
                    {"match": ['severity="critical"'], "channels": ["slack", "pager"], "group_by": ["platform", "zone"]}
                ],
            }
        )
    )
    rules = Rules(
        tree=tree, grouper=Grouper(tree, Places(Inventory(resources=hosts)), "test"), channels=("slack", "pager")
    )
    board = Board(alerts={}, recommendations={}, incidents={})
    steps = [to_ms(START + timedelta(seconds=15 * n)) for n in range(4)]
    adviser: Any = NoAdvice()
    return walk(rules, board, fired, steps, adviser)


def queued(drafts: list[Draft]) -> list[Delivery]:
    return [draft.payload.delivery for draft in drafts if isinstance(draft.payload, NotificationQueued)]


def test_few_messages_with_right_counts(stormed: list[Draft]) -> None:
    sent = queued(stormed)
    assert {row.message.action for row in sent} == {Action.TRIGGER}
    pages = {row.message.dedup_key: row.message for row in sent if row.channel == "pager"}
    assert len(sent) <= 3 * ZONES
    assert sum(message.firing for message in pages.values()) == ALERTS // CRITICAL
    told = {row.message.dedup_key: row.message for row in sent}
    assert sum(message.firing for message in told.values()) == ALERTS
    assert {row.queued_at for row in sent} == {START + timedelta(seconds=30)}


def test_messages_stay_small_and_name_the_worst(stormed: list[Draft]) -> None:
    for row in queued(stormed):
        assert len(row.message.members) == MEMBERS
        assert len(row.message.model_dump_json()) < BYTES
        for kind in Kind:
            for body in bodies(kind, row.message):
                assert len(str(body)) < BYTES
        (slack,) = bodies(Kind.SLACK, row.message)
        assert all(len(block.get("text", {}).get("text", "")) <= SECTION for block in slack["blocks"])
        assert f"{row.message.firing:,} alerts" in slack["text"]


def test_an_incident_changes_only_as_often_as_it_has_to(stormed: list[Draft]) -> None:
    changes = [draft.payload.incident for draft in stormed if isinstance(draft.payload, IncidentChanged)]
    incidents = {one.id for one in changes}
    assert len(changes) == 2 * len(incidents)
    assert len(stormed) == ALERTS + len(changes) + len(queued(stormed))
