"""The seam through which an agent's tools answer what a scenario pins.

An agent's author marks a tool once, with ``@simulate.tool``; outside a simulation the mark does nothing.
Inside one, the tool's answer comes from the running conversation's toolbox: pinned by the scenario,
or taken from a cassette.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from simulate.tool_client import Serving, serving, tool_client

__all__ = [
    "Serving",
    "ToolFailed",
    "Toolbox",
    "current",
    "marked",
    "serving",
    "tool",
    "using",
]

P = ParamSpec("P")
R = TypeVar("R")


class ToolFailed(Exception):
    """What a tool raises that a scenario pins to fail, or that failed when it was recorded with an exception
    whose class cannot be raised again. The agent has to cope with it."""


class Toolbox(Protocol):
    """Answers tool calls for one conversation."""

    def offered(self, name: str, *, write: bool) -> None:
        """The agent has a tool of this name, which is marked to write or not to."""
        ...

    def answers(self, name: str) -> bool:
        """Whether it answers this tool by itself, so that the tool need not run."""
        ...

    async def call(
        self, name: str, arguments: dict[str, Any], live: Callable[[], Awaitable[Any]], *, write: bool
    ) -> Any:
        """The answer of one call; ``live`` runs the agent's own tool."""
        ...

    def call_sync(self, name: str, arguments: dict[str, Any], live: Callable[[], Any], *, write: bool) -> Any:
        """Like ``call``, for a tool that is a plain function."""
        ...


_current: contextvars.ContextVar[Toolbox | None] = contextvars.ContextVar("simulate_toolbox", default=None)


def current() -> Toolbox | None:
    """The toolbox of the running conversation, also where it is simulated by the process that started this
    one; None outside a simulation."""
    toolbox = _current.get()
    return tool_client(ToolFailed) if toolbox is None else toolbox


@contextlib.contextmanager
def using(toolbox: Toolbox) -> Generator[None]:
    """Let every marked tool inside answer from ``toolbox``."""
    token = _current.set(toolbox)
    try:
        yield
    finally:
        _current.reset(token)


@overload
def tool(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def tool(*, name: str | None = None, write: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, write: bool = False
) -> Any:
    """Mark a function, sync or async, as one of the agent's tools.

    Outside a simulation the mark does nothing. Inside, what a scenario pins under ``tools:`` is answered from
    there, without calling the function.

    Args:
        name: What the scenario calls it; the function's own name unless given.
        write: It changes something in the world: a replay never runs it for real, and ``only_writes``
            counts it.

    >>> @tool(write=True)
    ... def issue_refund(order_id: str, amount: float) -> dict:
    ...     return {"order": order_id, "refunded": amount}
    >>> issue_refund("4417", 42.5)
    {'order': '4417', 'refunded': 42.5}
    """
    if function is None:
        return functools.partial(_mark, name=name, write=write)
    return _mark(function, name=name, write=write)


_marked: set[str] = set()


def marked() -> frozenset[str]:
    """The names of all tools that were marked in this process."""
    return frozenset(_marked)


_annotated: dict[str, dict[str, bool]] = {}
"""By conversation: whether each of its tools writes, by its mark or by the annotations of the MCP server that
listed it. Not by process: two agents may have tools of one name."""


def annotate(conversation: str, name: str, *, write: bool) -> None:
    """Keep what is said of a tool. Of two tools of one name that differ, the one that writes counts."""
    known = _annotated.setdefault(conversation, {})
    known[name] = write or known.get(name, False)


def annotated_writes(conversation: str) -> dict[str, bool]:
    """Whether each tool of this conversation writes, as far as it is marked or annotated."""
    return dict(_annotated.get(conversation, {}))


def _mark(function: Callable[..., Any], *, name: str | None, write: bool) -> Callable[..., Any]:
    known_as = name or function.__name__
    _marked.add(known_as)
    signature = inspect.signature(function)

    def bound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments.update(cast("dict[str, Any]", arguments.pop(parameter.name, {})))
        return arguments

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def answered(*args: Any, **kwargs: Any) -> Any:
            toolbox = current()
            if toolbox is None:
                return await function(*args, **kwargs)
            toolbox.offered(known_as, write=write)
            arguments = bound(args, kwargs)
            return await toolbox.call(known_as, arguments, lambda: function(*args, **kwargs), write=write)

        return answered

    @functools.wraps(function)
    def answered_sync(*args: Any, **kwargs: Any) -> Any:
        toolbox = current()
        if toolbox is None:
            return function(*args, **kwargs)
        toolbox.offered(known_as, write=write)
        arguments = bound(args, kwargs)
        return toolbox.call_sync(known_as, arguments, lambda: function(*args, **kwargs), write=write)

    return answered_sync
