"""The outbox: sends what is queued, in order per lane, and records what came of every attempt.

At least once: an attempt whose outcome couldn't be recorded is made again. PagerDuty recognises the repetition by its
dedup_key; Slack, mail and the like can't.
"""

from collections.abc import Callable

from controlplane.notify.box import DeliveryReport, Outbox
from controlplane.notify.draw import warm
from controlplane.notify.lead import FOLLOWED
from controlplane.notify.worker import Worker

__all__ = ["DeliveryReport", "Outbox", "deliver", "follow"]


def deliver(outbox: Outbox) -> DeliveryReport:
    """Send what is due, unless another worker follows the outbox.

    Lanes (incident and channel) are strictly first-in-first-out. Channels are independent: each has at most one send on
    its way, with a hard deadline of `channels.timeout`, no more of them in a time than its rate, and is left until the
    next call once its provider can't be reached or wants fewer messages; after any other failure only the lane is.
    Critical messages go first. The call lasts two deadlines at most. A delivery is dead-lettered, and another channel
    told of it, when the provider rejects it, when its channel isn't declared any more, or when an attempt fails and it
    is older than `max_age`.
    """
    run = Worker(outbox)
    if outbox.log.leased(FOLLOWED, now=outbox.now()):
        return run.elsewhere()
    return run.once()


def follow(
    outbox: Outbox,
    ended: Callable[[], bool],
    *,
    reload: Callable[[], Outbox | None] = lambda: None,
    on_report: Callable[[DeliveryReport], None] = lambda _: None,
) -> None:
    """Keep sending what becomes due until `ended`; ControlplaneError where another process still does after 30 s.

    A channel that hangs delays no other one, not even with what is queued meanwhile. `reload` is asked now and then for
    the outbox as the settings have it by now; None = nothing changed.
    """
    if any(channel.draws for channel in outbox.channels.loaded.values()):
        warm()
    Worker(outbox).follow(ended, reload, on_report)
