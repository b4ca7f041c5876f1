"""Spans that came twice are one, and spans that share an id are two: before anything else reads a trace."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from simulate.trace import iter_traces, read
from simulate.trace.cost import cost_of
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.joining import joined, merge
from simulate.trace.otlp.encode import to_json
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span
from simulate.trace.tree import build

NOON = 1_780_000_000_000_000_000
S = 10**9
TRACE = "a" * 32


def call(number: int, tokens: tuple[int, int], start: int = 0, end: int | None = 1) -> Span:
    used = {"gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1]}
    about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    ends = None if end is None else NOON + end * S
    return Span(TRACE, f"{number:016x}", "chat gpt-4o", None, NOON + start * S, ends, about | used)


def sent(*requests: list[Span]) -> io.BytesIO:
    return io.BytesIO(b"\n".join(orjson.dumps(to_json(each)) for each in requests))


def test_a_retried_export_is_counted_once_by_everything() -> None:
    spans = [call(1, (56, 5)), call(2, (57, 6), 2, 3)]
    for traces in (read(sent(spans, spans)), list(iter_traces(sent(spans, spans)))):
        (trace,) = traces
        assert cost_of(trace).tokens == 124 and len(trace) == len(build(trace)) == 2
        assert trace.notes == ["2 spans came more than once and were joined: chat gpt-4o"]


@pytest.mark.parametrize("end_first", [True, False])
def test_of_a_span_sent_at_its_start_and_its_end_the_completer_wins(end_first: bool) -> None:
    ended = call(1, (5, 6))
    started = replace(
        ended, name="chat", end_ns=None, attributes={"gen_ai.operation.name": "chat", "early": 1}
    )
    (trace,) = read(sent([ended], [started]) if end_first else sent([started], [ended]))
    (span,) = trace.spans
    assert span.end_ns == ended.end_ns and span.name == ended.name
    assert span.attributes == ended.attributes | {"early": 1}


def test_two_spans_with_one_id_are_two_calls_each_with_its_own_figures() -> None:
    (trace,) = read(sent([call(1, (5, 6)), call(1, (50, 60), 3, 4)]))
    seen = TraceReading(trace)
    figures = [(seen.view(one).input_tokens, seen.view(one).output_tokens) for one in trace.spans]
    assert figures == [(5, 6), (50, 60)]
    assert cost_of(trace).tokens == 121


def test_spans_of_the_same_moment_that_say_different_things_stay_two() -> None:
    one, other = call(1, (5, 6)), call(1, (7, 8))
    assert merge(one, other) is None
    assert merge(one, replace(one, trace_id="b" * 32)) is None
    spans, _ = joined([one, other])
    assert len({span.span_id for span in spans}) == 2
    assert joined(spans) == (spans, [])  # joined once, there is nothing left to do


def test_the_two_sides_of_a_call_that_share_zipkins_id_are_client_and_server() -> None:
    front, pay = {"localEndpoint": {"serviceName": "front"}}, {"localEndpoint": {"serviceName": "pay"}}

    def timed(start: int, took: int) -> dict[str, int]:
        return {"timestamp": NOON // 1000 + start, "duration": took}

    shared = {"traceId": "ab", "id": "01", "parentId": "ab"}
    spans = [
        front | timed(0, 90_000) | {"traceId": "ab", "id": "ab", "name": "get"},
        pay | timed(15_000, 40_000) | shared | {"name": "serve", "kind": "SERVER", "shared": True},
        front | timed(10_000, 60_000) | shared | {"name": "post", "kind": "CLIENT"},
        pay | timed(20_000, 1_000) | {"traceId": "ab", "id": "02", "parentId": "01", "name": "select"},
        pay | {"traceId": "ab", "id": "03", "parentId": "01", "name": "untimed"},
    ]
    (trace,) = read(io.BytesIO(json.dumps(spans).encode()))
    tree = build(trace)
    assert [(node.depth, node.span.name) for node in tree] == [
        (0, "get"), (1, "post"), (2, "serve"), (3, "select"), (3, "untimed"),
    ]  # fmt: skip
    assert tree.duration == 0.09 and not any("clock" in note for note in tree.notes)


def test_a_run_of_an_older_version_gets_its_root_back(tmp_path: Path) -> None:
    turns = [replace(call(number, (1, 1)), parent_id=TRACE[:16]) for number in (1, 2)]
    write_otlp_jsonl(tmp_path / "trace.otlp.jsonl", turns)
    (trace,) = read(tmp_path)
    (root,) = build(trace).roots
    assert root.span.attributes["gen_ai.conversation.id"] == TRACE and len(root.children) == 2
    assert trace.duration == 1
