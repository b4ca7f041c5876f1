"""Guardrails' own spans, with or without an instrumentation that adds to them.

OpenInference marks every one of them as a guardrail, the model's call too, so that the names go first.
"""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="guardrails",
    version="0.11",
    rank=46,
    scopes=("guardrails-ai",),
    names=((r"call$", Kind.LLM), (r".", Kind.GUARDRAIL)),
    any_names=((r"\w+ValidatorService\.after_run_validator$", Kind.GUARDRAIL),),
    names_first=True,
)
