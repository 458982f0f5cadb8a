"""`controlplane init` and `doctor`: write a configuration, and find out whether it works."""

from importlib import resources
from pathlib import Path
from typing import Any

import click

from controlplane.cli.output import config_option, console, finish, json_option, print_json, table, tell


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default="controlplane.yaml")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
def init(*, path: Path, force: bool) -> None:
    """Write a commented controlplane.yaml with every key."""
    text = (resources.files("controlplane.cli") / "controlplane.yaml").read_text(encoding="utf-8")
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; --force replaces it") from None
    except OSError as error:
        raise click.UsageError(f"{path} can't be written: {error.strerror}") from None
    tell(f"wrote {path}; edit it, then run `controlplane doctor`")


@click.command()
@json_option
@config_option
def doctor(*, as_json: bool, config: Any) -> None:
    """Check settings, rules, prices, every source and channel, stores, locks and the clock; exit 1 on failures."""
    from rich.text import Text

    from controlplane.doctor.examine import examine

    screen = console(stderr=True)
    with screen.status("checking") as status:
        findings = list(examine(config, on_check=lambda name: status.update(f"checking {name}")))
    failed = any(finding.verdict == "fail" for finding in findings)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        styles = {"ok": "bold green", "warn": "bold #E69F00", "fail": "bold #FF8A80"}
        rows = [(Text(f.verdict.upper(), style=styles[f.verdict]), f.name, f.message, f.remedy) for f in findings]
        console().print(table("Doctor", ("", "Check", "Finding", "What to do"), rows))
    finish(1 if failed else 0)
