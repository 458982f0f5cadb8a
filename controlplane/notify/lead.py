"""Who follows the outbox: one process at a time, by a lease that outlives a crash for a while."""

import time
from collections.abc import Callable
from datetime import timedelta

from controlplane.model.errors import ControlplaneError
from controlplane.notify.box import Outbox

FOLLOWED = "outbox"
"""The lease of the process that follows the outbox."""
LEASE = timedelta(seconds=30)
_LOOK = 0.2
"""Seconds after which a lease that somebody has is asked for again."""


def lead(box: Outbox, ended: Callable[[], bool]) -> bool:
    """Take or renew the lease, waiting for one that is left of a crash; False where `ended` sooner.

    It is the process's, so that a follower that begins anew in it has it at once. ControlplaneError where another
    process still has it after `LEASE`, and so renews it.
    """
    until = time.monotonic() + LEASE.total_seconds()
    while not box.log.lease(FOLLOWED, box.holder, now=box.now(), ttl=LEASE):
        if ended():
            return False
        if time.monotonic() > until:
            raise ControlplaneError("another worker follows the outbox already; end it first")
        time.sleep(_LOOK)
    return True
