"""When the agent answered in a call: its first sound, and the first once its tools had answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulate.model.percentile import percentile
from simulate.trace.reading import ToolCall, TraceReading


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The answer to one turn of the caller; ``seconds`` from the end of the caller's words, None where it
    never came, and ``unknown`` why that cannot be told."""

    turn: int
    seconds: float | None
    unknown: str | None = None


def replies_after_tools(
    panel: Mapping[str, Any], calls: Sequence[ToolCall], reading: TraceReading, origin_ns: int
) -> list[ToolReply]:
    """For each turn that got a reply: when the agent first began to speak after the last tool of the turn.

    ``panel`` is `simulate.conversation.voice.turn_taking.Panel.to_dict`; ``origin_ns`` is when the
    conversation began."""
    answered = [event for event in panel["events"] if event["kind"] == "reply"]
    ends = [*(event["at"] for event in answered), float("inf")][1:]
    found: list[ToolReply] = []
    for event, until in zip(answered, ends, strict=False):
        mine = [call for call in calls if call.turn == event["turn"]]
        times = [_answered_at(call, reading, origin_ns) for call in mine]
        if None in times:
            call = mine[times.index(None)]
            found.append(ToolReply(event["turn"], None, f"nothing tells when {call.name} had answered"))
            continue
        due = max([event["at"], *(at for at in times if at is not None)])
        first = next((start for start, _ in panel["agent"] if due <= start < until), None)
        if due <= event["at"] + event["seconds"]:
            first = event["at"] + event["seconds"]
        found.append(ToolReply(event["turn"], None if first is None else first - event["at"]))
    return found


def after_tool_measures(replies: Sequence[ToolReply]) -> dict[str, float | None]:
    """Their median and 95th percentile in seconds; None where one of them cannot be told."""
    seconds = [one.seconds for one in replies if one.seconds is not None]
    known = not any(one.unknown for one in replies)
    measures: dict[str, float | None] = {}
    for percent in (50, 95):
        value = percentile(seconds, percent) if known else None
        measures[f"reply_after_tool_p{percent}_seconds"] = None if value is None else round(value, 3)
    return measures


def _answered_at(call: ToolCall, reading: TraceReading, origin_ns: int) -> float | None:
    """When its answer was there, in seconds of the conversation: at its own end, or at the latest when a
    model was told of it."""
    if call.end is not None:
        return call.end
    told = None if call.answered is None else reading.by_id.get(call.answered.span_id or "")
    return None if told is None else (told.start_ns - origin_ns) / 1e9
