"""An agent behind an OpenAI-compatible endpoint, over the openai SDK.

The agent's own program runs elsewhere. What reaches it from us is the conversation, ``traceparent`` and
``baggage``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from simulate import determinism
from simulate.conversation.agents.adapter import (
    AgentEvent,
    AgentMessage,
    Call,
    Delta,
    EndpointOptions,
    within,
)
from simulate.conversation.agents.handed_tools import TOOL_ROUNDS, HandedCall, tool_answer
from simulate.conversation.agents.http_client import LONGEST_WAIT, TRIES, status_fault, uninstrumented
from simulate.errors import AgentFault, Fault, HarnessFault, NotReached
from simulate.retry_after import retry_after


@dataclass(slots=True)
class _Reply:
    """One answer of the endpoint, assembled."""

    text: str = ""
    refusal: str = ""
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    finish_reason: str | None = None
    model: str | None = None
    usage: Any = None

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

    def __init__(self, address: str, options: EndpointOptions | None = None) -> None:
        options = options or EndpointOptions()
        self.address = address
        self.model = options.model
        self.headers = dict(options.headers)
        self.stream = options.stream is not False
        self.body = dict(options.body)
        self._api_key = options.api_key
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
                # the SDK insists on a key; an endpoint of one's own often has none
                api_key=self._api_key or "none",
                max_retries=0,
                default_headers=self.headers,
            )
        return self._clients[loop]

    @contextlib.asynccontextmanager
    async def connect(self, call: Call) -> AsyncGenerator[HttpSession, None]:
        """One conversation. Nothing is sent until the first message is."""
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
        self.history: list[dict[str, Any]] = []
        self._refused: Exception | None = None
        """How the endpoint turned this turn's request away, as long as it has not taken it."""

    async def send(self, message: str | None) -> AsyncIterator[AgentEvent]:
        """Say something and hear the answer; tools that the endpoint hands to us answer as pinned."""
        if message is not None:
            self.history.append({"role": "user", "content": message})
        elif self.history:
            return  # it answers requests; asked again with nothing new it would only repeat itself
        self._refused = None
        try:
            async for event in within(self._events(), self.call.reply_timeout, self.adapter.address):
                yield event
        except AgentFault as late:
            if self._refused is None:
                raise
            # the time went by while we waited to be let in: that is not a slow answer
            raise _fault(self._refused, self.adapter.address) from late

    async def _events(self) -> AsyncIterator[AgentEvent]:
        for _ in range(TOOL_ROUNDS):
            reply = _Reply()
            async for piece in self._once(reply):
                yield Delta(piece)
            self.history.append(reply.message())
            if reply.text or reply.refusal:
                yield AgentMessage(reply.text or reply.refusal, reply.attributes())
            elif not reply.tool_calls:
                raise AgentFault(
                    f"{self.adapter.address}: the answer is empty (finish_reason {reply.finish_reason})"
                )
            if not reply.tool_calls:
                return
            await self._answer_tools(reply)
        raise AgentFault(f"{self.adapter.address}: still calls tools after {TOOL_ROUNDS} rounds in one turn")

    async def _once(self, reply: _Reply) -> AsyncIterator[str]:
        response = await self._request()
        if not self.adapter.stream:
            _take_whole(response, reply, self.adapter.address)
            return
        try:
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
            raise _fault(error, self.adapter.address, midway=True) from error
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
                        extra_headers=dict(self.call.headers),
                        extra_body=self.adapter.body or None,
                        timeout=self.call.reply_timeout,
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
                    raise _fault(error, self.adapter.address) from error
                self._refused = error
                await determinism.current().clock.sleep(wait)
        raise HarnessFault("unreachable")  # pragma: no cover

    async def _answer_tools(self, reply: _Reply) -> None:
        for index in sorted(reply.tool_calls):
            asked = reply.tool_calls[index]
            function = asked["function"]
            content, _ = await tool_answer(
                self.call, HandedCall(asked["id"], function["name"], function["arguments"])
            )
            self.history.append({"role": "tool", "tool_call_id": asked["id"], "content": content})


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
    choices = getattr(response, "choices", None)
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
    return ChatCompletion.construct(**cast("dict[str, Any]", body)) if isinstance(body, dict) else body


def _refuses_to_stream(error: Exception) -> bool:
    told = isinstance(error, openai.APIStatusError) and error.status_code in (400, 422, 501)
    return told and "stream" in str(error).lower()


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before another try; None where the request may have reached the agent's code."""
    if isinstance(error, openai.RateLimitError):
        asked = retry_after(error.response.headers)
        return 0.5 * 2**attempt if asked is None else min(asked, LONGEST_WAIT)
    if isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError):
        return 0.2 * 2**attempt if _never_connected(error) else None
    return None


def _never_connected(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ == "ConnectError" or isinstance(cause, ConnectionRefusedError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _fault(error: Exception, address: str, *, midway: bool = False) -> Fault:
    """Whose fault a failed request is, and what to do about it."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, openai.APITimeoutError):
        return AgentFault(f"{address} did not answer in time")
    if isinstance(error, openai.APIStatusError):
        return _status_fault(error, address)
    if isinstance(error, openai.APIConnectionError) and not midway:
        if _never_connected(error):
            return NotReached(f"nothing listens at {address}", hint="start the agent, or correct its address")
        return AgentFault(f"{address} closed the connection without an answer")
    if isinstance(error, (json.JSONDecodeError, openai.APIResponseValidationError)):
        return AgentFault(f"{address}: the answer is not what the OpenAI protocol says: {error}")
    if midway:
        detail = getattr(error, "message", None) or str(error) or type(error).__name__
        return AgentFault(f"{address}: the stream broke off: {detail}")
    return AgentFault(f"{address}: {type(error).__name__}: {error}")


def _status_fault(error: Any, address: str) -> Fault:
    status: int = error.status_code
    detail = "" if error.message == f"Error code: {status}" else error.message
    not_found = "the address should end before /chat/completions, often in /v1"
    return status_fault(address, status, detail, not_found=not_found)
