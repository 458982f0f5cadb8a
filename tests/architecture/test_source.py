"""Rules that the source has to keep, read from its syntax trees."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("controlplane", "assets", "tui")
MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PLATFORMS = ("catalyst", "datalyptica", "absmach", "prism")
LONGEST = 350
CATALOGUES = {"controlplane/model/payloads.py"}
"""Lists of short models: long, but with one subject."""

PURE = (
    "controlplane/model",
    "controlplane/rules",
    "controlplane/scaling",
    "controlplane/failover",
    "controlplane/costs",
    "controlplane/export",
    "controlplane/tick",
    "controlplane/frames.py",
    "controlplane/history.py",
    *(f"controlplane/receive/{name}.py" for name in ("answers", "apply", "pagerduty", "signatures", "slack")),
    *(
        f"controlplane/notify/{name}.py"
        for name in (
            *("decide", "groups", "incident", "labels", "muting", "needs", "flapping"),
            *("desk", "calling", "escalation", "reach"),
            *("compose", "routing", "slack", "pagerduty", "message", "impact", "thread", "mail"),
        )
    ),
)
"""What may not read a clock: the same samples give the same events, whenever that is decided."""
CLOCKS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "localtime", "gmtime", "sleep"},
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def test_everything_is_looked_at() -> None:
    assert len(MODULES) > 100
    for pure in PURE:
        assert (ROOT / pure).exists(), f"{pure} is gone; name what took its place"


def test_layers_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: \d+ kept, 0 broken", done.stdout)


def strings_and_names(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield line, node.value
        elif isinstance(node, ast.Name):
            yield line, node.id
        elif isinstance(node, ast.Attribute):
            yield line, node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield line, node.name
        elif isinstance(node, ast.arg):
            yield line, node.arg
        elif isinstance(node, ast.alias):
            yield line, node.name


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_platform_has_a_name_in_the_code(path: Path) -> None:
    found = [
        f"{path}:{line}: {text[:60]!r}"
        for line, text in strings_and_names(tree(path))
        if any(name in text.lower() for name in PLATFORMS)
    ]
    assert found == [], "what belongs to a platform stands in its pack"


def clocks(module: ast.Module) -> list[int]:
    """Lines on which a clock is read, however it was imported."""
    imported: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module in CLOCKS:
            imported |= {(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {(alias.asname or alias.name): alias.name for alias in node.names if alias.name in CLOCKS}
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            first, _, rest = owner.partition(".")
            full = imported.get(first, first) + (f".{rest}" if rest else "")
            if node.attr in CLOCKS.get(full.rpartition(".")[2], ()):
                found.append(node.lineno)
        elif isinstance(node, ast.Name) and node.id in imported:
            module_name, _, name = imported[node.id].rpartition(".")
            if name in CLOCKS.get(module_name, ()):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("from datetime import datetime\ndatetime.now()", [2]),
        ("from datetime import datetime as d, UTC\nx = d.now", [2]),
        ("import datetime\ndatetime.datetime.utcnow()", [2]),
        ("import datetime as dt\ndt.date.today()", [2]),
        ("import time\n\ntime.time()", [3]),
        ("from time import monotonic as m\nm()", [2]),
        ("from controlplane.model import time\nfrom datetime import datetime\ndatetime.fromisoformat('x')", []),
        ("now = 1\nself.now\nfrom datetime import timedelta\ntimedelta(1)", []),
    ],
)
def test_clocks_are_found(code: str, lines: list[int]) -> None:
    assert clocks(ast.parse(code)) == lines


@pytest.mark.parametrize("path", [path for path in MODULES if any(path.is_relative_to(pure) for pure in PURE)], ids=str)
def test_decisions_read_no_clock_and_no_chance(path: Path) -> None:
    module = tree(path)
    assert clocks(module) == [], f"{path}: now is a parameter"
    names = {
        alias.name.partition(".")[0] if isinstance(node, ast.Import) else (node.module or "").partition(".")[0]
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not names & {"random", "secrets", "socket", "subprocess", "os"}, path


PUBLIC_BASES = ("Model", "BaseModel", "StrEnum", "Protocol")


def undocumented(module: ast.Module) -> Iterator[str]:
    """Public classes, functions and methods without a docstring; what overrides a library's method needs none."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield f"{node.lineno}: {node.name}"
            if isinstance(node, ast.ClassDef) and not _subclass_of_a_library(node):
                for inner in node.body:
                    if (
                        isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
                        and not inner.name.startswith("_")
                        and not ast.get_docstring(inner)
                        and not any("overload" in ast.unparse(decorator) for decorator in inner.decorator_list)
                    ):
                        yield f"{inner.lineno}: {node.name}.{inner.name}"


def _subclass_of_a_library(node: ast.ClassDef) -> bool:
    own = {"Generic", *PUBLIC_BASES}
    return any(ast.unparse(base).partition("[")[0].rpartition(".")[2] not in own for base in node.bases)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_and_what_is_public_explain_themselves(path: Path) -> None:
    module = tree(path)
    assert ast.get_docstring(module), f"{path} has no docstring"
    assert list(undocumented(module)) == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "controlplane"], ids=str)
def test_modules_have_one_subject(path: Path) -> None:
    if path.as_posix() in CATALOGUES:
        return
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{path} has {lines} lines; what is its second subject?"


def test_pure_folders_load_nothing_heavy() -> None:
    script = (
        "import sys, json\n"
        "import controlplane.model.events, controlplane.rules.evaluate, controlplane.rules.load\n"
        "import controlplane.scaling, controlplane.failover, controlplane.costs\n"
        "heavy = ('duckdb', 'dagster', 'textual', 'apprise', 'confluent_kafka', 'requests', 'sqlalchemy', 'rich')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_commands_end_by_clicks_exit() -> None:
    """`main` takes a SystemExit for a closed pipe."""
    for path in MODULES:
        if path.is_relative_to("controlplane/cli"):
            found = [ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)]
            assert "sys.exit" not in found, path
