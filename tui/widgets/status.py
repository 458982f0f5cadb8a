"""The bar above every screen, and the banner under it when something is not as it should be."""

from datetime import datetime

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from controlplane.model.severity import Severity
from controlplane.model.time import human_duration
from tui import theme
from tui.data import Snapshot
from tui.text import fit, safe
from tui.trust import Mode, Trust

_RULE = " │ "
_TALL = 24
"""Lines of a screen from which on a banner may have three of them."""


def _join(parts: list[Text]) -> Text:
    return Text(_RULE, theme.QUIET).join(parts)


def bar_text(snapshot: Snapshot, trusted: Trust, now: datetime, width: int, *, read_only: bool) -> Text:
    """Environment, alerts by severity, sources, age of the data and mode, in `width` cells."""
    mode = Text(trusted.word or trusted.mode.value, theme.OK if trusted.mode is Mode.LIVE else theme.DOUBT)
    mode.stylize("bold")
    if trusted.mode is Mode.REPLAY:
        return _replay_bar(snapshot, trusted, mode, now, width)
    if read_only:
        mode.append(" READ-ONLY", theme.DOUBT)
    counts, sources, age = _counts(snapshot), _sources(snapshot), _age(snapshot, now)
    if trusted.mode is Mode.STALE:
        age.stylize(theme.DOUBT)
    name = Text(safe(snapshot.environment, 24), theme.HEADING)
    short = Text(safe(snapshot.environment, 8), theme.HEADING)
    choices = (
        [name, counts, _others(snapshot), sources, age, mode],
        [name, counts, sources, age, mode],
        [short, counts, sources, age, mode],
        [counts, sources, age, mode],
        [counts, age, mode],
        [counts, mode],
        [mode],
    )
    for choice in choices:
        if (text := _line(choice, width)) is not None:
            return text
    return mode


def _replay_bar(snapshot: Snapshot, trusted: Trust, mode: Text, now: datetime, width: int) -> Text:
    """What was known then, with what has to be seen of the present always beside it."""
    if trusted.at is not None:
        mode.append(f" {trusted.at:%H:%M:%SZ}")
    calm = trusted.beside.startswith("live: 0 ")
    beside = Text(trusted.beside, theme.QUIET if calm else theme.severity_style(Severity.CRITICAL))
    name, counts = Text(safe(snapshot.environment, 24), theme.HEADING), _counts(snapshot)
    short = Text(safe(snapshot.environment, 8), theme.HEADING)
    sources, age = _sources(snapshot), _age(snapshot, now) if trusted.late else Text()
    age.stylize(theme.DOUBT)
    for left in (
        [name, counts, _others(snapshot), sources, age],
        [name, counts, sources, age],
        [counts, sources, age],
        [counts, age],
        [counts],
    ):
        if (text := _line([*left, beside, mode], width)) is not None:
            return text
    return _line([short, beside, mode], width) or _line([beside, mode], width) or mode


def _line(parts: list[Text], width: int) -> Text | None:
    """The parts in one line, the last one at its right end; None where there is no room."""
    *left, right = [part for part in parts if part.plain]
    text = _join(left)
    room = width - 2 - cell_len(text.plain) - cell_len(right.plain)
    if room < (len(_RULE) if left else 0):
        return None
    gap = Text(" " * (room - 2) + "│ " if room >= 3 and left else " " * room, theme.QUIET)
    return Text.assemble(" ", text, gap, right, " ")


def _counts(snapshot: Snapshot) -> Text:
    parts = []
    for severity in Severity:
        number = snapshot.reported.get(severity, 0)
        style = theme.severity_style(severity) if number else theme.QUIET
        parts.append(Text(f"{theme.SEVERITY_WORD[severity]} {number:,}", style))
    return Text("  ").join(parts)


def _others(snapshot: Snapshot) -> Text:
    return Text(f"{snapshot.acknowledged:,} acked  {snapshot.pending:,} pending", theme.QUIET)


def _sources(snapshot: Snapshot) -> Text:
    if not snapshot.sources:
        return Text("no source", theme.QUIET)
    good = sum(not source.failed for source in snapshot.sources)
    whole = good == len(snapshot.sources)
    return Text(f"src {good}/{len(snapshot.sources)}", theme.PLAIN if whole else theme.DOUBT)


def _age(snapshot: Snapshot, now: datetime) -> Text:
    if snapshot.tick is None:
        return Text("no tick yet", theme.QUIET)
    return Text(f"age {human_duration(now - snapshot.tick.now)}", theme.PLAIN)


def banner_text(snapshot: Snapshot, trusted: Trust, now: datetime, *, read_only: bool) -> tuple[str, str] | None:
    """The most serious thing that the reader must know, after its style class; None where all is well."""
    if trusted.mode is Mode.REPLAY:
        return "-past", f"{trusted.word} {trusted.reason}"
    if trusted.mode is Mode.DISCONNECTED:
        return "-bad", f"DISCONNECTED: {trusted.reason}"
    if trusted.mode is Mode.STALE:
        return "-warn", f"STALE: {trusted.reason}"
    failed = [source for source in snapshot.sources if source.failed]
    if failed:
        first = failed[0]
        key = "" if "" in first.failed else min(first.failed)
        since = human_duration(now - first.since.get(key, first.failed_since or now))
        about = f" ({safe(key, 60)})" if key else ""
        more = f" · {len(failed) - 1} more" if len(failed) > 1 else ""
        remedy = f" · {safe(first.remedies[key], 200)}" if first.remedies.get(key) else ""
        text = f"SOURCE {safe(first.source, 40)}{about} fails for {since}{more}: {safe(first.failed[key])}{remedy}"
        return "-warn", text
    if read_only:
        return "-note", "READ-ONLY: this terminal shows and changes nothing."
    return None


class StatusBar(Static):
    """One line that is always there."""

    DEFAULT_CSS = """
    StatusBar { height: 1; background: $surface; text-wrap: nowrap; text-overflow: clip; }
    """

    def show(self, snapshot: Snapshot, trusted: Trust, now: datetime, *, read_only: bool) -> None:
        """Draw the bar at the width that it has now."""
        text = bar_text(snapshot, trusted, now, self.size.width or 80, read_only=read_only)
        self.update(text, layout=False)


class Banner(Static):
    """What is wrong and what to do about it, in as few lines as it takes; not there where all is well."""

    DEFAULT_CSS = """
    Banner {
        height: 1; padding: 0 1; display: none; text-style: bold;
        &.-bad { display: block; background: #8c1d18; color: #ffffff; }
        &.-warn { display: block; background: #5c4300; color: #ffe9b8; }
        &.-note { display: block; background: $panel; color: $foreground; }
        &.-past { display: block; background: #174a7c; color: #ffffff; }
    }
    """

    _told: tuple[str, ...] = ()

    def show(self, snapshot: Snapshot, trusted: Trust, now: datetime, *, read_only: bool) -> None:
        """Appear, change or go."""
        kind, text = banner_text(snapshot, trusted, now, read_only=read_only) or ("", "")
        for name in ("-bad", "-warn", "-note", "-past"):
            self.set_class(kind == name, name)
        width, height = self.screen.size
        most = 1 if kind == "-past" else 2 if height < _TALL else 3
        found = [line.plain.rstrip() for line in Text(text).wrap(self.app.console, max(1, width - 2))]
        lines = (*found[: most - 1], *([fit(" ".join(found[most - 1 :]), width - 2)] if len(found) >= most else []))
        if lines == self._told:
            return
        self._told = lines
        self.styles.height = len(lines) or 1
        self.update(Text("\n".join(lines)), layout=False)
