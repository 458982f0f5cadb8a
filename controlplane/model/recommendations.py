"""Recommendations: what to do, why, what it costs, whether it survives, and how to revert it."""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from controlplane.model.base import Duration, Instant, Model, Money
from controlplane.model.holds import Holds
from controlplane.model.states import Status as Status


class Stage(Model):
    """One stage of the number: raw, tolerance, stabilised, rate-limited, clamped."""

    name: str
    value: float
    limit: str | None = None
    """The limit that bit here, None where none did."""
    reason: str


class PriceSource(Model):
    """Where a price comes from."""

    document: str
    section: str = ""
    quote: str = ""
    date: str
    """Day (ISO) on which the price was taken from the source."""


class Price(Model):
    """One entry of a price book; `amount` None = unknown."""

    id: str
    item: str
    unit: Literal["USD/h", "USD/mo", "USD/a", "USD", "USD/GBy.mo", "USD/GBy"]
    amount: Money | None
    reserved: Money | None = None
    """The same with a reservation, in the same unit."""
    holds: Holds | None = None
    """What one of it holds, where it is a size that something can have."""
    note: str = ""
    source: PriceSource


class CostLine(Model):
    """One priced item of a change; amounts are None where the price is unknown."""

    item: str
    price: str | None
    """Id in the price book, None where there is no such entry."""
    quantity: Money
    unit: str
    """Unit of the price, such as USD/h."""
    per_month: Money | None = None
    per_month_reserved: Money | None = None
    one_off: Money | None = None
    note: str = ""
    source: PriceSource | None = None


class Cost(Model):
    """What a change costs: positive = more is spent, negative = a saving. Totals are sums of the lines.

    A total is None as soon as one line of it is unknown; `known` says whether every line has a price.
    """

    currency: str = "USD"
    per_month: Money | None
    per_month_reserved: Money | None
    one_off: Money | None
    known: bool
    lines: tuple[CostLine, ...]
    do_nothing: str
    """What it costs, in money or service, to leave things as they are."""


class Survival(Model):
    """Whether the platform carries a loss after the change."""

    loss: str
    ok: bool | None
    """None = can't be told from what is known; the reason says what is missing."""
    reason: str


class Evidence(Model):
    """One measured input: what it was, when, and which alert or samples it comes from."""

    signal: str
    labels: dict[str, str] = Field(default_factory=dict)
    value: float | None
    unit: str
    at: Instant
    limit: str | None = None
    verdict: str = ""
    reference: str = ""
    """Alert event id, or digest of the samples used."""
    trend: tuple[float | None, ...] = ()
    """Its past over the lookback of the method at equal distances, oldest first, at most 24; None = no sample."""


class Rejected(Model):
    """An alternative that was considered and why it was not chosen."""

    option: str
    reason: str


class PlanStep(Model):
    """One step of an ordered plan: what to do, and what has to be true before it is done."""

    do: str
    before: tuple[str, ...] = ()
    """Conditions to check first; where one doesn't hold, stop here."""
    commands: tuple[str, ...] = ()


class Proposal(Model):
    """A recommendation as a sizing or failover method returns it, before it has an id, version and status."""

    kind: Literal[
        "scale_out",
        "scale_in",
        "resize",
        "failover",
        "repair",
        "rebalance",
        "migrate",
        "add_storage",
        "shard",
        "investigate",
    ]
    target: str
    """What is changed, such as `consumer group billing` or `volume kafka-broker-2:/data`."""
    title: str
    from_: str = Field(alias="from")
    to: str
    why: str
    inputs: dict[str, str] = Field(default_factory=dict)
    """Inputs of the formula, with unit."""
    stages: tuple[Stage, ...] = ()
    cost: Cost
    gain: str
    survives: tuple[Survival, ...] = ()
    time_to_effect: Duration
    commands: tuple[str, ...] = ()
    plan: tuple[PlanStep, ...] = ()
    """The commands in order with what has to be true before each, where the order matters."""
    revert: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @model_validator(mode="after")
    def _planned(self) -> Self:
        if self.plan and tuple(command for step in self.plan for command in step.commands) != self.commands:
            raise ValueError("the commands of the plan, in order, aren't the commands of the proposal")
        return self


class Recommendation(Model):
    """A proposal with its identity, version, status and dates."""

    id: str
    version: int
    rule: str
    platform: str
    alert: str
    """Id of the alert that it answers."""
    status: Status
    proposal: Proposal
    at: Instant
    expires_at: Instant
    decided_by: str | None = None
    decided_at: Instant | None = None
    """When it was approved, rejected or executed."""
    reason: str | None = None

    @property
    def open(self) -> bool:
        """Whether somebody can still act on it."""
        return self.status in {Status.PROPOSED, Status.APPROVED}

    @property
    def watched(self) -> bool:
        """Whether later steps may change it: it is open, or was executed and its effect is awaited."""
        return self.open or self.status is Status.EXECUTED


def total(lines: tuple[CostLine, ...], do_nothing: str) -> Cost:
    """Add up the lines; one unknown line makes its total unknown."""

    def add(name: str) -> Decimal | None:
        amounts = [getattr(line, name) for line in lines]
        return None if any(a is None for a in amounts) else sum(amounts, Decimal(0))

    per_month, reserved, one_off = add("per_month"), add("per_month_reserved"), add("one_off")
    return Cost(
        per_month=per_month,
        per_month_reserved=reserved,
        one_off=one_off,
        known=per_month is not None and one_off is not None,
        lines=lines,
        do_nothing=do_nothing,
    )
