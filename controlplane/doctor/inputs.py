"""Checks of what a tick decides by: rules, prices, and the answers and clocks of sources."""

from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane import bootstrap
from controlplane.doctor.findings import Finding, Findings
from controlplane.model.rules import AlertRule
from controlplane.model.time import Window, human_duration, on_grid, to_ms
from controlplane.model.units import many
from controlplane.settings import InventoryFile, InventoryTargets, PrometheusSource, Settings, SourceSettings

CLOCK_TOLERANCE = timedelta(seconds=5)
"""Clocks that are further apart are told."""


def rules(settings: Settings) -> Findings:
    """Whether every rule can be used, and whether there is one."""
    loaded = bootstrap.load_rule_set(settings)
    for problem in loaded.problems:
        yield Finding("rules", "fail", f"{problem.place}: {problem.message}", problem.remedy or "Correct the rule")
    if loaded.rules.rules:
        rules, signals = many(len(loaded.rules.rules), "rule"), many(len(loaded.rules.signals), "signal")
        yield Finding("rules", "ok", f"{rules}, {signals}")
    else:
        yield Finding("rules", "fail", "no rule is enabled", "Name packs under platforms, or files under rules")


def prices(settings: Settings) -> Findings:
    """Whether every pack has a price book that can be read."""
    platforms = sorted({placed.platform for placed in bootstrap.load_rule_set(settings).rules.rules})
    books, problems = bootstrap.load_prices(settings, platforms)
    for problem in problems:
        yield Finding("prices", "fail", f"{problem.place}: {problem.message}", problem.remedy or "Correct the book")
    broken = {problem.place.file for problem in problems}
    for platform in platforms:
        if platform in books:
            prices = books[platform].prices
            unknown = sum(price.amount is None for price in prices)
            yield Finding("prices", "ok", f"{platform}: {many(len(prices), 'price')}, {unknown} unknown")
        elif str(settings.prices.get(platform)) not in broken:
            remedy = "Name a price book under prices; until then there are no recommendations for it"
            yield Finding("prices", "warn", f"{platform} has no price book", remedy)
    for platform in sorted(settings.prices.keys() - set(platforms)):
        remedy = "Correct the name of the pack, or remove the book"
        yield Finding("prices", "warn", f"there is a price book for {platform}, which has no rules", remedy)


def sources(settings: Settings) -> Findings:
    """Whether there are sources for what is enabled, and rules for what they are for."""
    if not settings.sources:
        yield Finding("sources", "fail", "there is no source", "Add one under sources")
    rules = bootstrap.load_rule_set(settings).rules.rules
    inventories = [s.platform for s in settings.sources if isinstance(s, InventoryFile | InventoryTargets)]
    for platform in sorted({placed.platform for placed in rules}):
        mine = [placed for placed in rules if placed.platform == platform]
        if platform not in inventories and any(not isinstance(placed.rule, AlertRule) for placed in mine):
            remedy = "Add a source of type inventory or prometheus_targets; capacity and failover advice needs it"
            yield Finding("sources", "warn", f"{platform} has no inventory", remedy)
    known = {placed.platform for placed in rules}
    for source in settings.sources:
        named = source.platforms or () if isinstance(source, PrometheusSource) else (source.platform,)
        for wanted in named:
            if wanted is not None and wanted not in known:
                remedy = "Enable the pack under platforms, or correct the name"
                yield Finding("sources", "warn", f"{source.name} is for {wanted}, which has no rules", remedy)


def source(source: SourceSettings, settings: Settings) -> Findings:
    """Try one source as if it were the only one."""
    settings = settings.model_copy(update={"sources": (source,)})
    for inventory in bootstrap.inventories(settings):
        yield Finding(source.name, "ok", many(len(inventory.load()), "resource"))
    for collector in bootstrap.collectors(settings, bootstrap.load_rule_set(settings)):
        signals = collector.signals()
        if not signals:
            remedy = "Enable packs under platforms, or correct its own platforms"
            yield Finding(source.name, "warn", "no signal is asked of it", remedy)
            continue
        step = round(settings.step.total_seconds() * 1000)
        notes = collector.check()
        if notes:
            # Whether it works at all, a real question tells: it raises where the source as a whole fails.
            end = on_grid(to_ms(datetime.now(UTC)), step)
            collector.collect({signals[0]: Window(end - step, end, step)})
        for note in notes:
            yield Finding(source.name, "warn", note)
        if not notes:
            yield Finding(source.name, "ok", f"answers; it is asked for {many(len(signals), 'signal')}")
        yield from _clock(collector)


def _clock(collector: Any) -> Findings:
    ask = getattr(collector, "clock_skew", None)
    seconds = ask() if ask is not None else None
    if seconds is None:
        return
    skew = timedelta(seconds=abs(seconds))
    if skew > CLOCK_TOLERANCE:
        remedy = "Synchronise the clocks (chrony, ntpd); durations are measured in telemetry time"
        yield Finding("clock", "fail", f"{collector.name} is {human_duration(skew)} away from this machine", remedy)
    else:
        yield Finding("clock", "ok", f"within {CLOCK_TOLERANCE.seconds} s of {collector.name}")
