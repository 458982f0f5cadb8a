"""What the other brokers of a Kafka cluster carry when one is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from controlplane.model.resources import Resource

_ROUNDING = 1e-9
CPU, NETWORK = "system.cpu.utilization", "system.network.utilization"


@dataclass(frozen=True, slots=True)
class Carried:
    """One load before the loss and after it, as a share of what a broker can carry."""

    signal: str
    limit: float
    before: float
    after: float

    @property
    def ok(self) -> bool:
        """Whether the others stay within the limit."""
        return self.after <= self.limit + _ROUNDING


def carried(
    lost: Resource, others: Sequence[Resource], loads: Mapping[str, Mapping[str, float]], limits: Mapping[str, float]
) -> tuple[Carried, ...]:
    """Each load (signal → host → share) of all spread over the others, fullest first.

    Leaders and what is replicated move to the others; the load of the lost one counts in full. Left out where the load
    of one of them isn't known.
    """
    found = []
    for signal, by_host in loads.items():
        shares = [_share(one, by_host) for one in (lost, *others)]
        known = [share for share in shares if share is not None]
        if len(known) == len(shares) and others:
            total = fsum(known)
            found.append(Carried(signal, limits[signal], total / len(known), total / len(others)))
    return tuple(sorted(found, key=lambda one: (-one.after / one.limit, one.signal)))


def _share(resource: Resource, by_host: Mapping[str, float]) -> float | None:
    value = by_host.get(resource.id, by_host.get(resource.host) if resource.host else None)
    return None if value is None else max(0.0, value)
