"""What one thing that is bought or rented holds."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from controlplane.model.base import Model
from controlplane.model.sizes import Bytes
from controlplane.model.units import parse_bits_per_second

Some = Annotated[float, Field(gt=0, allow_inf_nan=False)]
BitsPerSecond = Annotated[
    float, BeforeValidator(parse_bits_per_second), PlainSerializer(lambda rate: rate, return_type=float), Field(gt=0)
]


class Holds(Model):
    """Cores, memory and disk (bytes) and network (bit/s) of one thing; None = not stated."""

    cores: Some | None = None
    memory: Annotated[Bytes, Field(gt=0)] | None = None
    disk: Annotated[Bytes, Field(gt=0)] | None = None
    network: BitsPerSecond | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.cores is None and self.memory is None and self.disk is None and self.network is None:
            raise ValueError(
                "say what one of it holds: cores, memory, disk or network, such as {cores: 8, memory: 32 GBy}"
            )
        return self
