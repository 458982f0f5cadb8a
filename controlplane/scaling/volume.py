"""A file system: its size, what is used of it, and how that changes."""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from controlplane.history import FRESH, History, ms
from controlplane.model.errors import AdviceError
from controlplane.model.labels import printable
from controlplane.model.methods import StorageGrowth
from controlplane.model.resources import Inventory, ResourceKind
from controlplane.model.time import format_duration, from_ms, human_duration
from controlplane.scaling.trend import Trend, trend

USAGE = "system.filesystem.usage"
LIMIT = "system.filesystem.limit"
UTILISATION = "system.filesystem.utilization"
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume now and its trend, in bytes."""

    host: str
    mountpoint: str
    used: float
    size: float
    trend: Trend

    @property
    def shown(self) -> str:
        """Its name, safe to print."""
        return f"{printable(self.host, 60)}:{printable(self.mountpoint, 60)}"

    @property
    def growth(self) -> float:
        """By/s, 0 where it doesn't grow."""
        return max(0.0, self.trend.per_second)

    def full_in(self, size: float, share: float = 1.0) -> timedelta | None:
        """Until that share of a size is used; None where the volume doesn't grow or it takes 100 years."""
        left = size * share - self.used
        if left <= 0:
            return timedelta(0)
        seconds = left / self.growth if self.growth > 0 else float("inf")
        return timedelta(seconds=seconds) if seconds < 100 * 365 * DAY else None


def read_volume(history: History, p: StorageGrowth, inventory: Inventory) -> Volume:
    """The alert's volume; AdviceError where its size, its usage or enough history of it is missing."""
    host, mountpoint = history.label("host"), history.label("mountpoint")
    where = {"host": host, "mountpoint": mountpoint}
    name = f"{host}:{mountpoint}"
    share = history.of(UTILISATION, fold="max", where=where).rename({"value": "share"})
    usage = history.of(USAGE, fold="max", where=where)
    size = history.newest(LIMIT, fold="max", where=where) or _stated(history, inventory, host, mountpoint)
    if size is None and usage.height and share.height:
        both = usage.join(share, on="ts").filter(pl.col("share") > 0).sort("ts")
        size = None if both.is_empty() else both["value"][-1] / both["share"][-1]
    if size is None or size <= 0:
        raise history.missing(LIMIT, name)
    if usage.is_empty():
        usage = share.select("ts", (pl.col("share") * size).alias("value"))
    fitted = trend(usage, p.drop)
    if fitted is None or fitted.last_ms <= history.at_ms - ms(FRESH):
        raise history.missing(USAGE, name)
    if fitted.samples < p.minimum_samples or fitted.seconds < p.minimum_history.total_seconds():
        raise AdviceError(
            f"too little history of {USAGE} of {printable(name, 80)}: {fitted.samples} samples over "
            f"{human_duration(timedelta(seconds=fitted.seconds))} since {from_ms(fitted.since_ms):%H:%M:%S} UTC, and a "
            f"trend takes {p.minimum_samples} over {format_duration(p.minimum_history)}. It starts anew when the usage "
            f"falls by more than {p.drop * 100:g} %"
        )
    return Volume(host, mountpoint, fitted.newest, size, fitted)


def _stated(history: History, inventory: Inventory, host: str, mountpoint: str) -> float | None:
    """The size that the inventory states for this volume."""
    for resource in inventory.of(history.alert.platform, kind=ResourceKind.VOLUME):
        if resource.host == host and resource.attributes.get("mountpoint") == mountpoint:
            return resource.capacity.disk_bytes
    return None
