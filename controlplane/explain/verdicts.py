"""Why an alert pages or doesn't, in one sentence."""

from datetime import datetime, timedelta

from controlplane.catalogue import bound, expected
from controlplane.explain.model import Explanation
from controlplane.model.rules import AlertRule, DriftRule
from controlplane.model.time import format_duration
from controlplane.present import condition, measured

CLOCK = "%H:%M:%SZ"
_REASONS = {
    "missing": "the series was gone",
    "rule_changed": "the rule was changed",
    "rule_removed": "the rule was removed",
}


def clock(at: datetime, beside: datetime) -> str:
    """`19:19:00Z`, with its date where that isn't the date of `beside`."""
    return at.strftime(CLOCK if at.date() == beside.date() else f"%Y-%m-%d {CLOCK}")


def verdict(one: Explanation, at: datetime) -> str:
    """Why it pages or doesn't, in a sentence."""
    story = one.story
    episode = story.episode
    span = f" for {format_duration(lasting(one))}" if lasting(one) else ""
    if story.state in {"firing", "nodata"} and episode is not None and episode.facts is not None:
        fired = clock(episode.fired_at or episode.active_at, at)
        if story.state == "nodata":
            return f"fired at {fired}: the series is gone while its source answers"
        value = next((step.value for step in reversed(story.steps) if step.type == "fired"), episode.facts.value)
        return f"fired at {fired}: {_against(one, value)}{span}{_holding(one, at)}"
    if story.state == "pending" and episode is not None:
        since, due = clock(episode.active_at, at), clock(episode.active_at + lasting(one), at)
        now = f"{_against(one, _value_at(one, at))} since {since}{_holding(one, at)}"
        return f"is pending: {now}, it fires at {due} if that goes on"
    if episode is not None and episode.end is not None and episode.ended_at is not None and _recent(one, at):
        ended = clock(episode.ended_at, at)
        why = _REASONS.get(episode.end.reason) or shown_value(one, episode.end.value)
        if episode.fired_at is not None:
            firing, fired = format_duration(episode.ended_at - episode.fired_at), clock(episode.fired_at, at)
            return f"no longer fires: it ended at {ended} ({why}), after it fired at {fired} for {firing}"
        whole = format_duration(lasting(one))
        return f"did not fire: the condition was met for {_met(one)} of {whole}, then {why} at {ended}"
    return f"did not fire: {_quiet(one, at)}"


def _quiet(one: Explanation, at: datetime) -> str:
    """Why nothing happens."""
    if one.placed is not None and isinstance(one.placed.rule, DriftRule):
        setting = next((s for s in one.placed.rule.settings if s.setting == one.labels.get("setting")), None)
        return "the setting is as documented" + (f" ({expected(setting)})" if setting else "")
    point = next((point for point in reversed(one.points) if point.at <= at), None)
    if point is None:
        return "there are no samples of it, and nothing was decided about it"
    match point.presence:
        case "absent":
            return f"absent: the source answered at {clock(point.at, at)} and had no such series"
        case "unanswered":
            return f"unanswered: the source gave no answer at {clock(point.at, at)}, which changes no state"
        case "not a number":
            return "its value is not a number, which meets no condition"
    if point.met:
        return f"{_against(one, point.value)}, but no tick has decided that"
    return _against(one, point.value, " is not ")


def _holding(one: Explanation, at: datetime) -> str:
    story = one.story
    if story.held_since is not None:
        why = (
            "the series is missing"
            if story.held_for == "missing"
            else "the condition is gone, keep_firing_for holds it"
        )
        return f" ({why} since {clock(story.held_since, at)})"
    point = next((point for point in reversed(one.points) if point.at <= at), None)
    if point is not None and point.presence == "present" and not point.met and not point.cleared and _clear(one):
        return f" (now {shown_value(one, point.value)}: it ends at {_clear(one)})"
    return ""


def lasting(one: Explanation) -> timedelta:
    """How long the condition has to hold."""
    rule = one.placed.rule if one.placed else None
    return rule.for_ if isinstance(rule, AlertRule | DriftRule) else timedelta(0)


def _unit(one: Explanation) -> tuple[str, str]:
    """Threshold and unit: those of the alert where there is one, because the rule may have changed since."""
    facts = one.story.episode.facts if one.story.episode else None
    if facts is not None and facts.threshold:
        return facts.threshold, facts.unit
    if one.placed is not None and isinstance(one.placed.rule, AlertRule):
        when = one.placed.rule.when
        return f"{when.operator} {when.threshold:.12g}", one.placed.unit
    return "", "1"


def shown_value(one: Explanation, value: float | None) -> str:
    """A value in the unit of the rule."""
    threshold, unit = _unit(one)
    return measured(value, unit, threshold)


def _bound(one: Explanation) -> str:
    threshold, unit = _unit(one)
    if one.placed is not None and isinstance(one.placed.rule, DriftRule):
        return threshold
    return condition(threshold, unit)


def _clear(one: Explanation) -> str:
    rule = one.placed.rule if one.placed else None
    return bound(rule, one.placed.unit, leaving=True) if one.placed and isinstance(rule, AlertRule) else ""


def _against(one: Explanation, value: float | None, between: str = " ") -> str:
    """`112,400 messages > 100,000`: a unit that is a word stands once."""
    facts = one.story.episode.facts if one.story.episode else None
    if one.placed is not None and isinstance(one.placed.rule, DriftRule) and facts is not None:
        return facts.summary
    left, right = shown_value(one, value), _bound(one)
    name = left.partition(" ")[2]
    return left + between + (right.removesuffix(f" {name}") if name.isalpha() else right)


def _value_at(one: Explanation, at: datetime) -> float | None:
    known = [point.value for point in one.points if point.at <= at and point.presence == "present"]
    if known:
        return known[-1]
    return one.story.episode.facts.value if one.story.episode and one.story.episode.facts else None


def _met(one: Explanation) -> str:
    """How long the condition was met before the end of the episode."""
    episode = one.story.episode
    assert episode is not None
    assert episode.ended_at is not None
    met = [point.at for point in one.points if point.met and episode.active_at <= point.at < episode.ended_at]
    return format_duration((met[-1] if met else episode.active_at) - episode.active_at)


def _recent(one: Explanation, at: datetime) -> bool:
    """Whether the end of the last episode still tells something: within an hour, or within the samples shown."""
    episode = one.story.episode
    assert episode is not None
    assert episode.ended_at is not None
    begin = one.points[0].at if one.points else at - timedelta(hours=1)
    return episode.ended_at >= min(begin, at - timedelta(hours=1))
