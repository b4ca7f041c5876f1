"""A production trace as a cassette, and as a scenario: what its spans say is played back.

A trace holds messages, not requests, so its cassette matches by chat form (`matching.chat`). Content
capture is opt-in in most instrumentations; what is missing is listed span by span, and refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from simulate.errors import NotReplayable
from simulate.model.json_values import to_json
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.content_settings import content_setting
from simulate.replay.matching.chat import ENDPOINT, chat_key, form_of_view, parsed
from simulate.replay.matching.components import fingerprint
from simulate.replay.matching.json_values import plain
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording, number
from simulate.replay.matching.rules import Rules
from simulate.replay.matching.secrets import Redaction
from simulate.replay.said import Thread, heard, said_in, spoken
from simulate.trace.mixed import several
from simulate.trace.reading import ToolCall, TraceReading, Unknown
from simulate.trace.reading.messages import says_nothing
from simulate.trace.span import Kind, Span, Trace, View


@dataclass(frozen=True, slots=True)
class Missing:
    """A span that does not say what a replay needs."""

    span_id: str | None
    name: str
    what: str
    setting: str = ""
    """What would bring it."""

    def __str__(self) -> str:
        return f"span {self.span_id or '?'} ({self.name}): {self.what}"


def missing(source: Trace | TraceReading) -> list[Missing]:
    """What the trace lacks for a replay, span by span."""
    reading = TraceReading.of(source)
    found: list[Missing] = []
    captured = {span.scope for span, view in reading.llm_calls if view.input and view.output}
    for span, view in reading.llm_calls:
        what, how = _lacks(view), content_setting(span)
        if what is not None:
            attribute = how.input if says_nothing(view.input) else how.output
            # what has the words of other calls is not told to keep them
            setting = "" if span.scope in captured else how.setting
            found.append(Missing(span.span_id, span.name, f"{what} ({attribute})", setting))
    for call in reading.tool_calls:
        if isinstance(call.arguments, Unknown):
            found.append(Missing(call.span_id, call.name, "no arguments of the tool call"))
        elif isinstance(call.result, Unknown) and call.error is None and not _in_messages(call):
            found.append(Missing(call.span_id, call.name, "no result of the tool call"))
    return found


def _lacks(view: View) -> str | None:
    if says_nothing(view.input):
        return "no input messages"
    if says_nothing(view.output) and view.error is None:
        return "no output messages"
    return None


def _in_messages(call: ToolCall) -> bool:
    return call.span_id is None or bool(call.call_id)


def cassette_of(
    source: Trace | TraceReading, *, rules: Rules | None = None, partial: bool = False
) -> Cassette:
    """The model answers and tool results of a trace as a cassette.

    NotReplayable lists what is missing; with ``partial`` the complete part is taken all the same."""
    rules = rules or Rules()
    reading = TraceReading.of(source)
    trace, calls = reading.trace, reading.llm_calls
    lacks = missing(reading)
    _refuse(reading, lacks, partial)
    origin = trace.start_ns
    recordings = [
        _recording(span, view, origin, rules, place=f"span {span.span_id}")
        for span, view in calls
        if _lacks(view) is None
    ]
    tools = [tool for call in reading.tool_calls if (tool := _tool(call, rules)) is not None]
    number(recordings)
    number(tools)
    manifest = {
        "match": "chat",
        "trace_id": trace.trace_id,
        "complete": True,
        "scenario": None,
        "missing": [str(one) for one in lacks],
        "started_ns": origin,
    }
    cassette = Cassette(recordings, tools, manifest=manifest)
    for one in recordings:
        one.turn = sum(1 for atom in one.body["history"] if atom[:2] == ["user", "text"])
    turns = spoken(recordings, reading)
    words = heard(recordings, reading, rules.text)
    cassette.conversation = said_in(turns, lambda turn: _as_delivered(turn, reading, rules), words)
    if isinstance(rules.redact, Redaction):
        manifest |= rules.redact.manifest()
    return cassette


def _refuse(reading: TraceReading, lacks: list[Missing], partial: bool) -> None:
    """Raise NotReplayable for what no replay could be made of."""
    trace, calls = reading.trace, reading.llm_calls
    if not calls:
        raise NotReplayable(
            "not replayable: the trace holds no model call",
            where=trace.source,
            hint="is it the agent's own trace, and did it reach a model?",
        )
    if lacks and not partial:
        lines = "\n  ".join(str(one) for one in lacks[:20])
        raise NotReplayable(
            f"not replayable: {len(lacks)} spans lack what a replay needs\n  {lines}",
            where=trace.source,
            hint=_advice(lacks),
        )
    mixed = several(reading)
    if mixed and not partial:
        raise NotReplayable(
            f"not replayable: the trace holds {len(mixed)} conversations: {', '.join(mixed[:5])}",
            where=trace.source,
            hint="--conversation ID takes one of them, --partial all as one",
        )


def _advice(lacks: list[Missing]) -> str:
    settings = dict.fromkeys(one.setting for one in lacks if one.setting)
    told = (
        f"switch content capture on where the trace is made ({'; '.join(settings)}), or " if settings else ""
    )
    return f"{told}replay the complete part with --partial"


def _recording(span: Span, view: View, origin: int, rules: Rules, place: str) -> HttpRecording:
    form = form_of_view(view, rules)
    answer = rules.value(_answer(view))
    start = (span.start_ns - origin) / 1e6 if span.start_ns else 0.0
    end = start if span.end_ns is None else (span.end_ns - origin) / 1e6
    recording = HttpRecording(
        key=chat_key(form),
        endpoint=ENDPOINT,
        method="POST",
        uri="",
        body=form,
        start=start,
        end=end,
        components=fingerprint(ENDPOINT, form),
        span_id=span.span_id,
        place=place,
    )
    recording.response = HttpResponse(
        200, "", [("content-type", "application/json")], [(0.0, to_json(answer))]
    )
    return recording


def _answer(view: View) -> dict[str, Any]:
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for message in view.output or ():
        texts.append(message.text)
        for call in message.tool_calls:
            arguments = call.get("arguments")
            text = arguments if isinstance(arguments, str) else to_json(arguments or {}).decode()
            calls.append(
                {"id": call.get("id") or f"call_{len(calls)}", "name": call.get("name"), "arguments": text}
            )
    finish = next((message.finish_reason for message in view.output or () if message.finish_reason), None)
    finish = finish or next(iter(view.finish_reasons), None)
    known = {"stop", "length", "tool_calls", "content_filter"}
    answer: dict[str, Any] = {
        "text": "".join(texts) or None,
        "calls": calls,
        "finish": {"tool_call": "tool_calls", "tool_use": "tool_calls", "end_turn": "stop"}.get(
            finish or "", finish
        ),
        "model": view.response_model or view.request_model,
        "usage": {"input": view.input_tokens, "output": view.output_tokens},
    }
    if answer["finish"] not in known:
        answer["finish"] = None
    if not view.output and view.error is not None:
        answer |= {"error": view.error, "status": _status(view.error)}
    return answer


def _status(error: str) -> int:
    """The HTTP status that an error speaks of, by number or by the SDKs' names; 500 where it names none."""
    match = re.search(r"\b([45]\d\d)\b", error)
    if match:
        return int(match[1])
    names = {
        "RateLimit": 429,
        "Authentication": 401,
        "PermissionDenied": 403,
        "NotFound": 404,
        "BadRequest": 400,
    }
    return next((status for name, status in names.items() if name in error), 500)


def _tool(call: ToolCall, rules: Rules) -> ToolRecording | None:
    """The call to play back; None where nobody told its arguments or what it gave."""
    if isinstance(call.arguments, Unknown) or (isinstance(call.result, Unknown) and call.error is None):
        return None
    result = None if isinstance(call.result, Unknown) else parsed(call.result)
    error = {"type": "ToolFailed", "message": rules.text(call.error)} if call.error is not None else None
    arguments = rules.value(plain(call.arguments))
    return ToolRecording(
        key=call_key(call.name, call.arguments, rules),
        name=str(call.name),
        arguments=arguments,
        result=rules.value(result),
        error=error,
        source="trace",
        start=(call.start or 0.0) * 1000,
        end=(call.end or call.start or 0.0) * 1000,
        turn=call.turn,
        place=f"span {call.span_id}",
    )


def _as_delivered(turn: Thread, reading: TraceReading, rules: Rules) -> str | None:
    """The last answer as the caller got it: the agent's code may have changed what the model said, and then
    only the agent's own span tells. (Earlier answers stand in the history as they were delivered.)"""
    delivered = None
    last = reading.by_id.get(turn.calls[-1].span_id or "")
    passed = set[str]()
    while last is not None and last.span_id not in passed:
        passed.add(last.span_id)
        view = reading.view(last)
        if view.kind is Kind.AGENT:
            text = "".join(message.text for message in view.output or ())
            delivered = rules.text(text) if text else delivered
        last = reading.by_id.get(last.parent_id or "")
    return delivered


__all__ = ["Missing", "cassette_of", "missing"]
