"""Figures of a document, word for word, and those that are no rule."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from controlplane.model.base import Model, RuleId

CHECKED = ("runtime", "headroom", "drift")
"""Ways of `evaluate` that ask for a rule; a figure for a test run (gate) or a forecast (model) is none."""

Number = Annotated[float, Strict()]


class Figure(Model):
    """One figure as its document states it; contradictions stand side by side."""

    id: str
    component: str
    kind: Literal["alert", "capacity", "config", "failover", "forecast", "scale_in", "scale_out", "slo"]
    evaluate: Literal["runtime", "headroom", "drift", "gate", "model", "none"]
    signal: str
    attributes: dict[str, str] = Field(default_factory=dict)
    comparator: Literal[">=", "<=", "==", "!=", ">", "<"]
    threshold: Number | None
    """In `unit`; None where the setting is no number."""
    expected: str | None = None
    range: tuple[Number, Number] | None = None
    unit: str
    sense: Literal["healthy", "breach"]
    """Whether the comparison is the wanted state or the trouble."""
    for_: str | None = Field(default=None, alias="for")
    cooldown: str | None = None
    severity: str | None = None
    aggregation: str | None = None
    mode: str | None = None
    derived: bool = False
    """A reading of the document, not a figure that it states in this form."""
    conflicts_with: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    section: str
    quote: str


class FigureFile(Model):
    """`figures.yaml` of a pack."""

    platform: RuleId
    document: str
    figures: tuple[Figure, ...]


class Exclusion(Model):
    """Figures that are no rule of their own, and why."""

    figures: tuple[str, ...] = Field(min_length=1)
    reason: Literal["contradiction", "duplicate", "not_observable"]
    because: str = Field(min_length=1)
    reading: str | None = None
    """Which of two contradicting figures counts."""


class ExclusionFile(Model):
    """`excluded.yaml` of a pack."""

    platform: RuleId
    excluded: tuple[Exclusion, ...]
