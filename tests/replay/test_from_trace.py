"""Production traces of every dialect, replayed to an agent that only changed its base URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
import yaml

from simulate.errors import InputError, NotReplayable
from simulate.replay import Cassette, replaying
from simulate.replay.from_trace import cassette_of, missing
from simulate.replay.loaders import load_source
from simulate.replay.matching.chat import same_model
from simulate.replay.scenario_draft import scenario_from
from simulate.replay.serving.server import PlaybackServer
from simulate.trace.conversations import Choice
from simulate.trace.files.reader import read
from simulate.trace.span import Span, Trace

FIXTURES = Path(__file__).parents[2] / "fixtures" / "traces"
REPLAYABLE = (
    "otel_openai_v2",
    "traceai_openai_client",
    "openinference_openai",
    "openllmetry_openai",
    "pydantic_ai_agent",
    "langgraph_agent",
    "vercel_ai",
    "langfuse_sdk",
    "livekit_agents_session",
    "pipecat_bot",
)


def traces(name: str) -> list[Any]:
    path = FIXTURES / f"{name}.otlp.jsonl"
    if not path.is_file():
        pytest.skip(f"{name} is not recorded")
    return read(path)


def as_openai(form: dict[str, Any]) -> dict[str, Any]:
    """The request that an agent on OpenAI's SDK would make for a recorded call."""
    messages: list[Any] = [{"role": "system", "content": text} for text in form["system"] or ()]
    for role, kind, *rest in form["history"]:
        if kind == "text":
            messages.append({"role": role, "content": rest[0]})
        elif kind == "call":
            function = {"name": rest[0], "arguments": orjson.dumps(rest[1]).decode()}
            messages.append(
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": f"live{len(messages)}", "type": "function", "function": function}],
                }
            )
        else:
            text = rest[0] if isinstance(rest[0], str) else orjson.dumps(rest[0]).decode()
            messages.append({"role": "tool", "tool_call_id": "live", "content": text})
    known = {k: v for k, v in (form["parameters"] or {}).items() if k in {"temperature", "max_tokens"}}
    return {"model": form["model"] or "m", "messages": messages, **known}


@pytest.mark.parametrize("name", REPLAYABLE)
async def test_each_dialect_replays_its_model_calls(name: str) -> None:
    cassette = cassette_of(traces(name)[0], partial=True)
    assert cassette.http
    for recording in cassette.http:
        recording.body["tools"] = None  # what the agent offers is not what this test is about
    async with (
        replaying(cassette) as player,
        openai.AsyncOpenAI(base_url="http://x.example/v1", api_key="k") as client,
    ):
        for recording in cassette.http:
            expected = orjson.loads(recording.response.content)
            if expected.get("error"):  # what failed in production fails again, the same way
                with pytest.raises(openai.APIStatusError, match="does not exist") as failed:
                    await client.chat.completions.create(**as_openai(recording.body))
                assert failed.value.status_code == expected["status"] == 404
                continue
            answer = await client.chat.completions.create(**as_openai(recording.body))
            message = answer.choices[0].message
            assert (message.content or None) == expected["text"]
            assert [(call.function.name, call.function.arguments) for call in message.tool_calls or ()] == [  # type: ignore[union-attr]
                (call["name"], call["arguments"]) for call in expected["calls"]
            ]
    assert all(one.verdict == "unplayed" for one in player.report().divergences), player.report().explain()


def test_a_trace_without_content_is_refused_span_by_span() -> None:
    trace = traces("otel_openai_v2_no_content")[0]
    with pytest.raises(NotReplayable, match="not replayable: 2 spans") as refused:
        cassette_of(trace)
    for one in missing(trace):
        assert str(one.span_id) in str(refused.value)
    assert "CAPTURE_MESSAGE_CONTENT" in str(refused.value)


def test_half_the_spans_replay_in_part_when_told_to() -> None:
    trace = traces("otel_openai_v2")[0]
    chats = [span for span in trace.spans if span.name.startswith("chat")]
    del chats[1].attributes["gen_ai.output.messages"]
    with pytest.raises(NotReplayable, match="no output messages"):
        cassette_of(trace)
    assert len(cassette_of(trace, partial=True).http) == 1


def test_a_cassette_of_a_trace_is_a_cassette(tmp_path: Path) -> None:
    cassette = cassette_of(traces("otel_openai_v2")[0])
    cassette.save(tmp_path / "c")
    again = Cassette.load(tmp_path / "c")
    assert again.match == "chat" and [one.key for one in again.http] == [one.key for one in cassette.http]
    assert again.conversation == cassette.conversation


async def test_a_changed_prompt_or_model_is_named_for_a_trace_too() -> None:
    for change, component in (
        (lambda body: body["messages"][0].update(content="You are rude."), "system prompt"),
        (lambda body: body.update(model="other"), "model"),
        (lambda body: body.update(temperature=1.9), "parameters"),
        (lambda body: body["messages"][-1].update(content="Where is my cat?"), "history"),
    ):
        cassette = cassette_of(traces("otel_openai_v2")[0])
        cassette.http[0].body["tools"] = None
        body = as_openai(cassette.http[0].body)
        change(body)
        async with (
            replaying(cassette) as player,
            openai.AsyncOpenAI(base_url="http://x.example/v1", api_key="k") as client,
        ):
            with pytest.raises(openai.APIStatusError, match="not in the cassette"):
                await client.chat.completions.create(**body)
        first = player.report().first
        assert first is not None and (first.verdict, first.component) == ("drifted", component)


@pytest.mark.parametrize(
    "wire", ["chat", "chat stream", "responses", "responses stream", "messages", "messages stream"]
)
async def test_one_recording_answers_in_every_wire(wire: str) -> None:
    cassette = cassette_of(traces("otel_openai_v2")[0])
    for one in cassette.http:
        one.body.update(tools=None, system=None, model=None, parameters=None)
    question = cassette.http[0].body["history"][0][2]
    expected = orjson.loads(cassette.http[0].response.content)["calls"][0]
    messages: Any = [{"role": "user", "content": question}]
    async with PlaybackServer([cassette]).serve() as server:
        client = openai.AsyncOpenAI(base_url=server.base_url, api_key="k")
        if wire.startswith("chat"):
            if "stream" in wire:
                stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
                calls = [call async for piece in stream for call in piece.choices[0].delta.tool_calls or ()]
                found = calls[0].function.name, "".join(call.function.arguments or "" for call in calls)
            else:
                answer = await client.chat.completions.create(model="m", messages=messages)
                call = answer.choices[0].message.tool_calls[0]  # type: ignore[index]
                found = call.function.name, call.function.arguments  # type: ignore[union-attr]
        elif wire.startswith("responses"):
            if "stream" in wire:
                stream = await client.responses.create(model="m", input=question, stream=True)
                done = [event async for event in stream][-1].response  # type: ignore[union-attr]
            else:
                done = await client.responses.create(model="m", input=question)
            found = done.output[0].name, done.output[0].arguments
        else:
            import httpx

            async with httpx.AsyncClient() as http:
                body = {"model": "m", "max_tokens": 9, "messages": messages, "stream": "stream" in wire}
                text = (await http.post(server.root_url + "/v1/messages", json=body)).text
            events = [orjson.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")] or [
                orjson.loads(text)
            ]
            block = next(
                e.get("content_block") or e["content"][0]
                for e in events
                if e["type"] in {"content_block_start", "message"}
            )
            partial = next(
                (e["delta"]["partial_json"] for e in events if e.get("type") == "content_block_delta"), None
            )
            found = block["name"], partial or orjson.dumps(block["input"]).decode()
        await client.close()
    assert found[0] == expected["name"] and orjson.loads(found[1]) == orjson.loads(expected["arguments"])


def test_the_proposed_scenario_is_one_that_loads(tmp_path: Path) -> None:
    from simulate.model.scenario import Scenario

    text = scenario_from(cassette_of(traces("otel_openai_v2")[0]))
    data = yaml.safe_load(text)
    assert data["script"][0]["says"] == "Where is my order 4711?"
    assert data["tools"]["get_order"]["returns"]["status"] == "shipped"
    assert {"called": "get_order", "with": {"order_id": "4711"}} in data["expect"]
    (tmp_path / "made.yaml").write_text(text)
    scenario = Scenario.load(tmp_path / "made.yaml")
    assert scenario.tools["get_order"].returns["status"] == "shipped"


def test_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cassette"):
        load_source(tmp_path)
    assert load_source(FIXTURES / "otel_openai_v2.otlp.jsonl")[0].match == "chat"
    with pytest.raises(InputError, match="is not among its traces"):
        load_source(FIXTURES / "otel_openai_v2.otlp.jsonl", choice=Choice(trace="ffff"))


@pytest.mark.parametrize(
    ("recorded", "now", "same"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("claude-sonnet-4-20250514", "claude-sonnet-4", True),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet", True),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku", True),
        ("openai/gpt-4o", "gpt-4o", True),
        ("models/gemini-2.0-flash", "gemini-2.0-flash", True),
        (None, "gpt-4o", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", False),
        ("gpt-4o-2024-08-06", "gpt-4o-mini", False),
        ("openai/gpt-4o", "azure/gpt-4o", False),
        ("gpt-4o", "gpt-4", False),
        ("gpt-4o", None, False),
    ],
)
def test_a_dated_or_prefixed_name_is_the_same_model(
    recorded: str | None, now: str | None, same: bool
) -> None:
    assert same_model(recorded, now) is same


@pytest.mark.parametrize("attribute", ["gen_ai.input.messages", None])
def test_the_caller_said_what_the_root_got_and_not_what_a_template_made_of_it(attribute: str | None) -> None:
    said = ["Hello there", "Where is my order 4417?"]
    spans = [Span(trace_id=TRACE, span_id="a" * 16, name="conversation", start_ns=1, end_ns=99)]
    told: list[dict[str, str]] = []
    for number, text in enumerate(said, 1):
        told.append({"role": "user", "content": f"Context: open 8-20.\n\nQuestion: {text}"})
        answer = {"role": "assistant", "content": f"answer {number}"}
        root: dict[str, Any] = {"openinference.span.kind": "AGENT"}
        if attribute is not None:
            root[attribute] = orjson.dumps([{"role": "user", "content": text}]).decode()
        call: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.input.messages": orjson.dumps(told).decode(),
            "gen_ai.output.messages": orjson.dumps([answer]).decode(),
        }
        turn, inner = f"{number}" * 16, f"c{number}" * 8
        start = 10 * number
        spans.append(
            Span(
                trace_id=TRACE,
                span_id=turn,
                parent_id="a" * 16,
                name="agent",
                start_ns=start,
                end_ns=start + 9,
                attributes=root,
            )
        )
        spans.append(
            Span(
                trace_id=TRACE,
                span_id=inner,
                parent_id=turn,
                name="chat m",
                start_ns=start + 1,
                end_ns=start + 8,
                attributes=call,
            )
        )
        told.append(answer)
    cassette = cassette_of(Trace(TRACE, spans))
    lines = [one["text"] for one in cassette.conversation if one["speaker"] == "caller"]
    assert lines == (said if attribute else [one["content"] for one in told if one["role"] == "user"])
    assert "Question: Hello there" in str(cassette.http[0].body["history"]), "requests stay as they were"


TRACE = "7" * 32


def _chat(number: int, said: list[dict[str, Any]], answer: dict[str, Any]) -> Span:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": orjson.dumps(said).decode(),
        "gen_ai.output.messages": orjson.dumps([answer]).decode(),
    }
    start = 1_780_000_000_000_000_000 + number * 10**9
    return Span("1" * 32, f"{number:016x}", "chat m", None, start, start + 10**8, attributes)


def test_a_caller_whose_words_were_hidden_is_refused() -> None:
    said = [{"role": "user", "parts": [{"type": "text", "content": "__REDACTED__"}]}]
    answer = {"role": "assistant", "parts": [{"type": "text", "content": "Done."}]}
    with pytest.raises(NotReplayable, match=r"gen_ai\.input\.messages"):
        cassette_of(Trace("1" * 32, [_chat(1, said, answer)]))


def test_what_was_hidden_is_expected_of_no_agent() -> None:
    arguments = {"order": "[REDACTED]", "amount": 5}
    asked = {"type": "tool_call", "id": "c", "name": "refund", "arguments": arguments}
    said = [{"role": "user", "parts": [{"type": "text", "content": "Refund it."}]}]
    first = {"role": "assistant", "parts": [asked]}
    told = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "ok"}]}
    last = {"role": "assistant", "parts": [{"type": "text", "content": "Dear [REDACTED], it is done."}]}
    spans = [_chat(1, said, first), _chat(2, [*said, first, told], last)]
    scenario = yaml.safe_load(scenario_from(cassette_of(Trace("1" * 32, spans))))
    assert scenario["expect"] == [{"called": "refund", "with": {"amount": 5}}]
