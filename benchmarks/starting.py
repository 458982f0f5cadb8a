"""How long a command takes to say something."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Case


@dataclass(frozen=True)
class Start:
    """One command in a process of its own."""

    arguments: tuple[str, ...]

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The command, from start to end."""
        program = str(Path(sys.executable).with_name("controlplane"))
        environment = {**os.environ, "CONTROLPLANE_HOME": str(folder)}
        command = [program, *self.arguments]

        def run() -> None:
            subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=True)

        run()
        return run


CASES = (
    Case("start-help", "controlplane --help", Start(("--help",)), 10, target=0.5, why="it loads no heavy library"),
    Case("start-alerts", "controlplane alerts, empty log", Start(("alerts", "--json")), 5),
    Case("start-rules", "controlplane rules check", Start(("rules", "check")), 5),
)
