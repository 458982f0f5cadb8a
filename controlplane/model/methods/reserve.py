"""Parameters of the method that says what makes the loss of a zone, region or host bearable."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field, Strict

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Parameters, PriceId


class Lag(BaseModel):
    """How far behind those that take over are: a signal in its `unit` of time, the largest of its series."""

    model_config = Parameters.model_config

    signal: Annotated[str, Field(min_length=1)]
    where: dict[str, str] = Field(default_factory=dict)
    """Only series with exactly these labels."""
    label: Literal["zone", "region", "host", "cluster"] | None = None
    """The label that holds the name of what is lost; absent = every series counts."""
    unit: Literal["ms", "s", "min", "h", "d"] = "s"


class Reserve(Parameters):
    """`reserve`: instances that have to be added before the loss of one cell could be carried.

    Reads the signals of `of` and `up`. The role is the label `role` of the alert.
    """

    cell: Literal["zone", "region", "host", "cluster"]
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    """Loads of the members, as in the derived signal `survivor_load`."""
    by: str = "host"
    up: str | None = None
    roles: tuple[str, ...] = ()
    limit: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] = 1.0
    """Most load of those that are left, as a share of what they can carry."""
    asked: bool = False
    """Without samples of `of`, the load of a host is what the inventory's machines on it ask for."""
    mode: Literal["automatic", "manual", "none"] = "automatic"
    """Who moves the load when a cell is lost."""
    takes: Duration | None = None
    """Until those that are left serve; absent = not known."""
    rto_target: Duration | None = None
    rpo_target: Duration | None = None
    """Documented objectives."""
    lag: Lag | None = None
    unit: Annotated[int, Strict(), Field(ge=1)] = 1
    """Instances are added in whole multiples of this."""
    units: dict[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    """The same by role, where it differs."""
    maximum: dict[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    """Largest number of members by role."""
    price: PriceId | None = None
    """Of one instance; absent = the price that most members have in the inventory."""
    time_to_effect: Duration = timedelta(minutes=10)
    """Until added instances serve."""
    commands: Annotated[tuple[Argv, ...], templates("role", "add", "total", "before", "cells")] = (
        (
            "aws",
            "autoscaling",
            "set-desired-capacity",
            "--auto-scaling-group-name={role}",
            "--desired-capacity={total}",
        ),
    )
    revert: Annotated[tuple[Argv, ...], templates("role", "add", "total", "before", "cells")] = (
        (
            "aws",
            "autoscaling",
            "set-desired-capacity",
            "--auto-scaling-group-name={role}",
            "--desired-capacity={before}",
        ),
    )

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        return (*self.of, *((self.up,) if self.up else ()))
