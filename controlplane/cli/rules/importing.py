"""`controlplane rules import`: from alerting rule files of Prometheus."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import finish, json_option, print_json, tell

if TYPE_CHECKING:
    from controlplane.model.errors import Problem
    from controlplane.rules.files import RuleText
    from controlplane.rules.prometheus_import import Imported


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--platform", default="imported", show_default=True, help="Pack that the rules belong to.")
@click.option("--unit", default="1", show_default=True, help="Unit of the signals.")
@click.option(
    "--output",
    "-o",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder [default: PLATFORM].",
)
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@json_option
def import_(
    *, files: tuple[Path, ...], platform: str, unit: str, output: Path | None, force: bool, as_json: bool
) -> None:
    """Map alerting rules of Prometheus to rules and signals, one file a FILE; exit 1 where some don't map.

    An expression has to compare with a number at its outermost. What doesn't map is named with its reason.
    """
    from pydantic import TypeAdapter, ValidationError

    from controlplane.model.base import RuleId
    from controlplane.model.units import check_unit
    from controlplane.rules.prometheus_import import import_rules

    try:
        TypeAdapter(RuleId).validate_python(platform)
        check_unit(unit)
    except ValidationError as error:
        raise click.BadParameter(
            error.errors()[0]["msg"].removeprefix("Value error, "), param_hint="--platform"
        ) from None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--unit") from None
    made = import_rules(_texts(files), platform, unit)
    folder = output or Path(platform)
    paths = _write(folder, made.files, force=force)
    if as_json:
        print_json(_json(made, platform, paths))
    else:
        _show(made, paths)
    finish(1 if made.unmapped else 0)


def _texts(files: tuple[Path, ...]) -> "list[RuleText]":
    from controlplane.documents import MAX_BYTES
    from controlplane.model.errors import InvalidInput, Place, Problem
    from controlplane.rules.files import RuleText

    texts, wrong = [], []
    for file in dict.fromkeys(files):
        try:
            if file.stat().st_size > MAX_BYTES:
                wrong.append(Problem(Place(str(file)), "the file is larger than 16 MB", "Split it"))
                continue
            texts.append(RuleText(str(file), file.read_text(encoding="utf-8")))
        except OSError as error:
            wrong.append(Problem(Place(str(file)), f"can't be read: {error.strerror}", "Check the path"))
        except UnicodeDecodeError as error:
            wrong.append(Problem(Place(str(file)), f"is not UTF-8 (byte {error.start})", "Save it as UTF-8"))
    if wrong:
        raise InvalidInput(wrong)
    return texts


def _write(folder: Path, files: dict[str, str], *, force: bool) -> list[Path]:
    """Write all files or none; one that is there and differs is a usage error."""
    paths = {folder / name: text for name, text in files.items()}
    differing = [path for path, text in paths.items() if path.exists() and path.read_bytes() != text.encode()]
    if differing and not force:
        names = ", ".join(map(str, differing))
        raise click.UsageError(f"{names} would be overwritten; --force replaces it, -o writes somewhere else")
    if paths:
        folder.mkdir(parents=True, exist_ok=True)
    for path, text in paths.items():
        path.write_text(text, encoding="utf-8")
    return list(paths)


def _json(made: "Imported", platform: str, paths: list[Path]) -> dict[str, Any]:
    return {
        "platform": platform,
        "files": [str(path) for path in paths],
        "mapped": [
            {
                "name": one.name,
                "file": one.place.file,
                "line": one.place.line,
                "rule": one.rule,
                "signal": one.signal,
            }
            for one in made.mapped
        ],
        "unmapped": [_problem(problem) for problem in made.unmapped],
        "notes": [_problem(problem) for problem in made.notes],
    }


def _problem(problem: "Problem") -> dict[str, Any]:
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _show(made: "Imported", paths: list[Path]) -> None:
    from controlplane.model.units import many

    for problem in (*made.unmapped, *made.notes):
        tell(str(problem), err=True)
    for path in paths:
        tell(f"wrote {path}")
    rules = sum(one.rule is not None for one in made.mapped)
    tell(
        f"{many(rules, 'rule')} and {many(len(made.mapped) - rules, 'recorded signal')} imported, "
        f"{len(made.unmapped)} not mapped"
    )
