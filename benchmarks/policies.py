"""A backtest of the scaling policies that ship for a fleet of 2,000 instances, over a day of their loads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Case
from benchmarks.world import START_MS, STEP_MS

EACH = 1_000
"""Redis nodes, and as many proxies."""
STEPS_AN_HOUR = 3_600_000 // STEP_MS
_LOADS = {
    "redis-hot-tier": {
        "system.cpu.utilization": 0.55,
        "system.memory.utilization": 0.6,
        "system.network.throughput": 5e9,
        "instance.up": 1.0,
    },
    "proxy-nodes": {"system.cpu.utilization": 0.5, "rpc.server.request.rate": 18_000.0, "instance.up": 1.0},
}
_SWING = 0.45
"""By so much of it CPU, network and requests rise by noon and fall by midnight; the rest stays."""
_STEADY = {"system.memory.utilization", "instance.up"}
SERIES = sum(EACH * len(loads) for loads in _LOADS.values())
A_DAY = 24 * STEPS_AN_HOUR * SERIES

INVENTORY = f"""resources:
  - id: "redis-{{n:04}}"
    count: {EACH}
    zones: [us-west-2a, us-west-2b, us-west-2c]
    kind: instance
    role: redis-hot-tier
    price: r6i.4xlarge
  - id: "proxy-{{n:04}}"
    count: {EACH}
    zones: [us-west-2a, us-west-2b, us-west-2c]
    kind: instance
    role: proxy-nodes
    price: c6i.2xlarge
"""


def write(path: Path, hours: int) -> None:
    """A file in the order of time, which begins in the quiet hours; each instance differs a little from the others."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("ts", pa.int64()), ("signal", text), ("labels", text), ("value", pa.float64())])
    signals = sorted({signal for loads in _LOADS.values() for signal in loads})
    labels: list[str] = []
    level: list[float] = []
    steady: list[bool] = []
    of_signal: list[int] = []
    of_labels: list[int] = []
    for group, loads in _LOADS.items():
        first = len(labels)
        tier = group.partition("-")[0]
        labels += [f'{{"group":"{group}","host":"{tier}-{number:04}"}}' for number in range(1, EACH + 1)]
        for signal, value in loads.items():
            level += [value] * EACH
            steady += [signal in _STEADY] * EACH
            of_signal += [signals.index(signal)] * EACH
            of_labels += range(first, first + EACH)
    chance = np.random.default_rng(7)
    base, moves = np.array(level), ~np.array(steady)
    own = np.where(base == 1.0, 1.0, 1 + 0.02 * chance.standard_normal(SERIES))
    part = STEPS_AN_HOUR // 3
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["signal", "labels"]) as writer:
        for number in range(3 * hours):
            steps = number * part + np.arange(part, dtype=np.int64)
            swing = -_SWING * np.cos(2 * np.pi * steps / (24 * STEPS_AN_HOUR))
            value = base * own * (1 + swing[:, None] * moves)
            columns = [
                np.repeat(START_MS + STEP_MS * steps, SERIES),
                pa.DictionaryArray.from_arrays(np.tile(np.array(of_signal, dtype=np.int32), part), pa.array(signals)),
                pa.DictionaryArray.from_arrays(np.tile(np.array(of_labels, dtype=np.int32), part), pa.array(labels)),
                np.round(value, 4).ravel(),
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=part * SERIES)


@dataclass(frozen=True)
class Policies:
    """Everything from the files to the document, with an inventory and prices."""

    hours: int

    def __call__(self, folder: Path) -> Callable[[], object]:
        """The backtest of so many hours."""
        from datetime import timedelta
        from importlib import resources
        from tempfile import TemporaryDirectory

        from controlplane.backtest.report import Night
        from controlplane.backtest.setup import Asked, backtest, prepare

        pack = Path(str(resources.files("alert_rules"))) / "prism"
        prices = Path(str(resources.files("fixtures"))) / "prism" / "prices.yaml"
        samples, inventory = folder / "samples.parquet", folder / "inventory.yaml"
        inventory.write_text(INVENTORY, encoding="utf-8")
        write(samples, self.hours)
        rules = (pack / "autoscaling.yaml", pack / "proxy.yaml")
        asked = Asked((rules,), samples, timedelta(milliseconds=STEP_MS), inventory=inventory, prices=prices)

        def run() -> object:
            with TemporaryDirectory(dir=folder) as name:
                ready = prepare(asked, Path(name), _quiet)
                (document,) = backtest(ready, Path(name), Night(), _quiet).documents
            assert document["summary"]["samples"] == self.hours * STEPS_AN_HOUR * SERIES
            kinds = {one["kind"] for one in document["recommendations"]}
            assert {"scale_in", "investigate"} <= kinds, kinds
            return document

        return run


def _quiet(_what: str, _share: float) -> None:
    pass


CASES = (
    Case(
        "backtest-policies",
        f"a day of {2 * EACH:,} instances with the scaling policies of a pack, asked every 5 minutes",
        Policies(24),
        1,
        A_DAY,
        "samples",
        180.0,
        "no longer than a week without advice",
        on_request=True,
    ),
)
