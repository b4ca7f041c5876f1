"""Golden datasets: production traces as regression cases, versioned by what they hold."""

from __future__ import annotations

from simulate.scoring.datasets.make import Added, Wish, add
from simulate.scoring.datasets.store import Dataset, DatasetCase, Version

__all__ = ["Added", "Dataset", "DatasetCase", "Version", "Wish", "add"]
