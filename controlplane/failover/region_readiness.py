"""Readiness of a region: for each one that could take over, what would be lost and whether it carries the load."""

import math

from controlplane.failover.moment import Moment
from controlplane.failover.regions import Option, options, told_seconds
from controlplane.model.labels import printable
from controlplane.model.methods import Region
from controlplane.model.money import human_money
from controlplane.model.prices import THINGS
from controlplane.model.readiness import Readiness


def assess(moment: Moment, p: Region) -> list[Readiness]:
    """One row a region that could take over, in the order of the rule."""
    at = moment.at_ms
    return [_row(moment, p, option) for option in options(moment.samples, moment.platform, p, moment.inventory, at, at)]


def _row(moment: Moment, p: Region, option: Option) -> Readiness:
    target = option.target
    wrong, unknown, fine, remedies = _capacity(moment, option)
    if option.answers is False:
        wrong.insert(0, "it doesn't answer")
        remedies.insert(0, f"{printable(target.region, 60)} back")
    elif option.answers is None:
        unknown.append(f"{p.up} isn't measured")
    if option.lag is None:
        what = "no signal of its lag is named" if target.lag is None else f"{target.lag.signal} isn't measured"
        unknown.append(what)
    elif target.rpo_target is not None and option.lag > target.rpo_target.total_seconds():
        wrong.append(f"it is {told_seconds(option.lag)} behind")
        remedies.append(f"a lag of at most {told_seconds(target.rpo_target.total_seconds())}")
    else:
        fine.append(f"it is {told_seconds(option.lag)} behind")
    if target.rto_target is not None:
        if option.takes is None:
            unknown.append("how long it takes was not measured")
        elif option.takes > target.rto_target.total_seconds():
            wrong.append(f"it takes {told_seconds(option.takes)}")
            if not option.start:
                remedies.append(f"a takeover within {told_seconds(target.rto_target.total_seconds())}")
    ready = False if wrong else None if unknown else True
    return Readiness(
        platform=moment.platform,
        kind="region",
        cell=p.home,
        takes_over=printable(target.region, 60),
        mode=target.mode,
        rpo_seconds=option.lag,
        rto_seconds=option.takes,
        rpo_target=None if target.rpo_target is None else target.rpo_target.total_seconds(),
        rto_target=None if target.rto_target is None else target.rto_target.total_seconds(),
        load_after=option.after,
        ready=ready,
        reason="; ".join(dict.fromkeys(wrong or unknown or fine)),
        remedy="; ".join(dict.fromkeys(remedies)) if wrong else "",
        at=moment.at,
    )


def _capacity(moment: Moment, option: Option) -> tuple[list[str], list[str], list[str], list[str]]:
    """What is wrong, not known and fine about its capacity, and what would repair it."""
    if option.after is None:
        return [], ["whether it carries the load isn't known"], [], []
    if option.after <= 1:
        return [], [], [f"it would be at {option.after * 100:,.4g} %"], []
    empty = [need for need in option.needs if need.home and not need.there]
    names = ", ".join(printable(need.tier.name, 60) for need in empty)
    wrong = f"it has no {names}" if math.isinf(option.after) else f"it would be at {option.after * 100:,.4g} %"
    remedies = []
    for need in option.needs:
        if need.start:
            things = math.ceil(need.start / need.tier.per - 1e-9)
            line = moment.prices.line(need.tier.price, things, units=THINGS)
            if line.per_month is None:
                cost = "price unknown"
            elif line.one_off:
                cost = f"{human_money(line.one_off)} once"
            else:
                cost = f"{human_money(line.per_month)} a month"
            remedies.append(f"{need.start} {printable(need.tier.name, 60)} there ({cost})")
    return [wrong], [], [], remedies or ["more capacity there"]
