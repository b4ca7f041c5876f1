"""The gate: thresholds and comparisons that say `not enough evidence` where there is none."""

from __future__ import annotations

from simulate.scoring.gate.decide import Decision, RuleResult, decide
from simulate.scoring.gate.measured import Measured, measured, measured_run
from simulate.scoring.gate.spec import Gate, load_gate

__all__ = [
    "Decision",
    "Gate",
    "Measured",
    "RuleResult",
    "decide",
    "load_gate",
    "measured",
    "measured_run",
]
