"""Signs that a trace tells more of a tool than its reading: before "it was not called" may pass.

No reader knows every instrumentation. A span that names the tool and is not read as its call, or arguments
that hold what was looked for in another place, make a verdict unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from simulate.model.matchers import matches
from simulate.model.shapes import is_list, is_object
from simulate.trace.reading import ToolCall, ToolName, TraceReading, Unknown
from simulate.trace.reading.kept_calls import told_of_call
from simulate.trace.reading.values import loose
from simulate.trace.span import Kind, Span

_NO_RUN = (Kind.LLM, Kind.AGENT, Kind.HANDOFF, Kind.EMBEDDING, Kind.EVALUATOR)
"""Kinds of spans that may name a tool without running it."""
_PLUMBING = (
    "http.request.method",
    "http.method",
    "url.full",
    "db.system",
    "db.system.name",
    "messaging.system",
)


def unread_run(
    reading: TraceReading, name: str, calls: Sequence[ToolCall], *, surely: bool = False
) -> str | None:
    """Why there may be more runs of a tool than these ``calls`` of it: spans that name it, one inside another
    counted once, and are read as nothing, or as calls of a tool of another name. None where there are none.

    With ``surely``, a span's name has to be the tool's, but for a word before or after it.
    """
    why = (
        run_inside(reading, name)
        or _spelled_otherwise(reading, name)
        or _asked_in_words(reading, name)
        or told_of_call(name, len(calls), reading.llm_calls)
        or (None if calls else _in_an_event(reading, name))
    )
    if why is not None:
        return why
    told = {span_id for call in calls if call.ran is not None for span_id in call.ran.span_ids}
    escaped = re.escape(name)
    alone = rf"^(?:\w+\W+)?{escaped}(?:\W+\w*\)?)?$"
    word = re.compile(alone if surely else rf"(?<![\w-]){escaped}(?![\w-])")
    naming = {span.span_id: span for span in _naming(reading, name, word)}
    if told & naming.keys():
        naming = {key: span for key, span in naming.items() if not _inside(reading, span, told)}
    outer = [span for span in naming.values() if not _inside(reading, span, naming.keys() - {span.span_id})]
    if len(outer) <= sum(call.ran is None or not call.ran.span_ids for call in calls):
        return None
    span = outer[0]
    return f"the span {span.span_id} ({span.name}) names {name}, and is not read as a call of it"


def _spelled_otherwise(reading: TraceReading, name: str) -> str | None:
    """Why a call of a tool whose name differs in capitals, dashes and the like may be one of this tool."""
    bare = _letters(ToolName(name).bare)
    for call in reading.tool_calls:
        if call.happened is False or call.name.matches(name):
            continue
        if _letters(call.name.bare) == bare:
            return f"{call} was called, and its name is {name} in another spelling"
        if call.name.endswith(f"-{name}"):  # a plugin's, as Semantic Kernel names them
            return f"{call} was called, and may be {name} of {call.name.removesuffix(f'-{name}')}"
        if call.asked is None and _letters(call.name) in _OPERATIONS:
            return f"a tool ran in the span {call.span_id}, which does not tell its name"
    return None


_OPERATIONS = frozenset(
    {"tool", "tools", "tooluse", "function", "functiontool", "simpletool", "toolinvocation"}
    | {f"{does}tool" for does in ("execute", "call", "run", "invoke", "running", "use")}
    | {f"{what}call" for what in ("tool", "tools", "function", "aitool")}
)
"""Names of spans that are a convention's or a class's, and no tool's."""


def _asked_in_words(reading: TraceReading, name: str) -> str | None:
    """Why a model's words may be a call of a tool of which no call is known: agents and servers take calls
    out of words, whose form differs by model: ``Action: refund``, ``<invoke name="refund">``, ``refund(…)``.
    """
    bare = ToolName(name).bare
    if any(call.name.matches(name) for call in reading.tool_calls):
        return None
    escaped = re.escape(bare)
    calling = re.compile(
        rf"(?<![\w.-]){escaped}\(|\baction\W{{1,4}}{escaped}\b|name\s*[=:]\s*[\"']{escaped}[\"']"
        rf"|functions?[.<>|｜▁\w]{{1,20}}\W{{0,2}}{escaped}\b|<\W?tool\w*\W{{1,3}}{escaped}\b",
        re.IGNORECASE,
    )
    for span, view in reading.llm_calls:
        for message in view.output or ():
            if bare in message.text and calling.search(message.text):
                return f"the model of the LLM span {span.span_id} asks for {name} in words that may be a call"
    return None


def _in_an_event(reading: TraceReading, name: str) -> str | None:
    """Why a tool of which no call is known may have run: an event of a span names it alone."""
    for span in reading.spans:
        for event in span.events:
            if any(isinstance(value, str) and value == name for value in event.attributes.values()):
                return f"an event of the span {span.span_id} ({span.name}) names {name}: {event.name}"
    return None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


_NAMES = ("name", "tool", "tool_name", "function", "function_name", "recipient_name", "action")
_CODE = ("code", "script", "source", "program", "python", "javascript", "input")
"""Arguments by which one tool runs others: a dispatcher's, or an interpreter's."""


def _calls_inside(call: ToolCall, name: str) -> bool:
    """Whether what a call of another tool was given names this one: as a tool to run, or in code."""
    arguments = call.arguments
    if isinstance(arguments, Unknown) or call.happened is False or call.name.matches(name):
        return False
    in_code = re.compile(rf"(?<![\w.]){re.escape(ToolName(name).bare)}\s*\(")
    return any(
        isinstance(value, str)
        and ((key in _NAMES and ToolName(value).matches(name)) or (key in _CODE and in_code.search(value)))
        for key, value in _members(arguments)
    )


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of an object with its value, however deep."""
    value = loose(value)
    if is_object(value):
        for key, part in value.items():
            yield key, part
            yield from _members(part)
    elif is_list(value):
        for part in value:
            yield from _members(part)


def run_inside(reading: TraceReading, name: str) -> str | None:
    """Why a call of another tool may have run this one: a dispatcher's, or an interpreter's. None where none
    may have."""
    inside = next((call for call in reading.tool_calls if _calls_inside(call, name)), None)
    return None if inside is None else f"{inside} names {name} in its arguments, and may have run it"


def _naming(reading: TraceReading, name: str, word: re.Pattern[str]) -> Iterator[Span]:
    for span, view in reading:
        if view.kind in _NO_RUN or any(key in span.attributes for key in _PLUMBING):
            continue
        if word.search(span.name) or any(value == name for value in span.attributes.values()):
            yield span


def _inside(reading: TraceReading, span: Span, ids: Any) -> bool:
    seen = set[str]()
    at: str | None = span.span_id
    while at is not None and at in reading.by_id and at not in seen:
        if at in ids:
            return True
        seen.add(at)
        at = reading.by_id[at].parent_id
    return False


def held_elsewhere(expected: dict[str, Any], call: ToolCall) -> bool:
    """Whether arguments that lack the expected names hold the expected values all the same: wrapped, without
    their names, or in the words of one text."""
    arguments = call.arguments
    if isinstance(arguments, Unknown) or not expected or expected.keys() & arguments.keys():
        return False
    leaves = list(_leaves(arguments))
    text = arguments["input"] if arguments.keys() == {"input"} else None
    return all(
        any(matches(value, leaf) for leaf in leaves) or (isinstance(text, str) and _in_words(value, text))
        for value in expected.values()
    )


def written_otherwise(expected: dict[str, Any] | None, call: ToolCall) -> bool:
    """Whether arguments are those expected but for numbers that are written as texts, or the other way
    round."""
    arguments = call.arguments
    if isinstance(arguments, Unknown) or not expected:
        return False
    try:
        return matches(_as_texts(expected), _as_texts(arguments))
    except ValueError:
        return False  # a matcher that takes numbers


def _as_texts(value: Any) -> Any:
    if is_object(value):
        return {key: _as_texts(part) for key, part in value.items()}
    if is_list(value):
        return [_as_texts(part) for part in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _in_words(value: Any, text: str) -> bool:
    """Whether a text may tell this value: it does not tell where one ends. What a matcher would find in it,
    nobody knows."""
    return not isinstance(value, str | int | float) or str(value).casefold() in text.casefold()


def _leaves(value: Any) -> Iterator[Any]:
    value = loose(value)
    yield value
    if isinstance(value, dict):
        for part in cast("dict[Any, Any]", value).values():
            yield from _leaves(part)
    elif isinstance(value, list | tuple):
        for part in cast("Sequence[Any]", value):
            yield from _leaves(part)
