"""How an incident that nobody takes goes from level to level: when, whom it tells, and what holds it back. Pure.

The clock is the step grid. A level is told at the first step that isn't before its time, one level in a step. What
holds it back (a pause, a mute, a tick that catches up) leaves the rest of its wait as it is; after an acknowledgement
that was given back the wait begins anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controlplane.model.oncall import Escalation, Progress
from controlplane.model.severity import Severity
from controlplane.model.time import human_duration
from controlplane.notify.reach import Reach, Reached

NOW = timedelta(0)


@dataclass(frozen=True, slots=True)
class Situation:
    """What an escalation looks at in a step."""

    at: datetime
    severity: Severity
    begins: bool
    """Whether the incident is first told in this step, or pages anew."""
    taken: bool
    """Whether it is acknowledged as a whole."""
    given_back: bool
    """Whether it no longer is, since this step."""
    hold: str
    """Why nothing is told now: muted, paused, over; empty = nothing holds it."""
    behind: bool
    """Whether the step is one of the past, which is caught up: nobody had the time to answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """Channels to tell besides those of the route, and why."""

    channels: tuple[str, ...] = ()
    note: str = ""
    reasons: tuple[str, ...] = ()
    """For the log: what was passed over."""


def escalated(
    state: Progress | None, name: str, policy: Escalation, reach: Reach, now: Situation
) -> tuple[Progress, tuple[Call, ...]]:
    """The progress after a step, and who is told in it; the same step again gives nothing new."""
    if state is None or state.name != name or now.begins:
        state = Progress(name=name, due=now.at + policy.wait(1, 1))
    if now.taken:
        return state.model_copy(update={"due": None, "left": None, "held": ""}), ()
    idle = state.due is None and state.left is None
    if idle and (now.given_back or not state.over):
        state = _anew(state, policy, now.at)
    held = now.hold or ("the tick catches up" if now.behind else "")
    if held:
        return _held(state, held, now.at), ()
    if state.left is not None:
        state = state.model_copy(update={"due": now.at + state.left, "left": None, "held": ""})
    state, calls = _handed_over(state, reach)
    if state.due is not None and state.due <= now.at:
        state, told = _next(state, policy, reach, now)
        calls += told
    return state, calls


def _anew(state: Progress, policy: Escalation, at: datetime) -> Progress:
    """The wait for the next level begins; after the last one of all rounds, that for the first."""
    following = policy.following(state.level, state.round)
    if following is None:
        return state.model_copy(update={"level": 0, "round": 1, "over": False, "due": at + policy.again_after})
    return state.model_copy(update={"due": at + policy.wait(*following)})


def _held(state: Progress, why: str, at: datetime) -> Progress:
    if state.due is not None:
        return state.model_copy(update={"due": None, "left": max(state.due - at, NOW), "held": why})
    return state.model_copy(update={"held": why}) if state.left is not None else state


def _handed_over(state: Progress, reach: Reach) -> tuple[Progress, tuple[Call, ...]]:
    """Tell those who came on call since a level named their schedule; a gap changes nothing."""
    calls = []
    for schedule, before in state.on_call.items():
        people = reach.on_duty(schedule)
        if not people or set(people) == set(before):
            continue
        new = tuple(person for person in people if person not in state.people)
        state = state.model_copy(
            update={"on_call": {**state.on_call, schedule: people}, "people": (*state.people, *new)}
        )
        if new:
            since = f", after {', '.join(before)}" if before else ""
            verb = "is" if len(new) == 1 else "are"
            note = f"Hand-over: {', '.join(new)} {verb} on call in {schedule} now{since}. Nobody has acknowledged it."
            calls.append(Call(reach.declared(reach.of(new)), note))
            state = _told(state, calls[-1].channels)
    return state, tuple(calls)


def _told(state: Progress, channels: Sequence[str]) -> Progress:
    return state.model_copy(update={"channels": tuple(dict.fromkeys((*state.channels, *channels)))})


def _next(state: Progress, policy: Escalation, reach: Reach, now: Situation) -> tuple[Progress, tuple[Call, ...]]:
    following = policy.following(state.level, state.round)
    if following is None:
        return state.model_copy(update={"due": None, "over": True}), ()
    level, round_ = following
    found = [reach.level(policy.levels[level - 1])]
    # Nobody is on call in it: the next one doesn't wait.
    while not found[-1].people and found[-1].gaps and (further := policy.following(level, round_)) is not None:
        if len(found) == len(policy.levels):
            break
        level, round_ = further
        found.append(reach.level(policy.levels[level - 1]))
    channels = reach.declared(channel for one in found for channel in one.channels)
    gaps = tuple(dict.fromkeys(name for one in found for name in one.gaps))
    nobody = not any(one.people for one in found) and bool(gaps or not channels)
    if nobody:
        channels = reach.everywhere()
    quiet = [reach.quiet(channel, now.severity) for channel in channels]
    if channels and all(quiet):
        why = f"quiet hours of {', '.join(dict.fromkeys(text for text in quiet if text))}"
        return state.model_copy(update={"due": None, "left": NOW, "held": why}), ()
    told = Call(
        channels,
        _note(state, policy, (level, round_), found, gaps, nobody=nobody),
        _reasons(state.name, gaps, nobody=nobody),
    )
    return _arrived(state, policy, (level, round_), found, channels, now.at), (told,)


def _arrived(
    state: Progress,
    policy: Escalation,
    place: tuple[int, int],
    found: Sequence[Reached],
    channels: Sequence[str],
    at: datetime,
) -> Progress:
    """The progress after the level was told; its wait counts from now, however late this is."""
    following = policy.following(*place)
    people = (person for one in found for person in one.people)
    on_call = {name: who for one in found for name, who in one.on_call.items()}
    update = {
        "level": place[0],
        "round": place[1],
        "due": None if following is None else at + policy.wait(*following),
        "over": following is None,
        "people": tuple(dict.fromkeys((*state.people, *people))),
        "on_call": state.on_call | on_call,
    }
    return _told(state.model_copy(update=update), channels)


def _note(
    state: Progress,
    policy: Escalation,
    place: tuple[int, int],
    found: Sequence[Reached],
    gaps: Sequence[str],
    *,
    nobody: bool,
) -> str:
    level, round_ = place
    again = f", round {round_} of {policy.repeat + 1}" if round_ > 1 else ""
    words = dict.fromkeys(word for one in found for word in one.words)
    parts = [f"Escalation {state.name}, level {level} of {len(policy.levels)}{again}: {', '.join(words) or 'nobody'}."]
    first = policy.following(state.level, state.round)
    wait = policy.wait(*first) if first is not None else NOW
    if wait:
        parts.append(f"Nobody acknowledged it for {human_duration(wait)}.")
    if gaps:
        parts.append(f"Nobody is on call in {', '.join(gaps)}.")
    if nobody:
        parts.append("No level that is left reaches anybody, so every channel is told.")
    return " ".join(parts)


def _reasons(name: str, gaps: Sequence[str], *, nobody: bool) -> tuple[str, ...]:
    then = "every channel is told instead" if nobody else "the next level is told at once"
    return tuple(f"escalation {name}: nobody is on call in {gap}; {then}" for gap in gaps)
