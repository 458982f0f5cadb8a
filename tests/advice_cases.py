"""Small histories, alerts and rules from which the sizing and failover methods are asked for advice."""

import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from controlplane.frames import COVERAGE, SAMPLES, SERIES, Samples
from controlplane.history import History
from controlplane.model.labels import canonical
from controlplane.model.payloads import AlertFacts
from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Price, PriceSource, Proposal, Recommendation
from controlplane.model.resources import Inventory, Resource
from controlplane.model.rules import FailoverRule, ScalingRule
from controlplane.model.severity import Severity
from controlplane.model.time import to_ms
from controlplane.tick.methods import METHODS

AT = datetime(2026, 1, 31, 19, 0, tzinfo=UTC)
STEP = timedelta(seconds=15)
HOSTILE = "x'; rm -rf / #\x1b[31m$(reboot)`id`\n@channel [b]\u202e"

Points = Iterable[tuple[timedelta, float | None]]
Series = tuple[str, Mapping[str, str], Points]


def steady(value: float | None, over: timedelta = timedelta(minutes=10)) -> Points:
    """The same value at every step before AT."""
    return moving(lambda _: value, over)


def moving(
    value: Callable[[float], float | None], over: timedelta = timedelta(minutes=10), until: timedelta = timedelta(0)
) -> Points:
    """`value(seconds before AT as a negative number)` at every step of the time before AT − until."""
    steps = range(-(over // STEP), 1)
    return [(n * STEP, value((n * STEP).total_seconds())) for n in steps if n * STEP <= -until]


def history(*series: Series, source: str = "prometheus", platform: str = "shop") -> Samples:
    """Samples of these series; null stands for a sample that is not a number."""
    rows = [(sid, source, platform, signal, canonical(labels)) for sid, (signal, labels, _) in enumerate(series)]
    samples = [
        (sid, to_ms(AT + offset), value) for sid, (_, _, points) in enumerate(series) for offset, value in points
    ]
    return Samples(
        pl.DataFrame(rows, schema=SERIES, orient="row"),
        pl.DataFrame(samples, schema=SAMPLES, orient="row", strict=False),
        COVERAGE.to_frame(),
    )


def both(*parts: Samples) -> Samples:
    """Several histories as one."""
    series, samples, start = [], [], 0
    for part in parts:
        shift = (pl.col("sid") + start).cast(pl.UInt32)
        series.append(part.series.with_columns(shift))
        samples.append(part.samples.with_columns(shift))
        start += part.series.height
    return Samples(pl.concat(series), pl.concat(samples), COVERAGE.to_frame())


def alert(
    threshold: str = "> 100000", unit: str = "{message}", *, began: timedelta = timedelta(minutes=2), **labels: str
) -> AlertFacts:
    """A firing alert with these labels whose condition began that long before AT."""
    return AlertFacts(
        alert="0123456789abcdef",
        rule="shop-alert",
        source="prometheus",
        platform="shop",
        component="core",
        labels=labels,
        severity=Severity.CRITICAL,
        title="An alert",
        summary="Something is wrong",
        value=1.0,
        threshold=threshold,
        unit=unit,
        active_at=AT - began,
    )


def price(name: str, unit: str, amount: str | None, reserved: str | None = None) -> Price:
    """An entry of a price book."""
    source = PriceSource(document="Price list", section="All", quote=f"{amount}", date="2026-01-01")
    return Price.model_validate(
        {"id": name, "item": f"one {name}", "unit": unit, "amount": amount, "reserved": reserved, "source": source}
    )


PRICES = PriceBook(
    prices=(
        price("worker", "USD/h", "0.10", "0.06"),
        price("broker", "USD", "50000"),
        price("disk", "USD/GBy.mo", "0.08"),
        price("server", "USD/mo", "400"),
        price("cross-zone", "USD/GBy", "0.01"),
        price("node", "USD/h", "2.016", "1.008"),
        price("licence", "USD/a", "1200"),
        price("secret", "USD/h", None),
    )
)


def _document(name: str, kind: str, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "kind": kind,
        "title": "Do something about it",
        "on": ["shop-alert"],
        "method": method,
        "parameters": dict(parameters),
        "basis": "house",
        "rationale": "a test",
    }


def size(
    method: str,
    parameters: Mapping[str, Any],
    facts: AlertFacts,
    samples: Samples,
    *resources: Resource,
    decided: Sequence[Recommendation] = (),
) -> Proposal:
    """Advice of a scaling method at AT."""
    rule = ScalingRule.model_validate(_document("shop-size", "scaling", method, parameters))
    return asked(rule, facts, samples, resources, decided)


def take_over(
    method: str,
    parameters: Mapping[str, Any],
    facts: AlertFacts,
    samples: Samples,
    *resources: Resource,
    decided: Sequence[Recommendation] = (),
) -> Proposal:
    """Advice of a failover method at AT."""
    rule = FailoverRule.model_validate(_document("shop-failover", "failover", method, parameters))
    return asked(rule, facts, samples, resources, decided)


def asked(
    rule: ScalingRule | FailoverRule,
    facts: AlertFacts,
    samples: Samples,
    resources: Sequence[Resource],
    decided: Sequence[Recommendation],
) -> Proposal:
    """What the rule's method says; like in a tick it sees no samples but those that it says it reads."""
    method = METHODS[type(rule.parameters)]
    history = History(facts, only(samples, rule.parameters.reads()), AT, tuple(decided))
    return method(history, rule.parameters, Inventory(resources=tuple(resources)), PRICES)


def only(samples: Samples, signals: Collection[str]) -> Samples:
    """The samples of these signals."""
    series = samples.series.filter(pl.col("signal").is_in(list(signals)))
    return Samples(series, samples.samples.join(series, on="sid", how="semi", maintain_order="left"), samples.coverage)


def resource(name: str, kind: str, **fields: Any) -> Resource:
    """A resource of the platform."""
    return Resource.model_validate({"id": name, "platform": "shop", "kind": kind, **fields})


def check_complete(proposal: Proposal) -> None:
    """What holds for every proposal: all parts are there, money adds up, and nothing in prose can move a cursor."""
    assert proposal.why
    assert proposal.inputs
    assert proposal.gain
    assert proposal.survives
    assert proposal.commands
    assert proposal.revert
    assert proposal.evidence
    assert proposal.rejected
    assert proposal.cost.do_nothing
    for name in ("per_month", "per_month_reserved", "one_off"):
        parts = [getattr(line, name) for line in proposal.cost.lines]
        expected = None if None in parts else sum(parts, Decimal(0))
        assert getattr(proposal.cost, name) == expected
    prose = [proposal.title, proposal.target, proposal.from_, proposal.to, proposal.why, proposal.gain]
    prose += [*proposal.inputs, *proposal.inputs.values(), *proposal.commands, *proposal.revert]
    prose += [item.reason for item in (*proposal.stages, *proposal.survives, *proposal.rejected)]
    prose += [item.loss for item in proposal.survives] + [item.option for item in proposal.rejected]
    prose += [line.item for line in proposal.cost.lines] + [proposal.cost.do_nothing]
    for text in prose:
        assert text.isprintable(), text


def arguments(command: str) -> list[str]:
    """What bash passes to the program of a command."""
    program, _, rest = command.partition(" ")
    script = f"{program.replace('-', '_').replace('.', '_')}() {{ printf '%s\\0' \"$@\"; }}\n"
    script += f"{program.replace('-', '_').replace('.', '_')} {rest}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def stage(proposal: Proposal, name: str) -> float:
    """The value of a stage."""
    return next(item.value for item in proposal.stages if item.name == name)


def limit(proposal: Proposal, name: str) -> str | None:
    """The limit that bit at a stage."""
    return next(item.limit for item in proposal.stages if item.name == name)
