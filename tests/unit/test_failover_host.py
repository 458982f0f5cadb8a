"""A dead host: where its machines start, in which order, what gives way, what waits, and how long it takes."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from controlplane.model.rules import FailoverRule
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.telemetry.inventory_file import read_inventory
from tests.advice_cases import (
    HOSTILE,
    alert,
    arguments,
    asked,
    check_complete,
    history,
    limit,
    resource,
    stage,
    steady,
    take_over,
)

GB = 1e9
HYBRID = Path(__file__).parents[2] / "fixtures" / "catalyst_hybrid" / "inventory.yaml"
ORDER = ["postgresql", "timescaledb", "dragonflydb", "kafka", "billing-fraud", "microservices", "elasticsearch"]


def hosts(count: int, cores: float = 16, memory: float = 64 * GB, **fields: Any) -> list[Resource]:
    size = {"cores": cores, "memory_bytes": memory}
    return [resource(f"host-{n}", "host", cluster="hosts", capacity=size, **fields) for n in range(1, count + 1)]


def vm(name: str, at: int, cores: float = 8, memory: float = 32 * GB, **fields: Any) -> Resource:
    return resource(name, "vm", host=f"host-{at}", capacity={"cores": cores, "memory_bytes": memory}, **fields)


def ask(*resources: Resource, host: str = "host-1", down: tuple[str, ...] = (), **parameters: Any) -> Proposal:
    series = [
        ("host.up", {"cluster": "hosts", "host": r.id}, steady(float(r.id not in {host, *down})))
        for r in resources
        if r.kind == "host"
    ]
    facts = alert("< 1", "{host}", cluster="hosts", host=host)
    return take_over("host", parameters, facts, history(*series), *resources)


def test_everything_finds_room() -> None:
    proposal = ask(
        *hosts(3), vm("db", 1, role="db"), vm("app", 1, role="app"), vm("web", 2), order=["db", "app"], rto_target="10m"
    )
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("failover", "host host-1")
    assert proposal.title == "Start 2 of 2 machines of host host-1 elsewhere"
    assert proposal.to in {
        "start db → host-2, app → host-3",
        "start db → host-3, app → host-2",
        "start db → host-3, app → host-3",
    }
    assert proposal.time_to_effect == timedelta(minutes=3)
    assert proposal.gain == "2 of 2 machines run again; not running afterwards: nothing"
    assert (proposal.cost.one_off, proposal.cost.per_month, proposal.cost.known) == (0, 0, True)
    told = {item.signal: item for item in proposal.evidence}
    assert (told["RTO objective"].value, told["RTO objective"].verdict) == (300, "met")


def test_the_steps_are_fence_room_start_by_rank_and_wait() -> None:
    proposal = ask(
        *hosts(2),
        vm("db", 1, role="db"),
        vm("app", 1, 12, role="app"),
        vm("log", 2, role="log"),
        vm("mail", 2, role="mail"),
        order=["db", "app", "mail", "log"],
        checks={"storage": ["ceph", "health"]},
    )
    check_complete(proposal)
    fence, stop, start, wait = proposal.plan
    assert fence.commands == (
        "ipmitool -I lanplus -H host-1-bmc -U admin -E chassis power off",
        "ipmitool -I lanplus -H host-1-bmc -U admin -E chassis power status",
        "openstack compute service set --disable '--disable-reason=host lost' --down -- host-1 nova-compute",
    )
    assert stop.do.startswith("Stop log, the least important first")
    assert stop.commands == ("openstack server stop -- log",)
    assert start.before[:2] == ("the host reads as off", "the storage of its disks answers")
    assert "what gives way has stopped" in start.before
    assert start.commands == ("ceph health", "openstack server evacuate --wait --host=host-2 -- db")
    assert wait.do == "Leave app stopped until there is a host for them"
    assert proposal.revert == (
        "openstack compute service set --up --enable -- host-1 nova-compute",
        "openstack server migrate --live-migration --wait --host=host-1 -- db",
        "openstack server start -- log",
    )
    assert proposal.to == "start db → host-2; stop log; wait app"
    assert (stage(proposal, "lost"), stage(proposal, "placed")) == (2, 1)
    assert limit(proposal, "placed") == "room on the hosts that are left"


def test_ranks_start_one_after_the_other_and_wait_for_each_other() -> None:
    proposal = ask(
        *hosts(3),
        vm("app", 1, 4, role="app"),
        vm("db", 1, 4, role="db"),
        vm("mq", 1, 4, role="mq"),
        order=["db", "mq", "app"],
    )
    started = [step for step in proposal.plan if step.do.startswith("Start")]
    assert [step.do.split()[1] for step in started] == ["db", "mq", "app"]
    assert "db answer" in started[1].before
    assert "mq answer" in started[2].before


def test_a_group_keeps_its_quorum_and_never_shares_a_host() -> None:
    brokers = [vm(f"kafka-{n}", n, 4, role="kafka", cluster="events") for n in (1, 2, 3)]
    two = ask(*hosts(3), *brokers)
    check_complete(two)
    assert two.title == "None of the 1 machine of host host-1 finds room elsewhere"
    assert "one of events runs on every host that is left" in two.why
    assert limit(two, "apart") == "groups that never share a host"
    survives = {item.loss: item for item in two.survives}
    assert (survives["its members of events"].ok, survives["its members of events"].reason) == (
        True,
        "2 of 3 run elsewhere, 2 afterwards; 2 have to",
    )
    four = ask(*hosts(4), *brokers)
    assert four.to == "start kafka-1 → host-4"
    start = next(step for step in four.plan if step.do.startswith("Start"))
    assert "2 of 3 of events run and agree on who leads: what starts joins them, it doesn't lead" in start.before


def test_a_group_that_lost_its_quorum_is_told() -> None:
    brokers = [vm(f"kafka-{n}", at, 2, role="kafka", cluster="events") for n, at in ((1, 1), (2, 1), (3, 2))]
    proposal = ask(*hosts(4), *brokers)
    assert {item.loss: item.ok for item in proposal.survives}["its members of events"] is False
    start = next(step for step in proposal.plan if step.do.startswith("Start"))
    assert any("events lost its quorum (1 of 3 run)" in text for text in start.before)


def test_other_dead_hosts_take_nothing() -> None:
    proposal = ask(*hosts(3), vm("db", 1), vm("web", 2), down=("host-2",))
    assert proposal.to == "start db → host-3, web → host-3"
    assert "and host-2 with it" in proposal.why
    with pytest.raises(AdviceError, match="no host is left: host-1, host-2"):
        ask(*hosts(2), vm("db", 1), down=("host-2",))


def test_a_host_that_promised_too_much_gets_no_fuller() -> None:
    proposal = ask(*hosts(2), vm("db", 1), *(vm(f"app-{n}", 2) for n in range(4)))
    check_complete(proposal)
    assert proposal.to == "wait db"
    assert "host-2 promised more than that before; none of them gets fuller" in proposal.why
    assert {item.option for item in proposal.rejected} >= {"Start everything all the same", "Migrate them live"}


@pytest.mark.parametrize(("target", "verdict"), [("5m", "met"), ("4m59s", "missed")])
def test_the_objective_counts_from_the_loss(target: str, verdict: str) -> None:
    # 2 minutes since the loss, 1 of fencing, 2 of starting.
    proposal = ask(*hosts(2), vm("db", 1), rto_target=target)
    assert next(item.verdict for item in proposal.evidence if item.signal == "RTO objective") == verdict


@pytest.mark.parametrize(("count", "minutes"), [(1, 3), (4, 3), (5, 5), (8, 5), (9, 7)])
def test_so_many_start_at_once(count: int, minutes: int) -> None:
    proposal = ask(*hosts(3, 160, 640 * GB), *(vm(f"m{n}", 1) for n in range(count)))
    assert proposal.time_to_effect == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("resources", "error"),
    [
        ([], "the inventory has no host host-1"),
        (hosts(2), "the inventory has no resource of kind vm"),
        ([*hosts(2), vm("db", 2)], "no virtual machine on host host-1"),
        (
            [*hosts(2), resource("db", "vm", host="host-1", capacity={"cores": 8}), vm("b", 2)],
            "vm db has no memory in the inventory",
        ),
        (
            [*hosts(2, attributes={"reserve_cores": "101%"}), vm("db", 1)],
            "reserve_cores '101%' is no part of what it has",
        ),
        ([*hosts(2, attributes={"reserve_memory": "much"}), vm("db", 1)], "reserve_memory 'much' is no part"),
        ([*hosts(2), vm("db", 1, attributes={"start_order": "soon"})], "start_order 'soon' is no whole number"),
    ],
)
def test_what_the_inventory_doesnt_say_is_no_guess(resources: list[Resource], error: str) -> None:
    with pytest.raises(AdviceError, match=error):
        ask(*resources)


def test_the_plan_of_the_document() -> None:
    shop = tuple(r.model_copy(update={"platform": "shop"}) for r in read_inventory(HYBRID, "shop"))
    facts = alert("< 1", "{host}", cluster="hybrid-hosts", host="host-2")
    samples = history(("host.up", {"host": "host-2"}, steady(0.0)))
    proposal = take_over("host", {"order": ORDER, "rto_target": "5m"}, facts, samples, *shop)
    check_complete(proposal)
    # 432 cores were on it; two hosts may use 2 × 235.52 and have promised 464 and 432.
    assert proposal.from_ == "5 machines of host-2 (432 cores, 3.328 TB of memory)"
    assert "The 2 hosts left may use 471.04 cores, 3.973 TB of memory" in proposal.why
    starts = [step.do for step in proposal.plan if step.do.startswith("Start")]
    assert [text.split()[1] for text in starts] == ["timescaledb", "dragonflydb", "billing-fraud"]
    assert "wait postgres-primary, kafka-vm-2" in proposal.to
    survives = {item.loss: item.ok for item in proposal.survives}
    assert survives == {"its members of hybrid-kafka": True, "its members of hybrid-pg": True, "one more host": False}
    assert proposal == take_over("host", {"order": ORDER, "rto_target": "5m"}, facts, samples, *shop)


def test_the_shipped_rule_checks_what_has_to_be_true_first() -> None:
    texts, _ = read_rule_texts(["catalyst_hybrid"])
    rule = next(placed.rule for placed in load_rules(texts).rules.rules if placed.id == "catalyst-hybrid-host-failover")
    assert isinstance(rule, FailoverRule)
    # Hosts enough, so that every machine of the dead one starts, the brokers and databases apart.
    shop = [r.model_copy(update={"platform": "shop"}) for r in read_inventory(HYBRID, "shop")]
    third = next(r for r in shop if r.id == "host-3")
    more = [third.model_copy(update={"id": f"host-{n}"}) for n in range(4, 9)]
    facts = alert("< 1", "{host}", cluster="hybrid-hosts", host="host-2")
    proposal = asked(rule, facts, history(("host.up", {"host": "host-2"}, steady(0.0))), [*shop, *more], ())
    check_complete(proposal)
    assert proposal.title == "Start 5 of 5 machines of host host-2 elsewhere"
    starts = [step for step in proposal.plan if step.do.startswith("Start")]
    assert [step.do.split()[1] for step in starts] == [
        "postgres-primary",
        "timescaledb",
        "dragonflydb",
        "kafka-vm-2",
        "billing-fraud",
    ]
    assert starts[0].commands[:2] == ("ceph health detail", "patronictl list -- hybrid-pg")
    assert "Ceph has its quorum and no inactive placement group" in starts[0].before
    assert starts[3].commands[1].endswith("--describe --under-min-isr-partitions")
    assert next(item for item in proposal.evidence if item.signal == "RTO objective").value == 120 + 60 + 2 * 120
    assert all(item.ok for item in proposal.survives if item.loss != "one more host")


def test_hostile_names_reach_no_shell_and_no_terminal() -> None:
    bad = resource(HOSTILE, "host", cluster="hosts", capacity={"cores": 16, "memory_bytes": 64 * GB})
    evil = vm("db", 2).model_copy(update={"id": HOSTILE + "vm", "host": HOSTILE, "cluster": HOSTILE})
    proposal = ask(bad, *hosts(2), evil, host=HOSTILE)
    check_complete(proposal)
    begin = next(text for text in proposal.commands if " evacuate " in text)
    assert arguments(begin)[-1] == HOSTILE + "vm"
    assert arguments(proposal.commands[2])[-2] == HOSTILE


def test_a_name_that_would_be_an_option_is_refused_or_kept_from_being_one() -> None:
    proposal = ask(*hosts(2), vm("db", 1).model_copy(update={"id": "--all"}))
    begin = next(text for text in proposal.commands if " evacuate " in text)
    assert arguments(begin)[-2:] == ["--", "--all"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(2, 4))
def test_more_hosts_never_start_fewer(sizes: list[int], count: int) -> None:
    machines = [vm(f"m{n}", 1, cores, cores * GB) for n, cores in enumerate(sizes)]
    few, more = (stage(ask(*hosts(number), *machines), "placed") for number in (count, count + 1))
    assert few <= more
