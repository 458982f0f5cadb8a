"""Lag of a consumer group: the diagnosis in every situation, its numbers, and what it refuses to guess."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from math import fsum
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from controlplane.scaling.demand import Flows, measure
from tests.advice_cases import (
    AT,
    HOSTILE,
    Points,
    Series,
    alert,
    arguments,
    both,
    check_complete,
    history,
    limit,
    moving,
    resource,
    size,
    stage,
    steady,
)

GROUP = "billing"
BROKERS = tuple(resource(f"kafka-{n}", "host", role="kafka", zone=f"z{n}") for n in (1, 2, 3))


def group(
    *,
    produce: float = 1000.0,
    consume: float = 800.0,
    lag: float = 240_000.0,
    members: float | None = 4,
    partitions: int = 8,
    counted: float | None = None,
    name: str = GROUP,
    topic: str = "events",
    over: timedelta = timedelta(minutes=10),
    without: tuple[str, ...] = (),
    stuck: Mapping[int, float] | None = None,
) -> Samples:
    """A group whose partitions share produce and consume rates (messages/s) and lag evenly.

    `stuck` holds partitions that don't advance, with their lag; the others share the rest.
    """
    stuck = stuck or {}
    moving_ones = max(1, partitions - len(stuck))
    rate_in, rate_out, each = produce / moving_ones, consume / moving_ones, lag / moving_ones
    base = 1e9
    series: list[Series] = []
    for number in range(partitions):
        mine = {"consumer_group": name, "topic": topic, "partition": str(number)}
        theirs = {"topic": topic, "partition": str(number)}
        still = stuck.get(number)
        if still is None:
            behind, out, end = each, rate_out, rate_in
        else:
            behind, out, end = still, 0.0, 0.0
        series += [
            ("kafka.consumer.lag", mine, moving(lambda s, b=behind, i=end, o=out: max(0.0, b + (i - o) * s), over)),
            ("kafka.consumer.offset", mine, moving(lambda s, o=out: base + o * s, over)),
            ("kafka.partition.offset", theirs, moving(lambda s, b=behind, i=end: base + b + i * s, over)),
        ]
    if members is not None:
        series.append(("kafka.consumer.members", {"consumer_group": name}, steady(members, over)))
    series.append(("kafka.topic.partitions", {"topic": topic}, steady(counted or partitions, over)))
    return history(*(entry for entry in series if entry[0] not in without))


def hosts(signal: str, *values: float | None) -> Samples:
    return history(*((signal, {"host": f"kafka-{n}"}, steady(value)) for n, value in enumerate(values, 1)))


def cpu(*values: float | None) -> Samples:
    return hosts("system.cpu.utilization", *values)


def facts(name: str = GROUP) -> AlertFacts:
    return alert(consumer_group=name)


PARAMETERS: dict[str, Any] = {"consumer_price": "worker", "broker_price": "broker"}


def ask(samples: Samples, *resources: Resource, name: str = GROUP, **parameters: Any) -> Proposal:
    return size("consumer_lag", PARAMETERS | parameters, facts(name), samples, *resources)


def number(text: str, noun: str) -> int:
    found = re.search(rf"(\d[\d,]*) {noun}", text)
    assert found, text
    return int(found[1].replace(",", ""))


# consumers are the limit


def test_too_few_consumers() -> None:
    # (1,000 + 240,000 ÷ 1,800) ÷ (800 ÷ 4) = 5.67 → 6
    proposal = ask(group(), *BROKERS)
    check_complete(proposal)
    assert proposal.kind == "scale_out"
    assert (proposal.from_, proposal.to) == ("4 consumers", "6 consumers")
    assert [item.name for item in proposal.stages] == [
        "lag ÷ threshold",
        "raw",
        "tolerance",
        "stabilised",
        "rate-limited",
        "clamped",
    ]
    assert stage(proposal, "lag ÷ threshold") == 3
    assert stage(proposal, "raw") == 6
    assert proposal.inputs["consume rate"] == "800.0 messages/s over 5m"
    assert proposal.inputs["produce rate"] == "1,000.0 messages/s over 5m"
    assert proposal.inputs["group status"] == "WARN"
    assert proposal.commands == (
        "kubectl scale deployment/billing --replicas=6",
        "kafka-consumer-groups.sh --bootstrap-server=kafka-1:9092,kafka-2:9092,kafka-3:9092 --describe --group=billing",
    )
    assert proposal.revert == ("kubectl scale deployment/billing --replicas=4",)
    assert proposal.time_to_effect == timedelta(minutes=5)
    # 2 × 0.10 × 730
    assert (proposal.cost.per_month, proposal.cost.per_month_reserved) == (Decimal(146), Decimal("87.6"))
    assert proposal.cost.known
    assert "grows by 200 messages/s, 720,000 more in an hour" in proposal.cost.do_nothing
    # 6 × 200 = 1,200 messages/s leave 200 for 240,000
    assert proposal.gain == "6 consumers read 800 → 1,200 messages/s; the backlog is gone in 20m"
    verdicts = {item.loss: item.ok for item in proposal.survives}
    assert verdicts == {"one host with one consumer": True, "one zone": None, "one broker": None}


@pytest.mark.parametrize(
    ("lag", "kind", "consumers"),
    [
        (100_000, "scale_out", 6),
        (144_000, "scale_out", 6),
        (360_000, "scale_out", 6),
        (360_001, "scale_out", 7),
        (720_000, "scale_out", 7),
        (1_000_000, "scale_out", 8),
    ],
)
def test_lag_decides(lag: float, kind: str, consumers: int) -> None:
    proposal = ask(group(lag=lag))
    assert (proposal.kind, number(proposal.to, "consumers")) == (kind, consumers)


def test_one_step_at_a_time() -> None:
    proposal = ask(group(lag=5_000_000, partitions=64, members=4))
    assert stage(proposal, "raw") == 19
    assert (proposal.to, limit(proposal, "rate-limited")) == ("8 consumers", "one step from 4 reaches 8")
    assert any("19 consumers" in item.option for item in proposal.rejected)


@pytest.mark.parametrize(
    ("members", "kind", "to"),
    [
        (6, "scale_out", "8 consumers"),
        (7, "scale_out", "8 consumers"),
        (8, "shard", "11 partitions, 11 consumers"),
        (9, "shard", "11 partitions, 11 consumers"),
        (12, "shard", "11 partitions, 12 consumers"),
    ],
)
def test_members_up_to_the_partitions_and_beyond(members: int, kind: str, to: str) -> None:
    # What comes in takes 10.33 consumers of 100 messages/s each, as many as read now.
    active = min(members, 8)
    proposal = ask(group(consume=100.0 * active, members=members, lag=60_000))
    check_complete(proposal)
    assert (proposal.kind, proposal.to) == (kind, to)


def test_scale_out_stops_at_the_partitions() -> None:
    proposal = ask(group(consume=600, members=6, lag=60_000))
    assert limit(proposal, "clamped") == "8 partitions"


@pytest.mark.parametrize(("documented", "expected"), [(None, 6), (1000.0, 6), (200.0, 6), (100.0, 8)])
def test_the_smaller_rate_of_a_consumer_counts(documented: float | None, expected: int) -> None:
    proposal = ask(group(), consumer_rate=documented)
    assert number(proposal.to, "consumers") == expected
    told = [item for item in proposal.rejected if "documented" in item.option]
    assert bool(told) is (documented == 1000.0)


def test_instances_carry_several_consumers() -> None:
    proposal = ask(group(), consumers_per_instance=4)
    assert proposal.cost.per_month == 73
    free = ask(group(), consumers_per_instance=8)
    assert (free.cost.per_month, free.cost.known) == (0, True)


def test_an_unknown_price_stays_unknown() -> None:
    for name in (None, "nothing", "secret"):
        proposal = ask(group(), consumer_price=name)
        assert (proposal.cost.per_month, proposal.cost.known) == (None, False)
        check_complete(proposal)


def test_zones_are_filled_evenly_and_survive() -> None:
    # 7 consumers are wanted: 9 in 3 zones, 3 lost leave 6 × 200 ≥ 1,000.
    proposal = ask(group(lag=600_000, partitions=16), zones=3, max_step={"percent": 200})
    assert (stage(proposal, "raw"), proposal.to) == (7, "9 consumers")
    assert limit(proposal, "spread") == "3 zones"
    assert {item.loss: item.ok for item in proposal.survives}["one zone"] is True


def test_the_smallest_recent_demand_counts_when_stabilised() -> None:
    grown = group(lag=400_000, produce=1400)
    raw = ask(grown)
    held = ask(grown, stabilise="3m")
    assert stage(held, "raw") == stage(raw, "raw")
    assert stage(held, "stabilised") < stage(raw, "stabilised")
    assert limit(held, "stabilised") == "smallest demand within 3m"


# partitions are the limit


def test_every_partition_has_its_consumer() -> None:
    proposal = ask(group(members=8, consume=800, lag=600_000), *BROKERS)
    # (1,000 + 600,000 ÷ 1,800) ÷ 100 = 13.3 → 14 consumers and partitions
    check_complete(proposal)
    assert (proposal.kind, proposal.to) == ("shard", "14 partitions, 14 consumers")
    assert proposal.commands[0].endswith("--alter --topic=events --partitions=14")
    assert proposal.commands[0].startswith("kafka-topics.sh --bootstrap-server=kafka-1:9092,")
    assert any("can't be taken away" in line for line in proposal.revert)
    assert proposal.cost.per_month == 6 * 73
    assert stage(proposal, "clamped") == 8


def test_partitions_grow_by_one_step_and_not_beyond_the_maximum() -> None:
    much = group(members=8, consume=80, lag=600_000)
    proposal = ask(much)
    assert proposal.to == "16 partitions, 16 consumers"
    assert limit(proposal, "partitions") == "one step from 8 reaches 16"
    capped = ask(much, maximum=10)
    assert (capped.kind, capped.to) == ("shard", "10 partitions, 10 consumers")
    assert limit(capped, "partitions") == "maximum 10"
    stopped = ask(much, maximum=8)
    assert (stopped.kind, stopped.to) == ("investigate", "8 consumers (no change)")


def test_partitions_are_added_to_each_topic_in_proportion() -> None:
    samples = both(
        group(partitions=6, members=8, consume=600, produce=800, lag=300_000),
        group(partitions=2, members=8, consume=200, produce=200, lag=100_000, topic="audit"),
    )
    proposal = ask(samples)
    alter = [command for command in proposal.commands if "--alter" in command]
    # 13 of 8 partitions: ceil(6 × 13/8) = 10 and ceil(2 × 13/8) = 4
    assert stage(proposal, "partitions") == 13
    assert [command.split()[-2:] for command in alter] == [
        ["--topic=audit", "--partitions=4"],
        ["--topic=events", "--partitions=10"],
    ]
    assert proposal.to == "14 partitions, 13 consumers"


def test_within_the_tolerance_nothing_changes() -> None:
    # 1,040 + 60,000 ÷ 1,800 = 1,073 of 1,000 messages/s
    proposal = ask(group(members=8, consume=1000, produce=1040, lag=60_000))
    check_complete(proposal)
    assert (proposal.kind, proposal.to) == ("investigate", "8 consumers (no change)")
    assert "tolerance 0.1" in proposal.why


# the brokers are the limit


@pytest.mark.parametrize(
    ("values", "kind", "to"),
    [
        ((0.7, 0.7, 0.7), "scale_out", "6 consumers"),
        ((0.701, 0.2, 0.2), "rebalance", "3 brokers, evenly loaded"),
        ((0.8, 0.8, 0.8), "scale_out", "4 brokers (z1 2, z2 1, z3 1)"),
        ((0.95, 0.95, 0.99), "scale_out", "5 brokers (z1 2, z2 2, z3 1)"),
    ],
)
def test_brokers_above_their_limit(values: tuple[float, ...], kind: str, to: str) -> None:
    proposal = ask(both(group(), cpu(*values)), *BROKERS)
    check_complete(proposal)
    assert (proposal.kind, proposal.to) == (kind, to)
    if "brokers (" in to:
        assert proposal.cost.one_off == 50_000 * (number(to, "brokers") - 3)
        assert {item.loss: item.ok for item in proposal.survives}["one broker"] is True


def test_network_is_a_limit_too_and_the_larger_number_wins() -> None:
    network = hosts("system.network.utilization", 0.95, 0.95, 0.95)
    alone = ask(both(group(), network), *BROKERS, broker_network_limit=0.6)
    assert (alone.to, stage(alone, "raw system.network.utilization")) == ("5 brokers (z1 2, z2 2, z3 1)", 2)
    wins = ask(both(group(), network, cpu(0.75, 0.75, 0.75)), *BROKERS, broker_network_limit=0.6, broker_rate=60_000)
    assert "180,000 → 300,000 messages/s as documented" in wins.gain
    assert (stage(wins, "raw system.cpu.utilization"), stage(wins, "largest"), wins.to[:9]) == (1, 2, "5 brokers")
    capped = ask(both(group(), network), *BROKERS, broker_network_limit=0.6, broker_maximum=4)
    assert (capped.to[:9], limit(capped, "clamped")) == ("4 brokers", "at most 4 brokers")
    full = ask(both(group(), network), *BROKERS, broker_network_limit=0.6, broker_maximum=3)
    assert (full.kind, full.cost.one_off) == ("rebalance", 0)


def test_no_number_of_brokers_from_an_incomplete_view() -> None:
    with pytest.raises(AdviceError, match=r"is known of 2 of 3 brokers only.*: kafka-3 had no sample"):
        ask(both(group(), cpu(0.9, 0.5, None)), *BROKERS)
    assert ask(both(group(), cpu(0.5, 0.5, None)), *BROKERS).kind == "scale_out"


def test_hosts_that_are_no_brokers_dont_count() -> None:
    busy = history(("system.cpu.utilization", {"host": "web-1"}, steady(0.99)))
    assert ask(both(group(), busy), *BROKERS, resource("web-1", "host", role="web")).to == "6 consumers"


def test_broker_resources_by_kind_and_carrying_host() -> None:
    brokers = tuple(resource(f"b{n}", "broker", host=f"kafka-{n}", attributes={"broker_id": str(n)}) for n in (1, 2, 3))
    proposal = ask(both(group(), cpu(0.9, 0.2, 0.2)), *brokers, *BROKERS)
    assert (proposal.kind, proposal.from_) == ("rebalance", "3 brokers")
    assert any("--broker-list=1,2,3" in command for command in proposal.commands)


# more of anything would not help


@pytest.mark.parametrize(
    ("consume", "lag", "kind"),
    [
        (1134, 240_000, "investigate"),  # drains within 30 minutes: 240,000 ÷ 134 = 1,791 s
        (1133, 240_000, "investigate"),  # 1,805 s: too slow, but within the tolerance of what it takes
        (1010, 400_000, "scale_out"),
        (1000, 240_000, "scale_out"),
    ],
)
def test_a_backlog_that_drains_in_time_is_left_alone(consume: float, lag: float, kind: str) -> None:
    proposal = ask(group(consume=consume, lag=lag))
    check_complete(proposal)
    assert proposal.kind == kind
    if consume == 1134:
        assert "worked off in 29m 51s" in proposal.why
        assert proposal.cost.per_month == 0


def test_all_partitions_stand_still() -> None:
    proposal = ask(group(stuck=dict.fromkeys(range(8), 50000), lag=0), *BROKERS)
    check_complete(proposal)
    assert proposal.kind == "investigate"
    assert "8 of 8 partitions are STALL and hold 400,000 of 400,000" in proposal.why
    assert proposal.inputs["group status"] == "STALL"


def test_one_poisoned_partition_isnt_scaled_for_but_the_rest_is() -> None:
    alone = ask(group(stuck={0: 500_000}, lag=90_000, produce=900, consume=890))
    assert alone.kind == "investigate"
    assert "1 of 8 partitions are STALL" in alone.why
    # With as much on the others they are sized, and what stands still is left out.
    rest = ask(group(stuck={0: 500_000}, lag=240_000))
    assert (rest.kind, rest.to) == ("scale_out", "6 consumers")
    assert "Left out: 1 partition standing still." in rest.why


@pytest.mark.parametrize(("lag", "kind"), [(99_992, "investigate"), (100_000, "investigate"), (100_008, "scale_out")])
def test_exactly_at_the_threshold_the_rest_is_fine(lag: float, kind: str) -> None:
    assert ask(group(stuck={0: 500_000}, lag=lag, partitions=9)).kind == kind


def test_offsets_that_were_reset() -> None:
    rewound: list[Series] = []
    for n in range(4):
        labels = {"consumer_group": GROUP, "topic": "events", "partition": str(n)}
        rewound += [
            ("kafka.consumer.offset", labels, moving(lambda s: 1e6 + s if s < -60 else 1000.0 + s)),
            ("kafka.consumer.lag", labels, moving(lambda s: 10.0 if s < -60 else 1e6)),
            ("kafka.partition.offset", {"topic": "events", "partition": str(n)}, moving(lambda s: 1e6 + 10 + s)),
        ]
    rewound.append(("kafka.consumer.members", {"consumer_group": GROUP}, steady(2)))
    proposal = ask(history(*rewound))
    assert (proposal.kind, proposal.inputs["group status"]) == ("investigate", "REWIND")


def test_nobody_is_a_member() -> None:
    proposal = ask(group(members=0))
    check_complete(proposal)
    assert (proposal.kind, proposal.from_) == ("investigate", "0 consumers")


@pytest.mark.parametrize(("share", "kind"), [(0.79, "scale_out"), (0.85, "investigate")])
def test_one_hot_partition(share: float, kind: str) -> None:
    series: list[Series] = []
    for n in range(8):
        labels = {"consumer_group": GROUP, "topic": "events", "partition": str(n)}
        behind = 1e6 * (share if n == 0 else (1 - share) / 7)
        series += [
            ("kafka.consumer.offset", labels, moving(lambda s: 1e9 + 100 * s)),
            ("kafka.consumer.lag", labels, moving(lambda s, b=behind: b + s)),
            (
                "kafka.partition.offset",
                {"topic": "events", "partition": str(n)},
                moving(lambda s, b=behind: 1e9 + b + 101 * s),
            ),
        ]
    series.append(("kafka.consumer.members", {"consumer_group": GROUP}, steady(4)))
    proposal = ask(history(*series))
    check_complete(proposal)
    assert proposal.kind == kind


# the diagnosis, at the boundaries of each answer

CONSUMERS, PARTITIONS, BROKERS_, STILL, DRAINS, NOBODY = (
    "Scale consumer group",
    "Give billing",
    "to the 3 of shop",
    "stands still",
    "is catching up",
    "No consumer of",
)


@pytest.mark.parametrize(
    ("told", "shape", "loads"),
    [
        # consumer-bound: fewer members than partitions, brokers idle
        (CONSUMERS, {"members": 1, "consume": 100}, {}),
        (CONSUMERS, {"members": 7, "consume": 700}, {}),
        # partition-bound: a member for each partition, or more
        (PARTITIONS, {"members": 8, "consume": 800}, {}),
        (PARTITIONS, {"members": 9, "consume": 800}, {}),
        # broker-bound: CPU, network or disk above the limit, whatever members and partitions are
        (CONSUMERS, {}, {"cpu": 0.7, "network": 0.6, "filesystem": 0.8}),
        (BROKERS_, {}, {"cpu": 0.701}),
        (BROKERS_, {}, {"network": 0.601}),
        (BROKERS_, {}, {"filesystem": 0.801}),
        (BROKERS_, {"members": 8, "consume": 800}, {"cpu": 0.701}),
        # stalled: all lag on partitions that don't move; up to the threshold on the others is fine
        (STILL, {"stuck": {0: 5e6}, "lag": 99_995}, {}),
        (STILL, {"stuck": {0: 5e6}, "lag": 99_995}, {"cpu": 0.9}),
        (CONSUMERS, {"stuck": {0: 5e6}, "lag": 100_100}, {}),
        # draining: 240,000 ÷ (1,134 − 1,000) = 1,791 s of 1,800, brokers busy or not
        (DRAINS, {"consume": 1134}, {}),
        (DRAINS, {"consume": 1134}, {"cpu": 0.9}),
        (BROKERS_, {"consume": 1133}, {"cpu": 0.9}),
        (NOBODY, {"members": 0}, {"cpu": 0.9}),
    ],
)
def test_the_diagnosis_at_its_boundaries(told: str, shape: dict[str, Any], loads: dict[str, float]) -> None:
    samples = both(group(**shape), *(hosts(f"system.{name}.utilization", *[load] * 3) for name, load in loads.items()))
    proposal = ask(samples, *BROKERS, broker_network_limit=0.6)
    check_complete(proposal)
    assert told in proposal.title
    changes = proposal.kind != "investigate"
    assert changes is (told in {CONSUMERS, PARTITIONS, BROKERS_})
    assert proposal.target == ("kafka cluster shop" if told == BROKERS_ else "consumer group billing")


def test_the_file_system_of_the_log_counts_alone() -> None:
    full = history(
        *(
            ("system.filesystem.utilization", {"host": f"kafka-{n}", "mountpoint": mountpoint}, steady(share))
            for n in (1, 2, 3)
            for mountpoint, share in (("/", 0.95), ("/data", 0.5))
        )
    )
    assert ask(both(group(), full), *BROKERS, broker_mountpoint="/data").kind == "scale_out"
    assert ask(both(group(), full), *BROKERS, broker_mountpoint="/data").target == "consumer group billing"
    assert ask(both(group(), full), *BROKERS).target == "kafka cluster shop"


def test_a_group_that_stopped_committing_is_not_scaled() -> None:
    stopped: list[Series] = []
    for number in range(4):
        labels = {"consumer_group": GROUP, "topic": "events", "partition": str(number)}
        committed = moving(lambda s: 1e6 + 100 * s, until=timedelta(minutes=6))
        stopped += [
            ("kafka.consumer.offset", labels, committed),
            ("kafka.consumer.lag", labels, moving(lambda s: 60_000.0 + 100 * s)),
            ("kafka.partition.offset", {"topic": "events", "partition": str(number)}, moving(lambda s: 2e6 + 100 * s)),
        ]
    stopped.append(("kafka.consumer.members", {"consumer_group": GROUP}, steady(2)))
    proposal = ask(history(*stopped))
    assert (proposal.kind, proposal.inputs["group status"]) == ("investigate", "STOP")


# missing and doubtful inputs


@pytest.mark.parametrize("without", ["kafka.consumer.offset", "kafka.partition.offset", "kafka.topic.partitions"])
def test_one_of_the_offsets_or_the_count_of_partitions_may_be_missing(without: str) -> None:
    assert ask(group(without=(without,))).to == "6 consumers"


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (group(without=("kafka.consumer.lag",)), "kafka.consumer.lag of consumer group billing has no sample"),
        (
            group(without=("kafka.consumer.offset", "kafka.partition.offset")),
            "neither kafka.consumer.offset nor kafka.partition.offset is known for consumer group billing",
        ),
        (group(members=None), "kafka.consumer.members of consumer group billing has no sample in the 5 minutes before"),
        (group(over=timedelta(minutes=1)), "too little history: kafka.consumer.offset of 8 of 8 partitions with lag"),
        (group(over=timedelta(0)), "too little history"),
        (group(name="other"), "kafka.consumer.lag of consumer group billing has no sample"),
        (Samples.empty(), "kafka.consumer.lag of consumer group billing has no sample"),
    ],
)
def test_missing_inputs_are_named(samples: Samples, told: str) -> None:
    with pytest.raises(AdviceError, match=re.escape(told)):
        ask(samples)


def test_an_alert_without_a_group_says_so() -> None:
    with pytest.raises(AdviceError, match="has no label consumer_group"):
        size("consumer_lag", {}, alert(topic="events"), group())


def test_stale_samples_say_nothing_about_now() -> None:
    def old(points: Points) -> Points:
        return [(offset - timedelta(minutes=5), value) for offset, value in points]

    labels = {"consumer_group": GROUP, "topic": "events", "partition": "0"}
    stale = history(
        ("kafka.consumer.lag", labels, old(steady(9e9))),
        ("kafka.consumer.offset", labels, old(moving(lambda s: s))),
        ("kafka.consumer.members", {"consumer_group": GROUP}, steady(1)),
    )
    with pytest.raises(AdviceError, match="has no sample in the 5 minutes before"):
        ask(stale)


def test_samples_after_the_instant_are_not_used() -> None:
    later = history(
        (
            "kafka.consumer.members",
            {"consumer_group": GROUP},
            [(timedelta(seconds=15), 8.0), (timedelta(minutes=9), 0.0)],
        ),
        ("system.cpu.utilization", {"host": "kafka-1"}, [(timedelta(seconds=15), 0.99)]),
    )
    assert ask(both(group(), later), *BROKERS) == ask(group(), *BROKERS)


def test_values_that_are_no_numbers_are_left_out() -> None:
    odd = history(
        ("system.cpu.utilization", {"host": "kafka-1"}, steady(float("inf"))),
        ("system.cpu.utilization", {"host": "kafka-2"}, steady(float("nan"))),
        ("system.cpu.utilization", {"host": "kafka-3"}, steady(None)),
    )
    assert ask(both(group(), odd), *BROKERS).to == "6 consumers"


def test_another_platform_and_a_second_source_dont_add_up() -> None:
    other = history(("kafka.consumer.members", {"consumer_group": GROUP}, steady(99)), platform="elsewhere")
    again = history(("kafka.consumer.members", {"consumer_group": GROUP}, steady(99)), source="another")
    assert ask(both(group(), other, again)).to == "6 consumers"


def test_lag_by_topic_is_told_apart_by_the_offsets() -> None:
    by_topic = history(
        ("kafka.consumer.lag", {"consumer_group": GROUP, "topic": "events"}, moving(lambda s: 240_000 + 200 * s))
    )
    proposal = ask(both(group(without=("kafka.consumer.lag",)), by_topic))
    assert (proposal.to, proposal.inputs["lag"]) == ("6 consumers", "240,000 messages")
    assert any(item.labels.get("partition") == "3" for item in proposal.evidence)


def test_hostile_names_stay_text() -> None:
    proposal = ask(group(name=HOSTILE, topic=HOSTILE, members=8, consume=800, lag=600_000), name=HOSTILE)
    check_complete(proposal)
    assert proposal.kind == "shard"
    alter, scale, describe = proposal.commands
    assert arguments(alter)[1:] == ["--alter", f"--topic={HOSTILE}", "--partitions=14"]
    assert arguments(scale) == ["scale", f"deployment/{HOSTILE}", "--replicas=14"]
    assert arguments(describe)[1:] == ["--describe", f"--group={HOSTILE}"]


def test_a_name_that_looks_like_an_option_is_refused() -> None:
    with pytest.raises(AdviceError, match="begins with a dash"):
        ask(group(name="--all"), name="--all", scale_command=["scale", "{group}", "{count}"])
    assert ask(group(name="--all"), name="--all").commands[0] == "kubectl scale deployment/--all --replicas=6"


# what always holds

shapes = st.fixed_dictionaries(
    {
        "produce": st.floats(1, 1e5),
        "consume": st.floats(1, 1e5),
        "members": st.integers(1, 12),
        "partitions": st.integers(1, 12),
    }
)


def consumers_of(proposal: Proposal) -> int:
    return number(proposal.to, "consumers?")


@settings(max_examples=40, deadline=None)
@given(shapes, st.floats(1, 1e7), st.floats(1, 10))
def test_more_lag_never_recommends_fewer_consumers(shape: dict[str, Any], lag: float, factor: float) -> None:
    short = {"over": timedelta(minutes=4)}
    less, more = (ask(group(**shape, **short, lag=amount)) for amount in (lag, lag * factor))
    assert consumers_of(less) <= consumers_of(more)
    for proposal in (less, more):
        check_complete(proposal)
        if proposal.kind == "scale_out":
            assert shape["members"] < consumers_of(proposal) <= shape["partitions"]
        if proposal.kind == "shard":
            assert shape["members"] >= shape["partitions"]
            assert consumers_of(proposal) <= max(number(proposal.to, "partitions?"), shape["members"])


def test_the_same_question_has_the_same_answer() -> None:
    samples = both(group(), cpu(0.3, 0.2, 0.1))
    shuffled = Samples(
        samples.series.sample(fraction=1.0, shuffle=True, seed=3),
        samples.samples.sample(fraction=1.0, shuffle=True, seed=4),
        samples.coverage,
    )
    assert ask(samples, *BROKERS) == ask(shuffled, *BROKERS)
    assert AT.tzinfo is not None


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_a_rate_is_the_same_to_the_last_digit_whatever_else_is_measured(partitions: int) -> None:
    span = 270_000
    for change in range(1, 2_000, 7):
        rows = [
            ("events", str(number), ts, float((change + number * 13) * (ts > 0)))
            for number in range(partitions)
            for ts in (0, span)
        ]
        schema = {"topic": pl.String, "partition": pl.String, "ts": pl.Int64, "value": pl.Float64}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        flows = Flows(frame.with_columns(pl.lit(5.0).alias("value")), frame, frame)
        expected = fsum((change + number * 13) * 1000 / span for number in range(partitions))
        assert measure(flows, span, 300_000, 120_000).consume == expected
