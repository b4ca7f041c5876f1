"""Spring AI: the observations of its own, beside the conventions' names."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="spring_ai",
    version="1.1",
    rank=46,
    marks=("spring.ai.",),
    kinds={"spring.ai.kind": {"tool_call": Kind.TOOL, "vector_store": None}},
    any_names=((r"tool_call \S", Kind.TOOL),),
    fields={
        "tool_name": ("spring.ai.tool.definition.name",),
        "tool_arguments": ("spring.ai.tool.call.arguments",),
        "tool_result": ("spring.ai.tool.call.result",),
    },
    signs={"spring.ai.kind": Kind.CHAIN},
)
