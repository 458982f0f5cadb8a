"""Why an alert paged or didn't: the samples that its rule saw, what was decided and what was told."""

from controlplane.explain.gather import explain
from controlplane.explain.model import Answer, Explanation

__all__ = ["Answer", "Explanation", "explain"]
