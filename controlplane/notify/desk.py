"""What decides who is told, and the alerts of a step as the muting stages see them. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from controlplane.model.alerts import Alert, AlertState
from controlplane.model.labels import printable
from controlplane.model.notifications import Chart, Flap, Incident
from controlplane.model.oncall import Escalation, OnCall, Pause, Person
from controlplane.model.payloads import AlertFacts
from controlplane.model.routes import Inhibition, Node, Times, Tree
from controlplane.model.silences import Silence
from controlplane.notify import flapping
from controlplane.notify.calling import Answers
from controlplane.notify.groups import Grouper
from controlplane.notify.impact import Extent
from controlplane.notify.muting import inhibited, silenced
from controlplane.notify.reach import Reach


@dataclass(frozen=True)
class Rules:
    """What decides who is told, besides the alerts."""

    tree: Tree
    grouper: Grouper
    inhibit: Sequence[Inhibition] = ()
    times: Mapping[str, Times] = field(default_factory=dict)
    channels: Sequence[str] = ()
    """Names of those that are declared."""
    urgent: Collection[str] = ()
    """Names of those that wake people."""
    runbooks: str | None = None
    environment: str = ""
    people: Mapping[str, Person] = field(default_factory=dict)
    schedules: Collection[str] = ()
    """Names of those that are declared."""
    escalations: Mapping[str, Escalation] = field(default_factory=dict)
    takers: Collection[str] = ()
    """Names of channels that are told of an acknowledgement."""
    chart: Callable[[Alert, datetime], Chart | None] = lambda _alert, _at: None
    """The past of a firing alert as it is known at a step; the same for the same step."""
    check: Callable[[str], str] = lambda _runbook: ""
    """The first check of the runbook of this name."""


@dataclass(frozen=True)
class Desk:
    """The alerts of a step as the muting stages see them; worked out when the first incident asks."""

    at: datetime
    rules: Rules
    alerts: Mapping[str, Alert]
    silences: Sequence[Silence]
    on_call: Mapping[str, OnCall] = field(default_factory=dict)
    pauses: Mapping[str, Pause] = field(default_factory=dict)
    behind: bool = False
    """Whether the step is caught up, so long after it that nobody could have answered."""

    @cached_property
    def answers(self) -> Answers:
        """What incidents are looked at with, besides their alerts."""
        rules = self.rules
        reach = Reach(self.at, rules.people, self.on_call, rules.schedules, rules.times, rules.channels)
        return Answers(reach, rules.escalations, self.pauses, self.behind, rules.takers)

    @cached_property
    def _labels(self) -> dict[str, dict[str, str]]:
        return {
            alert.id: self.rules.grouper.labels(alert)
            for alert in self.alerts.values()
            if alert.state is not AlertState.PENDING
        }

    @cached_property
    def extent(self) -> Extent:
        """Where everything fires, to tell how far an incident reaches."""
        firing = (alert for alert in self.alerts.values() if alert.state is not AlertState.PENDING)
        return Extent(firing, self.rules.grouper)

    @cached_property
    def inhibited(self) -> dict[str, str]:
        """Inhibited alert → the alert that inhibits it."""
        return inhibited(self.rules.inhibit, self._labels) if self.rules.inhibit else {}

    @cached_property
    def silenced(self) -> dict[str, Silence]:
        """Silenced alert → its silence."""
        return silenced(self.silences, self.at, self._labels)

    def asleep(self, node: Node) -> str | None:
        """Why the route tells nobody now."""
        for name in node.mute:
            if self.rules.times[name].holds(self.at):
                return f"muted in the time {name}"
        if node.active and not any(self.rules.times[name].holds(self.at) for name in node.active):
            return f"active only in the time {', '.join(node.active)}"
        return None

    def mutes(self, incident: Incident, node: Node, alerts: Sequence[Alert]) -> dict[str, str | None]:
        """Why each alert isn't told now, None where it is."""
        asleep, told, held = self.asleep(node), set(incident.told), flapping.held(incident.flaps, self.at)
        flaps = {name: flap for name, flap in held.items() if name not in told}
        return {alert.id: self._mute(alert, asleep, flaps) for alert in alerts}

    def _mute(self, alert: Alert, asleep: str | None, flaps: Mapping[str, Flap]) -> str | None:
        if (by := self.inhibited.get(alert.id)) is not None:
            source = self.alerts[by]
            return f"inhibited by alert {by}: {printable(source.title, 80)}"
        if asleep is not None:
            return asleep
        if (silence := self.silenced.get(alert.id)) is not None:
            by, why = printable(silence.author, 60), printable(silence.reason, 120)
            return f"{silence.kind} {silence.id} by {by} until {silence.ends_at:%Y-%m-%d %H:%M}Z: {why}"
        if (flap := flaps.get(alert.id)) is not None:
            return flapping.reason([flap])
        return None

    def muted_ends(self, incident: Incident, node: Node, ended: Mapping[str, AlertFacts]) -> set[str]:
        """Which of the ended alerts would be told to nobody if they fired still."""
        if self.asleep(node) is not None:
            return set(ended)
        labels = {name: self.rules.grouper.labels(facts) for name, facts in ended.items()}
        found = set(silenced(self.silences, self.at, labels))
        if self.rules.inhibit:
            found |= inhibited(self.rules.inhibit, self._labels | labels).keys() & ended.keys()
        return found | (flapping.held(incident.flaps, self.at).keys() & ended.keys())
