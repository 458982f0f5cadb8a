"""Right-sizing: the cheapest size that carries every peak with headroom, what it saves, and when nothing is advised."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.costs.capacity import unit_costs
from controlplane.frames import Samples
from controlplane.history import History
from controlplane.model.alerts import Alert, AlertState
from controlplane.model.errors import AdviceError
from controlplane.model.methods import RightSize
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Price, PriceSource, Proposal, Recommendation, Status
from controlplane.model.resources import Inventory, Resource
from controlplane.model.severity import Severity
from controlplane.scaling import right_size
from tests.advice_cases import AT, HOSTILE, alert, arguments, check_complete, history, limit, resource, stage
from tests.drafts import recommendation

DAY = timedelta(hours=24)
GIB = 2.0**30
USES = {
    "cores": "system.cpu.utilization",
    "memory": "system.memory.utilization",
    "network": "system.network.utilization",
    "disk": "system.filesystem.utilization",
}


def entry(name: str, amount: str | None, reserved: str | None, unit: str = "USD/h", **holds: Any) -> Price:
    source = PriceSource(document="Price list", date="2026-01-01")
    body = {"id": name, "item": name, "unit": unit, "amount": amount, "reserved": reserved, "source": source}
    return Price.model_validate({**body, "holds": holds or None})


BOOK = PriceBook(
    amortise_months=36,
    prices=(
        entry("xl", "1.00", "0.50", cores=16, memory="128 GiBy", network="10Gbps"),
        entry("l", "0.50", "0.25", cores=8, memory="64 GiBy", network="5Gbps"),
        entry("m", "0.25", "0.125", cores=4, memory="32 GiBy", network="2.5Gbps"),
        entry("fat", "0.60", "0.30", cores=4, memory="128 GiBy", network="5Gbps"),
        entry("bare", "0.10", None),
        entry("secret", None, None, cores=2, memory="16 GiBy", network="1Gbps"),
        entry("bought", "1000", None, "USD", cores=2, memory="16 GiBy", network="1Gbps"),
        entry("tied", "0.40", "0.60", cores=8, memory="64 GiBy", network="5Gbps"),
        entry("host", "250000", None, "USD", cores=256, memory="2048 GiBy"),
        entry("core", "10", None, "USD/mo"),
        entry("gib", "2", "1", "USD/mo"),
    ),
)
SIZES = ["xl", "l", "m", "fat"]


def machine(name: str = "redis-1", zone: str = "a", **more: Any) -> Resource:
    capacity = {"cores": 16, "memory_bytes": 128 * GIB, "network_bits_per_second": 10e9, "disk_bytes": 1e12}
    fields = {"role": "redis", "cluster": "hot", "zone": zone, "price": "xl", "capacity": capacity, **more}
    return resource(name, fields.pop("kind", "instance"), **fields)


def fleet(count: int = 6, zones: str = "abc", **more: Any) -> list[Resource]:
    return [machine(f"redis-{n}", zones[n % len(zones)] if zones else "", **more) for n in range(1, count + 1)]


def used(
    hosts: Sequence[str],
    shares: Mapping[str, float],
    over: timedelta = DAY,
    until: timedelta = timedelta(0),
    every: timedelta = timedelta(minutes=5),
) -> Samples:
    """Every host at these shares for a day, every five minutes; the first one has the peaks once, in the middle."""
    series = []
    for part, share in shares.items():
        for index, host in enumerate(hosts):
            steps = [-n * every for n in range(int(over / every)) if n * every >= until]
            middle = steps[len(steps) // 2] if steps else None
            points = [(at, share if index == 0 and at == middle else share / 2) for at in reversed(steps)]
            series.append((USES[part], {"host": host}, points))
    return history(*series)


IDLE = {"cores": 0.15, "memory": 0.2, "network": 0.1}


def ask(
    samples: Samples | None = None,
    resources: Sequence[Resource] | None = None,
    *,
    book: PriceBook = BOOK,
    decided: Sequence[Recommendation] = (),
    firing: Sequence[Alert] = (),
    shares: Mapping[str, float] = IDLE,
    labels: Mapping[str, str] | None = None,
    **parameters: Any,
) -> Proposal:
    members = fleet() if resources is None else list(resources)
    samples = used([one.id for one in members], shares) if samples is None else samples
    facts = alert("< 0.2", "1", began=timedelta(days=2), **(labels or {"group": "redis"}))
    values = {"sizes": SIZES} if not {"sizes", "step_cores", "step_memory"} & set(parameters) else {}
    known = History(facts, samples, AT, tuple(decided), tuple(firing))
    p = RightSize.model_validate({**values, **parameters})
    return right_size.advise(known, p, Inventory(resources=tuple(members)), book)


def test_a_group_that_is_too_large() -> None:
    proposal = ask()
    check_complete(proposal)
    # cores 2.4 ÷ 0.6 = 4, memory 25.6 GiB ÷ 0.75 = 34.1, network 1 Gbit/s ÷ 0.6 = 1.67
    assert (proposal.kind, proposal.target) == ("resize", "group redis")
    assert proposal.from_ == "6 × xl (16 cores, 137.4 GB, 10 Gbit/s)"
    assert proposal.to == "6 × l (8 cores, 68.72 GB, 5 Gbit/s)"
    assert stage(proposal, "cores needed") == pytest.approx(4)
    assert stage(proposal, "memory needed") == pytest.approx(128 * 0.2 / 0.75 * GIB)
    assert limit(proposal, "cheapest size") == "memory: 36.65 GB are needed, it has 34.36 GB"
    cost = proposal.cost
    assert (cost.per_month, cost.per_month_reserved, cost.one_off) == (Decimal(-2190), Decimal(-1095), 0)
    assert proposal.gain.startswith("$2,190 a month, $26,280 a year less; frees 48 cores and 412.3 GB")
    assert cost.do_nothing == "$2,190 a month, $26,280 a year are paid for what isn't used"
    assert proposal.time_to_effect == timedelta(hours=1)
    assert proposal.inputs["memory p95, p99, peak"] == "10.0 %, 10.0 %, 20.0 % (system.memory.utilization)"
    assert {item.loss: item.ok for item in proposal.survives} == {
        "one of 3 zones": True,
        "one host": True,
        "the one that restarts": True,
    }
    assert proposal.survives[0].reason == "4 of 6 carry the peak: cores 45 %, memory 40 %, network 30 %"
    (unit,) = unit_costs(proposal)
    assert (unit.unit, unit.capacity_before, unit.capacity_after) == ("core", 96, 48)
    assert (unit.before, unit.after) == (Decimal("45.62"), Decimal("45.62"))
    assert [step.commands for step in proposal.plan] == [(), proposal.commands, ()]
    assert "billed until it ends" in cost.lines[1].note
    told = {item.option: item.reason for item in proposal.rejected}
    assert told["Take m"] == "memory: 36.65 GB are needed, it has 34.36 GB"
    assert told["Run 3 of the present size instead of 6"].startswith("it would save $2,190 a month, but data")
    assert told["Reserve 6 × xl as they are"] == (
        "it saves $2,190 a month ($26,280 a year) and binds to a size that isn't needed; the smaller size with a "
        "reservation saves $3,285 a month"
    )


@pytest.mark.parametrize(
    ("shares", "size"),
    [
        # memory: 48 of 64 GiB are 75 %
        ({"cores": 0.1, "memory": 0.375, "network": 0.1}, "l"),
        ({"cores": 0.1, "memory": 0.3751, "network": 0.1}, "fat"),
        ({"cores": 0.1, "memory": 0.1875, "network": 0.1}, "m"),
        ({"cores": 0.1, "memory": 0.1876, "network": 0.1}, "l"),
        # cores: 4.8 of 8 are 60 %; of 4 zones' load two thirds stay, so 4.8 are 90 % when one of three is lost
        ({"cores": 0.3, "memory": 0.1, "network": 0.1}, "l"),
        ({"cores": 0.15, "memory": 0.1, "network": 0.1}, "m"),
        ({"cores": 0.1501, "memory": 0.1, "network": 0.1}, "l"),
        # network: 1.5 of 2.5 Gbit/s are 60 %
        ({"cores": 0.1, "memory": 0.1, "network": 0.15}, "m"),
        ({"cores": 0.1, "memory": 0.1, "network": 0.1501}, "l"),
        ({"cores": 0.0, "memory": 0.0, "network": 0.0}, "m"),
    ],
)
def test_the_size_at_its_boundaries(shares: dict[str, float], size: str) -> None:
    proposal = ask(shares=shares)
    check_complete(proposal)
    assert proposal.to.startswith(f"6 × {size} (")


@pytest.mark.parametrize(
    ("count", "zones", "peak", "size"),
    [
        (2, "ab", 0.125, "m"),  # 2 cores: all on one of two zones are 4 of 4
        (2, "ab", 0.1251, "l"),
        (3, "abc", 0.15, "m"),  # headroom binds before two thirds do
        (3, "", 0.15, "m"),
        (3, "aab", 0.0834, "l"),  # two of three in one zone: three times as much
        (1, "a", 0.15, "m"),  # nothing takes over, nothing has to be carried
    ],
)
def test_the_loss_of_a_zone_is_carried(count: int, zones: str, peak: float, size: str) -> None:
    proposal = ask(resources=fleet(count, zones), shares={**IDLE, "cores": peak, "memory": 0.1}, quorum=0)
    check_complete(proposal)
    assert re.search(rf"\b{size} \(", proposal.to)
    carried = [item for item in proposal.survives if item.loss.endswith("zones")]
    assert all(item.ok for item in carried)


def test_one_machine() -> None:
    proposal = ask(resources=[machine(cluster="")], labels={"host": "redis-1"}, quorum=0)
    check_complete(proposal)
    assert proposal.target == "host redis-1"
    assert [item.ok for item in proposal.survives] == [False, False]
    assert "outage of a restart is announced" in proposal.plan[1].before[0]
    assert proposal.rejected[1].reason == "there is one"


def test_one_of_a_cluster_carries_what_the_other_does() -> None:
    pair = fleet(2, "ab")
    samples = used(["redis-1"], {**IDLE, "cores": 0.25, "memory": 0.1})
    proposal = ask(samples, pair, labels={"host": "redis-1"})
    assert limit(proposal, "cores needed") == "loss of one of 2 zones"
    assert stage(proposal, "cores needed") == pytest.approx(8)
    assert "fat" not in proposal.to


# steps

VM: dict[str, Any] = {
    "step_cores": 8,
    "step_memory": "64 GiBy",
    "keeps": ["network", "disk"],
    "quorum": 0,
    "host_price": "host",
}


def vm(**more: Any) -> Resource:
    capacity = {"cores": 96, "memory_bytes": 512 * GIB}
    return machine("sms", "", cluster="", kind="vm", price=None, **{"capacity": capacity, **more})


def shrink(cores: float, memory: float, **more: Any) -> Proposal:
    shares = {"cores": cores, "memory": memory}
    return ask(used(["sms"], shares), [vm()], labels={"host": "sms"}, **{**VM, **more})


@pytest.mark.parametrize(
    ("cores", "memory", "to"),
    [
        (0.2, 0.3, "32 cores, 274.9 GB"),  # 19.2 ÷ 0.6 = 32; 153.6 ÷ 0.75 = 204.8 → 256 GiB
        (0.2001, 0.3, "40 cores, 274.9 GB"),
        (0.2, 0.375, "32 cores, 274.9 GB"),  # exactly 256
        (0.2, 0.3751, "32 cores, 343.6 GB"),
        (0.2, 0.75, "32 cores, 549.8 GB"),  # memory stays
        (0.6, 0.3, "96 cores, 274.9 GB"),  # cores stay
        (0.0, 0.0, "8 cores, 68.72 GB"),
        (0.55, 0.3, "88 cores, 274.9 GB"),
    ],
)
def test_steps_of_cores_and_memory(cores: float, memory: float, to: str) -> None:
    proposal = shrink(cores, memory)
    check_complete(proposal)
    assert proposal.to == to
    assert (proposal.cost.per_month, proposal.cost.one_off) == (0, 0)


def test_what_is_freed_is_told_as_a_part_of_the_host() -> None:
    proposal = shrink(0.2, 0.3)
    assert "frees 64 cores and 274.9 GB" in proposal.gain
    assert "25 % of the cores of a host: $62,500 of its price, $1,736.11 a month over 36 months" in proposal.gain
    assert "12.5 % of the memory of a host: $31,250" in proposal.gain


def test_minimum_and_prices_of_steps() -> None:
    proposal = shrink(0.0, 0.0, minimum_cores=20, minimum_memory="100 GiBy", core_price="core", memory_price="gib")
    check_complete(proposal)
    assert proposal.to == "24 cores, 137.4 GB"
    assert limit(proposal, "cores") == "minimum 20 cores"
    assert (proposal.cost.per_month, proposal.cost.per_month_reserved) == (-720 - 768, None)
    unknown = shrink(0.2, 0.3, host_price=None)
    check_complete(unknown)
    assert unknown.cost.per_month is None
    assert "isn't known" in unknown.gain


@pytest.mark.parametrize(("cores", "memory"), [(0.6, 0.75), (0.59, 0.74)])
def test_nothing_to_give_back(cores: float, memory: float) -> None:
    with pytest.raises(AdviceError, match="is as small as it can be"):
        shrink(cores, memory)


@pytest.mark.parametrize(("cores", "memory", "part"), [(0.61, 0.3, "cores"), (0.2, 0.7501, "memory")])
def test_what_would_cross_the_trigger_is_no_reason_to_shrink_the_rest(cores: float, memory: float, part: str) -> None:
    with pytest.raises(AdviceError, match=f"isn't too large: its peak of {part}"):
        shrink(cores, memory)


# refused


def told(refused: Any, **more: Any) -> str:
    with pytest.raises(AdviceError) as caught:
        ask(**more)
    assert str(caught.value).isprintable()
    assert re.search(refused, str(caught.value)), str(caught.value)
    return str(caught.value)


HOSTS = [f"redis-{n}" for n in range(1, 7)]


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (used(HOSTS, {"cores": 0.1, "network": 0.1}), "system.memory.utilization of redis-1 has no sample"),
        (used(HOSTS[:5], IDLE), "system.cpu.utilization of redis-6 has no sample"),
        (used(HOSTS, IDLE, until=timedelta(minutes=5)), "of redis-1 has no sample in the 5 minutes"),
        (used(HOSTS, IDLE, over=timedelta(hours=17, minutes=50)), "known for 89 % of the last 20h, and 90 % are"),
        (used(HOSTS, {**IDLE, "cores": -0.1}), "is negative at times"),
        (Samples.empty(), "has no sample"),
    ],
)
def test_nothing_is_guessed(samples: Samples, why: str) -> None:
    told(why, samples=samples)


def test_exactly_enough_is_known() -> None:
    assert ask(used(HOSTS, IDLE, over=timedelta(hours=18))).kind == "resize"
    told("100 % are needed", samples=used(HOSTS, IDLE, over=timedelta(hours=19)), minimum_known=1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_doesnt_count(value: float) -> None:
    bad = history(*((name, {"host": host}, [(timedelta(0), value)]) for name in USES.values() for host in HOSTS))
    told("has no sample", samples=bad)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"resources": []}, "no instance or host or vm or broker or database with the role redis"),
        ({"resources": [machine()], "labels": {"host": "x"}}, "or database x, so its size"),
        ({"labels": {"zone": "a"}}, "has no label host"),
        ({"kinds": ["vm"]}, "no vm with the role redis"),
        ({"resources": [*fleet(2), machine("redis-3", price="l")]}, "of several sizes"),
        ({"resources": fleet(capacity={"cores": 16})}, "doesn't say how much memory redis-1 has"),
        ({"resources": fleet(price=None)}, r"none is named\) isn't known: no saving"),
        ({"resources": fleet(price="secret")}, r"secret\) isn't known: no saving"),
        ({"resources": fleet(price="bought")}, "bought once, so a smaller one saves nothing"),
        ({"resources": fleet(1), "quorum": 1}, "0 members of redis serve, and 1 have to"),
        ({"resources": fleet(3), "quorum": 3}, "2 members of redis serve, and 3 have to"),
        ({"shares": {**IDLE, "cores": 0.601}}, "isn't too large: its peak of cores"),
        ({"shares": {**IDLE, "memory": 0.751}}, "isn't too large: its peak of memory"),
        (
            {"shares": {**IDLE, "memory": 0.5}, "sizes": ["l", "m"]},
            "as small as it can be: .* l: memory: 91.63 GB are n",
        ),
        ({"sizes": ["xl"]}, r"no size that costs less than xl \(\$730 a month\) carries its peak. The rule names none"),
        ({"sizes": ["bare"]}, "bare: how much cores it has isn't in the price book"),
        (
            {"sizes": ["secret", "nowhere", "bought"]},
            "secret: its price isn't known; nowhere: its price isn't known; b",
        ),
        ({"sizes": ["tied"]}, "tied: with a reservation it costs more"),
        ({"book": PriceBook()}, "isn't known: no saving can be named"),
    ],
)
def test_what_speaks_against_it_is_said(more: dict[str, Any], why: str) -> None:
    told(why, **more)


def test_quorum_is_kept_while_one_restarts() -> None:
    assert ask(resources=fleet(3), quorum=2).survives[-1].ok


def firing(severity: str, state: AlertState = AlertState.FIRING, **labels: str) -> Alert:
    facts = alert(**labels).model_dump(exclude={"alert", "severity"})
    return Alert(id="f" * 16, state=state, severity=Severity(severity), **facts)


@pytest.mark.parametrize(
    ("severity", "labels", "refused"),
    [
        ("critical", {"group": "redis"}, True),
        ("warning", {"host": "redis-3"}, True),
        ("warning", {"cluster": "hot"}, True),
        ("info", {"host": "redis-3"}, False),
        ("critical", {"host": "proxy-1"}, False),
        ("critical", {}, False),
    ],
)
def test_nothing_is_made_smaller_while_something_else_fires(
    severity: str, labels: dict[str, str], refused: bool
) -> None:
    if refused:
        told(r"An alert fires too \(shop-alert\)", firing=[firing(severity, **labels)])
        told("fires too", firing=[firing(severity, AlertState.NO_DATA, **labels)])
    else:
        assert ask(firing=[firing(severity, **labels)]).kind == "resize"


@pytest.mark.parametrize(
    ("kind", "target", "refused"),
    [
        ("scale_out", "group redis", True),
        ("shard", "group redis", True),
        ("resize", "group redis", True),
        ("scale_in", "group redis", True),
        ("failover", "zone us-west-2c", True),
        ("scale_out", "group proxies", False),
        ("investigate", "group redis", False),
        ("rebalance", "placement of cluster hot", False),
    ],
)
def test_what_was_decided_within_a_day_counts(kind: str, target: str, refused: bool) -> None:
    plain = recommendation("d" * 16)
    changed = plain.proposal.model_copy(update={"kind": kind, "target": target})
    decided = [plain.model_copy(update={"proposal": changed, "status": Status.EXECUTED, "decided_at": AT - DAY / 2})]
    if refused:
        told("was executed within the last day", decided=decided)
    else:
        assert ask(decided=decided).kind == "resize"


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({}, "name either sizes"),
        ({"sizes": ["l"], "step_cores": 8}, "name either sizes"),
        ({"sizes": ["l"], "keeps": []}, "say where the use of disk is measured"),
        ({"sizes": ["l"], "uses": {"cores": {"signal": "a"}}}, "say where the use of memory is measured"),
        ({"sizes": ["l"], "minimum_history": "25h"}, "at most 24h"),
        ({"sizes": ["l"], "limits": {"memory": 1.1}}, "less than or equal to 1"),
        ({"sizes": ["l"], "limits": {"ram": 0.5}}, "Input should be"),
        ({"step_cores": 0}, "greater than or equal to 1"),
        ({"sizes": ["l"], "commands": [["x", "{nonsense}"]]}, "can't be filled in"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        RightSize.model_validate(parameters)


def test_commands_are_filled_in_and_quoted() -> None:
    proposal = ask(
        commands=[
            ["aws", "ec2", "create-launch-template-version", '--launch-template-data={"InstanceType":"{size}"}'],
            ["refresh", "--group={target}", "--count={count}", "{cores}", "{memory_gib}"],
        ],
        revert=[["refresh", "--size={size_before}", "{cores_before}", "{memory_gib_before}"]],
    )
    assert arguments(proposal.commands[0])[2] == '--launch-template-data={"InstanceType":"l"}'
    assert proposal.commands[1] == "refresh --group=redis --count=6 8 64"
    assert proposal.revert == ("refresh --size=xl 16 128",)


def test_hostile_names_stay_text() -> None:
    members = [machine(f"{HOSTILE}{n}", "abc"[n], role=HOSTILE) for n in range(3)]
    proposal = ask(resources=members, labels={"group": HOSTILE}, commands=[["go", "--", "{target}"]])
    check_complete(proposal)
    assert arguments(proposal.commands[0]) == ["--", HOSTILE]
    for step in proposal.plan:
        assert all(text.isprintable() for text in (step.do, *step.before, *step.commands))


def test_absolute_use_and_disks() -> None:
    uses = {part: {"signal": name, "share": part != "disk"} for part, name in USES.items()}
    book = PriceBook(prices=tuple(p.model_copy(update={"holds": p.holds and p.holds.model_copy(update={"disk": d})})
                                  for p, d in zip(BOOK.prices[:3], (1e12, 5e11, 2.5e11), strict=True)))  # fmt: skip
    shares = {**IDLE, "memory": 0.1, "disk": 0.3e12}
    proposal = ask(shares=shares, book=book, uses=uses, keeps=[], sizes=["l", "m"])
    assert proposal.to.startswith("6 × l (")  # 300 GB ÷ 0.7 = 428.6 GB
    assert stage(proposal, "disk needed") == pytest.approx(0.3e12 / 0.7)


def test_the_same_input_gives_the_same_record() -> None:
    samples = used(HOSTS, IDLE)
    assert ask(samples) == ask(samples, fleet()[::-1])


shares = st.fixed_dictionaries({part: st.floats(0, 1) for part in ("cores", "memory", "network")})


def cost_of(proposal: Proposal | None) -> Decimal:
    assert proposal is None or proposal.cost.per_month is not None
    return Decimal(0) if proposal is None else proposal.cost.per_month


def tried(use: Mapping[str, float], **more: Any) -> Proposal | None:
    try:
        return ask(
            used(["redis-1", "redis-2", "redis-3"], use, every=timedelta(minutes=5)), fleet(3), shares=use, **more
        )
    except AdviceError:
        return None


@settings(max_examples=60, deadline=None)
@given(shares, st.floats(1, 3))
def test_never_too_small_never_more_expensive_and_monotone(use: dict[str, float], more: float) -> None:
    proposal = tried(use)
    grown = tried({part: share * more for part, share in use.items()})
    assert cost_of(grown) >= cost_of(proposal)
    if proposal is None:
        return
    check_complete(proposal)
    assert cost_of(proposal) < 0
    assert proposal.cost.per_month_reserved is not None
    assert proposal.cost.per_month_reserved <= 0
    name = re.search(r"× (\w+) \(", proposal.to)
    assert name
    price = BOOK.get(name[1])
    assert price is not None
    assert price.holds is not None
    limits = {"cores": 0.6, "memory": 0.75, "network": 0.6}
    capacity = {"cores": 16.0, "memory": 128 * GIB, "network": 10e9}
    for part, share in use.items():
        has = getattr(price.holds, part)
        assert share * capacity[part] <= has * limits[part] * (1 + 1e-6)
        factor = 1.5 if part != "memory" else 1.0
        assert share * capacity[part] * factor <= has * (1 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 32))
def test_steps_are_never_too_small(cores: float, memory: float, step: int) -> None:
    try:
        proposal = shrink(cores, memory, step_cores=step)
    except AdviceError:
        return
    check_complete(proposal)
    assert 96 >= stage(proposal, "cores") >= min(96, cores * 96 / 0.6 * (1 - 1e-6))
    assert 512 * GIB >= stage(proposal, "memory") >= min(512 * GIB, memory * 512 * GIB / 0.75 * (1 - 1e-6))
