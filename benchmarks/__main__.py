"""`python -m benchmarks [NAME …] [--json | --markdown]`: measure the named cases (or beginnings), or all short ones."""

import json
import os
import platform
import sys
from typing import Any

import click
from rich.console import Console

from benchmarks import cases, report
from benchmarks.measure import CaseFailed, Result, Unavailable, measure


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--markdown", is_flag=True, help="Print the tables of docs/benchmarks.md.")
@click.option("--list", "only_list", is_flag=True, help="Name the cases and end.")
def main(names: tuple[str, ...], as_json: bool, markdown: bool, only_list: bool) -> None:
    """Measure time and memory of the heavy parts; see docs/benchmarks.md for earlier numbers."""
    chosen = [
        case
        for case in cases.ALL
        if any(case.name.startswith(name) for name in names) or not (names or case.on_request)
    ]
    if not chosen:
        raise click.UsageError(f"there is no case {names[0]!r}; there are {', '.join(case.name for case in cases.ALL)}")
    if only_list:
        for case in chosen:
            click.echo(f"{case.name:<28} {case.about}")
        return
    results: list[Result] = []
    failed = False
    screen = Console(stderr=True)
    for number, case in enumerate(chosen, 1):
        with screen.status(f"{number}/{len(chosen)} {case.name}"):
            if not screen.is_terminal:
                click.echo(f"{number}/{len(chosen)} {case.name}", err=True)
            try:
                results.append(measure(case))
            except Unavailable as error:
                click.echo(f"not measured: {case.name}: {error}", err=True)
            except CaseFailed as error:
                failed = True
                click.echo(f"failed: {error}", err=True)
    if as_json:
        compared = [row._asdict() for row in report.side_by_side(results)]
        document = {"machine": machine(), "results": [r.as_dict() for r in results], "side_by_side": compared}
        click.echo(json.dumps(document, indent=2))
    elif markdown:
        click.echo(report.markdown(results))
    else:
        report.show(results)
    sys.exit(1 if failed else 0)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
