"""What Pipecat's own runner gives a bot: arguments from which ``create_transport`` makes a transport."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from typing import Any

import pipecat.runner.utils as runner_utils
from pipecat.runner.types import RunnerArguments

from simulate.integrations.pipecat.memory_transport import MemoryTransport
from simulate.model.identity import ConversationStart


@dataclass
class CallArguments(RunnerArguments):
    """Runner arguments of a simulated call."""

    transport: Any = field(default=None, kw_only=True)


def arguments(transport: MemoryTransport, call: ConversationStart) -> CallArguments:
    """The arguments for one call; ``create_transport`` gives its transport for them. Who calls is in their
    ``body``, where a deployed bot finds what its session was started with."""
    made = CallArguments(transport=transport, session_id=str(call), body=call.known())
    made.pipeline_idle_timeout_secs = None
    _know_calls()
    return made


def wants_transport(bot: Any) -> bool:
    """Whether the first parameter is a transport rather than runner arguments, by annotation or name."""
    first = next(iter(inspect.signature(bot).parameters.values()))
    hint = (
        first.annotation if isinstance(first.annotation, str) else getattr(first.annotation, "__name__", "")
    )
    if "Arguments" in hint:
        return False
    if "Transport" in hint:
        return True
    return "arg" not in first.name


_create: Any = getattr(runner_utils, "create_transport")  # noqa: B009 - partially typed there


async def _create_transport(runner_args: Any, transport_params: dict[str, Any]) -> Any:
    """Pipecat's function, which also knows simulated calls."""
    if not isinstance(runner_args, CallArguments):
        return await _create(runner_args, transport_params)
    for name in ("webrtc", "websocket", "daily", "livekit", *transport_params):
        if name in transport_params:
            runner_args.transport.adopt(transport_params[name]())
            break
    return runner_args.transport


def _know_calls() -> None:
    """Pipecat's function cannot be told of another kind of argument, so ours stands before it, also where a
    bot's module imported it by name. For all other arguments nothing changes."""
    for module in list(sys.modules.copy().values()):
        if getattr(module, "create_transport", None) is _create:
            module.create_transport = _create_transport  # type: ignore[attr-defined]
