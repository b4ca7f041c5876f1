"""Golden datasets: production traces as regression cases, versioned by what they hold."""

from __future__ import annotations

from simulate.scoring.datasets.make import Added, Wish, add
from simulate.scoring.datasets.store import Case, Dataset, Version

__all__ = ["Added", "Case", "Dataset", "Version", "Wish", "add"]
