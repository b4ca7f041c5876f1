"""One language model, asked in one way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from simulate import determinism
from simulate.llm import wire
from simulate.llm.budget import Budget
from simulate.llm.config import ModelConfig
from simulate.llm.reply import Gatherer, Reply
from simulate.trace.capture import simulator_tracing
from simulate.trace.span import Span

LONGEST_WAIT = 60.0
"""Seconds: a server that wants us to wait longer is taken as out of order."""

Messages = Sequence[dict[str, Any]]


class Model:
    """A model behind an OpenAI-compatible endpoint.

    ``role`` is ``caller`` or ``judge``: for whom it speaks. Cheap to make, one per conversation if one likes;
    the connections below it are shared.
    """

    def __init__(self, config: ModelConfig, *, role: str = "caller", budget: Budget | None = None) -> None:
        self.config = config
        self.role = role
        self.budget = budget or Budget()
        self._unknown: set[str] = set()

    async def complete(
        self,
        messages: Messages,
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        max_tokens: int | None = None,
        top_logprobs: int | None = None,
    ) -> Reply:
        """Ask once and hear the whole answer. The configuration's own temperature, seed and length win.

        ``tools`` are definitions as OpenAI has them; ``schema`` a JSON schema that the answer shall follow
        (an endpoint may ignore it: check). Raises EnvironmentFault where the endpoint cannot be reached or
        fails, `Unsupported` where it does not know tools or schemas, SimulatorFault for everything else.
        """
        config = self.config
        body: dict[str, Any] = {
            "temperature": temperature if config.temperature is None else config.temperature,
            "seed": seed if config.seed is None else config.seed,
            "max_tokens": max_tokens if config.max_tokens is None else config.max_tokens,
            "stream_options": {"include_usage": True},
            "tools": list(tools) if tools else None,
        }
        if schema is not None:
            named = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": top_logprobs}
        body = {key: value for key, value in body.items() if value is not None}
        for parameter in wire.NEEDED:
            if parameter in body and self.lacks(parameter):
                raise wire.Unsupported(f"{self.config.model!r} does not know {parameter}", parameter)
        attributes = self._request_attributes(messages, body)
        with simulator_tracing.model_call(self.role, f"chat {config.model}", attributes) as span:
            reply = await self._persist(messages, body, span)
            reply.cost = _cost(reply, config)
            self.budget.add(reply.total_tokens, reply.cost)
            span.attributes |= _reply_attributes(reply)
        return reply

    def lacks(self, parameter: str) -> bool:
        """Whether the endpoint has said that it does not know this parameter."""
        return parameter in self._unknown

    async def _persist(self, messages: Messages, body: dict[str, Any], span: Span) -> Reply:
        """Ask, and ask again where that is what the endpoint wants."""
        clock, attempt = determinism.current().clock, 0
        while True:
            self.budget.take()
            sent = self._known(body)
            try:
                return await self._attempt(messages, sent)
            except wire.Without as refused:
                self._unknown.add(refused.parameter)
            except wire.Unsupported as refused:
                self._unknown.add(refused.parameter)
                raise
            except wire.Again as again:
                attempt += 1
                wait = 0.5 * 2 ** (attempt - 1) if again.seconds is None else again.seconds
                if attempt > self.config.retries or wait > LONGEST_WAIT:
                    raise again.fault from None
                span.attributes["simulate.retries"] = attempt
                await clock.sleep(wait)

    def _known(self, body: dict[str, Any]) -> dict[str, Any]:
        """What of the request the endpoint understands."""
        sent = {key: value for key, value in body.items() if key not in self._unknown}
        if (
            "max_tokens" in self._unknown
            and "max_tokens" in body
            and "max_completion_tokens" not in self._unknown
        ):
            sent["max_completion_tokens"] = body["max_tokens"]
        if "logprobs" not in sent:
            sent.pop("top_logprobs", None)
        return sent

    async def _attempt(self, messages: Messages, body: dict[str, Any]) -> Reply:
        clock = determinism.current().clock
        started, gatherer = clock.monotonic(), Gatherer()
        try:
            async with asyncio.timeout(self.config.timeout):
                sdk: Any = await wire.client(self.config)
                stream = await sdk.chat.completions.create(
                    model=self.config.model,
                    messages=list(messages),
                    stream=True,
                    extra_headers=dict(self.config.headers) or None,
                    extra_body=dict(self.config.options) or None,
                    **body,
                )
                async with stream:
                    if stream.response.headers.get("content-type", "").startswith("application/json"):
                        # asked to stream, it answered as a whole
                        gatherer.add_whole(json.loads(await stream.response.aread()))
                        gatherer.reply.first_token_seconds = clock.monotonic() - started
                    async for chunk in stream:
                        if gatherer.add(chunk) and gatherer.reply.first_token_seconds is None:
                            gatherer.reply.first_token_seconds = clock.monotonic() - started
        except Exception as error:  # noqa: BLE001 (whatever the SDK and the libraries below it raise)
            raise wire.translated(error, self.config, self.role, body) from None
        reply = gatherer.done()
        reply.seconds = clock.monotonic() - started
        return reply

    def _request_attributes(self, messages: Messages, body: dict[str, Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": self.config.model,
            "server.address": wire.place(self.config),
            "gen_ai.input.messages": json.dumps([_part(message) for message in messages], ensure_ascii=False),
        }
        for name in ("temperature", "seed", "max_tokens"):
            if name in body:
                attributes[f"gen_ai.request.{name}"] = body[name]
        return attributes


def _part(message: dict[str, Any]) -> dict[str, Any]:
    return {"role": message["role"], "parts": [{"type": "text", "content": message.get("content") or ""}]}


def _reply_attributes(reply: Reply) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "content": reply.text}] if reply.text else []
    parts += [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
        for call in reply.tool_calls
    ]
    message = {"role": "assistant", "parts": parts, "finish_reason": reply.finish_reason}
    known = {
        "gen_ai.response.model": reply.model,
        "gen_ai.response.id": reply.id,
        "gen_ai.response.finish_reasons": [reply.finish_reason] if reply.finish_reason else None,
        "gen_ai.usage.input_tokens": reply.input_tokens,
        "gen_ai.usage.output_tokens": reply.output_tokens,
        "gen_ai.server.time_to_first_token": reply.first_token_seconds,
        "gen_ai.cost.total": reply.cost,
        "gen_ai.output.messages": json.dumps([message], ensure_ascii=False),
    }
    return {key: value for key, value in known.items() if value is not None}


def _cost(reply: Reply, config: ModelConfig) -> float | None:
    """US dollars by `genai-prices`, for OpenAI's own endpoint only: who knows what another one takes?"""
    if (
        reply.input_tokens is None
        or reply.output_tokens is None
        or "api.openai.com" not in wire.place(config)
    ):
        return None
    from genai_prices import Usage, calc_price  # reads a large file when it is imported

    usage = Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
    try:
        return float(
            calc_price(usage, model_ref=reply.model or config.model, provider_id="openai").total_price
        )
    except LookupError:
        return None
