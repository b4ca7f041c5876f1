"""Chat transcripts in OpenAI's message shape, as traces: τ-bench, τ²-bench, fine-tuning files.

A transcript is not a trace: what it does not hold (times, models, tokens) is not invented. Each assistant
message becomes a model call and each tool call a tool span; the root says ``simulate.reconstructed`` and,
where the transcript has no times, times are ordinals from 1970 on and the notes say so.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

import orjson

from simulate.model.json_values import to_json
from simulate.trace.files import base
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.span import Attributes, Event, Span

STEP = 1_000_000
"""Nanoseconds between two messages that have no times."""
WHOLE_HISTORY = 200
"""Messages up to which each model call carries the whole history, as it would in production."""

_LISTS = ("traj", "messages", "ticks")
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def fits(document: Any) -> bool:
    """A record with messages, a list of records, or a list of messages."""
    if isinstance(document, list):
        return bool(document) and (_is_message(document[0]) or fits(document[0]))
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("simulations"), list):
        return fits(document["simulations"])
    for key in _LISTS:
        items = document.get(key)
        if isinstance(items, list) and items and isinstance(items[0], dict):
            return (key == "ticks" and "user_chunk" in items[0]) or _is_message(items[0])
    return False


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in _ROLES
        and ("content" in value or "tool_calls" in value)
    )


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of each transcript: a trace of its own for each."""
    if isinstance(document, dict) and isinstance(document.get("simulations"), list):
        document = document["simulations"]
    if isinstance(document, list):
        records = [{"messages": document}] if document and _is_message(document[0]) else document
    else:
        records = [document]
    for index, record in enumerate(records):
        try:
            if isinstance(record.get("ticks"), list):
                yield from _duplex(record, index, notes)
            else:
                yield from _transcript(record, index, notes)
        except base.STRUCTURAL as error:
            problem = f"transcript {index + 1} has not the shape of chat messages: {base.explain(error)}"
            if not notes.tolerant:
                raise notes.refuse(problem) from error
            notes.say(f"left out {problem}")


def _transcript(record: Record, index: int, notes: Notes) -> Iterator[Span]:
    messages: list[Record] = next((record[key] for key in _LISTS if isinstance(record.get(key), list)), [])
    root = _root(record, index, notes)
    clock = _Clock(messages, notes, root.trace_id)
    root.start_ns, root.end_ns = clock.at(0), clock.at(len(messages))
    results: defaultdict[str, deque[tuple[int, Record]]] = defaultdict(deque)
    for place, item in enumerate(messages):
        if item.get("role") == "tool":
            results[str(item.get("tool_call_id"))].append((place, item))
    # a transcript without any answer leaves them out, and tells of no call that it was passed over
    answers = any(message["role"] != "assistant" and _answers(message) for message in messages)
    yield root
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        history = messages[:place] if place <= WHOLE_HISTORY else messages[place - 1 : place]
        if place > WHOLE_HISTORY:
            notes.say(
                "long transcript: model calls carry only the last message before them", "", root.trace_id
            )
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": _json([_message(item, calls=answers) for item in history]),
            "gen_ai.output.messages": _json([_message(message)]),
        }
        start = clock.at(place)
        yield _child(root, f"m{place}", "chat", start, clock.at(place + 1), attributes)
        for number, call in enumerate(_calls(message)):
            # ids may repeat: an answer is that of the call before it, and of one only
            waiting = results[str(call["id"])] if call["id"] is not None else None
            while waiting and waiting[0][0] < place:
                waiting.popleft()
            result = waiting.popleft()[1] if waiting else None
            if result is None and place + 1 + number < len(messages):
                after = messages[place + 1 + number]
                named = after.get("role") not in ("tool", "function") or after.get("tool_call_id")
                result = None if named else after
            if result is None:
                continue  # nobody knows whether it ran
            moment = clock.at(place + 1)
            yield _child(
                root,
                f"t{place}.{number}",
                f"execute_tool {call['name']}",
                moment,
                moment,
                _tool(call, result),
            )


def _tool(call: Record, result: Record) -> Attributes:
    found: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call["name"],
        "gen_ai.tool.call.arguments": call["arguments"],
    }
    if call["id"] is not None:
        found["gen_ai.tool.call.id"] = call["id"]
    content = result.get("content")
    found["gen_ai.tool.call.result"] = content if isinstance(content, str) else _json(content)
    return found


def _root(record: Record, index: int, notes: Notes) -> Span:
    facts = {key: record[key] for key in ("id", "task_id", "trial", "seed") if record.get(key) is not None}
    name = "conversation" + "".join(f" {key}={record[key]}" for key in ("task_id", "trial") if key in facts)
    seed = orjson.dumps([facts, index, record], option=orjson.OPT_NON_STR_KEYS)
    trace_id = hashlib.blake2b(seed, digest_size=16).hexdigest()
    attributes: Attributes = {"gen_ai.operation.name": "invoke_agent", "simulate.reconstructed": True}
    attributes |= {f"simulate.transcript.{key}": value for key, value in facts.items()}
    attributes["gen_ai.conversation.id"] = str(record.get("id", trace_id))
    notes.say("spans were reconstructed from a chat transcript", trace_id=trace_id)
    events = list[Event]()
    reward = record.get("reward", (record.get("reward_info") or {}).get("reward"))
    if isinstance(reward, int | float):
        about = {"gen_ai.evaluation.name": "reward", "gen_ai.evaluation.score.value": float(reward)}
        events.append(Event("gen_ai.evaluation.result", 0, about))
    return Span(
        trace_id, trace_id[:16], name, attributes=attributes, events=events, scope="simulate.transcript"
    )


def _child(root: Span, key: str, name: str, start: int, end: int, attributes: Attributes) -> Span:
    span_id = hashlib.blake2b(f"{root.trace_id}/{key}".encode(), digest_size=8).hexdigest()
    return Span(
        root.trace_id, span_id, name, root.span_id, start, end, attributes, scope="simulate.transcript"
    )


class _Clock:
    """When each message was; ordinals where the transcript does not say."""

    def __init__(self, messages: list[Record], notes: Notes, trace_id: str) -> None:
        stamps = [message.get("timestamp") for message in messages]
        self.known = bool(stamps) and all(stamp is not None for stamp in stamps)
        self.moments = [base.nanoseconds(stamp, notes, "a message") for stamp in stamps] if self.known else []
        if not self.known:
            notes.say("the transcript has no times; the spans' times are ordinals", trace_id=trace_id)

    def at(self, place: int) -> int:
        if self.known:
            return self.moments[min(place, len(self.moments) - 1)]
        return (place + 1) * STEP


def _calls(message: Record) -> list[Record]:
    calls: list[Record] = []
    old = [{"function": message["function_call"]}] if message.get("function_call") else []
    for call in message.get("tool_calls") or old:
        function = call.get("function") or call
        arguments = function.get("arguments", {})
        if not isinstance(arguments, str):
            arguments = _json(arguments)
        calls.append({"id": call.get("id"), "name": str(function["name"]), "arguments": arguments})
    return calls


def _answers(message: Record) -> bool:
    """Whether a message holds what a tool answered."""
    content = message.get("content")
    inside = content if isinstance(content, list) else []
    return message["role"] in ("tool", "function") or any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in inside
    )


def _message(message: Record, *, calls: bool = True) -> Record:
    """A message in the parts of the GenAI conventions."""
    content, parts = message.get("content"), list[Record]()
    if message["role"] in ("tool", "function"):
        parts.append({"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content})
    elif isinstance(content, str):
        parts.append({"type": "text", "content": content})
    elif isinstance(content, list):
        for item in content:
            text = item.get("text") if isinstance(item, dict) else item
            parts.append({"type": "text", "content": text} if isinstance(text, str) else dict(item))
    for call in _calls(message) if calls else ():
        try:
            arguments = orjson.loads(call["arguments"])
        except orjson.JSONDecodeError:
            arguments = call["arguments"]
        parts.append({"type": "tool_call", "id": call["id"], "name": call["name"], "arguments": arguments})
    return {"role": message["role"], "parts": parts}


def _duplex(record: Record, index: int, notes: Notes) -> Iterator[Span]:
    """A full-duplex voice run: ticks with who is speaking; each stretch of speech is a turn of one side."""
    root = _root(record, index, notes)
    ticks: list[Record] = record["ticks"]
    moments = [base.nanoseconds(tick.get("timestamp"), notes, "a tick") for tick in ticks]
    root.start_ns = base.nanoseconds(record.get("start_time"), notes, "the run") or (
        moments[0] if moments else 0
    )
    root.end_ns = base.nanoseconds(record.get("end_time"), notes, "the run") or (
        moments[-1] if moments else None
    )
    root.attributes["gen_ai.span.kind"] = "CONVERSATION"
    if record.get("termination_reason"):
        root.attributes["simulate.ended_by"] = str(record["termination_reason"])
    yield root
    for side, actor in (("user_chunk", "user"), ("agent_chunk", "agent")):
        since: int | None = None
        for place in range(len(ticks) + 1):
            chunk = (ticks[place].get(side) or {}) if place < len(ticks) else {}
            speaks = bool(chunk.get("contains_speech"))
            if speaks and since is None:
                since = place
            elif not speaks and since is not None:
                attributes: Attributes = {"gen_ai.span.kind": "TURN", "voice.actor": actor}
                said = [str((ticks[at].get(side) or {}).get("content") or "") for at in range(since, place)]
                if any(said):
                    attributes["voice.transcript"] = "".join(said)
                end = moments[min(place, len(moments) - 1)]
                yield _child(root, f"{side}{since}", f"{actor} speaks", moments[since], end, attributes)
                since = None


def _json(value: Any) -> str:
    return to_json(value).decode()


FORMAT = Format("chat transcript", 80, fits, spans)
