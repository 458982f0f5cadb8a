"""Parameters of the sizing and failover methods, as a rule writes them under `parameters`.

Every default that no source gives is this house's and says so; a pack overrides it where its documents speak.
"""

from typing import Any, Literal

from controlplane.model.methods.base import Bytes, Parameters, Step, parse_bytes
from controlplane.model.methods.brokers import BrokerLoad, Brokers
from controlplane.model.methods.failover import Load, Primary, Zone
from controlplane.model.methods.fleet import Fleet
from controlplane.model.methods.readiness import Standby
from controlplane.model.methods.scaling import ConsumerLag, Placement, StorageGrowth

__all__ = [
    "PARAMETERS",
    "BrokerLoad",
    "Brokers",
    "Bytes",
    "ConsumerLag",
    "FailoverMethod",
    "FailoverParameters",
    "Fleet",
    "Load",
    "Parameters",
    "Placement",
    "Primary",
    "ScalingMethod",
    "ScalingParameters",
    "Standby",
    "Step",
    "StorageGrowth",
    "Zone",
    "check_parameters",
    "parse_bytes",
]

ScalingMethod = Literal["consumer_lag", "brokers", "storage_growth", "placement", "fleet"]
ScalingParameters = ConsumerLag | Brokers | StorageGrowth | Placement | Fleet
FailoverMethod = Literal["primary", "zone", "standby"]
FailoverParameters = Primary | Zone | Standby

PARAMETERS: dict[str, type[Parameters]] = {
    "consumer_lag": ConsumerLag,
    "brokers": Brokers,
    "storage_growth": StorageGrowth,
    "placement": Placement,
    "fleet": Fleet,
    "primary": Primary,
    "zone": Zone,
    "standby": Standby,
}
"""Method → the model of its parameters."""


def check_parameters(method: str | None, value: Any) -> Any:
    """`value` as the model of the method; pydantic's ValidationError keeps the place of each finding in it.

    An unknown method leaves the value as it is: the error of the method is told already.
    """
    model = PARAMETERS.get(method or "")
    return value if model is None else model.model_validate(value)
