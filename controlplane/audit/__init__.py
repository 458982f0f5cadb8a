"""What a plan claims, recomputed from its parts: totals, capacities, recovery times, networks and money."""

from controlplane.audit.checks import audit
from controlplane.audit.findings import Audit, Checked, Impact, Verdict
from controlplane.audit.reading import Material, read_plan

__all__ = ["Audit", "Checked", "Impact", "Material", "Verdict", "audit", "read_plan"]
