"""Tools that nobody marked, in a replay of a production trace: answered from the trace where a framework
calls them, so that they do not run. Of LangChain, pydantic-ai and the OpenAI Agents SDK."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import orjson

from simulate import tools
from simulate.determinism.shared_patch import SharedPatch, replace_everywhere
from simulate.determinism.when_imported import when_imported
from simulate.replay.intercept.toolbox import InterceptedTools


def _patch(undo: contextlib.ExitStack) -> None:
    for name, patches in (
        ("langchain_core.tools.base", _langchain),
        ("pydantic_ai.toolsets.function", _pydantic_ai),
        ("agents.tool", _openai_agents),
    ):
        when_imported(undo, name, functools.partial(_apply, name, patches))


def _apply(
    name: str, patches: Callable[[Any, contextlib.ExitStack], None], undo: contextlib.ExitStack
) -> None:
    patches(sys.modules[name], undo)


_PATCH = SharedPatch(_patch)


def held() -> contextlib.AbstractContextManager[None]:
    """Ask the conversation's trace before a framework runs a tool."""
    return _PATCH.held()


def _toolbox(name: str) -> InterceptedTools | None:
    """What answers this tool here; None where it runs."""
    toolbox = tools.current()
    serves = isinstance(toolbox, InterceptedTools) and toolbox.traffic.serves(name)
    return toolbox if serves and isinstance(toolbox, InterceptedTools) else None


def _langchain(module: Any, undo: contextlib.ExitStack) -> None:
    kind: Any = module.BaseTool
    for name in ("run", "arun"):
        undo.enter_context(mock.patch.object(kind, name, _of_langchain(getattr(kind, name))))


def _of_langchain(real: Callable[..., Any]) -> Any:
    @functools.wraps(real)
    def run(tool: Any, *args: Any, **kwargs: Any) -> Any:
        toolbox = _toolbox(tool.name)
        if toolbox is None:
            return real(tool, *args, **kwargs)
        answered = tool.model_copy()

        def _run(*given: Any, **named: Any) -> Any:
            return toolbox.call_sync(tool.name, _arguments(given, named), _nothing, write=False)

        async def _arun(*given: Any, **named: Any) -> Any:
            return await toolbox.call(tool.name, _arguments(given, named), _nothing_async, write=False)

        # of the copy alone: around the tool itself, all is as ever
        object.__setattr__(answered, "_run", _run)
        object.__setattr__(answered, "_arun", _arun)
        return real(answered, *args, **kwargs)

    return run


def _arguments(given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """A tool's arguments; LangChain gives a tool with one text this text alone."""
    told = {
        name: value for name, value in named.items() if name not in {"config", "run_manager", "callbacks"}
    }
    return told or ({"input": given[0]} if given else {})


def _nothing() -> Any:
    raise tools.ToolFailed("an unmarked tool does not run in a replay")


async def _nothing_async() -> Any:
    _nothing()


def _pydantic_ai(module: Any, undo: contextlib.ExitStack) -> None:
    kind: Any = module.FunctionToolset
    real: Callable[..., Awaitable[Any]] = kind.call_tool

    @functools.wraps(real)
    async def call_tool(toolset: Any, name: str, tool_args: dict[str, Any], ctx: Any, tool: Any) -> Any:
        toolbox = _toolbox(name)
        if toolbox is None:
            return await real(toolset, name, tool_args, ctx, tool)
        return await toolbox.call(name, tool_args, _nothing_async, write=False)

    undo.enter_context(mock.patch.object(kind, "call_tool", call_tool))


def _openai_agents(module: Any, undo: contextlib.ExitStack) -> None:
    real: Callable[..., Awaitable[Any]] | None = getattr(module, "invoke_function_tool", None)
    if real is None:
        return

    @functools.wraps(real)
    async def invoke_function_tool(*, function_tool: Any, context: Any, arguments: str) -> Any:
        toolbox = _toolbox(function_tool.name)
        if toolbox is None:
            return await real(function_tool=function_tool, context=context, arguments=arguments)
        given = orjson.loads(arguments or "{}")
        result = await toolbox.call(function_tool.name, given, _nothing_async, write=False)
        return result if isinstance(result, str) else orjson.dumps(result).decode()

    replace_everywhere(undo, {real: invoke_function_tool})
