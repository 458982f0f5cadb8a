"""What parameters of methods are made of: strict shares, rates, durations and steps."""

from collections.abc import Collection
from datetime import timedelta
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from controlplane.model.base import Duration


class Parameters(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    lookback: ClassVar[timedelta] = timedelta(hours=6)
    """How far back the method looks."""

    def reads(self) -> Collection[str]:
        """Signals whose samples the method looks at; it is given no others."""
        raise NotImplementedError(type(self).__name__)


Fraction = Annotated[float, Strict(), Field(gt=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
PriceId = Annotated[str, Field(min_length=1, max_length=200)]


class Step(Parameters):
    """The largest change at once; where both are given the larger one holds (HPA, policy Max)."""

    percent: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] | None = None
    """Of the size before the change."""
    count: Annotated[int, Strict(), Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.percent is None and self.count is None:
            raise ValueError("a step needs percent, count or both, such as {percent: 100, count: 4}")
        return self
