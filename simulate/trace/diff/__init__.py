"""Two traces aligned and compared: what changed, and which of it matters."""

from simulate.trace.diff.change import Category, Change, Detail, Tolerance
from simulate.trace.diff.compare import Judge, compare, judged, matches, recorded
from simulate.trace.diff.result import Diff

__all__ = [
    "Category",
    "Change",
    "Detail",
    "Diff",
    "Judge",
    "Tolerance",
    "compare",
    "judged",
    "matches",
    "recorded",
]
