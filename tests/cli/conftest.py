"""A command line in this process, and the demo's data."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from controlplane.cli import cli, main

PROGRAM = Path(sys.executable).with_name("controlplane")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


def commands() -> dict[str, click.Command]:
    """The commands of the program by name."""
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with nothing configured."""
    for name in ("CONTROLPLANE_HOME", "CONTROLPLANE_CONFIG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONTROLPLANE_ACTOR", "ada")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def home(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same with an empty home."""
    monkeypatch.setenv("CONTROLPLANE_HOME", str(here / "home"))
    return here / "home"


def program(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program in a process of its own, with stdout and stderr as pipes."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
    return subprocess.run(
        [str(PROGRAM), *arguments],
        cwd=cwd,
        env={**kept, "HOME": str(cwd), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@dataclass(frozen=True)
class Evening:
    """What `demo --json` printed, and where it keeps its stores."""

    document: dict[str, Any]
    home: Path
    seconds: float
    """Processor time: what others do on the machine isn't in it."""


@pytest.fixture(scope="session")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """The demo, run once as a program."""
    root = tmp_path_factory.mktemp("evening")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = program("demo", "--json", cwd=root, CONTROLPLANE_HOME=str(root / "home"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 0, done.stderr
    return Evening(json.loads(done.stdout), root / "home" / "demo", seconds)
