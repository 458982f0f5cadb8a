"""From loads to a number of brokers: raw for each → largest → stabilised → under way → limited → clamped."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from controlplane.history import ms
from controlplane.model.base import Condition
from controlplane.model.labels import printable
from controlplane.model.methods import Brokers
from controlplane.model.recommendations import Recommendation, Stage, Status
from controlplane.model.time import human_duration
from controlplane.model.units import many
from controlplane.scaling.broker_loss import losses
from controlplane.scaling.brokers import Cluster
from controlplane.scaling.member_loads import Load
from controlplane.scaling.sizing import brokers_needed, largest_step, smallest_step

_KNOWN = 0.9
"""Share of the time whose peak counts that must be known before a broker is taken away."""
_DONE = {Status.EXECUTED, Status.VERIFIED, Status.INEFFECTIVE}


@dataclass(frozen=True, slots=True)
class Count:
    """How many brokers to add (or, below 0, to take away), with the stages that led to it."""

    change: int
    wanted: int
    """What the loads alone would take."""
    stages: tuple[Stage, ...]

    @property
    def bit(self) -> str | None:
        """The last limit that held the number."""
        return next((stage.limit for stage in reversed(self.stages) if stage.limit), None)


def shrinks(cluster: Cluster) -> bool:
    """Whether the alert is about something low, so that brokers may be taken away."""
    try:
        return Condition.parse(cluster.history.alert.threshold).operator.startswith("<")
    except ValueError:
        return False


def count(cluster: Cluster, p: Brokers) -> Count:
    """Brokers to add or take away. Every number is checked against the replicas, the quorum and the limits of a step.

    Sources: Cruise Control's CapacityGoal for the formula, its GoalUtils for the clamp to alive − max RF, AWS Auto
    Scaling for the cooldown and for capacity that is under way.
    """
    stages = _Stages()
    low = shrinks(cluster)
    loads = cluster.loads if low else (cluster.hot or cluster.loads)
    found = [stages(f"raw {load.signal}", _raw(load, load.total), None, _formula(load, load.total)) for load in loads]
    wanted = change = stages("largest", max(found), None, "the resource that takes most brokers decides")
    limit = None
    if change > 0:
        change, limit = _grown(cluster, p, change, stages)
    elif change < 0 and not low:
        change = stages("direction", 0, "the alert isn't about idle brokers", "only an alert with < takes them away")
    elif change < 0:
        change, limit = _shrunk(cluster, p, change, stages)
    there = many(cluster.count, "broker")
    stages("clamped", cluster.count + change, limit, f"brokers after the change; {there} are there")
    return Count(change, wanted, tuple(stages.told))


class _Stages:
    def __init__(self) -> None:
        self.told: list[Stage] = []

    def __call__(self, name: str, value: int, limit: str | None, reason: str) -> int:
        self.told.append(Stage(name=name, value=value, limit=limit, reason=reason))
        return value


def _grown(cluster: Cluster, p: Brokers, change: int, stages: _Stages) -> tuple[int, str | None]:
    """Brokers to add, and the last limit on them."""
    coming = _under_way(cluster)
    if coming:
        limit = f"{many(coming, 'broker')} under way"
        change = stages("under way", max(0, change - coming), limit, "added already, and not in the inventory yet")
    reach = largest_step(cluster.count, p.max_step) - cluster.count
    bit = f"one step from {cluster.count} reaches {cluster.count + reach}" if change > reach else None
    change = stages("rate-limited", min(change, reach), bit, "the largest change at once")
    least, why = _floor(cluster, p)
    if 0 < change < least - cluster.count:
        change, bit = least - cluster.count, why
    else:
        bit = None
    if p.maximum is not None and cluster.count + change > p.maximum:
        return max(0, p.maximum - cluster.count), f"at most {p.maximum} brokers"
    return change, bit


def _shrunk(cluster: Cluster, p: Brokers, change: int, stages: _Stages) -> tuple[int, str | None]:
    """Brokers to take away (negative), and the last limit on them."""
    peak = min(0, max(_raw(load, load.peak) for load in cluster.loads))
    window = human_duration(p.stabilise_removal)
    limit = f"largest load within {window}" if peak > change else None
    change = stages("stabilised", peak, limit, f"the largest load within {window} counts downwards")
    held = _held(cluster, p)
    if held:
        change = stages("held", 0, held, "nothing is taken away while something moves or isn't known")
    reach = smallest_step(cluster.count, p.max_removal) - cluster.count
    limit = f"one step from {cluster.count} reaches {cluster.count + reach}" if change < reach else None
    change = stages("rate-limited", max(change, reach), limit, "the largest change at once")
    least, why = _floor(cluster, p)
    room = min(0, least - cluster.count)
    bit = why if change < room else None
    change, lost = _carried(cluster, p, max(change, room))
    return change, lost or bit


def _raw(load: Load, total: float) -> int:
    each = load.smallest if total > load.capacity * load.spec.limit else load.largest
    return brokers_needed(total, load.capacity * load.spec.limit, each * load.spec.limit)


def _formula(load: Load, total: float) -> str:
    each = load.smallest if total > load.capacity * load.spec.limit else load.largest
    limit = load.spec.limit
    return f"ceil(({total:,.2f} − {load.capacity:,.2f} × {limit:g}) ÷ ({each:,.2f} × {limit:g})) brokers to add"


def _floor(cluster: Cluster, p: Brokers) -> tuple[int, str]:
    """The least brokers that may be left, and what says so."""
    # With one broker lost, writes still need min_insync, and the quorum its majority.
    needs = [
        (p.minimum, f"never below {p.minimum} brokers"),
        (cluster.replication_factor, f"replication factor {cluster.replication_factor}"),
        (p.min_insync + 1, f"min.insync.replicas {p.min_insync} and one broker to lose"),
        (p.quorum, f"a quorum of {p.quorum} brokers"),
    ]
    return max(needs, key=lambda need: need[0])


def _carried(cluster: Cluster, p: Brokers, change: int) -> tuple[int, str | None]:
    """The removal after which a broker can be lost, and a zone if it can now; and the loss that holds it back."""
    held = None
    _, zone_now, _ = losses(cluster, p, 0)
    while change < 0:
        broker, zone, _ = losses(cluster, p, change)
        lost = broker if broker.ok is not True else zone if zone_now.ok and not zone.ok else None
        if lost is None:
            break
        held = f"the loss of {lost.loss}: {lost.reason}"
        change += 1
    return change, held


def _held(cluster: Cluster, p: Brokers) -> str | None:
    if cluster.unmeasured:
        return f"{cluster.unmeasured[0]} isn't measured"
    if cluster.under_replicated is None:
        return "whether all replicas are in sync isn't measured"
    if cluster.under_replicated:
        return f"{many(cluster.under_replicated, 'partition')} not in sync"
    at = cluster.history.at
    since = max(load.since_ms for load in cluster.loads)
    if cluster.history.at_ms - since < _KNOWN * ms(p.stabilise_removal):
        seen = human_duration(timedelta(milliseconds=cluster.history.at_ms - since))
        return f"only {seen} of the last {human_duration(p.stabilise_removal)} are known"
    for one in reversed(list(_changes(cluster))):
        assert one.decided_at is not None
        if at - one.decided_at < p.cooldown:
            ago = human_duration(max(at - one.decided_at, timedelta(0)))
            return f"changed {ago} ago ({printable(one.proposal.kind)}), cooldown {human_duration(p.cooldown)}"
    return None


def _changes(cluster: Cluster) -> Iterable[Recommendation]:
    return (
        one
        for one in cluster.history.decided
        if one.status in _DONE and one.decided_at is not None and one.proposal.target == cluster.target
    )


def _under_way(cluster: Cluster) -> int:
    """Brokers that were added within their time to effect and that the inventory doesn't have yet."""
    sizes = [
        round(one.proposal.stages[-1].value)
        for one in _changes(cluster)
        if one.proposal.kind == "scale_out"
        and one.proposal.stages
        and one.decided_at is not None
        and cluster.history.at < one.decided_at + one.proposal.time_to_effect
    ]
    return max(0, max(sizes, default=0) - cluster.count)
