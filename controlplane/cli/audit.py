"""`controlplane audit`: what a plan claims and doesn't follow from its parts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import console, finish, json_option, print_json, table, tell
from controlplane.model.units import many

if TYPE_CHECKING:
    from controlplane.audit import Audit, Checked

_STYLES = {"high": "bold #FF8A80", "medium": "bold #E69F00", "low": "#56B4E9"}
_IMPACTS = ("high", "medium", "low")


@click.command()
@click.argument("plans", nargs=-1, metavar="[PLATFORM|FILE]...")
@click.option(
    "--impact", type=click.Choice(_IMPACTS), default="low", show_default=True, help="Findings of this impact and above."
)
@json_option
def audit(plans: tuple[str, ...], impact: str, *, as_json: bool) -> None:
    """Recompute what plans claim from their parts: totals, capacities, recovery times, networks, money.

    Takes shipped platforms and plan files of your own; all shipped ones where none is named. Exit 1 where something
    doesn't follow, 2 where a plan can't be used.
    """
    from controlplane.audit import Impact
    from controlplane.model.errors import InvalidInput, Problem

    done: list[Audit] = []
    problems: list[Problem] = []
    for file in _files(plans):
        try:
            done.append(_audited(file))
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)
    least = Impact(impact).rank
    if as_json:
        print_json([_document(one, least) for one in done])
    else:
        _show(done, least)
    finish(1 if any(_shown(one, least) for one in done) else 0)


def _audited(file: Path) -> "Audit":
    from controlplane.audit import audit as check
    from controlplane.audit import read_plan

    return check(read_plan(file))


def _files(plans: tuple[str, ...]) -> list[Path]:
    import fixtures

    shipped = [
        name for name in fixtures.platforms() if (fixtures.path(name, "inventory.yaml").parent / "plan.yaml").is_file()
    ]
    files = []
    for name in plans or shipped:
        if name in shipped:
            files.append(fixtures.path(name, "plan.yaml"))
        elif Path(name).is_file():
            files.append(Path(name))
        else:
            raise click.UsageError(f"{name!r} is neither a file nor a shipped platform; there are {', '.join(shipped)}")
    return files


def _shown(one: "Audit", least: int) -> "list[Checked]":
    return [finding for finding in one.findings if finding.impact.rank <= least]


def _show(done: "list[Audit]", least: int) -> None:
    from rich.text import Text

    from controlplane.audit.findings import WORDS

    out = console()
    for one in done:
        rows = [
            (
                Text(finding.impact.value.upper(), style=_STYLES[finding.impact.value]),
                finding.topic,
                finding.outcome.claimed,
                finding.outcome.recomputed,
                _why(finding, WORDS[finding.outcome.verdict]) if finding.outcome.verdict else "",
            )
            for finding in _shown(one, least)
        ]
        if rows:
            columns = ("Impact", "What", "Claimed", "Recomputed", "Why")
            out.print(table(_title(one), columns, rows, whole=("Impact",)))
    for one in done:
        tell(_summary(one))


def _why(finding: "Checked", words: str) -> list[str]:
    outcome = finding.outcome
    worked = [outcome.arithmetic] if outcome.arithmetic not in {"", outcome.recomputed} else []
    return [words + (f": {outcome.why}" if outcome.why else ""), *worked]


def _title(one: "Audit") -> str:
    return f"{one.platform}: {one.document}" if one.document else one.platform


def _summary(one: "Audit") -> str:
    counts = [sum(finding.impact.value == name for finding in one.findings) for name in _IMPACTS]
    told = ", ".join(f"{count} {name}" for count, name in zip(counts, _IMPACTS, strict=True) if count)
    follow = f"{len(one.verified)} of {len(one.checked):,} claims follow"
    return f"{one.platform}: {follow}; {many(len(one.findings), 'finding')}" + (f" ({told})" if told else "")


def _document(one: "Audit", least: int) -> dict[str, Any]:
    return {
        "platform": one.platform,
        "document": one.document,
        "file": one.file,
        "claims": len(one.checked),
        "findings": [_record(finding) for finding in _shown(one, least)],
        "verified": [_record(claim) for claim in one.verified],
    }


def _record(claim: "Checked") -> dict[str, Any]:
    from controlplane.audit.numbers import tidy

    outcome = claim.outcome
    return {
        "id": claim.id,
        "topic": claim.topic,
        "verdict": outcome.verdict.value if outcome.verdict else None,
        "impact": claim.impact.value if outcome.verdict else None,
        "matters": claim.matters,
        "unit": claim.unit,
        "says": [tidy(number.value) for number in claim.says],
        "claimed": outcome.claimed,
        "recomputed": outcome.recomputed,
        "values": {name or "recomputed": [tidy(value.low), tidy(value.high)] for name, value in outcome.values.items()},
        "arithmetic": outcome.arithmetic,
        "why": outcome.why,
        "remedy": claim.remedy,
        "statements": [statement.model_dump() for statement in claim.statements],
    }
