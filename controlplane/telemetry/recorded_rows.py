"""The rows of a recording, checked and in canonical form."""

from pathlib import Path

import msgspec
import polars as pl

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import canonical, printable

ROWS = pl.Schema({"ts": pl.Int64, "platform": pl.String, "signal": pl.String, "labels": pl.String, "value": pl.Float64})
"""ts in epoch ms as recorded, labels as canonical JSON, value null where it isn't a number."""

NEEDED = ("ts", "signal", "labels", "value")
_SHOWN = 10
END_OF_TIME = 253_402_300_800_000
SIGNAL = r"^[a-zA-Z][a-zA-Z0-9_]*(?:\.[a-zA-Z0-9_]+)*$"
PLATFORM = r"^(?:[a-z0-9][a-z0-9_-]*)?$"
REMEDIES = {
    "ts": "Write ISO 8601 with its zone, such as 2026-01-31T19:00:00Z, or milliseconds since 1970",
    "signal": "Write a signal name such as kafka.consumer.lag",
    "labels": 'Write a JSON object of texts, such as {"host":"db-1"}',
    "value": "Write a number, NaN, +Inf or -Inf",
    "platform": "Write the id of a pack; where a label says it too, both must agree",
}
_LABELS = msgspec.json.Decoder(dict[str, str])


class BadRows(ControlplaneError):
    """A recording that can't be used: a column is missing, or cells hold what they shouldn't."""

    def __init__(self, message: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(message)


def read_rows(path: Path, platform: str) -> pl.DataFrame:
    """All rows of a Parquet or CSV file as ROWS, in its order; `platform` is for rows that name none.

    BadRows names rows (from 1, without the header) and columns; OSError and PolarsError where the file can't be read.
    """
    path.open("rb").close()
    match path.suffix.lower():
        case ".parquet":
            scan = pl.scan_parquet(path, glob=False)
        case ".csv":
            scan = pl.scan_csv(path, infer_schema=False, glob=False)
        case _:
            raise BadRows("is neither Parquet nor CSV by its name", "Name it .parquet or .csv")
    schema = scan.collect_schema()
    missing = [name for name in NEEDED if name not in schema]
    if missing:
        raise BadRows(f"the column {missing[0]} is missing", f"It needs the columns {', '.join(NEEDED)}")
    if "platform" not in schema:
        scan = scan.with_columns(pl.lit(None, pl.String).alias("platform"))
    raw = scan.select(*NEEDED, "platform").collect()
    texts = raw["labels"].cast(pl.String).fill_null("")
    known = known_labels(texts.unique())
    labels = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    rows = raw.select(
        ts=instant(schema["ts"]),
        signal=pl.col("signal").cast(pl.String),
        value=number(schema["value"]),
        column=pl.col("platform").cast(pl.String).replace("", None),
    ).with_columns(labels["labels"], labels["label"])
    bad = rows.select(
        ts=~pl.col("ts").is_between(0, END_OF_TIME, closed="left").fill_null(value=False),
        signal=~pl.col("signal").str.contains(SIGNAL).fill_null(value=False),
        labels=pl.col("labels").is_null(),
        value=pl.col("value").is_null() & raw["value"].is_not_null(),
        platform=(pl.col("column") != pl.col("label")).fill_null(value=False)
        | ~pl.coalesce("column", "label", pl.lit("")).str.contains(PLATFORM),
    )
    if bad.select(pl.any_horizontal(pl.all()).any()).item():
        raise _problems(raw, bad)
    return rows.select(
        "ts",
        pl.coalesce("column", "label", pl.lit(platform)).alias("platform"),
        "signal",
        "labels",
        pl.col("value").fill_nan(None),
    ).cast(ROWS)


def instant(dtype: pl.DataType) -> pl.Expr:
    """Epoch ms, null where the cell is no instant; a time without a zone is none."""
    ts = pl.col("ts")
    if dtype.is_integer():
        return ts.cast(pl.Int64, strict=False)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return ts.dt.epoch("ms")
    if dtype != pl.String:
        return pl.lit(None, pl.Int64)
    text = ts.str.replace(r"[Zz]$", "+00:00").str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T")
    formats = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
    read = [text.str.to_datetime(one, time_unit="ms", time_zone="UTC", strict=False) for one in formats]
    return pl.coalesce(ts.cast(pl.Int64, strict=False), *(one.dt.epoch("ms") for one in read))


def number(dtype: pl.DataType) -> pl.Expr:
    """A float, null where the cell is none."""
    readable = dtype.is_numeric() or dtype == pl.String
    return pl.col("value").cast(pl.Float64, strict=False) if readable else pl.lit(None, pl.Float64)


def known_labels(texts: pl.Series) -> pl.DataFrame:
    """Label text → canonical labels without platform, and the platform in them; null where a text isn't labels."""
    known: list[tuple[str, str | None, str | None]] = []
    for text in texts:
        try:
            labels = _LABELS.decode(text or "{}")
        except (msgspec.DecodeError, UnicodeError):
            known.append((text, None, None))
            continue
        known.append((text, canonical({k: v for k, v in labels.items() if k != "platform"}), labels.get("platform")))
    return pl.DataFrame(known, {"text": pl.String, "labels": pl.String, "label": pl.String}, orient="row")


def _problems(raw: pl.DataFrame, bad: pl.DataFrame) -> BadRows:
    """The first bad cells of the file, in row order."""
    cells = (
        bad.with_row_index("row", 1)
        .unpivot(index="row", variable_name="column", value_name="bad")
        .filter("bad")
        .sort("row", maintain_order=True)
    )
    shown = [f"row {row}, {column}: {cell(raw[column][row - 1])}" for row, column, _ in cells.head(_SHOWN).iter_rows()]
    more = cells.height - len(shown)
    remedies = [REMEDIES[column] for column in cells["column"].head(_SHOWN).unique(maintain_order=True)]
    return BadRows("; ".join(shown) + (f"; and {more} more" if more else ""), ". ".join(remedies))


def cell(value: object) -> str:
    """What is wrong with a cell, in words that are safe to show."""
    if value is None:
        return "an empty cell"
    return f"{printable(str(value), 60)!r} can't be used"
