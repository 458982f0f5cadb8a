"""`controlplane rules`: check rule files and list the rules in use."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, table, tell

if TYPE_CHECKING:
    from controlplane.model.rules import Placed
    from controlplane.rules.coverage import Coverage
    from controlplane.rules.load import Loaded
    from controlplane.ruletests import Outcome


@click.group()
def rules() -> None:
    """Alert, scaling and failover rules."""


@rules.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@json_option
@config_option
def check(*, paths: tuple[Path, ...], as_json: bool, config: Any) -> None:
    """Check rule files or folders (default: those of the settings, or all shipped packs); exit 1 on problems."""
    loaded = _load(config, paths)
    if as_json:
        print_json(
            {
                "rules": len(loaded.rules.rules),
                "signals": len(loaded.rules.signals),
                "digest": loaded.rules.digest,
                "problems": [
                    {
                        "file": problem.place.file,
                        "line": problem.place.line,
                        "key": problem.place.path,
                        "message": problem.message,
                        "remedy": problem.remedy,
                    }
                    for problem in loaded.problems
                ],
            }
        )
    else:
        for problem in loaded.problems:
            tell(str(problem), err=True)
        tell(f"{len(loaded.rules.rules)} rules and {len(loaded.rules.signals)} signals are usable")
    finish(1 if loaded.problems else 0)


@rules.command("list")
@json_option
@config_option
def list_(*, as_json: bool, config: Any) -> None:
    """The rules in use (or all shipped ones): condition, duration, severity, and whether the figures are documented.

    --json has everything about each, with the document that it cites.
    """
    loaded = _load(config, ())
    for problem in loaded.problems:
        tell(str(problem), err=True)
    placed = loaded.rules.rules
    if as_json:
        print_json([rule.model_dump(mode="json", by_alias=True) for rule in placed])
    elif placed:
        columns = ("Id", "Condition or method", "For", "Severity", "Basis")
        console().print(table("Rules", columns, map(_row, placed), whole=("Id", "For", "Severity", "Basis")))
    else:
        tell("No rules.")
    finish(1 if loaded.problems else 0)


@rules.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("-k", "chosen", default="", help="Only rules whose id contains this.")
@json_option
def test(*, paths: tuple[Path, ...], chosen: str, as_json: bool) -> None:
    """Run tests of rules: `<component>.test.yaml` files or folders (default: the shipped packs); exit 1 on failures."""
    from controlplane.documents import parse_document
    from controlplane.model.errors import InvalidInput
    from controlplane.rules.load import load_rules, read_test_texts
    from controlplane.ruletests import run_tests

    began = time.monotonic()
    done: list[Outcome] = []
    wrong: list[str] = []
    loaded: dict[int, Loaded] = {}
    for text, beside in read_test_texts(paths).items():
        rules_there = loaded.setdefault(id(beside), load_rules(beside))
        marks = []
        try:
            if rules_there.problems:
                raise InvalidInput(list(rules_there.problems))
            for outcome in run_tests(parse_document(text.text, text.name), rules_there.rules, chosen):
                done.append(outcome)
                marks.append("F" if outcome.failure else ".")
        except InvalidInput as error:
            wrong += [problem for problem in map(str, error.problems) if problem not in wrong]
            marks.append("E")
        if not as_json:
            tell(f"{text.name} {''.join(marks)}")
    failed = [outcome for outcome in done if outcome.failure]
    if as_json:
        print_json({"passed": len(done) - len(failed), "failed": [asdict(one) for one in failed], "problems": wrong})
    else:
        for one in failed:
            tell(f"\n{one.file}:{one.line}: {one.rule}, {one.case}\n  {one.failure}")
        counts = f"{len(done) - len(failed)} passed" + (f", {len(failed)} failed" if failed else "")
        tell(f"\n{counts} in {time.monotonic() - began:.1f} s")
    for problem in wrong:
        tell(problem, err=True)
    finish(2 if wrong else 1 if failed or not done else 0)


@rules.command("coverage")
@click.argument("platforms", nargs=-1)
@json_option
def coverage_(*, platforms: tuple[str, ...], as_json: bool) -> None:
    """Figures of the packs' documents, and what became of each; exit 1 where one is missing."""
    from controlplane.rules.coverage import coverage
    from controlplane.rules.load import load_rules, read_rule_texts, shipped_platforms

    chosen = platforms or shipped_platforms()
    texts, problems = read_rule_texts(chosen)
    loaded = load_rules(texts)
    problems += loaded.problems
    found = [] if problems else [coverage(platform, loaded.rules) for platform in chosen]
    problems += [problem for one in found for problem in one.problems]
    for problem in problems:
        tell(str(problem), err=True)
    if as_json:
        print_json([_coverage_json(one) for one in found])
    else:
        rows = [
            (one.platform, one.entries, len(one.covered), len(one.excluded), len(one.missing), _unchecked(one))
            for one in found
        ]
        columns = ("Platform", "Entries", "Covered", "Excluded", "Missing", "No rules by nature")
        console().print(table("Figures that ask for a rule", columns, rows, right=columns[1:5]))
        for one in found:
            for name in one.missing:
                tell(f"{one.platform}: {name} is missing", err=True)
    finish(1 if problems or any(one.missing for one in found) else 0)


def _unchecked(one: "Coverage") -> str:
    return ", ".join(f"{number} {evaluate}" for evaluate, number in sorted(one.unchecked.items()))


def _coverage_json(one: "Coverage") -> dict[str, Any]:
    return {
        "platform": one.platform,
        "entries": one.entries,
        "covered": len(one.covered),
        "excluded": len(one.excluded),
        "missing": len(one.missing),
        "unchecked": one.unchecked,
        "figures": {
            **{name: {"state": "covered", "rules": list(rules)} for name, rules in one.covered.items()},
            **{
                name: {"state": "excluded", **exclusion.model_dump(mode="json", exclude={"figures"})}
                for name, exclusion in one.excluded.items()
            },
            **{name: {"state": "missing"} for name in one.missing},
        },
    }


def _load(config: Path | None, paths: tuple[Path, ...]) -> "Loaded":
    from controlplane import bootstrap
    from controlplane.rules.load import Loaded, load_rules, read_rule_texts, shipped_platforms

    if paths:
        texts, unread = read_rule_texts((), paths)
    else:
        settings = bootstrap.load_settings(config)
        if settings.platforms or settings.rules:
            texts, unread = read_rule_texts(settings.platforms, settings.rules)
        else:
            texts, unread = read_rule_texts(shipped_platforms())
    checked = load_rules(texts)
    return Loaded(checked.rules, (*unread, *checked.problems))


def _row(placed: "Placed") -> tuple[object, ...]:
    from controlplane.model.rules import AlertRule, DriftRule
    from controlplane.model.time import format_duration
    from controlplane.model.units import many
    from controlplane.present import condition

    rule = placed.rule
    if isinstance(rule, AlertRule):
        threshold = condition(f"{rule.when.operator} {rule.when.threshold:.12g}", placed.unit)
        lasting = format_duration(rule.for_)
        return rule.id, f"{rule.signal} {threshold}", lasting, rule.severity.value, rule.basis.value
    if isinstance(rule, DriftRule):
        settings = many(len(rule.settings), "setting")
        return rule.id, f"{settings} as documented", format_duration(rule.for_), rule.severity.value, rule.basis.value
    return rule.id, f"{rule.kind} by {rule.method}, on {', '.join(rule.on)}", "–", "–", rule.basis.value
