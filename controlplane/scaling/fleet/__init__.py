"""How many members a group of equal instances needs, where they stand, and what forbids to take some away."""

from controlplane.scaling.fleet.advise import advise

__all__ = ["advise"]
