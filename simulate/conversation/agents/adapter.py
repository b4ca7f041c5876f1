"""What every adapter of an agent under test looks like to an engine that carries text."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from simulate.conversation.blocking import HINT, Blocked, interrupted_after
from simulate.errors import AgentFault
from simulate.model.attachment import Attachment
from simulate.model.identity import ConversationStart
from simulate.model.request_template import RequestTemplate
from simulate.tools import Toolbox


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a message that is still being said."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """One message is complete. ``text`` is the whole of it; deltas before it were its pieces."""

    text: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the adapter could see from outside, as span attributes (model, tokens); never guessed."""

    cut_off: str | None = None
    """Why it is not whole (``length``, ``content_filter``), where the adapter could see it."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The agent ended the conversation."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection to the agent came about only now, ``at`` seconds of the conversation's clock: the time
    until then is that of names, networks and handshakes."""

    at: float


AgentEvent = Delta | AgentMessage | HungUp | Connected


@dataclass(frozen=True)
class Call:
    """What an adapter needs to know of the conversation that it carries."""

    conversation_id: str
    """32 hex digits; also the trace id. A `ConversationStart` where more is known of it."""
    toolbox: Toolbox | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """``traceparent`` and ``baggage`` for agents outside the process; they change with each turn."""
    reply_timeout: float = 60.0
    """Seconds that one reply may take."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """What a process is started with that serves this conversation alone."""
    history: Sequence[Mapping[str, Any]] = ()
    """What was said and done before, in OpenAI's message shape."""
    taped: bool = False
    """Whether a recording of it is made or played: what we send for ourselves must not get into it."""

    @functools.cached_property
    def placeholders(self) -> Mapping[str, Any]:
        """What ``{user}`` and the like stand for in this conversation."""
        known = self.conversation_id
        known = known if isinstance(known, ConversationStart) else ConversationStart(known)
        return known.placeholders()


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """What an entry of ``[tool.simulate.agents]`` says of an agent outside the process."""

    model: str = "agent"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    api_key: str | None = None
    stream: bool | None = None
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of every request."""
    request: RequestTemplate | None = None
    """How a turn becomes a request, where no protocol says so."""
    root: Path | None = None
    """Where a program is started."""


class AgentSession(Protocol):
    """One conversation with an agent."""

    def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; ``None`` lets the agent speak first.

        Raises AgentFault when the agent breaks and EnvironmentFault when it cannot be reached."""
        ...


class TakesAttachments(Protocol):
    """One conversation with an agent that takes files, too."""

    def send(self, message: str | None, attachments: Sequence[Attachment] = ()) -> AsyncIterator[AgentEvent]:
        """Say something with files, and hear the answer."""
        ...


class AgentAdapter(Protocol):
    """A way to an agent, found by address."""

    address: str

    def connect(self, call: Call) -> AbstractAsyncContextManager[AgentSession]:
        """Open one conversation; leaving the context closes it, whatever happened."""
        ...


def is_adapter(agent: Any) -> TypeGuard[AgentAdapter]:
    """Whether this is a way to an agent, and not the agent itself."""
    return not callable(agent) and hasattr(agent, "connect") and hasattr(agent, "address")


async def within(events: AsyncIterator[AgentEvent], seconds: float, who: str) -> AsyncIterator[AgentEvent]:
    """The same events, as long as the last one comes within ``seconds`` from now.

    Only the waiting is timed: a timeout around a ``yield`` would cut off whoever consumes the events."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                with interrupted_after(deadline - loop.time()):
                    event = await anext(events, None)
            if loop.time() > deadline:
                raise TimeoutError  # it blocked the loop, where the time-out could not fire
        except TimeoutError:
            raise _too_late(who, seconds) from None
        except Blocked as error:
            if loop.time() < deadline:
                raise
            raise _too_late(f"{who}, which blocks the event loop at {error.where},", seconds, HINT) from None
        if event is None:
            return
        yield event


def _too_late(who: str, seconds: float, hint: str | None = None) -> AgentFault:
    return AgentFault(
        f"{who} gave no whole answer within {seconds:g} s",
        hint=hint or "raise `limits: {reply: …}` if it may take that long",
    )
