"""An agent behind an OpenAI-compatible endpoint, over the openai SDK.

The agent's own program runs elsewhere. What reaches it from us is the conversation, ``traceparent`` and
``baggage``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from simulate import determinism
from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, Connected, Delta, within
from simulate.conversation.agents.connection_faults import (
    error_told,
    never_connected,
    other_protocol,
    page_fault,
    refuse_pages,
)
from simulate.conversation.agents.endpoint_faults import fault_of
from simulate.conversation.agents.handed_tools import TOOL_ROUNDS, HandedCall, tool_answer
from simulate.conversation.agents.http_client import pause, uninstrumented
from simulate.conversation.agents.http_connection import (
    connections,
    rehearse,
    watch_connection,
)
from simulate.conversation.agents.status_faults import TRIES
from simulate.conversation.agents.user_content import chat_content
from simulate.errors import AgentFault, EnvironmentFault, Fault, HarnessFault
from simulate.model.attachment import Attachment
from simulate.model.identity import filled, filled_texts
from simulate.model.shapes import is_object
from simulate.trace.reading.finish import cut_off

CONNECT = 5.0
"""Seconds that a connection may take to come about."""


@dataclass(slots=True)
class _Reply:
    """One answer of the endpoint, assembled."""

    text: str = ""
    refusal: str = ""
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    finish_reason: str | None = None
    model: str | None = None
    usage: Any = None

    @property
    def cut_off(self) -> str | None:
        """Why the answer is not whole."""
        return cut_off((self.finish_reason,))

    def message(self) -> dict[str, Any]:
        """The answer as a message of the history."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.tool_calls:
            message["tool_calls"] = [self.tool_calls[index] for index in sorted(self.tool_calls)]
        return message

    def attributes(self) -> dict[str, Any]:
        """What can be seen from outside, in the words of the GenAI conventions."""
        seen = {
            "gen_ai.response.model": self.model,
            "gen_ai.usage.input_tokens": getattr(self.usage, "prompt_tokens", None),
            "gen_ai.usage.output_tokens": getattr(self.usage, "completion_tokens", None),
        }
        return {name: value for name, value in seen.items() if value is not None}


class HttpAdapter:
    """Connects to ``http(s)://host/v1`` with one client, so one pool of connections for all conversations."""

    def __init__(
        self,
        address: str,
        *,
        model: str = "agent",
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        stream: bool | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        self.address = address
        self.model = model
        self.headers = dict(headers or {})
        self.stream = stream is not False
        self.body = dict(body or {})
        self._api_key = api_key
        self._clients: dict[asyncio.AbstractEventLoop, AsyncOpenAI] = {}

    def client(self) -> AsyncOpenAI:
        """The client of the running loop; a connection pool cannot be shared by two loops."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            self._clients = {
                known: client for known, client in self._clients.items() if not known.is_closed()
            }
            self._clients[loop] = AsyncOpenAI(
                base_url=self.address,
                http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [watch_connection]}),
                # the SDK insists on a key; an endpoint of one's own often has none
                api_key=self._api_key or "none",
                max_retries=0,
            )
        return self._clients[loop]

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[HttpSession, None]:
        """One conversation. Nothing is sent to the endpoint until the first message is."""
        self.client()  # its certificates take a while to load
        if not call.taped:
            await rehearse()
        yield HttpSession(self, call)

    async def aclose(self) -> None:
        """Close this loop's connections."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()


class HttpSession:
    """One conversation with an endpoint that keeps no state: the whole history is sent each time."""

    def __init__(self, adapter: HttpAdapter, call: Call) -> None:
        self.adapter = adapter
        self.call = call
        self.history: list[dict[str, Any]] = [dict(message) for message in call.history]
        self._refused: Exception | None = None
        """How the endpoint turned this turn's request away, as long as it has not taken it."""

    async def send(
        self, message: str | None, attachments: Sequence[Attachment] = ()
    ) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; tools that the endpoint hands to us answer as pinned."""
        if message is not None:
            self.history.append({"role": "user", "content": chat_content(message, attachments)})
        elif len(self.history) > len(self.call.history):
            return  # it answers requests; asked again with nothing new it would only repeat itself
        self._refused = None
        try:
            async for event in within(self._events(), self.call.reply_timeout, self.adapter.address):
                yield event
        except AgentFault as late:
            if self._refused is None:
                raise
            # the time went by while we waited to be let in: that is not a slow answer
            raise fault_of(self._refused, self.adapter.address) from late

    async def _events(self) -> AsyncIterator[AgentEvent]:
        for _ in range(TOOL_ROUNDS):
            reply = _Reply()
            async for piece in self._once(reply):
                yield Delta(piece) if isinstance(piece, str) else piece
            self.history.append(reply.message())
            if reply.text or reply.refusal:
                yield AgentMessage(reply.text or reply.refusal, reply.attributes(), reply.cut_off)
            elif not reply.tool_calls:
                raise AgentFault(
                    f"{self.adapter.address}: the answer is empty (finish_reason {reply.finish_reason})"
                )
            if not reply.tool_calls:
                return
            await self._answer_tools(reply)
        raise AgentFault(f"{self.adapter.address}: still calls tools after {TOOL_ROUNDS} rounds in one turn")

    async def _once(self, reply: _Reply) -> AsyncIterator[str | Connected]:
        with connections() as opened:
            response = await self._request()
        if opened:
            yield Connected(opened[-1])
        if not self.adapter.stream:
            _take_whole(response, reply, self.adapter.address)
            return
        try:
            await refuse_pages(response.response, self.adapter.address)
            if response.response.headers.get("content-type", "").startswith("application/json"):
                # asked to stream, it answered as a whole
                _take_whole(await _read_whole(response.response), reply, self.adapter.address)
                return
            async for chunk in response:
                for piece in _take_chunk(chunk, reply):
                    yield piece
        except Fault:
            raise
        except Exception as error:
            raise fault_of(error, self.adapter.address, midway=True) from error
        finally:
            await response.close()
        if reply.finish_reason is None:
            raise AgentFault(
                f"{self.adapter.address}: the stream ended without a finish_reason",
                where=f"after {reply.text!r}",
            )

    async def _request(self) -> Any:
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        for attempt in range(1, TRIES + 1):
            try:
                with uninstrumented():
                    # plain dicts, as on the wire: the SDK's types would tell apart what we only pass on
                    create = cast(
                        "Callable[..., Awaitable[Any]]", self.adapter.client().chat.completions.create
                    )
                    response = await create(
                        model=self.adapter.model,
                        messages=self.history,
                        extra_headers=filled_texts(self.adapter.headers, self.call.placeholders)
                        | dict(self.call.headers),
                        extra_body=filled(dict(self.adapter.body), self.call.placeholders) or None,
                        timeout=openai.Timeout(self.call.reply_timeout, connect=CONNECT),
                        **(options if self.adapter.stream else {}),
                    )
                    self._refused = None
                    return response
            except Exception as error:
                if self.adapter.stream and _refuses_to_stream(error) and attempt < TRIES:
                    self.adapter.stream = False
                    continue
                wait = _wait_before_retry(error, attempt)
                if wait is None or attempt == TRIES:
                    self._refused = None
                    fault = fault_of(error, self.adapter.address)
                    if isinstance(error, openai.APIConnectionError) and isinstance(fault, AgentFault):
                        fault = await other_protocol(self.adapter.address) or fault
                    raise fault from error
                self._refused = error
                await determinism.current().clock.sleep(wait)
        raise HarnessFault("unreachable")  # pragma: no cover

    async def _answer_tools(self, reply: _Reply) -> None:
        for index in sorted(reply.tool_calls):
            asked = reply.tool_calls[index]
            handed = HandedCall(asked["id"], asked["function"]["name"], asked["function"]["arguments"])
            content, _ = await tool_answer(self.call, handed)
            self.history.append({"role": "tool", "tool_call_id": handed.id, "content": content})


def _take_chunk(chunk: Any, reply: _Reply) -> list[str]:
    reply.model = chunk.model or reply.model
    reply.usage = chunk.usage or reply.usage
    pieces: list[str] = []
    for choice in chunk.choices[:1]:
        reply.finish_reason = choice.finish_reason or reply.finish_reason
        delta = choice.delta
        if delta is None:
            continue
        if delta.content:
            reply.text += delta.content
            pieces.append(delta.content)
        reply.refusal += getattr(delta, "refusal", None) or ""
        for part in delta.tool_calls or ():
            _take_tool_call(reply, part.index or 0, part)
    return pieces


def _take_tool_call(reply: _Reply, index: int, part: Any) -> None:
    known = reply.tool_calls.setdefault(
        index, {"id": f"call_{index}", "type": "function", "function": {"name": "", "arguments": ""}}
    )
    known["id"] = part.id or known["id"]
    if part.function is not None:
        known["function"]["name"] += part.function.name or ""
        known["function"]["arguments"] += part.function.arguments or ""


def _take_whole(response: Any, reply: _Reply, address: str) -> None:
    if str(response).lstrip().startswith("<!") or str(response).lstrip().startswith("<html"):
        raise page_fault(str(response), address)
    choices = getattr(response, "choices", None)
    said = choices[0].message if choices else None
    if said is None or not (said.content or said.tool_calls or said.refusal):
        told = error_told(getattr(response, "model_extra", None) or getattr(response, "__dict__", None))
        if told is not None:
            raise EnvironmentFault(f"{address}: its model {told}: {str(response)[:200]}")
    if not choices:
        raise AgentFault(f"{address}: the answer holds no choices: {str(response)[:200]}")
    choice = choices[0]
    reply.model, reply.usage, reply.finish_reason = response.model, response.usage, choice.finish_reason
    reply.text = choice.message.content or ""
    reply.refusal = choice.message.refusal or ""
    for index, part in enumerate(choice.message.tool_calls or ()):
        _take_tool_call(reply, index, part)


async def _read_whole(response: Any) -> Any:
    body: Any = json.loads(await response.aread())
    # as leniently as the SDK reads it
    return ChatCompletion.construct(**body) if is_object(body) else body


def _refuses_to_stream(error: Exception) -> bool:
    told = isinstance(error, openai.APIStatusError) and error.status_code in (400, 422, 501)
    return told and "stream" in str(error).lower()


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before another try; None where the request may have reached the agent's code."""
    if isinstance(error, openai.RateLimitError):
        return pause(attempt, error.response.headers)
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        return pause(attempt) if never_connected(error) else None
    return None
