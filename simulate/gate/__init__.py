"""The gate: thresholds and comparisons that say `not enough evidence` where there is none."""

from __future__ import annotations

from simulate.gate.decide import Decision, Finding, decide
from simulate.gate.measured import Measured, measured, measured_run
from simulate.gate.render import json_bytes, junit, markdown, to_dict
from simulate.gate.spec import Gate, load_gate

__all__ = [
    "Decision",
    "Finding",
    "Gate",
    "Measured",
    "decide",
    "json_bytes",
    "junit",
    "load_gate",
    "markdown",
    "measured",
    "measured_run",
    "to_dict",
]
