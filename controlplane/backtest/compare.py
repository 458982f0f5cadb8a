"""What another set of rules would change: alerts earlier or later, pages added or removed, other advice and costs."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Generic, TypeVar

from controlplane.backtest.report import Night, Page, episodes, pages
from controlplane.backtest.run import Run
from controlplane.model.labels import canonical
from controlplane.model.notifications import Action
from controlplane.model.recommendations import Recommendation
from controlplane.present import iso

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stretch(Generic[T]):
    """Something that lasts from `begin` to `end` (None = to the end of the samples)."""

    key: Hashable
    begin: datetime
    end: datetime | None
    of: T


def pairs(
    old: Iterable[Stretch[T]], new: Iterable[Stretch[T]]
) -> Iterator[tuple[Stretch[T] | None, Stretch[T] | None]]:
    """Stretches of one key that overlap, in the order of their beginning; those without a counterpart by themselves."""
    before, after = _by_key(old), _by_key(new)
    for key in before.keys() | after.keys():
        left, right = before.get(key, []), after.get(key, [])
        while left or right:
            if left and right and _overlap(left[0], right[0]):
                yield left.pop(0), right.pop(0)
            elif not right or (left and left[0].begin <= right[0].begin):
                yield left.pop(0), None
            else:
                yield None, right.pop(0)


def _by_key(stretches: Iterable[Stretch[T]]) -> dict[Hashable, list[Stretch[T]]]:
    found: dict[Hashable, list[Stretch[T]]] = {}
    for stretch in sorted(stretches, key=lambda stretch: stretch.begin):
        found.setdefault(stretch.key, []).append(stretch)
    return found


def _overlap(one: Stretch[T], other: Stretch[T]) -> bool:
    return (one.end is None or other.begin <= one.end) and (other.end is None or one.begin <= other.end)


def comparison(old: Run, new: Run, night: Night) -> dict[str, Any]:
    """Two runs over the same samples as JSON-ready data; without their summaries."""
    changes = _pages(old, new)
    added = [page for before, page in changes if before is None and page is not None]
    removed = [page for page, after in changes if after is None and page is not None]
    return {
        "alerts": _in_order(_alerts(old, new), lambda row: (row["new"] or row["old"])["fired_at"]),
        "pages": {
            "old": len(pages(old.notifications)),
            "new": len(pages(new.notifications)),
            "added": [_page(page, night) for page in sorted(added, key=_when)],
            "removed": [_page(page, night) for page in sorted(removed, key=_when)],
            "added_at_night": sum(night.has(page.at) for page in added),
            "removed_at_night": sum(night.has(page.at) for page in removed),
        },
        "recommendations": _in_order(_recommendations(old, new), lambda row: (row["new"] or row["old"])["at"]),
        "monthly_cost": {"old": _monthly(old), "new": _monthly(new)},
    }


def _in_order(rows: Iterable[dict[str, Any]], at: Callable[[dict[str, Any]], str]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (at(row), row["rule"], str(row.get("labels", row.get("target")))))


def _when(page: Page) -> tuple[datetime, str]:
    return page.at, page.incident


# Alerts


def _alerts(old: Run, new: Run) -> Iterator[dict[str, Any]]:
    """Alerts that differ, matched by rule, labels and overlapping time."""
    for before, after in pairs(_firings(old), _firings(new)):
        one, other = before and _times(before), after and _times(after)
        if one == other:
            continue
        there = after or before
        assert there is not None
        known = there.of
        shift: dict[str, float | None] = {"fired_seconds": None, "ended_seconds": None}
        change = "removed" if after is None else "added"
        if before is not None and after is not None:
            shift = {
                "fired_seconds": _seconds(before.begin, after.begin),
                "ended_seconds": _seconds(before.end, after.end),
            }
            moved = shift["fired_seconds"] or 0
            change = (
                "earlier" if moved < 0 else "later" if moved > 0 else "longer" if _longer(before, after) else "shorter"
            )
        yield {
            "rule": known["rule"],
            "labels": known["labels"],
            "severity": known["severity"],
            "change": change,
            "old": one,
            "new": other,
            **shift,
        }


def _firings(run: Run) -> Iterator[Stretch[dict[str, Any]]]:
    for one in episodes(run):
        end = one["resolved_at"]
        begin = datetime.fromisoformat(one["fired_at"])
        key = (one["rule"], canonical(one["labels"]))
        yield Stretch(key, begin, None if end is None else datetime.fromisoformat(end), one)


def _times(stretch: Stretch[dict[str, Any]]) -> dict[str, Any]:
    return {"fired_at": stretch.of["fired_at"], "ended_at": stretch.of["resolved_at"]}


def _seconds(one: datetime | None, other: datetime | None) -> float | None:
    return None if one is None or other is None else (other - one).total_seconds()


def _longer(before: Stretch[T], after: Stretch[T]) -> bool:
    return after.end is None or (before.end is not None and after.end > before.end)


# Pages


def _pages(old: Run, new: Run) -> list[tuple[Page | None, Page | None]]:
    """Pages side by side: incidents of a rule that overlap in time, and in them one page after the other."""
    found: list[tuple[Page | None, Page | None]] = []
    for before, after in pairs(_incidents(old), _incidents(new)):
        left, right = before.of if before else [], after.of if after else []
        found += zip_longest(left, right)
    return found


def _incidents(run: Run) -> Iterator[Stretch[list[Page]]]:
    ends: dict[str, list[datetime]] = {}
    for queued in run.notifications:
        message = queued.delivery.message
        if message.action is Action.RESOLVE:
            ends.setdefault(message.incident, []).append(queued.delivery.queued_at)
    told: dict[tuple[str, datetime | None], list[Page]] = {}
    for page in pages(run.notifications):
        end = min((at for at in ends.get(page.incident, ()) if at >= page.at), default=None)
        told.setdefault((page.incident, end), []).append(page)
    for (_, end), of in told.items():
        yield Stretch((of[0].platform, of[0].rule), of[0].at, end, of)


def _page(page: Page, night: Night) -> dict[str, Any]:
    return {
        "at": iso(page.at),
        "rule": page.rule,
        "title": page.title,
        "severity": page.severity,
        "channels": list(page.channels),
        "night": night.has(page.at),
    }


# Recommendations


def _recommendations(old: Run, new: Run) -> Iterator[dict[str, Any]]:
    """Advice that differs, matched by rule, alert and target in the order of time."""
    before, after = _advice(old), _advice(new)
    for key in before.keys() | after.keys():
        left, right = before.get(key, []), after.get(key, [])
        for one, other in zip_longest(left, right):
            if one is not None and other is not None and _said(one) == _said(other):
                continue
            known = other or one
            assert known is not None
            yield {
                "rule": known.rule,
                "target": known.proposal.target,
                "title": known.proposal.title,
                "change": "added" if one is None else "removed" if other is None else "changed",
                "old": one and _said(one) | {"at": iso(one.at)},
                "new": other and _said(other) | {"at": iso(other.at)},
            }


def _advice(run: Run) -> dict[tuple[str, str, str], list[Recommendation]]:
    found: dict[tuple[str, str, str], list[Recommendation]] = {}
    for one in sorted(run.recommendations.values(), key=lambda one: (one.at, one.id)):
        found.setdefault((one.rule, one.alert, one.proposal.target), []).append(one)
    return found


def _said(one: Recommendation) -> dict[str, Any]:
    proposal = one.proposal
    return {
        "kind": proposal.kind,
        "from": proposal.from_,
        "to": proposal.to,
        "per_month": _text(proposal.cost.per_month),
        "one_off": _text(proposal.cost.one_off),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _monthly(run: Run) -> dict[str, Any]:
    """What the last advice on each target costs a month; advice whose price is unknown is counted, not added."""
    last: Sequence[Recommendation] = [of[-1] for of in _advice(run).values()]
    known = [one.proposal.cost.per_month for one in last if one.proposal.cost.per_month is not None]
    return {"per_month": str(sum(known, Decimal(0))), "recommendations": len(last), "unknown": len(last) - len(known)}
