"""How urgent an alert is; apart from the rules, since whatever shows alerts needs it before anything else."""

from enum import StrEnum


class Severity(StrEnum):
    """How urgent an alert is: critical wakes somebody, warning is for working hours, info is for the record."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
