"""Colours: readable on every background, in 16 colours and for the colour-blind too, and never the only sign."""

import itertools

import pytest
from rich._palettes import STANDARD_PALETTE
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet

from controlplane.eventlog.log import EventLog
from controlplane.model.severity import Severity
from tests.tui.driving import alerts, ready, terminal
from tui import theme
from tui.theme import COLOUR_BLIND, DARK, LIGHT, PALETTES, Palette
from tui.widgets.status import Banner


def texts(palette: Palette) -> dict[str, str]:
    named = {name: getattr(palette, name) for name in ("foreground", "muted", "accent", "good")}
    return named | {severity.value: colour for severity, colour in palette.severity.items()}


def behind(palette: Palette) -> list[str]:
    return [palette.background, palette.surface, palette.panel, palette.cursor]


PAIRS = [
    pytest.param(text, back, id=f"{palette.name}-{name}-{back}")
    for palette in PALETTES.values()
    for name, text in texts(palette).items()
    for back in behind(palette)
]
# The cursor's background is not drawn where there are 16 colours only.
PAIRS_OF_16 = [
    pytest.param(text, back, name, id=f"{palette.name}-{name}-{back}")
    for palette in (DARK, COLOUR_BLIND)
    for name, text in texts(palette).items()
    for back in behind(palette)[:3]
]
# Simulation of the three kinds of colour blindness on linear RGB (Machado, Oliveira, Fernandes 2009, severity 1.0).
BLIND = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def linear(colour: ColorTriplet) -> list[float]:
    parts = [part / 255 for part in colour]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(colour: ColorTriplet) -> float:
        red, green, blue = linear(colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def triplet(colour: str, system: ColorSystem = ColorSystem.TRUECOLOR) -> ColorTriplet:
    found = Color.parse(colour).downgrade(system)
    return found.triplet or STANDARD_PALETTE[found.number]


def lab(rgb: list[float]) -> tuple[float, float, float]:
    red, green, blue = (min(1.0, max(0.0, part)) for part in rgb)
    parts = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in parts)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def difference(one: str, other: str, kind: str) -> float:
    """How far apart two colours look (CIE76) for somebody with a kind of colour blindness."""
    seen = []
    for colour in (one, other):
        rgb = linear(triplet(colour))
        seen.append(lab([sum(a * b for a, b in zip(row, rgb, strict=True)) for row in BLIND[kind]]))
    return sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5


@pytest.mark.parametrize(("text", "back"), PAIRS)
def test_text_is_readable(text: str, back: str) -> None:
    assert contrast(triplet(text), triplet(back)) >= 4.5


@pytest.mark.parametrize(("text", "back", "name"), PAIRS_OF_16)
def test_text_is_readable_in_16_colours(text: str, back: str, name: str) -> None:
    """Amber and orange have no close relative among the 16: they are bold and reach the ratio for bold text."""
    least = 3 if name in {"warning", "critical"} else 4.5
    assert contrast(triplet(text, ColorSystem.STANDARD), triplet(back, ColorSystem.STANDARD)) >= least


@pytest.mark.parametrize("palette", PALETTES.values(), ids=lambda palette: palette.name)
@pytest.mark.parametrize("severity", list(Severity))
def test_a_reversed_severity_is_readable(palette: Palette, severity: Severity) -> None:
    assert contrast(triplet(palette.cursor), triplet(palette.severity[severity])) >= 4.5


@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.STANDARD])
@pytest.mark.parametrize(("back", "text"), [("#8c1d18", "#ffffff"), ("#5c4300", "#ffe9b8"), ("#174a7c", "#ffffff")])
def test_the_banner_is_readable(back: str, text: str, system: ColorSystem) -> None:
    assert f"background: {back}; color: {text};" in Banner.DEFAULT_CSS
    assert contrast(triplet(text, system), triplet(back, system)) >= 4.5


@pytest.mark.parametrize("kind", BLIND)
@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(Severity, 2)))
def test_severities_differ_for_the_colour_blind(kind: str, one: Severity, other: Severity) -> None:
    colours = COLOUR_BLIND.severity
    assert difference(colours[one], colours[other], kind) >= 30


@pytest.mark.parametrize("palette", PALETTES.values(), ids=lambda palette: palette.name)
def test_severities_differ_by_word_and_weight(palette: Palette) -> None:
    theme.use(palette)
    try:
        assert len(set(theme.SEVERITY_WORD.values())) == len(Severity)
        styles = [theme.severity_style(severity, calling=True) for severity in Severity]
        assert len({(style.bold, style.reverse) for style in styles}) == len(Severity)
    finally:
        theme.use(DARK)


def test_the_dark_severities_are_those_of_the_design() -> None:
    assert DARK.severity == {Severity.CRITICAL: "#FF8A80", Severity.WARNING: "#E69F00", Severity.INFO: "#56B4E9"}


async def test_the_theme_changes_while_it_runs(log: EventLog) -> None:
    app = terminal(log, palette=LIGHT)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)

        def colour() -> str:
            (found,) = {s.style.color.name for s in alerts(app).render_line(2) if s.text.strip() == "CRIT"}
            return found

        assert colour() == LIGHT.severity[Severity.CRITICAL].lower()
        ground = app.screen.styles.background
        for command in app.get_system_commands(app.screen):
            if command.title == "Theme: colour-blind":
                command.callback()
        await pilot.pause()
        assert colour() == COLOUR_BLIND.severity[Severity.CRITICAL].lower()
        assert app.theme == COLOUR_BLIND.name
        app.action_palette("dark")
        await pilot.pause()
        assert colour() == DARK.severity[Severity.CRITICAL].lower()
        assert app.screen.styles.background != ground, "rules of style follow, too"
