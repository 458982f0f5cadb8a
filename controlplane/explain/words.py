"""An explanation for somebody who was woken by it: the verdict first, then what it stands on."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from controlplane.catalogue import bound, held
from controlplane.explain.model import Answer, Explanation, Point, State, Told
from controlplane.explain.verdicts import CLOCK, clock, shown_value, verdict
from controlplane.model.labels import describe
from controlplane.model.rules import AlertRule, DriftRule, Placed
from controlplane.model.time import format_duration
from controlplane.model.units import many
from controlplane.model.views import DeliveryState

_STATES: dict[State, str] = {"firing": "firing", "nodata": "without data", "pending": "pending"}


def lines(answer: Answer, shown: int) -> Iterator[str]:
    """The whole answer; of the samples the newest `shown`."""
    made = answer.explanations
    if len(made) == 1 and not answer.unseen:
        yield f"{verdict(made[0], answer.at)}"
        yield f"{made[0].rule}{_named(made[0])} at {clock(answer.at, answer.at)} on {answer.at:%Y-%m-%d}"
        yield from _details(made[0], answer, shown)
    else:
        yield _summary(answer)
        told = [one for one in made if one.story.state != "inactive" or one.told != Told()]
        quiet = [one for one in made if one not in told]
        for one in told:
            yield ""
            yield f"{one.rule}{_named(one)}: {verdict(one, answer.at)}"
            yield from _details(one, answer, shown)
        if quiet:
            yield ""
        for one in quiet:
            yield f"{one.rule}{_named(one)}: {verdict(one, answer.at)}"
        for unseen in answer.unseen:
            yield ""
            yield f"{unseen.placed.id}: {unseen.why}"
            yield from _rule(unseen.placed)
    yield ""
    if answer.left_out:
        yield f"{many(answer.left_out, 'label set')} more; narrow them with --labels"
    yield _version(answer)
    if answer.samples_since is not None:
        yield f"Samples before {answer.samples_since:%Y-%m-%d %H:%M:%SZ} are no longer kept at full resolution."
    for note in answer.notes:
        yield f"Note: {note}"


def _summary(answer: Answer) -> str:
    states = Counter(one.story.state for one in answer.explanations)
    parts = [f"{states[state]} {word}" for state, word in _STATES.items() if states[state]]
    quiet = states["inactive"] + answer.left_out
    if quiet:
        parts.append(f"{quiet} quiet")
    if answer.unseen:
        parts.append(f"{len(answer.unseen)} without data")
    when = f"{answer.at:%Y-%m-%d} {answer.at.strftime(CLOCK)}"
    return f"{answer.target} at {when}: {', '.join(parts) or 'no rule looks at it'}"


def _named(one: Explanation) -> str:
    return f" ({describe(one.labels)})" if one.labels else ""


def _version(answer: Answer) -> str:
    now = answer.digest_now[:12]
    if answer.digest is None:
        return f"Rules: {now} now; the log doesn't say which were in force"
    if answer.digest == answer.digest_now:
        return f"Rules: {now}, the same as now"
    return f"Rules: {answer.digest[:12]} were in force, {now} are now: conditions shown may be newer than the decision"


def _details(one: Explanation, answer: Answer, shown: int) -> Iterator[str]:
    at = answer.at
    if one.placed is not None:
        yield from _rule(one.placed)
    yield f"  Alert:     {one.alert}, source {one.source}"
    for point in one.points[-shown:] if shown else ():
        yield f"  {clock(point.at, at)}  {_shown(one, point)}"
    for step in one.story.steps:
        value = "" if step.value is None else f", {shown_value(one, step.value)}"
        why = f" ({step.reason})" if step.reason else ""
        yield f"  Decided:   {clock(step.at, at)} {step.type.replace('_', ' ')}{value}{why}"
    if one.story.next is not None:
        yield f"  Later:     {clock(one.story.next.at, at)} {one.story.next.type.replace('_', ' ')}"
    yield from _told(one, at)


def _rule(placed: Placed) -> Iterator[str]:
    rule = placed.rule
    if isinstance(rule, AlertRule):
        ends = f"; ends at {bound(rule, placed.unit, leaving=True)}" if rule.clear else ""
        yield f"  Rule:      {bound(rule, placed.unit)}; {'; '.join(held(rule))}{ends}; {rule.severity.value}"
    elif isinstance(rule, DriftRule):
        yield f"  Rule:      settings as documented; for {format_duration(rule.for_)}; {rule.severity.value}"


def _shown(one: Explanation, point: Point) -> str:
    if point.presence != "present":
        return point.presence
    word = "met" if point.met else "ended" if point.cleared else "not met"
    return f"{shown_value(one, point.value)}  {word}"


def _told(one: Explanation, at: datetime) -> Iterator[str]:
    told = one.told
    if one.story.acknowledged is not None:
        given = one.story.acknowledged
        yield f"  Taken:     by {given.actor} at {clock(given.at, at)}{f': {given.note}' if given.note else ''}"
    if told.incident is not None:
        incident = told.incident
        yield (
            f"  Incident:  {incident.id}, {many(len(incident.firing), 'alert')} of {incident.rule} firing, "
            + (f"last told at {clock(incident.told_at, at)}" if incident.told_at else "not told yet")
        )
    for sent in told.deliveries:
        tries = f" after {many(sent.attempts, 'attempt')}" if sent.attempts > 1 else ""
        why = f": {sent.error}" if sent.error else ""
        state = f"{sent.state.value} at {clock(sent.at, at)}{tries}{why}"
        if sent.state is DeliveryState.QUEUED:
            state = "waits for its first attempt"
        yield f"  Told:      {sent.channel}: {sent.action.value} queued at {clock(sent.queued_at, at)}, {state}"
    for when, channel, reason in told.suppressed:
        yield f"  Not told:  {clock(when, at)} {channel or 'nobody'}: {reason}"
    for advice in told.recommendations:
        yield f"  Advice:    {advice.id} {advice.proposal.title} ({advice.status.value})"
    for error in told.no_advice:
        yield f"  No advice: {error}"
