"""If it died now: the readiness of everything that the rules of the enabled packs know about."""

from collections.abc import Collection, Mapping
from datetime import datetime

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import RESOURCES, TICK
from controlplane.failover.assess import ASSESS
from controlplane.failover.moment import Moment
from controlplane.frames import Samples
from controlplane.model.errors import ControlplaneError
from controlplane.model.methods import Parameters
from controlplane.model.prices import PriceBook
from controlplane.model.readiness import Dying, Readiness
from controlplane.model.resources import Inventory
from controlplane.model.rules import FailoverRule, Placed, RuleSet, ScalingRule
from controlplane.model.time import to_ms
from controlplane.telemetry.store import SampleStore

_ORDER = {False: 0, None: 1, True: 2}


class NothingToAssess(ControlplaneError):
    """There has been no tick, so nothing is known."""


def report(
    log: EventLog,
    store: SampleStore,
    rules: RuleSet,
    prices: Mapping[str, PriceBook],
    *,
    platforms: Collection[str] = (),
    kinds: Collection[Dying] = (),
) -> list[Readiness]:
    """Every row as of the last tick, by platform, what isn't ready first; of some platforms and kinds, or of all.

    NothingToAssess where there has been no tick.
    """
    last = log.row(TICK, "tick")
    if last is None:
        raise NothingToAssess("there has been no tick yet: nothing is known. Do one with `controlplane tick`")
    inventory = Inventory(resources=tuple(row.resource for _, row in sorted(log.rows(RESOURCES).items())))
    found: list[Readiness] = []
    for placed in rules.rules:
        if isinstance(placed.rule, ScalingRule | FailoverRule) and (not platforms or placed.platform in platforms):
            assess = ASSESS.get(type(placed.rule.parameters))
            if assess is not None:
                book = prices.get(placed.platform, PriceBook())
                samples = _samples(store, placed, placed.rule.parameters, last.now)
                moment = Moment(placed.platform, samples, inventory, book, last.now)
                found += assess(moment, placed.rule.parameters)
    worst_first = sorted(found, key=lambda row: (row.platform, _ORDER[row.ready], row.kind))
    once: dict[tuple[str, ...], Readiness] = {}
    for row in worst_first:
        # Two rules may be about one thing; what isn't ready by one of them isn't ready.
        if not kinds or row.kind in kinds:
            once.setdefault((row.platform, row.kind, row.cell, row.takes_over), row)
    return list(once.values())


def _samples(store: SampleStore, placed: Placed, parameters: Parameters, at: datetime) -> Samples:
    if not store.file.path.exists():
        return Samples.empty()
    after = to_ms(at - parameters.lookback)
    platforms = (placed.platform, "")
    return store.read(after, to_ms(at), signals=tuple(parameters.reads()), platforms=platforms)
