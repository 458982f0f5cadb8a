"""Brokers of a Kafka cluster: how many, what limits the number, and what it refuses to guess."""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.methods import Brokers
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Proposal, Recommendation, Status
from controlplane.model.resources import Resource
from controlplane.scaling.sizing import brokers_needed
from controlplane.tick.conflicts import contender, prevails
from tests.advice_cases import (
    AT,
    HOSTILE,
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
from tests.backtest_cases import judged

CPU, NETWORK, DISK = "system.cpu.utilization", "system.network.utilization", "system.filesystem.utilization"
RECORDED = Path(__file__).parents[1] / "data" / "idle-brokers"
HOT = alert("> 0.7", "1", host="kafka-1")
IDLE = alert("< 0.3", "1", cluster="main")


def brokers(number: int, *, zones: int = 3, price: str = "broker", **fields: Any) -> tuple[Resource, ...]:
    return tuple(
        resource(
            f"kafka-{n}",
            "broker",
            cluster="main",
            zone=f"z{n % zones}" if zones else "",
            price=price,
            attributes={"broker_id": str(n)},
            **fields,
        )
        for n in range(1, number + 1)
    )


def partitions(known: int = 12, counted: int | None = None, *, replicas: float = 3, in_sync: float = 3) -> Samples:
    series: list[Series] = []
    for number in range(known):
        labels = {"topic": "events", "partition": str(number)}
        series += [
            ("kafka.partition.offset", labels, steady(1e6)),
            ("kafka.partition.replicas", labels, steady(replicas)),
            ("kafka.partition.replicas_in_sync", labels, steady(in_sync)),
        ]
    series.append(("kafka.topic.partitions", {"topic": "events"}, steady(counted or known)))
    return history(*series)


def each(signal: str, values: Iterable[float | None], **labels: str) -> Samples:
    return history(
        *((signal, {"host": f"kafka-{n}", **labels}, steady(value)) for n, value in enumerate(values, start=1))
    )


def cluster(
    cpu: Sequence[float | None], network: Sequence[float | None] = (), disk: Sequence[float | None] = ()
) -> Samples:
    """Loads of each broker; network and disk are at 10 % where they aren't given."""
    idle = [0.1] * len(cpu)
    return both(partitions(), each(CPU, cpu), each(NETWORK, network or idle), each(DISK, disk or idle))


def ask(
    samples: Samples,
    *resources: Resource,
    facts: AlertFacts = HOT,
    decided: Sequence[Recommendation] = (),
    **parameters: Any,
) -> Proposal:
    window = {"stabilise_removal": "9m"} | parameters
    return size("brokers", window, facts, samples, *resources, decided=decided)


def after(proposal: Proposal) -> int:
    return int(proposal.stages[-1].value)


# more brokers


@pytest.mark.parametrize(
    ("signal", "values", "kind", "number"),
    [
        (CPU, (0.7, 0.7, 0.7), "investigate", 3),
        (CPU, (0.701, 0.7, 0.7), "scale_out", 4),
        (CPU, (0.701, 0.699, 0.7), "rebalance", 3),
        (CPU, (0.99, 0.2, 0.2), "rebalance", 3),
        (CPU, (0.94, 0.93, 0.93), "scale_out", 4),  # 2.8 of 4 × 0.7
        (CPU, (0.95, 0.93, 0.93), "scale_out", 5),
        (NETWORK, (0.8, 0.8, 0.8), "investigate", 3),
        (NETWORK, (0.801, 0.8, 0.8), "scale_out", 4),
        (DISK, (0.8, 0.8, 0.8), "investigate", 3),
        (DISK, (0.801, 0.8, 0.8), "scale_out", 4),
        (DISK, (1.0, 1.0, 1.0), "scale_out", 4),
    ],
)
def test_each_resource_at_its_limit(signal: str, values: tuple[float, ...], kind: str, number: int) -> None:
    loads: dict[str, Sequence[float]] = {CPU: (0.1, 0.1, 0.1)} | {signal: values}
    proposal = ask(cluster(loads[CPU], loads.get(NETWORK, ()), loads.get(DISK, ())), *brokers(3))
    check_complete(proposal)
    assert (proposal.kind, after(proposal)) == (kind, number)
    assert proposal.target == "kafka cluster main"
    assert proposal.cost.one_off == 50_000 * (number - 3)


def test_what_the_record_says() -> None:
    stored = each("system.filesystem.usage", [3e12, 3e12, 3e12])
    proposal = ask(both(cluster((0.9, 0.85, 0.8), disk=(0.75, 0.75, 0.75)), stored), *brokers(3))
    check_complete(proposal)
    assert (proposal.title, proposal.from_) == ("Add 1 broker to the 3 of main", "3 brokers")
    assert proposal.to == "4 brokers (z0 2, z1 1, z2 1)"
    assert proposal.why == (
        "Broker kafka-1 is at 90 % (system.cpu.utilization), above its limit of 70 %. "
        "All 3 brokers together are 85 % used."
    )
    assert [(item.name, item.value) for item in proposal.stages] == [
        (f"raw {CPU}", 1),
        ("largest", 1),
        ("rate-limited", 1),
        ("clamped", 4),
    ]
    assert proposal.stages[0].reason == "ceil((2.55 − 3.00 × 0.7) ÷ (1.00 × 0.7)) brokers to add"
    assert proposal.gain.startswith(f"{CPU} 85 % → 64 %; {NETWORK} 10 % → 8 %")
    # An hour to build it, then a quarter of 9 TB at 50 MB/s.
    assert proposal.time_to_effect == timedelta(hours=1, seconds=45_000)
    assert [item.ok for item in proposal.survives] == [True, False, True]
    assert "on 2 brokers at 127 % (system.cpu" in proposal.survives[1].reason
    assert "the others are at 127 %" in proposal.cost.do_nothing
    options = {item.option: item.reason for item in proposal.rejected}
    assert options["Only move partitions"] == "all brokers together are at 85 %, above 70 %"
    assert "moves no partition to a new broker" in options["Let the new brokers fill by themselves"]


def test_the_resource_that_takes_most_decides() -> None:
    # CPU takes one more, the network ceil((2.7 − 1.8) ÷ 0.6) = 2.
    loads = [{"signal": CPU, "limit": 0.7}, {"signal": NETWORK, "limit": 0.6}]
    proposal = ask(cluster((0.75, 0.75, 0.75), (0.9, 0.9, 0.9)), *brokers(3), loads=loads)
    assert (stage(proposal, f"raw {CPU}"), stage(proposal, f"raw {NETWORK}"), after(proposal)) == (1, 2, 5)
    assert any(item.option.startswith("A faster NIC") and "90 % → 45 %" in item.reason for item in proposal.rejected)


@pytest.mark.parametrize(
    ("parameters", "number", "bit"),
    [
        ({}, 6, None),
        ({"max_step": {"count": 2}}, 5, "one step from 3 reaches 5"),
        ({"max_step": {"percent": 34}}, 5, "one step from 3 reaches 5"),
        ({"maximum": 5}, 5, "at most 5 brokers"),
        ({"maximum": 3}, 3, "at most 3 brokers"),
        ({"maximum": 2}, 3, "at most 2 brokers"),
        ({"replication_factor": 9, "max_step": {"count": 1}}, 9, "replication factor 9"),
        ({"quorum": 5, "max_step": {"count": 1}}, 5, "a quorum of 5 brokers"),
    ],
)
def test_limits_upwards(parameters: dict[str, Any], number: int, bit: str | None) -> None:
    loads = [{"signal": CPU, "limit": 0.5}]
    proposal = ask(cluster((1.0, 1.0, 1.0)), *brokers(3), loads=loads, **parameters)
    assert after(proposal) == number
    assert (proposal.kind == "scale_out") is (number > 3)
    assert next((item.limit for item in reversed(proposal.stages) if item.limit), None) == bit


def test_rates_against_the_inventory_and_against_a_documented_rate() -> None:
    samples = both(
        partitions(),
        each("kafka.broker.io", (50e6, 50e6, 50e6)),
        history(("messaging.transaction.rate", {"deployment": "production", "service": "sms"}, steady(300_000))),
        history(("messaging.transaction.rate", {"deployment": "production", "service": "rcs"}, steady(248_000))),
        history(("messaging.transaction.rate", {"deployment": "dev", "service": "sms"}, steady(9e9))),
    )
    io = {"signal": "kafka.broker.io", "limit": 0.8, "capacity": "inventory"}
    rate = {
        "signal": "messaging.transaction.rate",
        "limit": 0.8,
        "capacity": 60_000.0,
        "per": "cluster",
        "where": {"deployment": "production"},
    }
    limited = brokers(3, limits={"kafka.broker.io": 60e6})
    # (150 − 144) ÷ 48 MB/s, and (548,000 − 144,000) ÷ 48,000 = 8.4
    proposal = ask(samples, *limited, loads=[io, rate], max_step={"percent": 300}, rate=60_000)
    check_complete(proposal)
    assert (stage(proposal, "raw kafka.broker.io"), after(proposal)) == (1, 12)
    assert "180,000 → 720,000 messages/s as documented" in proposal.gain
    with pytest.raises(AdviceError, match=r"no load .* is known: kafka\.broker\.io"):
        ask(samples, *brokers(3), loads=[io])


def test_brokers_of_different_size_weigh_what_they_carry() -> None:
    sizes = (600e6, 600e6, 60e6)
    unequal = tuple(
        broker.model_copy(update={"limits": {"kafka.broker.io": size}})
        for broker, size in zip(brokers(3), sizes, strict=True)
    )
    io = [{"signal": "kafka.broker.io", "limit": 0.8, "capacity": "inventory"}]
    # 1,100 of 1,260 MB/s; 1,008 are allowed, and a broker of the smallest size brings 48.
    samples = both(partitions(), each("kafka.broker.io", (500e6, 550e6, 50e6)))
    assert stage(ask(samples, *unequal, loads=io), "raw kafka.broker.io") == 2
    # With 520 MB/s the size of the small one would give (520 − 1,008) ÷ 48 = −10 of 3 brokers.
    idle = both(partitions(), each("kafka.broker.io", (300e6, 200e6, 20e6)))
    proposal = ask(idle, *unequal, loads=io, facts=IDLE)
    assert (stage(proposal, "raw kafka.broker.io"), after(proposal)) == (-1, 3)


# fewer brokers


@pytest.mark.parametrize(
    ("there", "parameters", "number", "bit"),
    [
        (7, {}, 6, "one step from 7 reaches 6"),
        (4, {}, 3, "one step from 4 reaches 3"),
        (3, {}, 3, "never below 3 brokers"),
        (2, {}, 2, "never below 3 brokers"),
        (7, {"max_removal": {"count": 9}}, 3, "never below 3 brokers"),
        (7, {"max_removal": {"count": 9}, "replication_factor": 5}, 5, "replication factor 5"),
        (7, {"max_removal": {"count": 9}, "replication_factor": 5, "min_insync": 4}, 5, "replication factor 5"),
        (7, {"max_removal": {"count": 9}, "quorum": 5}, 5, "a quorum of 5 brokers"),
        (7, {"max_removal": {"count": 9}, "minimum": 6}, 6, "never below 6 brokers"),
        (4, {"replication_factor": 4, "min_insync": 2}, 4, "replication factor 4"),
    ],
)
def test_limits_downwards(there: int, parameters: dict[str, Any], number: int, bit: str) -> None:
    proposal = ask(cluster([0.02] * there), *brokers(there, zones=0), facts=IDLE, **parameters)
    check_complete(proposal)
    assert after(proposal) == number
    assert proposal.kind == ("scale_in" if number < there else "investigate")
    assert next((item.limit for item in reversed(proposal.stages) if item.limit), None) == bit


def test_the_measured_replication_factor_counts_where_it_is_larger() -> None:
    samples = both(partitions(replicas=4, in_sync=4), *(each(name, [0.02] * 4) for name in (CPU, NETWORK, DISK)))
    proposal = ask(samples, *brokers(4, zones=0), facts=IDLE)
    assert (after(proposal), limit(proposal, "clamped")) == (4, "replication factor 4")


def test_a_broker_leaves_the_largest_zone_and_is_a_saving_where_it_is_rented() -> None:
    proposal = ask(cluster([0.1] * 7), *brokers(7, price="node"), facts=IDLE)
    assert (proposal.kind, proposal.title) == ("scale_in", "Take kafka-7 out of main")
    assert proposal.to == "6 brokers (z0 2, z1 2, z2 2)"
    assert proposal.cost.per_month == Decimal("-1471.68")
    assert "--broker-list=1,2,3,4,5,6" in " ".join(proposal.commands)
    assert proposal.commands[-1] == "ssh -- kafka-7 'sudo systemctl stop kafka'"
    assert "no hour of the last month" in proposal.plan[0].before[-1]
    bought = ask(cluster([0.1] * 7), *brokers(7), facts=IDLE)
    assert (bought.cost.one_off, bought.cost.per_month) == (0, 0)


def test_the_peak_of_the_last_hours_counts_downwards() -> None:
    busy = history(
        *(
            (CPU, {"host": f"kafka-{n}"}, moving(lambda s: 0.66 if s < -18_000 else 0.1, timedelta(hours=6)))
            for n in range(1, 7)
        )
    )
    only = [{"signal": CPU, "limit": 0.7}]
    samples = both(partitions(), busy)
    proposal = ask(samples, *brokers(6), facts=IDLE, stabilise_removal="6h", loads=only)
    assert (proposal.kind, limit(proposal, "stabilised")) == ("investigate", "largest load within 6h")
    assert ask(samples, *brokers(6), facts=IDLE, stabilise_removal="1h", loads=only).kind == "scale_in"


@pytest.mark.parametrize(("window", "kind"), [("10m", "scale_in"), ("11m", "scale_in"), ("12m", "investigate")])
def test_no_broker_leaves_on_less_than_nine_tenths_of_the_time_that_counts(window: str, kind: str) -> None:
    proposal = ask(cluster([0.1] * 6), *brokers(6), facts=IDLE, stabilise_removal=window)
    assert proposal.kind == kind
    if kind == "investigate":
        assert limit(proposal, "held") == "only 10m of the last 12m are known"


def test_a_documented_rate_that_is_passed_by_idle_brokers_is_doubted() -> None:
    rate = {"signal": "messaging.transaction.rate", "limit": 0.8, "capacity": 60_000.0, "per": "cluster"}
    series = history(("messaging.transaction.rate", {"cluster": "main"}, steady(550_000)))
    idle = ask(both(cluster((0.4, 0.4, 0.4)), series), *brokers(3), loads=[rate, {"signal": CPU, "limit": 0.7}])
    assert "they aren't short (system.cpu.utilization at most 40 %): each carries 183,333 where 60,000" in idle.why
    assert "test what one carries before buying" in idle.plan[0].before[0]
    busy = ask(both(cluster((0.9, 0.4, 0.4)), series), *brokers(3), loads=[rate, {"signal": CPU, "limit": 0.7}])
    assert "test what" not in busy.why


def test_no_broker_leaves_when_another_loss_would_not_be_carried() -> None:
    # At the limit of 95 % three brokers carry it, and two don't.
    loads = [{"signal": CPU, "limit": 0.95}]
    proposal = ask(cluster([0.71] * 4), *brokers(4, zones=0), facts=IDLE, loads=loads)
    assert (proposal.kind, stage(proposal, "largest"), after(proposal)) == ("investigate", -1, 4)
    assert "the loss of one broker: 2 of 3 replicas are left on 2 brokers at 142 %" in str(limit(proposal, "clamped"))


def test_no_zone_becomes_too_heavy() -> None:
    # Six brokers in three zones carry the loss of a zone at 66 %; five wouldn't where two of them are in one.
    proposal = ask(cluster([0.66] * 6), *brokers(6), facts=IDLE, loads=[{"signal": CPU, "limit": 0.9}])
    assert (proposal.kind, stage(proposal, "largest")) == ("investigate", -1)
    assert "the loss of zone" in str(limit(proposal, "clamped"))


@pytest.mark.parametrize(
    ("in_sync", "bit"), [(3, None), (2, "12 partitions not in sync"), (None, "whether all replicas are in sync isn't")]
)
def test_nothing_leaves_while_replicas_are_missing(in_sync: float | None, bit: str | None) -> None:
    part = partitions(in_sync=0 if in_sync is None else in_sync)
    if in_sync is None:
        part = history(
            *(("kafka.partition.offset", {"topic": "events", "partition": str(n)}, steady(1.0)) for n in range(4)),
            ("kafka.topic.partitions", {"topic": "events"}, steady(4)),
        )
    samples = both(part, *(each(name, [0.1] * 6) for name in (CPU, NETWORK, DISK)))
    proposal = ask(samples, *brokers(6), facts=IDLE)
    assert proposal.kind == ("investigate" if bit else "scale_in")
    assert bit is None or (limit(proposal, "held") or "").startswith(bit)


def test_nothing_leaves_while_a_resource_isnt_measured() -> None:
    samples = both(partitions(), each(CPU, [0.1] * 6), each(DISK, [0.1] * 6))
    proposal = ask(samples, *brokers(6), facts=IDLE)
    assert (proposal.kind, limit(proposal, "held")) == ("investigate", f"{NETWORK} isn't measured")
    assert ask(both(partitions(), each(CPU, [0.8] * 6)), *brokers(6)).kind == "scale_out"


@pytest.mark.parametrize(
    ("facts", "bit"), [(HOT, "the alert isn't about idle brokers"), (alert("x"), "the alert isn't")]
)
def test_only_an_alert_about_little_load_takes_brokers_away(facts: AlertFacts, bit: str) -> None:
    proposal = ask(cluster([0.1] * 6), *brokers(6), facts=facts)
    assert (proposal.kind, after(proposal)) == ("investigate", 6)
    assert (limit(proposal, "direction") or "").startswith(bit)


# what was done before


def done(proposal: Proposal, *, ago: timedelta, status: Status = Status.EXECUTED) -> Recommendation:
    return Recommendation(
        id="1",
        version=1,
        rule="shop-size",
        platform="shop",
        alert="0123456789abcdef",
        status=status,
        proposal=proposal,
        at=AT - ago,
        expires_at=AT + ago,
        decided_by="kim",
        decided_at=AT - ago,
    )


@pytest.mark.parametrize(
    ("ago", "status", "kind"),
    [
        (timedelta(minutes=5), Status.EXECUTED, "investigate"),
        (timedelta(hours=24) - timedelta(seconds=1), Status.VERIFIED, "investigate"),
        (timedelta(hours=24), Status.EXECUTED, "scale_in"),
        (timedelta(minutes=5), Status.APPROVED, "scale_in"),
    ],
)
def test_never_both_directions_within_the_cooldown(ago: timedelta, status: Status, kind: str) -> None:
    grown = ask(cluster((0.9, 0.9, 0.9)), *brokers(3))
    proposal = ask(cluster([0.1] * 6), *brokers(6), facts=IDLE, decided=[done(grown, ago=ago, status=status)])
    assert proposal.kind == kind
    if kind == "investigate":
        assert "(scale_out), cooldown" in str(limit(proposal, "held"))


def test_what_is_under_way_counts() -> None:
    grown = ask(cluster((0.9, 0.9, 0.9)), *brokers(3))
    assert after(grown) == 4
    soon = done(grown, ago=timedelta(minutes=10))
    held = ask(cluster((0.9, 0.9, 0.9)), *brokers(3), decided=[soon])
    assert (held.kind, limit(held, "under way")) == ("rebalance", "1 broker under way")
    # It stands in the inventory now, and the load has grown.
    assert after(ask(cluster((0.9, 0.9, 0.9, 0.9)), *brokers(4), decided=[soon])) == 6
    late = done(grown, ago=timedelta(hours=2))
    assert after(ask(cluster((0.9, 0.9, 0.9)), *brokers(3), decided=[late])) == 4


def test_of_two_that_grow_the_larger_wins() -> None:
    small = done(ask(cluster((0.8, 0.8, 0.8)), *brokers(3)), ago=timedelta(0), status=Status.PROPOSED)
    large = done(ask(cluster((0.99, 0.99, 0.99)), *brokers(3)), ago=timedelta(0), status=Status.PROPOSED)
    large = large.model_copy(update={"id": "2"})
    assert contender(large, [small]) is small
    assert prevails(large, small)
    assert not prevails(small, large)


# no number from an incomplete view


@pytest.mark.parametrize(("known", "kind"), [(200, True), (199, True), (198, False), (0, False)])
def test_partitions_must_be_known(known: int, kind: bool) -> None:
    loads = [{"signal": CPU, "limit": 0.7}]
    samples = both(partitions(known, 200), each(CPU, (0.9, 0.9, 0.9)))
    if kind:
        assert ask(samples, *brokers(3), loads=loads).kind == "scale_out"
    else:
        with pytest.raises(AdviceError, match=f"{known} of 200 partitions of kafka cluster main are known"):
            ask(samples, *brokers(3), loads=loads)


@pytest.mark.parametrize(
    ("samples", "facts", "resources", "told"),
    [
        (cluster((0.9, 0.9, None)), HOT, brokers(3), "known of 2 of 3 brokers only.*: kafka-3 had no sample"),
        (cluster((0.9, 0.9, -0.5)), HOT, brokers(3), "known of 2 of 3 brokers only.*: kafka-3 had no sample"),
        (cluster((0.9, 0.9, float("nan"))), HOT, brokers(3), "known of 2 of 3"),
        (cluster((0.9, 0.9, float("inf"))), HOT, brokers(3), "known of 2 of 3"),
        (cluster((0.9, 0.9, 0.9)), HOT, brokers(9), "known of 3 of 9 brokers only.*kafka-4, kafka-5, kafka-6, …"),
        (cluster((90.0, 90.0, 90.0)), HOT, brokers(3), "kafka-1 is 90, which is no share of a capacity"),
        (both(partitions()), HOT, brokers(3), "no load of kafka cluster main is known"),
        (each(CPU, (0.9, 0.9, 0.9)), HOT, brokers(3), "kafka.topic.partitions of kafka cluster main has no sample"),
        (Samples.empty(), HOT, brokers(3), "no load of kafka cluster main is known"),
        (cluster((0.9,)), HOT, (), "no resource of kind broker and no machine with role kafka"),
        (cluster((0.9,)), alert("> 0.7", "1", host="web-1"), brokers(3), "web-1 is no broker of the inventory"),
        (cluster((0.9,)), alert("> 0.7", "1", cluster="x"), brokers(3), "no broker of the inventory is in cluster x"),
        (
            cluster((0.9,)),
            alert("> 0.7", "1", topic="x"),
            (*brokers(3), resource("b", "broker", cluster="y")),
            "there is",
        ),
    ],
)
def test_missing_and_wrong_inputs_are_named(
    samples: Samples, facts: AlertFacts, resources: tuple[Resource, ...], told: str
) -> None:
    with pytest.raises(AdviceError, match=told):
        ask(samples, *resources, facts=facts)


def test_a_rule_that_could_never_write_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_insync 3 is more than replication_factor 2"):
        Brokers(replication_factor=2, min_insync=3)


def test_the_loss_of_a_broker_under_a_strict_setting() -> None:
    proposal = ask(cluster((0.9, 0.9, 0.9)), *brokers(3), min_insync=3)
    assert proposal.survives[0].ok is False
    assert "fewer than min.insync.replicas 3" in proposal.survives[0].reason
    single = ask(cluster((0.9, 0.9, 0.9)), *brokers(3), replication_factor=1, min_insync=1)
    assert "3 replicas" in single.survives[0].reason
    alone = both(partitions(replicas=1, in_sync=1), each(CPU, (0.9, 0.9, 0.9)))
    proposal = ask(alone, *brokers(3), replication_factor=1, min_insync=1)
    assert (proposal.survives[0].ok, proposal.survives[0].reason) == (
        False,
        "replication factor 1: its partitions are gone",
    )


def test_brokers_in_one_zone_do_not_survive_it_and_unknown_zones_say_so() -> None:
    one = ask(cluster((0.9, 0.9, 0.9)), *brokers(3, zones=1))
    assert (one.survives[1].ok, one.survives[1].reason) == (False, "all brokers are in it")
    unknown = ask(cluster((0.9, 0.9, 0.9)), *brokers(3, zones=0))
    assert (unknown.survives[1].ok, unknown.to) == (None, "4 brokers")


def test_the_recorded_case_of_51_brokers(tmp_path: Path) -> None:
    """54 brokers, and the metrics of three: what isn't known isn't idle.

    The formula alone says ceil((3 × 0.667 − 54 × 0.7) ÷ 0.7) = −51, as many as alive − max RF allows.
    """
    rules = RECORDED / "rules.yaml"
    document = judged(
        tmp_path,
        rules.read_text(encoding="utf-8"),
        RECORDED / "samples.csv",
        step=timedelta(minutes=1),
        inventory=RECORDED / "inventory.yaml",
    )
    assert [one["state"] for one in document["transitions"]] == ["pending", "firing"]
    assert document["recommendations"] == []
    (failed,) = document["summary"]["advice_failed"]
    assert "is known of 3 of 54 brokers only" in failed["error"]
    assert brokers_needed(3 * 0.667, 54 * 0.7, 0.7) == -51


# what always holds

shares = st.lists(st.floats(0, 1), min_size=1, max_size=9)
rules = st.fixed_dictionaries(
    {
        "replication_factor": st.integers(2, 5),
        "quorum": st.sampled_from([1, 3, 5]),
        "max_step": st.sampled_from([{"percent": 100}, {"count": 1}, {"count": 50}]),
        "max_removal": st.sampled_from([{"percent": 100}, {"count": 1}, {"percent": 30, "count": 2}]),
    }
)


@settings(max_examples=60, deadline=None)
@given(shares, st.floats(1, 3), rules, st.sampled_from([HOT, IDLE]))
def test_more_load_never_means_fewer_brokers(
    cpu: list[float], factor: float, given_: dict[str, Any], facts: AlertFacts
) -> None:
    more = [min(1.0, share * factor) for share in cpu]
    low, high = (ask(cluster(loads), *brokers(len(cpu)), facts=facts, **given_) for loads in (cpu, more))
    assert after(low) <= after(high)
    for proposal in (low, high):
        check_complete(proposal)
        assert after(proposal) >= min(len(cpu), max(3, given_["replication_factor"], given_["quorum"]))
        if proposal.kind == "scale_out":
            assert after(proposal) >= max(3, given_["replication_factor"], given_["quorum"])
        if proposal.kind == "scale_in":
            assert proposal.survives[0].ok
            assert facts is IDLE


def test_the_same_question_has_the_same_answer() -> None:
    samples = cluster((0.31, 0.77, 0.83, 0.9))
    shuffled = Samples(
        samples.series.sample(fraction=1.0, shuffle=True, seed=3),
        samples.samples.sample(fraction=1.0, shuffle=True, seed=4),
        samples.coverage,
    )
    assert ask(samples, *brokers(4)) == ask(shuffled, *reversed(brokers(4)))


def test_hostile_names_stay_text() -> None:
    named = tuple(
        resource(HOSTILE + str(n), "broker", cluster=HOSTILE, zone=HOSTILE + str(n), price="broker") for n in range(6)
    )
    part = history(
        ("kafka.partition.offset", {"topic": HOSTILE, "partition": "0"}, steady(1.0)),
        ("kafka.partition.replicas", {"topic": HOSTILE, "partition": "0"}, steady(3.0)),
        ("kafka.partition.replicas_in_sync", {"topic": HOSTILE, "partition": "0"}, steady(3.0)),
        ("kafka.topic.partitions", {"topic": HOSTILE}, steady(1.0)),
    )
    cpu = history(*((CPU, {"host": broker.id}, steady(0.1)) for broker in named))
    loads = [{"signal": CPU, "limit": 0.7}]
    proposal = ask(both(part, cpu), *named, facts=alert("< 0.3", "1", cluster=HOSTILE), loads=loads)
    check_complete(proposal)
    assert proposal.kind == "scale_in"
    assert arguments(proposal.commands[-1])[:2] == ["--", HOSTILE + "0"]
    assert re.fullmatch(r"ssh -- \$?'.*", proposal.commands[-1])
