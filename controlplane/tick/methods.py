"""Every method of advice by the model of its parameters."""

from controlplane import failover, scaling

METHODS = {**scaling.METHODS, **failover.METHODS}
"""AdviceError says what is missing where the inputs don't allow a proposal."""
