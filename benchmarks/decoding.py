"""Answers of Prometheus: from bytes to frames and canonical labels."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Case, Rival, Unavailable

SERIES = 500_000
STEPS = 4
_START = 1_773_338_400


def _metric(number: int) -> str:
    return (
        f'{{"__name__":"node_filesystem_avail_bytes","device":"/dev/sd{number % 26}","fstype":"ext4",'
        f'"instance":"host-{number // 50}:9100","job":"node","mountpoint":"/data/{number % 50}"}}'
    )


def vector_answer(series: int) -> bytes:
    """An instant answer as Prometheus writes it."""
    rows = ",".join(f'{{"metric":{_metric(number)},"value":[{_START},"{number * 1.5}"]}}' for number in range(series))
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{rows}]}}}}'.encode()


def matrix_answer(series: int, steps: int) -> bytes:
    """A range answer as Prometheus writes it."""
    rows = []
    for number in range(series):
        values = ",".join(f'[{_START + 15 * step},"{number * 1.5 + step}"]' for step in range(steps))
        rows.append(f'{{"metric":{_metric(number)},"values":[{values}]}}')
    return f'{{"status":"success","data":{{"resultType":"matrix","result":[{",".join(rows)}]}}}}'.encode()


def _decode(body: bytes) -> Callable[[], object]:
    from controlplane.telemetry.decode import decode

    return lambda: decode(body)


def _vector(_folder: Path) -> Callable[[], object]:
    return _decode(vector_answer(SERIES))


def _matrix(_folder: Path) -> Callable[[], object]:
    return _decode(matrix_answer(SERIES, STEPS))


def _data_frame(_folder: Path) -> Callable[[], object]:
    """The same answer as the data frame of prometheus-api-client, which needs pandas."""
    sys.path.append(str(Path(sys.prefix) / "peers"))
    try:
        from prometheus_api_client import MetricRangeDataFrame
    except ImportError:
        raise Unavailable("prometheus-api-client's data frame needs pandas; run this with make bench") from None
    body = matrix_answer(SERIES, STEPS)
    return lambda: MetricRangeDataFrame(json.loads(body)["data"]["result"])


@dataclass(frozen=True)
class Labels:
    """Canonical labels of an answer whose series were never seen, or were seen in the answer before."""

    known: bool

    def __call__(self, _folder: Path) -> Callable[[], object]:
        """All labels of one answer."""
        from controlplane.telemetry.decode import decode
        from controlplane.telemetry.series_labels import LabelTexts

        texts = decode(vector_answer(SERIES)).series["labels"]
        seen = LabelTexts({"instance": "host"})
        if self.known:
            seen.canonical(texts)
            return lambda: seen.canonical(texts)
        return lambda: LabelTexts({"instance": "host"}).canonical(texts)


_FITS = "a step of 15 s, of which collecting may take a third"

CASES = (
    Case("decode-vector", f"instant answer, {SERIES:,} series", _vector, 3, SERIES, "samples", 5.0, _FITS),
    Case(
        "decode-matrix",
        f"range answer, {SERIES:,} series × {STEPS} steps",
        _matrix,
        9,
        SERIES * STEPS,
        "samples",
        5.0,
        _FITS,
        Rival("client-matrix", faster=10, memory=1 / 3),
    ),
    Case(
        "client-matrix",
        "the same as prometheus-api-client's MetricRangeDataFrame",
        _data_frame,
        2,
        SERIES * STEPS,
        "samples",
    ),
    Case("labels-new", f"labels of {SERIES:,} series, never seen", Labels(known=False), 3, SERIES, "series"),
    Case("labels-known", f"labels of {SERIES:,} series, as before", Labels(known=True), 3, SERIES, "series"),
)
