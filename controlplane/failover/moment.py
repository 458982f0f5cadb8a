"""What readiness is assessed from: the samples, inventory and prices of a platform at an instant."""

from dataclasses import dataclass
from datetime import datetime

from controlplane.frames import Samples
from controlplane.model.prices import PriceBook
from controlplane.model.resources import Inventory
from controlplane.model.time import to_ms


@dataclass(frozen=True, slots=True)
class Moment:
    """One platform at one instant; `samples` reach back as far as the parameters' `lookback`."""

    platform: str
    samples: Samples
    inventory: Inventory
    prices: PriceBook
    at: datetime

    @property
    def at_ms(self) -> int:
        """The instant in epoch ms."""
        return to_ms(self.at)
