"""What always holds for the size of a fleet, whatever its load, its zones and what was decided before."""

import math
import random
from datetime import timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal, Recommendation, Status
from tests.advice_cases import alert, both, check_complete, history, only, size, steady
from tests.fleet_cases import BELOW, CPU, LOAD, MEMORY, NETWORK, TABLE, UNITS, ask, changed, fleet, loads, ups, whole

EACH = UNITS | {"each": True}
RATIO = {"form": "ratio", "signal": CPU, "target": 0.6, "tolerance": 0.1}
METRICS = (*TABLE, EACH, RATIO)
values = st.floats(0, 2, allow_nan=False)
shares = st.fixed_dictionaries(
    {CPU: values, MEMORY: values, NETWORK: st.floats(0, 2e10), LOAD: st.floats(0, 1e5)},
)
few = settings(max_examples=25, deadline=None)


def advised(*args: Any, **more: Any) -> Proposal | None:
    try:
        return ask(*args, **more)
    except AdviceError:
        return None


def number(proposal: Proposal | None, now: int) -> int:
    return now if proposal is None else round(proposal.stages[-1].value)


@few
@given(st.integers(1, 40), st.floats(0, 3), st.floats(0, 3), st.sampled_from(["ratio", "capacity", "step"]))
def test_more_load_never_asks_for_fewer(members: int, one: float, other: float, form: str) -> None:
    metrics = {"ratio": [RATIO], "capacity": [UNITS], "step": TABLE}[form]
    found = []
    for load in sorted((one, other)):
        quiet = loads(members, {CPU: load, MEMORY: 0.1, NETWORK: 1e9})
        samples = whole(load * 800 * members) if form == "capacity" else quiet
        found.append(number(advised(metrics, [samples], fleet(members), zone_loss=1.0), members))
    assert found == sorted(found)


@few
@given(
    st.integers(1, 60),
    shares,
    st.integers(1, 5),
    st.sampled_from([None, 3, 5]),
    st.sampled_from([None, 3]),
    st.sampled_from([1, 2, 3]),
)
def test_never_below_minimum_copies_or_quorum_and_never_above_the_maximum(
    members: int, share: dict[str, float], minimum: int, copies: int | None, quorum: int | None, unit: int
) -> None:
    limits = {"minimum": minimum, "replication_factor": copies, "quorum": quorum, "maximum": 30, "unit": unit}
    proposal = advised(METRICS, [loads(members, share)], fleet(members), **limits)
    if proposal is None:
        return
    check_complete(proposal)
    after = number(proposal, members)
    assert after >= max(minimum, copies or 1, quorum or 1)
    assert after <= max(members, 30)
    assert after == members or after % unit == 0 or proposal.kind == "investigate"
    assert (proposal.kind == "scale_out") == (after > members)


@few
@given(st.integers(2, 30), shares, st.sets(st.sampled_from(["z0", "z1", "z2"]), max_size=2), st.booleans())
def test_never_into_a_lost_zone_and_nothing_is_taken_away_while_one_is_lost(
    members: int, share: dict[str, float], lost: set[str], by_ratio: bool
) -> None:
    down = [n for n in range(members) if f"z{n % 3}" in lost]
    ratios = history(*(("zone.up.ratio", {"zone": zone}, steady(0.0)) for zone in sorted(lost)))
    said = ratios if by_ratio else ups(members, down=down)
    commands = {"commands": [["start", "{zones}"], ["size", "{total}"]], "revert": [["size", "{before}"]]}
    proposal = advised(METRICS, [loads(members, share), said], fleet(members), scale_out=commands)
    if proposal is None:
        return
    assert proposal.kind in ({"scale_out", "investigate"} if lost else {"scale_out", "scale_in", "investigate"})
    if proposal.kind == "scale_out":
        assert (
            int(proposal.commands[-1].removeprefix("size ")) > int(proposal.revert[0].removeprefix("size ")) == members
        )
    assert not any(zone in proposal.to or zone in " ".join(proposal.commands) for zone in lost)
    placed = [part.split() for part in proposal.to.partition("(")[2].rstrip(")").split(", ") if part]
    sizes = [int(count) for _, count in placed]
    assert sum(sizes) == number(proposal, members)
    assert max(sizes) - min(sizes) <= 1


changes = st.lists(
    st.tuples(st.integers(0, 3000), st.booleans(), st.sampled_from([Status.EXECUTED, Status.APPROVED])), max_size=4
)


@few
@given(st.integers(20, 60), shares, changes)
def test_nothing_is_taken_away_within_a_cooldown(
    members: int, share: dict[str, float], before: list[tuple[int, bool, Status]]
) -> None:
    template = ask([UNITS], [whole(1e6)], fleet(12))
    decided: list[Recommendation] = [
        changed(
            template,
            members - 5 if grew else members + 5,
            members,
            timedelta(seconds=ago),
            name=f"r{number}",
            status=status,
        )
        for number, (ago, grew, status) in enumerate(before)
    ]
    proposal = advised(TABLE, [loads(members, share)], fleet(members), decided=decided)
    if proposal is not None and proposal.kind == "scale_in":
        assert all(ago >= 15 * 60 and status is Status.EXECUTED for ago, _, status in before)


def shuffled(samples: Samples, seed: int) -> Samples:
    """The same series and samples in another order, under other numbers."""
    order = list(range(samples.series.height))
    random.Random(seed).shuffle(order)
    numbers = pl.DataFrame({"sid": range(len(order)), "other": order}, schema={"sid": pl.UInt32, "other": pl.UInt32})

    def renumbered(frame: pl.DataFrame) -> pl.DataFrame:
        mixed = frame.join(numbers, on="sid").sample(fraction=1, shuffle=True, seed=seed)
        return mixed.drop("sid").rename({"other": "sid"}).select(frame.columns)

    return Samples(renumbered(samples.series), renumbered(samples.samples), samples.coverage)


@few
@given(st.integers(1, 20), shares, st.integers(0, 1000))
def test_the_same_input_gives_the_same_record(members: int, share: dict[str, float], seed: int) -> None:
    samples = both(loads(members, share), ups(members))
    uneven = samples.samples.with_columns(pl.col("value") * (1 + pl.col("sid").cast(pl.Float64) / 97))
    samples = Samples(samples.series, uneven, samples.coverage)
    first = advised(METRICS, [samples], fleet(members))
    resources = fleet(members)
    random.Random(seed).shuffle(resources)
    second = advised(METRICS, [shuffled(samples, seed)], resources)
    assert (first and first.model_dump_json()) == (second and second.model_dump_json())


@few
@given(
    st.integers(1, 30),
    shares,
    st.sampled_from(["node", "secret", "no such price", None]),
    st.dictionaries(st.sampled_from([CPU, MEMORY, NETWORK, LOAD]), st.sampled_from([math.nan, math.inf, -1.0, None])),
)
def test_never_not_a_number_negative_or_free(
    members: int, share: dict[str, float], price: str | None, broken: dict[str, float | None]
) -> None:
    samples = loads(members, {**share, **broken})
    proposal = advised(METRICS, [samples], fleet(members), price=price)
    if proposal is None:
        return
    check_complete(proposal)
    assert all(math.isfinite(stage.value) and stage.value >= 0 for stage in proposal.stages)
    assert all(item.value is None or math.isfinite(item.value) for item in proposal.evidence)
    if proposal.kind == "investigate":
        return
    known = price in {"node", None}
    assert proposal.cost.known == known
    assert (proposal.cost.per_month is None) != known
    if proposal.cost.per_month is not None:
        assert (proposal.cost.per_month > 0) == (proposal.kind == "scale_out")
    if broken:
        assert proposal.kind == "scale_out"


@few
@given(st.sampled_from([CPU, MEMORY, NETWORK]), st.integers(0, 1000))
def test_a_signal_without_a_source_takes_nothing_away(silent: str, seed: int) -> None:
    quiet: dict[str, float | None] = {CPU: 0.3, MEMORY: 0.3, NETWORK: 1e9}
    everything = shuffled(loads(30, quiet), seed)
    proposal = advised(TABLE, [everything], fleet(30))
    assert proposal is not None
    assert proposal.kind == "scale_in"
    kept = only(everything, {CPU, MEMORY, NETWORK} - {silent})
    assert advised(TABLE, [kept], fleet(30)) is None


def test_the_rows_that_take_away_alone_need_no_other_metric() -> None:
    proposal = size("fleet", {"metrics": [BELOW]}, alert(group="web"), loads(30, {CPU: 0.3}), *fleet(30))
    assert proposal.kind == "scale_in"
