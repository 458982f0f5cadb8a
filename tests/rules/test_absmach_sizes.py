"""Absmach: each capacity that a utilization rule covers stands as a limit in the inventory or in sizes.yaml."""

from functools import cache

import pytest

import fixtures
from controlplane.model.resources import Inventory, Resource
from controlplane.model.rules import AlertRule, DriftRule
from controlplane.model.signals import Utilization
from controlplane.rules.coverage import read_figures
from controlplane.rules.drift import check
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.telemetry.inventory_file import read_inventory

PACK = "absmach"
FILES = ("inventory.yaml", "sizes.yaml")


def resources(name: str) -> tuple[Resource, ...]:
    return read_inventory(fixtures.path(PACK, name), PACK)


@cache
def limited() -> dict[str, tuple[str, ...]]:
    """Figure → the signals of the utilization that covers it."""
    rules = load_rules(read_rule_texts([PACK])[0]).rules
    signals = {signal.name: signal for _, signal in rules.signals}
    return {
        figure: derive.of
        for placed in rules.alert_rules()
        if isinstance(placed.rule, AlertRule) and isinstance(derive := signals[placed.rule.signal].derive, Utilization)
        for figure in placed.rule.covers
    }


def test_every_limit_stands_in_a_file() -> None:
    figures = {figure.id: figure for figure in read_figures(PACK).figures}
    stated = {item for name in FILES for resource in resources(name) for item in resource.limits.items()}
    assert len(limited()) > 50
    for name, signals in limited().items():
        assert figures[name].signal in signals
        assert (figures[name].signal, figures[name].threshold) in stated, name


@pytest.mark.parametrize("name", FILES)
def test_shipped_settings_are_as_documented(name: str) -> None:
    inventory = Inventory(resources=resources(name))
    rules = [placed.rule for placed in load_rules(read_rule_texts([PACK])[0]).rules.alert_rules()]
    checked = [one for rule in rules if isinstance(rule, DriftRule) for one in check(rule, PACK, inventory)]
    assert checked
    assert [one for one in checked if one.differs] == []


def test_every_setting_that_a_rule_expects_stands_in_a_file() -> None:
    rules = [placed.rule for placed in load_rules(read_rule_texts([PACK])[0]).rules.alert_rules()]
    expected = {one.setting for rule in rules if isinstance(rule, DriftRule) for one in rule.settings}
    assert expected == {setting for name in FILES for resource in resources(name) for setting in resource.settings}
