"""One tick, in the order in which the data moves: inventory, collect, decide, deliver."""

from controlplane.tick.plane import ControlPlane
from controlplane.tick.run import TickReport, tick

__all__ = ["ControlPlane", "TickReport", "tick"]
