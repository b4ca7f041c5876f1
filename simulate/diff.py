"""Two traces aligned and compared: what changed, and which of it matters."""

from __future__ import annotations

from simulate.trace.diff import Category, Change, Diff, Tolerance, compare, judged, matches

__all__ = ["Category", "Change", "Diff", "Tolerance", "compare", "judged", "matches"]
