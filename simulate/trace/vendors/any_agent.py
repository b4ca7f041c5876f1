"""Mozilla's any-agent: the conventions' names, with what came out of any span in ``gen_ai.output``."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="any_agent",
    version="1.0",
    rank=47,
    operations={"call_llm": Kind.LLM},
    any_names=((r"call_llm \S", Kind.LLM),),
    fields={"tool_arguments": ("gen_ai.tool.args",), "output_value": ("gen_ai.output",)},
)
