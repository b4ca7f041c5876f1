"""Instructor: a model fills a structure through a tool that nobody runs; the call is the answer."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.nesting import Above
from simulate.trace.span import Kind, Span, Trace, View


def _refine(span: Span, found: View) -> None:
    found.kind = Kind.CHAIN


def _answers(trace: Trace, found: dict[str, View]) -> None:
    spans = {span.span_id: span for span in trace.spans}
    above = Above(spans, lambda span: found[span.span_id].dialect == "instructor")
    for span in trace.spans:
        if found[span.span_id].kind is Kind.LLM and above.of(span) is not None:
            view = found[span.span_id]
            for message in (*(view.input or ()), *(view.output or ())):
                for call in message.tool_calls:
                    call["runs"] = False


DIALECT = Dialect(
    name="instructor",
    version="2",
    rank=18,
    scopes=("openinference.instrumentation.instructor", "traceai_instructor"),
    names=((r".", Kind.CHAIN),),
    refine=_refine,
    context=_answers,
)
