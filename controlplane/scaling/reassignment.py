"""Moving partitions between the brokers of a Kafka cluster with its own tools, and back."""

import json
from collections.abc import Sequence
from datetime import timedelta

from controlplane.model.commands import command
from controlplane.model.methods import Brokers
from controlplane.model.recommendations import PlanStep
from controlplane.model.resources import Resource
from controlplane.model.time import human_duration
from controlplane.model.units import human, many
from controlplane.scaling.brokers import Cluster

_TOOL = "kafka-reassign-partitions.sh"
_ALL = "jq --raw-input --null-input '{version: 1, topics: [inputs | {topic: .}]}'"


class Kafka:
    """Commands against one cluster; `server` is quoted for a shell already."""

    def __init__(self, server: str) -> None:
        self._server = server

    def run(self, tool: str, *arguments: str) -> str:
        """A command of Kafka's own tools."""
        return f"{tool} --bootstrap-server={self._server} {command(arguments)}"


def copied_in(cluster: Cluster, p: Brokers, change: int) -> timedelta | None:
    """How long the partitions are copied at the throttle; None where what is stored isn't known.

    An added broker receives its share of all bytes, and those that stay receive what one that goes has.
    """
    after = cluster.count + change
    if cluster.stored is None or after < 1 or not change:
        return None
    moved = cluster.stored * abs(change) / max(after, cluster.count)
    receivers = change if change > 0 else after
    return timedelta(seconds=round(moved / receivers / p.throttle))


def plan(
    kafka: Kafka,
    cluster: Cluster,
    p: Brokers,
    change: int,
    leaving: Sequence[Resource],
    topics: Sequence[str] | None,
    doubts: tuple[str, ...] = (),
) -> tuple[PlanStep, ...]:
    """The steps that spread the named topics (None: all) over the brokers that there are after the change.

    `doubts` are to be cleared before anything is bought.
    """
    first: list[PlanStep] = []
    if change > 0:
        first.append(
            PlanStep(
                do=f"Build and start {many(change, 'broker')} with the settings of the others and ids of their own",
                before=(
                    *doubts,
                    "racks, cables and addresses are there",
                    "broker.rack names the zone, if the others have it",
                ),
            )
        )
    staying = [broker for broker in cluster.resources if broker not in leaving]
    ids = [broker.attributes.get("broker_id", "") for broker in staying]
    known = change <= 0 and bool(ids) and all(ids)
    brokers = command([f"--broker-list={','.join(ids)}"]) if known else '--broker-list="$BROKER_IDS"'
    told = "all brokers, the new ones too" if change > 0 else "the brokers that stay" if leaving else "all brokers"
    first.append(
        PlanStep(
            do=f"Have Kafka propose an assignment over {told}",
            before=(_replicas(cluster), "no other reassignment runs", *_peaks(cluster, p, change)),
            commands=(
                *(() if known else (f"# set BROKER_IDS to the ids of {told}, such as 1,2,3,4",)),
                kafka.run("kafka-topics.sh", "--describe", "--under-replicated-partitions"),
                f"{_listed(kafka, topics)} > topics.json",
                f"{kafka.run(_TOOL, '--topics-to-move-json-file=topics.json', '--generate')} {brokers} | tee plan.txt",
                "# save the first half of plan.txt, the assignment now, as before.json, the second half as plan.json",
            ),
        )
    )
    rate = round(p.throttle)
    moves = copied_in(cluster, p, change)
    first.append(
        PlanStep(
            do=f"Move the partitions at {human(p.throttle, 'By/s')} for each broker"
            + (f", about {human_duration(moves)}" if moves else ""),
            before=(
                "before.json is saved where the next engineer finds it",
                "plan.json keeps the replicas of a partition in different zones",
                "disks have room for the copies: both are there until a partition has moved",
            ),
            commands=(kafka.run(_TOOL, "--reassignment-json-file=plan.json", "--execute", f"--throttle={rate}"),),
        )
    )
    first.append(
        PlanStep(
            do="Verify until all is complete: this also takes the throttle off",
            commands=(kafka.run(_TOOL, "--reassignment-json-file=plan.json", "--verify"),),
        )
    )
    if leaving:
        first.append(
            PlanStep(
                do=f"Stop {many(len(leaving), 'broker')}",
                before=("kafka-log-dirs.sh shows no partition there", "it is no controller of the quorum"),
                commands=(
                    kafka.run("kafka-log-dirs.sh", "--describe"),
                    *(
                        command(["ssh", "--", broker.host or broker.id, "sudo systemctl stop kafka"])
                        for broker in leaving
                    ),
                ),
            )
        )
    return tuple(first)


def undo(kafka: Kafka, p: Brokers, change: int, leaving: Sequence[Resource]) -> tuple[str, ...]:
    """Back to the assignment before."""
    back = kafka.run(_TOOL, "--reassignment-json-file=before.json", "--execute", f"--throttle={round(p.throttle)}")
    verified = kafka.run(_TOOL, "--reassignment-json-file=before.json", "--verify")
    begun = tuple(command(["ssh", "--", broker.host or broker.id, "sudo systemctl start kafka"]) for broker in leaving)
    ended = (f"# when it is complete, stop the {many(change, 'broker')} that came",) if change > 0 else ()
    return (*begun, back, verified, *ended)


def _peaks(cluster: Cluster, p: Brokers, change: int) -> tuple[str, ...]:
    """What has to be true of the days that nobody has looked at here."""
    if change >= 0:
        return ()
    worst = max(cluster.loads, key=lambda load: load.shared_by(change, peak=True) / load.spec.limit)
    return (
        f"no hour of the last month was much busier than the last {human_duration(p.stabilise_removal)}: their peak of "
        f"{worst.signal} is {worst.shared_by(change, peak=True) * 100:.0f} % of what stays, and "
        f"{worst.spec.limit * 100:g} % are allowed",
    )


def _replicas(cluster: Cluster) -> str:
    now = cluster.under_replicated
    known = "not measured" if now is None else f"{now} now"
    return f"no partition is under-replicated ({known}): the command prints none"


def _listed(kafka: Kafka, topics: Sequence[str] | None) -> str:
    if topics is None:
        return f"{kafka.run('kafka-topics.sh', '--list')} | {_ALL}"
    moved = json.dumps({"version": 1, "topics": [{"topic": topic} for topic in topics]}, separators=(",", ":"))
    return command(["printf", "%s", moved])
