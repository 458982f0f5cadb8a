"""Growth of a volume: the trend through good and bad data, the size that follows, and its price."""

import math
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Resource
from controlplane.scaling.trend import trend
from tests.advice_cases import (
    HOSTILE,
    Points,
    alert,
    arguments,
    check_complete,
    history,
    limit,
    moving,
    resource,
    size,
    stage,
    steady,
)

HOUR = timedelta(hours=1)
GB, TB, DAY = 1e9, 1e12, 86_400
NAN = float("nan")


def fit(values: list[float | None], drop: float = 0.05) -> Any:
    rows = [(n * 1000, value) for n, value in enumerate(values)]
    frame = pl.DataFrame(rows, schema={"ts": pl.Int64, "value": pl.Float64}, orient="row")
    return trend(frame.filter(pl.col("value").is_not_null()), drop)


@pytest.mark.parametrize(
    ("name", "values", "slope", "count"),
    [
        ("a line", [10, 20, 30, 40], 10, 4),
        ("no growth", [10, 10, 10], 0, 3),
        ("it shrinks slowly", [100, 99, 98], -1, 3),
        ("one sample", [10], 0, 1),
        ("two samples", [10, 30], 20, 2),
        ("a gap", [10, None, None, 40], 10, 4 - 2),
        ("not a number", [10, NAN, 30, 40], 10, 3),
        ("infinite", [10, math.inf, 30, 40], 10, 3),
        ("a failed reading is 0", [10, 0, 30, 40], 10, 3),
        ("a clean-up", [50, 60, 70, 20, 30, 40], 10, 3),
        ("two clean-ups", [90, 10, 90, 50, 60], 10, 2),
        ("a drop of exactly 5 %", [100, 95, 105], 2.5, 3),
        ("a drop of more than 5 %", [100, 94.9, 100, 105.1], 5.1, 3),
        ("a clean-up at the end", [10, 20, 30, 5], 0, 1),
    ],
)
def test_trend(name: str, values: list[float | None], slope: float, count: int) -> None:
    result = fit(values)
    assert result.per_second == pytest.approx(slope), name
    assert result.samples == count


def test_trend_of_nothing() -> None:
    assert fit([]) is None
    assert fit([0, -1, NAN, None]) is None


def test_fit_is_told() -> None:
    good, bad, flat = fit([10, 20, 30, 40]), fit([100, 110, 100, 110, 100, 110], 0.5), fit([10, 10])
    assert (good.r2, good.residual) == (pytest.approx(1), pytest.approx(0))
    assert bad.r2 < 0.5
    assert bad.residual > 1
    assert flat.r2 is None


# slope and intercept of any line, sampled with holes

lines = st.tuples(st.floats(1e3, 1e13), st.floats(0, 1e6))


@given(lines, st.sets(st.integers(0, 200), min_size=2, max_size=60))
def test_a_line_with_holes_is_found(line: tuple[float, float], seconds: set[int]) -> None:
    start, slope = line
    frame = pl.DataFrame(
        {"ts": [s * 1000 for s in sorted(seconds)], "value": [start + slope * s for s in sorted(seconds)]},
        schema={"ts": pl.Int64, "value": pl.Float64},
    )
    result = trend(frame, 0.05)
    assert result is not None
    assert result.per_second == pytest.approx(slope, rel=1e-6, abs=start * 1e-9)


# advice

WHERE = {"host": "db-1", "mountpoint": "/data"}


def volume(used: Callable[[float], float | None], limit_: float | None = TB, over: timedelta = 2 * HOUR) -> Samples:
    """A volume with `used(seconds before now)` bytes."""
    return history(
        ("system.filesystem.usage", WHERE, moving(used, over)),
        ("system.filesystem.limit", WHERE, steady(limit_, over)),
    )


def growing(used: float = 850 * GB, per_day: float = 10 * GB, **more: Any) -> Samples:
    return volume(lambda s: used + per_day / DAY * s, **more)


def ask(samples: Samples, *resources: Resource, **parameters: Any) -> Proposal:
    facts = alert("> 0.85", "1", host="db-1", mountpoint="/data")
    return size("storage_growth", {"price": "disk", **parameters}, facts, samples, *resources)


def test_a_volume_that_fills_up() -> None:
    # (850 + 30 × 10) ÷ 0.8 − 1,000 = 437.5 → 500 GB
    proposal = ask(growing())
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("add_storage", "volume db-1:/data")
    assert (proposal.from_, proposal.to) == ("1 TB, 85.0 % used", "1.5 TB, 56.7 % used")
    assert stage(proposal, "raw") == pytest.approx(437.5 * GB)
    assert (stage(proposal, "rounded"), stage(proposal, "clamped")) == (500 * GB, 500 * GB)
    assert limit(proposal, "rounded") == "units of 100 GB"
    assert proposal.inputs["growth"] == "115.7 kB/s (10 GB a day)"
    assert proposal.inputs["r²"] == "1.000"
    assert proposal.inputs["trend"] == "481 samples over 2h"
    assert "full in 15d" in proposal.why
    assert "80 % is reached in 35d" in proposal.gain
    assert (proposal.cost.per_month, proposal.cost.per_month_reserved, proposal.cost.one_off) == (40, 40, 0)
    assert proposal.cost.do_nothing.startswith("Full in 15d")
    assert proposal.commands[1] == (
        "ssh -- db-1 'sudo lvextend --resizefs --size +500000000000b \"$(findmnt -n -o SOURCE --target /data)\"'"
    )


@pytest.mark.parametrize(
    ("used", "per_day", "parameters", "extra"),
    [
        (850, 10, {"runway": "10d"}, 200),  # 950 ÷ 0.8 = 1,187.5
        (850, 0, {}, 100),  # 1,062.5
        (850, -50, {}, 100),  # shrinking: today's size counts
        (800, 0, {}, 0),  # at the target exactly
        (800.1, 0, {}, 100),
        (850, 10, {"target": 1}, 200),
        (850, 10, {"unit": "1 GBy"}, 438),
        (850, 10, {"unit": "1 TBy"}, 1000),
        (850, 10, {"maximum": "1.45 TBy"}, 400),  # whole units only
        (850, 10, {"maximum": "1.5 TBy"}, 500),
        (850, 10, {"maximum": "1 TBy"}, 0),
        (999, 1000, {}, 37_800),  # 30,999 ÷ 0.8 − 1,000 = 37,748.75
    ],
)
def test_bytes_to_add(used: float, per_day: float, parameters: dict[str, Any], extra: float) -> None:
    proposal = ask(growing(used * GB, per_day * GB), **parameters)
    check_complete(proposal)
    assert stage(proposal, "clamped") == pytest.approx(extra * GB)
    assert proposal.kind == ("add_storage" if extra else "investigate")
    assert proposal.cost.per_month == Decimal(str(extra)) * Decimal("0.08")


def test_the_limit_is_named() -> None:
    assert limit(ask(growing(), maximum="1.2 TBy"), "clamped") == "a volume of 1.2 TB"
    full = ask(growing(), maximum="1 TBy")
    assert "It can't grow: a volume of 1 TB" in full.why


@pytest.mark.parametrize(
    ("price", "unit", "per_month", "one_off"),
    [
        ("disk", "100 GBy", Decimal(40), Decimal(0)),
        ("server", "1 TBy", Decimal(400), Decimal(0)),
        ("broker", "250 GBy", Decimal(0), Decimal(100_000)),
        ("licence", "100 GBy", Decimal(500), Decimal(0)),
        ("secret", "100 GBy", None, None),
        ("nothing", "100 GBy", None, None),
        ("cross-zone", "100 GBy", None, None),
        (None, "100 GBy", None, None),
    ],
)
def test_prices_by_gigabyte_or_by_unit(
    price: str | None, unit: str, per_month: Decimal | None, one_off: Decimal | None
) -> None:
    proposal = ask(growing(), price=price, unit=unit, unit_name="server")
    check_complete(proposal)
    assert (proposal.cost.per_month, proposal.cost.one_off) == (per_month, one_off)


def test_a_clean_up_begins_a_new_trend() -> None:
    proposal = ask(volume(lambda s: 990 * GB if s < -3600 else 860 * GB + 10 * GB / DAY * s))
    assert proposal.inputs["trend"] == "241 samples over 1h"
    assert proposal.inputs["growth"].endswith("(10 GB a day)")


def test_holes_and_bad_readings_dont_matter() -> None:
    def used(seconds: float) -> float | None:
        if -5000 < seconds < -3000:
            return None
        return {0: NAN, 1: 0.0}.get(int(seconds / 15) % 7, 850 * GB + 10 * GB / DAY * seconds)

    assert ask(volume(used)).to == ask(growing()).to


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (growing(over=timedelta(0)), "too little history of system.filesystem.usage of db-1:/data: 1 samples over 0s"),
        (growing(over=timedelta(minutes=29)), "117 samples over 29m since 18:31:00 UTC, and a trend takes 10 over 30m"),
        (
            volume(lambda s: 990 * GB if s < -600 else 850 * GB),
            "41 samples over 10m since 18:50:00 UTC",
        ),
        (volume(lambda _: None), "system.filesystem.usage of db-1:/data has no sample"),
        (volume(lambda _: 0.0), "system.filesystem.usage of db-1:/data has no sample"),
        (volume(lambda s: 850 * GB if s < -400 else None), "system.filesystem.usage of db-1:/data has no sample"),
        (growing(limit_=None), "system.filesystem.limit of db-1:/data has no sample"),
        (growing(limit_=0.0), "system.filesystem.limit of db-1:/data has no sample"),
        (Samples.empty(), "system.filesystem.limit of db-1:/data has no sample"),
    ],
)
def test_missing_inputs_are_named(samples: Samples, told: str) -> None:
    with pytest.raises(AdviceError, match=re.escape(told)):
        ask(samples)


def test_exactly_enough_history() -> None:
    assert ask(growing(over=timedelta(minutes=30))).to == "1.5 TB, 56.7 % used"


@pytest.mark.parametrize("labels", [{"host": "db-1"}, {"mountpoint": "/data"}])
def test_the_alert_has_to_name_the_volume(labels: dict[str, str]) -> None:
    with pytest.raises(AdviceError, match="has no label"):
        size("storage_growth", {}, alert(**labels), growing())


def test_two_of_three_signals_are_enough() -> None:
    points: Points = moving(lambda s: 0.85 + 0.01 / DAY * s, 2 * HOUR)
    share = ("system.filesystem.utilization", WHERE, points)
    usage = ("system.filesystem.usage", WHERE, moving(lambda s: 850 * GB + 10 * GB / DAY * s, 2 * HOUR))
    size_ = ("system.filesystem.limit", WHERE, steady(TB, 2 * HOUR))
    expected = "1.5 TB, 56.7 % used"
    assert ask(history(share, usage)).to == expected
    assert ask(history(share, size_)).to == expected
    stated = resource("v1", "volume", host="db-1", attributes={"mountpoint": "/data"}, capacity={"disk_bytes": TB})
    assert ask(history(usage), stated).to == expected
    with pytest.raises(AdviceError, match="limit"):
        ask(history(share), resource("v2", "volume", host="db-2", capacity={"disk_bytes": TB}))


@pytest.mark.parametrize(
    ("factor", "peers", "zones", "verdicts"),
    [
        (None, 2, True, [None]),
        (1, 2, True, [False]),
        (3, 0, True, [None]),
        (3, 1, True, [False, True]),
        (3, 2, True, [True, True]),
        (3, 2, False, [True, None]),
    ],
)
def test_whether_the_data_survives_its_host(
    factor: int | None, peers: int, zones: bool, verdicts: list[bool | None]
) -> None:
    resources = [resource(f"db-{n}", "host", role="db", zone=f"z{n}" if zones else "") for n in range(1, peers + 2)] + [
        resource("web-1", "host", role="web", zone="z9")
    ]
    proposal = ask(growing(), *resources, replication_factor=factor)
    assert [item.ok for item in proposal.survives] == verdicts


def test_own_commands_are_filled_in() -> None:
    proposal = ask(
        growing(),
        commands=[["aws", "ec2", "modify-volume", "--size={size_gb}"], ["order", "{units}", "{extra_bytes}"]],
        revert=[["shrink", "--", "{mountpoint}"]],
    )
    assert proposal.commands == ("aws ec2 modify-volume --size=1500", "order 5 500000000000")
    assert proposal.revert == ("shrink -- /data",)


def test_hostile_names_stay_text() -> None:
    labels = {"host": HOSTILE, "mountpoint": HOSTILE}
    samples = history(
        ("system.filesystem.usage", labels, moving(lambda s: 900 * GB + s, HOUR)),
        ("system.filesystem.limit", labels, steady(TB, HOUR)),
    )
    proposal = size("storage_growth", {}, alert(**labels), samples)
    check_complete(proposal)
    dashes, host, script = arguments(proposal.commands[1])
    assert (dashes, host) == ("--", HOSTILE)
    # What ssh hands to the shell over there is one program with the mountpoint as one argument.
    inner = script.replace("sudo lvextend", "show").replace("$(findmnt", "$(findmnt_")
    assert inner.isprintable()
    assert "--target $'" in inner


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 3), st.floats(-100, 1000), st.sampled_from([0.5, 0.8, 1.0]), st.integers(1, 90))
def test_the_target_holds_for_the_runway(share: float, per_day: float, target: float, days: int) -> None:
    over = HOUR
    first = share * TB - per_day * GB / 24
    if first <= 0:
        return
    proposal = ask(
        growing(share * TB, per_day * GB, over=over), target=target, runway=f"{days}d", minimum_history="30m", drop=1
    )
    check_complete(proposal)
    extra = stage(proposal, "clamped")
    needed = share * TB + max(0.0, per_day) * GB * days
    assert needed <= (TB + extra) * target * (1 + 1e-6)
    assert extra % (100 * GB) == 0
    assert extra == 0 or needed > (TB + extra - 100 * GB) * target * (1 - 1e-6)
