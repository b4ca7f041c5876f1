"""MCP: every request of the SDK's client is recorded and played at the session, above any transport.

So stdio, streamable HTTP and in-memory servers replay alike, and nothing of a transport (session ids,
JSON-RPC ids, ``params._meta`` with its trace context) is part of a key. A replay reaches no server.
"""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any, cast

from opentelemetry import trace as otel_trace

from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.traffic import ToolExchange
from simulate.tools import annotate, annotated_writes


# private names of mcp are used: tests/test_private_names.py lists them, with the version tried
def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace."""
    session_class: Any = importlib.import_module("mcp.client.session").ClientSession
    stdio: Any = importlib.import_module("mcp.client.stdio")
    return [
        (session_class, "send_request", _requesting(session_class.send_request, router)),
        (session_class, "send_discover", _discovering(session_class.send_discover, router)),
        (session_class, "send_notification", _notifying(session_class.send_notification, router)),
        (
            stdio,
            "_create_platform_compatible_process",
            _spawning(stdio._create_platform_compatible_process, router),
        ),
    ]


def _requesting(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    async def send_request(client: Any, request: Any, result_type: Any, *args: Any, **kwargs: Any) -> Any:
        traffic = router.current
        if traffic is None:
            return await real(client, request, result_type, *args, **kwargs)
        name, arguments = _call(request)
        write = annotated_writes(_conversation()).get(name.removeprefix(MCP_CALL), False)
        exchange = traffic.begin_tool(name, arguments, write=write, source="mcp")
        if not exchange.live:
            if exchange.recorded is None:
                traffic.refuse(f"MCP {name}, which was not recorded")
            answer = await _answer(exchange, result_type)
            _learn(name, answer.model_dump(by_alias=True, mode="json", exclude_none=True))
            return answer
        try:
            result = await real(client, request, result_type, *args, **kwargs)
        except BaseException as error:
            exchange.ended(None, error)
            raise
        told = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        _learn(name, told)
        exchange.ended(told, None)
        return result

    return send_request


def _discovering(real: Any, router: TrafficRouter) -> Any:
    """`mcp.Client` asks with this which protocol the server speaks, past ``send_request``."""

    @functools.wraps(real)
    async def send_discover(client: Any, version: str) -> dict[str, Any]:
        traffic = router.current
        if traffic is None:
            return await real(client, version)
        name = "mcp server/discover"
        exchange = traffic.begin_tool(name, {"version": version}, write=False, source="mcp")
        if not exchange.live:
            if exchange.recorded is None:
                traffic.refuse(f"MCP {name}, which was not recorded")
            return await _answer(exchange, dict)
        try:
            result = await real(client, version)
        except BaseException as error:
            exchange.ended(None, error)
            raise
        exchange.ended(result, None)
        return result

    return send_discover


MCP_CALL = "mcp:"


def _learn(name: str, result: dict[str, Any]) -> None:
    """Keep which of the tools that a server lists only read; one without the annotation stays unknown."""
    if name != "mcp tools/list":
        return
    for listed in cast("list[dict[str, Any]]", result.get("tools") or []):
        read_only = cast("dict[str, Any]", listed.get("annotations") or {}).get("readOnlyHint")
        if isinstance(read_only, bool):
            annotate(_conversation(), listed["name"], write=not read_only)


def _conversation() -> str:
    """The id of the conversation that this is a part of: its spans are of one trace."""
    return f"{otel_trace.get_current_span().get_span_context().trace_id:032x}"


def _notifying(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    async def send_notification(client: Any, *args: Any, **kwargs: Any) -> None:
        if not _replayed(router):  # in a replay there is nobody to notify
            await real(client, *args, **kwargs)

    return send_notification


def _spawning(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    async def create(command: str, args: list[str], *rest: Any, **kwargs: Any) -> Any:
        if _replayed(router):
            # the transport wants a process; this one waits until it is let go
            command, args = sys.executable, ["-S", "-c", "import sys; sys.stdin.read()"]
        return await real(command, args, *rest, **kwargs)

    return create


def _call(request: Any) -> tuple[str, Any]:
    inner = getattr(request, "root", request)
    data: dict[str, Any] = inner.model_dump(by_alias=True, mode="json", exclude_none=True)
    given = cast("dict[str, Any]", data.get("params") or {})
    params = {name: value for name, value in given.items() if name != "_meta"}
    if data["method"] == "tools/call":
        return f"{MCP_CALL}{params['name']}", params.get("arguments") or {}
    return f"mcp {data['method']}", params


def _replayed(router: TrafficRouter) -> bool:
    return router.current is not None and router.current.replaying


async def _answer(exchange: ToolExchange, result_type: Any) -> Any:
    error = exchange.recorded.error if exchange.recorded is not None else None
    if error is None or error.get("code") is None:
        result = await exchange.arrive_async()
        if result_type is dict:
            return result
        validate = getattr(result_type, "validate_python", None) or result_type.model_validate
        return validate(result)
    given = {"code": error["code"], "message": error["message"], "data": error.get("data")}
    mcp: Any = importlib.import_module("mcp")
    if hasattr(mcp, "MCPError"):
        raise mcp.MCPError(**given)
    raise mcp.McpError(importlib.import_module("mcp.types").ErrorData(**given))
