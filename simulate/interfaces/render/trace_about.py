"""The head of a trace's page as data: who, when, which models, what it cost, what was judged, by whom."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from simulate.interfaces.render.shortening import Clip
from simulate.trace.overview import overview
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace

MOST = 200
"""Verdicts and agents that the head lists."""


def trace_about(trace: Trace | TraceReading) -> dict[str, Any]:
    """What `assets/about.js` draws. ``began`` is in milliseconds since the Unix epoch."""
    about = overview(trace)
    clip = Clip(each=300)
    return {
        "traces": clip(about.trace_ids),
        "began": about.began_ns and about.began_ns / 1e6,
        "tags": clip(about.tags),
        "models": clip(about.models),
        "cost": about.dollars,
        "tokens": about.tokens,
        "verdicts": [
            {"span": span.span_id, "at": clip(span.name), "passed": score.passed(), **clip(asdict(score))}
            for span, score in about.verdicts[:MOST]
        ],
        "roles": [clip(asdict(role)) for role in about.roles[:MOST]],
    }
