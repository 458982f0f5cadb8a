"""Servers of a database or cache, of which one takes the writes: spread reads, add replicas, or say why not."""

from collections import Counter
from datetime import timedelta

from controlplane.history import History
from controlplane.model.commands import fill
from controlplane.model.methods import Replicas
from controlplane.model.prices import THINGS, PriceBook, free_line
from controlplane.model.recommendations import CostLine, PlanStep, Proposal, Rejected, Stage, Survival, total
from controlplane.model.resources import Inventory
from controlplane.model.units import many
from controlplane.scaling.database import Database, read_database
from controlplane.scaling.member_loads import share_evidence
from controlplane.scaling.sizing import brokers_needed


def advise(history: History, parameters: Replicas, inventory: Inventory, prices: PriceBook) -> Proposal:
    """What a database whose servers are above a limit takes.

    In this order: the pool of connections is full, the writes are at what one primary takes, the others have room for
    its reads, replicas are missing. AdviceError where a server or the primary isn't known.
    """
    base = read_database(history, inventory, parameters)
    p = parameters
    if base.connections is not None and base.connections > p.connections_limit:
        return _proposal(base, p, prices, "connections")
    if base.writes is not None and base.writes > p.writes_limit:
        return _proposal(base, p, prices, "writes")
    return _proposal(base, p, prices, "reads")


def _sized(base: Database, p: Replicas, answer: str) -> tuple[int, tuple[Stage, ...]]:
    """Replicas to add, by Cruise Control's formula over all servers, and the stages."""
    stages: list[Stage] = []

    def stage(name: str, value: int, limit: str | None, reason: str) -> int:
        stages.append(Stage(name=name, value=value, limit=limit, reason=reason))
        return value

    for load in base.loads:
        limit = load.spec.limit
        stage(
            f"raw {load.signal}",
            brokers_needed(load.total, load.capacity * limit, load.smallest * limit),
            None,
            f"ceil(({load.total:,.2f} − {load.capacity:,.2f} × {limit:g}) ÷ ({load.smallest:,.2f} × {limit:g})) to add",
        )
    add = stage("largest", max(0, int(max(one.value for one in stages))), None, "what takes most servers decides")
    if answer != "reads":
        add = stage("held", 0, f"{answer} are the limit", "replicas take reads alone")
    bit = f"at most {p.maximum_step} at once" if add > p.maximum_step else None
    add = stage("rate-limited", min(add, p.maximum_step), bit, "the largest change at once")
    room = add if p.maximum is None else max(0, p.maximum - base.count)
    bit = f"at most {p.maximum} servers" if add > room else None
    add = min(add, room)
    stage(
        "clamped",
        base.count + add,
        bit,
        f"servers after the change; now there {'is 1' if base.count == 1 else f'are {base.count}'}",
    )
    return add, tuple(stages)


def _proposal(base: Database, p: Replicas, prices: PriceBook, answer: str) -> Proposal:
    add, stages = _sized(base, p, answer)
    bit = next((stage.limit for stage in reversed(stages) if stage.limit), None)
    spread = not add and answer == "reads" and bool(base.hot) and base.count > 1 and bit is None
    values: dict[str, str | int] = {
        "cluster": base.name,
        "primary": base.primary or base.host,
        "source": base.source,
        "rate": round(p.rate / 1000),
    }
    title, to = _said(base, p, answer, add, spread)
    steps = _plan(base, p, values) if add else ()
    inspected = tuple(fill(argv, values) for argv in p.inspect)
    return Proposal(
        kind="scale_out" if add else "rebalance" if spread else "investigate",
        target=base.target(p.target),
        title=title,
        from_=many(base.count, "server"),
        to=to,
        why=_why(base, p, answer, add, bit),
        inputs=base.inputs(p),
        stages=stages,
        cost=total((_line(base, p, add, prices),), _do_nothing(base)),
        gain=_gain(base, add, spread),
        survives=_survives(base, add),
        time_to_effect=p.time_to_effect if add else timedelta(minutes=30) if spread else timedelta(0),
        commands=tuple(line for step in steps for line in step.commands) if steps else inspected,
        plan=steps,
        revert=tuple(fill(argv, values) for argv in p.revert)
        if add
        else ("# nothing to revert: the command only reads",),
        evidence=(base.history.told(), *share_evidence(base.history, base.loads, base.name), *base.evidence(p)),
        rejected=_rejected(base, p, prices, answer, add, bit),
    )


def _said(base: Database, p: Replicas, answer: str, add: int, spread: bool) -> tuple[str, str]:
    if add:
        return f"Add {many(add, 'read ' + p.noun)} to {base.shown}", many(base.count + add, "server")
    if answer == "connections":
        return f"The pool of {base.shown} is the limit", f"{many(base.count, 'server')}, fewer or shorter connections"
    if answer == "writes":
        return f"Writes of {base.shown} are at what one primary takes", f"{many(base.count, 'server')}, fewer writes"
    if spread:
        return f"Move reads of {base.shown} to its other servers", f"{many(base.count, 'server')}, evenly loaded"
    return f"{base.shown} keeps its {many(base.count, 'server')}", f"{many(base.count, 'server')} (no change)"


def _why(base: Database, p: Replicas, answer: str, add: int, bit: str | None) -> str:
    load = base.decisive
    who = load.members["member"][0]
    role = "the primary" if who == base.primary else f"a {p.noun}" if base.primary else "a server"
    why = f"{base.printable(who)}, {role}, is at {load.busiest * 100:.0f} % ({load.signal}), "
    why += f"{'above' if load.hot else 'within'} its limit of {load.spec.limit * 100:g} %"
    why += f"; all {base.count} servers together are {load.share * 100:.0f} % used. " if base.count > 1 else ". "
    if answer == "connections":
        return (
            why
            + f"{base.share(base.connections)} of the connections are in use: clients wait for one, whatever the CPU."
        )
    if answer == "writes":
        return (
            why
            + f"{base.share(base.writes)} of what one primary takes in transactions comes in; a {p.noun} takes none."
        )
    if add:
        return why + f"A {p.noun} takes reads off the primary; how much of the load is reads isn't measured."
    return why + (f"{bit} holds the number." if bit else "No server is missing.")


def _plan(base: Database, p: Replicas, values: dict[str, str | int]) -> tuple[PlanStep, ...]:
    return (
        PlanStep(
            do=f"Build a server like the others, and copy the data to it at {p.rate / 1e6:,.0f} MB/s",
            before=(
                f"most of what {base.printable(base.primary or base.host)} does is reading: "
                + "; ".join(fill(argv, values) for argv in p.inspect),
                "the others have caught up, and disk and link have room for the copy",
                *(
                    ("it won't be a synchronous standby at first, or every commit waits for it",)
                    * (p.target != "group")
                ),
            ),
            commands=tuple(fill(argv, values) for argv in p.commands),
        ),
        PlanStep(
            do="Send reads to it",
            before=(f"the new {p.noun} has caught up", "clients that must read their own writes stay with the primary"),
        ),
    )


def _line(base: Database, p: Replicas, add: int, prices: PriceBook) -> CostLine:
    if not add:
        return free_line("No server is added")
    return prices.line(p.price or base.price, add, item=f"{many(add, 'server')} for {base.shown}", units=THINGS)


def _do_nothing(base: Database) -> str:
    load = base.decisive
    left = load.shared_by(-1) if base.count > 1 else None
    found = f"{load.signal} stays at {load.busiest * 100:.0f} %, and every query waits longer as it grows"
    if left is None:
        return f"{found}; there is no other server"
    return f"{found}; with one server lost the rest is at {left * 100:.0f} %"


def _gain(base: Database, add: int, spread: bool) -> str:
    load = base.decisive
    if add:
        return "; ".join(
            f"{one.signal} {one.share * 100:.0f} % → {one.shared_by(add) * 100:.0f} %" for one in base.loads
        ) + (" on average, as far as it is reads")
    if spread:
        change = f"{load.busiest * 100:.0f} % → {load.share * 100:.0f} %"
        return f"{load.signal} of the busiest server {change}, as far as it is reads"
    return "No capacity is added"


def _survives(base: Database, add: int) -> tuple[Survival, ...]:
    after = base.count + add
    if after < 2:
        return (Survival(loss="its only server", ok=False, reason="no other server has the data"),)

    def one(loss: str, reason: str) -> Survival:
        worst = max(base.loads, key=lambda load: load.shared_by(add - 1))
        share = worst.shared_by(add - 1)
        return Survival(loss=loss, ok=share <= 1, reason=f"{reason}{share * 100:.0f} % ({worst.signal})")

    rest = many(after - 1, "server")
    zones = Counter(member.zone for member in base.members)
    where = (
        Survival(loss="one zone", ok=None, reason="the zones of the servers aren't in the inventory")
        if "" in zones
        else Survival(loss="one zone", ok=len(zones) > 1, reason=f"servers in {many(len(zones), 'zone')}")
    )
    return (
        one("the primary", f"{rest} left, one of them as the primary, at "),
        one("one replica", f"{rest} left at "),
        where,
    )


def _rejected(
    base: Database, p: Replicas, prices: PriceBook, answer: str, add: int, bit: str | None
) -> tuple[Rejected, ...]:
    load = base.decisive
    found = []
    if not add:
        why = f"{answer} are the limit, and a {p.noun} takes reads alone" if answer != "reads" else bit
        found.append(Rejected(option=f"Add a {p.noun}", reason=why or "all servers together have the capacity"))
    elif base.count > 1:
        found.append(
            Rejected(
                option="Only move reads to the servers that are there",
                reason=f"all together are at {load.share * 100:.0f} %, above {load.spec.limit * 100:g} %",
            )
        )
    price = prices.get(p.larger_price)
    paid = (
        "its price isn't in the price book"
        if price is None or price.amount is None
        else f"{price.amount} {price.unit} each"
    )
    found.append(
        Rejected(
            option="Larger servers",
            reason=f"{paid}, {many(base.count, 'server')}, a switchover each; it is the way where writes are the load",
        )
    )
    if answer != "connections":
        used = (
            "how many connections are in use isn't measured"
            if base.connections is None
            else f"{base.share(base.connections)} of the connections are in use"
        )
        found.append(
            Rejected(option="A larger pool of connections", reason=f"{used}; more at once make a busy CPU slower")
        )
    return tuple(found)
