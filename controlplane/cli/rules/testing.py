"""`controlplane rules test` and `coverage`: do the rules do what they should, and are all figures looked after?"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import console, finish, json_option, print_json, table, tell

if TYPE_CHECKING:
    from controlplane.rules.coverage import Coverage
    from controlplane.rules.load import Loaded
    from controlplane.ruletests import Outcome


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("-k", "chosen", default="", help="Only rules whose id contains this.")
@json_option
def test(*, paths: tuple[Path, ...], chosen: str, as_json: bool) -> None:
    """Run tests of rules: `<component>.test.yaml` files or folders (default: the shipped packs); exit 1 on failures."""
    from controlplane.documents import parse_document
    from controlplane.model.errors import InvalidInput
    from controlplane.rules.files import read_test_texts
    from controlplane.rules.load import load_rules
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


@click.command("coverage")
@click.argument("platforms", nargs=-1)
@json_option
def coverage_(*, platforms: tuple[str, ...], as_json: bool) -> None:
    """Figures of the packs' documents, and what became of each; exit 1 where one is missing."""
    from controlplane.rules.coverage import coverage
    from controlplane.rules.files import read_rule_texts, shipped_platforms
    from controlplane.rules.load import load_rules

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
