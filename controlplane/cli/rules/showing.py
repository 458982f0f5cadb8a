"""`controlplane rules show` and `docs`: everything about one rule, and the catalogue of all of them."""

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, finish, json_option, output_option, pick, print_json, tell
from controlplane.cli.rules.chosen import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.model.signals import Signal
    from controlplane.rules.describe import Description

_INDENT = "  "
_WIDTH = 100


@click.command()
@click.argument("rule")
@json_option
@config_option
def show(*, rule: str, as_json: bool, config: Any) -> None:
    """Everything about one rule, by its id or enough of the beginning of it: figures, citation, signal, advice."""
    from controlplane.catalogue import figures_of
    from controlplane.model.errors import InvalidInput
    from controlplane.rules.describe import describe

    loaded = load(config)
    for problem in loaded.problems:
        tell(str(problem), err=True)
    known = {placed.id: placed for placed in loaded.rules.rules}
    placed = known[pick(rule, known, "rule", "see `controlplane rules list`")]
    try:
        figures = figures_of(placed.platform)
    except InvalidInput as error:
        tell(str(error), err=True)
        figures = {}
    found = describe(placed, loaded.rules, figures)
    if as_json:
        print_json(_json(found, loaded.rules.digest))
    else:
        for line in _lines(found):
            tell(line)


def _json(found: "Description", digest: str) -> dict[str, Any]:
    placed = found.placed
    return {
        **placed.model_dump(mode="json", by_alias=True),
        "figures": [figure.model_dump(mode="json", by_alias=True) for figure in found.figures],
        "signal": found.signal and found.signal.model_dump(mode="json"),
        "inputs": [signal.model_dump(mode="json") for signal in found.inputs],
        "runbook": _runbook(placed.rule.runbook),
        "advised_by": [
            {"id": other.id, "kind": other.rule.kind, "title": other.rule.title} for other in found.advised_by
        ],
        "digest": digest,
    }


def _lines(found: "Description") -> "Iterator[str]":
    from controlplane.catalogue import asked, bound, expected, held, selection
    from controlplane.model.rules import AlertRule, DriftRule
    from controlplane.model.time import format_duration

    placed, rule = found.placed, found.placed.rule
    yield f"{rule.id}: {rule.title}"
    yield f"{placed.platform}, {placed.component}, {rule.kind}, {rule.basis.value}"
    yield ""
    yield f"Condition: {asked(placed)}"
    if isinstance(rule, AlertRule):
        if chosen := selection(rule):
            yield f"Series:    {chosen}"
        if rule.clear:
            yield f"Ends at:   {bound(rule, placed.unit, leaving=True)}"
        yield f"State:     {'; '.join(held(rule))}"
        yield f"Severity:  {rule.severity.value}"
        yield f"Summary:   {rule.summary}"
    elif isinstance(rule, DriftRule):
        yield f"State:     for {format_duration(rule.for_)}"
        yield f"Severity:  {rule.severity.value}"
        for one in rule.settings:
            yield f"{_INDENT}{one.setting}: {expected(one)}"
    else:
        for name, value in rule.parameters.model_dump(mode="json").items():
            yield f"{_INDENT}{name}: {value}"
    if runbook := _runbook(rule.runbook):
        yield f"Runbook:   {runbook}"
    if found.signal is not None:
        yield ""
        yield from _signal("Signal", found.signal)
        for signal in found.inputs:
            yield from _signal("made of", signal)
    if rule.source:
        yield ""
        yield f"Source: {rule.source.document}, {rule.source.section}"
        yield f"{_INDENT}“{rule.source.quote}”"
    if rule.rationale:
        yield ""
        yield from wrap(f"Rationale: {' '.join(rule.rationale.split())}", _WIDTH)
    if found.figures:
        yield ""
        yield "Figures:"
        for figure in found.figures:
            yield f"{_INDENT}{figure.id}: “{figure.quote}” ({figure.section})"
    for other in found.advised_by:
        yield ""
        yield f"Advice: {other.id}: {other.rule.title}"


def _signal(what: str, signal: "Signal") -> "Iterator[str]":
    from controlplane.catalogue import derivation

    exporter = f" ({signal.exporter})" if signal.exporter else ""
    yield f"{what}: {signal.name} in {signal.unit}{exporter}"
    if signal.description:
        yield f"{_INDENT}{signal.description.strip()}"
    if signal.derive is not None:
        yield f"{_INDENT}derived: {derivation(signal)}"
    for line in (signal.prometheus or "").strip().splitlines():
        yield f"{_INDENT}{line}"
    for source, name in signal.labels.items():
        yield f"{_INDENT}label {source} is {name}"


def _runbook(name: str | None) -> str | None:
    return name and f"docs/runbooks/{name}.md"


@click.command()
@click.argument("platforms", nargs=-1)
@output_option
@config_option
def docs(*, platforms: tuple[str, ...], output: Any, config: Any) -> None:
    """The catalogue as Markdown: rules with condition, citation and rationale, signals, and figures that are no rule.

    PLATFORM is a shipped pack; without one it is about the rules in use, or all shipped ones.
    """
    from controlplane.catalogue import catalogue

    loaded = load(config, platforms=platforms)
    named = {placed.platform for placed in loaded.rules.rules}
    text, problems = catalogue(loaded.rules, [name for name in platforms or sorted(named) if name in named])
    output.write(text)
    for problem in (*loaded.problems, *problems):
        tell(str(problem), err=True)
    finish(1 if loaded.problems or problems else 0)
