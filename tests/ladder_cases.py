"""A cluster of MQTT nodes on a ladder of 1, 3 and 5, for the tests of its method."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from controlplane.frames import Samples
from controlplane.model.payloads import AlertFacts
from controlplane.model.recommendations import Proposal, Recommendation
from controlplane.model.resources import Resource
from tests.advice_cases import Series, alert, history, resource, size, steady

MESSAGES, CLIENTS, CROSSING, UP, CPU = "mq.rate", "mq.clients", "mq.crossing", "mq.up", "system.cpu.utilization"
HOURS = timedelta(hours=3)
PARAMETERS: dict[str, Any] = {
    "role": "mq",
    "loads": [
        {"signal": MESSAGES, "name": "message", "unit": "{message}/s", "local": True},
        {"signal": CLIENTS, "name": "connection", "unit": "{connection}"},
    ],
    "crossing": CROSSING,
    "up": UP,
    "takeover_rate": 100.0,
    "takeover_of": CLIENTS,
    "tunings": [
        {"name": "standard", "limits": {CLIENTS: 131072.0}, "memory": "16 GBy"},
        {"name": "aggressive", "limits": {CLIENTS: 250000.0}, "memory": "32 GBy"},
        {"name": "maximum", "limits": {CLIENTS: 500000.0}, "memory": "64 GBy"},
    ],
    "larger": [{"name": "bare-metal", "limits": {MESSAGES: 500000.0}, "price": "licence"}],
    "start_commands": [["ssh", "--", "{node}", "sudo systemctl start broker"]],
    "stop_commands": [["ssh", "--", "{node}", "sudo systemctl stop broker"]],
    "drain_commands": [["lb", "drain", "--", "{node}"]],
    "admit_commands": [["lb", "ready", "--", "{node}"]],
}


def nodes(count: int, *, memory: float = 32e9, prefix: str = "mq-", clients: float = 131072.0) -> tuple[Resource, ...]:
    """Nodes in three zones, with the limits of standard tuning."""
    return tuple(
        resource(
            f"{prefix}{n}",
            "host",
            role="mq",
            cluster="mq-a",
            zone=f"zone-{'abc'[(n - 1) % 3]}",
            price="server",
            capacity={"cores": 8.0, "memory_bytes": memory},
            limits={MESSAGES: 300000.0, CLIENTS: clients},
        )
        for n in range(1, count + 1)
    )


def load(
    count: int,
    messages: float,
    clients: float,
    *,
    crossing: float | None = 0.05,
    over: timedelta = HOURS,
    more: Sequence[Series] = (),
    prefix: str = "mq-",
) -> Samples:
    """Messages a second and clients of the cluster, spread evenly over its nodes."""
    series: list[Series] = []
    for n in range(1, count + 1):
        labels = {"cluster": "mq-a", "node": f"{prefix}{n}"}
        series.append((MESSAGES, labels, steady(messages / count, over)))
        series.append((CLIENTS, labels, steady(clients / count, over)))
    if crossing is not None:
        series.append((CROSSING, {"cluster": "mq-a"}, steady(crossing, over)))
    return history(*series, *more)


def ask(
    samples: Samples,
    *resources: Resource,
    facts: AlertFacts | None = None,
    decided: Sequence[Recommendation] = (),
    parameters: Mapping[str, Any] = PARAMETERS,
    **more: Any,
) -> Proposal:
    """Advice of the ladder at AT."""
    facts = facts or alert("> 700000", "{message}/s", cluster="mq-a")
    return size("ladder", {**parameters, **more}, facts, samples, *resources, decided=decided)
