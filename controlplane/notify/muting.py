"""Why an alert is told to nobody now: another alert says it already, somebody silenced it, or it flaps. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from controlplane.model.matchers import all_match
from controlplane.model.routes import Inhibition
from controlplane.model.silences import Silence

Labels = Mapping[str, str]


def inhibited(rules: Sequence[Inhibition], labels: Mapping[str, Labels]) -> dict[str, str]:
    """Inhibited alert → the alert that inhibits it, among the firing ones (`labels` by alert id).

    An alert that is both source and target of a rule is inhibited by none that is both, too. Source: Alertmanager,
    inhibit.go.
    """
    found: dict[str, str] = {}
    for rule in rules:
        sources: dict[tuple[str, ...], dict[bool, str]] = defaultdict(dict)
        for alert in sorted(labels):
            if all_match(rule.source, labels[alert]):
                two_sided = all_match(rule.target, labels[alert])
                sources[_key(rule, labels[alert])].setdefault(two_sided, alert)
        if not sources:
            continue
        for alert, of in labels.items():
            if alert in found or not all_match(rule.target, of):
                continue
            known = sources.get(_key(rule, of), {})
            by = known.get(False) if all_match(rule.source, of) else known.get(False, known.get(True))
            if by is not None and by != alert:
                found[alert] = by
    return found


def _key(rule: Inhibition, labels: Labels) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)


def silenced(silences: Iterable[Silence], at: datetime, labels: Mapping[str, Labels]) -> dict[str, Silence]:
    """Silenced alert → the active silence that ends last."""
    found: dict[str, Silence] = {}
    for silence in sorted((one for one in silences if one.active(at)), key=lambda one: (one.ends_at, one.id)):
        for alert, of in labels.items():
            if all_match(silence.matchers, of):
                found[alert] = silence
    return found
