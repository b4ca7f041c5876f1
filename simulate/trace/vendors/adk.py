"""Google's Agent Development Kit, and kagent on top of it: requests and answers in Gemini's shape."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind, Span, View


def _refine(span: Span, found: View) -> None:
    if span.name.startswith("execute_tool (merged"):
        found.kind = Kind.CHAIN  # round the tools that ran side by side, each with a span of its own
    if found.output and len(found.output) > 1:
        *pieces, last = found.output
        # a streamed answer is told in its pieces and then once more, whole
        told = "".join(each.text for each in pieces)
        if told == last.text != "" and not any(each.tool_calls for each in pieces):
            found.output = [last]


DIALECT = Dialect(
    name="adk",
    version="1.22",
    rank=40,
    scopes=("gcp.vertex.agent", "google.adk"),
    marks=("gcp.vertex.agent.",),
    names=(
        (r"invocation$", Kind.WORKFLOW),
        (r"call_llm$", Kind.LLM),
        (r"agent_run\b", Kind.AGENT),
        (r".", Kind.CHAIN),
    ),
    any_names=((r"call_llm$", Kind.LLM), (r"invocation$", Kind.WORKFLOW), (r"agent_run \[", Kind.AGENT)),
    fields={
        "input": ("gcp.vertex.agent.llm_request",),
        "output": ("gcp.vertex.agent.llm_response",),
        "tool_arguments": ("gcp.vertex.agent.tool_call_args",),
        "tool_result": ("gcp.vertex.agent.tool_response",),
        "session_id": ("gcp.vertex.agent.session_id",),
        "user_id": ("kagent.user_id",),
    },
    refine=_refine,
)
