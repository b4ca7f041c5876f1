"""Spans and traces: files, dialects, the tree, cost, redaction, quality, sampling."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from simulate.trace.span import Span, Trace

if TYPE_CHECKING:
    from simulate.trace.cost import cost_of, rollup
    from simulate.trace.files.reader import iter_traces, read
    from simulate.trace.reading import TraceReading
    from simulate.trace.sampling import Rule, Sampler
    from simulate.trace.tail_sampling import TailSampler

__all__ = [
    "Rule",
    "Sampler",
    "Span",
    "TailSampler",
    "Trace",
    "TraceReading",
    "cost_of",
    "iter_traces",
    "read",
    "rollup",
]

_HOME = {
    "Rule": "sampling",
    "Sampler": "sampling",
    "TailSampler": "tail_sampling",
    "TraceReading": "reading",
    "cost_of": "cost",
    "iter_traces": "files.reader",
    "read": "files.reader",
    "rollup": "cost",
}


def __getattr__(name: str) -> Any:
    # readers, prices and the SDK are imported by those who use them, not by everyone who knows what a span is
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
