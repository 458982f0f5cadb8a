"""`controlplane rules check --against URL`: which signals of the rules a Prometheus really has."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import console, table, tell

if TYPE_CHECKING:
    from controlplane.model.rules import RuleSet
    from controlplane.model.signals import Signal
    from controlplane.telemetry.collector import SignalKey
    from controlplane.telemetry.presence import Presence, RulePresence

_ERROR = 300


@dataclass(frozen=True)
class Asked:
    """What the server has of the signals, and what that means for the rules."""

    url: str
    signals: "Mapping[SignalKey, Signal]"
    found: "Mapping[SignalKey, Presence]"
    rules: "list[RulePresence]"

    @property
    def findings(self) -> bool:
        """Whether a rule has nothing to read, or a query fails."""
        wrong = {"absent", "error"}
        return any(rule.state in wrong for rule in self.rules) or any(o.state == "error" for o in self.found.values())

    def readers(self) -> "dict[SignalKey, list[str]]":
        """Rules by the signals that they read."""
        from controlplane.model.rules import AlertRule
        from controlplane.rules.describe import reads
        from controlplane.telemetry.collector import SignalKey

        found: dict[SignalKey, list[str]] = {}
        for one in self.rules:
            placed = one.placed
            assert isinstance(placed.rule, AlertRule)
            for name in reads(placed, self.signals.get(SignalKey(placed.platform, placed.rule.signal))):
                found.setdefault(SignalKey(placed.platform, name), []).append(placed.id)
        return found

    def document(self) -> dict[str, Any]:
        """As JSON."""
        readers = self.readers()
        return {
            "url": self.url,
            "signals": [
                {
                    "platform": key.platform,
                    "signal": key.signal,
                    "exporter": self.signals[key].exporter,
                    "state": one.state,
                    "series": one.series,
                    "error": one.error or None,
                    "rules": readers.get(key, []),
                }
                for key, one in self.found.items()
            ],
            "rules": [
                {"rule": one.placed.id, "platform": one.placed.platform, "state": one.state, "why": one.why or None}
                for one in self.rules
            ],
        }

    def show(self) -> None:
        """A table of the signals, then what is wrong with the rules that it concerns."""
        from controlplane.model.units import many
        from controlplane.telemetry.presence import NOT_ASKED

        readers = self.readers()
        asked = {key: one for key, one in self.found.items() if not one.error.startswith(NOT_ASKED)}
        rows = [
            (
                str(key),
                f"{one.series:,}" if one.state == "present" else one.state,
                self.signals[key].exporter or "–",
                len(readers.get(key, [])),
                one.error[:_ERROR],
            )
            for key, one in asked.items()
        ]
        columns = ("Signal", "Series", "Exporter", "Rules", "Error")
        console().print(table(f"Signals at {self.url}", columns, rows, right=("Series", "Rules"), whole=("Series",)))
        concerned: dict[tuple[str, str, str], list[str]] = {}
        for rule in self.rules:
            if rule.state in {"absent", "error"} and NOT_ASKED not in rule.why:
                concerned.setdefault((rule.state, rule.placed.platform, rule.why), []).append(rule.placed.id)
        for (state, platform, why), names in concerned.items():
            tell(f"{state}: {platform}/{why}: {', '.join(names)}", err=True)
        if len(asked) < len(self.found):
            tell(f"{many(len(self.found) - len(asked), 'signal')} {NOT_ASKED}", err=True)
        signals = Counter(one.state for one in self.found.values())
        rules = Counter(one.state for one in self.rules)
        tell(
            f"{many(len(self.found), 'signal')}: {signals['present']} present, {signals['absent']} absent, "
            f"{signals['error']} with an error; {many(len(self.rules), 'rule')} on signals: {rules['present']} have "
            f"data, {rules['absent']} are absent, {rules['error']} can't tell, {rules['elsewhere']} read elsewhere"
        )


def ask(rules: "RuleSet", url: str, bearer_env: str | None) -> Asked:
    """Ask the server; a usage error where `url` is none."""
    from urllib.parse import urlsplit

    from pydantic import ValidationError

    from controlplane.model.rules import AlertRule
    from controlplane.settings import PrometheusSource, Secret
    from controlplane.telemetry.collector import SignalKey
    from controlplane.telemetry.presence import presence, rule_presence

    secret = Secret(env=bearer_env) if bearer_env else None
    try:
        source = PrometheusSource(name="against", type="prometheus", url=url, bearer=secret, retries=1)
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValidationError as error:
        raise click.BadParameter(
            error.errors()[0]["msg"].removeprefix("Value error, "), param_hint="--against"
        ) from None
    except ValueError as error:
        raise click.BadParameter(f"is no URL: {error}", param_hint="--against") from None
    signals = {SignalKey(platform, signal.name): signal for platform, signal in rules.signals}
    with console(stderr=True).status(f"asking {host}"):
        found = presence(source, signals)
    readers = [rule_presence(one, signals, found) for one in rules.rules if isinstance(one.rule, AlertRule)]
    shown = f"{urlsplit(url).scheme}://{host}"
    return Asked(shown, signals, found, readers)
