"""A trace is read once, whoever asks and however often it grows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from simulate.trace.reading import TraceReading, trace_reading
from simulate.trace.span import Span, Trace, View
from tests.trace.reading.conftest import Story


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each span was read."""
    found: Counter[str] = Counter()
    read = trace_reading.read

    def counted(span: Span) -> View:
        found[span.span_id] += 1
        return read(span)

    monkeypatch.setattr(trace_reading, "read", counted)
    return found


def test_every_answer_comes_of_one_reading(story: Story, reads: Counter[str]) -> None:
    story.chat(("refund", "c1", {}))
    story.tool("refund", "c1")
    reading = story.read()
    for _ in range(2):
        assert reading.tool_calls and reading.llm_calls and reading.evidence.tools
        assert reading.cost.calls and not reading.unknown_spans and not reading.retrievals
        assert [view for _, view in reading]
    assert set(reads.values()) == {1}


def test_a_trace_that_grows_is_not_read_again(story: Story, reads: Counter[str]) -> None:
    reading: TraceReading | None = None
    for number in range(5):
        story.chat((f"tool_{number}", f"c{number}", {}))
        story.tool(f"tool_{number}", f"c{number}")
        reading = TraceReading(Trace("a" * 32, list(story.spans)), reading)
        assert [str(call.name) for call in reading.tool_calls] == [f"tool_{n}" for n in range(number + 1)]
    assert set(reads.values()) == {1}


def test_a_span_that_had_not_ended_is_read_again(story: Story) -> None:
    tool = story.tool("refund", "c1")
    tool.end_ns = None
    first = story.read()
    assert first.tool_calls[0].end is None
    told = {"gen_ai.tool.call.arguments": '{"order": 7}'}
    ended = replace(tool, end_ns=tool.start_ns + 5, attributes=tool.attributes | told)
    (call,) = TraceReading(Trace("a" * 32, [story.root, ended]), first).tool_calls
    assert call.arguments == {"order": 7}
