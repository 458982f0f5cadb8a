"""Configuration in the inventory against what documents say: results of drift rules at every step."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from controlplane.model.labels import canonical
from controlplane.model.resources import Inventory, Resource
from controlplane.model.rules import DriftRule, Expected, Placed
from controlplane.model.units import convert
from controlplane.rules.fold import RESULTS, compare

SOURCE = "inventory"
"""Source of the alerts of drift rules."""
# Python reads more as a number than people write: `1_000`, `nan`, digits of other scripts.
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf)")


@dataclass(frozen=True, slots=True)
class Checked:
    """A setting of a resource next to what is expected of it."""

    resource: Resource
    expected: Expected
    actual: str
    value: float | None
    """The setting as a number in the unit of the expectation; None where it is none."""
    differs: bool


def check(rule: DriftRule, platform: str, inventory: Inventory) -> Iterator[Checked]:
    """Every setting that the rule looks at and the inventory has."""
    fields = {name: value for name, value in rule.of.items() if name != "id"}
    for resource in inventory.of(platform, **fields):
        if "id" in rule.of and resource.id != rule.of["id"]:
            continue
        for expected in rule.settings:
            actual = resource.settings.get(expected.setting)
            if actual is not None:
                yield _checked(resource, expected, actual)


def _checked(resource: Resource, expected: Expected, actual: str) -> Checked:
    if expected.expect is None:
        return Checked(resource, expected, actual, None, actual.strip() not in expected.one_of)
    value = number(actual, expected.unit)
    holds = value is not None and compare(value, expected.expect.operator, expected.expect.threshold)
    return Checked(resource, expected, actual, value, not holds)


def number(text: str, unit: str) -> float | None:
    """A setting as a number in `unit`: `8` is in it already, `64 GiBy` is converted; None where it isn't one."""
    written, _, own = text.strip().partition(" ")
    if not _NUMBER.fullmatch(written):
        return None
    try:
        value = float(written)
        return convert(value, own.strip(), unit) if own else value
    except (ValueError, OverflowError):
        return None


def drift_results(
    rules: Sequence[tuple[int, Placed]], state: pl.DataFrame, inventory: Inventory, steps: pl.DataFrame
) -> pl.DataFrame:
    """`fold.RESULTS` of drift rules ((order, rule) pairs) at every step, for settings that differ or have an alert."""
    alerts = set(state.select("rule", "labels").iter_rows())
    alerting = {rule for rule, _ in alerts}
    rows = []
    for order, placed in rules:
        assert isinstance(placed.rule, DriftRule)
        for one in check(placed.rule, placed.platform, inventory):
            # Nearly everything is as it should be, and has no alert.
            if not one.differs and placed.id not in alerting:
                continue
            labels = canonical({"resource": one.resource.id, "setting": one.expected.setting})
            if one.differs or (placed.id, labels) in alerts:
                rows.append((placed.id, order, SOURCE, labels, one.value, one.differs, not one.differs))
    schema = {name: kind for name, kind in RESULTS.items() if name != "ts"}
    return pl.DataFrame(rows, schema=schema, orient="row").join(steps, how="cross").select(RESULTS.names())
