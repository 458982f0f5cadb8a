"""From paths and times to a policy, an inventory and a feed; all that is wrong with any of them is told at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from controlplane.backtest.feed import Feed, FileFeed, needs
from controlplane.backtest.record import Recorder
from controlplane.backtest.report import Night, document
from controlplane.backtest.run import Run, run_all
from controlplane.backtest.samplefile import Progress, SampleFile, open_samples
from controlplane.backtest.stored import StoredFeed
from controlplane.costs import PriceBook, read_price_book
from controlplane.eventlog.log import EventLog
from controlplane.model.errors import InvalidInput, Place, Problem
from controlplane.model.resources import Inventory, Resource
from controlplane.model.routes import Route
from controlplane.model.rules import RuleSet
from controlplane.model.time import format_duration, from_ms
from controlplane.notify.addresses import PAGERDUTY, SLACK
from controlplane.notify.routing import default_route
from controlplane.oncall.roster import Roster
from controlplane.present import iso
from controlplane.rules.files import read_rule_texts
from controlplane.rules.load import load_rules
from controlplane.settings import Channel, Notify, Secret, Settings
from controlplane.telemetry.inventory_file import read_inventory
from controlplane.telemetry.store import SampleStore
from controlplane.tick.advise import advice_reads
from controlplane.tick.plane import Policy

T = TypeVar("T")

ENVIRONMENT = "backtest"
NOTIFY = Notify(
    channels=(
        Channel(name="slack", url=Secret(env="CONTROLPLANE_BACKTEST_SLACK")),
        Channel(name="pagerduty", url=Secret(env="CONTROLPLANE_BACKTEST_PAGERDUTY")),
    ),
    route=default_route({"slack": SLACK, "pagerduty": PAGERDUTY}),
)
"""Critical and warning alerts to Slack, critical ones to PagerDuty; the addresses are never read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be backtested; times are epoch ms, None = the span of the samples."""

    rules: tuple[tuple[Path, ...], ...]
    """Files and folders of each rule set; one set, or two to compare."""
    samples: Path
    step: timedelta
    begin: int | None = None
    end: int | None = None
    inventory: Path | None = None
    prices: Path | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything read and checked."""

    policies: tuple[Policy, ...]
    inventory: Inventory
    file: SampleFile
    first: int
    last: int


class Problems:
    """Collects what is wrong, so that one mistake doesn't hide the others."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, problems: Iterable[Problem]) -> None:
        """Add problems that aren't there yet."""
        self.found += [problem for problem in dict.fromkeys(problems) if problem not in self.found]

    def of(self, work: Callable[[], T], otherwise: T) -> T:
        """What `work` gives, else `otherwise`, with its problems added."""
        try:
            return work()
        except InvalidInput as error:
            self.add(error.problems)
            return otherwise

    def raise_any(self) -> None:
        """InvalidInput where there are any."""
        if self.found:
            raise InvalidInput(self.found)


def read_rules(paths: Sequence[Path], problems: Problems) -> RuleSet:
    """The rules of files and folders; half of them would mislead, so every problem counts."""
    texts, unread = read_rule_texts((), paths)
    problems.add(unread)
    # A file that is named stands for itself, also where it is beside another one that is.
    in_turn = sorted(texts, key=lambda text: not text.beside)
    once = {Path(text.name).resolve(): text for text in in_turn}
    loaded = load_rules(text for text in texts if once[Path(text.name).resolve()] is text)
    problems.add(loaded.problems)
    if not loaded.rules.rules and not unread and not loaded.problems:
        shown = ", ".join(map(str, paths))
        problems.add([Problem(Place(shown), "there are no rules", "Name files or folders with alert rules")])
    return loaded.rules


def read_resources(path: Path, platforms: Sequence[str], problems: Problems) -> Inventory:
    """The inventory, for each of the packs."""
    found: list[Resource] = []
    for platform in platforms:
        found += problems.of(partial(read_inventory, path, platform), ())
    return Inventory(resources=tuple(found))


def platforms_of(rule_sets: Iterable[RuleSet]) -> list[str]:
    """The packs that rules belong to, in name order."""
    return sorted({placed.platform for rules in rule_sets for placed in rules.rules})


def read_policies(
    rules: Sequence[Sequence[Path]], inventory: Path | None, prices: Path | None, problems: Problems
) -> tuple[tuple[Policy, ...], Inventory]:
    """A policy a rule set, and the inventory where one is given."""
    rule_sets = [read_rules(paths, problems) for paths in rules]
    platforms = platforms_of(rule_sets) or [ENVIRONMENT]
    resources = Inventory() if inventory is None else read_resources(inventory, platforms, problems)
    book = None if prices is None else problems.of(lambda: read_price_book(prices), None)
    books = dict.fromkeys(platforms, book) if book is not None else {}
    made = [
        Policy(rules=rules, prices=books, notify=NOTIFY, route=NOTIFY.route or Route(), environment=ENVIRONMENT)
        for rules in rule_sets
    ]
    return tuple(made), resources


def prepare(asked: Asked, folder: Path, progress: Progress) -> Ready:
    """Read and check everything; InvalidInput carries every problem of every file."""
    problems = Problems()
    policies, inventory = read_policies(asked.rules, asked.inventory, asked.prices, problems)
    step_ms = asked.step // timedelta(milliseconds=1)
    file = problems.of(lambda: open_samples(asked.samples, step_ms, folder, progress), None)
    problems.raise_any()
    assert file is not None
    first = int(file.steps[0]) if asked.begin is None else -(-asked.begin // step_ms) * step_ms
    last = int(file.steps[-1]) if asked.end is None else asked.end // step_ms * step_ms
    if last < first:
        message = (
            f"there is no step of {format_duration(asked.step)} from {iso(from_ms(first))} to {_shown(asked, last)}"
        )
        raise InvalidInput([Problem(Place(str(asked.samples)), message, "Correct --from, --to or --step")])
    return Ready(policies, inventory, file, first, last)


def _shown(asked: Asked, last: int) -> str | None:
    return iso(from_ms(last if asked.end is None else asked.end))


@dataclass(frozen=True, slots=True)
class Tested:
    """Finished runs with their documents, in the order of the policies."""

    runs: tuple[Run, ...]
    documents: tuple[dict[str, Any], ...]
    series: pl.DataFrame


def feed_of(ready: Ready, folder: Path, progress: Progress, window: int | None = None) -> FileFeed:
    """The samples of the span, in windows of so many steps (default: as many as fit into memory)."""
    derived = [one for policy in ready.policies for one in policy.compiled.derived]
    advice: dict[str, timedelta] = {}
    for policy in ready.policies:
        for signal, lookback in advice_reads(policy).items():
            advice[signal] = max(advice.get(signal, lookback), lookback)
    keep = needs(derived, advice)
    return FileFeed(ready.file, ready.first, ready.last, keep, folder, progress, window)


def backtest(
    ready: Ready,
    folder: Path,
    night: Night,
    progress: Progress,
    window: int | None = None,
    log: EventLog | None = None,
) -> Tested:
    """Run every policy over the samples; the result doesn't depend on `window`, the number of steps taken at once.

    `log` is an empty event log that gets the decisions of the only policy.
    """
    feed = feed_of(ready, folder, progress, window)
    recorder = None if log is None else Recorder(log, feed.step_ms)
    runs = [Run(policy, ready.inventory, feed, recorder) for policy in ready.policies]
    go(runs, feed, progress)
    about = span(feed) | {"samples": feed.rows, "series": len(ready.file.series)}
    series = ready.file.series
    return Tested(tuple(runs), tuple(document(run, night, about, series) for run in runs), series)


def go(runs: Sequence[Run], feed: Feed, progress: Progress) -> None:
    """Take the runs through the feed."""
    whole = max(1, feed.last - feed.first + feed.step_ms)
    for done in run_all(list(runs), feed):
        progress(f"Evaluated to {from_ms(done):%Y-%m-%d %H:%MZ}", (done - feed.first + feed.step_ms) / whole)


def span(feed: Feed) -> dict[str, Any]:
    """From, to and step of a feed, for the summary."""
    return {
        "from": iso(from_ms(feed.first)),
        "to": iso(from_ms(feed.last)),
        "step": format_duration(timedelta(milliseconds=feed.step_ms)),
    }


def over_store(
    store: SampleStore,
    settings: Settings,
    rules: Sequence[Sequence[Path]],
    since: timedelta,
    *,
    inventory: Path | None,
    known: tuple[Resource, ...],
    prices: Path | None,
    books: Callable[[Sequence[str]], tuple[dict[str, PriceBook], list[Problem]]],
    night: Night,
    progress: Progress,
    route: Route,
    window: int | None = None,
) -> Tested:
    """Run rule sets over stored samples; the inventory is `known`, prices are `books`, channels those of the settings.

    `inventory` and `prices` take their place where they are given. InvalidInput as for `prepare`.
    """
    problems = Problems()
    policies, resources = read_policies(rules, inventory, prices, problems)
    if prices is None:
        own, unread = books(platforms_of([policy.rules for policy in policies]))
        problems.add(unread)
        policies = tuple(replace(policy, prices=own) for policy in policies)
    feed = problems.of(lambda: StoredFeed(store, settings.step // timedelta(milliseconds=1), since, window), None)
    problems.raise_any()
    assert feed is not None
    notify = settings.notify if settings.notify.channels else NOTIFY
    root = route if settings.notify.channels else NOTIFY.route or Route()
    roster = Roster(notify.schedules, notify.people, settings.home)
    policies = tuple(
        replace(one, notify=notify, route=root, environment=settings.environment, roster=roster) for one in policies
    )
    found = resources if inventory is not None else Inventory(resources=known)
    runs = [Run(policy, found, feed) for policy in policies]
    go(runs, feed, progress)
    about = span(feed) | {"samples": feed.rows, "series": len(feed.series)}
    return Tested(tuple(runs), tuple(document(run, night, about, feed.series) for run in runs), feed.series)
