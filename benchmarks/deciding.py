"""From alerts to messages, and ticks as a whole: 10,000 alerts at once, the recorded evening."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Case, Seconds, timed

ALERTS = 10_000
NOW = datetime(2026, 3, 12, 18, tzinfo=UTC)


@dataclass(frozen=True)
class Notify:
    """Alerts that fire at once, in so many incidents (platform, component and rule)."""

    alerts: int
    rules: int

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """The step at which the alerts begin to fire, and the one at which they are told."""
        from controlplane.model.alerts import Alert, AlertState, alert_id
        from controlplane.model.events import Draft
        from controlplane.model.payloads import AlertFired
        from controlplane.model.resources import Inventory
        from controlplane.model.routes import GROUP_WAIT, Route, Tree
        from controlplane.model.severity import Severity
        from controlplane.notify.decide import Rules, decide
        from controlplane.notify.groups import Grouper
        from controlplane.notify.labels import Places
        from controlplane.tick.alerts import facts_of

        active: dict[str, Alert] = {}
        drafts = []
        for number in range(self.alerts):
            rule, labels = f"rule-{number % self.rules}", {"host": f"h{number}"}
            alert = Alert(
                id=alert_id(rule, "bench", labels),
                rule=rule,
                source="bench",
                platform="bench",
                component="hosts",
                labels=labels,
                state=AlertState.FIRING,
                severity=Severity.CRITICAL,
                title=f"Rule {number % self.rules}",
                summary=f"h{number} is full",
                value=0.9,
                threshold="> 0.85",
                unit="1",
                active_at=NOW - timedelta(minutes=2),
                fired_at=NOW,
            )
            active[alert.id] = alert
            payload = AlertFired(facts=facts_of(alert))
            drafts.append(Draft(stream=f"alert:{alert.id}", key="0", payload=payload, occurred_at=NOW))
        channels = ("slack", "pagerduty")
        tree = Tree(Route(channels=channels))

        def storm() -> None:
            rules = Rules(tree=tree, grouper=Grouper(tree, Places(Inventory()), "bench"), channels=channels)
            opened = decide(NOW, drafts, rules=rules, incidents={}, alerts=active)
            incidents = {one.id: one for draft in opened if (one := getattr(draft.payload, "incident", None))}
            decide(NOW + GROUP_WAIT, [], rules=rules, incidents=incidents, alerts=active)

        return storm


@dataclass(frozen=True)
class Ticks:
    """The recorded evening, tick by tick, as in `controlplane demo`."""

    def __call__(self, folder: Path) -> Callable[[], object]:
        """Every tick of the evening; seconds of each."""
        from controlplane import bootstrap, demo
        from controlplane.rules.files import shipped_platforms
        from controlplane.tick import tick

        def evening() -> Seconds:
            settings = demo.settings(folder, shipped_platforms())
            plane = bootstrap.control_plane(settings)
            seconds = Seconds()
            now = demo.START
            while now < demo.END:
                now = min(demo.END, now + timedelta(minutes=1))
                with timed(seconds):
                    tick(plane, now)
            plane.log.close()
            return seconds

        return evening


CASES = (
    Case("notify-spread", f"{ALERTS:,} alerts in 1,000 incidents", Notify(ALERTS, 1_000), 3, ALERTS, "alerts"),
    Case("notify-storm", f"{ALERTS:,} alerts in 1 incident", Notify(ALERTS, 1), 3, ALERTS, "alerts"),
    Case("tick", "a tick of the demo: 5 packs, 4 steps", Ticks(), 1, 0, "", 1.0, "a tick ends long before the next"),
)
