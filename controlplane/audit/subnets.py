"""Check of a network layout: canonical subnets that lie in their block and don't overlap (`ipaddress`)."""

import ipaddress
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import combinations

from controlplane.audit.amounts import Node, Value
from controlplane.audit.findings import Outcome, Verdict
from controlplane.audit.plan import Subnets

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def subnets(claim: Subnets, evaluate: Callable[[Node], Value]) -> Outcome:  # noqa: ARG001 - every kind of claim is checked by the same call
    """Networks with host bits set, outside their block, or over each other; with a place that is free for the first."""
    networks = {name: ipaddress.ip_network(text, strict=False) for name, text in claim.networks.items()}
    block = ipaddress.ip_network(claim.block, strict=False) if claim.block else None
    bent = [name for name, network in networks.items() if not _canonical(claim.networks[name], network)]
    outside = [name for name, network in networks.items() if block is not None and not _inside(network, block)]
    over = [
        (a, b)
        for a, b in combinations(networks, 2)
        if networks[a].version == networks[b].version and _overlap(networks[a], networks[b])
    ]
    wrong = [f"{claim.networks[name]} ({name}) has host bits set: it is {networks[name]}" for name in bent]
    wrong += [f"{networks[name]} ({name}) lies outside {block}" for name in outside]
    wrong += [f"{networks[a]} ({a}) overlaps {networks[b]} ({b})" for a, b in over]
    bad = list(dict.fromkeys([*bent, *outside, *(name for pair in over for name in pair)]))
    count = Value(Decimal(len(wrong)), Decimal(len(wrong)), "")
    return Outcome(
        Verdict.INFEASIBLE if wrong else None,
        "; ".join(wrong) or f"{len(networks)} networks are canonical and apart",
        f"{', '.join(bad)} can't be made as written" if bad else "",
        {"": count},
        ", ".join(claim.networks[name] for name in bad) or f"{len(networks)} networks",
        _proposal(networks, bad, block) if bad else "as claimed",
        None,
        count,
    )


def _canonical(text: str, network: Network) -> bool:
    return text.partition("/")[0] == str(network.network_address)


def _overlap(one: Network, other: Network) -> bool:
    return one.overlaps(other)


def _inside(network: Network, block: Network) -> bool:
    return network.version == block.version and network.subnet_of(block)  # type: ignore[arg-type]  # both are of one version


def _proposal(networks: dict[str, Network], bad: list[str], block: Network | None) -> str:
    """The canonical form, and the first free place of the same size where that is taken."""
    name = bad[0]
    canonical = networks[name]
    taken = [network for other, network in networks.items() if other != name]
    if not any(_overlap(canonical, other) for other in taken) and (block is None or _inside(canonical, block)):
        return str(canonical)
    free = None if block is None else _free(block, canonical.prefixlen, taken)
    return f"{canonical} is taken; free is {free}" if free else f"{canonical} is taken, and nothing of its size is free"


def _free(block: Network, prefix: int, taken: Iterable[Network]) -> Network | None:
    others = list(taken)
    if prefix < block.prefixlen or prefix - block.prefixlen > 16:
        return None
    return next(
        (one for one in block.subnets(new_prefix=prefix) if not any(_overlap(one, other) for other in others)), None
    )
