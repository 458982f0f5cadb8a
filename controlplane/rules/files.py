"""Which files hold rules and tests of rules, and their texts: shipped packs, files and folders of one's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from controlplane.documents import nearest
from controlplane.model.errors import InvalidInput, Place, Problem

BESIDE = ("figures", "excluded")
"""What else a pack holds: the figures of its document, and those that are no rule."""
OWN = "controlplane"
"""The pack by which the control plane watches itself: it comes with the control plane, and is no platform of a user."""
TEST = ".test"
"""`kafka.test.yaml` holds the tests of `kafka.yaml`."""


@dataclass(frozen=True, slots=True)
class RuleText:
    """The text of one rule file and the name that error messages give it."""

    name: str
    text: str
    beside: bool = False
    """Not asked for itself: the signals that it declares are there for the files of its folder that are."""


def shipped_platforms() -> tuple[str, ...]:
    """Names of the packs that come with the control plane."""
    root = resources.files("alert_rules")
    names = (entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("_"))
    return tuple(sorted(name for name in names if name != OWN))


def read_test_texts(paths: Sequence[Path] = ()) -> dict[RuleText, list[RuleText]]:
    """Test files with the rule files of their folder: those at `paths` (files or folders), or of the shipped packs.

    InvalidInput where a path isn't there or can't be read.
    """
    root = resources.files("alert_rules")
    chosen: list[tuple[str, Traversable | Path]] = []
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        tests = [file for file in files if _is_test_file(file.name)] if path.is_dir() else files
        if not tests or not path.exists():
            remedy = f"Name a folder with files such as kafka{TEST}.yaml, or such a file"
            raise InvalidInput([Problem(Place(str(path)), "there are no tests of rules", remedy)])
        chosen += [(str(file), file) for file in tests]
    if not paths:
        for platform in (*shipped_platforms(), OWN):
            folder = root / platform
            files_there = sorted(entry.name for entry in folder.iterdir() if _is_test_file(entry.name))
            chosen += [(f"alert_rules/{platform}/{name}", folder / name) for name in files_there]
    problems: list[Problem] = []
    found: dict[RuleText, list[RuleText]] = {}
    beside: dict[str, list[RuleText]] = {}
    for name, file in chosen:
        folder_name, _, _ = name.rpartition("/")
        if folder_name not in beside:
            around = file.parent if isinstance(file, Path) else root / folder_name.rpartition("/")[2]
            rule_files = sorted((one for one in around.iterdir() if is_rule_file(one.name)), key=lambda one: one.name)
            shown = ((f"{folder_name}/{one.name}" if folder_name else one.name, one) for one in rule_files)
            beside[folder_name] = list(_read(shown, problems))
        for text in _read([(name, file)], problems):
            found[text] = beside[folder_name]
    if problems:
        raise InvalidInput(problems)
    return found


def _is_test_file(name: str) -> bool:
    return name.endswith((f"{TEST}.yaml", f"{TEST}.yml"))


def is_rule_file(name: str) -> bool:
    """Whether a file of a folder of rules holds rules, by its name; figures, exclusions and tests stand beside them."""
    stem, dot, kind = name.rpartition(".")
    return bool(dot) and kind in {"yaml", "yml"} and stem not in BESIDE and not stem.endswith(TEST)


def read_rule_texts(platforms: Sequence[str], extra: Sequence[Path] = ()) -> tuple[list[RuleText], list[Problem]]:
    """The files of the named packs and of further files or folders, in name order.

    A single file comes with the others of its folder, for the signals that they declare and the alerts that it answers.
    """
    texts: list[RuleText] = []
    found: list[Problem] = []
    root = resources.files("alert_rules")
    for platform in platforms:
        folder = root / platform
        if not folder.is_dir():
            remedy = nearest(platform, shipped_platforms()) or f"There are {', '.join(shipped_platforms())}"
            found.append(Problem(Place("settings", path="platforms"), f"there is no pack {platform!r}", remedy))
            continue
        files = sorted((entry for entry in folder.iterdir() if is_rule_file(entry.name)), key=lambda e: e.name)
        texts += _read(((f"alert_rules/{platform}/{entry.name}", entry) for entry in files), found)
    for path in extra:
        files_there = (
            sorted(file for file in path.rglob("*.y*ml") if is_rule_file(file.name)) if path.is_dir() else [path]
        )
        if not path.exists():
            found.append(
                Problem(Place(str(path)), "there is no such rule file or folder", "Correct the path under rules")
            )
            continue
        texts += _read(((str(file), file) for file in files_there), found)
        if path.is_file():
            others = sorted(file for file in path.parent.iterdir() if is_rule_file(file.name) and file != path)
            texts += (replace(text, beside=True) for text in _read(((str(file), file) for file in others), []))
    return texts, found


def _read(files: Iterable[tuple[str, Traversable | Path]], found: list[Problem]) -> Iterable[RuleText]:
    for name, file in files:
        try:
            yield RuleText(name, file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            found.append(Problem(Place(name), f"can't be read: {error}", "It must be a readable UTF-8 file"))
