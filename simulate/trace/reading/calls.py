"""What an agent did, whatever the dialect: its model calls and its tool calls, each counted once.

Traces tell of one call several times: a framework's span round a client's span, a tool's span beside the
model's
message that asked for it, a client's and a server's span of one MCP call. And some tell of it never.
Whoever judges
tool use asks ``has_tool_evidence`` first.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, cast

from simulate.model.transcript import ToolUse
from simulate.trace.reading.classify import read
from simulate.trace.reading.messages import arguments_of
from simulate.trace.span import Kind, Message, Span, Trace, View

Views = dict[str, View]
_BORDERS = frozenset({Kind.TOOL, Kind.AGENT, Kind.HANDOFF, Kind.WORKFLOW, Kind.TURN, Kind.CONVERSATION})
"""Kinds behind which another model call begins something of its own."""
_ENDS = _BORDERS | {Kind.LLM}


def _seen(trace: Trace, seen: Views | None) -> Views:
    if seen is not None:
        return seen
    from simulate.trace.reading import views

    return views(trace)


def _view(span: Span, seen: Views) -> View:
    return seen.get(span.span_id) or read(span)


def llm_calls(trace: Trace, seen: Views | None = None) -> list[tuple[Span, View]]:
    """The model calls in the order in which they began, each once.

    Of LLM spans nested in one another without an agent or a tool between them, the innermost is the
    call; where
    it tells no tokens and the outer one does, and is alone in it, the outer stands for both.
    """
    seen = _seen(trace, seen)
    spans = {span.span_id: span for span in trace.spans}
    models = [span for span in trace.spans if _view(span, seen).kind is Kind.LLM]
    above = _Above(spans, lambda span: _view(span, seen).kind in _ENDS)
    inside: dict[str, list[Span]] = {}
    for span in models:
        wrapper = above.of(span)
        if wrapper is not None and _view(wrapper, seen).kind is Kind.LLM:
            inside.setdefault(wrapper.span_id, []).append(span)
    stands_for: set[str] = set()
    dropped: set[str] = set()
    for span_id, inner in inside.items():
        outer = spans[span_id]
        if (
            len(inner) == 1
            and _tells_more(_view(outer, seen), _view(inner[0], seen))
            and span_id not in dropped
        ):
            stands_for.add(span_id)
            dropped.add(inner[0].span_id)
        else:
            dropped.add(span_id)
    kept = [span for span in models if span.span_id not in dropped or span.span_id in stands_for - dropped]
    return [(span, _view(span, seen)) for span in sorted(kept, key=lambda span: span.start_ns)]


class _Above:
    """The nearest span above another that ``picks`` picks; every span is passed once, however deep."""

    def __init__(self, spans: dict[str, Span], picks: Callable[[Span], bool]) -> None:
        self._spans = spans
        self._picks = picks
        self._known: dict[str, Span | None] = {}
        """By span id: the nearest one, that span itself included."""

    def of(self, span: Span) -> Span | None:
        """None at the top, and where parents go round in a circle."""
        found: Span | None = None
        passed: dict[str, None] = {}
        at = span.parent_id or ""
        while at not in passed:
            if at in self._known:
                found = self._known[at]
                break
            here = self._spans.get(at)
            if here is None:
                break
            passed[at] = None
            if self._picks(here):
                found = here
                break
            at = here.parent_id or ""
        self._known.update(dict.fromkeys(passed, found))
        return None if found is None or found.span_id == span.span_id else found


def _tells_more(outer: View, inner: View) -> bool:
    return inner.input_tokens is None and inner.output_tokens is None and outer.input_tokens is not None


class _Uses:
    """The calls found so far, to be found again by id and by name in traces of any length."""

    def __init__(self) -> None:
        self.all: list[ToolUse] = []
        self._by_id: dict[str, list[ToolUse]] = defaultdict(list)
        self._by_name: dict[str, list[ToolUse]] = defaultdict(list)

    def add(self, use: ToolUse, *, free: bool) -> None:
        """``free``: no message has been found yet that asked for it."""
        self.all.append(use)
        self.known_as(use, use.call_id)
        if free:
            self._by_name[_short(use.name)].append(use)

    def known_as(self, use: ToolUse, call_id: str | None) -> None:
        """The call has this id."""
        use.call_id = use.call_id or call_id
        if call_id is not None and all(one is not use for one in self._by_id[call_id]):
            self._by_id[call_id].append(use)

    def of_id(self, call_id: str | None, name: str | None = None) -> ToolUse | None:
        """The call of this id; of this name too, where one is given."""
        found = self._by_id.get(call_id or "", [])
        return next((use for use in found if name is None or same_tool(use.name, name)), None)

    def take(self, name: str, asked: dict[str, Any], call_id: str | None) -> ToolUse | None:
        """A free call of this tool: one with the same arguments, else one whose arguments nobody told."""
        queue = self._by_name.get(_short(name), [])
        free = (use for use in queue if use.call_id is None or call_id is None)
        found = next((use for use in free if use.arguments == asked), None)
        if found is None:
            free = (use for use in queue if use.call_id is None or call_id is None)
            found = next((use for use in free if not use.arguments_known or not asked), None)
        if found is not None:
            self.taken(found)
        return found

    def taken(self, use: ToolUse) -> None:
        """The message that asked for it is found."""
        queue = self._by_name.get(_short(use.name), [])
        place = next((index for index, one in enumerate(queue) if one is use), None)
        if place is not None:
            del queue[place]


def _short(name: str) -> str:
    return re.split(r"__|[./:]", name)[-1]


def tool_calls(trace: Trace, seen: Views | None = None) -> list[ToolUse]:
    """The agent's tool calls in the order in which they began, each once.

    ``start`` and ``end`` are seconds since the trace's first span. A call comes from its tool span; one that
    has none, from the model's message that asked for it, with the result that a later message brought back.
    """
    seen = _seen(trace, seen)
    origin = min((span.start_ns for span in trace.spans), default=0)
    uses = _from_spans(trace, seen, origin)
    _add_from_messages(uses, trace, seen, origin)
    return sorted(uses.all, key=lambda use: use.start if use.start is not None else 0.0)


def _from_spans(trace: Trace, seen: Views, origin: int) -> _Uses:
    spans = {span.span_id: span for span in trace.spans}
    above = _Above(spans, lambda span: _view(span, seen).kind is Kind.TOOL)
    uses = _Uses()
    by_span: dict[str, ToolUse] = {}
    for span in sorted(trace.spans, key=lambda span: span.start_ns):
        one = _view(span, seen)
        if one.kind is not Kind.TOOL:
            continue
        name = one.tool_name or span.name
        use = _same(name, one.tool_call_id, span, above, by_span, uses)
        if use is None:
            use = ToolUse(name, {}, span_id=span.span_id, call_id=one.tool_call_id, arguments_known=False)
            use.start = (span.start_ns - origin) / 1e9
            use.end = None if span.end_ns is None else (span.end_ns - origin) / 1e9
            uses.add(use, free=True)
        by_span[span.span_id] = use
        if one.tool_arguments is not None and not use.arguments:
            use.arguments = _arguments(one.tool_arguments)
            use.arguments_known = True
        use.result = one.tool_result if use.result is None else use.result
        use.error = use.error or one.error
        uses.known_as(use, one.tool_call_id)
    return uses


def _same(
    name: str,
    call_id: str | None,
    span: Span,
    above: _Above,
    by_span: dict[str, ToolUse],
    uses: _Uses,
) -> ToolUse | None:
    """The call that this tool span tells of once more: an enclosing one of the same tool, or of the same
    id."""
    passed = {span.span_id}
    parent = above.of(span)
    while parent is not None and parent.span_id not in passed:
        use = by_span.get(parent.span_id)
        if use is not None:
            return use if same_tool(use.name, name) else None
        passed.add(parent.span_id)
        parent = above.of(parent)
    return uses.of_id(call_id, name)


def same_tool(one: str, other: str) -> bool:
    """Whether two names mean one tool: MCP clients put the server's name before it
    (``mcp__shop__refund``)."""
    if one == other:
        return True
    if one[-1:] != other[-1:]:  # most pairs: no need to look closer
        return False
    short, long = sorted((one, other), key=len)
    return bool(short) and long.endswith((f"__{short}", f".{short}", f"/{short}", f":{short}"))


def _arguments(value: Any) -> dict[str, Any]:
    value = arguments_of(value)
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    return {"input": value}


def _add_from_messages(uses: _Uses, trace: Trace, seen: Views, origin: int) -> None:
    calls = llm_calls(trace, seen)
    results = _results(calls)
    for span, one in calls:
        for message in one.output or ():
            for part in message.tool_calls:
                if part.get("name") is not None:
                    use = _asked(part, span, uses, origin)
                    if use.result is None and use.call_id in results:
                        use.result = results[use.call_id]


def _asked(part: dict[str, Any], span: Span, uses: _Uses, origin: int) -> ToolUse:
    """The call that this part of a model's answer asks for, new or already known from its span."""
    call_id = None if part.get("id") is None else str(part["id"])
    asked = _arguments(part.get("arguments"))
    use = uses.of_id(call_id)
    if use is not None:
        uses.taken(use)
    else:
        use = uses.take(str(part["name"]), asked, call_id)
    if use is None:
        use = ToolUse(str(part["name"]), asked, span_id=span.span_id, call_id=call_id)
        use.start = ((span.start_ns if span.end_ns is None else span.end_ns) - origin) / 1e9
        uses.add(use, free=False)
    elif not use.arguments_known or use.arguments.keys() == {"input"}:
        use.arguments = asked
        use.arguments_known = True
    uses.known_as(use, call_id)
    return use


def _results(calls: list[tuple[Span, View]]) -> dict[str | None, Any]:
    found: dict[str | None, Any] = {}
    for _, one in calls:
        for part in _parts(one.input, "tool_call_response"):
            if part.get("id") is not None:
                found[str(part["id"])] = part.get("response", part.get("result"))
    return found


def _parts(messages: list[Message] | None, kind: str) -> list[dict[str, Any]]:
    return [part for message in messages or () for part in message.parts if part.get("type") == kind]


def unknown_spans(trace: Trace, seen: Views | None = None) -> Counter[str]:
    """How many spans of each name no mapper knows."""
    seen = _seen(trace, seen)
    return Counter(span.name for span in trace.spans if _view(span, seen).kind is Kind.UNKNOWN)


def content_captured(trace: Trace, seen: Views | None = None) -> tuple[bool, str]:
    """Whether the model calls carry what was said, and else why not; many instrumentations leave it out
    by default."""
    seen = _seen(trace, seen)
    calls = llm_calls(trace, seen)
    if not calls:
        return False, "the trace has no LLM spans"
    empty = [span for span, one in calls if one.input is None and one.output is None and one.error is None]
    if not empty:
        return True, ""
    if len(empty) == len(calls):
        return False, "the LLM spans carry no messages: content capture is off in the agent's instrumentation"
    return False, f"{len(empty)} of {len(calls)} LLM spans carry no messages, the first is {empty[0].span_id}"


def has_tool_evidence(trace: Trace, seen: Views | None = None) -> tuple[bool, str]:
    """Whether the trace would show a tool call had there been one, and else why not.

    Tool spans are evidence, and so are model calls whose answers are recorded, or which ended for a
    reason other
    than a tool call.
    """
    seen = _seen(trace, seen)
    if any(_view(span, seen).kind is Kind.TOOL for span in trace.spans):
        return True, ""
    calls = llm_calls(trace, seen)
    if not calls:
        return False, "the trace has neither LLM nor TOOL spans"
    dark = [
        (span, one) for span, one in calls if one.output is None and one.error is None and not _ended(one)
    ]
    if not dark:
        return True, ""
    return False, (
        f"{len(dark)} of {len(calls)} LLM spans carry no answer, and there are no TOOL spans: "
        "content capture is off in the agent's instrumentation"
    )


def _ended(one: View) -> bool:
    """Whether the finish reasons alone say that no tool was asked for."""
    return bool(one.finish_reasons) and all(
        "tool" not in reason and "func" not in reason for reason in one.finish_reasons
    )
