"""The control plane as a tick sees it: its stores, sources, rules, prices and routes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from controlplane.costs import PriceBook
from controlplane.eventlog.log import EventLog
from controlplane.model.errors import Problem
from controlplane.model.resources import Inventory, Resource
from controlplane.model.routes import Route, Tree
from controlplane.model.rules import FailoverRule, Placed, RuleSet, ScalingRule
from controlplane.notify.decide import Rules
from controlplane.notify.groups import Grouper
from controlplane.notify.labels import Places
from controlplane.notify.routing import URGENT, takers
from controlplane.oncall.roster import Roster
from controlplane.rules.compile import Compiled, compile_rules
from controlplane.runbooks import first_check
from controlplane.settings import Notify
from controlplane.telemetry.collector import Collector
from controlplane.telemetry.store import SampleStore


class InventorySource(Protocol):
    """A source of resources."""

    name: str

    def load(self) -> tuple[Resource, ...]:
        """Every resource it knows now; a ControlplaneError where it can't tell."""
        ...


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What decisions follow from, besides samples and inventory: rules, prices and routes."""

    rules: RuleSet
    prices: Mapping[str, PriceBook] = field(default_factory=dict)
    notify: Notify = field(default_factory=Notify)
    route: Route = field(default_factory=Route)
    """The root of the tree of routes."""
    schemes: Mapping[str, str] = field(default_factory=dict)
    """Scheme of the URL of each declared channel, in their order; empty where it can't be read."""
    environment: str = "default"
    roster: Roster = field(default_factory=Roster)
    """Who is on call when."""

    @cached_property
    def compiled(self) -> Compiled:
        """The alert rules, ready to be evaluated."""
        return compile_rules(self.rules)

    @cached_property
    def tree(self) -> Tree:
        """The tree of routes, ready to be asked."""
        return Tree(self.route)

    def told(self, inventory: Inventory) -> Rules:
        """What decides who is told, with the places of an inventory."""
        return Rules(
            tree=self.tree,
            grouper=Grouper(self.tree, Places(inventory), self.environment),
            inhibit=self.notify.inhibit,
            times=self.notify.times,
            channels=tuple(channel.name for channel in self.notify.channels),
            urgent=frozenset(name for name, scheme in self.schemes.items() if scheme in URGENT),
            check=first_check,
            runbooks=self.notify.runbooks,
            environment=self.environment,
            people=self.notify.people,
            schedules=self.notify.schedules.keys(),
            escalations=self.notify.escalations,
            takers=takers(self.schemes),
        )

    @cached_property
    def placed(self) -> Mapping[str, Placed]:
        """Rules by id."""
        return {placed.id: placed for placed in self.rules.rules}

    @cached_property
    def advisers(self) -> Mapping[str, tuple[Placed, ...]]:
        """Alert rule id → the scaling and failover rules that answer it."""
        found: dict[str, list[Placed]] = {}
        for placed in self.rules.rules:
            if isinstance(placed.rule, ScalingRule | FailoverRule):
                for target in placed.rule.on:
                    found.setdefault(target, []).append(placed)
        return {target: tuple(rules) for target, rules in found.items()}


@dataclass(frozen=True, kw_only=True)
class ControlPlane(Policy):
    """Everything that a tick works with; made by `bootstrap`."""

    log: EventLog
    store: SampleStore
    home: Path
    step_ms: int
    rule_problems: Sequence[Problem] = ()
    collectors: Sequence[Collector] = ()
    inventories: Sequence[InventorySource] = ()
    set_aside: list[tuple[Path, str]] = field(default_factory=list)
    """Telemetry files that were replaced since the last decision, with the reason."""
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each source warned of in its last answer."""

    @cached_property
    def lock(self) -> FileLock:
        """Held while a stage reads, decides and appends; two ticks at once would do the same work twice."""
        return FileLock(self.home / "tick.lock")
