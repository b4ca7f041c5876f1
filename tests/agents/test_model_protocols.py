"""The Responses API and Anthropic's Messages, on a wire that the official SDKs read, too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from simulate.conversation.agents.adapter import Delta, EndpointOptions
from simulate.conversation.agents.anthropic_messages import AnthropicAdapter
from simulate.conversation.agents.responses import ResponsesAdapter
from simulate.errors import AgentFault, EnvironmentFault, HarnessFault
from tests.agents.served import TRACEPARENT, events, said, serving

TOOLS = {"lookup_order": {"status": "lost"}}


async def _stream(request: web.Request, found: list[dict[str, Any]]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in found:
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    return response


class Responses:
    """A Responses endpoint that hands its tool over and tells what came back."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, Any], Any]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append((body, request.headers))
        last = body["input"][-1]
        if last.get("type") == "function_call_output":
            output = [self._message(f"It is {json.loads(last['output'])['status']}.")]
        elif "order" in last["content"]:
            output = [
                {
                    "type": "function_call",
                    "id": "fc_1",
                    "call_id": "call_1",
                    "name": "lookup_order",
                    "arguments": '{"order_id": "4417"}',
                    "status": "completed",
                }
            ]
        else:
            output = [self._message(f"You said {last['content']}")]
        whole = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": body["model"],
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 3,
                "output_tokens": 2,
                "total_tokens": 5,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        if not body.get("stream"):
            return web.json_response(whole)
        texts = [item["content"][0]["text"] for item in output if item["type"] == "message"]
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        pieces = [
            {"type": "response.output_text.delta", "sequence_number": 1, **place, "delta": text}
            for text in texts
        ]
        end = {"type": "response.completed", "sequence_number": 2, "response": whole}
        return await _stream(request, [*pieces, end])

    @staticmethod
    def _message(text: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": text, "annotations": []}
        return {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }


@pytest.mark.parametrize("stream", [None, False])
async def test_responses(stream: bool | None) -> None:
    server = Responses()
    async with serving(web.post("/v1/responses", server.answer)) as url:
        options = EndpointOptions(model="m-1", api_key="k", stream=stream, body={"store": False})
        found = await events(
            ResponsesAdapter(f"responses:{url}/v1", options), "hello", "my order?", tools=TOOLS
        )
    texts = [event.text for event in found if not isinstance(event, Delta)]
    assert texts == ["You said hello", "It is lost."]
    assert any(isinstance(event, Delta) for event in found) is (stream is None)
    assert found[-1].attributes["gen_ai.usage.output_tokens"] == 2
    sent, headers = server.requests[-1]
    assert [item.get("type", item.get("role")) for item in sent["input"]] == [
        "user",
        "message",
        "user",
        "function_call",
        "function_call_output",
    ]
    assert sent["store"] is False and headers["Authorization"] == "Bearer k"
    assert headers["traceparent"] == TRACEPARENT


async def test_the_responses_server_here_is_what_openais_sdk_reads() -> None:
    from openai import AsyncOpenAI

    async with serving(web.post("/v1/responses", Responses().answer)) as url:  # noqa: SIM117
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            whole = await client.responses.create(model="m", input=[{"role": "user", "content": "hi"}])
            assert whole.output_text == "You said hi"
            asked: Any = {"model": "m", "input": [{"role": "user", "content": "order"}], "stream": True}
            kinds = [event.type async for event in await client.responses.create(**asked)]
    assert kinds[-1] == "response.completed"


class Messages:
    """An Anthropic endpoint that hands two tool calls over at once."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, Any], Any]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append((body, request.headers))
        content = body["messages"][-1]["content"]
        if isinstance(content, list):
            text = " and ".join(json.loads(block["content"])["status"] for block in content)
            blocks = [{"type": "text", "text": f"They are {text}."}]
        elif "order" in content:
            blocks = [
                {"type": "text", "text": "One moment."},
                *(
                    {
                        "type": "tool_use",
                        "id": f"tu_{n}",
                        "name": "lookup_order",
                        "input": {"order_id": str(n)},
                    }
                    for n in (1, 2)
                ),
            ]
        else:
            blocks = [{"type": "text", "text": f"You said {content}"}]
        reason = "tool_use" if len(blocks) > 1 else "end_turn"
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
        if not body.get("stream"):
            return web.json_response(message)
        return await _stream(request, self._events(message, blocks, reason))

    @staticmethod
    def _events(message: dict[str, Any], blocks: list[dict[str, Any]], reason: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [
            {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
            {"type": "ping"},
        ]
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
            else:
                empty = block | {"input": {}}
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            found += [
                {"type": "content_block_start", "index": index, "content_block": empty},
                {"type": "content_block_delta", "index": index, "delta": delta},
                {"type": "content_block_stop", "index": index},
            ]
        end = {"stop_reason": reason, "stop_sequence": None}
        return [
            *found,
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ]


@pytest.mark.parametrize("stream", [None, False])
async def test_anthropic(stream: bool | None) -> None:
    server = Messages()
    async with serving(web.post("/v1/messages", server.answer)) as url:
        options = EndpointOptions(model="m-1", api_key="k", stream=stream, body={"max_tokens": 9})
        found = await said(
            AnthropicAdapter(f"anthropic:{url}/v1", options), "hello", "my order?", tools=TOOLS
        )
    assert found == ["You said hello", "One moment.", "They are lost and lost."]
    sent, headers = server.requests[-1]
    assert [message["role"] for message in sent["messages"]] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert [block["tool_use_id"] for block in sent["messages"][-1]["content"]] == ["tu_1", "tu_2"]
    assert sent["messages"][3]["content"][1]["input"] == {"order_id": "1"}
    assert sent["max_tokens"] == 9 and headers["x-api-key"] == "k" and headers["anthropic-version"]


async def test_the_anthropic_server_here_is_what_its_sdk_reads() -> None:
    anthropic = pytest.importorskip("anthropic")
    async with serving(web.post("/v1/messages", Messages().answer)) as url:  # noqa: SIM117
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k") as client:
            asked: Any = {
                "model": "m",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "my order"}],
            }
            whole = await client.messages.create(**asked)
            async with client.messages.stream(**asked) as stream:
                streamed = await stream.get_final_message()
    kinds = [block.type for block in whole.content]
    assert kinds == [block.type for block in streamed.content] == ["text", "tool_use", "tool_use"]


@pytest.mark.parametrize(
    ("adapter", "path", "body", "kind"),
    [
        (
            ResponsesAdapter,
            "/responses",
            {"status": "failed", "output": [], "error": {"message": "x"}},
            AgentFault,
        ),
        (ResponsesAdapter, "/responses", {"choices": []}, AgentFault),
        (ResponsesAdapter, "/responses", {"output": []}, AgentFault),
        (AnthropicAdapter, "/messages", {"content": []}, AgentFault),
        (AnthropicAdapter, "/messages", [], AgentFault),
        (AnthropicAdapter, "/elsewhere", {}, EnvironmentFault),
    ],
)
async def test_each_failure_has_its_side(adapter: Any, path: str, body: Any, kind: type[Exception]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body)

    scheme = "responses" if adapter is ResponsesAdapter else "anthropic"
    async with serving(web.post(path, answer)) as url:
        with pytest.raises(kind):
            await said(adapter(f"{scheme}:{url}", EndpointOptions()), "hello")


@pytest.mark.parametrize(
    ("adapter", "scheme", "path"),
    [(ResponsesAdapter, "responses", "/responses"), (AnthropicAdapter, "anthropic", "/messages")],
)
async def test_a_stream_without_its_end_broke_off(adapter: Any, scheme: str, path: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await _stream(request, [{"type": "ping"}])

    async with serving(web.post(path, answer)) as url:
        with pytest.raises(AgentFault, match="the stream ended without"):
            await said(adapter(f"{scheme}:{url}", EndpointOptions()), "hello")


async def test_a_tool_that_is_not_pinned_is_the_scenarios_gap() -> None:
    async with serving(web.post("/v1/messages", Messages().answer)) as url:
        with pytest.raises(HarnessFault, match=r"lookup_order.*does not pin"):
            await said(AnthropicAdapter(f"anthropic:{url}/v1", EndpointOptions()), "my order")


@pytest.mark.parametrize(
    ("adapter", "path", "body", "why"),
    [
        (
            ResponsesAdapter,
            "/responses",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
        ),
        (
            ResponsesAdapter,
            "/responses",
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
        (ResponsesAdapter, "/responses", {"status": "completed"}, None),
        (AnthropicAdapter, "/messages", {"stop_reason": "max_tokens"}, "max_tokens"),
        (AnthropicAdapter, "/messages", {"stop_reason": "refusal"}, "refusal"),
        (AnthropicAdapter, "/messages", {"stop_reason": "end_turn"}, None),
    ],
)
async def test_an_answer_that_is_not_whole_says_so(
    adapter: Any, path: str, body: Any, why: str | None
) -> None:
    text = {"type": "text", "text": "It will arr"}
    output = [{"type": "message", "content": [text | {"type": "output_text"}]}]

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"content": [text], "output": output, **body})

    scheme = "responses" if adapter is ResponsesAdapter else "anthropic"
    async with serving(web.post(path, answer)) as url:
        (message,) = await events(adapter(f"{scheme}:{url}", EndpointOptions(stream=False)), "where is it?")
    assert message.text == "It will arr"
    assert message.cut_off == why
