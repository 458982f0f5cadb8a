"""A message as an event of PagerDuty's Events API v2; the routing key is added when it is sent.

Limits: summary 1,024 characters, dedup_key 255, whole event 512 KB.
"""

import json
from typing import Any

from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Message
from controlplane.notify import message as words
from controlplane.notify.message import fit

SUMMARY = 1_024
DEDUP_KEY = 255
EVENT_BYTES = 512_000
_FIELD = 500
_RESERVE = 1_000


def pagerduty(message: Message) -> dict[str, Any]:
    """The body for /v2/enqueue without routing_key: a trigger with all that is known, or what became of its key."""
    if message.action is not Action.TRIGGER:
        return {"event_action": message.action.value, "dedup_key": message.dedup_key[:DEDUP_KEY]}
    client = f"controlplane ({printable(message.environment)})" if message.environment else "controlplane"
    body: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": message.dedup_key[:DEDUP_KEY],
        "client": fit(client, _FIELD),
        "payload": {
            "summary": fit(" · ".join((words.headline(message), words.place(message), *_worst(message))), SUMMARY),
            "source": fit(_source(message), _FIELD),
            "severity": message.severity.value,
            "timestamp": message.at.isoformat(timespec="milliseconds"),
            "component": fit(printable(message.component), _FIELD),
            "group": fit(printable(message.platform), _FIELD),
            "class": fit(printable(message.rule), _FIELD),
            "custom_details": _details(message),
        },
        "links": [{"href": url, "text": "Runbook"}] if (url := words.link(message)) else [],
    }
    evidence = body["payload"]["custom_details"]["evidence"]
    while evidence and size(body) > EVENT_BYTES - _RESERVE:
        evidence.pop()
    return body


def resolve(dedup_key: str) -> dict[str, Any]:
    """The body that ends the page of this key."""
    return {"event_action": "resolve", "dedup_key": dedup_key[:DEDUP_KEY]}


def size(body: dict[str, Any]) -> int:
    """Bytes of the body as it is sent."""
    return len(json.dumps(body, ensure_ascii=False).encode())


def _source(message: Message) -> str:
    where = f"{printable(message.platform)}/{printable(message.component)}"
    return f"{printable(message.environment)}/{where}" if message.environment else where


def _worst(message: Message) -> list[str]:
    return [printable(message.members[0].summary)] if message.members else []


def _details(message: Message) -> dict[str, Any]:
    return {
        "state": words.state(message),
        "numbers": words.numbers(message),
        "incident": printable(message.incident),
        "rule": printable(message.rule),
        "runbook": printable(message.runbook, 1_000) if message.runbook else "none",
        **({"note": printable(message.note, words.NOTE)} if message.note else {}),
        **({"reach": words.impact(message)} if message.impact else {}),
        **({"first_check": "\n".join(words.check(message)).strip()} if message.check else {}),
        **({"muted_by_it": [line.removeprefix("- ") for line in words.hidden(message)[1:]]} if message.hidden else {}),
        "evidence": [
            {
                "summary": printable(item.summary),
                **({"value": words.value(item)} if item.threshold else {}),
                "labels": {printable(name): printable(text) for name, text in item.labels.items()},
                "since": item.active_at.isoformat(timespec="seconds"),
                "firing": item.firing,
            }
            for item in message.members
        ],
        "recommendations": [
            {
                "title": printable(item.title),
                "change": printable(item.change, 300),
                "cost_per_month": printable(item.per_month),
                "cost_one_off": printable(item.one_off),
                "survives": printable(item.survives, 300),
                "first_command": printable(item.first_command, 500),
                "recommendation": f"{printable(item.recommendation)} version {item.version}",
            }
            for item in message.advice
        ],
    }
