"""Whether what is set up to be received can be, and whether what came was signed as it should."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from controlplane.listening import Receive
from controlplane.model.units import many
from controlplane.monitor.vitals import Received, ReceiveVitals, read
from controlplane.secret import MissingSecret

Looked = tuple[Literal["ok", "warn", "fail"], str, str]
"""Verdict, what was found, what to do."""


def look(receive: Receive, home: Path) -> Iterator[Looked]:
    """A finding for each endpoint and for the address; none where nothing is set up."""
    there = {name: secret for name, secret in receive.endpoints.items() if secret is not None}
    if receive.address is None:
        if there:
            remedy = "Set receive.address, such as 127.0.0.1:10634"
            yield "warn", f"{' and '.join(there)} can't tell anything: nothing listens", remedy
        return
    seen = (read(home, ReceiveVitals) or ReceiveVitals()).endpoints
    for name, secret in there.items():
        try:
            secret.read()
        except MissingSecret as error:
            yield "fail", f"{name}: {error}", f"Provide the secret of receive.{name}"
            continue
        yield _came(name, seen.get(name, Received()))
    if not receive.local:
        remedy = "Listen on 127.0.0.1 behind a proxy with TLS: without it, what is sent can be read on its way"
        yield "warn", f"{receive.address} can be reached from other machines", remedy


def _came(name: str, row: Received) -> Looked:
    if row.unsigned_at is not None and (row.at is None or row.at < row.unsigned_at):
        count = many(row.outcomes.get("unsigned", 0), "request")
        message = f"{name}: {count} without a good signature, the last one at {row.unsigned_at:%Y-%m-%d %H:%MZ}"
        remedy = f"Compare the secret of receive.{name} with the provider's; where it is right, somebody else asks"
        return "warn", message, remedy
    last = "nothing came yet" if row.at is None else f"the last request came at {row.at:%Y-%m-%d %H:%MZ}"
    return "ok", f"{name} is ready; {last}", ""
