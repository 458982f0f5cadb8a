"""The command line. Data goes to stdout, diagnostics to stderr; exit 0 fine, 1 findings, 2 usage or configuration."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from controlplane import __version__
from controlplane.cli.output import config_option, tell
from controlplane.model.errors import ControlplaneError

_PIPE_CLOSED = 141
"""What a shell reports of a program that SIGPIPE ended."""


# name → the module here that has it, in the order of --help
_MODULES = {
    "demo": "demo",
    "init": "config",
    "doctor": "config",
    "tick": "services",
    "deliver": "services",
    "serve": "services",
    "receive": "services",
    "up": "services",
    "tui": "terminal",
    "alerts": "alerts",
    "ack": "alerts",
    "unack": "alerts",
    "note": "alerts",
    "silence": "silences",
    "notify": "notify",
    "oncall": "oncall",
    "digest": "digest",
    "recommendations": "recommendations",
    "costs": "costs",
    "explain": "explain",
    "failover": "failover",
    "placement": "placement",
    "rules": "rules",
    "backtest": "backtest",
    "audit": "audit",
    "events": "events",
    "sql": "telemetry",
    "maintain": "telemetry",
}


class _Commands(click.Group):
    """Imports a command when it is asked for: whoever opens the terminal doesn't wait for the other ones."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature of click
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the signature of click
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(f"controlplane.cli.{_MODULES[cmd_name]}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@config_option
@click.version_option(__version__, prog_name="controlplane")
def cli(config: Any) -> None:
    """Alerts, priced recommendations and pages for the people who keep big platforms alive.

    Everything is kept in one folder: CONTROLPLANE_HOME, else `home` of the settings, else .controlplane.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command (default: of `sys.argv`) and return its exit code; errors meant for people are printed."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="controlplane", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        tell(f"error: {error.format_message()}", err=True)
        return 2 if isinstance(error, click.FileError) else error.exit_code
    except click.Abort:
        tell("aborted", err=True)
        return 130
    except ControlplaneError as error:
        tell(f"error: {error}", err=True)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        tell(f"error: {error.filename}: {error.strerror}. Check the path and its permissions", err=True)
        return 2
    except SystemExit as stop:
        # Commands end by click's Exit; click and rich end like this where nobody reads stdout any more.
        return _PIPE_CLOSED if stop.code == 1 else 2
    return code if isinstance(code, int) else 0
