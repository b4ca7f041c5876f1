"""``simulate trace``: one module a sub-verb, ``trace_<sub-verb>.py``."""

from __future__ import annotations

import argparse
import importlib

from simulate.interfaces.cli.verbs import add_verbs

SUB_VERBS = {
    "show": "the tree of a trace: kinds, durations, tokens, cost, errors, verdicts",
    "find": "find traces by user, session, time, tool, error, cost or score",
    "convert": "any trace file as OTLP JSON, JSON lines, protobuf, or for Jaeger's UI",
    "cost": "what traces cost, by user, feature, prompt version, model, tenant or cohort",
    "quality": "coverage, completeness, causality, latency, cost, attachment and feedback of trace files",
    "redact": "replace secrets and personal data by stable placeholders",
    "sample": "keep errors, breached scores, cost outliers and a uniform baseline; whole traces only",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    add_verbs(
        parser,
        SUB_VERBS,
        lambda name: importlib.import_module(f"simulate.interfaces.cli.trace_{name}"),
        required=True,
        metavar="SUB-VERB",
    )
