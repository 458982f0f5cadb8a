"""The rules for people: conditions in words, and the catalogue of the packs as Markdown, with every citation."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from controlplane.model.base import Condition
from controlplane.model.errors import InvalidInput, Problem
from controlplane.model.figures import Exclusion, Figure
from controlplane.model.labels import describe, printable
from controlplane.model.rules import AlertRule, Basis, DriftRule, Expected, Placed, RuleSet
from controlplane.model.signals import Signal
from controlplane.model.time import format_duration
from controlplane.model.units import many
from controlplane.present import condition
from controlplane.rules.coverage import read_exclusions, read_figures
from controlplane.rules.describe import advisers
from controlplane.rules.files import shipped_platforms

_TEXT = 20_000
_SPECIAL = re.compile(r"([\\`*_\[\]<|~$]|&(?=#?\w+;))")
_BLOCK = re.compile(r"^(?:([0-9]+)(?=[.)])|(?=[>+\-=#]))")
"""What would begin a list, heading, quote or line if it stood first."""


def asked(placed: Placed) -> str:
    """What a rule asks for, on one line: `kafka.consumer.lag > 100,000 messages`."""
    rule = placed.rule
    if isinstance(rule, AlertRule):
        return f"{rule.signal} {bound(rule, placed.unit)}"
    if isinstance(rule, DriftRule):
        return f"{many(len(rule.settings), 'setting')} as documented"
    return f"{rule.kind} by {rule.method}, on {', '.join(rule.on)}"


def bound(rule: AlertRule, unit: str, *, leaving: bool = False) -> str:
    """The threshold (or that of `clear`) in people's units; an empty text where there is none."""
    limit = rule.clear if leaving else rule.when
    return "" if limit is None else _words(limit, unit)


def expected(setting: Expected) -> str:
    """What a setting has to be."""
    if setting.expect is None:
        return " or ".join(setting.one_of)
    # A setting that is a pure number is no share.
    return str(setting.expect) if setting.unit == "1" else _words(setting.expect, setting.unit)


def _words(limit: Condition, unit: str) -> str:
    whole = limit.threshold >= 60 and limit.threshold == int(limit.threshold)
    if unit == "s" and whole:
        return f"{limit.operator} {format_duration(timedelta(seconds=limit.threshold))}"
    return condition(f"{limit.operator} {limit.threshold:.12g}", unit)


def selection(rule: AlertRule) -> str:
    """Which series a rule looks at and how it folds them, in words; empty where it takes each as it is."""
    parts = [f"where {describe(rule.where)}"] if rule.where else []
    if rule.by is not None:
        parts.append(f"{rule.fold} by {', '.join(rule.by) or 'nothing, so one alert in all'}")
    return "; ".join(parts)


def held(rule: AlertRule) -> list[str]:
    """How an alert of the rule begins, stays and ends, in words."""
    parts = [f"for {format_duration(rule.for_)}"] if rule.for_ else ["at once"]
    if rule.keep_firing_for:
        parts.append(f"keeps firing for {format_duration(rule.keep_firing_for)}")
    missing = rule.missing
    parts.append(
        {
            "resolve": "a missing series ends the alert",
            "keep": f"a missing series keeps its state for {format_duration(missing.keep_for)}",
            "alert": "a missing series is an alert",
        }[missing.policy]
    )
    return parts


def derivation(signal: Signal) -> str:
    """How a derived signal comes about: `time_to_limit of a and b, over 1h`."""
    assert signal.derive is not None
    keys = signal.derive.model_dump(exclude={"method", "of", "limit", "offset", "end"})
    options = ", ".join(f"{name} {_written(value)}" for name, value in keys.items())
    return f"{signal.derive.method} of {' and '.join(signal.inputs)}" + (f", {options}" if options else "")


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(_written, value))
    return format_duration(value) if isinstance(value, timedelta) else str(value)


def figures_of(platform: str) -> dict[str, Figure]:
    """Figures of a shipped pack by id; none where the pack isn't shipped. InvalidInput names what is wrong."""
    if platform not in shipped_platforms():
        return {}
    return {figure.id: figure for figure in read_figures(platform).figures}


def catalogue(rules: RuleSet, platforms: Sequence[str]) -> tuple[str, list[Problem]]:
    """The catalogue of some platforms as Markdown, and what is wrong with the files that stand beside their rules."""
    problems: list[Problem] = []
    parts = ["# Rules\n\nMade by `controlplane rules docs` from the packs; the quotes are those of the documents."]
    for platform in platforms:
        try:
            excluded = read_exclusions(platform).excluded if platform in shipped_platforms() else ()
            figures = figures_of(platform)
        except InvalidInput as error:
            problems += error.problems
            excluded, figures = (), {}
        parts += _platform(platform, rules, figures, excluded)
    return "\n\n".join(parts) + "\n", problems


def _platform(
    platform: str, rules: RuleSet, figures: Mapping[str, Figure], excluded: Sequence[Exclusion]
) -> Iterator[str]:
    mine = [placed for placed in rules.rules if placed.platform == platform]
    yield f"## {escaped(platform)}"
    documents = sorted({placed.rule.source.document for placed in mine if placed.rule.source})
    documented = sum(placed.rule.basis is Basis.DOCUMENTED for placed in mine)
    yield f"{many(len(mine), 'rule')}, {documented} of them documented" + (
        f" in {', '.join(map(escaped, documents))}." if documents else "."
    )
    for component in dict.fromkeys(placed.component for placed in mine):
        here = [placed for placed in mine if placed.component == component]
        yield f"### {escaped(platform)}: {escaped(component)}"
        yield _table(("Rule", "Condition", "For", "Severity", "Basis"), map(_row, here))
        for placed in here:
            yield from _rule(placed, rules)
    signals = [signal for of, signal in rules.signals if of == platform]
    if signals:
        yield f"### {escaped(platform)}: signals"
        for signal in signals:
            yield from _signal(signal)
    if excluded:
        yield f"### {escaped(platform)}: figures that are no rule"
        rows = (
            (
                ", ".join(f"`{name}`" for name in one.figures),
                one.reason.replace("_", " "),
                escaped(one.because) + (f" Counts: {escaped(one.reading)}" if one.reading else ""),
                "; ".join(dict.fromkeys(escaped(figures[name].quote) for name in one.figures if name in figures)),
            )
            for one in excluded
        )
        yield _table(("Figures", "Reason", "Because", "Quote"), rows)


def _row(placed: Placed) -> tuple[str, ...]:
    rule = placed.rule
    lasting, severity = "–", "–"
    if isinstance(rule, AlertRule | DriftRule):
        lasting, severity = format_duration(rule.for_), rule.severity.value
    return f"`{rule.id}`", escaped(asked(placed)), lasting, severity, rule.basis.value


def _rule(placed: Placed, rules: RuleSet) -> Iterator[str]:
    rule = placed.rule
    yield f"#### `{rule.id}`: {escaped(rule.title)}"
    facts = []
    if isinstance(rule, AlertRule):
        facts.append("; ".join(part for part in (selection(rule), *held(rule)) if part))
        if rule.clear:
            facts.append(f"ends at {bound(rule, placed.unit, leaving=True)}")
    advice = ", ".join(f"`{other.id}`" for other in advisers(rule.id, rules))
    if advice:
        yield _facts([*map(escaped, facts), f"advice by {advice}"])
    elif facts:
        yield _facts(map(escaped, facts))
    if isinstance(rule, DriftRule):
        rows = (
            (escaped(one.setting), escaped(expected(one)), ", ".join(f"`{name}`" for name in one.covers))
            for one in rule.settings
        )
        if rule.of:
            yield f"Resources with {escaped(describe({str(name): value for name, value in rule.of.items()}))}."
        yield _table(("Setting", "Expected", "Figures"), rows)
    if rule.source:
        yield f"> {escaped(rule.source.quote)}\n>\n> — {escaped(rule.source.document)}, {escaped(rule.source.section)}"
    if rule.rationale:
        yield escaped(rule.rationale)
    ends = [f"Figures: {', '.join(f'`{name}`' for name in rule.covers)}."] if rule.covers else []
    if rule.runbook:
        ends.append(f"Runbook: `{rule.runbook}`.")
    if ends:
        yield " ".join(ends)


def _facts(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _signal(signal: Signal) -> Iterator[str]:
    about = f" {escaped(signal.description)}" if signal.description else ""
    yield f"**{escaped(signal.name)}** in {escaped(signal.unit)}.{about}" + (
        f" Exporter: {escaped(signal.exporter)}." if signal.exporter else ""
    )
    if signal.derive is not None:
        yield f"Derived: {escaped(derivation(signal))}."
    if signal.prometheus:
        yield fenced(signal.prometheus, "promql")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def escaped(text: str) -> str:
    """Text as it is, on one line of Markdown: nothing in it is markup, ends a table cell or steers a terminal."""
    plain = _SPECIAL.sub(r"\\\1", " ".join(printable(text, _TEXT).split()))
    return _BLOCK.sub(lambda found: (found[1] or "") + "\\", plain)


def fenced(text: str, language: str) -> str:
    """Text as a block of code, whatever back quotes it holds."""
    lines = [printable(line, _TEXT).rstrip() for line in text.strip().split("\n")]
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])
