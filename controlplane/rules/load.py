"""Load rule files: every usable rule is kept, every unusable one is named with file, line, key and remedy."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from controlplane.documents import Document, nearest, parse_document, validate
from controlplane.model.base import NAME
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.labels import printable
from controlplane.model.rules import DURATION, AlertRule, DriftRule, FailoverRule, Placed, RuleSet, ScalingRule
from controlplane.model.signals import Signal
from controlplane.model.units import is_time
from controlplane.rules.files import RuleText

_KINDS: dict[str, type[AlertRule] | type[DriftRule] | type[ScalingRule] | type[FailoverRule]] = {
    "alert": AlertRule,
    "drift": DriftRule,
    "scaling": ScalingRule,
    "failover": FailoverRule,
}
_KEYS = ("platform", "component", "signals", "rules")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The usable rules, and the problems of the others."""

    rules: RuleSet
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Head:
    platform: str
    component: str
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class _Declared:
    document: Document
    path: tuple[str | int, ...]
    signal: Signal


@dataclass(frozen=True, slots=True)
class _Found:
    document: Document
    path: tuple[str | int, ...]
    placed: Placed


def load_rules(texts: Iterable[RuleText]) -> Loaded:
    """Parse and check rule files; what is wrong in one file or rule never stops the others."""
    found: list[Problem] = []
    signals: dict[tuple[str, str], _Declared] = {}
    beside: dict[tuple[str, str], _Declared] = {}
    alerts_beside: dict[tuple[str, str], _Found] = {}
    candidates: list[_Found] = []
    for text in texts:
        if text.beside:
            _declared_beside(text, beside, alerts_beside)
            continue
        try:
            document = parse_document(text.text, text.name)
            head = _head(document)
        except InvalidInput as error:
            found += error.problems
            continue
        found += head.problems
        # A file with a wrong head has no usable rule; what is wrong in its rules is told all the same.
        found += _signals(document, head.platform, {} if head.problems else signals)
        for index, data in enumerate(_entries(document, "rules")):
            try:
                rule = _rule(document, index, data, head.platform, head.component)
            except InvalidInput as error:
                found += error.problems
            else:
                candidates += [] if head.problems else [rule]
    candidates += _answered_beside(candidates, alerts_beside)
    _take_along(candidates, signals, beside)
    found += _inputs(signals)
    rules, problems = _checked(candidates, signals)
    kept = tuple((platform, signals[platform, name].signal) for platform, name in sorted(signals))
    digest = _digest(rules, kept)
    return Loaded(RuleSet(rules=rules, signals=kept, digest=digest), (*found, *problems))


def _declared_beside(
    text: RuleText, signals: dict[tuple[str, str], _Declared], alerts: dict[tuple[str, str], _Found]
) -> None:
    """The signals and alert rules of a file that isn't loaded itself, so that nothing wrong in it is told."""
    try:
        document = parse_document(text.text, text.name)
        head = _head(document)
    except InvalidInput:
        return
    if head.problems:
        return
    _signals(document, head.platform, signals)
    for index, data in enumerate(_entries(document, "rules")):
        try:
            found = _rule(document, index, data, head.platform, head.component)
        except InvalidInput:
            continue
        if isinstance(found.placed.rule, AlertRule):
            alerts.setdefault((head.platform, found.placed.id), found)


def _answered_beside(candidates: Iterable[_Found], alerts: dict[tuple[str, str], _Found]) -> list[_Found]:
    """The alert rules beside the files that answers in them are asked for by."""
    there = {(found.placed.platform, found.placed.id) for found in candidates}
    named = {
        (found.placed.platform, target)
        for found in candidates
        if isinstance(found.placed.rule, ScalingRule | FailoverRule)
        for target in found.placed.rule.on
    }
    return [alerts[key] for key in sorted(named - there) if key in alerts]


def _take_along(
    candidates: Iterable[_Found], signals: dict[tuple[str, str], _Declared], beside: dict[tuple[str, str], _Declared]
) -> None:
    """Add the signals that stand beside the files, where a rule or a derived signal needs them."""
    needed = {
        (found.placed.platform, found.placed.rule.signal)
        for found in candidates
        if isinstance(found.placed.rule, AlertRule)
    }
    for key in sorted(needed - signals.keys()):
        if key in beside:
            signals[key] = beside[key]
    for (platform, _), declared in list(signals.items()):
        for name in declared.signal.inputs:
            if (platform, name) in beside:
                signals.setdefault((platform, name), beside[platform, name])


def _head(document: Document) -> _Head:
    data = document.data
    if not isinstance(data, dict):
        raise InvalidInput([document.problem((), "is not a rule file", "It starts with platform: and component:")])
    wrong = []
    for key in data:
        if key not in _KEYS:
            remedy = nearest(key, _KEYS) or f"The keys are {', '.join(_KEYS)}"
            wrong.append(document.problem((key,), f"unknown key {printable(repr(key))}", remedy))
    for key in ("platform", "component"):
        value = data.get(key)
        if not isinstance(value, str) or not value:
            wrong.append(document.problem((key,), f"the key {key!r} is missing or not text", "Add it"))
        elif not NAME.fullmatch(value):
            message = f"{printable(repr(value), 60)} is not a name of a {key}"
            wrong.append(document.problem((key,), message, "Use lower case letters, digits, - and _"))
    wrong += [
        document.problem((key,), f"{key} is not a list", "Start each entry with a dash")
        for key in ("signals", "rules")
        if not isinstance(data.get(key) or [], list)
    ]
    return _Head(str(data.get("platform")), str(data.get("component")), wrong)


def _entries(document: Document, key: str) -> list[Any]:
    found = document.data.get(key)
    return found if isinstance(found, list) else []


def _signals(document: Document, platform: str, signals: dict[tuple[str, str], _Declared]) -> list[Problem]:
    wrong = []
    for index, data in enumerate(_entries(document, "signals")):
        path = ("signals", index)
        try:
            signal = validate(document, Signal, data, path)
        except InvalidInput as error:
            wrong += error.problems
            continue
        known = signals.get((platform, signal.name))
        if known is None:
            signals[platform, signal.name] = _Declared(document, path, signal)
        elif known.signal != signal:
            where = known.document.place(known.path)
            message = f"the signal {signal.name!r} is declared differently at {where}"
            wrong.append(document.problem(path, message, "Declare a signal once for a platform"))
    return wrong


def _inputs(signals: dict[tuple[str, str], _Declared]) -> list[Problem]:
    """What is wrong with derived signals; they are dropped, so that rules on them name the cause."""
    wrong = []
    measured = {key for key, declared in signals.items() if declared.signal.derive is None}
    for (platform, name), declared in list(signals.items()):
        for needed in declared.signal.inputs:
            if (platform, needed) not in measured:
                derived = (platform, needed) in signals
                message = f"{name!r} is derived from {needed!r}, which is " + (
                    "derived itself" if derived else f"not declared on platform {platform!r}"
                )
                names = (known for of, known in measured if of == platform)
                remedy = nearest(needed, names) or "Derive it from measured signals; declare them with their unit"
                wrong.append(declared.document.problem((*declared.path, "derive"), message, remedy))
                del signals[platform, name]
                break
    return wrong


def _rule(document: Document, index: int, data: Any, platform: str, component: str) -> _Found:
    path = ("rules", index)
    if not isinstance(data, dict):
        raise InvalidInput([document.problem(path, "is not a rule", "A rule is a mapping with id, kind, title …")])
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        remedy = nearest(str(kind), _KINDS) or f"The kinds are {', '.join(_KINDS)}"
        where = (*path, "kind") if "kind" in data else path
        raise InvalidInput([document.problem(where, f"unknown kind of rule {kind!r}", remedy)])
    rule = validate(document, _KINDS[kind], data, path)
    return _Found(document, path, Placed(platform=platform, component=component, rule=rule))


def _checked(
    candidates: list[_Found], signals: dict[tuple[str, str], _Declared]
) -> tuple[tuple[Placed, ...], list[Problem]]:
    wrong: list[Problem] = []
    first: dict[str, _Found] = {}
    for found in candidates:
        here = first.setdefault(found.placed.id, found)
        if here is not found:
            message = f"the id {found.placed.id!r} is taken by the rule at {here.document.place(here.path)}"
            wrong.append(
                found.document.problem((*found.path, "id"), message, "Ids are permanent and unique; choose another")
            )
    usable: dict[str, Placed] = {}
    for rule_id, found in first.items():
        if isinstance(found.placed.rule, DriftRule):
            usable[rule_id] = found.placed
        elif isinstance(found.placed.rule, AlertRule):
            try:
                usable[rule_id] = _with_units(found, signals)
            except InvalidInput as error:
                wrong += error.problems
    for rule_id, found in first.items():
        rule = found.placed.rule
        if isinstance(rule, AlertRule | DriftRule):
            continue
        for index, target in enumerate(rule.on):
            if target not in usable or usable[target].platform != found.placed.platform:
                remedy = nearest(target, (i for i, p in usable.items() if p.platform == found.placed.platform))
                message = f"no usable alert rule {target!r} on platform {found.placed.platform!r}"
                wrong.append(found.document.problem((*found.path, "on", index), message, remedy))
                break
        else:
            usable[rule_id] = found.placed
    return tuple(usable[rule_id] for rule_id in first if rule_id in usable), wrong


def _with_units(found: _Found, signals: dict[tuple[str, str], _Declared]) -> Placed:
    rule = found.placed.rule
    assert isinstance(rule, AlertRule)
    known = signals.get((found.placed.platform, rule.signal))
    if known is None:
        names = [name for platform, name in signals if platform == found.placed.platform]
        message = f"the signal {rule.signal!r} is not declared on platform {found.placed.platform!r}"
        remedy = nearest(rule.signal, names) or "Declare it under signals with its unit"
        raise InvalidInput([found.document.problem((*found.path, "signal"), message, remedy)])
    if known.signal.derive is not None and rule.missing.policy == "alert":
        message = f"the signal {rule.signal!r} is derived, so it can't be missed by itself"
        remedy = "Watch the signals that it is derived from, with the method absent"
        raise InvalidInput([found.document.problem((*found.path, "missing"), message, remedy)])
    unit = known.signal.unit
    update: dict[str, Any] = {}
    for key in ("when", "clear"):
        condition = getattr(rule, key)
        if condition is not None:
            try:
                update[key] = condition.in_unit(unit)
            except ValueError as error:
                remedy = f"The signal's unit is {unit!r}; write the threshold in it"
                raise InvalidInput([found.document.problem((*found.path, key), str(error), remedy)]) from None
    if f":{DURATION}}}" in rule.summary and not is_time(unit):
        remedy = f"The signal's unit is {unit!r}; write a format of a number, such as ,.0f"
        message = f"the summary shows {unit!r} as a duration"
        raise InvalidInput([found.document.problem((*found.path, "summary"), message, remedy)])
    return found.placed.model_copy(update={"rule": rule.model_copy(update=update), "unit": unit})


def _digest(rules: tuple[Placed, ...], signals: tuple[tuple[str, Signal], ...]) -> str:
    document = {
        "rules": [placed.model_dump(mode="json", by_alias=True) for placed in rules],
        "signals": [(platform, signal.model_dump(mode="json")) for platform, signal in signals],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
