"""One trace that holds several conversations, such as a batch's: whose each span is, and the part of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from simulate.trace.reading import TraceReading
from simulate.trace.reading.nesting import Above
from simulate.trace.root import is_ours
from simulate.trace.span import Kind, Span, Trace, View

_NO_NAMES = frozenset({"", "-", "0", "default", "none", "null", "undefined", "unknown", "n/a"})
"""Ids that say nothing: whoever writes one gives it to everybody."""
_NOT_SESSIONS = ("mcp.session.id", "langsmith.trace.session_id")
"""What dialects call a session and is none of a caller's: a connection to a server, a project."""
_AROUND = (Kind.CHAIN, Kind.WORKFLOW, Kind.CONVERSATION, Kind.UNKNOWN)
"""Kinds of spans that may be around several conversations, and tell of no deed."""


def ids(values: Iterable[object]) -> tuple[str, ...]:
    """Those that name something, each once."""
    known = (str(value) for value in values if value is not None)
    return tuple(dict.fromkeys(name for name in known if name.strip().casefold() not in _NO_NAMES))


def conversation_of(_: Span, view: View) -> object:
    """The conversation's id that a span tells."""
    return view.conversation_id


def session_of(span: Span, view: View) -> object:
    """The session's id that a span tells."""
    session = view.session_id
    return None if any(session == span.attributes.get(key) for key in _NOT_SESSIONS) else session


def several(reading: TraceReading) -> list[str]:
    """The ids of the conversations in a trace that holds more than one: of spans side by side, since what is
    inside another's may be a part of it. By the sessions' ids where no span tells a conversation's."""
    return list(dict.fromkeys(_outermost(reading).values()))


def _outermost(reading: TraceReading) -> dict[str, str]:
    """The conversation of each span that no other conversation's is around; none where there is only one."""
    if any(is_ours(span) for span in reading.spans):
        return {}
    for read in (conversation_of, session_of):
        told = ((span.span_id, read(span, view)) for span, view in reading)
        named = {span_id: name for span_id, value in told if value is not None for name in ids([value])}
        above = Above(reading.by_id, lambda span, named=named: span.span_id in named)
        tops = {each: name for each, name in named.items() if above.of(reading.by_id[each]) is None}
        if tops:
            return tops if len(set(tops.values())) > 1 else {}
    return {}


def mixed(trace_id: str, held: Sequence[str]) -> str:
    """A note on a trace that holds several conversations."""
    return f"{_holds(trace_id, held)}, which are read as one"


def _holds(trace_id: str, held: Sequence[str]) -> str:
    return f"trace {trace_id} holds {len(held)} conversations ({', '.join(held[:5])})"


def one_of_several(trace: Trace, name: str) -> Trace:
    """The part of a trace that is the conversation of this id, or whose id begins so, with what is around it
    and a note.

    The trace itself where it holds one alone, or where a model call or a tool stands beside them: nothing
    tells whose that is."""
    reading = TraceReading(trace)
    tops, held = _outermost(reading), several(reading)
    wanted = [each for each in held if each == name] or [each for each in held if each.startswith(name)]
    above = Above(reading.by_id, lambda span: span.span_id in tops)

    def whose(span: Span) -> str | None:
        top = span if span.span_id in tops else above.of(span)
        return None if top is None else tops[top.span_id]

    if len(wanted) != 1 or any(whose(span) is None and view.kind not in _AROUND for span, view in reading):
        return trace
    spans = [span for span in reading.spans if whose(span) in (None, wanted[0])]
    note = f"{_holds(trace.trace_id, held)}, of which this is {wanted[0]}"
    return replace(trace, spans=spans, notes=[*trace.notes, note])
