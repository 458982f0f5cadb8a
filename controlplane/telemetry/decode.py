"""Answers of the Prometheus HTTP API (matrix and vector) as columns.

Prometheus writes compact JSON. Its answers are cut into chunks at `},{"metric":` and split in Polars: a string can't
hold that text, because a quote inside a string is escaped. An answer in any other format (other servers, proxies,
native histograms) goes through msgspec. Both ways give equal results.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from controlplane.frames import SAMPLES
from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable

CHUNK_BYTES = 6_000_000
SERIES_TEXT = pl.Schema({"sid": pl.UInt32, "labels": pl.String})

_BETWEEN = '},{"metric":'
_HEAD = '{"status":"success","data":{"resultType":"%s","result":['
_HISTOGRAMS = (b',"histograms":[', b',"histogram":[')
_NUMBER = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"
_NOT_FINITE = r"^(?:NaN|[-+]Inf)$"
_SHOWN_ERROR = 500


class AnswerError(ControlplaneError):
    """An answer that can't be used. `whole`: the fault is likely the server's or the way to it, not this query's."""

    def __init__(self, message: str, remedy: str = "", *, whole: bool = False) -> None:
        self.message = message
        self.remedy = remedy
        self.whole = whole
        super().__init__(message + (f". {remedy}" if remedy else ""))


@dataclass(frozen=True, slots=True)
class Decoded:
    """An answer: `series` (sid, labels), `samples` as frames.SAMPLES with `ts` as sent (epoch ms), warnings."""

    series: pl.DataFrame
    samples: pl.DataFrame
    warnings: tuple[str, ...] = ()


class _Series(msgspec.Struct):
    metric: msgspec.Raw
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] | None = None
    histogram: msgspec.Raw = msgspec.Raw()
    histograms: msgspec.Raw = msgspec.Raw()


class _Data(msgspec.Struct):
    kind: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    kind: str = msgspec.field(name="errorType", default="")
    error: str = ""
    warnings: list[str] | None = None
    partial: bool = msgspec.field(name="isPartial", default=False)


class _Tail(msgspec.Struct):
    warnings: list[str] | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_RESULT = msgspec.json.Decoder(list[_Series])
_TAIL = msgspec.json.Decoder(_Tail)


def decode(body: bytes) -> Decoded:
    """Decode the body of a query or range query; `labels` is the JSON text as sent, for `series_labels`.

    AnswerError where the body isn't a complete, successful answer; part of an answer is never returned.
    """
    return _split(body) or _parse(body)


def api_error(body: bytes) -> str | None:
    """The API's own words for an error, such as `bad_data: parse error: …`, as sent; None where it isn't the API."""
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if answer.status == "success" else _own_words(answer)


def put_on_grid(samples: pl.DataFrame, step_ms: int) -> pl.DataFrame:
    """Move samples to grid steps: the step they lie on, else the next one; the newest of a series and step stays.

    Among samples with equal time the last row stays.
    """
    late, sid, ts = pl.col("ts").mod(step_ms), pl.col("sid"), pl.col("ts")
    in_order = (sid > sid.shift()) | ((sid == sid.shift()) & (ts > ts.shift()))
    if samples.select((late == 0).all() & in_order.fill_null(value=True).all()).item():
        return samples
    step = pl.when(late == 0).then("ts").otherwise(pl.col("ts") - late + step_ms)
    return (
        samples.sort("ts", maintain_order=True)
        .with_columns(step.alias("ts"))
        .unique(["sid", "ts"], keep="last", maintain_order=True)
    )


# The fast way: compact answers as Prometheus writes them.


def _split(body: bytes) -> Decoded | None:
    """Decode by splitting text; None where the answer isn't formatted in the expected way."""
    kind: Literal["matrix", "vector"] = "vector" if body.startswith((_HEAD % "vector").encode()) else "matrix"
    head = (_HEAD % kind).encode()
    if not body.startswith(head) or any(token in body for token in _HISTOGRAMS):
        return None
    end, warnings = len(body.rstrip()) if body[-1:].isspace() else len(body), None
    if body.endswith(b"]}}", 0, end):
        end -= 3
    else:
        end = max(body.rfind(b']},"warnings":['), body.rfind(b']},"infos":['))
        try:
            warnings = _TAIL.decode(b"{" + body[end + 3 :]).warnings
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
    if end == len(head):
        return Decoded(SERIES_TEXT.to_frame(), SAMPLES.to_frame(), _warnings(warnings))
    series, samples, count = [], [], 0
    try:
        for chunk in _chunks(body, len(head), end):
            columns = _columns(chunk, kind, count)
            if columns is None:
                return None
            series.append(columns[0])
            samples.append(columns[1])
            count += columns[0].height
    except PolarsError:
        return None
    return Decoded(pl.concat(series), pl.concat(samples), _warnings(warnings))


def _chunks(body: bytes, start: int, end: int) -> Iterator[bytes]:
    """Stretches of whole series, without the comma between them."""
    between = _BETWEEN.encode()
    while start < end:
        cut = body.find(between, start + CHUNK_BYTES, end)
        stop = end if cut < 0 else cut + 1
        yield body[start:stop]
        start = stop + 1


def _columns(chunk: bytes, kind: Literal["matrix", "vector"], first: int) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Series and samples of a chunk, ids counting from `first`; None where a row has another form."""
    matrix = kind == "matrix"
    if not chunk.startswith(b'{"metric":{') or not chunk.endswith(b'"]]}' if matrix else b'"]}'):
        return None
    inner = pl.Series([chunk[len(b'{"metric":') : -1]], dtype=pl.Binary).cast(pl.String)
    separator, closing = (',"values":[[', '"]]') if matrix else (',"value":[', '"]')
    rows = (
        inner.str.split(_BETWEEN)
        .explode()
        .str.splitn(separator, 2)
        .struct.rename_fields(["labels", "points"])
        .struct.unnest()
        .with_row_index("sid", first)
    )
    # `},"` in labels is either the end of a text in them or another key behind them; the JSON parser can tell.
    odd = pl.col("labels").str.contains('},"', literal=True) | ~pl.col("labels").str.ends_with("}")
    regular = pl.col("points").str.ends_with(closing).fill_null(value=False) & ~odd
    if not rows.select(regular.all()).item():
        return None
    points = rows.select("sid", pl.col("points").str.head(-len(closing)))
    if matrix:
        points = points.with_columns(pl.col("points").str.split('"],[')).explode("points")
    pairs = points["points"].str.splitn(',"', 2).struct.rename_fields(["ts", "value"]).struct.unnest()
    if pairs["value"].null_count() or not pairs["ts"].unique().str.contains(_NUMBER).all():
        return None
    return rows.select("sid", "labels"), _samples(points["sid"], pairs["ts"].cast(pl.Float64), pairs["value"])


def _samples(sid: pl.Series, seconds: pl.Series, text: pl.Series) -> pl.DataFrame:
    """Samples from times in seconds and values as text; a PolarsError where one isn't a number."""
    value = text.cast(pl.Float64)
    odd = text.filter(~value.is_finite())
    if len(odd) and not (odd.str.contains(_NUMBER) | odd.str.contains(_NOT_FINITE)).all():
        raise pl.exceptions.InvalidOperationError("a value is not a number")
    return pl.DataFrame(
        {
            "sid": sid.cast(pl.UInt32),
            "ts": (seconds * 1000).round().cast(pl.Int64),
            "value": value.fill_nan(None),
        },
        schema=SAMPLES,
    )


def _warnings(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(printable(text, _SHOWN_ERROR) for text in (texts or ())[:20]))


# The general way: any JSON.


def _parse(body: bytes) -> Decoded:
    """Decode with a JSON parser, whatever the order of keys and the white space."""
    try:
        answer = _ANSWER.decode(body)
        if answer.status != "success":
            raise AnswerError(printable(_own_words(answer), _SHOWN_ERROR))
        if answer.data is None:
            raise AnswerError("an answer without data", "Is url a Prometheus API?", whole=True)
        if answer.data.kind not in {"matrix", "vector"}:
            raise AnswerError(f"the query gives a {printable(answer.data.kind, 40)}", "Write one that gives series")
        result = _RESULT.decode(answer.data.result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(body, error) from None
    warnings = list(_warnings(answer.warnings))
    if answer.partial:
        warnings.append("the server says that its answer is partial")
    histograms = sum(1 for one in result if bytes(one.histograms) or bytes(one.histogram))
    if histograms:
        warnings.append(f"native histograms of {histograms} series were left out; use histogram_quantile or similar")
    elif any(one.value is None and one.values is None for one in result):
        raise AnswerError("a series without values", "Is url a Prometheus API?", whole=True)
    points = [([one.value] if one.value else []) + (one.values or []) for one in result]
    result, points = [one for one, has in zip(result, points, strict=True) if has], [has for has in points if has]
    flat = list(chain.from_iterable(points))
    series = pl.DataFrame(
        {"labels": pl.Series([bytes(one.metric) for one in result], dtype=pl.Binary).cast(pl.String)}
    ).with_row_index("sid")
    sid = series.select(pl.col("sid").repeat_by(pl.Series([len(has) for has in points], dtype=pl.UInt32)).explode())
    try:
        samples = _samples(
            sid["sid"],
            pl.Series([seconds for seconds, _ in flat], dtype=pl.Float64),
            pl.Series([text for _, text in flat], dtype=pl.String),
        )
    except PolarsError:
        raise AnswerError("a sample whose time or value is not a number", whole=True) from None
    return Decoded(series.select(SERIES_TEXT.names()), samples, tuple(warnings))


def _own_words(answer: _Answer) -> str:
    return ": ".join(part for part in (answer.kind, answer.error) if part) or "an error without a text"


def _unreadable(body: bytes, error: Exception) -> AnswerError:
    start = body[:200].lstrip()
    if not start:
        return AnswerError("an empty answer", "Is url a Prometheus API?", whole=True)
    if start.startswith(b"<"):
        return AnswerError(
            "a web page instead of JSON", "Is url a Prometheus API, or a login page or proxy?", whole=True
        )
    return AnswerError(
        f"the answer is not complete JSON of the Prometheus API ({printable(str(error), 120)})",
        "Look at the server or at a proxy in between; nothing of the answer was used",
        whole=True,
    )
