"""The model calls of a trace, each once, however many spans tell of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from simulate.trace.reading.nesting import Above
from simulate.trace.span import Kind, Span, View

ViewOf = Callable[[Span], View]
BORDERS = frozenset({Kind.TOOL, Kind.AGENT, Kind.HANDOFF, Kind.WORKFLOW, Kind.TURN, Kind.CONVERSATION})
"""Kinds behind which another model call begins something of its own."""
_ENDS = BORDERS | {Kind.LLM}


def model_calls(spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf) -> list[tuple[Span, View]]:
    """The model calls in the order in which they began, each once.

    Of LLM spans nested in one another without an agent or a tool between them, the innermost is the call;
    where it tells no tokens and the outer one does, and is alone in it, the outer stands for both.
    """
    models = [span for span in spans if view(span).kind is Kind.LLM]
    above = Above(by_id, lambda span: view(span).kind in _ENDS)
    inside: dict[str, list[Span]] = {}
    for span in models:
        wrapper = above.of(span)
        if wrapper is not None and view(wrapper).kind is Kind.LLM:
            inside.setdefault(wrapper.span_id, []).append(span)
    stands_for: set[str] = set()
    dropped: set[str] = set()
    for span_id, inner in inside.items():
        outer = by_id[span_id]
        if len(inner) == 1 and _tells_more(view(outer), view(inner[0])) and span_id not in dropped:
            stands_for.add(span_id)
            dropped.add(inner[0].span_id)
        else:
            dropped.add(span_id)
    kept = [span for span in models if span.span_id not in dropped or span.span_id in stands_for - dropped]
    return [(span, view(span)) for span in sorted(kept, key=lambda span: span.start_ns)]


def _tells_more(outer: View, inner: View) -> bool:
    return inner.input_tokens is None and inner.output_tokens is None and outer.input_tokens is not None
