"""Where agents in processes of their own ask what their marked tools answer: see `simulate.tool_client`."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from simulate.errors import Fault, HarnessFault, SimulateError
from simulate.tool_client import ADDRESS, CONVERSATION
from simulate.tools import Toolbox, ToolFailed

_NODE = Path(__file__).with_suffix(".cjs").with_stem("tool_client")


@dataclass(slots=True)
class _Served:
    """One conversation whose tools can be asked for."""

    toolbox: Toolbox
    context: contextvars.Context
    """With the conversation's own clock and chance."""
    running: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    fault: SimulateError | None = None


@dataclass(slots=True)
class _Live:
    """A call that the agent's own tool answers, until it says what came of it."""

    task: asyncio.Task[Any]
    done: asyncio.Future[Any]


class ToolChannel:
    """A server on 127.0.0.1; what it is asked counts for the conversation that the asking process names."""

    def __init__(self) -> None:
        self._served: dict[str, _Served] = {}
        self._live: dict[str, _Live] = {}
        self._over: set[str] = set()
        self._numbers = itertools.count()
        self._secret = secrets.token_urlsafe(16)
        self._address: str | None = None

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Answer while inside."""
        app = web.Application(client_max_size=64 << 20)
        for name, handler in (("answers", self._answers), ("call", self._call), ("done", self._done)):
            app.router.add_post(f"/{self._secret}/{name}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            self._address = f"http://127.0.0.1:{port}/{self._secret}"
            yield
        finally:
            await runner.cleanup()

    @property
    def address(self) -> str | None:
        """Where it is asked; None where no server runs."""
        return self._address

    async def answer(self, asked: Mapping[str, Any], live: Callable[[], Awaitable[Any]]) -> Any:
        """What a tool of an agent's MCP server answers; ``live`` asks the server. Raises ToolFailed
        for one that is pinned to fail."""
        served = self._find(asked)
        call = served.toolbox.call(asked["name"], asked["arguments"], live, write=False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(_awaited(call), context=served.context.copy())
        served.running.add(task)
        task.add_done_callback(served.running.discard)
        try:
            return await task
        except SimulateError as error:
            raise web.HTTPConflict(text=str(error)) from None

    def environment(self, conversation: str | None = None) -> dict[str, str]:
        """What an agent's process is started with; ``conversation`` for one that serves a single one. Nothing
        where no server runs."""
        if self._address is None:
            return {}
        found = {ADDRESS: self._address}
        return found if conversation is None else {**found, CONVERSATION: conversation}

    @contextlib.contextmanager
    def open(self, conversation: str, toolbox: Toolbox) -> Generator[None]:
        """Let processes ask for this conversation's tools. Raises HarnessFault at the end, where a tool was
        called and nobody could say in which conversation."""
        served = self._served[conversation] = _Served(toolbox, contextvars.copy_context())
        try:
            yield
        except Fault as fault:
            # the agent broke because its tool could not be answered
            raise (served.fault or fault) from fault.__cause__
        finally:
            del self._served[conversation]
            self._over.add(conversation)
            for task in served.running:
                task.cancel()
        if served.fault is not None:
            raise served.fault

    def _find(self, asked: Mapping[str, Any]) -> _Served:
        """The conversation that a call names; the only one there is, where it names none that we know."""
        names: list[str] = asked.get("conversations", [])
        known = next((name for name in names if name in self._served), None)
        if known is not None:
            return self._served[known]
        if not self._over.isdisjoint(names):
            raise web.HTTPConflict(text="the conversation is over")
        if len(self._served) == 1:
            return next(iter(self._served.values()))
        fault = HarnessFault(
            f"the agent called its tool {asked.get('name')!r}, and nothing says in which conversation",
            hint="`app.add_middleware(simulate.Serving)` in FastAPI, or "
            "`with simulate.serving(request.headers):` in its handler, or OpenTelemetry in its server; "
            "or run with --jobs 1",
        )
        for served in self._served.values():
            served.fault = served.fault or fault
        raise web.HTTPConflict(text=str(fault))

    async def _answers(self, request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"answers": self._find(asked).toolbox.answers(asked["name"])})

    async def _call(self, request: web.Request) -> web.Response:
        asked = await request.json()
        served = self._find(asked)
        loop = asyncio.get_running_loop()
        runs_itself: asyncio.Future[None] = loop.create_future()
        done: asyncio.Future[Any] = loop.create_future()

        async def live() -> Any:
            runs_itself.set_result(None)
            return await done

        served.toolbox.offered(asked["name"], write=asked["write"])
        call = served.toolbox.call(asked["name"], asked["arguments"], live, write=asked["write"])
        task = loop.create_task(_awaited(call), context=served.context.copy())
        served.running.add(task)
        task.add_done_callback(served.running.discard)
        await asyncio.wait((task, runs_itself), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            number = str(next(self._numbers))
            self._live[number] = _Live(task, done)
            return web.json_response({"live": number})
        try:
            return web.json_response({"result": task.result()})
        except ToolFailed as error:
            return web.json_response({"failed": str(error)})
        except SimulateError as error:
            # the conversation keeps it as its own fault, too
            raise web.HTTPConflict(text=str(error)) from None

    async def _done(self, request: web.Request) -> web.Response:
        told = await request.json()
        live = self._live.pop(told["live"], None)
        if live is None:
            raise web.HTTPConflict(text="the conversation is over")
        if not live.done.done():
            error = told.get("error")
            if error is None:
                live.done.set_result(told.get("result"))
            else:
                live.done.set_exception(ToolFailed(error))
        await asyncio.wait((live.task,))
        if not live.task.cancelled():
            live.task.exception()  # looked at: it is the agent's own tool that failed
        return web.json_response({})


def for_node(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with which a Node process has ``globalThis.simulate``, where it names a channel."""
    if ADDRESS not in environment:
        return dict(environment)
    options = environment.get("NODE_OPTIONS", os.environ.get("NODE_OPTIONS", ""))
    return {**environment, "NODE_OPTIONS": f'{options} --require "{_NODE}"'.strip()}


async def _awaited(call: Any) -> Any:
    return await call
