"""How big it should be: demand → tolerance → stabilised → limited → clamped, with the reason at each stage. Pure."""

from datetime import datetime

from controlplane.frames import Samples
from controlplane.history import History
from controlplane.model.methods import ConsumerLag, Placement, StorageGrowth
from controlplane.model.payloads import AlertFacts
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Inventory
from controlplane.model.rules import Placed, ScalingRule
from controlplane.scaling import consumer_lag, placement, storage_growth

__all__ = ["advise"]


def advise(
    rule: Placed, alert: AlertFacts, at: datetime, samples: Samples, inventory: Inventory, prices: PriceBook
) -> Proposal:
    """What the rule's method proposes for a firing alert, from nothing but samples that aren't after `at`.

    AdviceError says what is missing where the inputs don't allow a proposal; TypeError where the rule doesn't scale.
    """
    if not isinstance(rule.rule, ScalingRule):
        raise TypeError(f"{rule.id} is no scaling rule")
    history = History(alert, samples, at)
    parameters = rule.rule.parameters
    if isinstance(parameters, ConsumerLag):
        return consumer_lag.advise(history, parameters, inventory, prices)
    if isinstance(parameters, StorageGrowth):
        return storage_growth.advise(history, parameters, inventory, prices)
    assert isinstance(parameters, Placement)
    return placement.advise(history, parameters, inventory, prices)
