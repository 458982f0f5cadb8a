"""A lost Kafka broker: whether the others carry it, what is offline, and when it is started, moved or replaced."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from tests.advice_cases import (
    HOSTILE,
    Series,
    alert,
    arguments,
    check_complete,
    history,
    resource,
    steady,
    take_over,
)

IN_SYNC, MINIMUM, UNCLEAN = (
    "kafka.partition.replicas_in_sync",
    "kafka.topic.min_insync_replicas",
    "kafka.topic.unclean_leader_election",
)
HOUR = timedelta(hours=1)


def broker(name: str, **fields: Any) -> Resource:
    return resource(name, "broker", role="kafka", **({"cluster": "main", "price": "broker"} | fields))


THREE = tuple(broker(f"k-{n}") for n in (1, 2, 3))
FOUR = tuple(broker(f"k-{n}", attributes={"broker_id": str(n)}) for n in (1, 2, 3, 4))


def load(cpu: float = 0.3, network: float = 0.2, stored: float = 3e12, count: int = 3) -> list[Series]:
    """Every broker until the loss; the first one is silent after it."""
    found: list[Series] = []
    for n in range(1, count + 1):
        for signal, value in (
            ("system.cpu.utilization", cpu),
            ("system.network.utilization", network),
            ("system.filesystem.usage", stored),
        ):
            points = [(at, share) for at, share in steady(value, HOUR) if n > 1 or at < -timedelta(minutes=2)]
            found.append((signal, {"host": f"k-{n}"}, points))
    return found


def topic(name: str, in_sync: tuple[int, ...], minimum: int | None = 2, unclean: int = 0) -> list[Series]:
    found: list[Series] = [
        (IN_SYNC, {"topic": name, "partition": str(n)}, steady(float(count))) for n, count in enumerate(in_sync)
    ]
    if minimum is not None:
        found.append((MINIMUM, {"topic": name}, steady(float(minimum))))
    return [*found, (UNCLEAN, {"topic": name}, steady(float(unclean)))]


def ask(
    *parts: list[Series],
    nodes: tuple[Resource, ...] = THREE,
    host: str = "k-1",
    away: timedelta = timedelta(minutes=2),
    **keys: Any,
) -> Proposal:
    samples = history(*(entry for series in parts for entry in series))
    proposal = take_over("broker", keys, alert("== 0", "1", began=away, host=host), samples, *nodes)
    check_complete(proposal)
    return proposal


def survives(proposal: Proposal) -> list[bool | None]:
    return [item.ok for item in proposal.survives]


def test_a_broker_that_was_lost_just_now_is_started_again() -> None:
    proposal = ask(load(), topic("orders", (2, 2)))
    assert (proposal.kind, proposal.target) == ("failover", "kafka cluster main")
    assert proposal.title == "Bring k-1 back"
    programs = [command.split()[0] for command in proposal.commands]
    assert programs == [
        *("kafka-topics.sh", "kafka-topics.sh", "kafka-metadata-quorum.sh"),
        *("ssh", "ssh", "kafka-topics.sh", "kafka-leader-election.sh"),
    ]
    assert proposal.commands[4] == "ssh -- k-1 'sudo systemctl start kafka'"
    assert proposal.plan[-1].before == ("the list is empty: a replica that isn't in sync must not lead",)
    assert "--bootstrap-server=k-2:9092,k-3:9092" in proposal.commands[0]
    # 3 × 30 % over two brokers.
    assert "the others are at 45% of their CPU, 30% of their network" in proposal.why.replace("The", "the")
    assert proposal.cost.one_off == 0


@pytest.mark.parametrize(
    ("parts", "told", "spare"),
    [
        (topic("orders", (3, 3)), "all 2 partitions take writes, and would after one more loss", True),
        (topic("orders", (3, 2)), "one more loss stops the writes to 1 partition of orders", False),
        (topic("orders", (1, 3)), "writes are refused by 1 partition of orders", False),
        (topic("orders", (0, 3)), "offline are 1 partition of orders", False),
        (topic("orders", (1, 1), minimum=None), "one more loss stops the writes to 2 partitions of orders", False),
        (topic("orders", (2, 2), minimum=None), "all 2 partitions take writes", True),
        (topic("orders", (3,), unclean=1), "an unclean election is allowed for orders", True),
        ([], "kafka.partition.replicas_in_sync isn't measured", None),
    ],
)
def test_partitions_are_told_by_what_one_more_loss_does(parts: list[Series], told: str, spare: bool | None) -> None:
    proposal = ask(load(), parts)
    assert told.lower() in proposal.why.lower()
    assert survives(proposal)[0] is spare


def test_offline_partitions_are_no_reason_for_an_unclean_election() -> None:
    proposal = ask(load(), topic("orders", (0,)))
    assert any("don't allow an unclean election" in step.do for step in proposal.plan)
    assert proposal.rejected[0].option == "Allow an unclean election"
    assert "1 partition of orders can't be written" in proposal.cost.do_nothing


@pytest.mark.parametrize(
    ("nodes", "cpu", "away", "title"),
    [
        (FOUR, 0.3, timedelta(minutes=29, seconds=45), "Bring k-1 back"),
        (FOUR, 0.3, timedelta(minutes=30), "Move the partitions of k-1 to the other 3 brokers"),
        # 4 × 52.5 % over three brokers are the limit of 70 %.
        (FOUR, 0.525, timedelta(minutes=30), "Move the partitions of k-1 to the other 3 brokers"),
        (FOUR, 0.526, timedelta(minutes=30), "Replace k-1"),
        (THREE, 0.1, timedelta(minutes=30), "Replace k-1"),
    ],
)
def test_when_it_stays_away_its_partitions_move_or_it_is_replaced(
    nodes: tuple[Resource, ...], cpu: float, away: timedelta, title: str
) -> None:
    # Loads are those of the time before the loss.
    shift = away - timedelta(minutes=2)
    parts = [
        (signal, labels, [(at - shift, value) for at, value in points]) for signal, labels, points in load(cpu, count=4)
    ]
    proposal = ask(parts, topic("orders", (2, 2), minimum=1), nodes=nodes, away=away)
    assert proposal.title == title
    moves, buys = title.startswith("Move"), title.startswith("Replace")
    assert any("--throttle=50000000" in command for command in proposal.commands) is moves
    assert proposal.cost.one_off == (Decimal(50000) if buys else 0)
    if moves:
        assert any("--broker-list=2,3,4" in command for command in proposal.commands)
        # 3 TB at 50 MB/s.
        assert proposal.time_to_effect == timedelta(seconds=60_000)
        assert "before.json" in proposal.revert[0]


def test_what_isnt_measured_moves_nothing() -> None:
    proposal = ask(topic("orders", (2, 2)), nodes=FOUR, away=HOUR)
    assert proposal.title == "Replace k-1"
    assert survives(proposal) == [False, None, True]
    assert "isn't known" in next(item.reason for item in proposal.rejected if item.option.startswith("Move"))


@pytest.mark.parametrize(
    ("nodes", "host", "told"),
    [
        (THREE, "db-1", "db-1 is no broker in the inventory"),
        (THREE[:1], "k-1", "no other broker in cluster main"),
        ((THREE[0], broker("k-9", cluster="other")), "k-1", "no other broker in cluster main"),
    ],
)
def test_no_advice_without_a_cluster(nodes: tuple[Resource, ...], host: str, told: str) -> None:
    with pytest.raises(AdviceError, match=told):
        ask(load(), nodes=nodes, host=host)


def test_hostile_names_stay_text() -> None:
    nodes = (broker(f"a{HOSTILE}", cluster=HOSTILE), broker(f"b{HOSTILE}", cluster=HOSTILE))
    proposal = ask(topic(HOSTILE, (0, 1)), nodes=nodes, host=nodes[0].id)
    assert arguments(proposal.commands[3])[1] == nodes[0].id


@given(
    cpu=st.floats(0, 1, allow_nan=False),
    more=st.floats(0, 1, allow_nan=False),
    in_sync=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    minimum=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_same_input_same_record_and_more_load_never_makes_the_others_carry(
    cpu: float, more: float, in_sync: list[int], minimum: int
) -> None:
    parts = [load(cpu), topic("orders", tuple(in_sync), minimum)]
    proposal = ask(*parts)
    assert proposal == ask(*parts)
    assert survives(proposal)[0] is all(count > minimum for count in in_sync)
    if survives(ask(load(cpu + more), parts[1]))[1]:
        assert survives(proposal)[1]
