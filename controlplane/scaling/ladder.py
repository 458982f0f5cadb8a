"""A cluster on a ladder of fixed sizes: which load binds it, and which rung carries that, even without one node."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from controlplane.history import History, ms
from controlplane.model.errors import AdviceError
from controlplane.model.methods import Ladder
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal, Stage, Status
from controlplane.model.resources import Inventory
from controlplane.model.time import format_duration, human_duration
from controlplane.model.units import many
from controlplane.scaling import ladder_advice as say
from controlplane.scaling import ladder_offer
from controlplane.scaling import ladder_steady as steady
from controlplane.scaling.ladder_loads import Cluster, read_cluster
from controlplane.scaling.sizing import whole

_CHANGES = {"scale_out", "scale_in", "shard", "migrate", "resize", "rebalance"}


def advise(history: History, parameters: Ladder, inventory: Inventory, prices: PriceBook) -> Proposal:
    """The rung for the cluster that the alert is about; AdviceError says what is missing or waits.

    Of its answers the first that applies: bring a lost node back, shard topics, tune the nodes, a higher rung, several
    clusters by region, a lower rung, spread the clients, keep the size.
    """
    cluster = read_cluster(history, parameters, inventory)
    offer = ladder_offer.Offer(cluster, prices)
    choice = _choose(cluster)
    if choice.kind == "hold":
        return steady.hold(offer, choice.stages, choice.reason)
    if cluster.down and choice.kind not in {"shard", "rebalance"}:
        return steady.restore(offer, choice.stages)
    _cooled(cluster, choice.kind)
    if choice.kind == "shard":
        return say.shard(offer, choice.stages)
    if choice.kind == "rebalance":
        return steady.spread(offer, choice.stages)
    if choice.kind == "migrate":
        return say.regions(offer, choice.stages, choice.clusters, choice.rung)
    if choice.kind == "scale_in":
        return say.shrink(offer, choice.stages, choice.rung)
    return say.grow(offer, choice.stages, choice.rung, choice.tuning)


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do, with the stages that led to it."""

    kind: str
    stages: tuple[Stage, ...]
    rung: int = 0
    tuning: int = -1
    clusters: int = 1
    reason: str = ""


def _choose(cluster: Cluster) -> Choice:
    p, now = cluster.parameters, cluster.totals()
    raw = cluster.wanted(now)
    bound = cluster.bound
    stages = [Stage(name="raw", value=raw, reason=_raw(cluster, now))]

    def stage(name: str, value: int, limit: str | None, reason: str) -> int:
        stages.append(Stage(name=name, value=value, limit=limit, reason=reason))
        return value

    if raw > cluster.count:
        stage("tolerance", raw, None, "none upwards: the headroom is what is kept free")
        totals = cluster.totals(ms(p.stabilise_out))
        asked = max(cluster.count, cluster.wanted(totals))
        window = format_duration(p.stabilise_out)
        limit = f"smallest demand within {window}" if asked < raw else None
        stage("stabilised", asked, limit, f"the smallest demand within {window} counts upwards")
        short = cluster.short(totals)
        if not short:
            return _kept(cluster, stages, f"the demand of the last {window} was smaller")
        return _larger(cluster, stages, totals, asked)
    if cluster.unknown:
        raise AdviceError(
            f"{', '.join(cluster.unknown[:3])} {'have' if len(cluster.unknown) > 1 else 'has'} no sample in the last 5 "
            "minutes, so the load of the cluster isn't known in full. Check that the source answers"
        )
    if _crosses(cluster, required=False):
        stage("clamped", cluster.count, None, f"{many(cluster.count, 'node')} carry the load")
        return Choice("shard", tuple(stages))
    hot = [load for load in cluster.deciding if load.fullest[1] > load.per_node * load.of.headroom * (1 + 1e-9)]
    if hot and cluster.count > 1:
        stage("clamped", cluster.count, None, f"{many(cluster.count, 'node')} carry the load when it is spread evenly")
        return Choice("rebalance", tuple(stages))
    lower = [rung for rung in p.rungs if rung < cluster.count]
    if not lower or raw >= cluster.count:
        return _kept(cluster, stages, f"{bound.of.name}s ask for {many(raw, 'node')}")
    return _smaller(cluster, stages, lower[-1])


def _larger(cluster: Cluster, stages: list[Stage], totals: Mapping[str, float], asked: int) -> Choice:
    p = cluster.parameters
    if all(load.of.local for load in cluster.short(totals)) and _crosses(cluster, required=True):
        limit = f"{p.crossing_limit * 100:g} % of the messages may cross nodes before topics are sharded"
        stages.append(Stage(name="rung", value=cluster.count, limit=limit, reason="shard topics, then count again"))
        stages.append(Stage(name="clamped", value=cluster.count, reason="no node is added while sharding is off"))
        return Choice("shard", tuple(stages))
    levels = [level for level in range(cluster.tuning + 1, len(p.tunings)) if cluster.fits(p.tunings[level])]
    rungs = [rung for rung in p.rungs if rung >= cluster.count]
    sizes = ", ".join(str(rung) for rung in p.rungs)
    for rung in rungs:
        for level in (cluster.tuning, *levels):
            if cluster.carries(rung, level, totals):
                tuned = f" with tuning {p.tunings[level].name}" if level != cluster.tuning else ""
                bit = f"sizes {sizes}" if rung > asked else f"tuning {p.tunings[level].name}" if rung < asked else None
                stages.append(
                    Stage(
                        name="rung",
                        value=rung,
                        limit=bit,
                        reason=f"the smallest of {sizes} that carries every load, even without one node{tuned}",
                    )
                )
                stages.append(Stage(name="clamped", value=rung, reason=f"no more than {max(p.rungs)} nodes"))
                return Choice("scale_out", tuple(stages), rung, level)
    return _by_region(cluster, stages, totals, asked)


def _by_region(cluster: Cluster, stages: list[Stage], totals: Mapping[str, float], asked: int) -> Choice:
    p, top = cluster.parameters, max(cluster.parameters.rungs)
    limit = f"{many(top, 'node')} are the largest size"
    stages.append(Stage(name="rung", value=asked, limit=limit, reason=f"more than {many(top, 'node')} carry"))
    options = []
    for size in p.regional or tuple(rung for rung in p.rungs if rung > 1):
        clusters = 2
        for load in cluster.deciding:
            alone = size * load.of.headroom
            carried = alone if load.of.after_loss is None else min(alone, (size - 1) * load.of.after_loss)
            most = carried * cluster.capacity(load, cluster.tuning)
            clusters = max(clusters, whole(totals[load.of.signal] / most)) if most > 0 else 0
            if not clusters:
                break
        if clusters:
            options.append((clusters * size, clusters, size))
    if not options:
        raise AdviceError("no size of a cluster by region carries the loss of a node; add one above 1 to `regional`")
    nodes, clusters, size = min(options)
    reason = f"{clusters} clusters of {many(size, 'node')}: the fewest nodes that carry it in clusters of a region each"
    stages.append(Stage(name="clamped", value=nodes, limit=limit, reason=reason))
    return Choice("migrate", tuple(stages), size, cluster.tuning, clusters)


def _smaller(cluster: Cluster, stages: list[Stage], lower: int) -> Choice:
    p = cluster.parameters
    spare = cluster.wanted(cluster.totals(spare=p.tolerance), guards=True, keeps=False)
    value = min(cluster.count, spare)
    limit = f"tolerance {p.tolerance:g}" if spare > stages[0].value else None
    reason = f"{p.tolerance * 100:g} % more than now has to fit downwards, of every load"
    stages.append(Stage(name="tolerance", value=value, limit=limit, reason=reason))
    totals = cluster.totals(ms(p.stabilise_in), largest=True, spare=p.tolerance)
    asked = min(cluster.count, cluster.wanted(totals, guards=True, keeps=False))
    window = format_duration(p.stabilise_in)
    covered = cluster.covers(ms(p.stabilise_in))
    limit = f"largest demand within {window}" if asked > value else None
    if not covered:
        asked, limit = cluster.count, f"the samples don't reach back {window}"
    elif cluster.absent:
        asked, limit = cluster.count, f"{', '.join(cluster.absent)} isn't measured"
    stages.append(
        Stage(
            name="stabilised", value=asked, limit=limit, reason=f"the largest demand within {window} counts downwards"
        )
    )
    fits = asked <= lower
    sizes = ", ".join(str(rung) for rung in p.rungs)
    rung = lower if fits else cluster.count
    limit = None if rung == asked else f"sizes {sizes}"
    reason = "one rung down at a time" if fits else f"{many(lower, 'node')} don't carry every load without one of them"
    stages.append(Stage(name="rung", value=rung, limit=limit, reason=reason))
    stages.append(Stage(name="clamped", value=rung, reason=f"no fewer than {min(p.rungs)}"))
    if not fits:
        why = limit_of(stages) or reason
        return Choice("hold", tuple(stages), reason=why)
    return Choice("scale_in", tuple(stages), lower, cluster.tuning)


def limit_of(stages: list[Stage]) -> str | None:
    """The last limit but the sizes that bit."""
    return next((s.limit for s in reversed(stages) if s.limit and not s.limit.startswith("sizes")), None)


def _kept(cluster: Cluster, stages: list[Stage], reason: str) -> Choice:
    stages.append(Stage(name="rung", value=cluster.count, reason="its present size carries every load"))
    stages.append(Stage(name="clamped", value=cluster.count, reason="no change"))
    return Choice("hold", tuple(stages), reason=reason)


def _crosses(cluster: Cluster, *, required: bool) -> bool:
    """Whether more messages cross nodes than may before topics are sharded."""
    p = cluster.parameters
    if p.crossing is None or cluster.count == 1:
        return False
    if cluster.crossing is None:
        if not required:
            return False
        raise AdviceError(
            f"{p.crossing} of {cluster.shown} has no sample in the last 5 minutes, so whether to shard topics or to "
            "add nodes can't be told. Check that its source answers and that it has the label cluster"
        )
    return cluster.crossing > p.crossing_limit


def _raw(cluster: Cluster, totals: Mapping[str, float]) -> str:
    return "; ".join(
        f"{load.of.name}: {cluster.need(load, totals, cluster.tuning, keeps=True)} = "
        f"{ladder_offer.formula(cluster, load)}"
        for load in cluster.deciding
    )


def _cooled(cluster: Cluster, kind: str) -> None:
    """AdviceError where the cluster was changed too recently to change it again."""
    p, at = cluster.parameters, cluster.history.at
    for one in reversed(cluster.history.decided):
        if (
            one.proposal.target != ladder_offer.target(cluster)
            or one.decided_at is None
            or one.status is Status.APPROVED
        ):
            continue
        waits = p.cooldown_in if kind == "scale_in" else p.cooldown_out
        left = one.decided_at + waits - at
        if one.proposal.kind in _CHANGES and left > timedelta(0):
            raise AdviceError(
                f"{one.proposal.title} was executed at {one.decided_at:%H:%M} UTC; wait another {human_duration(left)} "
                f"before the next change (cooldown {format_duration(waits)})"
            )
