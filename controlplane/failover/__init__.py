"""Who takes over, what is lost, and whether there is capacity. Pure."""

from datetime import datetime

from controlplane.failover import primary, zone
from controlplane.frames import Samples
from controlplane.history import History
from controlplane.model.methods import Primary
from controlplane.model.payloads import AlertFacts
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal
from controlplane.model.resources import Inventory
from controlplane.model.rules import FailoverRule, Placed

__all__ = ["advise"]


def advise(
    rule: Placed, alert: AlertFacts, at: datetime, samples: Samples, inventory: Inventory, prices: PriceBook
) -> Proposal:
    """What the rule's method proposes for a firing alert, from nothing but samples that aren't after `at`.

    AdviceError says what is missing where the inputs don't allow a proposal; TypeError where the rule is no failover.
    """
    if not isinstance(rule.rule, FailoverRule):
        raise TypeError(f"{rule.id} is no failover rule")
    history = History(alert, samples, at)
    parameters = rule.rule.parameters
    if isinstance(parameters, Primary):
        return primary.advise(history, parameters, inventory, prices)
    return zone.advise(history, parameters, inventory, prices)
