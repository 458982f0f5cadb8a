"""Which routes a message takes, and why it takes none."""

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.model.notifications import Action, Incident
from controlplane.notify.grouping import Step
from controlplane.settings import Route


@dataclass(frozen=True, slots=True)
class Routed:
    """The routes that a message takes, and (route, reason) of what isn't said; route "" concerns all of them."""

    routes: tuple[str, ...]
    suppressed: tuple[tuple[str, str], ...] = ()


def route(step: Step, routes: Sequence[Route]) -> Routed:
    """A trigger takes every matching route; a resolve also every route that was told in this episode."""
    if step.action is None:
        return Routed(())
    incident = step.after
    matching = tuple(r.name for r in routes if matches(r, incident))
    if step.action is Action.TRIGGER:
        return Routed(matching) if matching else Routed((), (("", _nobody(incident, routes)),))
    declared = [r.name for r in routes]
    told = set(incident.routes)
    taken = tuple(name for name in declared if name in told or name in matching)
    lost = tuple(
        (name, "the route was told of the incident but is no longer in the settings; close the incident there by hand")
        for name in incident.routes
        if name not in declared
    )
    return Routed(taken, lost or (() if taken else (("", _nobody(incident, routes)),)))


def matches(r: Route, incident: Incident) -> bool:
    """Whether the route wants this incident."""
    return (
        incident.severity in r.severities
        and (r.platforms is None or incident.platform in r.platforms)
        and (r.components is None or incident.component in r.components)
    )


def _nobody(incident: Incident, routes: Sequence[Route]) -> str:
    if not routes:
        return "no route is declared under notify.routes"
    return f"no route takes {incident.severity} of {incident.platform}/{incident.component}"
