"""Can the numbers be trusted: freshness, share of NaN, duplicate identities, hash chain, deliveries."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    multi_asset_check,
)

from assets.resources import ControlPlaneResource, readable_errors
from assets.telemetry import BROKERS, SAMPLED, SampleSource, source_names
from controlplane import bootstrap
from controlplane.eventlog.projections import DELIVERIES, OUTBOX, RULES, SOURCES, TICK
from controlplane.model.time import from_ms, human_duration
from controlplane.model.views import DeliveryState

STALE_STEPS = 20
"""A source whose newest step is older than this many steps is stale (5 minutes at 15 s, Prometheus' own limit)."""
NAN_SHARE = 0.05
LINKS = 1_000
"""Links of the hash chain that every tick verifies; maintenance verifies all of them."""
GIVEN_UP = timedelta(days=1)
"""For so long a message that was given up fails the check."""


def samples_are_fresh(control: ControlPlaneResource) -> AssetCheckResult:
    """Every source of samples has answered lately, and no signal of it fails."""
    return _fresh(control, SAMPLED)


def lag_is_fresh(control: ControlPlaneResource) -> AssetCheckResult:
    """Every Kafka cluster has answered lately, and nothing of it fails."""
    return _fresh(control, BROKERS)


def _fresh(control: ControlPlaneResource, kinds: tuple[type[SampleSource], ...]) -> AssetCheckResult:
    plane = control.plane
    last = plane.log.row(TICK, "tick")
    rows = plane.log.rows(SOURCES)
    names = sorted(source_names(control.settings, kinds))
    late = {}
    for name in names:
        row = rows.get(name)
        if row is not None and row.failed:
            late[name] = "; ".join(f"{key}: {error}" if key else error for key, error in row.failed.items())
        elif row is None or row.through_ms is None:
            late[name] = "has never answered"
        elif last is not None:
            age = last.now - from_ms(row.through_ms)
            if age > timedelta(milliseconds=STALE_STEPS * plane.step_ms):
                late[name] = f"its newest step is {human_duration(age)} old"
    return AssetCheckResult(passed=not late, metadata={"sources": len(names), "stale": late})


def values_are_numbers(control: ControlPlaneResource) -> AssetCheckResult:
    """The share of NaN among the samples of the last window is small."""
    names = source_names(control.settings, SAMPLED)
    rows = [row for row in control.plane.log.rows(SOURCES).values() if row.source in names]
    shares = {row.source: (row.nan_rows or 0) / row.rows for row in rows if row.rows}
    worst = max(shares.values(), default=0.0)
    return AssetCheckResult(
        passed=worst <= NAN_SHARE,
        severity=AssetCheckSeverity.WARN,
        metadata={"share_of_nan": worst, "limit": NAN_SHARE, "by_source": shares},
    )


def inventories_are_readable(control: ControlPlaneResource) -> AssetCheckResult:
    """Every inventory source gave its resources."""
    plane = control.plane
    names = {source.name for source in plane.inventories}
    failed = {
        row.source: "; ".join(row.failed.values())
        for row in plane.log.rows(SOURCES).values()
        if row.failed and row.source in names
    }
    return AssetCheckResult(passed=not failed, metadata={"sources": len(names), "failed": failed})


def rules_are_usable(control: ControlPlaneResource) -> AssetCheckResult:
    """Every rule and price book of the enabled packs could be read; the others work without it."""
    problems = [str(problem) for problem in control.plane.rule_problems]
    return AssetCheckResult(
        passed=not problems, severity=AssetCheckSeverity.WARN, metadata={"problems": problems or ["none"]}
    )


def identities_are_unique(control: ControlPlaneResource) -> AssetCheckResult:
    """No rule has two results with the same labels."""
    failing = {f"{row.rule} over {row.source}": row.error for row in control.plane.log.rows(RULES).values()}
    return AssetCheckResult(passed=not failing, metadata={"failing_rules": failing})


def hash_chain_holds(control: ControlPlaneResource) -> AssetCheckResult:
    """Nobody changed the log: its newest links hold; the maintenance job verifies all of them."""
    verification = control.plane.log.verify(newest=LINKS)
    return AssetCheckResult(
        passed=verification.ok,
        metadata={"verified_events": verification.checked, "first_broken": verification.problem or "none"},
    )


def messages_get_through(control: ControlPlaneResource) -> AssetCheckResult:
    """Every channel could be loaded, no message is being retried, and none was given up within a day."""
    log = control.plane.log
    retried = {row.id: row.last_error for row in log.rows(OUTBOX).values() if row.attempts}
    last = log.row(TICK, "tick")
    since = last.now - GIVEN_UP if last is not None else None
    given_up = {
        row.id: row.error
        for row in log.rows(DELIVERIES).values()
        if row.state is DeliveryState.DEAD and (since is None or row.at > since)
    }
    unusable = [str(problem) for problem in bootstrap.check_channels(control.settings)]
    return AssetCheckResult(
        passed=not retried and not given_up and not unusable,
        metadata={"retried": retried, "given_up_within_a_day": given_up, "unusable_channels": unusable or ["none"]},
    )


Check = Callable[[ControlPlaneResource], AssetCheckResult]
CHECKS: dict[str, tuple[Check, ...]] = {
    "prometheus_samples": (samples_are_fresh, values_are_numbers),
    "kafka_lag": (lag_is_fresh,),
    "inventory": (inventories_are_readable,),
    "alerts": (rules_are_usable, identities_are_unique, hash_chain_holds),
    "notifications": (messages_get_through,),
}
"""Asset → its checks, by the name and docstring of their functions."""


@multi_asset_check(
    specs=[
        AssetCheckSpec(check.__name__, asset=asset, description=check.__doc__)
        for asset, checks_of_it in CHECKS.items()
        for check in checks_of_it
    ],
    can_subset=True,
)
def checks(context: AssetCheckExecutionContext, control_plane: ControlPlaneResource) -> Iterator[AssetCheckResult]:
    """All checks in one step at the end of a tick: a step each would cost more than the checks do."""
    for asset, checks_of_it in CHECKS.items():
        for check in checks_of_it:
            key = AssetCheckKey(AssetKey(asset), check.__name__)
            if key in context.selected_asset_check_keys:
                with readable_errors():
                    found = check(control_plane)
                yield found._replace(asset_key=key.asset_key, check_name=key.name)
