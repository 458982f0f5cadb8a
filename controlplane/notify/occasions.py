"""How messages that aren't about alerts are headed: recommendations, and silences that are about to end. Pure."""

from controlplane.model.labels import printable
from controlplane.model.notifications import Action, Message, Subject
from controlplane.model.time import human_duration


def state(message: Message) -> str | None:
    """What stands in place of the state of an alert; None where it is about one."""
    ended = message.action is Action.RESOLVE
    match message.subject:
        case Subject.RECOMMENDATION:
            return "RECOMMENDATION over" if ended else "RECOMMENDATION"
        case Subject.FAILOVER:
            return "FAILOVER over" if ended else "FAILOVER recommended"
        case Subject.SILENCE:
            return "SILENCE ENDS"
        case Subject.DIGEST:
            return "DIGEST"
    return None


def numbers(message: Message) -> str | None:
    """What stands in place of how many alerts fire; None where it is about them."""
    match message.subject:
        case Subject.RECOMMENDATION | Subject.FAILOVER:
            if message.action is Action.RESOLVE:
                return f"the alert that it answered began {human_duration(message.at - message.started_at)} ago"
            what = printable(message.members[0].title or message.rule) if message.members else printable(message.rule)
            lasts = human_duration(message.at - message.started_at)
            return f"answers {message.severity.upper()} {what}, for {lasts}"
        case Subject.SILENCE:
            return f"it holds for {human_duration(message.at - message.started_at)} by now"
        case Subject.DIGEST:
            return "the last day"
    return None
