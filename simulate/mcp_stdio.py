"""Between an agent and its MCP server on stdin and stdout: ``python -m simulate.mcp_stdio CHANNEL COMMAND…``.

What the simulation answers never reaches the server; everything else passes. Nothing but the standard library
is imported: the agent starts this as its server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, BinaryIO, cast

from simulate.tool_client import ADDRESS, ToolClient, serving


class _ToolFailed(Exception):
    """A tool that is pinned to fail."""


def tool_result(value: Any, *, failed: bool = False) -> dict[str, Any]:
    """A tool's answer as MCP has it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # resultType is what newer versions of the protocol demand, and older ones pass over
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": text}],
        "isError": failed,
        "resultType": "complete",
    }
    if not failed:
        result["structuredContent"] = value if isinstance(value, dict) else {"result": value}
    return result


def plain_result(result: Any) -> Any:
    """What a tool answered, without MCP's wrapping."""
    if not isinstance(result, dict):
        return result
    given = cast("dict[str, Any]", result)
    structured: Any = given.get("structuredContent")
    if structured is not None:
        return structured["result"] if list(structured) == ["result"] else structured
    parts = cast("list[dict[str, Any]]", given.get("content") or [])
    texts = [part.get("text", "") for part in parts if part.get("type") == "text"]
    return texts[0] if len(texts) == 1 else texts


def traceparent_of(params: dict[str, Any]) -> dict[str, str]:
    """Whose call it is, as MCP carries it."""
    meta: dict[str, Any] = params.get("_meta") or {}
    return {"traceparent": str(meta.get("traceparent", ""))}


class _Between:
    def __init__(self, channel: str, server: subprocess.Popen[bytes]) -> None:
        self._client = ToolClient(channel, _ToolFailed)
        self._server = server
        self._waiting: dict[Any, tuple[threading.Event, list[dict[str, Any]]]] = {}
        self._lock = threading.Lock()

    def run(self) -> int:
        assert self._server.stdin is not None
        reader = threading.Thread(target=self._from_server, daemon=True)
        reader.start()
        for line in sys.stdin.buffer:
            message = _parsed(line)
            if message.get("method") == "tools/call":
                threading.Thread(target=self._call, args=(message, line), daemon=True).start()
            else:
                self._write(self._server.stdin, line)
        self._server.stdin.close()
        reader.join()
        return self._server.wait()

    def _call(self, message: dict[str, Any], line: bytes) -> None:
        params: dict[str, Any] = message.get("params") or {}
        answers: list[dict[str, Any]] = []

        def live() -> Any:
            came = threading.Event()
            self._waiting[message.get("id")] = came, answers
            assert self._server.stdin is not None
            self._write(self._server.stdin, line)
            came.wait()
            return plain_result(answers[0].get("result", answers[0].get("error")))

        try:
            with serving(traceparent_of(params)):
                result = self._client.call_sync(
                    str(params.get("name")), params.get("arguments") or {}, live, write=False
                )
            answer = answers[0] if answers else {"result": tool_result(result)}
        except _ToolFailed as error:
            answer = {"result": tool_result(str(error), failed=True)}
        except Exception as error:  # noqa: BLE001 - the agent learns of it as of any broken server
            answer = {"error": {"code": -32603, "message": f"{type(error).__name__}: {error}"}}
        told = {**answer, "jsonrpc": "2.0", "id": message.get("id")}
        self._write(sys.stdout.buffer, json.dumps(told).encode() + b"\n")

    def _from_server(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            message = _parsed(line)
            waiting = None if "method" in message else self._waiting.pop(message.get("id"), None)
            if waiting is None:
                self._write(sys.stdout.buffer, line)
            else:
                waiting[1].append(message)
                waiting[0].set()

    def _write(self, stream: Any, line: bytes) -> None:
        with self._lock:
            file: BinaryIO = stream
            file.write(line)
            file.flush()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def main(arguments: list[str]) -> int:
    """Start the server and stand between; with nobody to ask (``-``), it is the server alone."""
    channel, *command = arguments
    if channel == "-":
        os.execvp(command[0], command)
    environment = {**os.environ, ADDRESS: channel}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as server:
        return _Between(channel, server).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
