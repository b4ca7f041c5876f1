"""Libraries that report to their makers by default do not, neither in this process nor in those it starts.

A variable that is set already stays as it is."""

from __future__ import annotations

import os

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, which speech models bring; asked for at its import
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",  # the word that several tools share
    "ANONYMIZED_TELEMETRY": "False",  # Chroma
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "AGNO_TELEMETRY": "false",
    "MEM0_TELEMETRY": "False",
    "SCARF_NO_ANALYTICS": "true",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Of what we depend on ourselves, and of what agents under test often bring."""


def switch_off() -> None:
    """From now on; before any of them is imported."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
