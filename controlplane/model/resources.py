"""Resources: hosts, virtual machines, brokers and the rest of an inventory."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, field_validator

from controlplane.model.base import Model, SignalName

Positive = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class ResourceKind(StrEnum):
    """What a resource is."""

    HOST = "host"
    VM = "vm"
    CONTAINER = "container"
    INSTANCE = "instance"
    BROKER = "broker"
    DATABASE = "database"
    VOLUME = "volume"
    SERVICE = "service"
    CLUSTER = "cluster"
    ZONE = "zone"
    REGION = "region"


class Capacity(Model):
    """How much a resource has; None = not stated."""

    cores: Positive | None = None
    memory_bytes: Positive | None = None
    disk_bytes: Positive | None = None
    network_bits_per_second: Positive | None = None


_CAPACITY_OF = {
    "system.cpu.usage": "cores",
    "hypervisor.vcpu.allocated": "cores",
    "hypervisor.memory.allocated": "memory_bytes",
    "system.memory.usage": "memory_bytes",
    "system.filesystem.usage": "disk_bytes",
    "system.network.throughput": "network_bits_per_second",
}
"""Signals whose limit is a field of the capacity."""


class Resource(Model):
    """One thing of an inventory; `id` is unique within its platform."""

    id: str = Field(min_length=1, max_length=200)
    platform: str
    kind: ResourceKind
    role: str = ""
    cluster: str = ""
    zone: str = ""
    region: str = ""
    host: str = ""
    """The resource that carries this one."""
    price: str | None = None
    """Id in the platform's price book."""
    capacity: Capacity = Capacity()
    limits: dict[SignalName, Positive] = Field(default_factory=dict)
    """The most that it can carry of a signal, in the signal's unit."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Its configuration; a number may have a unit (`64 GiBy`)."""
    attributes: dict[str, str] = Field(default_factory=dict)

    @field_validator("attributes", "settings", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {str(k): v if isinstance(v, str) else str(v) for k, v in value.items()}
        return value

    def limit(self, signal: str) -> float | None:
        """The most that it can carry of a signal, from its limits or its capacity; None where nothing says so."""
        if signal in self.limits:
            return self.limits[signal]
        field = _CAPACITY_OF.get(signal)
        value: float | None = getattr(self.capacity, field) if field else None
        return value

    @property
    def key(self) -> str:
        """`platform/id`, unique over all platforms."""
        return f"{self.platform}/{self.id}"


class Inventory(Model):
    """All resources known at a moment."""

    resources: tuple[Resource, ...] = ()

    def of(self, platform: str, **attributes: str) -> tuple[Resource, ...]:
        """Resources of a platform whose named fields (kind, role, cluster, zone, region, host) equal the given ones."""
        return tuple(
            resource
            for resource in self.resources
            if resource.platform == platform and all(getattr(resource, k) == v for k, v in attributes.items())
        )
