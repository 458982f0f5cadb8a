"""All cases, in the order in which they are run."""

from benchmarks import deciding, decoding, events, samples, starting

ALL = (*starting.CASES, *decoding.CASES, *deciding.CASES, *samples.CASES, *events.CASES)
