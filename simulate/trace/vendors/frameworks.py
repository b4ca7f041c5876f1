"""Frameworks whose spans carry the conventions' attributes and need only their names read."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="frameworks",
    version="1",
    rank=80,
    scopes=("crewai", "langgraph", "langchain", "agno", "smolagents", "strands", "autogen", "haystack"),
    operations={"agent_step": Kind.CHAIN},
    any_names=(
        (r"langchain4j\.aiservices\.", Kind.AGENT),
        (r"strands\.event\.", Kind.CHAIN),
        (r"AutoFunctionInvocationLoop$", Kind.CHAIN),
        (r"agent_runtime (ack|create|process|publish|send)\b", Kind.CHAIN),
    ),
    names=(
        (r".*\b(tool|function)( call| usage)?$", Kind.TOOL),
        (r".*\b(crew|workflow|graph|LangGraph)\b", Kind.WORKFLOW),
        (r".*\bagent\b", Kind.AGENT),
        (r".", Kind.CHAIN),
    ),
)
