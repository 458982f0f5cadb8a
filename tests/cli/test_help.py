"""Help, options, exit codes and pipes."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.cli.conftest import PROGRAM, Run, commands, program

HEAVY = ("dagster", "duckdb", "polars", "textual", "sqlalchemy", "apprise", "confluent_kafka", "requests", "rich")

COMMANDS = sorted(
    (name, *sub)
    for name, command in commands().items()
    for sub in ([(inner,) for inner in command.commands] if isinstance(command, click.Group) else []) + [()]
)


def test_top_level_help_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys, json\n"
        "from controlplane.cli import main\n"
        "code = main(['--help'])\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == [0, []]
    assert done.stdout.startswith("Usage: controlplane")


def test_top_level_help_is_quick(tmp_path: Path) -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert program("--help", cwd=tmp_path).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Processor time: what others do on the machine isn't the program's time.
    assert min(seconds() for _ in range(5)) < 0.5


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(run: Run, command: tuple[str, ...]) -> None:
    shown = run(*command, "--help")
    assert shown.code == 0
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[0].startswith("Usage: ")
    assert lines[2].strip().endswith((".", "`.", ":")) or lines[3].strip(), "the first line says what it does"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_a_usage_error(run: Run, here: Path, command: tuple[str, ...]) -> None:
    shown = run(*command, "--no-such-option")
    assert shown.code == 2
    assert shown.out == ""
    assert "No such option" in shown.err or "Missing argument" in shown.err
    assert list(here.iterdir()) == []


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    shown = run("alarms")
    assert (shown.code, shown.out) == (2, "")
    assert "alarms" in shown.err


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("controlplane, version ")


@pytest.mark.parametrize("command", ["--help", "rules list", "rules list --json", "events export", "alerts", "init -h"])
def test_a_closed_pipe_is_no_traceback(evening_home: Path, command: str) -> None:
    process = subprocess.Popen(
        [str(PROGRAM), *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "CONTROLPLANE_HOME": str(evening_home)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # nobody will ever read it
    errors = process.stderr.read().decode()
    assert process.wait(60) == 141
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


@pytest.fixture
def evening_home(evening: object) -> Path:
    return evening.home
