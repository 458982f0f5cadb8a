"""Placements against brute force on small problems, and the tables of what they hold."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.packing import fit
from controlplane.packing.bounds import least_hosts
from controlplane.packing.fit import extended, fewest, largest, place
from controlplane.packing.lost import after_loss, needed, survivors
from controlplane.packing.moves import fewest_moves
from controlplane.packing.problem import Host, Machine, Placement, Problem, faults, reduced, used
from controlplane.packing.solver import Program
from controlplane.packing.spare import carries, sized, stranded
from controlplane.packing.squeeze import squeeze
from controlplane.packing.study import study
from controlplane.packing.why import at_fault, overfull, resources, together, too_large

GB = 10**9


def host(name: str, cores: int = 8, memory: int = 8, disk: int = 0, domain: str = "") -> Host:
    return Host(name, (cores, memory, disk), (cores, memory, disk), domain or name)


def machine(name: str, cores: int = 4, memory: int = 4, at: str = "", group: str = "", **more: int) -> Machine:
    return Machine(name, (cores, memory, 0), at, group, pinned=bool(more.get("pinned")), rank=more.get("rank", 0))


def problem(hosts: int, *machines: Machine, cores: int = 8, memory: int = 8) -> Problem:
    return Problem(tuple(host(f"h{n}", cores, memory) for n in range(1, hosts + 1)), machines)


def placements(made: Problem) -> Iterator[Placement]:
    """Every placement that holds all rules."""
    ids = [one.id for one in made.hosts]
    for chosen in itertools.product(ids, repeat=len(made.machines)):
        placed = dict(zip((one.id for one in made.machines), chosen, strict=True))
        if not faults(made, placed):
            yield placed


def restarts(made: Problem, placed: Placement, lost: str) -> bool:
    """Whether the machines of a lost host find room on the others, by trying everything."""
    gone = [one for one in made.machines if placed[one.id] == lost]
    others = [one.id for one in made.hosts if one.id != lost]
    left = made.without([lost])
    return any(
        not faults(left, {**placed, **dict(zip((one.id for one in gone), chosen, strict=True))})
        for chosen in itertools.product(others, repeat=len(gone))
    )


@st.composite
def problems(draw: st.DrawFn, *, placed: bool = False, equal: bool = False, machines: int = 5) -> Problem:
    count = draw(st.integers(1, 3))
    rooms = st.tuples(st.integers(2, 9), st.integers(2, 9))
    size = draw(rooms)
    hosts = []
    for n in range(count):
        cores, memory = size if equal else draw(rooms)
        hosts.append(host(f"h{n}", cores, memory))
    made = []
    for n in range(draw(st.integers(1, machines))):
        at = draw(st.sampled_from([one.id for one in hosts])) if placed else ""
        made.append(
            machine(
                f"m{n}",
                draw(st.integers(0, 6)),
                draw(st.integers(0, 6)),
                at,
                draw(st.sampled_from(["", "", "a", "b"])),
                pinned=placed and draw(st.integers(0, 9)) == 0,
                rank=draw(st.integers(0, 2)),
            )
        )
    return Problem(tuple(hosts), tuple(made))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_a_placement_is_found_exactly_where_there_is_one(made: Problem) -> None:
    found, certain = place(made)
    assert certain
    assert (found is not None) == any(True for _ in placements(made))
    assert found is None or faults(made, found) == ()


@settings(max_examples=150, deadline=None)
@given(problems())
def test_the_smallest_number_of_hosts_is_that_of_brute_force(made: Problem) -> None:
    best = min((len(set(one.values())) for one in placements(made)), default=None)
    found = fewest(made)
    assert (None if found is None else found.used) == best
    if found is not None:
        assert found.proven
        assert faults(made, found.placement) == ()
        assert found.bound <= found.used == len(set(found.placement.values()))


@settings(max_examples=150, deadline=None)
@given(problems())
def test_the_bound_is_never_above_the_smallest_number(made: Problem) -> None:
    best = min((len(set(one.values())) for one in placements(made)), default=len(made.hosts) + 1)
    assert least_hosts(made) <= best


@settings(max_examples=120, deadline=None)
@given(problems(placed=True), st.sampled_from(["moves", "memory"]))
def test_moves_are_as_few_as_brute_force_says(made: Problem, least: str) -> None:
    def cost(placed: Placement) -> tuple[int, int]:
        moved = [one for one in made.machines if placed[one.id] != one.host]
        both = len(moved), sum(one.size[1] for one in moved)
        return both if least == "moves" else (both[1], both[0])

    best = min((cost(one) for one in placements(made)), default=None)
    found = fewest_moves(made, least=least)
    assert (None if found is None else cost(found.placement)) == best
    if found is not None:
        assert faults(made, found.placement) == ()
        assert {move.machine: move.to for move in found.moves} == {
            name: to for name, to in found.placement.items() if made.now[name] != to
        }


@settings(max_examples=60, deadline=None)
@given(problems(placed=True, machines=4))
def test_moves_with_a_spare_host_are_as_few_as_brute_force_says(made: Problem) -> None:
    loose = replace(made, machines=tuple(replace(one, pinned=False) for one in made.machines))
    best = min(
        (
            sum(placed[one.id] != one.host for one in loose.machines)
            for placed in placements(loose)
            if all(restarts(loose, placed, one.id) for one in loose.hosts)
        ),
        default=None,
    )
    found = fewest_moves(loose, spare=1)
    assert (None if found is None else len(found.moves)) == best
    assert found is None or carries(loose, found.placement) == {}


@settings(max_examples=100, deadline=None)
@given(problems(placed=True, machines=4))
def test_what_a_lost_host_strands_is_what_brute_force_says(made: Problem) -> None:
    loose = replace(made, machines=tuple(replace(one, pinned=False) for one in made.machines))
    if faults(loose, loose.now):
        return
    for one in loose.hosts:
        assert (stranded(loose, loose.now, [one.id]) == ()) == restarts(loose, loose.now, one.id)


@settings(max_examples=60, deadline=None)
@given(problems(equal=True, machines=4))
def test_with_equal_hosts_a_spare_one_is_one_more(made: Problem) -> None:
    alone, spare = sized(made), sized(made, 1)
    if any(not all(a <= b for a, b in zip(one.size, made.hosts[0].room, strict=True)) for one in made.machines):
        assert alone is None
        return
    assert alone is not None
    assert spare is not None
    assert spare.total == alone.total + 1
    assert (spare.proven, len(spare.problem.hosts)) == (True, max(len(made.hosts), spare.total))
    assert faults(spare.problem, spare.placement) == ()
    assert carries(spare.problem, spare.placement) == {}


@settings(max_examples=150, deadline=None)
@given(problems(placed=True, machines=6), st.data())
def test_after_a_loss_nothing_is_over_its_room_and_nothing_gives_way_to_less_important_ones(
    made: Problem, data: st.DataObject
) -> None:
    lost = data.draw(st.sampled_from([one.id for one in made.hosts]))
    after = after_loss(made, [lost])
    gone = {one.id for one in made.machines if one.host == lost}
    ranks = {one.id: one.rank for one in made.machines}
    assert set(after.start) | set(after.waiting) == gone
    assert not set(after.start) & set(after.waiting)
    left = survivors(made, after)
    before, loads = used(made, made.now), used(left, left.now)
    for one in left.hosts:
        for of in range(2):
            assert loads[one.id][of] <= max(one.room[of], before[one.id][of])
    for group, members in left.groups.items():
        new = [one for one in members if one.id in after.start]
        for one in new:
            assert sum(other.host == one.host for other in members) == 1, group
    if after.stop:
        grouped = {one.id: min(m.rank for m in members) for members in made.groups.values() for one in members}
        important = min(grouped.get(name, ranks[name]) for name in after.start)
        assert min(ranks[name] for name in after.stop) > important
        assert not set(grouped) & set(after.stop)
    assert list(after.start) == sorted(after.start, key=lambda name: (ranks[name], name))
    assert after_loss(made, [lost]) == after


def test_a_large_placement_is_squeezed_onto_fewer_hosts() -> None:
    made = problem(40, *(machine(f"m{n:02}", (3, 5)[n % 2], (5, 3)[n % 2]) for n in range(40)))
    start = {one.id: f"h{n + 1}" for n, one in enumerate(made.machines)}
    # Two of different kinds fill a host: 20 hosts.
    found = squeeze(made, start, 20)
    assert faults(made, found) == ()
    assert len(set(found.values())) == 20
    assert squeeze(made, start, 20) == found


def test_what_is_too_large_for_the_solver_is_packed_with_its_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "EXACT", 0)
    made = problem(20, *(machine(f"m{n:02}", 3 + n % 3, 3 + n * 7 % 5, group="g" if n < 4 else "") for n in range(24)))
    found = fewest(made)
    assert found is not None
    assert faults(made, found.placement) == ()
    assert found.bound <= found.used <= found.bound * 1.2
    assert found.gap == pytest.approx((found.used - found.bound) / found.used)
    assert place(made)[0] is not None


@pytest.mark.parametrize(
    ("cores", "fits"), [((4, 4), True), ((4, 5), False), ((8, 0), True), ((9,), False), ((0, 0, 0), True)]
)
def test_a_host_is_full_at_its_room(cores: tuple[int, ...], fits: bool) -> None:
    made = problem(1, *(machine(f"m{n}", size, 0) for n, size in enumerate(cores)))
    assert (place(made)[0] is not None) == fits


@pytest.mark.parametrize(("members", "least"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_a_group_goes_on_with_one_of_two_or_a_majority(members: int, least: int) -> None:
    assert needed(members) == least


def test_sizes_that_fill_a_host_exactly_fit_in_any_unit() -> None:
    third = 2048 * GB // 3 // 7 * 7
    made = Problem(
        (Host("h", (9000, 3 * third, 0), (9000, 3 * third, 0), "h"),),
        tuple(Machine(f"m{n}", (3000, third, 0)) for n in range(3)),
    )
    assert place(made) == ({"m0": "h", "m1": "h", "m2": "h"}, True)
    assert [one.size for one in reduced(made).machines] == [(1, 1, 0)] * 3
    more = replace(made, hosts=(replace(made.hosts[0], room=(9000, 3 * third - 1, 0)),))
    assert place(more) == (None, True)


def test_groups_stay_apart_by_host_rack_or_zone() -> None:
    members = [machine(f"k{n}", 1, 1, group="kafka") for n in range(3)]
    assert fewest(problem(5, *members)).used == 3
    racks = Problem((host("a", domain="r1"), host("b", domain="r1"), host("c", domain="r2")), tuple(members))
    assert place(racks) == (None, True)
    assert at_fault(racks)["groups that are apart"]
    assert place(replace(racks, machines=tuple(members[:2])))[0] is not None


def test_pinned_machines_stay() -> None:
    held = machine("held", at="h2", pinned=True)
    made = problem(2, held, machine("free", at="h2"), machine("big", 8, 8, at="h1"))
    assert place(made)[0] == {"held": "h2", "free": "h2", "big": "h1"}
    elsewhere = replace(made, hosts=(host("h1"), host("h2", 3, 3)))
    assert place(elsewhere) == (None, True)
    assert after_loss(made, ["h2"]).waiting["held"] == "it is pinned to its host"


def test_what_is_short_and_which_rule_is_at_fault() -> None:
    made = problem(2, *(machine(f"m{n}", 6, 1, at="h1", group="g") for n in range(3)))
    assert resources(made).short == (2, 0, 0)
    assert overfull(made) == {"h1": (10, 0, 0)}
    assert [(one.group, one.domain, one.machines) for one in together(made)] == [("g", "h1", ("m0", "m1", "m2"))]
    assert at_fault(made) == {"groups that are apart": False, "cores": False, "memory": False}
    gaps = problem(2, *(machine(f"m{n}", 5, 1) for n in range(3)))
    assert resources(gaps).short == (0, 0, 0)
    assert at_fault(gaps) == {"cores": True, "memory": False}
    assert too_large(problem(2, machine("big", 9, 1))) == ("big",)


def test_hosts_that_differ_keep_the_largest_empty() -> None:
    made = Problem((host("s1", 4, 4), host("s2", 4, 4), host("l", 8, 8)), tuple(machine(f"m{n}") for n in range(2)))
    found = sized(made, 1)
    assert found is not None
    assert (found.kept, found.total, found.add, found.proven) == (("l",), 3, 0, True)
    # Neither of these takes what the other one carries.
    odd = Problem((host("c", 8, 2), host("m", 2, 8)), (machine("a", 8, 2), machine("b", 2, 8)))
    assert sized(odd, 1) is None


def test_hosts_are_added_until_everything_fits() -> None:
    made = problem(1, *(machine(f"m{n}", 8, 8) for n in range(4)))
    assert len(extended(made, largest(made.hosts)).hosts) == 4
    found = sized(made)
    assert found is not None
    assert (found.total, found.add, found.proven) == (4, 3, True)
    assert [one.id for one in found.problem.hosts] == ["h1", "new-1", "new-2", "new-3"]


def test_moves_come_in_an_order_in_which_each_finds_room() -> None:
    made = problem(3, machine("a", 8, 8, at="h1"), machine("b", 8, 8, at="h2"))
    swapped = fewest_moves(replace(made, machines=(replace(made.machines[0], group="x"), made.machines[1])))
    assert swapped is not None
    assert swapped.moves == ()
    both = problem(2, machine("a", 8, 8, at="h1", pinned=False), machine("b", 8, 8, at="h2"))
    from controlplane.packing.moves import ordered

    moves, parked = ordered(both, {"a": "h2", "b": "h1"})
    assert {(move.machine, move.to) for move in moves} == {("a", "h2"), ("b", "h1")}
    assert len(parked) == 1
    free, none = ordered(problem(3, *both.machines), {"a": "h2", "b": "h3"})
    assert [move.machine for move in free] == ["b", "a"]
    assert none == ()


def test_a_lost_host_that_is_carried_needs_no_solver() -> None:
    made = problem(3, machine("a", at="h1"), machine("b", at="h2"), machine("c", 8, 8, at="h3"))
    after = after_loss(made, ["h1"])
    assert (after.start, after.stop, after.waiting, after.carried) == ({"a": "h2"}, (), {}, True)


def test_no_host_is_left() -> None:
    after = after_loss(problem(1, machine("a", at="h1")), ["h1"])
    assert (after.start, after.waiting) == ({}, {"a": "no host is left"})


def test_a_study_says_it_all_and_the_same_twice() -> None:
    made = problem(2, *(machine(f"m{n}", at="h1", group="g" if n < 2 else "") for n in range(4)))
    told: list[str] = []
    first, second = study(made, told=told.append), study(made)
    assert first == second
    assert told[0] == "does everything fit"
    assert (first.feasible, first.holds, first.carried) == (True, False, False)
    assert first.moves is not None
    assert len(first.moves.moves) == 2
    assert first.with_spare is not None
    assert (first.with_spare.total, first.with_spare.add) == (3, 1)


def test_nothing_is_written_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    program = Program()
    first, second = program.variable(-3), program.variable(-2)
    program.row([(first, 2), (second, 2)], most=3)
    answer = program.solve()
    assert (answer.values, answer.proven, answer.bound) == ((1, 0), True, -3)
    program.row([(first, 1), (second, 1)], least=2)
    assert (program.solve().values, program.solve().proven) == (None, True)
    assert capfd.readouterr().out == ""
