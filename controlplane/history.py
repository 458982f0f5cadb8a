"""What a sizing or failover method starts from: its alert, and one signal's samples before an instant as columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import polars as pl

from controlplane.frames import Samples, digest, in_order
from controlplane.model.alerts import Alert
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Evidence, Recommendation
from controlplane.model.time import to_ms

FRESH = timedelta(minutes=5)
"""A sample that is older says nothing about now (Prometheus' staleness)."""
_IMPLAUSIBLE = 1e21

T = TypeVar("T")
Fold = Literal["sum", "max", "min", "mean"]


@dataclass(frozen=True, slots=True)
class History:
    """The samples of an alert's platform that were known at `at`."""

    alert: AlertFacts
    samples: Samples
    at: datetime
    decided: tuple[Recommendation, ...] = ()
    """What was executed on the platform within the last day, and what is approved; oldest decision first."""
    firing: tuple[Alert, ...] = ()
    """What else fires on the platform, or is without data."""
    found: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was found out about the samples; histories of the same samples and instant may share it."""

    @property
    def at_ms(self) -> int:
        """The instant in epoch ms."""
        return to_ms(self.at)

    def label(self, name: str) -> str:
        """A label of the alert; AdviceError where it has none of that name."""
        value = self.alert.labels.get(name, "")
        if not value:
            raise AdviceError(
                f"the alert {self.alert.rule} has no label {name}, so it doesn't say what to advise on. "
                f"Add {name} to the labels in its `by`"
            )
        return value

    def of(
        self,
        signal: str,
        *labels: str,
        fold: Fold,
        where: Mapping[str, str] | None = None,
        within: timedelta | None = None,
    ) -> pl.DataFrame:
        """Every sample of a signal: one column a label (`""` = absent), then ts and value, in that order.

        Series that agree in `labels` are folded; `where` keeps those with exactly these label values. Samples that
        are no number, infinite, after `at` or not younger than `within` are left out. A signal of the alert's source
        hides the other sources'.
        """
        names = list(dict.fromkeys((*labels, *(where or {}))))
        keyed = self.series(signal, *names).filter(*(pl.col(name) == value for name, value in (where or {}).items()))

        def make() -> pl.DataFrame:
            value = pl.col("value")
            whole = in_order(value).list
            folded = {"sum": whole.sum(), "max": value.max(), "min": value.min(), "mean": whole.mean()}[fold]
            rows = self._usable(signal, within)
            if where:
                rows = rows.filter(pl.col("sid").is_in(keyed["sid"].implode()))
            return (
                rows.join(keyed, on="sid", maintain_order="left")
                .group_by(*labels, "ts", maintain_order=True)
                .agg(folded)
                .sort(*labels, "ts")
            )

        return make() if where else self.once(("of", signal, labels, fold, within), make)

    def series(self, signal: str, *labels: str) -> pl.DataFrame:
        """sid and one column a label (`""` = absent) of each series of a signal, chosen as in `of`."""

        def make() -> pl.DataFrame:
            if not labels:
                return self._series(signal).select("sid")
            decoded = pl.col("labels").str.json_decode(pl.Struct(dict.fromkeys(labels, pl.String))).alias("label")
            named = [pl.col("label").struct.field(name).fill_null("").alias(name) for name in labels]
            return self._series(signal).with_columns(decoded).select("sid", *named)

        return self.once(("series", signal, labels), make)

    def rows(self, sids: pl.Series, within: timedelta | None = None) -> pl.DataFrame:
        """sid, ts and value of series: the samples that `of` takes, unfolded and in no order."""
        value = pl.col("value")
        kept = pl.col("sid").is_in(sids.implode()) & value.is_finite() & (value.abs() < _IMPLAUSIBLE)
        return self._rows(within).filter(kept)

    def latest(
        self,
        signal: str,
        *labels: str,
        fold: Fold,
        where: Mapping[str, str] | None = None,
        within: timedelta = FRESH,
    ) -> pl.DataFrame:
        """The newest sample of each label set that is younger than `within`: labels, ts and value."""
        return last(self.of(signal, *labels, fold=fold, where=where, within=within), *labels)

    def newest(
        self, signal: str, *, fold: Fold, where: Mapping[str, str] | None = None, within: timedelta = FRESH
    ) -> float | None:
        """The newest folded value that is younger than `within`, None where there is none."""
        frame = self.latest(signal, fold=fold, where=where, within=within)
        return None if frame.is_empty() else float(frame["value"][-1])

    def reference(self, *signals: str, within: timedelta | None = None) -> str:
        """What names exactly these samples, those younger than `within`: the beginning of their sha256."""

        def make() -> str:
            series = pl.concat([self._series(signal) for signal in signals])
            rows = self._rows(within).join(series, on="sid", how="semi")
            return "samples " + digest(Samples(series, rows, self.samples.coverage.clear()))[:16]

        return self.once(("reference", signals, within), make)

    def told(self, verdict: str = "the alert's condition is met") -> Evidence:
        """The alert itself as evidence."""
        return Evidence(
            signal=f"alert {self.alert.rule}",
            labels=self.alert.labels,
            value=self.alert.value,
            unit=self.alert.unit,
            at=self.at,
            limit=self.alert.threshold,
            verdict=verdict,
            reference=f"alert {self.alert.alert}",
        )

    def missing(self, signal: str, of: str) -> AdviceError:
        """The error for a signal without a usable sample."""
        return AdviceError(
            f"{signal} of {printable(of, 80)} has no sample in the {FRESH // timedelta(minutes=1)} minutes before "
            f"{self.at:%Y-%m-%d %H:%M:%S} UTC. Check that its source answers and that the labels agree"
        )

    def _rows(self, within: timedelta | None) -> pl.DataFrame:
        begin = [] if within is None else [pl.col("ts") > self.at_ms - ms(within)]
        return self.samples.samples.filter(pl.col("ts") <= self.at_ms, *begin)

    def _usable(self, signal: str, within: timedelta | None) -> pl.DataFrame:
        """The samples of a signal's series that are a plausible number."""

        def make() -> pl.DataFrame:
            value = pl.col("value")
            rows = self._rows(within).filter(value.is_finite(), value.abs() < _IMPLAUSIBLE)
            return rows.join(self._series(signal), on="sid", how="semi", maintain_order="left")

        return self.once(("usable", signal, within), make)

    def once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """What `make` gives, which follows from the samples, the instant and `key` alone; it is kept."""
        key = (self.alert.platform, self.alert.source, *key)
        if key not in self.found:
            self.found[key] = make()
        made: T = self.found[key]
        return made

    def _series(self, signal: str) -> pl.DataFrame:
        return self.once(("chosen", signal), lambda: self._chosen(signal))

    def _chosen(self, signal: str) -> pl.DataFrame:
        series = self.samples.series.filter(
            pl.col("signal") == signal, pl.col("platform").is_in([self.alert.platform, ""])
        )
        own = series.filter(pl.col("source") == self.alert.source)
        # Two sources, or two packs, may hold the same series; one of them is enough.
        held = (series if own.is_empty() else own).sort("platform", "source", "sid", descending=[True, False, False])
        return held.unique("labels", keep="first", maintain_order=True)


def last(frame: pl.DataFrame, *labels: str) -> pl.DataFrame:
    """The newest row of each label set of a frame with `ts`."""
    if not labels:
        return frame.sort("ts").tail(1)
    return frame.sort(*labels, "ts").group_by(*labels, maintain_order=True).last()


def ms(duration: timedelta) -> int:
    """A duration in milliseconds."""
    return round(duration / timedelta(milliseconds=1))
