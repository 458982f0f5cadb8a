"""From the label texts of an answer to the canonical labels of a signal's series."""

import json
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from controlplane.model.labels import canonical, describe, printable
from controlplane.telemetry.decode import AnswerError

_LABELS = msgspec.json.Decoder(dict[str, str])
_SORTED = msgspec.json.Encoder(order="sorted")


class LabelTexts:
    """Label texts of answers → canonical labels, without the metric name and with a signal's label names.

    Remembers the series of the last answer, so that only new ones are decoded. One thread at a time.
    """

    def __init__(self, renames: Mapping[str, str]) -> None:
        self._renames = dict(renames)
        self._known = pl.DataFrame(schema={"text": pl.String, "labels": pl.String})

    def canonical(self, texts: pl.Series) -> pl.Series:
        """As controlplane.model.labels.canonical; AnswerError where two series become one or a text isn't labels."""
        found = texts.to_frame("text").join(self._known, on="text", how="left", maintain_order="left")
        new = found["text"].filter(found["labels"].is_null()).unique()
        if len(new):
            fresh = pl.DataFrame({"text": new, "labels": _canonical(new.to_list(), self._renames)})
            found = found.update(fresh, on="text", maintain_order="left")
        labels = found["labels"]
        if labels.n_unique() != len(labels):
            twice = labels.filter(labels.is_duplicated()).min()
            raise AnswerError(
                f"two series have the same labels: {_shown(str(twice))}",
                "Aggregate in the query, such as with sum by (…), or keep the label that tells them apart",
            )
        self._known = found
        return labels


def _canonical(texts: Sequence[str], renames: Mapping[str, str]) -> pl.Series:
    out = []
    for text in texts:
        labels = _labels(text)
        labels.pop("__name__", None)
        if "" in labels.values():
            labels = {name: value for name, value in labels.items() if value}
        if not renames.keys().isdisjoint(labels):
            renamed = {renames.get(name, name): value for name, value in labels.items()}
            if len(renamed) < len(labels):
                raise AnswerError(
                    f"a series has two labels of one name after renaming: {printable(describe(labels))}",
                    "Rename in the signal's labels to a name that no other label has",
                )
            labels = renamed
        try:
            out.append(_SORTED.encode(labels))
        except UnicodeEncodeError:
            out.append(canonical(labels).encode())
    return pl.Series("labels", out, dtype=pl.Binary).cast(pl.String)


def _labels(text: str) -> dict[str, str]:
    try:
        return _LABELS.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        pass
    try:
        labels = json.loads(text)  # takes half of a surrogate pair, which msgspec doesn't
        if isinstance(labels, dict) and all(isinstance(value, str) for value in labels.values()):
            return labels
    except (ValueError, RecursionError):
        pass
    raise AnswerError(f"labels that are not a JSON object of texts: {printable(text)}", whole=True)


def _shown(labels: str) -> str:
    return printable(describe(_labels(labels)) or "no labels at all")
