"""What may differ between two runs, in one place: the clock, chance and ids. It knows nothing of replay."""

from __future__ import annotations

from simulate.determinism.context import RunContext, SystemClock, current, derive_seed, pinned

__all__ = ["RunContext", "SystemClock", "current", "derive_seed", "pinned"]
