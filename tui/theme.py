"""Colours and weights. A severity is told by its word and weight first, by its colour second.

The styles are those of the theme in force; `use` changes them, so read them when something is drawn.
"""

from dataclasses import dataclass

from rich.style import Style
from textual.theme import Theme

from controlplane.model.severity import Severity

SEVERITY_WORD = {Severity.CRITICAL: "CRIT", Severity.WARNING: "WARN", Severity.INFO: "INFO"}


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a theme; every text is readable (4.5:1) on every background."""

    name: str
    dark: bool
    background: str
    surface: str
    panel: str
    cursor: str
    foreground: str
    muted: str
    line: str
    accent: str
    deep: str
    bright: str
    """Low and high values of a sparkline."""
    good: str
    severity: dict[Severity, str]


DARK = Palette(
    name="controlplane",
    dark=True,
    background="#0e1116",
    surface="#151a22",
    panel="#1d2430",
    cursor="#26364f",
    foreground="#dde3ec",
    muted="#9aa7b8",
    line="#3a4658",
    accent="#8ab4f8",
    deep="#466a9e",
    bright="#6d97d1",
    good="#7bd88f",
    severity={Severity.CRITICAL: "#FF8A80", Severity.WARNING: "#E69F00", Severity.INFO: "#56B4E9"},
)
LIGHT = Palette(
    name="controlplane-light",
    dark=False,
    background="#fbfcfe",
    surface="#eef1f6",
    panel="#e2e7ef",
    cursor="#cfdcf2",
    foreground="#1b2430",
    muted="#4a5666",
    line="#a9b4c4",
    accent="#174ea6",
    deep="#6d97d1",
    bright="#2f66b3",
    good="#17602b",
    severity={Severity.CRITICAL: "#a81c16", Severity.WARNING: "#7a4b00", Severity.INFO: "#005a8c"},
)
COLOUR_BLIND = Palette(
    name="controlplane-colour-blind",
    dark=True,
    background=DARK.background,
    surface=DARK.surface,
    panel=DARK.panel,
    cursor=DARK.cursor,
    foreground=DARK.foreground,
    muted=DARK.muted,
    line=DARK.line,
    accent=DARK.accent,
    deep=DARK.deep,
    bright=DARK.bright,
    good="#5EE0C8",
    severity={Severity.CRITICAL: "#F28C28", Severity.WARNING: "#F7F39A", Severity.INFO: "#6CA8FF"},
)
PALETTES = {"dark": DARK, "light": LIGHT, "colour-blind": COLOUR_BLIND}
"""By the names that the settings use."""

CURRENT: Palette
PLAIN: Style
STRONG: Style
QUIET: Style
HEADING: Style
OK: Style
BAD: Style
HERE: Style
CHART: Style
DOUBT: Style


def use(palette: Palette) -> None:
    """Draw with the colours of a palette from now on."""
    global CURRENT, PLAIN, STRONG, QUIET, HEADING, OK, BAD, HERE, CHART, DOUBT
    CURRENT = palette
    PLAIN = Style(color=palette.foreground)
    STRONG = Style(color=palette.foreground, bold=True)
    QUIET = Style(color=palette.muted)
    HEADING = Style(color=palette.accent, bold=True)
    OK = Style(color=palette.good)
    BAD = Style(color=palette.severity[Severity.CRITICAL], bold=True)
    HERE = Style(color=palette.foreground, bold=True, reverse=True)
    CHART = Style(color=palette.bright)
    DOUBT = Style(color=palette.severity[Severity.WARNING], bold=True)


def severity_style(severity: Severity, *, calling: bool = False) -> Style:
    """The style of a severity's word; `calling` (nobody has taken it yet) turns a critical one around."""
    style = Style(color=CURRENT.severity[severity], bold=severity is not Severity.INFO)
    return style + Style(reverse=True) if calling and severity is Severity.CRITICAL else style


def theme(palette: Palette) -> Theme:
    """A palette as Textual takes it."""
    return Theme(
        name=palette.name,
        primary=palette.accent,
        secondary=palette.accent,
        accent=palette.accent,
        warning=palette.severity[Severity.WARNING],
        error=palette.severity[Severity.CRITICAL],
        success=palette.good,
        foreground=palette.foreground,
        background=palette.background,
        surface=palette.surface,
        panel=palette.panel,
        dark=palette.dark,
        variables={
            "line": palette.line,
            "muted": palette.muted,
            "cursor": palette.cursor,
            "footer-background": palette.surface,
            "footer-key-foreground": palette.accent,
            "footer-description-foreground": palette.foreground,
            "button-focus-text-style": "bold",
            "border": palette.accent,
            "border-blurred": palette.line,
            "scrollbar": palette.line,
            "scrollbar-background": palette.background,
            "scrollbar-corner-color": palette.background,
        },
    )


use(DARK)
