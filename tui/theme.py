"""Colours and weights. A severity is told by its word and weight first, by its colour second."""

from rich.style import Style
from textual.theme import Theme

from controlplane.model.rules import Severity

BACKGROUND = "#0e1116"
SURFACE = "#151a22"
PANEL = "#1d2430"
CURSOR = "#26364f"
FOREGROUND = "#dde3ec"
MUTED = "#9aa7b8"
LINE = "#3a4658"
ACCENT = "#8ab4f8"
DEEP = "#466a9e"
BRIGHT = "#6d97d1"
GOOD = "#7bd88f"

SEVERITY_COLOUR = {Severity.CRITICAL: "#FF8A80", Severity.WARNING: "#E69F00", Severity.INFO: "#56B4E9"}
SEVERITY_WORD = {Severity.CRITICAL: "CRIT", Severity.WARNING: "WARN", Severity.INFO: "INFO"}

PLAIN = Style(color=FOREGROUND)
STRONG = Style(color=FOREGROUND, bold=True)
QUIET = Style(color=MUTED)
HEADING = Style(color=ACCENT, bold=True)
OK = Style(color=GOOD)
BAD = Style(color=SEVERITY_COLOUR[Severity.CRITICAL], bold=True)
HERE = Style(color=FOREGROUND, bold=True, reverse=True)
CHART = Style(color=BRIGHT)
DOUBT = Style(color=SEVERITY_COLOUR[Severity.WARNING], bold=True)


def name() -> str:
    """The name of the theme in force."""
    return THEME.name


def dark() -> bool:
    """Whether the theme in force is a dark one."""
    return THEME.dark


def chart() -> str:
    """Colour of a line in a chart."""
    return BRIGHT


def limit() -> str:
    """Colour of a threshold in a chart."""
    return SEVERITY_COLOUR[Severity.WARNING]


def severity_style(severity: Severity, *, calling: bool = False) -> Style:
    """The style of a severity's word; `calling` (nobody has taken it yet) turns a critical one around."""
    style = Style(color=SEVERITY_COLOUR[severity], bold=severity is not Severity.INFO)
    return style + Style(reverse=True) if calling and severity is Severity.CRITICAL else style


THEME = Theme(
    name="controlplane",
    primary=ACCENT,
    secondary=ACCENT,
    accent=ACCENT,
    warning=SEVERITY_COLOUR[Severity.WARNING],
    error=SEVERITY_COLOUR[Severity.CRITICAL],
    success=GOOD,
    foreground=FOREGROUND,
    background=BACKGROUND,
    surface=SURFACE,
    panel=PANEL,
    dark=True,
    variables={
        "line": LINE,
        "muted": MUTED,
        "cursor": CURSOR,
        "footer-background": SURFACE,
        "footer-key-foreground": ACCENT,
        "footer-description-foreground": FOREGROUND,
        "button-focus-text-style": "bold",
        "border": ACCENT,
        "border-blurred": LINE,
        "scrollbar": LINE,
        "scrollbar-background": BACKGROUND,
        "scrollbar-corner-color": BACKGROUND,
    },
)
