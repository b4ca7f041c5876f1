"""Guardrails' own spans, with or without an instrumentation that adds to them.

OpenInference marks every one of them as a guardrail, the model's call too, so that the names go first.
"""

from __future__ import annotations

from simulate.model.shapes import object_of
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import decoded, text
from simulate.trace.span import Kind, Span, View


def _refine(span: Span, found: View) -> None:
    """The verdict of one validator's own span."""
    name = text(span.attributes.get("validator.name"))
    told = decoded(span.attributes.get("output.value"))
    outcome = object_of(told).get("outcome")
    if found.kind is Kind.GUARDRAIL and name is not None and outcome is not None:
        found.gateway.setdefault("guardrails", []).append({"name": name, "result": str(outcome)})


DIALECT = Dialect(
    name="guardrails",
    version="0.11",
    rank=46,
    scopes=("guardrails-ai",),
    names=((r"call$", Kind.LLM), (r".", Kind.GUARDRAIL)),
    any_names=((r"\w+ValidatorService\.after_run_validator$", Kind.GUARDRAIL),),
    names_first=True,
    refine=_refine,
)
