"""Spans and traces: files, dialects, the tree, cost, redaction, quality, sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulate.trace.span import Span, Trace

if TYPE_CHECKING:
    from simulate.trace.files.reader import iter_traces, read

__all__ = ["Span", "Trace", "iter_traces", "read"]


def __getattr__(name: str) -> Any:
    # the readers are imported by whoever reads, not by everyone who knows what a span is
    if name in ("read", "iter_traces"):
        from simulate.trace.files import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
