"""MCP: every request of the SDK's client is recorded and played at the session, above any transport.

So stdio, streamable HTTP and in-memory servers replay alike, and nothing of a transport (session ids,
JSON-RPC ids, ``params._meta`` with its trace context) is part of a key. A replay reaches no server.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from typing import Any, cast

from simulate.replay.cassette.cassette import ToolRecording
from simulate.replay.intercept.tool_calls import NotRecorded
from simulate.replay.player import Player
from simulate.replay.session import Recorder, current


# private names of mcp are used: tests/test_private_names.py lists them, with the version tried
def patches() -> list[tuple[Any, str, Any]]:
    """The methods to replace, where the SDK is installed."""
    if importlib.util.find_spec("mcp") is None:
        return []
    session_class: Any = importlib.import_module("mcp.client.session").ClientSession
    stdio: Any = importlib.import_module("mcp.client.stdio")
    return [
        (session_class, "send_request", _requesting(session_class.send_request)),
        (session_class, "send_notification", _notifying(session_class.send_notification)),
        (stdio, "_create_platform_compatible_process", _spawning(stdio._create_platform_compatible_process)),
    ]


def _requesting(real: Any) -> Any:
    @functools.wraps(real)
    async def send_request(client: Any, request: Any, result_type: Any, *args: Any, **kwargs: Any) -> Any:
        session = current.get()
        if session is None:
            return await real(client, request, result_type, *args, **kwargs)
        name, arguments = _call(request)
        if isinstance(session, Recorder):
            recording = session.tool_began(name, arguments, False, "mcp")
            try:
                result = await real(client, request, result_type, *args, **kwargs)
            except Exception as error:
                session.tool_ended(recording, error=error)
                recording.error = {**(recording.error or {}), **_protocol_error(error)}
                raise
            session.tool_ended(recording, result.model_dump(by_alias=True, mode="json", exclude_none=True))
            return result
        found = session.tool(name, arguments)
        if isinstance(found, ToolRecording):
            return _given(found, result_type)
        session.refuse(f"MCP {name}, which was not recorded")
        raise NotRecorded(found)

    return send_request


def _notifying(real: Any) -> Any:
    @functools.wraps(real)
    async def send_notification(client: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(current.get(), Player):  # in a replay there is nobody to notify
            await real(client, *args, **kwargs)

    return send_notification


def _spawning(real: Any) -> Any:
    @functools.wraps(real)
    async def create(command: str, args: list[str], *rest: Any, **kwargs: Any) -> Any:
        if isinstance(current.get(), Player):
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
        return f"mcp:{params['name']}", params.get("arguments") or {}
    return f"mcp {data['method']}", params


def _protocol_error(error: BaseException) -> dict[str, Any]:
    data: Any = getattr(error, "error", None)
    return {"code": data.code, "message": data.message, "data": data.data} if hasattr(data, "code") else {}


def _given(recording: ToolRecording, result_type: Any) -> Any:
    if recording.error is None:
        validate = getattr(result_type, "validate_python", None) or result_type.model_validate
        return validate(recording.result)
    code = recording.error.get("code")
    if code is None:
        from simulate.replay.intercept.tool_calls import given

        return given(recording)
    mcp: Any = importlib.import_module("mcp")
    if hasattr(mcp, "MCPError"):
        raise mcp.MCPError(code=code, message=recording.error["message"], data=recording.error.get("data"))
    types: Any = importlib.import_module("mcp.types")
    raise mcp.McpError(
        types.ErrorData(code=code, message=recording.error["message"], data=recording.error.get("data"))
    )
