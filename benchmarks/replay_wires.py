"""Are planted changes named by their right part on every provider's wire?

    python -m benchmarks.replay_wires           # 30 changes on each of five wires, a few seconds

Each change is made to one request of a recorded conversation with a tool call, a tool result and a passage
that was retrieved; beside them, the unchanged conversation may raise no alarm.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from simulate.replay import Cassette, Rules, replaying
from simulate.replay.cassette.interactions import record_of
from simulate.replay.matching.recordings import HttpResponse, number
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import default_rules

Body = dict[str, Any]
HEADERS = {"content-type": "application/json"}
QUESTION = "Context:\nold passage {n}\n\nQuestion:\nwhere is parcel {n}?"
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}}


def _chat(n: int) -> Body:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": f'{{"id":"{n}"}}'}}
    return {
        "model": "m-1",
        "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "You help with parcels."},
            {"role": "user", "content": f"hello {n}"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": QUESTION.format(n=n)},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": f"parcel {n} is late"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "find", "description": "finds it", "parameters": SCHEMA},
            }
        ],
    }


def _responses(n: int) -> Body:
    return {
        "model": "m-1",
        "temperature": 0.2,
        "instructions": "You help with parcels.",
        "input": [
            {"role": "user", "content": f"hello {n}"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": QUESTION.format(n=n)},
            {"type": "function_call", "call_id": "c1", "name": "find", "arguments": f'{{"id":"{n}"}}'},
            {"type": "function_call_output", "call_id": "c1", "output": f"parcel {n} is late"},
        ],
        "tools": [{"type": "function", "name": "find", "description": "finds it", "parameters": SCHEMA}],
    }


def _anthropic(n: int) -> Body:
    return {
        "model": "m-1",
        "max_tokens": 100,
        "temperature": 0.2,
        "system": "You help with parcels.",
        "messages": [
            {"role": "user", "content": f"hello {n}"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": QUESTION.format(n=n)},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {"id": n}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": f"parcel {n} is late"}],
            },
        ],
        "tools": [{"name": "find", "description": "finds it", "input_schema": SCHEMA}],
    }


def _gemini(n: int) -> Body:
    answer = {"functionResponse": {"name": "find", "response": {"result": f"parcel {n} is late"}}}
    return {
        "systemInstruction": {"parts": [{"text": "You help with parcels."}]},
        "generationConfig": {"temperature": 0.2},
        "contents": [
            {"role": "user", "parts": [{"text": f"hello {n}"}]},
            {"role": "model", "parts": [{"text": "Hello."}]},
            {"role": "user", "parts": [{"text": QUESTION.format(n=n)}]},
            {"role": "model", "parts": [{"functionCall": {"name": "find", "args": {"id": n}}}]},
            {"role": "user", "parts": [answer]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "find", "description": "finds it", "parameters": SCHEMA}]}
        ],
    }


def _bedrock(n: int) -> Body:
    result = {"toolUseId": "c1", "content": [{"text": f"parcel {n} is late"}]}
    tool = {"toolSpec": {"name": "find", "description": "finds it", "inputSchema": {"json": SCHEMA}}}
    return {
        "system": [{"text": "You help with parcels."}],
        "inferenceConfig": {"temperature": 0.2},
        "messages": [
            {"role": "user", "content": [{"text": f"hello {n}"}]},
            {"role": "assistant", "content": [{"text": "Hello."}]},
            {"role": "user", "content": [{"text": QUESTION.format(n=n)}]},
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "c1", "name": "find", "input": {"id": n}}}],
            },
            {"role": "user", "content": [{"toolResult": result}]},
        ],
        "toolConfig": {"tools": [tool]},
    }


WIRES: dict[str, tuple[str, Callable[[int], Body]]] = {
    "OpenAI chat": ("https://api.openai.com/v1/chat/completions", _chat),
    "OpenAI Responses": ("https://api.openai.com/v1/responses", _responses),
    "Anthropic": ("https://api.anthropic.com/v1/messages", _anthropic),
    "Gemini": ("https://generativelanguage.googleapis.com/v1beta/models/m-1:generateContent", _gemini),
    "Bedrock": ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/m-1/converse", _bedrock),
}
TEXTS: dict[str, tuple[tuple[str, str], ...]] = {
    "system prompt": (("You help with parcels.", "You help with letters."), ("You help", "Kindly help")),
    "tools": (('"finds it"', '"finds them"'), ('"description":"finds it",', ""), ('"string"', '"integer"')),
    "parameters": (('"temperature":0.2', '"temperature":0.7'), ('"temperature":0.2', '"temperature":0')),
    "model": (("m-1", "m-2"), ("m-1", "large")),
    "history": (("hello", "good day"), ('"Hello."', '"Hi."')),
    "tool result": (("is late", "is lost"), ("is late", "is here"), ("parcel {n} is late", "")),
    "retrieval": (("old passage", "new passage"), ("old passage {n}", "nothing"), ("old", "old and new")),
}
"""By the part that is to be named: what is replaced in the request's text, address included."""


def changes(count: int) -> Iterator[tuple[str, str, str]]:
    """The part, and the text that is replaced by another."""
    every = [(part, *one) for part, texts in TEXTS.items() for one in texts]
    for index in range(count):
        yield every[index % len(every)]


def changed(url: str, body: Body, old: str, new: str) -> tuple[str, bytes] | None:
    """The request with the change; None where this wire has nothing of the kind."""
    text = orjson.dumps(body).decode()
    if old == "m-1" and old in url:
        return url.replace(old, new), text.encode()
    return (url, text.replace(old, new, 1).encode()) if old in text else None


async def planted(url: str, made: Callable[[int], Body], count: int) -> tuple[list[str], int]:
    """What was named wrongly, and how many alarms there were without a change."""
    rules, wrong, alarms = default_rules(), list[str](), 0
    for index, (part, old, new) in enumerate(changes(count)):
        bodies = [made(100 * index + n) for n in range(10)]
        cassette = recorded(url, bodies, rules)
        async with replaying(cassette) as player:
            for body in bodies:
                player.begin(HttpRequest("POST", url, HEADERS, orjson.dumps(body)))
        alarms += not player.report().passed
        chosen = random.Random(index).randrange(10)
        old = old.replace("{n}", str(100 * index + chosen))
        request = changed(url, copy.deepcopy(bodies[chosen]), old, new)
        assert request is not None, (url, old)
        async with replaying(cassette) as player:
            player.begin(HttpRequest("POST", request[0], HEADERS, request[1]))
        first = player.report().first
        if first is None or first.component != part:
            wrong.append(f"{part} ({old!r} → {new!r}): {None if first is None else first.component}")
    return wrong, alarms


def recorded(url: str, bodies: list[Body], rules: Rules) -> Cassette:
    """A cassette of these requests."""
    cassette = Cassette()
    for body in bodies:
        recording = record_of(HttpRequest("POST", url, HEADERS, orjson.dumps(body)), rules)
        recording.response = HttpResponse(200)
        cassette.http.append(recording)
    number(cassette.http)
    return cassette


def main() -> None:
    for wire, (url, made) in WIRES.items():
        wrong, alarms = asyncio.run(planted(url, made, 30))
        print(f"| {wire} | {30 - len(wrong)} of 30 | {alarms} |", *wrong, sep="\n  ")


if __name__ == "__main__":
    main()
