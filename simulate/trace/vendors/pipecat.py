"""Pipecat: by span name. It has no tool spans: what a model asked for stands in the next model call's
input."""

from __future__ import annotations

import re
from itertools import pairwise

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import incoming
from simulate.trace.reading.values import flag, integer, number
from simulate.trace.span import Kind, Message, Span, Trace, View


def _tool_calls(trace: Trace, found: dict[str, View]) -> None:
    """Give each model call the tool calls that the next one's input says it made."""
    calls = [
        (span, found[span.span_id])
        for span in sorted(trace.spans, key=lambda span: span.start_ns)
        if found[span.span_id].kind is Kind.LLM and found[span.span_id].dialect == "pipecat"
    ]
    for (_, one), (_, following) in pairwise(calls):
        if one.input is None or following.input is None:
            continue
        asked = _asked(following.input[len(one.input) :])
        said = one.output or []
        if asked and not any(message.tool_calls for message in said):
            one.output = [*said, Message("assistant", asked)]


_FAILED = re.compile(r"\W*The function `[^`]+` failed and returned no result\.\W*")


def _asked(added: list[Message]) -> list[dict[str, object]]:
    """The tool calls of the first answer among the messages that came new; later ones are later calls'."""
    asked: list[dict[str, object]] = []
    for message in added:
        if message.role == "user":
            break
        if message.role == "assistant":
            if asked and not message.tool_calls:
                break
            asked.extend(message.tool_calls)
    return asked


def _tell_failed(messages: list[Message] | None) -> None:
    """A tool that raised has this sentence for an answer, and no other mark."""
    for message in messages or ():
        for part in message.parts:
            if part.get("type") == "tool_call_response" and _FAILED.fullmatch(str(part.get("response"))):
                part["is_error"] = True


def _refine(span: Span, found: View) -> None:
    if found.kind is Kind.LLM and "input" in span.attributes:
        found.input = incoming(span.attributes["input"])  # traceAI adds a copy that lacks the tool calls
        _tell_failed(found.input)
    if found.kind is Kind.TTS and "interrupted" not in found.voice and "tts.interrupted" in span.attributes:
        found.voice["interrupted"] = flag(span.attributes["tts.interrupted"])
    if (
        found.kind is not Kind.LLM
        and "time_to_first_byte" not in found.voice
        and found.time_to_first_token is not None
    ):
        found.voice["time_to_first_byte"] = found.time_to_first_token
        found.time_to_first_token = None


DIALECT = Dialect(
    name="pipecat",
    version="1.14",
    rank=40,
    scopes=("pipecat",),
    scoped=True,
    names_first=True,
    names=(
        (r"conversation$", Kind.CONVERSATION),
        (r"turn$", Kind.TURN),
        (r"stt", Kind.STT),
        (r"tts", Kind.TTS),
        (r"llm_tool_(call|result)", Kind.TOOL),
        (r"llm_setup$", Kind.CHAIN),
        (r"llm", Kind.LLM),
        (r".", Kind.CHAIN),
    ),
    fields={
        "input": ("input",),
        "output": ("output", "text_output"),
        "tool_definitions": ("tools", "tools.definitions"),
        "conversation_id": ("conversation.id",),
        "time_to_first_token": ("metrics.ttfb",),
        "tool_name": ("tool.function_name", "function_calls.first_name"),
        "tool_call_id": ("tool.call_id",),
        "tool_arguments": ("tool.arguments",),
        "tool_result": ("tool.result",),
        "voice.transcript": ("transcript",),
        "voice.text": ("text",),
        "voice.language": ("language", "settings.language"),
        "voice.voice": ("voice_id",),
        "voice.characters": (("metrics.character_count", integer),),
        "voice.audio_seconds": (("metrics.audio_seconds", number),),
        "voice.interrupted": (("turn.was_interrupted", flag),),
        "voice.user_to_agent_latency": (("turn.user_bot_latency_seconds", number),),
    },
    prefixed={"param.": "parameters", "settings.": "parameters"},
    refine=_refine,
    context=_tool_calls,
)
