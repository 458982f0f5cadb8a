"""All cases, in the order in which they are run."""

from benchmarks import backtests, deciding, decoding, evaluating, events, prometheus, samples, starting, ticking

ALL = (
    *starting.CASES,
    *decoding.CASES,
    *prometheus.CASES,
    *evaluating.CASES,
    *ticking.CASES,
    *deciding.CASES,
    *backtests.CASES,
    *samples.CASES,
    *events.CASES,
)
