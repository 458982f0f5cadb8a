"""Rules, samples and files for backtests."""

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from controlplane.backtest.report import Night
from controlplane.backtest.setup import Asked, backtest, prepare

START = datetime(2026, 3, 12, 22, tzinfo=UTC)
STEP = timedelta(seconds=15)
SIGNAL = "kafka.consumer.lag"

HEAD = """
platform: shop
component: kafka
signals:
  - {name: kafka.consumer.lag, unit: "{message}"}
  - {name: other.signal, unit: "1"}
"""
RULE = """
  - id: {id}
    kind: alert
    title: Behind
    signal: kafka.consumer.lag
    severity: critical
    summary: "{{value:,.0f}} behind"
    basis: house
    rationale: a test
"""

Row = tuple[int | str, str, Mapping[str, str], float | None]


def rule(*lines: str, id: str = "lag") -> str:
    """One rule with the given lines, such as `when: "> 100"`."""
    return RULE.format(id=id) + "".join(f"    {line}\n" for line in lines)


def rules(*texts: str) -> str:
    """A rule file of them."""
    return HEAD + "rules:" + "".join(texts)


def at(step: int) -> str:
    """ISO time of a step, counted from 0."""
    return (START + step * STEP).isoformat().replace("+00:00", "Z")


def ms(step: float) -> int:
    """The same as epoch ms; steps may be broken."""
    return round((START + step * STEP).timestamp() * 1000)


def rows(values: str, *, signal: str = SIGNAL, labels: Mapping[str, str] | None = None, start: int = 0) -> list[Row]:
    """One series, a word a step: `_` is no sample."""
    return [
        (ms(start + step), signal, {"group": "a"} if labels is None else labels, float(word))
        for step, word in enumerate(values.split())
        if word != "_"
    ]


def parquet(path: Path, found: Iterable[Row], **options: Any) -> Path:
    """Write rows as Parquet, in time order unless `order` says `as given`."""
    made = list(found)
    if options.pop("order", "time") == "time":
        made.sort(key=lambda row: row[0])
    frame = pl.DataFrame(
        [(ts, signal, json.dumps(labels), value) for ts, signal, labels, value in made],
        schema={"ts": pl.Int64, "signal": pl.String, "labels": pl.String, "value": pl.Float64},
        orient="row",
    )
    frame.write_parquet(path, **options)
    return path


def comma_separated(path: Path, found: Iterable[Row], *, iso: bool = False) -> Path:
    """Write rows as CSV with epoch ms, or ISO 8601."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["ts", "signal", "labels", "value"])
        for ts, signal, labels, value in found:
            shown = datetime.fromtimestamp(int(ts) / 1000, UTC).isoformat() if iso else ts
            writer.writerow([shown, signal, json.dumps(labels), value])
    return path


def judged(
    folder: Path, text: str, samples: Path, *, window: int | None = None, step: timedelta = STEP, **asked: Any
) -> dict[str, Any]:
    """The document of a backtest of one rule file."""
    file = folder / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    wanted = Asked(((file,),), samples, step, **asked)
    with TemporaryDirectory(dir=folder) as name:
        ready = prepare(wanted, Path(name), lambda what, share: None)
        (document,) = backtest(ready, Path(name), Night(), lambda what, share: None, window).documents
    return document


def story(document: dict[str, Any], id: str = "lag") -> list[tuple[int, str]]:
    """(step, state) of the transitions of a rule."""
    begin = START.timestamp()
    return [
        (round((datetime.fromisoformat(one["at"]).timestamp() - begin) / STEP.total_seconds()), one["state"])
        for one in document["transitions"]
        if one["rule"] == id
    ]
