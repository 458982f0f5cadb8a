"""Tests of rules: `run_tests` plays the cases of a `<component>.test.yaml` and tells where they part from it."""

from controlplane.ruletests.format import RuleTests, spread
from controlplane.ruletests.run import Outcome, run_tests

__all__ = ["Outcome", "RuleTests", "run_tests", "spread"]
