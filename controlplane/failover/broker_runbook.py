"""The steps after the loss of a Kafka broker, with what has to be true before each."""

from controlplane.failover.lost_broker import Lost
from controlplane.model.commands import command, fill
from controlplane.model.methods import Broker
from controlplane.model.recommendations import PlanStep
from controlplane.model.units import human

REASSIGN = "kafka-reassign-partitions.sh"


def tool(server: str, tool: str, *arguments: str) -> str:
    """A command of Kafka's own tools."""
    return command([tool, f"--bootstrap-server={server}", *arguments])


def look(lost: Lost, server: str) -> tuple[PlanStep, ...]:
    """What to look at first, and what not to do where something is offline."""
    offline = lost.partitions is not None and bool(lost.partitions.offline)
    return (
        PlanStep(
            do="See what is offline or refuses writes, and that the controllers have a quorum",
            before=("no other broker is restarted or rebuilt until this is over",),
            commands=(
                tool(server, "kafka-topics.sh", "--describe", "--unavailable-partitions"),
                tool(server, "kafka-topics.sh", "--describe", "--under-min-isr-partitions"),
                tool(server, "kafka-metadata-quorum.sh", "describe", "--status"),
            ),
        ),
        *(
            (
                PlanStep(
                    do="Bring back a broker that has the offline partitions; don't allow an unclean election",
                    before=("whoever owns the data has not accepted to lose what only the lost replicas have",),
                ),
            )
            if offline
            else ()
        ),
    )


def start(lost: Lost, p: Broker, server: str) -> tuple[PlanStep, ...]:
    """It comes back by itself."""
    host = lost.broker.host or lost.broker.id
    commands = tuple(fill(argv, {"host": host, "server": server}) for argv in p.start)
    return (
        PlanStep(do=f"See why {lost.shown} stopped", commands=commands[:-1]),
        PlanStep(
            do=f"Start {lost.shown}; it copies what it missed",
            before=(
                "its disk is neither full nor failed, and no log directory is offline",
                "what stopped it is repaired, or is known to have passed",
            ),
            commands=commands[-1:],
        ),
    )


def move(lost: Lost, p: Broker, server: str) -> tuple[PlanStep, ...]:
    """Its partitions go to the others."""
    ids = [one.attributes.get("broker_id", "") for one in lost.others]
    known = all(ids)
    brokers = command([f"--broker-list={','.join(ids)}"]) if known else '--broker-list="$BROKER_IDS"'
    topics = (
        f"{tool(server, 'kafka-topics.sh', '--list')} | jq --raw-input --null-input "
        "'{version: 1, topics: [inputs | {topic: .}]}' > topics.json"
    )
    generate = tool(server, REASSIGN, "--topics-to-move-json-file=topics.json", "--generate")
    return (
        PlanStep(
            do="Have Kafka propose an assignment over the brokers that are left",
            before=(
                f"{lost.shown} doesn't come back soon",
                "no other reassignment runs",
                f"each of the others has room for its share of {lost.size}",
            ),
            commands=(
                *(() if known else ("# set BROKER_IDS to the ids of the brokers that are left, such as 2,3,4",)),
                topics,
                f"{generate} {brokers} | tee plan.txt",
                "# save the first half of plan.txt as before.json, the second half as plan.json",
            ),
        ),
        PlanStep(
            do=f"Move the partitions at {human(p.throttle, 'By/s')} for each broker",
            before=(
                "before.json is saved where the next engineer finds it",
                f"the others are below {p.cpu_limit:.0%} of their CPU and {p.network_limit:.0%} of their network",
            ),
            commands=(
                tool(
                    server,
                    REASSIGN,
                    "--reassignment-json-file=plan.json",
                    "--execute",
                    f"--throttle={round(p.throttle)}",
                ),
            ),
        ),
        PlanStep(
            do="Wait until it is complete; this takes the throttle away",
            before=("no partition is offline",),
            commands=(tool(server, REASSIGN, "--reassignment-json-file=plan.json", "--verify"),),
        ),
    )


def replace(lost: Lost, p: Broker) -> tuple[PlanStep, ...]:
    """Another machine takes its place."""
    return (
        PlanStep(
            do=f"Start another machine with the id and settings of {lost.shown}; it copies all that the lost one had",
            before=(
                f"{lost.shown} is switched off for good: two brokers with one id corrupt each other",
                f"the machine has room for {lost.size}",
                f"replication to it is throttled to {human(p.throttle, 'By/s')} where producers suffer",
            ),
        ),
    )


def lead(server: str) -> tuple[PlanStep, ...]:
    """Everything in sync, then the leaders back where they belong."""
    return (
        PlanStep(
            do="Look until no partition is under-replicated",
            before=("the list gets shorter at every look",),
            commands=(tool(server, "kafka-topics.sh", "--describe", "--under-replicated-partitions"),),
        ),
        PlanStep(
            do="Give the leadership back to the preferred replicas",
            before=("the list is empty: a replica that isn't in sync must not lead",),
            commands=(tool(server, "kafka-leader-election.sh", "--election-type=preferred", "--all-topic-partitions"),),
        ),
    )
