"""Every file that people hold is found by its content; what is not a trace is told what it is."""

# ruff: noqa: E501 - rows of data
from __future__ import annotations

import gzip
import io
import json
import sys
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import MissingExtra, TraceFileError
from simulate.trace import Span, iter_traces, read
from simulate.trace.files import writing
from simulate.trace.files.reader import iter_spans
from simulate.trace.files.writing import otlp_lines
from simulate.trace.otlp import encode
from simulate.trace.reading import TraceReading
from simulate.trace.span import Event, Kind
from simulate.trace.vendors.jaeger import to_jaeger
from simulate.trace.vendors.openinference import flattened

TRACE, SPAN, NS = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1_700_000_000_000_000_000
SHARED = Path(__file__).parents[4] / "shared" / "traces"


def stream(value: Any) -> io.BytesIO:
    return io.BytesIO(value if isinstance(value, bytes) else json.dumps(value).encode())


def one(value: Any, **more: Any) -> Span:
    (trace,) = read(stream(value), **more)
    (span,) = trace.spans
    return span


@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not beside the checkout")
@pytest.mark.parametrize(
    ("file", "sizes"),
    [
        ("01_jaeger_kagent_helm_run_a.json", [96]),
        ("02_jaeger_kagent_helm_run_b.json", [72]),
        ("03_tempo_v1_batches_kagent.json", [86]),
        ("04_langfuse_ui_claude_agent_sdk.json", [7]),
        ("05_langfuse_ui_pydantic_ai_tools.json", [12]),
        ("06_langfuse_ui_langgraph.json", [9]),
        ("07_vercel_ai_sdk_v6_spans.json", [1] * 10),
        ("08_taubench_airline_tasks1_5_x4trials.json", [6, 19, 16, 19]),
        ("09_tau2_voice_fullduplex_simulation.json", [27]),
        ("10_voiceobs_live_voice_pipeline.jsonl", [6, 2]),
        ("11_livekit_1.8.9_native_fakes.otlp.jsonl", [41]),
        ("12_pipecat_1.14.0_native_fakes.otlp.jsonl", [11]),
    ],
)
def test_real_files_are_read_whole_and_survive_conversion(
    file: str, sizes: list[int], tmp_path: Path
) -> None:
    traces = read(SHARED / file)
    assert [len(trace) for trace in traces][: len(sizes)] == sizes
    assert all(span.name and span.start_ns for trace in traces for span in trace)
    spans = [span for trace in traces for span in trace]
    for write in (writing.write_otlp_json, writing.write_otlp_jsonl, writing.write_otlp_protobuf):
        write(tmp_path / "again", spans)
        again = [span for trace in read(tmp_path / "again") for span in trace]
        assert sorted(map(repr, again)) == sorted(map(repr, spans))


@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not beside the checkout")
def test_langfuse_gives_back_the_attributes_that_it_was_sent() -> None:
    (trace,) = read(SHARED / "05_langfuse_ui_pydantic_ai_tools.json")
    span = next(span for span in trace if span.name == "chat gpt-4o-mini")
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["langfuse.observation.type"] == "generation"
    assert json.loads(span.attributes["langfuse.observation.usage_details"])["input"] == 417
    assert (span.scope, span.resource["telemetry.sdk.name"]) == ("pydantic-ai", "opentelemetry")


def test_gz_zip_and_both_are_opened() -> None:
    data = b"".join(otlp_lines([Span(TRACE, SPAN, "chat", None, NS, NS + 1)]))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("day1.jsonl", data)
        archive.writestr("day2.jsonl.gz", gzip.compress(data.replace(SPAN.encode(), b"00f067aa0ba902b7")))
        archive.writestr("__MACOSX/._day1.jsonl", b"\0\0")
    assert one(gzip.compress(data)).name == "chat"
    (trace,) = read(io.BytesIO(packed.getvalue()))
    assert [span.span_id for span in trace] == [SPAN, "00f067aa0ba902b7"]


def test_the_name_of_a_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xef\xbb\xbf\n" + b"".join(otlp_lines([Span(TRACE, SPAN, "chat", None, NS)])))
    assert read(path)[0].source == str(path)
    path.write_bytes(json.dumps(encode.to_json([Span(TRACE, SPAN, "chat", None, NS)])).encode("utf-16"))
    assert read(path)[0].spans[0].name == "chat"


def test_langsmith_runs_with_children_and_dotted_order() -> None:
    runs = [
        {
            "id": "r1",
            "trace_id": "r1",
            "name": "agent",
            "run_type": "chain",
            "start_time": "2025-01-01T00:00:00.5",
            "end_time": "2025-01-01T00:00:02Z",
            "inputs": {"q": "hi"},
            "child_runs": [
                {"id": "r2", "name": "call", "run_type": "llm", "start_time": "2025-01-01T00:00:01", "error": "boom",
                 "prompt_tokens": 5, "extra": {"metadata": {"ls_model_name": "gpt-5-mini"}}}
            ],
        },
        {"id": "r3", "name": "late", "run_type": "tool", "start_time": "2025-01-01T00:00:01",
         "dotted_order": "20250101T000000500000Zr1.20250101T000001000000Zr3"},
    ]  # fmt: skip
    (trace,) = read(stream(runs))
    assert [(span.span_id, span.parent_id) for span in trace] == [("r1", None), ("r2", "r1"), ("r3", "r1")]
    assert trace.spans[0].duration == 1.5
    assert (trace.spans[1].status, trace.spans[1].status_message) == ("error", "boom")
    assert trace.spans[1].attributes["gen_ai.request.model"] == "gpt-5-mini"
    lines = b"\n".join(json.dumps(run).encode() for run in runs)
    assert [span.span_id for span in read(io.BytesIO(lines))[0]] == ["r1", "r2", "r3"]


def test_a_zip_whose_names_disagree_is_refused_in_a_sentence() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", "[" * 9000)
    data = packed.getvalue().replace(b"\x06\x00\x00\x00a.json", b"\xff\x7f\x00\x00a.json", 1)
    with pytest.raises(TraceFileError, match="cannot be unpacked") as refused:
        read(io.BytesIO(data))
    assert len(str(refused.value)) < 400


def test_zipkin_and_jaeger_ids_lack_leading_zeros() -> None:
    zipkin = [{"traceId": "ab" * 8, "id": "cd" * 8, "name": "get", "timestamp": NS // 1000, "duration": 5, "kind": "CLIENT",
               "localEndpoint": {"serviceName": "shop"}, "tags": {"error": "bad"}}]  # fmt: skip
    span = one(zipkin)
    assert (span.trace_id, span.start_ns, span.end_ns) == ("0" * 16 + "ab" * 8, NS, NS + 5000)
    assert (span.service, span.status, span.status_message, span.otel_kind) == (
        "shop",
        "error",
        "bad",
        "client",
    )


def test_jaeger_round_trip_keeps_what_the_format_can_hold() -> None:
    parent = Span(TRACE, "00f067aa0ba902b7", "root", None, NS, NS + 9000, scope="lib", scope_version="1",
                  resource={"service.name": "s", "zone": 1}, otel_kind="server")  # fmt: skip
    child = Span(TRACE, SPAN, "chat", parent.span_id, NS + 1000, NS + 2000, {"a": "b", "n": 3, "x": 1.0, "ok": True, "b": b"\1"},
                 status="error", status_message="no", resource=parent.resource, otel_kind="client")  # fmt: skip
    (trace,) = read(stream(to_jaeger([parent, child])))
    assert trace.spans == [parent, child]


def test_jaeger_keeps_nanoseconds_open_ends_and_foreign_ids_in_tags() -> None:
    exact = Span(
        TRACE,
        SPAN,
        "chat",
        None,
        NS + 123,
        NS + 1456,
        events=[Event("e", NS + 789, {"a": 1})],
        resource={"service.name": "s"},
    )
    open_ended = Span(TRACE, "00f067aa0ba902b7", "chat", None, NS, None)
    foreign = Span("run-17", "step-1", "chat", "step-0", NS + 1, NS + 2)
    read_back = {
        span.span_id: span
        for trace in read(stream(to_jaeger([exact, open_ended, foreign])))
        for span in trace
    }
    assert read_back[SPAN] == exact
    assert read_back[open_ended.span_id].end_ns is None
    again = read_back["step-1"]
    assert (again.trace_id, again.parent_id, again.start_ns) == ("run-17", "step-0", NS + 1)


@pytest.mark.parametrize("tag", ["[1]", "[-5, 7]", '["a", null]', "nonsense", "[99999999999999999999, null]"])
def test_a_tag_of_times_that_are_none_is_a_tag(tag: str) -> None:
    made = to_jaeger([Span(TRACE, SPAN, "chat", None, NS, NS + 1000, {"simulate.source.times": tag})])
    span = one(made)
    assert (span.start_ns, span.end_ns, span.attributes) == (NS, NS + 1000, {"simulate.source.times": tag})


def test_phoenix_rows_columns_and_csv_say_the_same() -> None:
    row = {
        "name": "chat",
        "span_kind": "LLM",
        "parent_id": None,
        "start_time": "2025-01-01T00:00:00+00:00",
        "end_time": "2025-01-01T00:00:01+00:00",
        "status_code": "OK",
        "context.span_id": "s1",
        "context.trace_id": "t1",
        "attributes.llm.model_name": "gpt-5-mini",
        "attributes.input.value": '["a"]',
        "attributes.llm.input_messages": [{"message.role": "user", "message.content": "hi"}],
    }
    nested = {
        "name": "chat", "span_kind": "LLM", "context": {"trace_id": "t1", "span_id": "s1"}, "status_code": "OK",
        "start_time": row["start_time"], "end_time": row["end_time"],
        "attributes": {"llm": {"model_name": "gpt-5-mini", "input_messages": [{"message": {"role": "user", "content": "hi"}}]},
                       "input.value": '["a"]'},
    }  # fmt: skip
    table = (
        ",".join(row)
        + "\n"
        + ",".join(f'"{value or ""!s}"'.replace('["a"]', '[""a""]') for value in row.values())
    )
    spans = [
        one([row]),
        one({key: {"0": value} for key, value in row.items()}),
        one(table.encode()),
        one({"data": [nested]}),
    ]
    assert spans[0].attributes["llm.input_messages.0.message.content"] == "hi"
    assert spans[0].attributes["input.value"] == '["a"]'
    assert spans[0].attributes["openinference.span.kind"] == "LLM"
    for other in spans[1:]:
        assert {**vars_of(other), "attributes": sorted(other.attributes.items())} == {
            **vars_of(spans[0]),
            "attributes": sorted(spans[0].attributes.items()),
        }


def vars_of(span: Span) -> dict[str, Any]:
    return {name: getattr(span, name) for name in Span.__slots__ if name != "attributes"}


def test_metadata_and_parameters_of_phoenix_stay_one_value() -> None:
    assert flattened({"a": {"b": [1, 2]}, "llm.invocation_parameters": {"t": 1}}) == {
        "a.b": [1, 2],
        "llm.invocation_parameters": {"t": 1},
    }


def test_parquet_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="parquet"):
        read(io.BytesIO(b"PAR1....PAR1"))


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    pyarrow: Any = pytest.importorskip("pyarrow", reason="pip install 'simulate-agents[parquet]'")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    written = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), written)
    return written.getvalue()


def test_parquet_of_a_dataframe() -> None:
    """Times to the microsecond, a column for each attribute, lists of objects, and holes where a span has none."""
    model = {
        "name": "chat",
        "span_kind": "LLM",
        "parent_id": None,
        "start_time": datetime(2025, 1, 1, 0, 0, 0, 123456, UTC),
        "end_time": datetime(2025, 1, 1, 0, 0, 1, tzinfo=UTC),
        "status_code": "ERROR",
        "status_message": "no",
        "events": [
            {"name": "exception", "timestamp": datetime(2025, 1, 1, tzinfo=UTC), "attributes": {"a": "b"}}
        ],
        "context.span_id": SPAN,
        "context.trace_id": TRACE,
        "attributes.llm.model_name": "gpt-5-mini",
        "attributes.llm.token_count.prompt": 12.0,
        "attributes.llm.input_messages": [{"message.role": "user", "message.content": "hi"}],
    }
    tool = model | {
        "name": "search", "span_kind": "TOOL", "context.span_id": "00f067aa0ba902b7", "parent_id": SPAN,
        "status_code": "OK", "events": [], "attributes.llm.model_name": None,
        "attributes.llm.token_count.prompt": float("nan"), "attributes.llm.input_messages": None,
    }  # fmt: skip
    (trace,) = read(io.BytesIO(parquet_of([model, tool])))
    first, second = trace.spans
    assert (first.trace_id, first.span_id, first.start_ns % 10**9) == (TRACE, SPAN, 123456000)
    assert (first.status, first.events[0].attributes) == ("error", {"a": "b"})
    seen = TraceReading(trace).views
    assert (seen[SPAN].kind, seen[SPAN].request_model, seen[SPAN].input_tokens) == (
        Kind.LLM,
        "gpt-5-mini",
        12,
    )
    assert [message.text for message in seen[SPAN].input or ()] == ["hi"]
    assert second.parent_id == SPAN and seen[second.span_id].kind is Kind.TOOL
    assert not any(key.startswith("llm.") for key in second.attributes)


@pytest.mark.parametrize("cut", [slice(8), slice(600), slice(-20), slice(0, -8)])
def test_half_of_a_parquet_file_is_refused(cut: slice) -> None:
    whole = parquet_of([{"context.span_id": SPAN, "context.trace_id": TRACE, "name": "chat"}])
    with pytest.raises(TraceFileError, match="is not a whole parquet file"):
        read(io.BytesIO(b"PAR1" + whole[4:][cut]))


def test_parquet_whose_texts_are_no_utf8_is_refused() -> None:
    whole = parquet_of([{"context.span_id": SPAN, "context.trace_id": TRACE, "name": "chat" * 9}])
    with pytest.raises(TraceFileError, match="is not a whole parquet file"):
        read(io.BytesIO(whole.replace(b"chat", b"\xce\xff\xfe\xfd")))


def test_console_exporters_print_one_object_after_the_other() -> None:
    text = json.dumps({"name": "a", "context": {"trace_id": "0x" + TRACE, "span_id": "0x" + SPAN}, "kind": "SpanKind.CLIENT",
                       "parent_id": None, "start_time": "2025-01-01T00:00:00.000001Z", "status": {"status_code": "ERROR"}}, indent=4)  # fmt: skip
    (trace,) = read(io.BytesIO((text + "\n" + text.replace(SPAN, "00f067aa0ba902b7") + "\n").encode()))
    assert [(span.trace_id, span.status, span.otel_kind) for span in trace] == [
        (TRACE, "error", "client")
    ] * 2


def test_one_trace_of_several_by_the_start_of_its_id() -> None:
    spans = [Span(start * 32, SPAN, "n", None, NS) for start in "ab"]
    data = b"".join(otlp_lines(spans))
    (found,) = read(io.BytesIO(data), trace_id="bbb")
    assert found.trace_id == "b" * 32
    with pytest.raises(TraceFileError, match="not among its traces: aaaa"):
        read(io.BytesIO(data), trace_id="c")


# -- what is not a trace ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"<!doctype html><html><head><title>Sign in</title>", r"HTML.*“Sign in”.*signed in"),
        (b"2025-01-01 INFO agent started\n", "is text, not a trace; it starts with “2025-01-01 INFO"),
        (b'{"message": "Unauthorized"}', "error answer of a server.*Unauthorized"),
        (b'{"a": 1}', "no trace that we know: an object with a"),
        (b"[1, 2]", "no trace that we know"),
        (b'{"resourceSpans": [{"scopeSp', "breaks off"),
        (b'{"resourceSpans": []}', "holds no spans"),
        (b"\x0a\xff\xff\xff", "cannot be decoded"),
        (gzip.compress(b"x" * 5000, mtime=0)[:-20], "packed file"),
        (b"PK\x03\x04broken", "broken zip"),
        (b"\x7fELF\0\0\0\0", "binary file"),
        (b"\x1b[31mlog\x1b[0m line", r"starts with “\\x1b\[31mlog"),
    ],
)
def test_what_is_no_trace_is_told_what_it_is(data: bytes, message: str) -> None:
    with pytest.raises(TraceFileError, match=f"(?s){message}"):
        read(io.BytesIO(data))


def test_a_line_that_breaks_off_is_an_error_with_its_number_or_a_note() -> None:
    lines = [next(iter(otlp_lines([Span(TRACE, f"{at:016x}", "n", None, NS)]))) for at in (1, 2, 3)]
    data = b"".join(lines)[:-30]
    with pytest.raises(TraceFileError, match=r"line 3.*breaks off"):
        read(io.BytesIO(data))
    (trace,) = read(io.BytesIO(data), tolerant=True)
    assert len(trace) == 2
    assert "breaks off" in trace.notes[0]
    assert "line 3" in trace.notes[0]


def test_a_document_that_breaks_off_gives_its_whole_spans_when_tolerant() -> None:
    spans = [Span(TRACE, f"{at:016x}", "n", None, NS, NS + 1, {"a": "b"}) for at in (1, 2, 3)]
    text = json.dumps(encode.to_json(spans)).encode()
    (trace,) = read(io.BytesIO(text[: text.rindex(b'"stringValue"')]), tolerant=True)
    assert trace.spans == spans[:2]  # the third is there by half, and half a span is none
    assert "breaks off" in trace.notes[0]


def test_nan_is_read_and_said() -> None:
    raw = json.dumps([{"name": "n", "trace_id": "t", "span_id": "s", "attributes": {"score": float("nan")}}])
    (trace,) = read(io.BytesIO(raw.encode()))
    assert trace.spans[0].attributes["score"] != trace.spans[0].attributes["score"]
    assert "NaN" in trace.notes[0]


def test_ten_megabytes_in_one_attribute_are_read_and_said() -> None:
    (trace,) = read(
        stream(encode.to_json([Span(TRACE, SPAN, "n", None, NS, NS, {"body": "x" * 10_000_000})]))
    )
    assert len(trace.spans[0].attributes["body"]) == 10_000_000
    assert "attribute body holds 10.0 MB" in trace.notes[0]


def test_traces_that_interleave_come_one_at_a_time_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    body = "x" * 2000
    with path.open("wb") as file:
        for at in range(12_000):
            span = Span(
                f"{at % 40 + 1:032x}", f"{at + 1:016x}", "n", None, NS, NS + 1, {"body": body + str(at)}
            )
            file.writelines(otlp_lines([span]))
    size = path.stat().st_size
    tracemalloc.start()
    seen = [(trace.trace_id, len(trace)) for trace in iter_traces(path)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == [(f"{at + 1:032x}", 300) for at in range(40)]
    assert peak < size * 0.9  # the spool keeps 16 MB in memory, whatever the file's size
    assert sum(1 for _ in iter_spans(path)) == 12_000


@pytest.mark.parametrize("took", [10**30, 1e300, -(10**20)])
def test_a_duration_that_no_clock_could_measure_is_refused_by_name(took: float) -> None:
    zipkin = [{"traceId": "ab" * 8, "id": "cd" * 8, "name": "get", "timestamp": NS // 1000, "duration": took, "tags": {}}]  # fmt: skip
    jaeger = to_jaeger([Span(TRACE, SPAN, "get", None, NS, NS + 5)])
    jaeger["data"][0]["spans"][0]["duration"] = took
    jaeger["data"][0]["spans"][0]["tags"] = []
    plain = {"trace_id": TRACE, "span_id": SPAN, "name": "get", "start_time": NS, "duration_ms": took}
    for document in (zipkin, jaeger, plain):
        with pytest.raises(TraceFileError, match="before 1970 or after 2262") as refused:
            read(stream(document))
        assert "span get" in (refused.value.where or "")


def test_half_of_an_emoji_reaches_jaeger_as_a_replacement() -> None:
    broken = Span(
        TRACE,
        SPAN,
        "chat \ud83d",
        None,
        NS,
        NS + 1000,
        {"a\ud83d": "b\ud83d", "c": ["\ud83d"]},
        resource={"service.name": "\ud83d"},
    )
    (span,) = read(io.BytesIO(json.dumps(to_jaeger([broken]), ensure_ascii=False).encode()))[0].spans
    assert (span.name, span.attributes, span.service) == (
        "chat \ufffd",
        {"a\ufffd": "b\ufffd", "c": '["\ufffd"]'},
        "\ufffd",
    )


def test_a_trace_that_lies_in_several_files_is_one(tmp_path: Path) -> None:
    """Each service exports its own file."""
    other = "4bf92f3577b34da6a3ce929d0e0e4736"
    shop = [Span(TRACE, SPAN, "ask", None, NS, NS + 9), Span(other, SPAN, "alone", None, NS, NS + 9)]
    models = [Span(TRACE, "00f067aa0ba902b7", "chat", SPAN, NS + 1, NS + 5)]
    big = Span(TRACE, "00f067aa0ba902b8", "chat", SPAN, NS + 1, NS + 5, {"image": "x" * 2_000_000})
    for name, spans in (("a", shop), ("b", models), ("c", [big])):
        (tmp_path / name).write_bytes(b"".join(otlp_lines(spans)))
    found = list(iter_traces(*(tmp_path / name for name in "abc")))
    assert [(trace.trace_id, len(trace)) for trace in found] == [(TRACE, 3), (other, 1)]
    assert found[0].notes == ["attribute image holds 2.0 MB (span chat)"]
    assert found[1].notes == []
    (tmp_path / "d").write_text('{"resourceSpans": []}')
    with pytest.raises(TraceFileError, match="holds no spans") as refused:
        list(iter_traces(tmp_path / "a", tmp_path / "d"))
    assert str(tmp_path / "d") in str(refused.value)


def test_the_agents_sdks_own_export_is_read() -> None:
    def record(number: int, parent: str | None, data: dict[str, Any], error: Any = None) -> dict[str, Any]:
        moment = f"2026-05-01T10:00:0{number}+00:00"
        return {
            "object": "trace.span", "id": f"span_{number}", "trace_id": "trace_1", "parent_id": parent,
            "started_at": moment, "ended_at": moment, "span_data": data, "error": error,
        }  # fmt: skip

    usage = {"input_tokens": 20, "output_tokens": 6}
    tool = {"type": "function", "name": "find_parcel", "input": '{"number":77}', "output": "in Basel"}
    documents = [
        {"object": "trace", "id": "trace_1", "workflow_name": "desk"},
        record(1, None, {"type": "agent", "name": "desk", "tools": ["find_parcel"]}),
        record(2, "span_1", {"type": "generation", "model": "gpt-4o", "usage": usage}),
        record(3, "span_1", tool, {"message": "timed out", "data": None}),
        record(4, "span_1", {"type": "handoff", "from_agent": "desk", "to_agent": "billing"}),
    ]
    (trace,) = read(io.BytesIO(b"\n".join(json.dumps(each).encode() for each in documents)))
    agent, model, called, handed = map(TraceReading(trace).view, trace.spans)
    assert (agent.kind, agent.agent_name) == ("AGENT", "desk")
    assert (model.kind, model.request_model, model.input_tokens, model.output_tokens) == (
        "LLM",
        "gpt-4o",
        20,
        6,
    )
    assert (called.tool_name, called.tool_arguments, called.tool_result) == (
        "find_parcel",
        {"number": 77},
        "in Basel",
    )
    assert (called.error, trace.spans[2].status) == ("timed out", "error")
    assert (handed.kind, handed.handoff_from, handed.handoff_to) == ("HANDOFF", "desk", "billing")


def test_an_empty_error_is_no_error_answer() -> None:
    with pytest.raises(TraceFileError, match="no trace that we know"):
        read(io.BytesIO(b'{"id": 1, "error": null}'))
    with pytest.raises(TraceFileError, match="error answer of a server"):
        read(io.BytesIO(b'{"error": "no such project"}'))


def test_ids_that_are_integers_are_read_to_the_last_digit() -> None:
    trace_id, span_id = 39712373237291850001929057769826244787, 5687879115964223106
    plain = {"name": "chat", "context": {"trace_id": trace_id, "span_id": span_id}, "start_time": NS}
    (trace,) = read(io.BytesIO(json.dumps({"spans": [plain]}).encode()))
    assert (int(trace.trace_id, 16), int(trace.spans[0].span_id, 16)) == (trace_id, span_id)


def test_a_folder_and_several_files_are_read_as_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writing.write_otlp_jsonl(tmp_path / f"{name}.jsonl", [Span(name * 32, SPAN, name, None, NS, NS + 1)])
    (tmp_path / "notes.txt").write_text("not a trace")
    (tmp_path / ".hidden").write_text("not a trace")
    with pytest.raises(TraceFileError, match=r"notes\.txt"):
        read(tmp_path)
    skipped: list[TraceFileError] = []
    found = list(iter_traces(tmp_path, tolerant=True, skipped=skipped))
    assert [trace.spans[0].name for trace in found] == ["a", "b"]
    assert [error.where for error in skipped] == [str(tmp_path / "notes.txt")]
    writing.write_otlp_jsonl(tmp_path / "one" / "trace.otlp.jsonl", [Span("c" * 32, SPAN, "c", None, NS)])
    assert [trace.trace_id for trace in read(tmp_path)] == ["c" * 32]  # the folder of a run
