"""A digest in words: what its mail, its text and its Slack message say alike. Nothing is escaped yet."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from controlplane.model.digest import Advised, Decided, Digest, Drift, Muted, Noisy, Open, Paged, Total
from controlplane.model.money import human_money
from controlplane.model.severity import Severity
from controlplane.model.time import human_duration
from controlplane.model.units import many


@dataclass(frozen=True)
class Entry:
    """One thing of a section."""

    title: str
    lines: tuple[str, ...] = ()
    badge: str = ""
    tone: str = "plain"
    """plain, critical, warning, info or good."""
    act: str = ""
    """What to do about it."""


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    summary: str = ""
    entries: tuple[Entry, ...] = ()
    more: str = ""


@dataclass(frozen=True)
class Words:
    """The whole digest."""

    subject: str
    span: str
    lead: str
    tiles: tuple[tuple[str, str, str], ...]
    """Number, what it counts, tone."""
    sections: tuple[Section, ...]
    foot: tuple[str, ...] = field(default=())


def words(digest: Digest) -> Words:
    """The digest in words, in the order in which somebody with little time reads it."""
    found = (
        _open(digest),
        _noisy(digest),
        _advised(digest),
        _pages(digest),
        _decided(digest),
        _costs(digest),
        _muted(digest),
        _watching(digest),
    )
    return Words(
        subject=subject(digest),
        span=_span(digest),
        lead=_lead(digest),
        tiles=_tiles(digest),
        sections=tuple(section for section in found if section is not None),
        foot=_foot(digest),
    )


def subject(digest: Digest) -> str:
    """One line: `production, Thursday 12 March: 7 pages, 2 open, 3 rules to change`."""
    day = digest.end.astimezone(ZoneInfo(digest.location))
    parts = [many(digest.pages.count, "page")]
    parts += [f"{digest.open_count} open"] if digest.open_count else []
    changes = sum(bool(rule.change) for rule in digest.noisy)
    parts += [f"{many(changes, 'rule')} to change"] if changes else []
    parts += [f"{many(digest.advised_count, 'recommendation')}"] if digest.advised_count else []
    where = f"{digest.environment}, " if digest.environment else ""
    return f"{where}{day:%A} {day.day} {day:%B}: {', '.join(parts)}"


def _span(digest: Digest) -> str:
    zone = ZoneInfo(digest.location)
    start, end = digest.start.astimezone(zone), digest.end.astimezone(zone)
    return f"{start:%a} {start.day} {start:%b %H:%M} – {end:%a} {end.day} {end:%b %Y %H:%M} ({digest.location})"


def _lead(digest: Digest) -> str:
    pages = digest.pages
    if digest.quiet:
        return "Nobody was paged, and nothing waits for a decision."
    said = []
    if pages.count:
        critical = pages.by_severity.get(Severity.CRITICAL, 0)
        head = f"{many(pages.count, 'page')}, {critical} critical" if critical else many(pages.count, "page")
        said.append(f"{head}, {'none' if not pages.at_night else pages.at_night} at night.")
        if pages.acknowledged:
            said.append(f"Taken after {human_duration(pages.acknowledged.median)} (median).")
        elif critical:
            said.append("Nobody acknowledged any.")
        if pages.resolved:
            said.append(f"Over after {human_duration(pages.resolved.median)} (median).")
    else:
        said.append("Nobody was paged.")
    if digest.open_count:
        taken = sum(bool(one.taken_by) for one in digest.open)
        said.append(f"{digest.open_count} still open, {taken or 'none'} of them taken.")
    return " ".join(said)


def _tiles(digest: Digest) -> tuple[tuple[str, str, str], ...]:
    pages = digest.pages
    monthly = [total for total in digest.totals if total.count > total.unknown_per_month]
    money = " · ".join(signed(total.per_month.quantize(Decimal(1)), total.currency) for total in monthly)
    return (
        (str(pages.count), "pages" if pages.count != 1 else "page", "critical" if pages.count else "good"),
        (str(digest.open_count), "still open", "critical" if digest.open_count else "good"),
        (_took(digest), "to acknowledge", "plain"),
        (money or "–", "a month, if all is done", "plain"),
    )


def _took(digest: Digest) -> str:
    return human_duration(digest.pages.acknowledged.median) if digest.pages.acknowledged else "–"


def clock(at: datetime, digest: Digest) -> str:
    """Local time, with the day where it isn't the day of the digest's end."""
    zone = ZoneInfo(digest.location)
    local, end = at.astimezone(zone), digest.end.astimezone(zone)
    return f"{local:%H:%M}" if abs(end - local).total_seconds() < 86_400 else f"{local:%a} {local.day} {local:%b %H:%M}"


def signed(amount: Decimal | None, currency: str) -> str:
    """`+$120`, `−$40`, `$0` or `unknown`."""
    text = human_money(amount, currency)
    return f"+{text}" if amount is not None and amount > 0 else text


def _where(platform: str, component: str) -> str:
    return f"{platform} / {component}" if component else platform


def _open(digest: Digest) -> Section | None:
    if not digest.open:
        return None
    entries = tuple(_open_entry(digest, one) for one in digest.open)
    return Section("Still open", "", entries, _more(digest.open_count, len(entries)))


def _open_entry(digest: Digest, one: Open) -> Entry:
    lasts = human_duration(digest.as_of - one.since)
    taken = f"taken by {', '.join(one.taken_by)}" if one.taken_by else "taken by nobody"
    lines = (f"{_where(one.platform, one.component)} · {many(one.alerts, 'alert')} for {lasts} · {taken}",)
    return Entry(one.title, lines, one.severity.upper(), one.severity.value)


def _noisy(digest: Digest) -> Section | None:
    if not digest.noisy:
        return None
    entries = tuple(_noisy_entry(one) for one in digest.noisy)
    return Section("Noisy rules, and what to change", "", entries)


def _noisy_entry(one: Noisy) -> Entry:
    pages = f" · {many(one.pages, 'page')}" if one.pages else ""
    said = one.said[:1].upper() + one.said[1:] + "."
    lines = (f"{one.platform} / {one.rule}{pages}", said)
    act = one.change or "No change follows from these firings: look at what they are about."
    return Entry(one.title, lines, one.severity.upper(), one.severity.value, act)


def _advised(digest: Digest) -> Section | None:
    if not digest.advised_count:
        return None
    sums = "; ".join(_total(total) for total in digest.totals)
    entries = tuple(_advised_entry(digest, one) for one in digest.advised)
    return Section("Open recommendations", f"All of them: {sums}.", entries, _more(digest.advised_count, len(entries)))


def _total(total: Total) -> str:
    month = _sum(total.per_month, total.unknown_per_month, total, "a month")
    return f"{month}, {_sum(total.one_off, total.unknown_one_off, total, 'once')}"


def _sum(amount: Decimal, unknown: int, total: Total, when: str) -> str:
    known = "unknown" if unknown == total.count else signed(amount, total.currency)
    return f"{known} {when}" + (f" ({unknown} of {total.count} unknown)" if unknown else "")


def _advised_entry(digest: Digest, one: Advised) -> Entry:
    money = f"{signed(one.per_month, one.currency)} a month, {signed(one.one_off, one.currency)} once"
    parts = [one.change, one.survives, f"{one.status} {clock(one.since, digest)}"]
    return Entry(one.title, (" · ".join(part for part in parts if part), f"id {one.recommendation}"), money)


def _pages(digest: Digest) -> Section | None:
    pages = digest.pages
    if not pages.count:
        return None
    parts = [", ".join(f"{name} {count}" for name, count in pages.by_platform.items())]
    parts += [f"by {', '.join(f'{name} {count}' for name, count in pages.by_channel.items())}"]
    for word, found in (("acknowledged", pages.acknowledged), ("over", pages.resolved)):
        if found:
            parts.append(
                f"{word} {found.count}: median {human_duration(found.median)}, mean {human_duration(found.mean)}, "
                f"longest {human_duration(found.longest)}"
            )
    if pages.by_person:
        parts.append(f"first to take them: {', '.join(f'{name} {count}' for name, count in pages.by_person.items())}")
    if pages.suppressed:
        parts.append(f"{many(pages.suppressed, 'time')} nobody was told, for a reason")
    entries = tuple(_page_entry(digest, one) for one in pages.listed)
    return Section("Pages", "; ".join(parts) + ".", entries, _more(pages.count, len(entries)))


def _page_entry(digest: Digest, one: Paged) -> Entry:
    taken = (
        f"{one.acknowledged_by} after {human_duration(one.acknowledged_after)}"
        if one.acknowledged_after is not None
        else "nobody took it"
    )
    lasted = f"lasted {human_duration(one.lasted)}" if one.lasted is not None else "goes on"
    parts = (clock(one.at, digest), _where(one.platform, one.component), many(one.alerts, "alert"), taken, lasted)
    return Entry(one.title, (" · ".join(parts),), one.severity.upper(), one.severity.value)


_OUTCOMES = {
    "approved": ("approved", "info"),
    "rejected": ("rejected", "plain"),
    "executed": ("done", "info"),
    "verified": ("it worked", "good"),
    "ineffective": ("it didn't work", "critical"),
    "expired": ("expired", "warning"),
}


def _decided(digest: Digest) -> Section | None:
    if not digest.decided:
        return None
    return Section("Decided and done", "", tuple(_decided_entry(digest, one) for one in digest.decided))


def _decided_entry(digest: Digest, one: Decided) -> Entry:
    word, tone = _OUTCOMES[one.outcome]
    parts = [clock(one.at, digest), one.by, f"{signed(one.per_month, one.currency)} a month", one.reason]
    return Entry(one.title, (" · ".join(part for part in parts if part),), word, tone)


def _costs(digest: Digest) -> Section | None:
    if not digest.drift:
        return None
    return Section("What runs costs, a month", "", tuple(_drift_entry(one) for one in digest.drift))


def _drift_entry(one: Drift) -> Entry:
    moves = [
        f"{number} {word}"
        for number, word in ((one.added, "added"), (one.removed, "removed"), (one.changed, "changed"))
        if number
    ]
    moved = "as a day ago" if one.change == 0 else f"{signed(one.change, 'USD')} since a day ago"
    parts = [one.note or moved, ", ".join(moves), f"{one.unknown} without a price" if one.unknown else ""]
    tone = "warning" if one.change is not None and one.change > 0 else "plain"
    return Entry(one.platform, (" · ".join(part for part in parts if part),), one.now, tone)


def _muted(digest: Digest) -> Section | None:
    if not digest.muted:
        return None
    return Section("Muted and forgotten", "", tuple(_muted_entry(digest, one) for one in digest.muted))


def _muted_entry(digest: Digest, one: Muted) -> Entry:
    reason = f" · {one.reason}" if one.reason else ""
    if one.kind == "acknowledgement":
        lasts = human_duration(digest.as_of - one.at)
        return Entry(one.what, (f"{one.by} took it {lasts} ago, and it still fires{reason}",), "taken", "warning")
    left = human_duration(one.at - digest.as_of)
    fires = f"mutes {many(one.matches, 'firing alert')}" if one.matches else "mutes nothing now"
    line = f"{one.kind} by {one.by} ends in {left} · {fires}{reason}"
    return Entry(one.what, (line,), one.kind, "warning" if one.matches else "plain")


def _watching(digest: Digest) -> Section | None:
    entries = []
    for down in digest.down:
        what = f"{many(down.signals, 'signal')} of it" if down.signals else "all of it"
        still = ", and still is" if down.now else ""
        tone = "critical" if down.now else "warning"
        line = f"{what} gave no answer for {human_duration(down.lasted)}{still} · {down.error}"
        entries.append(Entry(down.source, (line,), "down" if down.now else "was down", tone))
    for dead in digest.dead:
        line = f"{many(dead.count, 'message')} given up · {dead.error}"
        act = "See `controlplane notify dead-letters`."
        entries.append(Entry(dead.channel, (line,), "lost", "critical", act))
    return Section("Sources and channels", "", tuple(entries)) if entries else None


def _foot(digest: Digest) -> tuple[str, ...]:
    gap = f", at most {human_duration(digest.gap)} apart" if digest.gap else ""
    as_of = f" What is open is as of {clock(digest.as_of, digest)}." if digest.as_of != digest.end else ""
    return (
        f"{many(digest.ticks, 'tick')}{gap}.{as_of}",
        f"The same again: controlplane digest --at {digest.end:%Y-%m-%dT%H:%M:%SZ}",
    )


def _more(count: int, listed: int) -> str:
    return f"… and {count - listed:,} more" if count > listed else ""
