"""Recommendations handed over as what a team runs: scripts, Terraform and Ansible. Pure; nothing is run."""

from controlplane.export.steps import NotExported
from controlplane.export.write import FORMATS, Exported, export, fitting

__all__ = ["FORMATS", "Exported", "NotExported", "export", "fitting"]
