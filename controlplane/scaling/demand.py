"""What a consumer group has to do and does: backlog, and the rates at which messages come in and are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import polars as pl

from controlplane.burrow import KEYS
from controlplane.frames import in_order, quotient
from controlplane.history import FRESH, History, last, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.time import from_ms, human_duration

LAG = "kafka.consumer.lag"
COMMITTED = "kafka.consumer.offset"
LOG_END = "kafka.partition.offset"
SIGNALS = (LAG, COMMITTED, LOG_END)


@dataclass(frozen=True, slots=True)
class Flows:
    """Lag, committed offsets and ends of the log of a group's partitions: topic, partition, ts and value each."""

    lag: pl.DataFrame
    commits: pl.DataFrame
    log: pl.DataFrame

    def without(self, partitions: pl.DataFrame) -> "Flows":
        """The same without these partitions."""

        def other(frame: pl.DataFrame) -> pl.DataFrame:
            return frame.join(partitions, on=KEYS, how="anti")

        return Flows(other(self.lag), other(self.commits), other(self.log))

    def lag_now(self, at_ms: int) -> pl.DataFrame:
        """The newest lag of each partition that isn't stale at that instant."""
        return last(self.lag.filter(pl.col("ts") <= at_ms, pl.col("ts") > at_ms - ms(FRESH)), *KEYS)

    def judged(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Commits with offset and lag, and ends of the log, as `lag_status` takes them."""
        lags = self.lag.rename({"value": "lag"})
        commits = self.commits.rename({"value": "offset"}).join(lags, on=[*KEYS, "ts"], how="left")
        return commits, self.log.rename({"value": "offset"})


@dataclass(frozen=True, slots=True)
class Demand:
    """Messages that wait, and messages a second that come in and that are read."""

    lag: float
    produce: float
    consume: float

    @property
    def growth(self) -> float:
        """Messages/s by which the backlog grows; negative where it drains."""
        return self.produce - self.consume

    def required(self, drain_seconds: float) -> float:
        """Messages/s to keep up and to work the backlog off within the time."""
        return self.produce + self.lag / drain_seconds


def read_flows(history: History, group: str) -> Flows:
    """The group's flows; AdviceError names what is missing."""
    where = {"consumer_group": group}
    topic = history.alert.labels.get("topic")
    where |= {"topic": topic} if topic else {}
    lag = history.of(LAG, *KEYS, fold="sum", where=where)
    commits = history.of(COMMITTED, *KEYS, fold="max", where=where)
    log = history.of(LOG_END, *KEYS, fold="max").join(lag.select("topic").unique(), on="topic", how="semi")
    if (lag["partition"] == "").all() and (commits["partition"] != "").any():
        # Lag measured by topic says nothing about partitions; the offsets do.
        ends = log.rename({"value": "end"})
        behind = (pl.col("end") - pl.col("value")).clip(lower_bound=0).alias("value")
        derived = commits.join(ends, on=[*KEYS, "ts"]).select(*KEYS, "ts", behind)
        lag = lag if derived.is_empty() else derived
    flows = Flows(lag, commits, log)
    if flows.lag_now(history.at_ms).is_empty():
        raise history.missing(LAG, f"consumer group {group}")
    if commits.is_empty() and log.is_empty():
        raise AdviceError(
            f"neither {COMMITTED} nor {LOG_END} is known for consumer group {printable(group, 80)}, "
            "so the rates at which messages come in and are read can't be told. Collect at least one of them"
        )
    return flows


def measure(flows: Flows, at_ms: int, over_ms: int, minimum_ms: int) -> Demand:
    """Backlog and rates at an instant, the rates over the time before it; AdviceError where the history is too short.

    Where one of the two offsets isn't measured it follows from the other and from how the lag changed.
    """
    now = flows.lag_now(at_ms)
    behind = now.filter(pl.col("value") > 0)
    lag = fsum(now["value"])

    def rate(frame: pl.DataFrame, what: str, falls: bool = False) -> float:
        rates = _rates(frame, at_ms, over_ms, minimum_ms, falls=falls)
        by = list(KEYS) if _same_grain(frame, now) else ["topic"]
        lacking = behind.join(rates, on=by, how="anti")
        if lacking.height:
            raise AdviceError(
                f"too little history: {what} of {lacking.height} of {behind.height} partitions with lag "
                f"({_named(lacking)}) is known for less than {human_duration(from_ms(minimum_ms) - from_ms(0))} "
                f"within the {human_duration(from_ms(over_ms) - from_ms(0))} before {from_ms(at_ms):%H:%M:%S} UTC"
            )
        return fsum(rates.join(now, on=by, how="semi")["rate"])

    if flows.commits.is_empty():
        produce = rate(flows.log, LOG_END)
        return Demand(lag, produce, max(0.0, produce - rate(flows.lag, LAG, falls=True)))
    consume = rate(flows.commits, COMMITTED)
    if flows.log.is_empty():
        return Demand(lag, max(0.0, consume + rate(flows.lag, LAG, falls=True)), consume)
    return Demand(lag, rate(flows.log, LOG_END), consume)


def _rates(frame: pl.DataFrame, at_ms: int, over_ms: int, minimum_ms: int, *, falls: bool) -> pl.DataFrame:
    """Change per second of each partition: topic, partition, rate. Falls of an offset count as no progress."""
    change = pl.col("value").diff()
    return (
        frame.filter(pl.col("ts").is_between(at_ms - over_ms, at_ms))
        .sort(*KEYS, "ts")
        .group_by(KEYS, maintain_order=True)
        .agg(
            in_order(change if falls else change.clip(lower_bound=0)).list.sum().alias("change"),
            (pl.col("ts").last() - pl.col("ts").first()).alias("span"),
        )
        .filter(pl.col("span") >= minimum_ms)
        .select(*KEYS, quotient(pl.col("change") * 1000, pl.col("span")).alias("rate"))
    )


def _same_grain(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    return bool((left["partition"] != "").any()) == bool((right["partition"] != "").any())


def _named(partitions: pl.DataFrame, most: int = 3) -> str:
    names: Sequence[tuple[str, str]] = partitions.select(KEYS).head(most).rows()
    text = ", ".join(printable(f"{topic}/{partition}" if partition else topic, 60) for topic, partition in names)
    return text + (", …" if partitions.height > most else "")
