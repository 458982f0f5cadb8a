"""All cases, in the order in which they are run."""

from benchmarks import (
    backtests,
    deciding,
    decoding,
    delivering,
    evaluating,
    events,
    placing,
    policies,
    prometheus,
    remembering,
    samples,
    starting,
    storming,
    terminal,
    ticking,
)

ALL = (
    *starting.CASES,
    *terminal.CASES,
    *decoding.CASES,
    *prometheus.CASES,
    *evaluating.CASES,
    *ticking.CASES,
    *remembering.CASES,
    *deciding.CASES,
    *storming.CASES,
    *delivering.CASES,
    *backtests.CASES,
    *policies.CASES,
    *placing.CASES,
    *samples.CASES,
    *events.CASES,
)
