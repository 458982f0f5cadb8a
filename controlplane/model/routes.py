"""Who is told what: a tree of routes, alerts that mute others, and times of the week, as Alertmanager has them."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from controlplane.model.base import Duration, LabelName, Model, RuleId
from controlplane.model.matchers import MatcherField, all_match
from controlplane.model.oncall import NOBODY, zone

GROUP_BY = ("platform", "rule")
GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
REPEAT_INTERVAL = timedelta(hours=4)
"""Alertmanager's times, for the root of the tree."""
ASKED = frozenset({"recommendation", "failover", "digest"})
"""Kinds that go only to routes that name them, so that nobody who is told of alerts is told twice."""
Positive = Annotated[Duration, Field(gt=timedelta(0))]


class Route(Model):
    """A node of the tree: an alert goes on to the first child that matches, and to later ones after `continue`.

    What a child doesn't say is as in its parent. The root matches everything.
    """

    match: tuple[MatcherField, ...] = ()
    """Conditions on the alert's labels and on rule, title, platform, component, severity, kind, host, zone, region,
    cluster and role; all have to hold."""
    channels: tuple[RuleId, ...] | None = None
    """Names of channels; an empty list tells nobody."""
    group_by: tuple[LabelName, ...] | None = None
    """Labels whose values make one message; `[]` = all alerts of the route together."""
    group_wait: Duration | None = None
    """How long the first alert of a group waits for others."""
    group_interval: Positive | None = None
    """How long a group waits after a message before it tells of changes."""
    repeat_interval: Positive | None = None
    """How long until what still fires is told again."""
    mute: tuple[RuleId, ...] = ()
    """Names of times in which it tells nobody; a child doesn't take them over."""
    active: tuple[RuleId, ...] = ()
    """Names of times outside of which it tells nobody."""
    escalate: RuleId | None = None
    """Name of the escalation of what nobody acknowledges; `none` = there is none, whatever the parent has."""
    continue_: bool = Field(default=False, alias="continue")
    routes: tuple["Route", ...] = ()

    @field_validator("escalate", mode="before")
    @classmethod
    def _stops(cls, name: object) -> object:
        return NOBODY if name is None else name


class Inhibition(Model):
    """While an alert that `source` matches fires, those that `target` matches are told to nobody.

    Both must have the same values of the labels in `equal`. An alert that both match doesn't mute itself or its like.
    """

    source: tuple[MatcherField, ...] = Field(min_length=1)
    target: tuple[MatcherField, ...] = Field(min_length=1)
    equal: tuple[LabelName, ...] = ()


_CLOCK = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
Range = tuple[int, int]


def _minutes(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1440:
        return value
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError(f'{value!r} is not a time of the day; write it in quotes, from "00:00" to "24:00"')
    return int(value[:2]) * 60 + int(value[3:])


Clock = Annotated[
    int, BeforeValidator(_minutes), PlainSerializer(lambda n: f"{n // 60:02}:{n % 60:02}", return_type=str)
]


class Span(Model):
    """A part of the day, from `start_time` until before `end_time`; over midnight = two of them."""

    start_time: Clock
    end_time: Clock

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.start_time >= self.end_time:
            raise ValueError("end_time isn't after start_time; a night takes two parts, before and after midnight")
        return self


def _range(value: object, names: tuple[str, ...], first: int, low: int, high: int) -> Range:
    """`monday:friday`, `1:5`, `-3:-1` or one of them, as two numbers."""
    if isinstance(value, list | tuple) and len(value) == 2:
        value = f"{value[0]}:{value[1]}"
    parts = str(value).lower().split(":")
    if not isinstance(value, str | int) or isinstance(value, bool) or len(parts) > 2:
        raise ValueError(f"{value!r} is not a range such as {names[0] if names else low}:{names[1] if names else high}")
    numbers = [names.index(part) + first if part in names else _number(part, low, high) for part in parts]
    if None in numbers:
        raise ValueError(f"{value!r} is no range of {', '.join(names) or f'{low} to {high}'}")
    begin, end = numbers[0] or 0, numbers[-1] or 0
    if begin > end and (begin > 0) is (end > 0):
        raise ValueError(f"{value!r} ends before it begins")
    return begin, end


def _number(text: str, low: int, high: int) -> int | None:
    number = int(text) if re.fullmatch(r"-?[0-9]{1,4}", text) else None
    known = number is not None and low <= number <= high and not (low < 0 and number == 0)
    return number if known else None


def _of(names: tuple[str, ...], first: int, low: int, high: int) -> BeforeValidator:
    return BeforeValidator(lambda value: _range(value, names, first, low, high))


Weekdays = Annotated[Range, _of(_DAYS, 0, 0, 6)]
Days = Annotated[Range, _of((), 1, -31, 31)]
Months = Annotated[Range, _of(_MONTHS, 1, 1, 12)]
Years = Annotated[Range, _of((), 1, 1970, 9999)]


class Times(Model):
    """Instants for which every given condition holds, in local time of `location`; as time_interval of Alertmanager."""

    times: tuple[Span, ...] = ()
    weekdays: tuple[Weekdays, ...] = ()
    days_of_month: tuple[Days, ...] = ()
    """From 1; -1 is the last day."""
    months: tuple[Months, ...] = ()
    years: tuple[Years, ...] = ()
    location: str = "UTC"

    @field_validator("location")
    @classmethod
    def _known(cls, name: str) -> str:
        return zone(name)

    def holds(self, at: datetime) -> bool:
        """Whether an instant lies within."""
        local = at.astimezone(ZoneInfo(self.location))
        minute = local.hour * 60 + local.minute
        last = (local.replace(day=28, hour=12) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return (
            (not self.times or any(span.start_time <= minute < span.end_time for span in self.times))
            and _within(local.isoweekday() % 7, self.weekdays)
            and (not self.days_of_month or any(_day(local.day, last.day, part) for part in self.days_of_month))
            and _within(local.month, self.months)
            and _within(local.year, self.years)
        )


def _within(number: int, ranges: tuple[Range, ...]) -> bool:
    return not ranges or any(begin <= number <= end for begin, end in ranges)


def _day(day: int, last: int, part: Range) -> bool:
    begin, end = (n if n > 0 else last + 1 + n for n in part)
    return max(begin, 1) <= day <= min(end, last)


class Node(Model):
    """A route with everything that it takes over from its parents."""

    path: str
    """Its place in the tree, such as `0/2`; that of the root is empty."""
    key: str
    """The matchers on the way to it: what names it while its neighbours come and go."""
    channels: tuple[str, ...]
    group_by: tuple[str, ...]
    group_wait: Duration
    group_interval: Duration
    repeat_interval: Duration
    mute: tuple[str, ...]
    active: tuple[str, ...]
    escalate: str | None = None


def node_of(route: Route, parent: Node | None, number: int) -> Node:
    """The route as child `number` of its parent, with what it takes over; the root from Alertmanager's defaults."""

    def inherited(name: str, default: Any) -> Any:
        own = getattr(route, name)
        return own if own is not None else default if parent is None else getattr(parent, name)

    matchers = ",".join(sorted(str(matcher) for matcher in route.match))
    same = f"{number}:" if parent is not None and not matchers else ""
    return Node(
        path="" if parent is None else f"{parent.path}/{number}".lstrip("/"),
        key=f"{{{matchers}}}" if parent is None else f"{parent.key}/{same}{{{matchers}}}",
        channels=inherited("channels", ()),
        group_by=inherited("group_by", GROUP_BY),
        group_wait=inherited("group_wait", GROUP_WAIT),
        group_interval=inherited("group_interval", GROUP_INTERVAL),
        repeat_interval=inherited("repeat_interval", REPEAT_INTERVAL),
        mute=route.mute,
        active=route.active,
        escalate=None if (name := inherited("escalate", None)) == NOBODY else name,
    )


class Tree:
    """The tree of routes, ready to be asked; a key that two siblings share gets a number."""

    def __init__(self, root: Route) -> None:
        self.root = root
        self.nodes: dict[str, Node] = {}
        """By key, parents first."""
        self._children: dict[str, list[tuple[Route, Node]]] = {}
        self._root = self._add(root, None, 0)

    def _add(self, route: Route, parent: Node | None, number: int) -> Node:
        node = node_of(route, parent, number)
        if node.key in self.nodes:
            node = node.model_copy(update={"key": f"{node.key}#{number}"})
        self.nodes[node.key] = node
        self._children[node.key] = []
        for child_number, child in enumerate(route.routes):
            self._children[node.key].append((child, self._add(child, node, child_number)))
        return node

    def of(self, labels: Mapping[str, str]) -> list[Node]:
        """The nodes at which an alert with these labels ends up: the deepest that match.

        What is of a kind in ASKED passes over routes that neither name its kind nor lead to one that does; there may be
        none.
        """
        if labels.get("kind") in ASKED:
            return self._asked(self._root, labels, named=False)
        return self._down(self._root, labels)

    def _asked(self, node: Node, labels: Mapping[str, str], *, named: bool) -> list[Node]:
        found: list[Node] = []
        for route, child in self._children[node.key]:
            if all_match(route.match, labels):
                there = self._asked(child, labels, named=named or names_kind(route, labels))
                found += there
                if there and not route.continue_:
                    break
        return found or ([node] if named else [])

    def _down(self, node: Node, labels: Mapping[str, str]) -> list[Node]:
        found: list[Node] = []
        for route, child in self._children[node.key]:
            if all_match(route.match, labels):
                found += self._down(child, labels)
                if not route.continue_:
                    break
        return found or [node]

    def walk(self) -> Iterator[tuple[Route, Node, int]]:
        """Every route with its node and depth, parents first."""
        yield self.root, self._root, 0
        yield from self._below(self._root, 1)

    def _below(self, node: Node, depth: int) -> Iterator[tuple[Route, Node, int]]:
        for route, child in self._children[node.key]:
            yield route, child, depth
            yield from self._below(child, depth + 1)

    def explain(self, labels: Mapping[str, str]) -> Iterator[tuple[str, int]]:
        """What `of` does with these labels, in words, each with its depth."""
        yield "the root matches everything", 0
        yield from self._explained(self._root, labels, 1, named=labels.get("kind") not in ASKED)
        if not self.of(labels):
            yield f'no route that names kind="{labels["kind"]}" matches: nobody is told', 0

    def _explained(
        self, node: Node, labels: Mapping[str, str], depth: int, *, named: bool
    ) -> Iterator[tuple[str, int]]:
        for route, child in self._children[node.key]:
            failed = next((matcher for matcher in route.match if not matcher.matches(labels)), None)
            if failed is not None:
                yield f"route {child.path} doesn't match: {failed} with {labels.get(failed.label, '')!r}", depth
                continue
            here = named or names_kind(route, labels)
            if not here and not self._asked(child, labels, named=False):
                yield f'route {child.path} is passed over: nothing in it names kind="{labels["kind"]}"', depth
                continue
            yield f"route {child.path} matches", depth
            yield from self._explained(child, labels, depth + 1, named=here)
            if not route.continue_:
                return


def names_kind(route: Route, labels: Mapping[str, str]) -> bool:
    """Whether a matcher of the route itself asks for the kind by its name."""
    return any(
        matcher.label == "kind" and matcher.operator in ("=", "=~") and matcher.value and matcher.matches(labels)
        for matcher in route.match
    )
