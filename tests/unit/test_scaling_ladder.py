"""The ladder of sizes: which load binds, which rung carries it, and what has to be true before members change."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.model.errors import AdviceError
from controlplane.model.methods import Ladder
from controlplane.model.recommendations import Proposal, Recommendation, Status
from controlplane.scaling.ladder_plan import quorum
from tests.advice_cases import AT, HOSTILE, alert, arguments, check_complete, history, limit, moving, stage, steady
from tests.ladder_cases import CLIENTS, CPU, CROSSING, HOURS, MESSAGES, PARAMETERS, UP, ask, load, nodes

K, M = 1_000, 1_000_000
HARD = {**PARAMETERS, "tunings": []}


@pytest.mark.parametrize(
    ("count", "messages", "kind", "size"),
    [
        (1, 240 * K, "investigate", 1),
        (1, 240 * K + 1, "scale_out", 3),
        (1, 600 * K, "scale_out", 3),
        (1, 600 * K + 3, "scale_out", 5),
        (3, 600 * K, "investigate", 3),
        (3, 600 * K + 3, "scale_out", 5),
        (3, 720 * K, "scale_out", 5),
        (3, 1_200 * K, "scale_out", 5),
        (3, 1_200 * K + 5, "migrate", 9),
        (5, 1_200 * K, "investigate", 5),
        (5, 1_200 * K + 5, "migrate", 9),
        (5, 1_800 * K, "migrate", 9),
        (5, 1_800 * K + 9, "migrate", 10),
        (5, 2_400 * K + 10, "migrate", 15),
        (5, 700 * K, "investigate", 5),
        (5, 545 * K, "scale_in", 3),
        (3, 0, "investigate", 3),
    ],
)
def test_rungs_by_messages(count: int, messages: float, kind: str, size: int) -> None:
    proposal = ask(load(count, messages, 1_000), *nodes(count), parameters=HARD)
    check_complete(proposal)
    assert (proposal.kind, stage(proposal, "clamped")) == (kind, size)
    assert proposal.target == "group mq-a"


@pytest.mark.parametrize(
    ("count", "clients", "memory", "kind", "level", "size"),
    [
        (3, 262_144, 32e9, "investigate", None, 3),  # two nodes hold exactly that many descriptors
        (3, 262_145, 32e9, "resize", "aggressive", 3),
        (3, 500 * K, 32e9, "resize", "aggressive", 3),
        (3, 500 * K + 3, 32e9, "scale_out", None, 5),  # maximum takes 64 GB
        (3, 600 * K, 32e9, "scale_out", "aggressive", 5),
        (3, 500 * K + 3, 64e9, "resize", "maximum", 3),
        (3, 1 * M, 64e9, "resize", "maximum", 3),
        (3, 1 * M + 3, 64e9, "scale_out", "maximum", 5),
        (3, 262_145, 16e9, "scale_out", None, 5),  # no memory for more than standard
        (5, 500 * K, 16e9, "investigate", None, 5),
    ],
)
def test_connections_are_tuned_before_nodes_are_added(
    count: int, clients: float, memory: float, kind: str, level: str | None, size: int
) -> None:
    proposal = ask(load(count, 10 * K, clients), *nodes(count, memory=memory))
    check_complete(proposal)
    assert (proposal.kind, stage(proposal, "clamped")) == (kind, size)
    assert "connection-bound" in proposal.why
    assert (f"tuning {level}" in proposal.to) == (level is not None)


@pytest.mark.parametrize(
    ("crossing", "messages", "kind"),
    [
        (0.2, 700 * K, "scale_out"),
        (0.2000001, 700 * K, "shard"),
        (0.2, 100 * K, "investigate"),
        (0.2000001, 100 * K, "shard"),
        (1.0, 2 * M, "shard"),
    ],
)
def test_topics_are_sharded_before_nodes_are_added(crossing: float, messages: float, kind: str) -> None:
    proposal = ask(load(3, messages, 1_000, crossing=crossing), *nodes(3))
    check_complete(proposal)
    assert proposal.kind == kind
    if kind == "shard":
        assert stage(proposal, "clamped") == 3
        assert (proposal.cost.per_month, proposal.cost.one_off) == (0, 0)


@pytest.mark.parametrize("restarts", [True, False])
def test_tuning_moves_no_clients_unless_it_restarts(restarts: bool) -> None:
    level = {
        "name": "more",
        "limits": {CLIENTS: 250000.0},
        "restarts": restarts,
        "commands": [["tune", "--", "{node}"]],
    }
    proposal = ask(load(3, 10 * K, 300 * K), *nodes(3), tunings=[level])
    check_complete(proposal)
    assert proposal.kind == "resize"
    assert [text for text in proposal.commands if text.startswith("tune")] == [f"tune -- mq-{n}" for n in (1, 2, 3)]
    assert ("lb drain -- mq-1" in proposal.commands) == restarts
    assert any("drain it until they do" in before for before in proposal.plan[0].before) == restarts
    assert "100,000 sessions that moved" in " ".join(proposal.plan[1].before) or not restarts
    assert proposal.plan[-1].do == "Write the new limits of each node (mq.clients 250,000) into the inventory of mq-a"


def test_sharding_does_not_help_connections() -> None:
    proposal = ask(load(3, 10 * K, 300 * K, crossing=0.5), *nodes(3))
    assert proposal.kind == "resize"
    assert any(item.option == "Shard topics instead" for item in proposal.rejected)


def test_one_node_has_nothing_to_cross() -> None:
    assert ask(load(1, 250 * K, 1_000, crossing=0.9), *nodes(1)).kind == "scale_out"


def test_without_the_share_that_crosses_there_is_no_guess() -> None:
    with pytest.raises(AdviceError, match="whether to shard topics or to add"):
        ask(load(3, 700 * K, 1_000, crossing=None), *nodes(3))
    assert ask(load(3, 10 * K, 300 * K, crossing=None), *nodes(3)).kind == "resize"


def test_the_loss_of_a_node_is_told_in_connections_and_seconds() -> None:
    proposal = ask(load(3, 10 * K, 3 * M), *nodes(3, clients=2 * M), parameters=HARD)
    lost = next(item for item in proposal.survives if item.loss == "one node")
    assert lost.ok
    assert "1,500,000 connections" in lost.reason
    assert "taking over its 1,000,000 sessions takes 2h 46m at 100 a second" in lost.reason  # 10,000 s
    assert [item.loss for item in proposal.survives] == ["one node", "quorum of etcd", "one zone"]


def test_members_join_one_at_a_time_with_the_quorum_checked_before_each() -> None:
    proposal = ask(load(3, 700 * K, 1_000), *nodes(3))
    assert proposal.title == "mq-a: go from 3 to 5 nodes"
    assert proposal.cost.per_month == Decimal(800)
    adds = [n for n, command in enumerate(proposal.commands) if " member add " in command]
    assert len(adds) == 2
    for n in adds:
        assert proposal.commands[n - 1].endswith("endpoint health --cluster")
    started = proposal.commands.index("ssh -- mq-4 'sudo systemctl start broker'")
    assert adds[0] < started < adds[1]
    assert "3 of 3 members answer" in proposal.plan[0].before[0]
    assert "3 of 4" in proposal.plan[0].before[0]
    assert [step.do.split(",")[0] for step in proposal.plan[:4:3]] == [
        "Have mq-4 ready in zone-a",
        "Have mq-5 ready in zone-b",
    ]
    assert arguments(proposal.commands[1])[-2:] == ["--", "mq-4"]
    # the way back takes the last one out first
    assert proposal.revert[0] == "lb drain -- mq-5"
    assert any(item.option == "4 nodes" for item in proposal.rejected)


def test_a_step_down_drains_waits_and_leaves_the_quorum() -> None:
    proposal = ask(load(5, 300 * K, 150 * K), *nodes(5))
    assert (proposal.kind, proposal.cost.per_month) == ("scale_in", Decimal(-800))
    assert [step.do for step in proposal.plan[:4]] == [
        "Drain and stop mq-5",
        "Take mq-5 out of the quorum",
        "Drain and stop mq-4",
        "Take mq-4 out of the quorum",
    ]
    assert "which takes about 5m at 100 a second" in proposal.plan[1].before[0]
    assert all(item.ok for item in proposal.survives)


@pytest.mark.parametrize(
    ("price", "per_month", "one_off", "known"),
    [("broker", 0, 0, True), ("server", -800, 0, True), ("licence", -200, 0, True), ("secret", None, None, False)],
)
def test_nodes_that_were_bought_arent_paid_back(
    price: str, per_month: int | None, one_off: int | None, known: bool
) -> None:
    proposal = ask(load(5, 300 * K, 150 * K), *nodes(5), price=price)
    check_complete(proposal)
    assert (proposal.kind, proposal.cost.per_month, proposal.cost.one_off) == ("scale_in", per_month, one_off)
    assert proposal.cost.known == known
    assert (proposal.cost.lines[0].item == "2 nodes free for something else") == (price == "broker")
    more = ask(load(3, 700 * K, 1_000), *nodes(3), price="broker")
    assert (more.kind, more.cost.one_off) == ("scale_out", 100_000)


@pytest.mark.parametrize(
    ("name", "samples", "why"),
    [
        ("a rising load", load(5, 546 * K, 1_000), "tolerance"),
        ("a peak an hour ago", history(*(
            (MESSAGES, {"cluster": "mq-a", "node": f"mq-{n}"}, moving(lambda s: 2e5 if s == -3600 else 5e4, HOURS))
            for n in range(1, 6)
        ), *(
            (CLIENTS, {"cluster": "mq-a", "node": f"mq-{n}"}, steady(10.0, HOURS)) for n in range(1, 6)
        )), "largest demand within 2h"),
        ("a short history", load(5, 300 * K, 1_000, over=timedelta(minutes=30)), "don't reach back 2h"),
    ],
)  # fmt: skip
def test_no_step_down(name: str, samples: Any, why: str) -> None:
    proposal = ask(samples, *nodes(5), parameters=HARD)
    assert proposal.kind == "investigate", name
    assert why in " ".join(item.limit or "" for item in proposal.stages)


def test_three_never_become_one() -> None:
    proposal = ask(load(3, 0.0, 0.0), *nodes(3))
    assert proposal.kind == "investigate"
    assert stage(proposal, "clamped") == 3


def test_missing_nodes_allow_no_step_down_and_no_guess() -> None:
    some = load(4, 240 * K, 1_000)  # the fifth has no sample
    with pytest.raises(AdviceError, match="mq-5"):
        ask(some, *nodes(5))
    # What is known already asks for more.
    proposal = ask(load(2, 700 * K, 1_000), *nodes(3))
    assert proposal.kind == "scale_out"
    assert "mq.rate of mq-3" in proposal.inputs["not measured"]


def test_nothing_changes_while_a_member_is_away() -> None:
    away = (UP, {"node": "mq-3"}, steady(0.0))
    for messages in (700 * K, 100 * K):
        proposal = ask(load(2, messages, 1_000, more=[away]), *nodes(3))
        assert proposal.kind == "investigate"
    proposal = ask(load(2, 700 * K, 1_000, more=[away]), *nodes(3))
    assert "bring mq-3 back first" in proposal.title
    assert "4 would need 3" in proposal.why


def test_one_full_node_is_a_matter_of_spreading() -> None:
    series = [
        (MESSAGES, {"cluster": "mq-a", "node": f"mq-{n}"}, steady(290_000.0 if n == 2 else 10_000.0)) for n in (1, 2, 3)
    ]
    series += [(CLIENTS, {"cluster": "mq-a", "node": f"mq-{n}"}, steady(10.0)) for n in (1, 2, 3)]
    proposal = ask(history(*series), *nodes(3))
    check_complete(proposal)
    assert (proposal.kind, proposal.title) == ("rebalance", "mq-a: spread the messages of mq-2")


def test_the_smallest_demand_of_the_window_counts_upwards() -> None:
    def spike(seconds: float) -> float:
        return 300_000.0 if seconds == 0 else 100_000.0

    series = [(MESSAGES, {"cluster": "mq-a", "node": f"mq-{n}"}, moving(spike)) for n in (1, 2, 3)]
    series += [(CLIENTS, {"cluster": "mq-a", "node": f"mq-{n}"}, steady(10.0)) for n in (1, 2, 3)]
    proposal = ask(history(*series), *nodes(3))
    assert proposal.kind == "investigate"
    assert limit(proposal, "stabilised") == "smallest demand within 5m"


def test_busy_processors_ask_for_nodes_and_an_optional_load_may_be_missing() -> None:
    loads = [*PARAMETERS["loads"], {"signal": CPU, "name": "CPU", "label": "host", "per_node": 1.0, "headroom": 0.7,
                                    "after_loss": 0.9, "optional": True}]  # fmt: skip
    busy = [(CPU, {"host": f"mq-{n}"}, steady(0.8)) for n in (1, 2, 3)]
    facts = alert("> 0.7", "1", host="mq-2")
    proposal = ask(load(3, 10 * K, 1_000, more=busy), *nodes(3), facts=facts, loads=loads)
    check_complete(proposal)
    assert (proposal.kind, proposal.target) == ("scale_out", "group mq-a")
    assert "CPU-bound" in proposal.why
    assert ask(load(3, 10 * K, 1_000), *nodes(3), loads=loads).kind == "investigate"
    down = ask(load(5, 10 * K, 1_000), *nodes(5), loads=loads)
    assert down.kind == "investigate"
    assert limit(down, "stabilised") == f"{CPU} isn't measured"


@pytest.mark.parametrize(
    ("decided", "hours", "messages", "waits"),
    [
        ("scale_out", 0.5, 1_300 * K, True),
        ("scale_out", 1.0, 1_300 * K, False),
        ("scale_out", 11.9, 300 * K, True),
        ("scale_out", 12.0, 300 * K, False),
        ("scale_in", 0.5, 1_300 * K, True),
        ("investigate", 0.1, 300 * K, False),
    ],
)
def test_cooldown(decided: str, hours: float, messages: float, waits: bool) -> None:
    done = executed(ask(load(3, 700 * K, 1_000), *nodes(3)).model_copy(update={"kind": decided}), hours)
    samples = load(5, messages, 1_000)
    if waits:
        with pytest.raises(AdviceError, match="cooldown"):
            ask(samples, *nodes(5), decided=[done])
    else:
        assert ask(samples, *nodes(5), decided=[done]).kind in {"migrate", "scale_in"}


def executed(proposal: Proposal, hours: float) -> Recommendation:
    return Recommendation(
        id="0" * 16, version=1, rule="shop-size", platform="shop", alert="0" * 16, status=Status.EXECUTED,
        proposal=proposal, at=AT - timedelta(hours=hours), expires_at=AT, decided_at=AT - timedelta(hours=hours),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("resources", "facts", "message"),
    [
        ((), None, "has no resource with role mq"),
        (nodes(4), None, "which is none of its sizes (1, 3, 5)"),
        (nodes(2), None, "which is none of its sizes"),
        (nodes(3), alert("> 1", "1", cluster="other"), "no resource with role mq in cluster other"),
        (nodes(3), alert("> 1", "1", cluster="mq-a", limit="etcd.write.rate"), "isn't one that the number of nodes"),
        (tuple(n.model_copy(update={"limits": {}}) for n in nodes(3)), None, "what a node carries of mq.rate"),
    ],
)
def test_what_is_missing_is_named(resources: Any, facts: Any, message: str) -> None:
    with pytest.raises(AdviceError) as error:
        ask(load(3, 700 * K, 1_000), *resources, facts=facts)
    assert message in str(error.value)


def test_no_sample_at_all() -> None:
    with pytest.raises(AdviceError, match="has no sample"):
        ask(history((CROSSING, {"cluster": "mq-a"}, steady(0.1))), *nodes(3))


@pytest.mark.parametrize("labels", [{"node": "mq-1"}, {"role": "mq"}])
def test_the_cluster_of_a_node_or_of_the_only_one(labels: dict[str, str]) -> None:
    assert ask(load(3, 700 * K, 1_000), *nodes(3), facts=alert("> 1", "1", **labels)).target == "group mq-a"


def test_an_unknown_price_stays_unknown() -> None:
    without = tuple(node.model_copy(update={"price": None}) for node in nodes(3))
    proposal = ask(load(3, 700 * K, 1_000), *without)
    assert (proposal.cost.per_month, proposal.cost.known) == (None, False)


def test_regions_say_why_and_what_changes() -> None:
    proposal = ask(load(5, 1_600 * K, 1_000), *nodes(5))
    assert proposal.title == "mq-a: 3 clusters of 3 nodes, one a region"
    assert "the ladder ends at 5" in proposal.why
    assert "What changes" in proposal.why
    assert proposal.cost.per_month == 4 * 400
    assert limit(proposal, "clamped") == "5 nodes are the largest size"
    assert any(item.option.startswith("One cluster of 7 nodes for $2,800") for item in proposal.rejected)


def test_hostile_names_stay_data() -> None:
    prefix = HOSTILE + "-"
    proposal = ask(load(3, 700 * K, 1_000, prefix=prefix), *nodes(3, prefix=prefix))
    check_complete(proposal)
    add = next(command for command in proposal.commands if " member add " in command)
    assert arguments(add)[-1] == prefix + "4"
    with pytest.raises(AdviceError, match="begins with a dash"):
        ask(load(3, 700 * K, 1_000, prefix="-x"), *nodes(3, prefix="-x"),
            start_commands=[["start", "{node}"]])  # fmt: skip


def test_names_without_a_number_cannot_be_continued() -> None:
    named = tuple(
        node.model_copy(update={"id": node.id.replace("-", "").translate({49: 97, 50: 98, 51: 99})})
        for node in nodes(3)
    )
    series = [(signal, {"cluster": "mq-a", "node": node.id}, steady(value)) for node in named
              for signal, value in ((MESSAGES, 233_400.0), (CLIENTS, 10.0))]  # fmt: skip
    series.append((CROSSING, {"cluster": "mq-a"}, steady(0.1)))
    with pytest.raises(AdviceError, match="aren't numbered"):
        ask(history(*series), *named)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rungs": [1, 2, 3]}, "2 is even"),
        ({"rungs": [3, 1]}, "in order"),
        ({"rungs": [3, 3]}, "each once"),
        ({"regional": [4]}, "4 is even"),
        ({"takeover_of": "x"}, "no signal of loads"),
        ({"tunings": [{"name": "t", "limits": {"x": 1.0}}]}, "no signal of loads"),
        ({"client": "http://x"}, "{node}"),
        ({"loads": []}, "at least 1"),
        ({"loads": [*PARAMETERS["loads"], PARAMETERS["loads"][0]]}, "each signal once"),
        ({"stop_commands": [["a", "{host}"]]}, "can't be filled in"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_parameters(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Ladder.model_validate({**PARAMETERS, **change})


amounts = st.floats(0, 3e6, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(count=st.sampled_from([1, 3, 5]), messages=amounts, more=amounts, clients=st.floats(0, 3e6))
def test_more_load_never_asks_for_fewer_nodes(count: int, messages: float, more: float, clients: float) -> None:
    short = timedelta(minutes=10)
    sizes = [
        stage(ask(load(count, total, clients, over=short), *nodes(count)), "clamped")
        for total in (messages, messages + more)
    ]
    assert sizes[0] <= sizes[1]
    for size in sizes:
        assert size % 2 == 1 or size > 5
        assert size >= min(3, count)


@settings(deadline=None, max_examples=60)
@given(count=st.sampled_from([3, 5]), messages=amounts, clients=amounts, crossing=st.floats(0, 1))
def test_what_is_proposed_carries_the_load_and_is_the_same_again(
    count: int, messages: float, clients: float, crossing: float
) -> None:
    samples = load(count, messages, clients, crossing=crossing)
    proposal = ask(samples, *nodes(count))
    check_complete(proposal)
    assert ask(samples, *nodes(count)) == proposal
    if proposal.kind in {"scale_out", "scale_in", "resize", "migrate"}:
        lost = {item.loss: item.ok for item in proposal.survives}
        assert lost["one node"]
        assert lost["quorum of etcd"]
    if proposal.kind == "scale_in":
        assert stage(proposal, "clamped") >= 3


@pytest.mark.parametrize(("members", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4)])
def test_quorum(members: int, majority: int) -> None:
    assert quorum(members) == majority
