"""Claude's Agent SDK as traceAI tells it: turns, tools and subagents in names of its own."""

from __future__ import annotations

import re

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import outgoing
from simulate.trace.reading.values import flag
from simulate.trace.span import Kind, Span, View

_TOOL = re.compile(r"\[Tool: [^\]]+\]\s*")


def _refine(span: Span, found: View) -> None:
    if found.kind is Kind.LLM:
        said = str(span.attributes.get("claude_agent.message.content") or "")
        if flag(span.attributes.get("claude_agent.message.has_tool_use")):
            # only the names of the tools are told; a TOOL span has the call itself
            said = _TOOL.sub("", said)
            found.finish_reasons = found.finish_reasons or ["tool_use"]
        found.output = outgoing(said)
        if not found.input_tokens and not found.output_tokens:
            found.input_tokens = found.output_tokens = None  # 0 stands in every span, whatever was used
    elif found.kind is Kind.TOOL and flag(span.attributes.get("claude_agent.tool.is_error")):
        found.error = found.error or str(found.tool_result or "the tool failed")


DIALECT = Dialect(
    name="claude_agent",
    version="1.1",
    rank=19,
    marks=("claude_agent.",),
    kinds={
        "claude_agent.span_kind": {
            "conversation": Kind.AGENT,
            "assistant_turn": Kind.LLM,
            "tool_execution": Kind.TOOL,
            "subagent": Kind.TOOL,
        }
    },
    fields={
        "request_model": ("claude_agent.model",),
        "instructions": ("claude_agent.system_prompt",),
        "input_value": ("claude_agent.prompt",),
        "session_id": ("claude_agent.session_id",),
        "tool_name": ("claude_agent.tool.name",),
        "tool_call_id": ("claude_agent.tool.use_id",),
        "tool_arguments": ("claude_agent.tool.input",),
        "tool_result": ("claude_agent.tool.output",),
    },
    refine=_refine,
)
