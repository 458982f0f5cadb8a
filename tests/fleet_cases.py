"""Small fleets, their loads and what was decided about them before."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from controlplane.frames import Samples
from controlplane.model.errors import AdviceError
from controlplane.model.recommendations import Proposal, Recommendation, Stage, Status
from controlplane.model.resources import Resource
from tests.advice_cases import AT, Series, alert, both, history, resource, size, steady

CPU, MEMORY, NETWORK, LOAD = "cpu", "memory", "network", "load"
HALF_AN_HOUR = timedelta(minutes=30)


def fleet(count: int, zones: int = 3, role: str = "web", **fields: Any) -> list[Resource]:
    """Instances web-000 … dealt out to zones z0 … in turn; no zone at all where `zones` is 0."""
    return [
        resource(f"{role}-{n:03}", "instance", role=role, zone=f"z{n % zones}" if zones else "", price="node", **fields)
        for n in range(count)
    ]


def loads(count: int, values: Mapping[str, float | None], role: str = "web", **more: Any) -> Samples:
    """The same value of each signal for every instance, at every step of the last half hour; None = no series."""
    series: list[Series] = [
        (signal, {"host": f"{role}-{n:03}"}, steady(value, HALF_AN_HOUR))
        for signal, value in values.items()
        if value is not None
        for n in range(count)
    ]
    return history(*series, **more)


def ups(count: int, down: Sequence[int] = (), role: str = "web") -> Samples:
    """instance.up of every instance, 0 for those that are down."""
    return history(
        *(
            ("instance.up", {"host": f"{role}-{n:03}"}, steady(0.0 if n in down else 1.0, HALF_AN_HOUR))
            for n in range(count)
        )
    )


def of_each(signal: str, values: Sequence[float | None]) -> Samples:
    """A value of its own for each instance; None = no series."""
    return history(
        *(
            (signal, {"host": f"web-{n:03}"}, steady(value, HALF_AN_HOUR))
            for n, value in enumerate(values)
            if value is not None
        )
    )


def whole(value: float, signal: str = LOAD) -> Samples:
    """A load of the fleet as a whole."""
    return history((signal, {"group": "web"}, steady(value, HALF_AN_HOUR)))


ABOVE = {"form": "step", "signal": CPU, "above": 0.7, "for": "5m", "percent": 10, "cooldown": "5m"}
BELOW = {"form": "step", "signal": CPU, "below": 0.4, "for": "15m", "percent": 10, "cooldown": "15m"}
FULL = {"form": "step", "signal": MEMORY, "above": 0.85, "for": "3m", "percent": 10, "cooldown": "10m"}
WIRE = {"form": "step", "signal": NETWORK, "above": 8e9, "for": "5m", "percent": 10, "cooldown": "5m", "unit": "bit/s"}
TABLE = (ABOVE, FULL, WIRE, BELOW)
QUIET = {CPU: 0.3, MEMORY: 0.5, NETWORK: 2e9}
UNITS = {"form": "capacity", "signal": LOAD, "capacity": 1000, "share": 0.8, "each": False}


def ask(
    metrics: Sequence[Mapping[str, Any]],
    samples: Sequence[Samples],
    resources: Sequence[Resource],
    decided: Sequence[Recommendation] = (),
    **parameters: Any,
) -> Proposal:
    """Advice on the group web."""
    facts = alert("> 0.7", "1", group="web")
    parameters = {"metrics": list(metrics), **parameters}
    return size("fleet", parameters, facts, both(*samples), *resources, decided=decided)


def told(*args: Any, **more: Any) -> str:
    """The reason for which there is no advice."""
    try:
        proposal = ask(*args, **more)
    except AdviceError as error:
        return str(error)
    raise AssertionError(f"there is advice: {proposal.title}")


def count(proposal: Proposal) -> int:
    """The number that is advised."""
    return round(proposal.stages[-1].value)


def changed(
    template: Proposal,
    before: int,
    after: int,
    ago: timedelta,
    *,
    status: Status = Status.EXECUTED,
    name: str = "r1",
    target: str = "group web",
) -> Recommendation:
    """A change of the fleet that was decided that long ago."""
    kind = "scale_out" if after > before else "scale_in"
    stages = (
        Stage(name="now", value=before, reason="before"),
        Stage(name="clamped", value=after, reason="after"),
    )
    return Recommendation(
        id=name,
        version=1,
        rule="shop-size",
        platform="shop",
        alert="a1",
        status=status,
        proposal=template.model_copy(update={"kind": kind, "target": target, "stages": stages}),
        at=AT - ago,
        expires_at=AT + timedelta(hours=1),
        decided_by="ada",
        decided_at=AT - ago,
    )
