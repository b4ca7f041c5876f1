"""Model Context Protocol: client and server spans of the conventions, named ``{method} {tool}``."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind, Span, View

_METHODS: dict[str, Kind | None] = {
    "tools/call": Kind.TOOL,
    "resources/read": Kind.RETRIEVER,
    "sampling/createmessage": Kind.CHAIN,
    **dict.fromkeys(
        (
            "initialize",
            "ping",
            "tools/list",
            "resources/list",
            "resources/templates/list",
            "prompts/get",
            "prompts/list",
            "notifications/initialized",
            "completion/complete",
        ),
        Kind.CHAIN,
    ),
}


def _refine(span: Span, found: View) -> None:
    if found.kind is Kind.TOOL and found.tool_name is None:
        # "tools/call refund", and the SDK's own "MCP send tools/call refund"
        before, _, name = span.name.partition("tools/call")
        found.tool_name = name.strip() or before.strip() or span.name


DIALECT = Dialect(
    name="mcp",
    version="2026",
    rank=25,
    scopes=("mcp", "fastmcp", "modelcontextprotocol"),
    marks=("mcp.",),
    kinds={"mcp.method.name": _METHODS},
    any_names=(
        (r"(MCP |mcp\.)?tools/call\b", Kind.TOOL),
        (r"resources/read\b", Kind.RETRIEVER),
        (r"(tools|resources|prompts)/(list|get|templates/list)\b", Kind.CHAIN),
        (r"MCP (send|server handle)|notifications/", Kind.CHAIN),
    ),
    signs={"mcp.method.name": Kind.CHAIN},
    fields={
        "tool_name": ("mcp.tool.name", "tool.name"),
        "session_id": ("mcp.session.id",),
        "tool_arguments": ("mcp.tool.arguments", "mcp.request.argument"),
        "tool_result": ("mcp.tool.result",),
        "query": ("mcp.resource.uri",),
        "tags.mcp.server": ("mcp.server.name",),
    },
    refine=_refine,
)
