"""A worker's trace that lost its end is told from one that is whole, on a real session's spans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from simulate.trace.files.reader import read
from simulate.trace.span import Trace
from simulate.trace.truncated import truncated

FIXTURE = Path(__file__).parents[2] / "fixtures/traces/livekit_agents_session.otlp.jsonl"


def session() -> Trace:
    (trace,) = read(FIXTURE)
    return trace


def test_a_whole_session_is_not_truncated() -> None:
    assert truncated(session()) is None


def test_a_session_whose_last_spans_never_left_is() -> None:
    trace = session()
    trace.spans = [span for span in trace.spans if span.name not in ("agent_session", "session_close")]
    found = truncated(trace)
    assert found is not None and "force_flush" in found and "agent_session never came" in found


def test_spans_that_hang_on_the_callers_own_are_whole() -> None:
    """A worker that traces only its model calls has no session span, and all of its spans hang on ours."""
    trace = session()
    root = next(span for span in trace.spans if span.name == "agent_session")
    calls = [replace(span, parent_id="ab" * 8) for span in trace.spans if span.parent_id == root.span_id]
    assert truncated(Trace(trace.trace_id, calls[:1]), outside="ab" * 8) is None
    assert truncated(Trace(trace.trace_id, calls[:1])) is not None


def test_other_agents_traces_are_none_of_it() -> None:
    trace = session()
    for span in trace.spans:
        span.scope = "my-own"
    trace.spans = [span for span in trace.spans if span.name != "agent_session"]
    assert truncated(trace) is None
