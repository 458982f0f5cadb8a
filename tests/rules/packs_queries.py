"""Samples and expectations of the queries of shipped packs: `queries/<platform>.yaml`, and promtool to run them.

`series` has promtool's input series (name with labels → values, one every 15 s), `signals` what the query of each
signal gives after 10 minutes: a list of `{labels: 'host="db-1"', value: 0.75}`.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controlplane.documents import parse_document
from controlplane.model.signals import Signal
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from tests.servers import require_binary

FOLDER = Path(__file__).parent / "queries"
INTERVAL, AT = "15s", "10m"


@dataclass(frozen=True, slots=True)
class Expectations:
    """What goes in, and what comes out of each signal's query."""

    series: dict[str, str]
    signals: dict[str, list[dict[str, Any]]]


def expectations(platform: str, folder: Path = FOLDER) -> Expectations:
    """Those of a pack; AssertionError names what in its file is no expectation."""
    data = parse_document((folder / f"{platform}.yaml").read_text(encoding="utf-8"), f"{platform}.yaml").data
    assert set(data) == {"series", "signals"}, f"{platform}.yaml has the keys series and signals, not {sorted(data)}"
    for signal, samples in data["signals"].items():
        assert samples, f"{platform}.yaml: {signal} expects nothing, so nothing is tested"
        for sample in samples:
            assert set(sample) == {"labels", "value"}, f"{platform}.yaml: {signal}: {sample} is no labels and value"
    return Expectations({name: str(values) for name, values in data["series"].items()}, data["signals"])


def queried(platform: str) -> dict[str, Signal]:
    """The signals of a pack that are asked for in PromQL, by name."""
    loaded = load_rules(read_rule_texts([platform])[0])
    return {signal.name: signal for of, signal in loaded.rules.signals if of == platform and signal.prometheus}


def promtool(file: Path, queries: dict[str, str], given: Expectations) -> subprocess.CompletedProcess[str]:
    """Run the queries of all signals at once; the file is promtool's test file and is written here.

    What is expected goes in as series, so that label sets are compared exactly and values up to rounding: sums of
    floats depend on the order of the series.
    """
    series, nothing = dict(given.series), []
    for number, (signal, samples) in enumerate(given.signals.items()):
        name = f"expected_{number}"
        series |= {f"{name}{{{one['labels']}}}": f"{one['value']}x40" for one in samples}
        query = f"(\n{queries[signal]}\n)"
        nothing += [
            f"{query} unless {name}",
            f"{name} unless {query}",
            f"abs({query} - {name}) > 1e-9 * abs({name}) + 1e-12",
            f"{query} != {query}",  # not a number
        ]
    group = {
        "interval": INTERVAL,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": AT, "exp_samples": []} for expr in nothing],
    }
    file.write_text(yaml.safe_dump({"evaluation_interval": INTERVAL, "tests": [group]}), encoding="utf-8")
    command = [str(require_binary("promtool")), "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
