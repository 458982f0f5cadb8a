"""The digest of a day, from its facts."""

from controlplane.digest import health, money, noise, pages
from controlplane.digest.facts import Facts
from controlplane.model.digest import Digest


def make(facts: Facts) -> Digest:
    """What a day was like; the same facts give the same digest."""
    going, open_count = pages.still_open(facts)
    listed, advised_count, totals = money.advised(facts)
    ticks, gap = health.ticks(facts)
    return Digest(
        start=facts.start,
        end=facts.end,
        as_of=facts.as_of,
        location=facts.location,
        environment=facts.environment,
        pages=pages.pages(facts),
        open=tuple(going),
        open_count=open_count,
        noisy=tuple(noise.noisy(facts)),
        advised=tuple(listed),
        advised_count=advised_count,
        totals=tuple(totals),
        decided=tuple(money.decided(facts)),
        drift=tuple(money.drift(facts)),
        muted=tuple(health.muted(facts)),
        down=tuple(health.down(facts)),
        dead=tuple(health.dead(facts)),
        ticks=ticks,
        gap=gap,
    )
