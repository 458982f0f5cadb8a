"""`controlplane rules check` and `list`: are rule files sound, and which rules are in use?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, table, tell
from controlplane.cli.rules.against import ask
from controlplane.cli.rules.chosen import load

if TYPE_CHECKING:
    from controlplane.model.rules import Placed


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--against", metavar="URL", help="Ask this Prometheus which of the signals it has.")
@click.option("--bearer-env", metavar="NAME", help="Environment variable with the bearer token of --against.")
@json_option
@config_option
def check(*, paths: tuple[Path, ...], against: str | None, bearer_env: str | None, as_json: bool, config: Any) -> None:
    """Check rule files or folders (default: those of the settings, or all shipped packs); exit 1 on problems.

    With --against: a rule that reads what the server doesn't have is absent, which is a problem, too.
    """
    if bearer_env and not against:
        raise click.UsageError("--bearer-env belongs to --against")
    loaded = load(config, paths)
    document: dict[str, Any] = {
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
    if not as_json:
        for problem in loaded.problems:
            tell(str(problem), err=True)
    findings = bool(loaded.problems)
    if against:
        asked = ask(loaded.rules, against, bearer_env)
        document["against"] = asked.document()
        findings |= asked.findings
        if not as_json:
            asked.show()
    if as_json:
        print_json(document)
    else:
        tell(f"{len(loaded.rules.rules)} rules and {len(loaded.rules.signals)} signals are usable")
    finish(1 if findings else 0)


@click.command("list")
@json_option
@config_option
def list_(*, as_json: bool, config: Any) -> None:
    """The rules in use (or all shipped ones): condition, duration, severity, and whether the figures are documented.

    --json has everything about each, with the document that it cites.
    """
    loaded = load(config, ())
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


def _row(placed: "Placed") -> tuple[object, ...]:
    from controlplane.catalogue import asked
    from controlplane.model.rules import AlertRule, DriftRule
    from controlplane.model.time import format_duration

    rule = placed.rule
    if isinstance(rule, AlertRule | DriftRule):
        return rule.id, asked(placed), format_duration(rule.for_), rule.severity.value, rule.basis.value
    return rule.id, asked(placed), "–", "–", rule.basis.value
