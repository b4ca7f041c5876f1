"""A model's answer, known only by its content, in the wire that was asked for.

For recordings that were made from a trace: chat completions, responses and Anthropic's messages, streamed or
not, and as an error where the recorded call failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import orjson

from simulate.errors import NotReplayable
from simulate.replay.matching.recordings import Chunk, HttpRecording, HttpResponse

CREATED = 0
"""A trace does not tell when the provider says that it answered; every replay says the same."""


def answer_in(url: str, body: bytes, recording: HttpRecording) -> HttpResponse:
    """The recorded answer as the response to a request of ``url``'s kind."""
    answer = cast("dict[str, Any]", orjson.loads(recording.response.content))
    request = cast("dict[str, Any]", orjson.loads(body))
    path = urlsplit(url).path
    if answer.get("error"):
        return _error(answer)
    wires = {"/chat/completions": _chat, "/responses": _responses, "/messages": _messages}
    for ending, wire in wires.items():
        if path.endswith(ending):
            name = hashlib.sha256(recording.key.encode() + str(recording.ordinal).encode()).hexdigest()[:24]
            return wire(answer, name, bool(request.get("stream")), request)
    raise NotReplayable(
        f"a recording made from a trace cannot answer in the wire of {path}",
        hint="it answers chat completions, responses and Anthropic's messages",
    )


def _error(answer: dict[str, Any]) -> HttpResponse:
    body = {
        "type": "error",
        "error": {"message": answer["error"], "type": "recorded_error", "code": None, "param": None},
    }
    headers = [("content-type", "application/json"), ("x-should-retry", "false")]
    return HttpResponse(int(answer.get("status") or 500), "", headers, [(0.0, orjson.dumps(body))])


def _json(value: Any) -> HttpResponse:
    return HttpResponse(200, "OK", [("content-type", "application/json")], [(0.0, orjson.dumps(value))])


def _events(events: Iterator[tuple[str | None, Any]]) -> HttpResponse:
    chunks: list[Chunk] = []
    for name, value in events:
        head = f"event: {name}\n".encode() if name else b""
        data = value if isinstance(value, bytes) else orjson.dumps(value)
        chunks.append((0.0, head + b"data: " + data + b"\n\n"))
    return HttpResponse(200, "OK", [("content-type", "text/event-stream")], chunks)


def _pieces(text: str) -> list[str]:
    """A text as a stream would bring it: word by word. How it really came, a trace does not tell."""
    words = text.split(" ")
    return [word + " " for word in words[:-1]] + words[-1:] if text else []


def _usage(answer: dict[str, Any], first: str, second: str) -> dict[str, int]:
    usage = cast("dict[str, Any]", answer.get("usage") or {})
    one, two = int(usage.get("input") or 0), int(usage.get("output") or 0)
    return {first: one, second: two, **({"total_tokens": one + two} if first != "input_tokens" else {})}


def _calls(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in answer["calls"]
    ]


def _chat(answer: dict[str, Any], name: str, stream: bool, request: dict[str, Any]) -> HttpResponse:
    calls = _calls(answer)
    finish = answer.get("finish") or ("tool_calls" if calls else "stop")
    head = {
        "id": f"chatcmpl-{name}",
        "created": CREATED,
        "model": answer.get("model") or request.get("model"),
    }
    usage = _usage(answer, "prompt_tokens", "completion_tokens")
    if not stream:
        message = {"role": "assistant", "content": answer["text"], **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return _json({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def events() -> Iterator[tuple[None, Any]]:
        def piece(delta: dict[str, Any], finish: str | None = None) -> tuple[None, Any]:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return None, {**head, "object": "chat.completion.chunk", "choices": [choice]}

        yield piece({"role": "assistant", "content": "" if answer["text"] else None})
        for text in _pieces(answer["text"] or ""):
            yield piece({"content": text})
        for index, call in enumerate(calls):
            yield piece({"tool_calls": [{"index": index, **call}]})
        yield piece({}, finish)
        if cast("dict[str, Any]", request.get("stream_options") or {}).get("include_usage"):
            yield None, {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
        yield None, b"[DONE]"

    return _events(events())


def _responses(answer: dict[str, Any], name: str, stream: bool, request: dict[str, Any]) -> HttpResponse:
    items = _response_items(answer, name)
    response = {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "error": None,
        "model": answer.get("model") or request.get("model"),
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": request.get("tools") or [],
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "metadata": {},
        "temperature": None,
        "top_p": None,
        "usage": {
            **_usage(answer, "input_tokens", "output_tokens"),
            "total_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    if not stream:
        return _json(response)

    def events() -> Iterator[tuple[str, Any]]:
        told = [("response.created", {"response": {**response, "status": "in_progress", "output": []}})]
        for index, item in enumerate(items):
            told += _response_item_events(index, item)
        told.append(("response.completed", {"response": response}))
        for number, (kind, fields) in enumerate(told):
            yield kind, {"type": kind, "sequence_number": number, **fields}

    return _events(events())


def _response_items(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer["text"]:
        content: list[dict[str, Any]] = [{"type": "output_text", "text": answer["text"], "annotations": []}]
        about = {"role": "assistant", "status": "completed", "content": content}
        items.append({"type": "message", "id": f"msg_{name}", **about})
    for call in answer["calls"]:
        given = {"call_id": call["id"], "name": call["name"], "arguments": call["arguments"]}
        items.append({"type": "function_call", "id": f"fc_{call['id']}", "status": "completed", **given})
    return items


def _response_item_events(index: int, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """One item as the stream of the responses API brings it: added, in pieces, done."""
    place = {"output_index": index, "item_id": item["id"]}
    if item["type"] == "message":
        text = item["content"][0]["text"]
        yield "response.output_item.added", {"output_index": index, "item": {**item, "content": []}}
        part = {**place, "content_index": 0}
        empty: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
        yield "response.content_part.added", {**part, "part": empty}
        for piece in _pieces(text):
            yield "response.output_text.delta", {**part, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**part, "text": text, "logprobs": []}
        yield "response.content_part.done", {**part, "part": item["content"][0]}
    else:
        arguments, name = item["arguments"], item["name"]
        yield "response.output_item.added", {"output_index": index, "item": {**item, "arguments": ""}}
        yield "response.function_call_arguments.delta", {**place, "delta": arguments}
        yield "response.function_call_arguments.done", {**place, "arguments": arguments, "name": name}
    yield "response.output_item.done", {"output_index": index, "item": item}


def _messages(answer: dict[str, Any], name: str, stream: bool, request: dict[str, Any]) -> HttpResponse:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": answer["text"]}] if answer["text"] else []
    blocks += [
        {"type": "tool_use", "id": call["id"], "name": call["name"], "input": orjson.loads(call["arguments"])}
        for call in answer["calls"]
    ]
    finish = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}.get(
        answer.get("finish") or ""
    )
    message: dict[str, Any] = {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "content": blocks,
        "model": answer.get("model") or request.get("model"),
        "stop_sequence": None,
        "stop_reason": finish or ("tool_use" if answer["calls"] else "end_turn"),
        "usage": _usage(answer, "input_tokens", "output_tokens"),
    }
    if not stream:
        return _json(message)

    def events() -> Iterator[tuple[str, Any]]:
        def event(kind: str, **fields: Any) -> tuple[str, Any]:
            return kind, {"type": kind, **fields}

        yield event("message_start", message={**message, "content": [], "stop_reason": None})
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
                for text in _pieces(block["text"]):
                    yield event(
                        "content_block_delta", index=index, delta={"type": "text_delta", "text": text}
                    )
            else:
                yield event("content_block_start", index=index, content_block={**block, "input": {}})
                partial = orjson.dumps(block["input"]).decode()
                yield event(
                    "content_block_delta",
                    index=index,
                    delta={"type": "input_json_delta", "partial_json": partial},
                )
            yield event("content_block_stop", index=index)
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield event("message_delta", delta=stop, usage={"output_tokens": message["usage"]["output_tokens"]})
        yield event("message_stop")

    return _events(events())
