"""What every answer for a cluster on a ladder tells: its loads, the loss of a node, the price, and its alternatives."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from controlplane.history import FRESH
from controlplane.model.labels import printable
from controlplane.model.methods.ladder import Larger
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, Evidence, PlanStep, Proposal, Rejected, Stage, Survival
from controlplane.model.time import human_duration
from controlplane.model.units import human, many
from controlplane.scaling.ladder_loads import Cluster, Load
from controlplane.scaling.ladder_plan import commands_of, last_names, quorum, zones_for

_PER = {"USD/h": Decimal(730), "USD/mo": Decimal(1), "USD/a": Decimal(1) / 12}


def target(cluster: Cluster) -> str:
    """What a proposal changes."""
    return f"group {cluster.shown}"


def amount(load: Load, value: float) -> str:
    """A value of a load, for people."""
    if load.of.unit == "1":
        return f"{value * 100:,.1f} % of a node"
    rate = "/s" if load.of.unit.endswith("/s") else ""
    if load.of.unit.startswith("By"):
        return human(value, load.of.unit)
    return f"{value:,.0f} {load.of.name}{'' if value == 1 else 's'}{rate}"


def formula(cluster: Cluster, load: Load) -> str:
    """How many nodes a load asks for, as it is computed."""
    total, each = _number(load.total), _number(load.per_node)
    text = f"ceil({total} ÷ ({each} × {load.of.headroom:g}))"
    if load.of.after_loss is None or (cluster.count == 1 and load.alone(load.total, load.per_node) == 1):
        return text
    share = "" if load.of.after_loss == 1 else f" × {load.of.after_loss:g}"
    spare = f"({each}{share})" if share else each
    return f"the larger of {text} and ceil({total} ÷ {spare}) + 1"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A cluster and the prices of its nodes."""

    cluster: Cluster
    prices: PriceBook

    @property
    def price(self) -> str | None:
        """Id of the price of one more node."""
        if self.cluster.parameters.price is not None:
            return self.cluster.parameters.price
        prices = Counter(node.price for node in self.cluster.nodes if node.price)
        return min(prices, key=lambda price: (-prices[price], price)) if prices else None

    def monthly(self, price_id: str | None) -> Decimal | None:
        """What one node costs a month, None where that isn't known."""
        price = self.prices.get(price_id)
        if price is None or price.amount is None or price.unit not in _PER:
            return None
        return price.amount * _PER[price.unit]

    def line(self, more: int, item: str) -> CostLine:
        """The price of so many more nodes, or of fewer; a node that was bought isn't paid back."""
        if more < 0 and self.prices.once(self.price):
            return free_line(f"{many(-more, 'node')} free for something else", "bought once, so nothing is saved")
        return self.prices.line(self.price, more, item=item, units=THINGS)

    def unit_costs(self, *sizes: tuple[int, int]) -> str:
        """What a month costs by what the nodes carry of the load that binds, for (nodes, tuning) before and after."""
        monthly, load = self.monthly(self.price), self.cluster.bound
        if monthly is None or load.of.unit == "1":
            return ""
        carried = [self.cluster.capacity(load, tuning) * nodes for nodes, tuning in sizes]
        scale, word = (1_000_000, "million") if max(carried) >= 500_000 else (1_000, "thousand")
        unit = f"{word} {load.of.name}s" + ("/s" if load.of.unit.endswith("/s") else "")
        costs = [
            human_money(monthly * nodes * scale / Decimal(repr(float(amount))))
            for (nodes, _), amount in zip(sizes, carried, strict=True)
        ]
        return f"{' → '.join(costs)} a month for what carries a {unit}"

    def state(self) -> str:
        """The size now, and what is used of it."""
        cluster = self.cluster
        level = f", tuning {cluster.parameters.tunings[cluster.tuning].name}" if cluster.tuning >= 0 else ""
        return f"{many(cluster.count, 'node')}{level}, {self.used(cluster.count, cluster.tuning)}"

    def used(self, nodes: int, tuning: int, clusters: int = 1) -> str:
        """Share of each load that so many nodes use."""
        return ", ".join(
            f"{load.of.name} {load.share(nodes * clusters, self.cluster.capacity(load, tuning)) * 100:.0f} %"
            for load in self.cluster.deciding
        )

    def bound(self) -> str:
        """Which load binds, in words."""
        load, count = self.cluster.bound, self.cluster.count
        return (
            f"It is {load.of.name}-bound: {amount(load, load.total / count)} a node on average, "
            f"{load.share(count) * 100:.1f} % of the {amount(load, load.per_node)} that it carries"
        )

    def inputs(self) -> dict[str, str]:
        """What the formulas take, with units."""
        cluster, p = self.cluster, self.cluster.parameters
        told = {"nodes": many(cluster.count, "node"), "sizes": ", ".join(str(rung) for rung in p.rungs)}
        for load in cluster.loads:
            name, (node, most) = load.of.name, load.fullest
            total = f"{load.total:,.2f} nodes' worth" if load.of.unit == "1" else amount(load, load.total)
            told[name] = f"{total}; most on {printable(node, 60)}: {amount(load, most)}"
            told[f"{name}, what a node carries"] = amount(load, load.per_node)
            loss = load.of.after_loss
            told[f"{name}, used at most"] = f"{load.of.headroom * 100:g} %" + (
                "" if loss is None else f", {loss * 100:g} % without one node"
            )
        if p.crossing is not None:
            share = "unknown" if cluster.crossing is None else f"{cluster.crossing * 100:.1f} %"
            told["messages that cross nodes"] = f"{share}; up to {p.crossing_limit * 100:g} % before topics are sharded"
        if p.takeover_rate is not None:
            told["takeover of sessions"] = f"{p.takeover_rate:g} a second"
        if cluster.down:
            told["nodes that don't answer"] = ", ".join(printable(name, 60) for name in cluster.down)
        if cluster.unknown or cluster.absent:
            told["not measured"] = ", ".join([*cluster.unknown[:5], *cluster.absent])
        return told

    def survives(self, nodes: int, tuning: int, *, clusters: int = 1) -> tuple[Survival, ...]:
        """What the loss of a node does to the others, to the quorum, and the loss of a zone."""
        cluster = self.cluster
        left = nodes - 1
        if not left:
            return (
                Survival(loss="one node", ok=False, reason="it is the only one: nobody carries its clients"),
                Survival(loss="quorum of etcd", ok=False, reason="1 of 1 members is the majority"),
            )
        parts, carried = [], True
        for load in cluster.deciding:
            limit = cluster.capacity(load, tuning)
            each = load.total / clusters / left
            parts.append(f"{amount(load, each)} ({each / limit * 100:.0f} %)")
            carried = carried and each <= limit * (load.of.after_loss or 1.0) * (1 + 1e-9)
        reason = f"each of the other {left} then has, of what it carries, {', '.join(parts)}" + self.takeover(
            nodes * clusters
        )
        spare = nodes - quorum(nodes)
        found = [
            Survival(loss="one node", ok=carried, reason=reason),
            Survival(
                loss="quorum of etcd",
                ok=spare > 0,
                reason=f"{quorum(nodes)} of {nodes} members are a majority, so {many(spare, 'node')} may be away",
            ),
        ]
        found.append(self._zone(nodes) if clusters == 1 else self._region(nodes, clusters, tuning))
        return tuple(found)

    def _region(self, nodes: int, clusters: int, tuning: int) -> Survival:
        left = clusters - 1
        shares = [
            (load.share(nodes * left, self.cluster.capacity(load, tuning)), load.of.name)
            for load in self.cluster.deciding
        ]
        worst, name = max(shares)
        return Survival(
            loss="one region",
            ok=worst <= 1,
            reason=f"if its clients go to the other {many(left, 'cluster')}, {name}s are at {worst * 100:.0f} % there; "
            "DNS has to send them, and their sessions and retained messages stay behind",
        )

    def _zone(self, nodes: int) -> Survival:
        cluster = self.cluster
        gone = last_names(cluster, max(0, cluster.count - nodes))
        sizes = Counter(node.zone for node in cluster.nodes if node.id not in gone)
        if "" in sizes:
            return Survival(loss="one zone", ok=None, reason="the zones of the nodes aren't in the inventory")
        sizes.update(zones_for(cluster, max(0, nodes - cluster.count)))
        zone = min(sizes, key=lambda name: (-sizes[name], name))
        left = nodes - sizes[zone]
        return Survival(
            loss="one zone",
            ok=left >= quorum(nodes),
            reason=f"{printable(zone, 60)} has {sizes[zone]} of {nodes} nodes; {left} are left and a majority is "
            f"{quorum(nodes)}",
        )

    def takeover(self, nodes: int) -> str:
        """How long the others need to take over the sessions of a lost node, on average of the nodes."""
        moved = self.moved(nodes)
        takes = None if moved is None else self.cluster.takeover(moved)
        if moved is None or takes is None:
            return ""
        return (
            f"; taking over its {moved:,.0f} sessions takes {human_duration(timedelta(seconds=round(takes)))} "
            f"at {self.cluster.parameters.takeover_rate:g} a second"
        )

    def moved(self, nodes: int) -> float | None:
        """Sessions of one of so many nodes; None where they aren't counted."""
        load = self.cluster.load(self.cluster.parameters.takeover_of)
        return None if load is None else load.total / nodes

    def evidence(self) -> tuple[Evidence, ...]:
        """The alert, and each load: its sum, and the node that has most of it."""
        cluster, history = self.cluster, self.cluster.history
        reference = history.reference(*cluster.parameters.reads(), within=2 * FRESH)
        found = [history.told()]
        for load in cluster.loads:
            node, most = load.fullest
            share = load.share(cluster.count)
            verdict = "the load that binds; " if load is cluster.bound else ""
            found += [
                Evidence(
                    signal=load.of.signal,
                    labels={"cluster": cluster.name},
                    value=load.total,
                    unit=load.of.unit,
                    at=history.at,
                    limit=f"> {load.per_node * load.of.headroom * cluster.count:g}",
                    verdict=f"{verdict}{share * 100:.1f} % of what {self.there()}",
                    reference=reference,
                ),
                Evidence(
                    signal=load.of.signal,
                    labels={load.of.label: node},
                    value=most,
                    unit=load.of.unit,
                    at=history.at,
                    limit=f"> {load.per_node * load.of.headroom:g}",
                    verdict=f"the node that has most; {most / load.per_node * 100:.1f} % of what it carries",
                    reference=reference,
                ),
            ]
        if cluster.crossing is not None:
            limit = cluster.parameters.crossing_limit
            found.append(
                Evidence(
                    signal=cluster.parameters.crossing or "",
                    labels={"cluster": cluster.name},
                    value=cluster.crossing,
                    unit="1",
                    at=history.at,
                    limit=f"> {limit:g}",
                    verdict="topics aren't sharded" if cluster.crossing > limit else "sharding works",
                    reference=reference,
                )
            )
        return tuple(found)

    def do_nothing(self) -> str:
        """What happens if nobody acts."""
        cluster, load = self.cluster, self.cluster.bound
        share = load.share(cluster.count)
        name = load.of.name if load.of.unit == "1" else f"{load.of.name}s"
        told = f"{name}: {share * 100:.0f} % of what {self.there()}"
        if share > 1:
            return f"{told}: a part is refused or waits already{self.takeover(cluster.count)}"
        if cluster.count == 1:
            return f"{told}; when the node is lost everything stops until it is back"
        after = load.share(cluster.count - 1)
        told += f", and {after * 100:.0f} % when one is lost" + (
            ": then a part is refused or waits" if after > 1 else ""
        )
        return told + self.takeover(cluster.count)

    def there(self) -> str:
        """The nodes that there are, as the subject of a clause."""
        return "the node carries" if self.cluster.count == 1 else f"the {self.cluster.count} nodes carry"

    def larger(self, chosen: int) -> tuple[Rejected, ...]:
        """Larger nodes instead of more: how many carry it, and for how much."""
        return tuple(self._larger(kind, chosen) for kind in self.cluster.parameters.larger)

    def _larger(self, kind: Larger, chosen: int) -> Rejected:
        cluster = self.cluster

        def carries(nodes: int) -> bool:
            return all(
                load.need(load.total, kind.limits.get(load.of.signal, load.per_node)) <= nodes
                for load in cluster.deciding
            )

        count = next((rung for rung in cluster.parameters.rungs if carries(rung)), None)
        if count is None:
            return Rejected(
                option=f"Nodes of kind {kind.name}", reason="even the largest size of them doesn't carry it"
            )
        there, here = self.monthly(kind.price), self.monthly(self.price)
        if there is None or here is None:
            cost = "what they cost isn't known"
        else:
            now = f"{human_money(here * chosen)} for {many(chosen, 'node')} as they are"
            cost = f"{human_money(there * count)} a month, {now}"
        return Rejected(
            option=f"{many(count, 'node')} of kind {kind.name}",
            reason=f"{cost}; every node is replaced, one at a time, and the loss of one moves more sessions at once",
        )

    def proposal(self, stages: tuple[Stage, ...], *, plan: tuple[PlanStep, ...], **parts: Any) -> Proposal:
        """A proposal with what every one tells."""
        return Proposal(
            target=target(self.cluster),
            from_=self.state(),
            inputs=self.inputs(),
            stages=stages,
            commands=commands_of(plan),
            plan=plan,
            evidence=self.evidence(),
            **parts,
        )

    def waiting(self) -> tuple[Rejected, ...]:
        """Doing nothing, as an alternative."""
        return (Rejected(option="Wait", reason=self.do_nothing()),)
