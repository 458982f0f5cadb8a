"""What the rules say of an alert beyond its events: how long it waits, where it ends, and its runbook."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable

if TYPE_CHECKING:
    from controlplane.model.rules import Placed


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What the terminal shows of an alert rule."""

    for_: timedelta
    keep_firing_for: timedelta = timedelta(0)
    clear: str = ""
    """The condition that ends it where that differs from its own, such as `< 80000`."""
    signal: str = ""
    origin: str = ""
    """The document and quote that it comes from, or why the house chose it."""


Rules = Mapping[tuple[str, str], RuleFacts]
"""(platform, rule id) → its facts."""


def rule_facts(placed: "Iterable[Placed]") -> Rules:
    """The facts of the alert and drift rules of a rule set."""
    # Imported here: the first paint doesn't wait for it.
    from controlplane.model.rules import AlertRule, DriftRule

    found: dict[tuple[str, str], RuleFacts] = {}
    for one in placed:
        rule = one.rule
        if not isinstance(rule, AlertRule | DriftRule):
            continue
        source = rule.source
        origin = f"{source.document}, {source.section}: “{source.quote}”" if source else rule.rationale or ""
        if isinstance(rule, DriftRule):
            found[one.platform, rule.id] = RuleFacts(rule.for_, origin=origin)
        else:
            clear = "" if rule.clear is None else str(rule.clear.in_unit(one.unit))
            found[one.platform, rule.id] = RuleFacts(rule.for_, rule.keep_firing_for, clear, rule.signal, origin)
    return found


class Rulebook:
    """Loads the rules when they are first asked for; `load` may take a second, so ask in a thread."""

    def __init__(self, load: Callable[[], Rules] | None = None, folders: Iterable[Path] | None = None) -> None:
        """`folders` are where runbooks are, in place of the usual ones."""
        self._load = load
        self._folders = None if folders is None else tuple(folders)
        self._rules: Rules | None = None
        self.error = ""
        """Why the rules can't be read; empty where they can."""

    def rule(self, platform: str, rule: str) -> RuleFacts | None:
        """The facts of a rule, None where it isn't known here."""
        if self._rules is None:
            try:
                self._rules = {} if self._load is None else self._load()
            except (ControlplaneError, OSError) as error:
                self._rules, self.error = {}, printable(str(error), 400)
        return self._rules.get((platform, rule))

    def runbook(self, name: str | None) -> str:
        """The text of a runbook in Markdown; empty where there is none by that name."""
        from controlplane.runbooks import FOLDERS, runbook  # they ask where they are installed: not at the start

        return runbook(name, FOLDERS if self._folders is None else self._folders)
