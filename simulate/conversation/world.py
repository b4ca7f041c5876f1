"""A world of one's own for each conversation: set up before it, torn down after it, compared in between."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import json
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from simulate.errors import AddressError, HarnessFault
from simulate.load_object import load_object, own_traceback
from simulate.tools import ToolFailed

_OWN = frozenset({"setup", "teardown", "state"})
"""What a world answers to us; its other public methods are tools."""


class World:
    """One conversation's world, while it lasts.

    ``state_before`` and ``state_after`` are what its ``state()`` gave before and after the conversation; None
    where it has none."""

    def __init__(self, made: Any, name: str) -> None:
        self.name = name
        self.state_before: Any = None
        self.state_after: Any = None
        self._made = made
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def has(self, tool: str) -> bool:
        """Whether one of its methods answers this tool."""
        return self._method(tool) is not None

    async def answer(self, tool: str, arguments: dict[str, Any]) -> Any:
        """What its method gives. Raises ToolFailed, which a method raises where the tool is to fail."""
        result = self._called(tool, arguments)
        return await self._guarded(tool, result) if inspect.isawaitable(result) else result

    def answer_sync(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Like ``answer``, for a tool that is a plain function."""
        result = self._called(tool, arguments)
        if not inspect.isawaitable(result):
            return result
        if threading.get_ident() == self._thread:
            cast("Coroutine[Any, Any, Any]", result).close()
            raise HarnessFault(
                f"{self.name}: {tool} is a coroutine, and the agent calls this tool as a plain function",
                hint="make it `def` instead of `async def`",
            )
        return asyncio.run_coroutine_threadsafe(self._guarded(tool, result), self._loop).result()

    async def snapshot(self) -> Any:
        """Its state now, as JSON; None where it tells none."""
        state = getattr(self._made, "state", None)
        if state is None:
            return None
        found = await self._run("state", state)
        try:
            return json.loads(json.dumps(found))
        except (TypeError, ValueError, RecursionError) as error:
            raise HarnessFault(
                f"{self.name}: state() returned something that is not JSON: {error}"
            ) from error

    async def run_step(self, step: str) -> None:
        """Call ``setup`` or ``teardown``, where it has one."""
        method = getattr(self._made, step, None)
        if method is not None:
            await self._run(step, method)

    async def _run(self, step: str, method: Callable[[], Any]) -> Any:
        try:
            result = method()
            return await result if inspect.isawaitable(result) else result
        except Exception as error:
            raise _broke(self.name, step, error) from error

    def _method(self, tool: str) -> Callable[..., Any] | None:
        if tool in _OWN or tool.startswith("_"):
            return None
        method = getattr(self._made, tool, None)
        return method if inspect.isroutine(method) else None

    def _called(self, tool: str, arguments: dict[str, Any]) -> Any:
        method = self._method(tool)
        assert method is not None
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            # the agent's own mistake, which its tool would not take either
            raise ToolFailed(f"{tool}: {error}") from None
        try:
            # what the agent does with an argument or an answer must not change the world
            return _apart(method(**copy.deepcopy(arguments)))
        except ToolFailed:
            raise
        except Exception as error:
            raise _broke(self.name, tool, error) from error

    async def _guarded(self, tool: str, result: Any) -> Any:
        try:
            return _apart(await result)
        except ToolFailed:
            raise
        except Exception as error:
            raise _broke(self.name, tool, error) from error


def _apart(result: Any) -> Any:
    return result if inspect.isawaitable(result) else copy.deepcopy(result)


def _broke(name: str, what: str, error: Exception) -> HarnessFault:
    if isinstance(error, HarnessFault):
        return error
    return HarnessFault(
        f"the world {name}: {what} raised {type(error).__name__}: {error}",
        hint="a tool that is to fail raises simulate.ToolFailed",
        proof=own_traceback(error),
    )


def load_world(address: str, root: Path | None) -> Callable[[], Any]:
    """What makes a world: a class, or a function that gives one or yields it. Raises AddressError."""
    found = load_object(address.removeprefix("python:"), f"world: {address}", root)
    return check_factory(found, f"world: {address}")


def check_factory(found: Any, name: str) -> Callable[[], Any]:
    """The same, of a value; raises AddressError."""
    if not callable(found):
        raise AddressError(f"{name}: is of type {type(found).__name__}; a world is a class or a function")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise AddressError(f"{name}: must be callable without arguments ({error})") from None
    except ValueError:
        pass  # a builtin without a signature
    return found


@contextlib.asynccontextmanager
async def living(make: Callable[[], Any] | None, name: str) -> AsyncGenerator[World | None, None]:
    """A world set up for a conversation and torn down after it, whatever happens; None without ``make``."""
    if make is None:
        yield None
        return
    try:
        made = make()
        made = await made if inspect.isawaitable(made) else made
    except Exception as error:
        raise _broke(name, "its making", error) from error
    async with _yielded(made, name) as instance:
        world = World(instance, name)
        try:
            await world.run_step("setup")
            world.state_before = await world.snapshot()
            yield world
            world.state_after = await world.snapshot()
        finally:
            await world.run_step("teardown")


@contextlib.asynccontextmanager
async def _yielded(made: Any, name: str) -> AsyncGenerator[Any, None]:
    """The world that a generator function yields, which goes on after the conversation, as in a fixture."""
    if not inspect.isgenerator(made) and not inspect.isasyncgen(made):
        yield made
        return

    async def step() -> Any:
        try:
            return await anext(made, None) if inspect.isasyncgen(made) else next(made, None)
        except Exception as error:
            raise _broke(name, "its generator", error) from error

    instance = await step()
    try:
        yield instance
    finally:
        await step()
