"""Colours: readable on every background, in 16 colours too, and never the only sign."""

import itertools

import pytest
from rich._palettes import STANDARD_PALETTE
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet

from controlplane.model.rules import Severity
from tui import theme
from tui.widgets.status import Banner

TEXT = {
    "foreground": theme.FOREGROUND,
    "muted": theme.MUTED,
    "accent": theme.ACCENT,
    "good": theme.GOOD,
    **{severity.value: colour for severity, colour in theme.SEVERITY_COLOUR.items()},
}
BEHIND = {
    "background": theme.BACKGROUND,
    "surface": theme.SURFACE,
    "panel": theme.PANEL,
}
# The cursor's background is not drawn where there are 16 colours only.
PAIRS = list(itertools.product(TEXT.values(), [*BEHIND.values(), theme.CURSOR]))


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: ColorTriplet) -> float:
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def triplet(colour: str, system: ColorSystem = ColorSystem.TRUECOLOR) -> ColorTriplet:
    found = Color.parse(colour).downgrade(system)
    return found.triplet or STANDARD_PALETTE[found.number]


@pytest.mark.parametrize(("text", "behind"), PAIRS)
def test_text_is_readable(text: str, behind: str) -> None:
    assert contrast(triplet(text), triplet(behind)) >= 4.5


@pytest.mark.parametrize(("text", "behind"), list(itertools.product(TEXT.values(), BEHIND.values())))
def test_text_is_readable_in_16_colours(text: str, behind: str) -> None:
    """Amber has no close relative among the 16: it is bold and reaches the ratio for bold text."""
    least = 3 if text == theme.SEVERITY_COLOUR[Severity.WARNING] else 4.5
    assert contrast(triplet(text, ColorSystem.STANDARD), triplet(behind, ColorSystem.STANDARD)) >= least


@pytest.mark.parametrize("severity", list(Severity))
def test_a_reversed_severity_is_readable(severity: Severity) -> None:
    assert contrast(triplet(theme.CURSOR), triplet(theme.SEVERITY_COLOUR[severity])) >= 4.5


@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.STANDARD])
@pytest.mark.parametrize(("behind", "text"), [("#8c1d18", "#ffffff"), ("#5c4300", "#ffe9b8")])
def test_the_banner_is_readable(behind: str, text: str, system: ColorSystem) -> None:
    assert behind in Banner.DEFAULT_CSS
    assert text in Banner.DEFAULT_CSS
    assert contrast(triplet(text, system), triplet(behind, system)) >= 4.5


def test_severities_differ_by_word_and_weight() -> None:
    assert len(set(theme.SEVERITY_WORD.values())) == len(Severity)
    weights = {
        severity: (style.bold, style.reverse)
        for severity in Severity
        for style in [theme.severity_style(severity, calling=True)]
    }
    assert len(set(weights.values())) == len(Severity)
    assert theme.SEVERITY_COLOUR == {
        Severity.CRITICAL: "#FF8A80",
        Severity.WARNING: "#E69F00",
        Severity.INFO: "#56B4E9",
    }
