"""Numbers for series: the texts of a batch of rows become numbers dictionary by dictionary, not row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from controlplane.frames import SERIES
from controlplane.telemetry.recorded_rows import PLATFORM, SIGNAL, known_labels

Ints = npt.NDArray[np.int64]

TEXTS = ("platform", "signal", "labels")
_DENSE = 1 << 26
"""So many combinations of texts of one batch are marked in a table; more are sorted."""
_LABEL_BITS, _SIGNAL_BITS = 33, 18


@dataclass(frozen=True, slots=True)
class Fresh:
    """A combination of texts that wasn't there before, and the row of the batch that has it first."""

    platform: str | None
    signal: str | None
    labels: str | None
    row: int


class Codes:
    """Numbers combinations of platform, signal and labels in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str | None, int]] = {name: {} for name in TEXTS}
        self._keys = np.empty(0, np.int64)
        self._of_key = np.empty(0, np.int64)
        self.found: list[tuple[str | None, str | None, str | None]] = []

    def of(self, batch: pa.RecordBatch) -> tuple[Ints, list[Fresh]]:
        """The number of every row of a batch with text columns as named in TEXTS, and what is new among them."""
        columns = [self._column(name, batch) for name in TEXTS]
        known = [numbers for _, numbers in columns]
        sizes = [len(numbers) for numbers in known]
        kind = np.int32 if sizes[0] * sizes[1] * sizes[2] < 1 << 31 else np.int64
        local = np.zeros(batch.num_rows, kind)
        for places, numbers in columns:
            if len(numbers) > 1:
                local = local * kind(len(numbers)) + places.astype(kind, copy=False)
        if sizes[0] * sizes[1] * sizes[2] <= _DENSE:
            marked = np.zeros(sizes[0] * sizes[1] * sizes[2], np.bool_)
            marked[local] = True
            (combinations,) = np.nonzero(marked)
            table = np.empty(len(marked), np.int64)
            table[combinations], fresh = self._numbered(combinations, known, local)
            return table[local], fresh
        combinations, inverse = np.unique(local, return_inverse=True)
        numbers, fresh = self._numbered(combinations, known, local)
        return numbers[inverse], fresh

    def _column(self, name: str, batch: pa.RecordBatch) -> tuple[npt.NDArray[Any], Ints]:
        """Place of every row's text in the dictionary of the batch, and the number of each text of it."""
        if name not in batch.schema.names:
            return np.zeros(batch.num_rows, np.int64), self._text_numbers(name, [None])
        column = batch.column(name)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        texts: list[str | None] = column.dictionary.to_pylist()
        places = column.indices
        if places.null_count:
            places = places.fill_null(len(texts))
            texts = [*texts, None]
        return places.to_numpy(zero_copy_only=False), self._text_numbers(name, texts)

    def _text_numbers(self, name: str, texts: Sequence[str | None]) -> Ints:
        numbers = self._numbers[name]
        return np.array([numbers.setdefault(text, len(numbers)) for text in texts] or [0], np.int64)

    def _numbered(self, combinations: Ints, known: Sequence[Ints], local: npt.NDArray[Any]) -> tuple[Ints, list[Fresh]]:
        platforms, signals, labels = known
        rest, label = np.divmod(combinations, len(labels))
        platform, signal = np.divmod(rest, len(signals))
        platform, signal, label = platforms[platform], signals[signal], labels[label]
        keys = (((platform << _SIGNAL_BITS) | signal) << _LABEL_BITS) | label
        places = np.searchsorted(self._keys, keys)
        there = np.zeros(len(keys), np.bool_)
        inside = places < len(self._keys)
        there[inside] = self._keys[places[inside]] == keys[inside]
        fresh = self._add(keys[~there], (platform[~there], signal[~there], label[~there]), combinations[~there], local)
        return self._of_key[np.searchsorted(self._keys, keys)], fresh

    def _add(
        self, keys: Ints, parts: tuple[Ints, Ints, Ints], combinations: Ints, local: npt.NDArray[Any]
    ) -> list[Fresh]:
        if not len(keys):
            return []
        # Unique keeps the first row of each value, so a stable look-up of the new ones gives the row they begin at.
        values, rows = np.unique(local, return_index=True)
        first = rows[np.searchsorted(values, combinations)]
        names = [list(self._numbers[name]) for name in TEXTS]
        order = np.argsort(first, kind="stable")
        fresh = []
        for place in order.tolist():
            platform, signal, labels = (names[n][int(parts[n][place])] for n in range(3))
            self.found.append((platform, signal, labels))
            fresh.append(Fresh(platform, signal, labels, int(first[place])))
        begin = len(self._of_key)
        numbers = np.empty(len(keys), np.int64)
        numbers[order] = np.arange(begin, begin + len(keys))
        sort = np.argsort(np.concatenate([self._keys, keys]), kind="stable")
        self._of_key = np.concatenate([self._of_key, numbers])[sort]
        self._keys = np.concatenate([self._keys, keys])[sort]
        return fresh


def series_of(codes: Codes, source: str) -> tuple[pl.DataFrame, Ints]:
    """`frames.SERIES` in text order, and the sid of every number: two texts of labels may say the same."""
    rows = pl.DataFrame(codes.found, schema=dict.fromkeys(TEXTS, pl.String), orient="row")
    texts = rows.select(text=pl.col("labels").fill_null(""))
    known = texts.join(known_labels(texts["text"].unique()), on="text", how="left", maintain_order="left")
    named = rows.select(
        pl.coalesce(pl.col("platform").replace("", None), known["label"], pl.lit("")).alias("platform"), "signal"
    ).with_columns(known["labels"])
    series = named.unique().sort("platform", "signal", "labels").with_row_index("sid")
    sids = named.join(series, on=["platform", "signal", "labels"], how="left", maintain_order="left")["sid"]
    made = series.select("sid", pl.lit(source).alias("source"), "platform", "signal", "labels").cast(SERIES)
    return made, sids.cast(pl.Int64).to_numpy()


def wrong_texts(fresh: Sequence[Fresh]) -> list[tuple[int, str, str | None]]:
    """(row, column, cell) of what can't be used in combinations of texts."""
    schema = {"platform": pl.String, "signal": pl.String, "text": pl.String, "row": pl.Int64}
    rows = pl.DataFrame([(f.platform, f.signal, f.labels or "", f.row) for f in fresh], schema=schema, orient="row")
    named = rows.join(known_labels(rows["text"].unique()), on="text", how="left", maintain_order="left")
    column = pl.col("platform").replace("", None)
    bad = named.select(
        "row",
        signal=~pl.col("signal").str.contains(SIGNAL).fill_null(value=False),
        labels=pl.col("labels").is_null(),
        platform=(column != pl.col("label")).fill_null(value=False)
        | ~pl.coalesce(column, "label", pl.lit("")).str.contains(PLATFORM),
    )
    cells = {"signal": named["signal"], "labels": named["text"], "platform": named["platform"]}
    return [
        (row, name, cells[name][place])
        for place, (row, *flags) in enumerate(bad.select("row", *cells).iter_rows())
        for name, flag in zip(cells, flags, strict=True)
        if flag
    ]
