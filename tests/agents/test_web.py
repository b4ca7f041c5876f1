"""Web agents by template: their answers in one piece or streamed, their sessions, and who broke it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from simulate.child_process import free_port
from simulate.conversation.agents.adapter import Delta, EndpointOptions, HungUp
from simulate.conversation.agents.web import WebAdapter
from simulate.errors import AgentFault, EnvironmentFault, NotReached
from simulate.model.request_template import RequestTemplate
from tests.agents.served import CONVERSATION, TRACEPARENT, events, said, serving


def adapter(address: str, headers: dict[str, str] | None = None, **request: Any) -> WebAdapter:
    template = RequestTemplate.model_validate(request)
    return WebAdapter(address, EndpointOptions(headers=headers or {}, request=template))


async def test_a_session_in_a_field_comes_back_from_the_second_request_on() -> None:
    got: list[Any] = []

    async def chat(request: web.Request) -> web.Response:
        got.append((await request.json(), request.headers))
        return web.json_response({"reply": {"text": f"{len(got)}"}, "session_id": "s-7"})

    body = {
        "text": "{{message}}",
        "session": "{{session}}",
        "history": "{{messages}}",
        "id": "c-{{conversation}}-{{user}}",
    }
    async with serving(web.post("/chat", chat)) as url:
        found = await said(
            adapter(url, path="/chat", body=body, answer="$.reply.text", session="$.session_id"), "one", "two"
        )
    assert found == ["1", "2"]
    (first, headers), (second, _) = got
    assert first == {
        "text": "one",
        "history": [{"role": "user", "content": "one"}],
        "id": f"c-{CONVERSATION}-u-7",
    }
    assert second["session"] == "s-7" and [each["role"] for each in second["history"]] == [
        "user",
        "assistant",
        "user",
    ]
    assert headers["traceparent"] == TRACEPARENT and headers["baggage"] == "a=b"


async def test_a_session_in_a_header_and_in_a_cookie() -> None:
    got: list[tuple[str | None, str | None]] = []

    async def chat(request: web.Request) -> web.Response:
        got.append((request.headers.get("X-Session"), request.cookies.get("sid")))
        response = web.Response(text=f"you said {request.query['q']}", headers={"X-Session": "h-1"})
        response.set_cookie("sid", "c-1")
        return response

    async with serving(web.get("/ask", chat)) as url:
        template = {"method": "GET", "path": "/ask?q={{message}}", "session": "header:X-Session"}
        found = await said(adapter(url, {"X-Session": "{{session}}"}, **template), "a & b", "more")
    assert found == ["you said a & b", "you said more"]
    assert got == [(None, None), ("h-1", "c-1")]


async def test_a_form() -> None:
    async def chat(request: web.Request) -> web.Response:
        return web.json_response(f"form says {(await request.post())['text']}")

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with serving(web.post("/", chat)) as url:
        assert await said(adapter(url, headers, body={"text": "{{message}}"}), "hello") == ["form says hello"]


def streamed(content_type: str, *pieces: str) -> Any:
    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece.encode())
            await asyncio.sleep(0)
        return response

    return chat


SSE = ('data: {"t": "Your "}\n\n', 'event: ping\ndata: {}\n\ndata: {"t"', ': "order"}\r\n\r\n')


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [
        ("text/event-stream", (*SSE, "data: [DONE]\n\n")),
        ("text/event-stream; charset=utf-8", (*SSE, 'data: {"end": true}\n\n')),
        ("application/x-ndjson", ('{"t": "Your "}\n{"t"', ': "order"}\n', '{"end": 1}')),
    ],
)
async def test_a_stream(kind: str, pieces: tuple[str, ...]) -> None:
    async with serving(web.post("/", streamed(kind, *pieces))) as url:
        template = {"body": {"q": "{{message}}"}, "answer": "$.t", "done": "$.end"}
        found = await events(adapter(url, **template), "where is it?")
    assert [event.text for event in found] == ["Your ", "order", "Your order"]
    assert [type(event) for event in found[:2]] == [Delta, Delta]


async def test_a_stream_without_its_end_broke_off() -> None:
    async with serving(web.post("/", streamed("text/event-stream", *SSE))) as url:
        template = {"body": {"q": "{{message}}"}, "answer": "$.t", "done": "$.end"}
        with pytest.raises(AgentFault, match=r"ended without `done: \$\.end`"):
            await said(adapter(url, **template), "hello")


async def test_the_agent_hangs_up() -> None:
    async def chat(_: web.Request) -> web.Response:
        return web.json_response({"text": "Bye.", "over": True})

    async with serving(web.post("/", chat)) as url:
        found = await events(adapter(url, body="{{message}}", answer="$.text", hang_up="$.over"), "bye")
    assert [type(event).__name__ for event in found] == ["AgentMessage", "HungUp"]
    assert isinstance(found[1], HungUp)


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (500, {"detail": "no database"}, AgentFault, "answered 500: no database"),
        (422, {"detail": [{"loc": ["body", "text"]}]}, AgentFault, "answered 422.*text"),
        (401, {"error": {"message": "who are you"}}, EnvironmentFault, "who are you"),
        (404, "gone", EnvironmentFault, "answered 404"),
        (503, "busy", EnvironmentFault, "answered 503"),
        (200, {"other": 1}, AgentFault, r"nothing at `answer: \$\.text` of \{\"other\": 1\}"),
        (200, {"text": 7}, AgentFault, "is not text: 7"),
        (200, "<html>", EnvironmentFault, "web page"),
        (200, "{broken", AgentFault, "not JSON"),
    ],
)
async def test_each_failure_has_its_side_and_is_asked_for_once(
    status: int, body: Any, kind: type[Exception], told: str
) -> None:
    asked: list[int] = []

    async def chat(_: web.Request) -> web.Response:
        asked.append(1)
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="application/json")

    async with serving(web.post("/", chat)) as url:
        with pytest.raises(kind, match=told):
            await said(adapter(url, body={"q": "{{message}}"}, answer="$.text"), "hello")
    assert len(asked) == 1, "a request that may have reached the agent is not made twice"


async def test_429_is_made_again_and_nobody_listening_is_the_environments() -> None:
    left = [429, 429, 200]

    async def chat(_: web.Request) -> web.Response:
        return web.Response(status=left.pop(0), text="in at last", headers={"Retry-After": "0"})

    async with serving(web.post("/", chat)) as url:
        assert await said(adapter(url, body="{{message}}"), "hello") == ["in at last"]
    assert left == []
    with pytest.raises(NotReached, match="nothing listens"):
        await said(adapter(f"http://127.0.0.1:{free_port()}", body="{{message}}"), "hello")


async def test_an_agent_that_does_not_answer_in_time_is_the_agents_fault() -> None:
    async def chat(_: web.Request) -> web.Response:
        await asyncio.sleep(2)
        return web.Response()

    async with serving(web.post("/", chat)) as url:
        with pytest.raises(AgentFault, match=r"no whole answer within|did not answer in time"):
            await said(adapter(url, body="{{message}}"), "hello", reply=0.3)


async def test_json_without_a_path_says_what_to_write() -> None:
    async def chat(_: web.Request) -> web.Response:
        return web.json_response({"reply": "hi"})

    async with serving(web.post("/", chat)) as url:
        with pytest.raises(AgentFault, match="answered JSON") as caught:
            await said(adapter(url, body="{{message}}"), "hello")
    assert "answer =" in str(caught.value.hint)
