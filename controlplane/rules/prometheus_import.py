"""Alerting rule files of Prometheus as rules and signals of a pack; what doesn't map is named with its reason."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from controlplane.documents import Document, parse_document
from controlplane.model.base import Condition
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.labels import printable, short_hash
from controlplane.model.time import format_duration
from controlplane.rules.files import RuleText
from controlplane.rules.load import load_rules
from controlplane.rules.prometheus_file import written
from controlplane.rules.prometheus_templates import summary
from controlplane.rules.promql import Comparison, NotComparable, comparison, duration

_SEVERITIES = {"page": "critical", "critical": "critical", "warning": "warning", "info": "info"}
_URGENT = {"alert", "crit", "disaster", "emerg", "emergency", "err", "error", "fatal", "high", "major", "urgent"}
_URGENT |= {"p0", "p1", "sev0", "sev1"}
_QUIET = {"debug", "informational", "information", "low", "none", "notice", "ok", "p4", "p5", "sev4", "sev5"}
_ALERT_KEYS = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
_GROUP_LIMITS = ("limit", "query_offset", "evaluation_delay")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_TOLD = ("summary", "message", "description")
_TITLE = 120


@dataclass(frozen=True, slots=True)
class Mapped:
    """A rule of Prometheus and what became of it; `rule` is None for a recording rule, which is a signal alone."""

    name: str
    place: Place
    signal: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """The rule files that were made (name → text), and what became of each rule."""

    files: dict[str, str]
    mapped: tuple[Mapped, ...]
    unmapped: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    """What a rule that was mapped loses."""


@dataclass(slots=True)
class _Alert:
    """An alerting rule that maps; its id and its signal's name are chosen when all of them are known."""

    name: str
    title: str
    place: Place
    component: str
    found: Comparison
    severity: str
    fields: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    """A recording rule: Prometheus goes on with it, and a signal asks for what it records."""

    name: str
    place: Place
    component: str
    expression: str


def import_rules(texts: Sequence[RuleText], platform: str, unit: str) -> Imported:
    """Map alerting and recording rules of some files; the same files give the same texts, whatever their order.

    InvalidInput where a file is no rule file of Prometheus or two of them would have one name.
    """
    alerts: list[_Alert] = []
    recorded: list[_Record] = []
    unmapped: list[Problem] = []
    notes: list[Problem] = []
    components: dict[str, str] = {}
    for text in sorted(texts, key=lambda one: one.name):
        component = _slug(PurePath(text.name).name.split(".")[0]) or "rules"
        other = components.setdefault(component, text.name)
        if other != text.name:
            problem = Problem(
                Place(text.name), f"would be written to the file of {other}", "Import them apart, with -o"
            )
            raise InvalidInput([problem])
        document = parse_document(text.text, text.name)
        for path, group, rule in _rules(document):
            place = document.place(path)
            try:
                if "record" in rule:
                    recorded.append(_Record(_text(rule, "record"), place, component, _text(rule, "expr")))
                else:
                    alerts.append(_alert(document, path, group, rule, component))
                    notes += _losses(place, group, rule)
            except NotComparable as error:
                named = rule.get("alert") or rule.get("record") or "a rule without a name"
                unmapped.append(Problem(place, f"{named}: {error}", error.remedy))
    twice = _identify(alerts, platform)
    unmapped += [Problem(alert.place, f"{alert.name}: {message}", "Keep one of them") for alert, message in twice]
    gone = {id(alert) for alert, _ in twice}
    kept = [alert for alert in alerts if id(alert) not in gone]
    return _checked(platform, unit, kept, recorded, unmapped, notes, set(components))


def _rules(document: Document) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any], Mapping[str, Any]]]:
    """(path, group, rule) of every rule, also of the resource PrometheusRule of Kubernetes."""
    data: Any = document.data
    at: tuple[str, ...] = ()
    if isinstance(data, dict) and isinstance(data.get("spec"), dict):
        data, at = data["spec"], ("spec",)
    groups = data.get("groups") if isinstance(data, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        remedy = "It starts with groups:, each with a name and rules:"
        raise InvalidInput([document.problem(at, "is no rule file of Prometheus", remedy)])
    for number, group in enumerate(groups):
        rules = group.get("rules") or []
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            remedy = "Start each rule with a dash"
            raise InvalidInput([document.problem((*at, "groups", number, "rules"), "is no list of rules", remedy)])
        for index, rule in enumerate(rules):
            yield (*at, "groups", number, "rules", index), group, rule


def _alert(
    document: Document, path: tuple[str | int, ...], group: Mapping[str, Any], rule: Mapping[str, Any], component: str
) -> _Alert:
    name = _text(rule, "alert")
    found = comparison(_text(rule, "expr"))
    annotations = _map(rule, "annotations")
    severity = _severity(_named_severity(group, rule))
    title = " ".join(name.split())[:_TITLE]
    where = f"{PurePath(document.name).name}, group {group.get('name', 'without a name')}"
    rationale = f"Imported from the rule {name} of Prometheus ({where}), with its threshold and its duration."
    if runbook := annotations.get("runbook_url"):
        rationale += f" It names the runbook {runbook}."
    fields = {
        "when": f"{found.operator} {_number(found.number)}",
        **_durations(rule),
        "severity": severity,
        "summary": _summary(annotations) or title.replace("{", "{{").replace("}", "}}"),
        "basis": "house",
        "rationale": rationale,
    }
    return _Alert(name, title, document.place(path), component, found, severity, fields)


def _named_severity(group: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    named = {**_map(group, "labels"), **_map(rule, "labels")}.get("severity")
    return "" if named is None else " ".join(str(named).split())


def _severity(named: str) -> str:
    """One of ours; warning where the name says nothing, because info is told to nobody by default."""
    word = named.lower()
    if word in _SEVERITIES:
        return _SEVERITIES[word]
    return "critical" if word in _URGENT else "info" if word in _QUIET else "warning"


def _summary(annotations: Mapping[str, Any]) -> str | None:
    told = (summary(str(annotations[key])) for key in _TOLD if key in annotations)
    return next((one for one in told if one), None)


def _text(rule: Mapping[str, Any], key: str) -> str:
    value = rule.get(key)
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise NotComparable(f"has no {key}", "Prometheus refuses it, too: look at `promtool check rules`")
    return value


def _map(owner: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = owner.get(key) or {}
    if not isinstance(found, dict):
        raise NotComparable(f"{key} are no names with values", "Write one `name: value` a line")
    return found


def _durations(rule: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            try:
                lasting = duration(str(rule[key]))
            except ValueError as error:
                raise NotComparable(f"{key}: {error}", "Write a duration such as 5m") from None
            if lasting:
                found[key] = format_duration(lasting)
    return found


def _number(number: float) -> str:
    text = str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)
    assert Condition.parse(f"> {text}").threshold == number
    return text


def _losses(place: Place, group: Mapping[str, Any], rule: Mapping[str, Any]) -> Iterable[Problem]:
    """What isn't carried over, or not as it stands."""
    name, severity = rule["alert"], _named_severity(group, rule)
    if severity.lower() not in _SEVERITIES:
        told = f"its severity {printable(severity, 60)}" if severity else "it names no severity and"
        yield Problem(place, f"{name}: {told} became {_severity(severity)}")
    labels = sorted((_map(group, "labels").keys() | _map(rule, "labels").keys()) - {"severity"})
    if labels:
        yield Problem(place, f"{name}: the labels {', '.join(labels)} are left out: alerts have those of their series")
    annotations = _map(rule, "annotations")
    if any(key in annotations for key in _TOLD) and _summary(annotations) is None:
        yield Problem(place, f"{name}: its summary is a template that does more than name labels and the value")
    if keys := sorted(set(rule) - _ALERT_KEYS):
        yield Problem(place, f"{name}: {', '.join(keys)} means nothing to a rule")
    if keys := [key for key in _GROUP_LIMITS if group.get(key)]:
        yield Problem(place, f"{name}: {', '.join(keys)} of its group isn't carried over")


def _recorded(records: Iterable[_Record], unit: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Metric → component of the first rule that records it, and its signal."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    taken: set[str] = set()
    for record in records:
        if record.name in found:
            continue
        name = ".".join(["recorded", *re.findall(r"[a-zA-Z0-9_]+", record.name)])
        if name in taken:
            name += f".{short_hash(record.name)[:6]}"
        taken.add(name)
        about = f"Recorded by Prometheus: {' '.join(record.expression.split())}"
        signal = {"name": name, "unit": unit, "description": about, "prometheus": record.name}
        found[record.name] = record.component, signal
    return found


def _identify(alerts: Sequence[_Alert], platform: str) -> list[tuple[_Alert, str]]:
    """Give every alert its id; those that say the same as another one are returned with the reason."""
    twice: list[tuple[_Alert, str]] = []
    by_name: dict[str, list[_Alert]] = defaultdict(list)
    for alert in alerts:
        by_name[_slug(alert.name) or f"rule-{short_hash(alert.name)[:8]}"].append(alert)
    for name, namesakes in by_name.items():
        shared: dict[str, list[_Alert]] = defaultdict(list)
        for alert in namesakes:
            shared[name if len(namesakes) == 1 else f"{name}-{alert.severity}"].append(alert)
        for key, same in shared.items():
            seen: dict[str, _Alert] = {}
            for alert in same:
                facts = (alert.found.query, *(str(alert.fields.get(one)) for one in ("when", "for", "keep_firing_for")))
                digest = short_hash(*facts)
                if digest in seen:
                    twice.append((alert, f"says the same as the rule at {seen[digest].place}"))
                    continue
                seen[digest] = alert
                alert.id = f"{platform}-{key}" if len(same) == 1 else f"{platform}-{key}-{digest[:6]}"
    return twice


def _slug(name: str) -> str:
    return "-".join(_WORDS.findall(name)).lower()


def _checked(
    platform: str,
    unit: str,
    alerts: list[_Alert],
    recorded: Sequence[_Record],
    unmapped: list[Problem],
    notes: list[Problem],
    components: set[str],
) -> Imported:
    """The files; a rule that the loader wouldn't take after all is left out and named."""
    for alert in list(alerts):
        signal = {"name": "probe", "unit": unit, "prometheus": alert.found.query}
        alone = {"id": alert.id, "kind": "alert", "title": alert.title, "signal": "probe", **alert.fields}
        loaded = load_rules([RuleText(alert.place.file, written(platform, "probe", [signal], [alone]))])
        if loaded.problems:
            alerts.remove(alert)
            problem = loaded.problems[0]
            unmapped.append(Problem(alert.place, f"{alert.name}: {problem.message}", problem.remedy))
    names = _signal_names(alerts, platform)
    metrics = _recorded(recorded, unit)
    files = {}
    for component in sorted(components):
        mine = [alert for alert in alerts if alert.component == component]
        signals = {signal["name"]: signal for of, signal in metrics.values() if of == component}
        for query in {alert.found.query for alert in mine}:
            about = {"unit": unit, "description": "Imported from Prometheus.", "prometheus": query}
            signals[names[query]] = {"name": names[query], **about}
        rules = [
            {"id": one.id, "kind": "alert", "title": one.title, "signal": names[one.found.query], **one.fields}
            for one in mine
        ]
        if signals:
            files[f"{component}.yaml"] = written(
                platform, component, [signals[name] for name in sorted(signals)], rules
            )
    mapped = [Mapped(alert.name, alert.place, names[alert.found.query], alert.id) for alert in alerts]
    mapped += [Mapped(record.name, record.place, metrics[record.name][1]["name"], None) for record in recorded]
    return Imported(
        files,
        tuple(sorted(mapped, key=lambda one: _position(one.place))),
        tuple(sorted(unmapped, key=lambda one: _position(one.place))),
        tuple(notes),
    )


def _position(place: Place) -> tuple[str, int]:
    return place.file, place.line or 0


def _signal_names(alerts: Iterable[_Alert], platform: str) -> dict[str, str]:
    """Query → name of its signal: that of the first rule by id, so that rules on one query share a signal."""
    names: dict[str, str] = {}
    for alert in sorted(alerts, key=lambda one: one.id):
        names.setdefault(alert.found.query, alert.id.removeprefix(f"{platform}-").replace("-", "_"))
    return {query: name if name[0].isalpha() else f"alert_{name}" for query, name in names.items()}
