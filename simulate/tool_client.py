"""How tools marked with ``@simulate.tool`` get their answers in an agent's own process.

The process is started with the address of the simulation's `ToolChannel` in ``SIMULATE_TOOLS``. Each call
says to which conversation it belongs, asks there, and runs the tool itself only where it is told to. Nothing
but the standard library is imported: this runs in the user's program.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

ADDRESS = "SIMULATE_TOOLS"
"""The environment variable with the channel's URL."""
CONVERSATION = "SIMULATE_CONVERSATION"
"""The one with the conversation's id, where a process serves a single one."""
_served: contextvars.ContextVar[str | None] = contextvars.ContextVar("simulate_served", default=None)


class ToolChannelError(Exception):
    """The simulation could not say what a tool answers."""


@contextlib.contextmanager
def serving(headers: Mapping[str, str]) -> Generator[None]:
    """For a server that OpenTelemetry does not instrument: the marked tools that are called inside belong to
    the conversation of this request, as its ``traceparent`` says. Outside a simulation it does nothing."""
    parts = next((value for name, value in headers.items() if name.lower() == "traceparent"), "").split("-")
    token = _served.set(parts[1] if len(parts) == 4 else None)
    try:
        yield
    finally:
        _served.reset(token)


class Serving:
    """The same for each request of an ASGI app: ``app.add_middleware(simulate.Serving)``."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())
        }
        with serving(headers):
            await self._app(scope, receive, send)


def tool_client(failure: type[Exception]) -> ToolClient | None:
    """What answers this process's tools; None where no simulation started it. A tool that is pinned to fail
    raises ``failure``."""
    address = os.environ.get(ADDRESS)
    return ToolClient(address, failure) if address else None


class ToolClient:
    """The toolbox of a simulation in another process."""

    def __init__(self, address: str, failure: type[Exception]) -> None:
        self._address, self._failure = address, failure

    def offered(self, name: str, *, write: bool) -> None:
        """The channel hears of it with the call."""

    def answers(self, name: str) -> bool:
        """Whether the simulation answers this tool, so that it need not run."""
        return bool(self._post("answers", {"name": name, "conversations": _conversations()})["answers"])

    async def call(
        self, name: str, arguments: dict[str, Any], live: Callable[[], Awaitable[Any]], *, write: bool
    ) -> Any:
        """The simulation's answer; ``live`` runs the tool where there is none."""
        reply = await asyncio.to_thread(self._ask, name, arguments, write)
        if "live" not in reply:
            return self._answer(reply)
        try:
            result = await live()
        except BaseException as error:
            await asyncio.to_thread(self._tell, reply, {"error": f"{type(error).__name__}: {error}"})
            raise
        await asyncio.to_thread(self._tell, reply, {"result": result})
        return result

    def call_sync(self, name: str, arguments: dict[str, Any], live: Callable[[], Any], *, write: bool) -> Any:
        """Like ``call``, for a tool that is a plain function."""
        reply = self._ask(name, arguments, write)
        if "live" not in reply:
            return self._answer(reply)
        try:
            result = live()
        except BaseException as error:
            self._tell(reply, {"error": f"{type(error).__name__}: {error}"})
            raise
        self._tell(reply, {"result": result})
        return result

    def _ask(self, name: str, arguments: dict[str, Any], write: bool) -> dict[str, Any]:
        asked = {"name": name, "arguments": arguments, "write": write, "conversations": _conversations()}
        return self._post("call", asked)

    def _tell(self, reply: Mapping[str, Any], outcome: dict[str, Any]) -> None:
        # what the tool did counts, whether or not anybody hears of it
        with contextlib.suppress(ToolChannelError):
            self._post("done", {"live": reply["live"], **outcome})

    def _post(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body, default=str).encode()
        request = urllib.request.Request(
            f"{self._address}/{what}", data, {"Content-Type": "application/json"}, method="POST"
        )
        # a proxy of the environment has no business on the loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise ToolChannelError(error.read().decode(errors="replace")) from None
        except OSError as error:
            raise ToolChannelError(f"the simulation that started this process is gone: {error}") from None

    def _answer(self, reply: Mapping[str, Any]) -> Any:
        if "failed" in reply:
            raise self._failure(reply["failed"])
        return reply.get("result")


def _conversations() -> list[str]:
    """What could name the conversation, the surest first; only what the process has imported is asked."""
    found = [os.environ.get(CONVERSATION), _served.get()]
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry import baggage, trace  # an agent without OpenTelemetry need not have it

        found.append(str(baggage.get_baggage("simulate.conversation.id") or ""))
        context = trace.get_current_span().get_span_context()
        found.append(f"{context.trace_id:032x}" if context.is_valid else "")
    return [each for each in found if each]
