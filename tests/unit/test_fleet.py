"""The size of a fleet: step tables, capacities, every limit at its boundary, and what forbids to take away."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Status
from controlplane.model.rules import ScalingRule
from tests.advice_cases import (
    HOSTILE,
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
from tests.fleet_cases import (
    ABOVE,
    BELOW,
    CPU,
    FULL,
    HALF_AN_HOUR,
    LOAD,
    MEMORY,
    NETWORK,
    QUIET,
    TABLE,
    UNITS,
    WIRE,
    ask,
    changed,
    count,
    fleet,
    loads,
    told,
    ups,
    whole,
)

BUSY = {CPU: 0.72, MEMORY: 0.6, NETWORK: 5e9}
SECOND, MINUTE, MS = timedelta(seconds=1), timedelta(minutes=1), timedelta(milliseconds=1)


def of_cpu(value: Callable[[float], float | None], members: int = 48) -> Samples:
    """CPU that moves, and quiet memory and network."""
    cpu = history(*((CPU, {"host": f"web-{n:03}"}, moving(value, HALF_AN_HOUR)) for n in range(members)))
    return both(cpu, loads(members, {MEMORY: 0.5, NETWORK: 2e9}))


# the table


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (BUSY, 53),
        ({CPU: 0.7, MEMORY: 0.5, NETWORK: 8e9}, None),
        ({CPU: 0.700001, MEMORY: 0.5, NETWORK: 2e9}, 53),
        ({CPU: 0.5, MEMORY: 0.85, NETWORK: 2e9}, None),
        ({CPU: 0.5, MEMORY: 0.850001, NETWORK: 2e9}, 53),
        ({CPU: 0.5, MEMORY: 0.5, NETWORK: 8_000_000_001.0}, 53),
        ({CPU: 0.4, MEMORY: 0.5, NETWORK: 2e9}, None),
        ({CPU: 0.399999, MEMORY: 0.5, NETWORK: 2e9}, 43),
        # Growing wins where rows contradict each other.
        ({CPU: 0.3, MEMORY: 0.9, NETWORK: 2e9}, 53),
    ],
)
def test_rows_of_the_table(values: dict[str, float | None], expected: int | None) -> None:
    if expected is None:
        assert "no row of its step table holds" in told(TABLE, [loads(48, values)], fleet(48))
        return
    proposal = ask(TABLE, [loads(48, values)], fleet(48))
    check_complete(proposal)
    assert count(proposal) == expected
    assert proposal.kind == ("scale_out" if expected > 48 else "scale_in")
    names = [item.name for item in proposal.stages]
    assert names == ["now", "raw", "tolerance", "stabilised", "rate-limited", "whole units", "clamped"]


@pytest.mark.parametrize(
    ("began", "holds"), [(600, True), (301, True), (300, True), (299, False), (285, False), (15, False)]
)
def test_a_row_holds_when_it_was_beyond_for_its_whole_time(began: int, holds: bool) -> None:
    samples = [of_cpu(lambda s: 0.8 if s >= -began else 0.5)]
    if holds:
        assert count(ask(TABLE, samples, fleet(48))) == 53
    else:
        assert "no row" in told(TABLE, samples, fleet(48))


def test_one_lapse_within_its_time_ends_a_row() -> None:
    assert "no row" in told(TABLE, [of_cpu(lambda s: 0.7 if s == -150 else 0.8)], fleet(48))


def test_a_gap_of_less_than_five_minutes_doesnt() -> None:
    assert count(ask(TABLE, [of_cpu(lambda s: None if -290 < s < -10 else 0.8)], fleet(48))) == 53


def test_a_source_that_is_silent_for_five_minutes_is_no_data() -> None:
    assert "has no sample" in told([ABOVE], [of_cpu(lambda s: 0.8 if s <= -300 else None)], fleet(48))
    assert count(ask([ABOVE | {"for": "0s"}], [of_cpu(lambda s: 0.8 if s <= -285 else None)], fleet(48))) == 53


# whole units, minimum, maximum, addresses


@pytest.mark.parametrize(
    ("members", "busy", "unit", "expected", "bit"),
    [
        (48, True, 3, 54, "units of 3 (shard)"),
        (60, True, 3, 66, None),
        (60, False, 3, 54, None),
        (63, False, 3, 57, "units of 3 (shard)"),
        (48, True, 1, 53, None),
        (12, False, 3, 12, "units of 3 (shard)"),
        # What is no whole number of units keeps its size until something asks for a change.
        (49, True, 3, 54, None),
    ],
)
def test_whole_units(members: int, busy: bool, unit: int, expected: int, bit: str | None) -> None:
    given: tuple[Any, ...] = (TABLE, [loads(members, BUSY if busy else QUIET)], fleet(members))
    if expected == members:
        assert bit is not None
        assert bit in told(*given, unit=unit, unit_name="shard")
        return
    proposal = ask(*given, unit=unit, unit_name="shard")
    assert count(proposal) == expected
    assert limit(proposal, "whole units") == bit


@pytest.mark.parametrize(
    ("members", "values", "expected", "bit"),
    [
        (1000, BUSY, None, "maximum 1000"),
        (999, BUSY, 1000, "maximum 1000"),
        (950, BUSY, 1000, "maximum 1000"),
        (900, BUSY, 990, None),
        (48, QUIET, None, "minimum 48"),
        (49, QUIET, 48, "minimum 48"),
        (54, QUIET, 48, None),
        (53, QUIET, 48, "minimum 48"),
        (55, QUIET, 49, None),
        (47, BUSY, 52, None),
        (40, QUIET | {CPU: 0.72}, 48, "minimum 48"),
    ],
)
def test_between_48_and_1000(members: int, values: dict[str, float | None], expected: int | None, bit: str) -> None:
    given: tuple[Any, ...] = (TABLE, [loads(members, values)], fleet(members))
    limits = {"minimum": 48, "maximum": 1000}
    if expected is None and values is QUIET:
        assert bit in told(*given, **limits)
        return
    proposal = ask(*given, **limits)
    assert count(proposal) == (expected or members)
    assert limit(proposal, "clamped") == bit
    if expected is None:
        check_complete(proposal)
        assert proposal.kind == "investigate"
        assert proposal.title == "Group web can't grow"


def test_a_maximum_holds_in_whole_units() -> None:
    proposal = ask(TABLE, [loads(996, BUSY)], fleet(996), unit=3, maximum=1000)
    assert (count(proposal), limit(proposal, "clamped")) == (999, "maximum 1000")
    full = ask(TABLE, [loads(999, BUSY)], fleet(999), unit=3, maximum=1000)
    assert (full.kind, count(full)) == ("investigate", 999)


@pytest.mark.parametrize(
    ("limits", "bit"),
    [
        ({"replication_factor": 3}, "replication factor 3"),
        ({"quorum": 3}, "quorum 3"),
        ({"minimum": 3}, "minimum 3"),
        ({"minimum": 2, "replication_factor": 3, "quorum": 2}, "replication factor 3"),
    ],
)
def test_never_below_copies_quorum_or_minimum(limits: dict[str, int], bit: str) -> None:
    table = [BELOW | {"percent": 60}]
    proposal = ask(table, [loads(4, {CPU: 0.1})], fleet(4), scale_in={"step": {"percent": 100}}, **limits)
    assert (stage(proposal, "raw"), count(proposal), limit(proposal, "clamped")) == (1, 3, bit)
    assert bit in told(table, [loads(3, {CPU: 0.1})], fleet(3), scale_in={"step": {"percent": 100}}, **limits)


NETWORK_OF = resource("subnets", "cluster", limits={"ipam.used": 1000.0})
ADDRESSES = {"addresses": {"signal": "ipam.used", "network": "subnets"}}


@pytest.mark.parametrize(
    ("used", "unit", "expected", "bit"),
    [
        (900.0, 1, 53, None),
        (995.0, 1, 53, None),
        (996.0, 1, 52, "4 free addresses"),
        (999.0, 1, 49, "1 free address"),
        (1000.0, 1, 48, "0 free addresses"),
        (1200.0, 1, 48, "0 free addresses"),
        (994.0, 3, 54, None),
        (995.0, 3, 51, "5 free addresses"),
        (998.0, 3, 48, "2 free addresses"),
    ],
)
def test_free_addresses_limit_growing(used: float, unit: int, expected: int, bit: str | None) -> None:
    addresses = history(("ipam.used", {"network": "subnets"}, steady(used)))
    proposal = ask(TABLE, [loads(48, BUSY), addresses], [*fleet(48), NETWORK_OF], unit=unit, **ADDRESSES)
    assert (count(proposal), limit(proposal, "clamped")) == (expected, bit)
    assert proposal.inputs["free addresses"] == f"{1000 - used:,.0f}"


def test_addresses_that_arent_known_limit_nothing_and_are_told() -> None:
    proposal = ask(TABLE, [loads(48, BUSY)], [*fleet(48), NETWORK_OF], **ADDRESSES)
    assert (count(proposal), proposal.inputs["free addresses"]) == (53, "not known")


# zones and placement groups


@pytest.mark.parametrize(
    ("load", "largest", "groups"),
    [
        (1500, 500, ["web-z0-1", "web-z1-1", "web-z2-1"]),
        (1501, 500, ["web-z0-1", "web-z0-2", "web-z1-1", "web-z2-1"]),
        (1503, 500, [f"web-z{zone}-{n}" for zone in range(3) for n in (1, 2)]),
        (1600, 167, [f"web-z{zone}-{n}" for zone in range(3) for n in (1, 2, 3, 4)]),
    ],
)
def test_at_most_500_in_a_placement_group(load: int, largest: int, groups: list[str]) -> None:
    there = resource("web-z0-1", "cluster")
    proposal = ask([UNITS], [whole(load * 800.0)], [*fleet(1400), there], placement_groups={"largest": largest})
    assert count(proposal) == load
    made = [command.split("--group-name=")[1].split()[0] for command in proposal.commands[:-1]]
    assert made == [group for group in groups if group != "web-z0-1"]
    assert proposal.inputs["placement groups"].startswith(", ".join(groups[:6]))


@pytest.mark.parametrize(
    ("zones", "load", "expected"),
    [
        (3, 13, "z0 5, z1 4, z2 4"),
        (3, 14, "z0 5, z1 5, z2 4"),
        (3, 15, "z0 5, z1 5, z2 5"),
        (5, 14, "z0 3, z1 3, z2 3, z3 3, z4 2"),
        (1, 14, "z0 14"),
    ],
)
def test_zones_differ_by_one_at_most(zones: int, load: int, expected: str) -> None:
    proposal = ask([UNITS], [whole(load * 800.0)], fleet(12, zones))
    assert proposal.to == f"{load} instances ({expected})"


def test_uneven_zones_are_evened_and_the_fullest_keep_the_odd_ones() -> None:
    uneven = [resource(f"web-{n}", "instance", role="web", zone="b" if n < 6 else "a") for n in range(8)]
    proposal = ask([UNITS], [whole(9 * 800.0)], uneven)
    assert proposal.inputs["by zone now"] == "a 2, b 6"
    assert proposal.inputs["by zone after"] == "a 4, b 5"


def test_nothing_is_started_in_a_lost_zone() -> None:
    lost = history(("zone.up.ratio", {"zone": "z1"}, steady(0.0)), ("zone.up.ratio", {"zone": "z0"}, steady(1.0)))
    commands = {"scale_out": {"commands": [["start", "{total}", "{zones}"]]}}
    proposal = ask(TABLE, [loads(48, BUSY), lost], fleet(48), **commands)
    assert proposal.from_ == "32 instances"
    assert proposal.to == "36 instances (z0 18, z2 18)"
    assert arguments(proposal.commands[0]) == ["36", "z0", "z2"]
    assert "Zone z1 is lost with 16 instances; nothing is started there." in proposal.why
    # The same where none of its members answers.
    silent = ask(TABLE, [loads(48, BUSY), ups(48, down=range(1, 48, 3))], fleet(48), **commands)
    assert silent.to == proposal.to


LOST_ZONE = history(("zone.up.ratio", {"zone": "z1"}, steady(0.0)), ("zone.up.ratio", {"zone": "z0"}, steady(1.0)))


@pytest.mark.parametrize(
    ("members", "command", "revert", "done", "back"),
    [
        pytest.param(48, ["size={total}"], ["size={before}"], ["size=52"], ["size=48"], id="the whole group"),
        pytest.param(72, ["size={total}"], ["size={before}"], ["size=77"], ["size=72"], id="of 72"),
        pytest.param(4, ["size={total}"], ["size={before}"], ["size=5"], ["size=4"], id="of 4"),
        pytest.param(
            48,
            ["size={total}", "{zones}"],
            ["size={before}", "{zones}", "{lost}"],
            ["size=36", "z0", "z2"],
            ["size=48", "z0", "z2", "z1"],
            id="the other zones alone, and back to all of them",
        ),
        pytest.param(
            48,
            ["size={total}", "--zones={zones}"],
            ["size={before}", "--zones={zones}"],
            ["size=36", "--zones=z0,z2"],
            ["size=32", "--zones=z0,z2"],
            id="the other zones in one argument",
        ),
    ],
)
def test_members_of_a_lost_zone_stay_in_a_group_that_keeps_its_zones(
    members: int, command: list[str], revert: list[str], done: list[str], back: list[str]
) -> None:
    commands = {"commands": [["start", *command], ["look"]], "revert": [["start", *revert]]}
    proposal = ask(TABLE, [loads(members, BUSY), LOST_ZONE], fleet(members), scale_out=commands)
    check_complete(proposal)
    assert proposal.kind == "scale_out"
    assert arguments(proposal.commands[0]) == done
    assert arguments(proposal.revert[0]) == back
    sizes = f"They stay in the group, whose size goes from {members} to {done[0].removeprefix('size=')}."
    assert (sizes in proposal.why) == (len(done) == 1)


@pytest.mark.parametrize(
    ("maximum", "zones", "expected"),
    [
        (47, False, 32),
        (48, False, 32),
        (49, False, 33),
        (51, False, 35),
        (52, False, 36),
        (35, True, 35),
        (36, True, 36),
    ],
)
def test_members_of_a_lost_zone_count_toward_the_maximum_of_their_group(
    maximum: int, zones: bool, expected: int
) -> None:
    commands = {"commands": [["start", "{total}", *(["{zones}"] if zones else [])]]}
    proposal = ask(TABLE, [loads(48, BUSY), LOST_ZONE], fleet(48), scale_out=commands, maximum=maximum)
    assert count(proposal) == expected
    if expected < 36:
        more = "" if zones else ", 16 of them in lost zones"
        assert limit(proposal, "clamped") == f"maximum {maximum}{more}"


def test_no_zone_left_is_no_matter_of_size() -> None:
    assert "no member of web is left" in told(TABLE, [loads(6, BUSY), ups(6, down=range(6))], fleet(6))


# cooldowns


def before(seconds: timedelta, old: int = 43, new: int = 48, **more: Any) -> list[Any]:
    """A change that was executed that long ago."""
    return [changed(ask(TABLE, [loads(48, BUSY)], fleet(48)), old, new, seconds, **more)]


@pytest.mark.parametrize(
    ("values", "ago", "cooldown"),
    [
        (BUSY, 5 * MINUTE, timedelta(minutes=5)),
        ({CPU: 0.5, MEMORY: 0.9, NETWORK: 2e9}, 10 * MINUTE, timedelta(minutes=10)),
        ({CPU: 0.5, MEMORY: 0.5, NETWORK: 9e9}, 5 * MINUTE, timedelta(minutes=5)),
    ],
)
def test_each_row_has_its_own_cooldown_to_the_millisecond(
    values: dict[str, float | None], ago: timedelta, cooldown: timedelta
) -> None:
    assert ago == cooldown
    given: tuple[Any, ...] = (TABLE, [loads(48, values)], fleet(48))
    assert "cooldown" in told(*given, decided=before(cooldown - MS))
    after = ask(*given, decided=before(cooldown))
    assert count(after) == 53
    assert after.inputs["last change"].startswith("43 → 48, executed 18:")


@pytest.mark.parametrize(("grew", "left"), [(True, 15), (False, 15)])
def test_nothing_is_taken_away_within_the_cooldown_of_any_change(grew: bool, left: int) -> None:
    given: tuple[Any, ...] = (TABLE, [loads(48, QUIET)], fleet(48))
    sizes = (43, 48) if grew else (53, 48)
    assert "cooldown 15m since 18:45:00 UTC" in told(*given, decided=before(left * MINUTE - MS, *sizes))
    assert count(ask(*given, decided=before(left * MINUTE, *sizes))) == 43


def test_the_longest_cooldown_of_growing_counts_for_taking_away() -> None:
    table = [ABOVE, FULL | {"cooldown": "40m"}, BELOW]
    given: tuple[Any, ...] = (table, [loads(48, QUIET)], fleet(48))
    assert "cooldown 40m" in told(*given, decided=before(40 * MINUTE - MS))
    assert count(ask(*given, decided=before(40 * MINUTE))) == 43
    # After shrinking it doesn't matter how fast the fleet may grow.
    assert count(ask(*given, decided=before(15 * MINUTE, 53, 48))) == 43


def test_growing_isnt_held_up_by_shrinking_and_ends_its_cooldown() -> None:
    given: tuple[Any, ...] = (TABLE, [loads(48, BUSY)], fleet(48))
    shrunk = before(SECOND, 53, 48)
    assert count(ask(*given, decided=shrunk)) == 53
    quiet: tuple[Any, ...] = (TABLE, [loads(48, QUIET)], fleet(48))
    both_ways = [*before(30 * MINUTE, 53, 43), *before(15 * MINUTE, 43, 48, name="r2")]
    assert count(ask(*quiet, decided=both_ways)) == 43


def test_what_was_added_within_the_cooldown_counts_toward_the_next_step() -> None:
    # 48 + 10 % was executed a minute ago and the new ones aren't in the inventory yet.
    given: tuple[Any, ...] = ([loads(48, BUSY)], fleet(48))
    just = before(MINUTE, 48, 53)
    assert "cooldown 5m: 5 of them added already" in told(TABLE, *given, decided=just)
    steeper = [*TABLE, ABOVE | {"percent": 20}]
    proposal = ask(steeper, *given, decided=just)
    assert (stage(proposal, "now"), stage(proposal, "raw"), count(proposal)) == (53, 58, 58)
    assert proposal.cost.lines[0].quantity == Decimal(5)


def test_an_executed_growth_is_there_until_its_time_to_effect() -> None:
    given: tuple[Any, ...] = (TABLE, [loads(48, BUSY)], fleet(48))
    coming = ask(*given, decided=before(10 * MINUTE - MS, 48, 53))
    assert (stage(coming, "now"), count(coming)) == (53, 59)
    failed = ask(*given, decided=before(10 * MINUTE, 48, 53))
    assert (stage(failed, "now"), count(failed)) == (48, 53)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (Status.APPROVED, True),
        (Status.EXECUTED, True),
        (Status.VERIFIED, True),
        (Status.INEFFECTIVE, True),
        (Status.REJECTED, False),
        (Status.EXPIRED, False),
        (Status.WITHDRAWN, False),
    ],
)
def test_what_wasnt_done_starts_no_cooldown(status: Status, counts: bool) -> None:
    given: tuple[Any, ...] = (TABLE, [loads(48, QUIET)], fleet(48))
    decided = before(MINUTE, status=status)
    if counts:
        assert ("approved" if status is Status.APPROVED else "cooldown") in told(*given, decided=decided)
    else:
        assert count(ask(*given, decided=decided)) == 43


def test_changes_of_other_fleets_dont_count() -> None:
    decided = before(MINUTE, target="group other")
    assert count(ask(TABLE, [loads(48, QUIET)], fleet(48), decided=decided)) == 43


def test_the_rate_limit_counts_from_the_size_at_the_beginning_of_its_period() -> None:
    given: tuple[Any, ...] = ([UNITS], [whole(40 * 800.0)], fleet(12))
    limits = {"scale_out": {"step": {"percent": 100}, "period": "5m"}}
    assert count(ask(*given, **limits)) == 24
    assert count(ask(*given, **limits, decided=before(5 * MINUTE - MS, 8, 12))) == 16
    assert count(ask(*given, **limits, decided=before(5 * MINUTE, 8, 12))) == 24


# what forbids to take away


ALONE = [BELOW | {"below": 0.9, "full": 1.0}]


@pytest.mark.parametrize(
    ("metrics", "values", "allowed", "why"),
    [
        # 60 → 54 instances, so every mean grows by a ninth.
        (TABLE, {CPU: 0.3, MEMORY: 0.765, NETWORK: 2e9}, True, ""),
        (TABLE, {CPU: 0.3, MEMORY: 0.7651, NETWORK: 2e9}, False, "memory would be 85.01 % and trigger at 85 %"),
        (TABLE, {CPU: 0.3, MEMORY: 0.5, NETWORK: 7.2e9}, True, ""),
        (
            TABLE,
            {CPU: 0.3, MEMORY: 0.5, NETWORK: 7.3e9},
            False,
            "network would be 8.111 Gbit/s and trigger",
        ),
        (ALONE, {CPU: 0.6003}, True, ""),
        (ALONE, {CPU: 0.6004}, False, "cpu would use 66.7 % of the capacity, and the loss of a zone is carried up to"),
        (TABLE, {CPU: 0.3, MEMORY: None, NETWORK: 2e9}, False, "memory has no data"),
        (TABLE, {CPU: 0.3, MEMORY: 0.5, NETWORK: None}, False, "network has no data"),
    ],
)
def test_taking_away_is_refused(
    metrics: list[dict[str, Any]], values: dict[str, float | None], allowed: bool, why: str
) -> None:
    given: tuple[Any, ...] = (metrics, [loads(60, values)], fleet(60))
    if allowed:
        proposal = ask(*given)
        check_complete(proposal)
        assert (proposal.kind, count(proposal)) == ("scale_in", 54)
    else:
        reason = told(*given)
        assert reason.startswith("nothing is taken away from web (60 → 54): ")
        assert why in reason


def test_the_highest_mean_of_the_time_counts_for_another_trigger() -> None:
    memory = history(
        *(
            (MEMORY, {"host": f"web-{n:03}"}, moving(lambda s: 0.8 if s == -60 else 0.5, HALF_AN_HOUR))
            for n in range(60)
        )
    )
    reason = told(TABLE, [loads(60, {CPU: 0.3, NETWORK: 2e9}), memory], fleet(60))
    assert "memory would be 88.89 %" in reason


def test_in_one_zone_the_loss_of_a_zone_forbids_nothing() -> None:
    proposal = ask(ALONE, [loads(60, {CPU: 0.75})], fleet(60, zones=1))
    assert count(proposal) == 54
    assert [item.ok for item in proposal.survives] == [False, True]


def test_a_member_that_doesnt_answer_or_has_no_sample_forbids_it() -> None:
    assert "no answer from web-007" in told(TABLE, [loads(60, QUIET), ups(60, down=[7])], fleet(60))
    assert "no answer from web-007 and 1 more" in told(TABLE, [loads(60, QUIET), ups(60, down=[7, 9])], fleet(60))
    assert "cpu of 1 instance is missing" in told(TABLE, [loads(59, QUIET)], fleet(60))
    assert count(ask(TABLE, [loads(60, QUIET), ups(60)], fleet(60))) == 54


def test_a_lost_zone_forbids_it() -> None:
    lost = history(("zone.up.ratio", {"zone": "z1"}, steady(0.0)))
    assert "zone z1 is lost" in told(TABLE, [loads(60, QUIET), lost], fleet(60))


def test_who_answers_has_to_be_known_where_it_is_measured() -> None:
    stale = history(
        *(
            ("instance.up", {"host": f"web-{n:03}"}, moving(lambda s: 1.0 if s < -300 else None, HALF_AN_HOUR))
            for n in range(60)
        )
    )
    assert "instance.up has no data" in told(TABLE, [loads(60, QUIET), stale], fleet(60))
    assert count(ask(TABLE, [loads(60, BUSY), stale], fleet(60))) == 66


def test_nothing_is_taken_away_where_the_rule_says_so() -> None:
    given: tuple[Any, ...] = ([UNITS], [whole(800.0)], fleet(12))
    assert "nothing is ever taken away" in told(*given, scale_in=None)
    assert count(ask(*given)) == 10


# capacity


@pytest.mark.parametrize(
    ("load", "share", "expected"),
    [
        (9600.0, 0.8, 12),
        (9600.1, 0.8, 13),
        (10400.0, 0.8, 13),
        (12000.0, 1.0, 12),
        (12001.0, 1.0, 13),
        (8800.0, 0.8, 11),
    ],
)
def test_capacity_of_a_unit(load: float, share: float, expected: int) -> None:
    given: tuple[Any, ...] = ([UNITS | {"share": share}], [whole(load)], fleet(12, zones=1))
    if expected == 12:
        assert "that is what the metrics ask for" in told(*given)
    else:
        assert count(ask(*given)) == expected


def test_capacity_with_a_load_of_each_member_in_parts() -> None:
    parts = history(
        *(
            (LOAD, {"host": f"web-{n:03}", "topic": topic}, steady(500.0, HALF_AN_HOUR))
            for n in range(4)
            for topic in ("a", "b")
        )
    )
    assert count(ask([UNITS | {"each": True}], [parts], fleet(4))) == 5


def test_members_counted_by_a_setting_of_their_hosts() -> None:
    hosts = [
        resource(f"host-{n}", "host", role="servers", zone="z0", settings={"instances/sms": "2"}) for n in range(4)
    ]
    series = history(
        *(("rate", {"service": "sms", "instance": f"sms-{n}"}, steady(1900.0, HALF_AN_HOUR)) for n in range(8)),
        *((("rate", {"service": "other", "instance": f"other-{n}"}, steady(9000.0, HALF_AN_HOUR))) for n in range(3)),
    )
    parameters = {
        "label": "service",
        "roles": {"sms": "servers"},
        "kinds": ["host"],
        "by": "instance",
        "counted": {"setting": "instances/sms"},
        "metrics": [{"form": "capacity", "signal": "rate", "capacity": 2000, "share": 0.8, "match": ["service"]}],
    }
    facts = alert(service="sms")
    proposal = size("fleet", parameters, facts, series, *hosts)
    check_complete(proposal)
    assert (proposal.from_, proposal.to) == ("8 instances", "10 instances (z0 10)")
    assert proposal.target == "group sms"
    assert not proposal.cost.known
    fewer = size("fleet", parameters, facts, series, *hosts[:3])
    assert count(fewer) == 10
    with pytest.raises(AdviceError, match="setting instances/sms of host-9 is no whole number"):
        size("fleet", parameters, facts, series, *hosts, resource("host-9", "host", role="servers"))


def test_members_counted_by_a_signal() -> None:
    counted = history(("replicas", {"deployment": "web"}, steady(12.0)))
    parameters = {"metrics": [UNITS], "counted": {"signal": "replicas", "where": {"deployment": "web"}}}
    proposal = size("fleet", parameters, alert(group="web"), both(whole(11_000.0), counted))
    assert (proposal.from_, proposal.to) == ("12 instances", "14 instances")
    with pytest.raises(AdviceError, match="replicas of the fleet has no sample"):
        size("fleet", parameters, alert(group="web"), whole(11_000.0))


# what is told


def test_money_of_both_directions() -> None:
    more = ask(TABLE, [loads(48, BUSY)], fleet(48), extras=[{"price": "disk", "quantity": 250}])
    assert more.cost.per_month == 5 * Decimal("2.016") * 730 + 5 * 250 * Decimal("0.08")
    assert more.cost.per_month_reserved == 5 * Decimal("1.008") * 730 + 5 * 250 * Decimal("0.08")
    less = ask(TABLE, [loads(60, QUIET)], fleet(60))
    assert less.cost.per_month == -6 * Decimal("2.016") * 730
    assert less.cost.do_nothing == "6 instances too many cost $8,830.08 a month"
    unknown = ask(TABLE, [loads(48, BUSY)], fleet(48), price="secret")
    assert (unknown.cost.per_month, unknown.cost.known) == (None, False)
    mixed = [*fleet(47), resource("web-047", "instance", role="web", zone="z2", price="worker")]
    assert ask(TABLE, [loads(48, BUSY)], mixed).cost.per_month is None


@pytest.mark.parametrize(
    ("price", "extra", "per_month", "one_off", "idle"),
    [
        ("broker", None, 0, 0, "6 instances too many could do something else"),
        ("broker", "disk", -120, 0, "6 instances too many cost $120 a month"),
        ("broker", "secret", None, None, "6 instances too many cost an unknown amount a month"),
        ("server", None, -2400, 0, "6 instances too many cost $2,400 a month"),
        ("server", "broker", -2400, 0, "6 instances too many cost $2,400 a month"),
        ("secret", "broker", None, None, "6 instances too many cost an unknown amount a month"),
    ],
)
def test_what_was_bought_isnt_paid_back(
    price: str, extra: str | None, per_month: int | None, one_off: int | None, idle: str
) -> None:
    extras = [{"price": extra, "quantity": 250}] if extra else []
    less = ask(TABLE, [loads(60, QUIET)], fleet(60), price=price, extras=extras)
    check_complete(less)
    assert (less.kind, less.cost.per_month, less.cost.one_off) == ("scale_in", per_month, one_off)
    assert less.cost.do_nothing == idle
    bought = [line for line in less.cost.lines if line.note == "bought once, so nothing is saved"]
    names = [f"{'broker of ' if extra == 'broker' else ''}6 instances free for something else"]
    assert [line.item for line in bought] == (names if "broker" in {price, extra} else [])
    more = ask(TABLE, [loads(48, BUSY)], fleet(48), price="broker")
    assert (more.cost.per_month, more.cost.one_off) == (0, 250_000)


TRACKING = {"form": "ratio", "signal": CPU, "target": 0.7}


def test_other_policies_and_types_are_shown_with_their_numbers() -> None:
    proposal = ask(
        TABLE,
        [loads(48, BUSY)],
        fleet(48),
        alternatives=[
            {
                "name": "target tracking",
                "because": "no duration",
                "metrics": [{"form": "ratio", "signal": CPU, "target": 0.7}],
            }
        ],
        vertical=[
            {"name": "twice", "price": "node", "times": 2},
            {"name": "half", "price": "worker", "times": 0.5, "because": "slow"},
            {"name": "huge", "price": "secret", "times": 2.5},
        ],
    )
    shown = {item.option: item.reason for item in proposal.rejected}
    assert shown["target tracking: 50 instances"] == "no duration"
    month = Decimal("2.016") * 730
    assert shown["27 instances of type twice"] == f"${26 * month:,.2f} a month less than 53 of the present type"
    half = 53 * month - 106 * Decimal("0.10") * 730
    assert shown["106 instances of type half"] == f"${half:,.2f} a month less than 53 of the present type; slow"
    assert shown["22 instances of type huge"] == "the price of huge isn't known"


def test_what_it_survives() -> None:
    metrics = [ABOVE | {"full": 1.0}]
    proposal = ask(metrics, [loads(48, {CPU: 0.72})], fleet(48), replication_factor=3, unit=3)
    told_of = [(item.loss, item.ok) for item in proposal.survives]
    assert told_of == [("zone z2", True), ("one instance", True), ("the data of one zone", True)]
    assert "36 instances carry all of the load: cpu 96 %" in proposal.survives[0].reason
    worse = ask(metrics, [loads(48, {CPU: 0.8})], fleet(48), unit=3)
    assert [item.ok for item in worse.survives] == [False, True]
    unknown = ask([ABOVE], [loads(48, {CPU: 0.72})], fleet(48, zones=0))
    assert [item.ok for item in unknown.survives] == [None, None]


def test_conditions_stand_in_the_plan() -> None:
    proposal = ask(TABLE, [loads(48, BUSY)], fleet(48), scale_out={"before": ["nothing else changes"]})
    assert proposal.plan[0].before == ("nothing else changes",)
    assert proposal.plan[0].commands == proposal.commands


def test_hostile_names() -> None:
    resources = [resource(f"{HOSTILE}{n}", "instance", role=HOSTILE, zone=HOSTILE, price="node") for n in range(4)]
    series = history(*((CPU, {"host": one.id}, steady(0.9, HALF_AN_HOUR)) for one in resources))
    parameters = {"metrics": [ABOVE], "placement_groups": {"largest": 2}}
    proposal = size("fleet", parameters, alert(group=HOSTILE), series, *resources)
    check_complete(proposal)
    assert arguments(proposal.commands[-1])[2] == f"--auto-scaling-group-name={HOSTILE}"
    assert arguments(proposal.commands[0])[2] == f"--group-name={HOSTILE}-{HOSTILE}-1"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0, None])
def test_what_is_no_load_is_no_data(value: float | None) -> None:
    assert "cpu of group web has no sample" in told([ABOVE], [loads(4, {CPU: value})], fleet(4))


def test_what_the_inventory_doesnt_know() -> None:
    assert "the inventory has no instance with role web" in told(TABLE, [loads(4, BUSY)], [])
    assert "the inventory has no instance with role web" in told(TABLE, [loads(4, BUSY)], fleet(4, role="other"))
    with pytest.raises(AdviceError, match="has no label group"):
        size("fleet", {"metrics": [ABOVE]}, alert(), loads(4, BUSY), *fleet(4))
    assert size("fleet", {"metrics": [ABOVE], "name": "web"}, alert(), loads(4, BUSY), *fleet(4)).kind == "scale_out"


# parameters


def rule(parameters: dict[str, Any]) -> ScalingRule:
    head = {"id": "r", "kind": "scaling", "title": "t", "on": ["a"], "method": "fleet", "basis": "house"}
    return ScalingRule.model_validate({**head, "rationale": "a test", "parameters": parameters})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "metrics"),
        ({"metrics": []}, "at least 1"),
        ({"metrics": [{"form": "guess", "signal": CPU}]}, "'ratio', 'capacity', 'step'"),
        ({"metrics": [ABOVE | {"below": 0.4}]}, "either above or below"),
        ({"metrics": [{"form": "step", "signal": CPU, "percent": 10}]}, "either above or below"),
        ({"metrics": [ABOVE | {"above": 0.0}]}, "greater than 0"),
        ({"metrics": [ABOVE | {"percent": 0}]}, "greater than 0"),
        ({"metrics": [BELOW | {"percent": 100}]}, "can't take away all"),
        ({"metrics": [ABOVE | {"for": 300}]}, "not a duration"),
        ({"metrics": [ABOVE | {"for": "7h"}]}, "less than or equal"),
        ({"metrics": [UNITS | {"capacity": float("inf")}]}, "finite"),
        ({"metrics": [UNITS | {"share": 1.1}]}, "less than or equal to 1"),
        ({"metrics": [UNITS | {"unit": "parsec"}]}, "unknown unit"),
        ({"metrics": [BELOW], "scale_in": None}, "scale_in, which is null"),
        ({"metrics": [ABOVE], "minimum": 10, "maximum": 9}, "no whole number of units of 1 is between 10 and 9"),
        ({"metrics": [ABOVE], "minimum": 4, "maximum": 5, "unit": 3}, "no whole number of units of 3"),
        ({"metrics": [ABOVE], "minimum": 0}, "greater than or equal to 1"),
        ({"metrics": [ABOVE], "counted": {}}, "either setting or signal"),
        ({"metrics": [ABOVE], "placement_groups": {"name": "{fleet}"}}, "needs {zone} and {number}"),
        ({"metrics": [ABOVE], "scale_out": {"commands": [["run", "{gone}"]]}}, "can't be filled in"),
        ({"metrics": [ABOVE], "colour": "red"}, "Extra inputs"),
    ],
)
def test_parameters_that_make_no_sense(parameters: dict[str, Any], message: str) -> None:
    rule = {
        "id": "r",
        "kind": "scaling",
        "title": "t",
        "on": ["a"],
        "method": "fleet",
        "basis": "house",
        "rationale": "t",
    }
    with pytest.raises(ValueError) as caught:
        ScalingRule.model_validate({**rule, "parameters": parameters})
    assert message in str(caught.value)


def test_no_more_is_read_than_the_windows_take() -> None:
    parameters = rule({"metrics": [WIRE, FULL]}).parameters
    assert parameters.lookback == timedelta(minutes=15)
    assert set(parameters.reads()) == {NETWORK, MEMORY, "instance.up", "zone.up.ratio"}
