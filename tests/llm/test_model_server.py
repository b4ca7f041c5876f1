"""The rule-based model server, met through the real openai SDK."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from fixtures.agents.model_server import FAULTS, ModelServer

ROOT = Path(__file__).parents[2]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("lookup_order", "issue_refund", "offer_replacement", "search_policy")
]
LOOKUP = {"lookup_order": {"status": "lost", "total": 42.5}, "issue_refund": {"ok": True}}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer().running() as running:
        yield running


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=5) as sdk:
        yield sdk


async def converse(client: AsyncOpenAI, lines: list[str], *, stream: bool) -> tuple[list[str], list[Any]]:
    """Lines of a user; the agent's tool calls are answered from LOOKUP."""
    messages: list[Any] = []
    texts: list[str] = []
    called: list[Any] = []
    for line in lines:
        messages.append({"role": "user", "content": line})
        for _ in range(5):
            text, calls = await ask(client, messages, stream=stream)
            if not calls:
                break
            messages.append({"role": "assistant", "tool_calls": calls})
            for one in calls:
                name = one["function"]["name"]
                called.append((name, json.loads(one["function"]["arguments"])))
                content = json.dumps(LOOKUP.get(name, {}))
                messages.append({"role": "tool", "tool_call_id": one["id"], "content": content})
        texts.append(text)
        messages.append({"role": "assistant", "content": text})
    return texts, called


async def ask(client: AsyncOpenAI, messages: list[Any], *, stream: bool) -> tuple[str, list[Any]]:
    if not stream:
        whole = await client.chat.completions.create(model="order_support", messages=messages, tools=TOOLS)
        assert whole.usage is not None and whole.usage.total_tokens > 0
        calls = [one.model_dump() for one in whole.choices[0].message.tool_calls or []]
        return whole.choices[0].message.content or "", calls
    text, calls, usage = "", {}, None
    options: Any = {"include_usage": True}
    events = await client.chat.completions.create(
        model="order_support", messages=messages, tools=TOOLS, stream=True, stream_options=options
    )
    async for event in events:
        usage = event.usage or usage
        for choice in event.choices:
            text += choice.delta.content or ""
            for one in choice.delta.tool_calls or []:
                known = calls.setdefault(one.index, {"id": one.id, "type": "function", "function": {}})
                function = one.function
                assert function is not None
                known["function"].setdefault("name", function.name)
                known["function"]["arguments"] = known["function"].get("arguments", "") + function.arguments
    assert usage is not None and usage.completion_tokens > 0
    return text, list(calls.values())


@pytest.mark.parametrize("stream", [False, True])
async def test_the_order_agent_looks_up_and_refunds(client: AsyncOpenAI, stream: bool):
    lines = ["Hi, my parcel never came.", "It is 4417.", "I want my money back, no replacement."]
    texts, called = await converse(client, lines, stream=stream)
    assert "order number" in texts[0]
    assert "refund of $42.50 or a replacement" in texts[1]
    assert "refunded $42.50" in texts[2]
    assert called == [
        ("lookup_order", {"order_id": "4417"}),
        ("issue_refund", {"order_id": "4417", "amount": 42.5}),
    ]


async def test_the_same_request_gets_the_same_bytes(server: ModelServer, client: AsyncOpenAI):
    messages: Any = [{"role": "user", "content": "Where is order 4417?"}]
    first = await client.chat.completions.create(model="order_support", messages=messages, tools=TOOLS)
    second = await client.chat.completions.create(model="order_support", messages=messages, tools=TOOLS)
    assert first == second


async def test_the_booking_agent_remembers(client: AsyncOpenAI):
    messages: Any = [
        {"role": "user", "content": "A table for four on Friday at 7 pm please, my name is Ada."},
    ]
    tools: Any = [{"type": "function", "function": {"name": "book_table", "parameters": {}}}]
    answer = await client.chat.completions.create(model="booking", messages=messages, tools=tools)
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {
        "date": "friday",
        "party_size": 4,
        "time": "19:00",
        "name": "Ada",
    }
    messages.append(answer.choices[0].message.model_dump())
    messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"reference": "BK-77"}'})
    done = await client.chat.completions.create(model="booking", messages=messages, tools=tools)
    assert "under Ada, reference BK-77" in (done.choices[0].message.content or "")


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("401", openai.AuthenticationError, 401),
        ("429", openai.RateLimitError, 429),
        ("quota", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 500),
        ("503", openai.InternalServerError, 503),
        ("context", openai.BadRequestError, 400),
        ("html", openai.InternalServerError, 502),
    ],
)
async def test_errors_are_those_of_the_real_wire(
    client: AsyncOpenAI, fault: str, error: type[openai.APIStatusError], status: int
):
    assert fault in FAULTS
    with pytest.raises(error) as raised:
        await client.chat.completions.create(
            model=f"echo+{fault}", messages=[{"role": "user", "content": "a"}]
        )
    assert raised.value.status_code == status
    if fault == "429":
        assert raised.value.response.headers["retry-after"] == "0"


@pytest.mark.parametrize("fault", ["dies", "malformed", "error_event"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_breaks_midway_raises(client: AsyncOpenAI, fault: str, stream: bool):
    async def whole() -> None:
        messages: Any = [{"role": "user", "content": "one two three four five six"}]
        answer: Any = await client.chat.completions.create(
            model=f"echo+{fault}", messages=messages, stream=stream
        )
        if stream:
            async for _ in answer:
                pass

    # what the SDK lets through differs: its own error, httpx's, or json's
    with pytest.raises((openai.APIError, httpx.HTTPError, json.JSONDecodeError)):
        await whole()


async def test_a_fault_can_be_for_the_first_times_only(client: AsyncOpenAI):
    messages: Any = [{"role": "user", "content": "a"}]
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="echo+500:2", messages=messages)
    answer = await client.chat.completions.create(model="echo+500:2", messages=messages)
    assert answer.choices[0].message.content == "You said: a"


async def test_a_brain_of_ones_own(client: AsyncOpenAI, server: ModelServer):
    server.brains = {"mine": lambda messages, tools: {"content": f"{len(messages)} and {len(tools)}"}}
    answer = await client.chat.completions.create(model="mine", messages=[{"role": "user", "content": "a"}])
    assert answer.choices[0].message.content == "1 and 0"
    assert "mine" in [model.id async for model in client.models.list()]
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="other", messages=[])


def test_as_a_process_it_prints_its_address():
    command = [sys.executable, "-m", "fixtures.agents.model_server", "--api-key", "right"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            with (
                openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client,
                pytest.raises(openai.AuthenticationError),
            ):
                client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "a"}])
        finally:
            process.terminate()
            process.wait(10)
