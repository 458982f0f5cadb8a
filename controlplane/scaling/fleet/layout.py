"""Where the members stand after a change: zones, placement groups and addresses."""

from dataclasses import dataclass

from controlplane.history import History
from controlplane.model.labels import printable
from controlplane.model.methods import Fleet
from controlplane.model.resources import Inventory
from controlplane.scaling.fleet.members import Members


@dataclass(frozen=True, slots=True)
class Layout:
    """Members by zone, and the placement groups that they need."""

    zones: dict[str, int]
    """Empty where the inventory doesn't say in which zones they are."""
    groups: tuple[str, ...]
    """Names of all placement groups that are needed."""
    new: tuple[str, ...]
    """Those that the inventory doesn't have."""

    @property
    def told(self) -> str:
        """Zones with their members, for people."""
        zones = ", ".join(f"{printable(zone, 60)} {count}" for zone, count in self.zones.items())
        return zones or "not known"


def even(zones: dict[str, int], count: int) -> dict[str, int]:
    """`count` members dealt out so that no two zones differ by more than one.

    Zones that have more keep the odd ones, so that few members move; ties in the order of names.
    """
    if not zones:
        return {}
    each, odd = divmod(count, len(zones))
    first = sorted(zones, key=lambda zone: (-zones[zone], zone))
    return {zone: each + (zone in first[:odd]) for zone in sorted(zones)}


def lay_out(members: Members, count: int, inventory: Inventory, platform: str, p: Fleet) -> Layout:
    """Zones and placement groups of `count` members; never in a lost zone."""
    zones = even(members.zones, count)
    if p.placement_groups is None:
        return Layout(zones, (), ())
    rule = p.placement_groups
    groups = tuple(
        rule.named(members.name, zone, number)
        for zone, here in zones.items()
        for number in range(1, -(-here // rule.largest) + 1)
    )
    known = {resource.id for resource in inventory.of(platform)}
    return Layout(zones, groups, tuple(group for group in groups if group not in known))


def free_addresses(history: History, inventory: Inventory, p: Fleet) -> int | None:
    """Addresses that are left; None where nothing limits them, or where that isn't known."""
    if p.addresses is None:
        return None
    rule = p.addresses
    network = next((r for r in inventory.of(history.alert.platform) if r.id == rule.network), None)
    limit = network.limit(rule.signal) if network else None
    used = history.newest(rule.signal, fold="sum", where={rule.label: rule.network})
    return None if limit is None or used is None else int(limit - rule.reserved - used)
