"""Requests to an agent outside: made again only where the last one cannot have had an effect, and each
failure with the side that it belongs to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from typing import Any

import aiohttp
from opentelemetry import context as otel_context

from simulate import determinism
from simulate.conversation.agents.adapter import AgentEvent, Call, Connected, within
from simulate.conversation.agents.connection_faults import (
    connection_fault,
    error_told,
    is_whole_page,
    never_connected,
    other_protocol,
    page_fault,
)
from simulate.conversation.agents.status_faults import TRIES, is_page, status_fault
from simulate.errors import AgentFault, EnvironmentFault, Fault, NotReached
from simulate.model.agent_address import target_of
from simulate.model.outage import outage
from simulate.model.shapes import is_object
from simulate.retry_after import retry_after

LONGEST_WAIT = 30.0
"""Seconds that a ``Retry-After`` is obeyed for at most."""
_EXCERPT = 200


@contextlib.contextmanager
def uninstrumented() -> Generator[None]:
    """An instrumentation of this process must not write our request into the agent's trace."""
    token = otel_context.attach(otel_context.set_value("suppress_instrumentation", True))
    try:
        yield
    finally:
        otel_context.detach(token)


def pause(attempt: int, headers: Mapping[str, str] | None = None) -> float:
    """Seconds to wait after a refused connection or, with its ``headers``, after a 429."""
    if headers is None:
        return 0.2 * 2**attempt
    asked = retry_after(headers)
    return 0.5 * 2**attempt if asked is None else min(asked, LONGEST_WAIT)


def broken_off(address: str, told: str) -> Fault:
    """Whose fault it is that a stream ends with this error: the agent's, or that of the model behind it."""
    why = error_told(parse_json(told)) or (outage(told) if parse_json(told) is None else None)
    message = f"{address}: the stream broke off: {_detail(told)}"
    return AgentFault(message) if why is None else EnvironmentFault(f"{message} (its model {why})")


def parse_json(text: str) -> Any:
    """What a text holds, or None where it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def body_fault(address: str, status: int, text: str, *, is_html: bool, not_found: str | None) -> Fault:
    """The fault that a status which is no success comes to, with what the body says of it."""
    detail = _detail(text)
    # what a server adds to each answer of this status is its own status again
    told = error_told(parse_json(text)) or outage(detail.removeprefix(str(status)))
    return status_fault(
        address,
        status,
        detail,
        not_found=not_found,
        page=text if is_html else None,
        model_failed=told is not None,
    )


class HttpClient:
    """One pool of connections for all conversations with an agent, on each event loop."""

    def __init__(self, address: str, *, not_found: str | None = None) -> None:
        self.address = address
        self.not_found = not_found
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    def session(self) -> aiohttp.ClientSession:
        """That of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            self._sessions = {known: one for known, one in self._sessions.items() if not one.closed}
            # cookies belong to a conversation, and the pool to all of them
            self._sessions[loop] = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=True, trace_configs=[_watching()]
            )
        return self._sessions[loop]

    async def aclose(self) -> None:
        """Close this loop's connections."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()


def _watching() -> aiohttp.TraceConfig:
    """Tells each request's `HttpTurns` when its connection comes about."""

    async def connected(_: Any, context: Any, __: Any) -> None:
        if isinstance(turns := context.trace_request_ctx, HttpTurns):
            turns.connected_at = determinism.current().clock.monotonic()

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(connected)
    return config


class HttpTurns:
    """The requests of one conversation."""

    def __init__(self, client: HttpClient, call: Call) -> None:
        self.client, self.call = client, call
        self._refused: Fault | None = None
        """How this turn's request was turned away, as long as it has not been taken."""
        self.connected_at: float | None = None
        """When this turn's connection came about; None where it was there."""

    async def limited(self, events: AsyncIterator[AgentEvent]) -> AsyncIterator[AgentEvent]:
        """The same events, within the time that one reply may take."""
        self._refused = self.connected_at = None
        try:
            async for event in within(events, self.call.reply_timeout, self.client.address):
                if self.connected_at is not None:
                    yield Connected(self.connected_at)
                    self.connected_at = None
                yield event
        except AgentFault as late:
            if self._refused is None:
                raise
            # the time went by while we waited to be let in: that is not a slow answer
            raise self._refused from late

    @contextlib.asynccontextmanager
    async def response(
        self, method: str, url: str, headers: Mapping[str, str], **body: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """The response to one request, for reading inside; raises the Fault of whoever broke it."""
        response = await self._taken(method, url, dict(headers), body)
        address = self.client.address
        try:
            if response.status >= 300:
                text = await response.text(errors="replace")
                is_html = is_page(response.headers) or is_whole_page(text)
                raise body_fault(
                    address, response.status, text, is_html=is_html, not_found=self.client.not_found
                )
            yield response
        except (aiohttp.ClientError, ConnectionError) as error:
            raise AgentFault(f"{address}: the answer broke off: {error or type(error).__name__}") from error
        finally:
            response.close()

    async def _taken(
        self, method: str, url: str, headers: dict[str, str], body: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        address = self.client.address
        timeout = aiohttp.ClientTimeout(total=self.call.reply_timeout)
        for attempt in range(1, TRIES + 1):
            try:
                with uninstrumented():
                    response = await self.client.session().request(
                        method, url, headers=headers, timeout=timeout, trace_request_ctx=self, **body
                    )
            except TimeoutError as error:
                if not never_connected(error):
                    raise AgentFault(f"{address} did not answer in time") from None
                self._refused = connection_fault(error, address)
                wait = pause(attempt)
            except (aiohttp.ClientError, ConnectionError) as error:
                fault = connection_fault(error, address)
                if not isinstance(fault, NotReached):
                    fault = fault or await other_protocol(target_of(address))
                    raise fault or AgentFault(f"{address} closed the connection without an answer") from error
                self._refused = fault
                fault.__cause__ = error
                wait = pause(attempt)
            else:
                if response.status != 429:
                    self._refused = None
                    return response
                self._refused = status_fault(address, 429, _detail(await response.text(errors="replace")))
                wait = pause(attempt, response.headers)
                response.close()
            if attempt < TRIES:
                await determinism.current().clock.sleep(wait)
        assert self._refused is not None
        refused, self._refused = self._refused, None
        raise refused


def _detail(text: str) -> str:
    """What an error's body says, in the shapes that are usual: OpenAI's, Anthropic's, FastAPI's, or plain."""
    told: Any = text
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(text)
        for name in ("error", "detail", "message"):
            if is_object(told) and name in told:
                told = told[name]
    shown = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    return " ".join(shown.split())[:_EXCERPT]


async def read_json(response: aiohttp.ClientResponse, address: str) -> Any:
    """The whole body as JSON; raises AgentFault."""
    return parsed(await response.text(errors="replace"), address)


def model_fault(document: Any, address: str) -> EnvironmentFault | None:
    """The fault of the model behind an agent, where its answer of status 200 is an error that tells of it."""
    told = error_told(document) if isinstance(document, dict) and "error" in document else None
    return (
        None
        if told is None
        else EnvironmentFault(f"{address}: its model {told}: {_detail(json.dumps(document))}")
    )


def parsed(text: str, address: str) -> Any:
    """A piece of an answer as JSON; raises AgentFault where it is none, or EnvironmentFault for a page that
    somebody else's server answered."""
    if is_whole_page(text):
        raise page_fault(text, address)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = " ".join(text.split())[:_EXCERPT]
        raise AgentFault(f"{address}: the answer is not JSON ({error}): {shown}") from None


async def lines_of(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """A body's lines, however long: ``content.readline`` refuses those beyond its buffer."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        *whole, tail = rest.split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
        rest = bytearray(tail)
    if rest:
        yield rest.decode(errors="replace")


async def server_sent_events(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, str]]:
    """Name and data of each server-sent event (HTML, 9.2.6); a last one without its blank line, too."""
    name, data = "message", list[str]()
    async for line in lines_of(content):
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    if data:
        yield name, "\n".join(data)
