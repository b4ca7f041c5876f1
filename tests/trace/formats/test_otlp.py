"""OTLP in its three clothes: what real exporters write is read, what would corrupt silently is refused."""

from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link as SdkLink
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from simulate.errors import TraceFileError
from simulate.trace import read
from simulate.trace.files import writing
from simulate.trace.files.base import Notes
from simulate.trace.otlp import decode, encode, ids
from simulate.trace.span import Event, Link, Span

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
START = 1_700_000_000_000_000_000


def document(**changes: Any) -> dict[str, Any]:
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat",
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 5),
    } | changes
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def one(raw: dict[str, Any], notes: Notes | None = None) -> Span:
    (span,) = decode.from_json(raw, notes)
    return span


any_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=5,
)
words = st.text(st.characters(codec="utf-8"), max_size=12)
attributes = st.dictionaries(words.filter(lambda key: key != ids.SOURCE_IDS), any_value, max_size=4)
moments = st.integers(START, START + 10**12)
hex32 = st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex)
hex16 = st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex)
foreign = st.uuids().map(str) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
spans = st.builds(
    Span,
    trace_id=hex32 | foreign,
    span_id=hex16 | foreign,
    name=words,
    parent_id=st.none() | hex16 | foreign,
    start_ns=moments,
    end_ns=st.none() | moments,
    attributes=attributes,
    events=st.lists(st.builds(Event, words, moments, attributes), max_size=2),
    links=st.lists(st.builds(Link, hex32 | foreign, hex16 | foreign, attributes), max_size=2),
    status=st.sampled_from(["unset", "ok", "error"]),
    status_message=st.none() | words.filter(bool),
    otel_kind=st.sampled_from(["internal", "server", "client", "producer", "consumer", "unspecified"]),
    scope=words,
    scope_version=st.none() | words.filter(bool),
    resource=attributes,
    scope_attributes=attributes,
    trace_state=st.none() | words.filter(bool),
    flags=st.none() | st.integers(1, 2**32 - 1),
    dropped=st.integers(0, 5),
)
by_place = lambda span: repr(span)  # noqa: E731 - one key for both sides of a comparison


def by_json(given: list[Span]) -> list[Span]:
    return list(decode.from_json(orjson.loads(orjson.dumps(encode.to_json(given)))))


def by_protobuf(given: list[Span]) -> list[Span]:
    data = encode.to_protobuf(given).SerializeToString()
    return list(decode.from_protobuf(ExportTraceServiceRequest.FromString(data)))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spans, max_size=4))
def test_what_is_written_is_read_as_the_same_span_by_every_way(given_spans: list[Span]) -> None:
    expected = sorted(given_spans, key=by_place)
    for ways in ([by_json], [by_protobuf], [by_json, by_protobuf], [by_protobuf, by_json]):
        back = given_spans
        for way in ways:
            back = way(back)
        assert sorted(back, key=by_place) == expected


sdk_values = st.one_of(
    words, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(max_size=4),
    st.lists(words, max_size=3), st.lists(st.integers(-5, 5), max_size=3),
)  # fmt: skip
sdk_attributes = st.dictionaries(words.filter(bool), sdk_values, max_size=4)
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    trace_flags=st.just(TraceFlags(1)),
)
sdk_spans = st.builds(
    ReadableSpan,
    name=words,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.builds(Resource, sdk_attributes),
    attributes=sdk_attributes,
    events=st.lists(st.builds(SdkEvent, words, sdk_attributes, moments), max_size=2),
    links=st.lists(st.builds(SdkLink, contexts, sdk_attributes), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=st.builds(Status, st.sampled_from([StatusCode.UNSET, StatusCode.OK]))
    | st.builds(Status, st.just(StatusCode.ERROR), words),
    start_time=moments,
    end_time=moments,
    instrumentation_scope=st.builds(InstrumentationScope, words, st.none() | words),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sdk_spans)
def test_a_span_of_the_sdk_is_the_same_by_every_way_in(span: ReadableSpan) -> None:
    here = decode.from_sdk(span)
    (there,) = decode.from_protobuf(encode_spans([span]))
    assert here == there
    assert by_json([here]) == [here]


def raw_span(**changes: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=bytes.fromhex(TRACE),
            span_id=bytes.fromhex(SPAN),
            name="chat",
            start_time_unix_nano=START,
        )
    )
    for name, value in changes.items():
        setattr(span, name, value)
    return request


@pytest.mark.parametrize("parent", [b"", bytes(8)])
def test_a_parent_of_zeros_is_none_by_every_way(parent: bytes) -> None:
    (span,) = decode.from_protobuf(raw_span(parent_span_id=parent))
    assert span.parent_id is None
    assert one(document(parentSpanId=parent.hex())).parent_id is None


def test_statuses_kinds_and_times_that_the_specification_does_not_know() -> None:
    request = raw_span(kind=17, start_time_unix_nano=0)
    (raw,) = request.resource_spans[0].scope_spans[0].spans
    raw.status.code = 9  # type: ignore[assignment]
    (by_wire,) = decode.from_protobuf(request)
    by_text = one(document(kind=17, status={"code": 9}, startTimeUnixNano=0, endTimeUnixNano=None))
    assert by_wire == by_text
    assert (by_text.otel_kind, by_text.status, by_text.start_ns) == ("unspecified", "unset", 0)
    with pytest.raises(TraceFileError, match="2262"):
        list(decode.from_protobuf(raw_span(start_time_unix_nano=2**64 - 1)))


def test_an_integer_beyond_64_bits_is_kept_as_text_by_every_way() -> None:
    huge = 2**70
    raw = document(attributes=[{"key": "n", "value": {"intValue": str(huge)}}])
    assert one(raw).attributes == {"n": str(huge)}
    assert by_protobuf([Span(TRACE, SPAN, "chat", attributes={"n": huge})])[0].attributes == {"n": str(huge)}


def test_the_json_we_write_is_what_protobufs_own_parser_understands() -> None:
    span = Span(
        TRACE, SPAN, "chat", PARENT, START, START + 9, {"n": 1, "x": 0.5, "ok": True, "l": ["a", None]}
    )
    text = orjson.dumps(encode.to_json([span])).decode()
    request = json_format.Parse(text, ExportTraceServiceRequest())
    found = request.resource_spans[0].scope_spans[0].spans[0]
    assert found.start_time_unix_nano == START
    assert [pair.value.WhichOneof("value") for pair in found.attributes] == [
        "int_value",
        "double_value",
        "bool_value",
        "array_value",
    ]


def test_snake_case_string_enums_and_numbers_for_texts_are_read() -> None:
    raw = {
        "resource_spans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"string_value": "svc"}}]},
                "instrumentation_library_spans": [
                    {
                        "instrumentation_library": {"name": "lib", "version": "2"},
                        "spans": [
                            {
                                "trace_id": TRACE.upper(),
                                "span_id": SPAN,
                                "parent_span_id": PARENT,
                                "name": "chat",
                                "kind": "SPAN_KIND_CLIENT",
                                "start_time_unix_nano": START,
                                "end_time_unix_nano": START + 7,
                                "status": {"code": "STATUS_CODE_ERROR", "message": "no"},
                                "attributes": [
                                    {"key": "tokens", "value": {"int_value": "12"}},
                                    {"key": "share", "value": {"doubleValue": "NaN"}},
                                    {"key": "yes", "value": {"boolValue": True}},
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }
    span = one(raw)
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE, SPAN, PARENT)
    assert (span.otel_kind, span.status, span.status_message) == ("client", "error", "no")
    assert (span.start_ns, span.end_ns, span.scope, span.scope_version) == (START, START + 7, "lib", "2")
    assert span.service == "svc"
    assert span.attributes["tokens"] == 12
    assert math.isnan(span.attributes["share"])


def test_base64_ids_are_read_as_what_they_are_and_said() -> None:
    notes = Notes()
    trace_id = base64.b64encode(bytes.fromhex(TRACE)).decode()
    span_id = base64.b64encode(bytes.fromhex(SPAN)).decode()
    span = one(document(traceId=trace_id, spanId=span_id), notes)
    assert (span.trace_id, span.span_id) == (TRACE, SPAN)
    assert "base64" in notes.of(TRACE)[0]


def test_ids_that_a_generic_converter_took_for_base64_are_restored() -> None:
    text = json.dumps(document(parentSpanId=PARENT))
    corrupted = json_format.Parse(text, ExportTraceServiceRequest())
    assert len(corrupted.resource_spans[0].scope_spans[0].spans[0].span_id) == 12  # what json_format does
    notes = Notes()
    (span,) = decode.from_protobuf(corrupted, notes)
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE, SPAN, PARENT)
    assert notes.of(TRACE)


@pytest.mark.parametrize("bad", ["", "abc", TRACE[:-1], TRACE + "0", "z" * 32, None, 7, [], {}])
def test_a_trace_id_that_is_none_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(TraceFileError, match=r"span chat: a trace id must be 32 hex digits"):
        one(document(traceId=bad))


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (1_700_000_000, "seconds"),
        ("1700000000", "seconds"),
        (1_700_000_000_000, "milliseconds"),
        (1_700_000_000_000_000, "microseconds"),
        (1_700_000_000.0, "seconds"),
    ],
)
def test_another_unit_than_nanoseconds_is_corrected_and_said(value: Any, unit: str) -> None:
    notes = Notes()
    span = one(document(startTimeUnixNano=value, endTimeUnixNano=value), notes)
    assert span.start_ns == START
    assert f"times are {unit}" in notes.of(TRACE)[0]


def test_iso_times_are_read_to_the_nanosecond() -> None:
    span = one(document(startTimeUnixNano="2023-11-14T22:13:20.123456789Z", endTimeUnixNano=0))
    assert span.start_ns == START + 123_456_789
    assert span.end_ns is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "yesterday", -5, 2**70, "9" * 400, {}, True])
def test_a_time_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(TraceFileError, match="span chat"):
        one(document(startTimeUnixNano=bad))


def test_a_span_of_another_shape_is_an_error_or_is_skipped_when_tolerant() -> None:
    raw = document()
    raw["resourceSpans"][0]["scopeSpans"][0]["spans"] += [
        {"name": "b", "traceId": TRACE, "spanId": SPAN, "attributes": 3}
    ]
    with pytest.raises(TraceFileError, match=r"span 2 \(b\)"):
        list(decode.from_json(raw))
    notes = Notes(tolerant=True)
    assert len(list(decode.from_json(raw, notes))) == 1
    assert "left out" in notes.of(TRACE)[0]


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "t.jsonl"
    writing.write_otlp_jsonl(target, [Span(TRACE, SPAN, "first")])
    before = target.read_bytes()

    def breaks() -> Any:
        yield Span(TRACE, SPAN, "a")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        writing.write_otlp_jsonl(target, breaks())
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_half_of_an_emoji_does_not_stop_the_writer() -> None:
    text = orjson.dumps(encode.to_json([Span(TRACE, SPAN, "cut \ud83d", attributes={"a": "\ude00"})]))
    assert b"cut \xef\xbf\xbd" in text


MOMENT = 1_795_335_466_000_000_000


@pytest.mark.parametrize("which", ["trace_id", "span_id"])
def test_an_id_of_zeros_would_make_many_spans_one_and_is_refused(which: str) -> None:
    span = Span(TRACE, SPAN, "chat", None, MOMENT, MOMENT + 1)
    setattr(span, which, "0" * len(getattr(span, which)))
    written = (
        json.dumps(encode.to_json([span])).encode(),
        encode.to_protobuf([span]).SerializeToString(),
    )
    for data in written:
        with pytest.raises(TraceFileError, match="all zeros") as refused:
            read(io.BytesIO(data))
        assert "span chat" in (refused.value.where or "")


def test_iso_texts_in_otlp_are_read_and_said() -> None:
    raw = encode.to_json([Span(TRACE, SPAN, "chat", None, MOMENT, MOMENT + 1)])
    (span,) = raw["resourceSpans"][0]["scopeSpans"][0]["spans"]
    span["startTimeUnixNano"], span["endTimeUnixNano"] = "2026-11-22T10:00:00Z", "2026-11-22T10:00:01.5Z"
    (trace,) = read(io.BytesIO(json.dumps(raw).encode()))
    assert trace.spans[0].duration == 1.5
    assert trace.notes == ["times are texts where nanoseconds are due; read as ISO 8601 (2 times)"]


def test_an_attribute_list_of_another_shape_is_told_in_words() -> None:
    raw = encode.to_json([Span(TRACE, SPAN, "chat", None, MOMENT, MOMENT + 1)])
    raw["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = {"a": 1}
    with pytest.raises(TraceFileError, match="a text stands where something else is due"):
        read(io.BytesIO(json.dumps(raw).encode()))


def lines(*documents: Any) -> io.BytesIO:
    return io.BytesIO(b"\n".join(json.dumps(each).encode() for each in documents))


def test_logs_and_metrics_of_a_collectors_file_are_told_and_its_traces_read() -> None:
    (trace,) = read(
        lines(document(), {"resourceLogs": [{}]}, {"resourceMetrics": [{}]}, {"resourceLogs": []})
    )
    assert len(trace) == 1
    assert trace.notes[0].startswith("the file also holds logs, which are not read (2 times")
    with pytest.raises(TraceFileError, match="no spans: the file also holds logs"):
        read(lines({"resourceLogs": [{}]}))


def test_half_of_an_emoji_is_read_with_the_replacement_marked() -> None:
    (trace,) = read(
        lines(document(name="cut \ud83d", attributes=[{"key": "a", "value": {"stringValue": "\ude00"}}]))
    )
    assert trace.spans[0].name == "cut \ufffd" and trace.spans[0].attributes == {"a": "\ufffd"}
    assert "surrogate" in trace.notes[0]
