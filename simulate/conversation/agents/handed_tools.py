"""Tool calls that an endpoint hands to its caller: answered as pinned, in any protocol's shape."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, Delta
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.errors import AgentFault, HarnessFault
from simulate.tools import ToolFailed

TOOL_ROUNDS = 16
"""Times that an endpoint may ask for tools in one turn."""


@dataclass(slots=True)
class HandedCall:
    """One call as the endpoint asks for it; ``arguments`` may still be JSON text."""

    id: str
    name: str
    arguments: Any


@dataclass(slots=True)
class ModelReply:
    """One answer of an endpoint, assembled from its pieces."""

    texts: list[str] = field(default_factory=list[str])
    calls: list[HandedCall] = field(default_factory=list[HandedCall])
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What can be seen from outside, in the words of the GenAI conventions."""
    ended: str | None = None
    """Why the answer ends, as the protocol puts it."""
    cut_off: str | None = None
    """Why it is not whole (``max_tokens``, ``content_filter``); None where it is."""


class AsksModel(Protocol):
    """One conversation in a protocol that hands its tools over."""

    call: Call
    history: list[dict[str, Any]]

    def ask(self, reply: ModelReply) -> AsyncIterator[str]:
        """Send the history; give the pieces as they come; put the whole into ``reply`` and the history."""
        ...

    def result(self, call: HandedCall, content: str, *, failed: bool) -> dict[str, Any]:
        """What a tool answered, as an entry of the history."""
        ...


async def answered_by_model(session: AsksModel, address: str) -> AsyncIterator[AgentEvent]:
    """The events of one turn, with as many rounds of tools as the endpoint wants."""
    for _ in range(TOOL_ROUNDS):
        reply = ModelReply()
        async for piece in session.ask(reply):
            yield Delta(piece)
        for place, text in enumerate(reply.texts, 1):
            yield AgentMessage(text, reply.attributes, reply.cut_off if place == len(reply.texts) else None)
        if not reply.calls:
            if not reply.texts:
                raise AgentFault(f"{address}: the answer is empty ({reply.ended})")
            return
        for call in reply.calls:
            content, failed = await tool_answer(session.call, call)
            session.history.append(session.result(call, content, failed=failed))
    raise AgentFault(f"{address}: still calls tools after {TOOL_ROUNDS} rounds in one turn")


async def tool_answer(call: Call, asked: HandedCall) -> tuple[str, bool]:
    """What a handed call is answered, as text, and whether the tool failed.

    Raises AgentFault for arguments that are not JSON, and HarnessFault where nothing is pinned."""
    arguments = asked.arguments
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise AgentFault(
                f"the arguments of its call of {asked.name} are not JSON: {arguments!r}"
            ) from error
    if not isinstance(call.toolbox, PinnedTools):
        raise HarnessFault(f"the agent asks its caller to run {asked.name!r}, but no tools are pinned")
    try:
        result, failed = await call.toolbox.answer(asked.name, arguments, asked.id), False
    except ToolFailed as error:
        result, failed = {"error": str(error)}, True
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False), failed


def seen_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Model and usage that an answer tells, as span attributes."""
    usage: Mapping[str, Any] = answer.get("usage") or {}
    seen = {
        "gen_ai.response.model": answer.get("model"),
        "gen_ai.usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.usage.output_tokens": usage.get("output_tokens"),
    }
    return {name: value for name, value in seen.items() if value is not None}
