import asyncio
import contextlib
import copy
import gzip
import io
import json
import os
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from simulate.errors import EnvironmentFault, HarnessFault
from simulate.local_server import Refused
from simulate.model.transcript import Conversation, Utterance
from simulate.trace.capture import Capture, Captured
from simulate.trace.capture.capture import SETTLE_SILENT
from simulate.trace.capture.receiver import REASONS, Receiver
from simulate.trace.capture.routing import Router
from simulate.trace.otlp.decode import from_protobuf
from simulate.trace.otlp.encode import to_json

NewId = Callable[[], str]
PROTOBUF, JSON = "application/x-protobuf", "application/json"
SHARED = Path(__file__).parents[2].parent / "shared" / "traces"


def elsewhere(captured: Captured | None, names: list[str]) -> list[ReadableSpan]:
    """Spans as another process would make them with our ``traceparent``: a chain, the first on top."""
    kept = InMemorySpanExporter()
    made = TracerProvider(shutdown_on_exit=False)
    # in place of ours, which is not to see them
    made._active_span_processor._span_processors = (SimpleSpanProcessor(kept),)
    context = captured.context if captured else otel_context.Context()
    spans = []
    for name in names:
        span = made.get_tracer("elsewhere", "1").start_span(name, context, attributes={"n": 1, "x": 0.5})
        context = otel_trace.set_span_in_context(span, context)
        spans.append(span)
    for span in reversed(spans):
        span.end()
    return list(kept.get_finished_spans())


async def post(url: str, body: bytes, kind: str = PROTOBUF, **headers: str) -> tuple[int, str, bytes]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        named = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with session.post(url, data=io.BytesIO(body), headers=named) as answer:
            return answer.status, answer.content_type, await answer.read()


@pytest.mark.parametrize("compression", list(Compression))
async def test_the_real_exporter_delivers(
    receiving: Capture, new_id: NewId, compression: Compression
) -> None:
    with receiving.open(new_id()) as captured:
        spans = elsewhere(captured, ["agent", "chat"])
        exporter = OTLPSpanExporter(f"{captured.endpoint}/v1/traces", compression=compression)
        result = await asyncio.to_thread(exporter.export, spans)
        trace = await captured.flush(outside=True)
    assert result.name == "SUCCESS"
    assert trace.spans == list(from_protobuf(encode_spans(spans)))
    assert trace.notes == [] and trace.source == "receiver"
    exporter.shutdown()


@pytest.mark.parametrize(
    "path",
    ["/v1/traces", "/tracer/v1/traces", "/api/public/otel/v1/traces", "/otel/v1/traces", "/v1/traces/"],
)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_every_vendors_path_takes_protobuf_and_json(
    receiving: Capture, new_id: NewId, path: str, kind: str
) -> None:
    with receiving.open(new_id()) as captured:
        request = encode_spans(elsewhere(captured, ["agent"]))
        ours = list(from_protobuf(request))
        body = request.SerializeToString() if kind == PROTOBUF else json.dumps(to_json(ours)).encode()
        answer = await post(f"{captured.endpoint}{path}", gzip.compress(body), kind, Content_Encoding="gzip")
        trace = await captured.flush(outside=True)
    assert answer == (200, kind, b"{}" if kind == JSON else b"")
    assert trace.spans == ours


@pytest.mark.skipif(not SHARED.exists(), reason="needs the traces beside the checkout")
@pytest.mark.parametrize("name", ["11_livekit_1.8.9_native_fakes", "12_pipecat_1.14.0_native_fakes"])
async def test_lines_of_a_collectors_file_exporter_arrive_whole(receiving: Capture, name: str) -> None:
    lines = (SHARED / f"{name}.otlp.jsonl").read_bytes().splitlines()
    sent = [
        (span["traceId"], span["spanId"], span["name"])
        for line in lines
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    ids = list(dict.fromkeys(trace_id for trace_id, _, _ in sent))
    with receiving.open(ids[0]) as captured:
        for line in lines:
            assert (await post(f"{captured.endpoint}/v1/traces", line, JSON))[0] == 200
        trace = await captured.flush(outside=True, settle=0.2)
    assert [(span.trace_id, span.span_id, span.name) for span in trace] == [
        each for each in sent if each[0] == ids[0]
    ]
    assert receiving.router.unassigned == len(sent) - len(trace)


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, {}, 400),
        (b"{", JSON, {}, 400),
        (b"[1]", JSON, {}, 400),
        (b'{"resourceSpans": 3}', JSON, {}, 400),
        (b"", "text/plain", {}, 415),
        (b"", PROTOBUF, {"Content_Encoding": "br"}, 415),
        (b"no gzip", PROTOBUF, {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000, mtime=0)[:-20], PROTOBUF, {"Content_Encoding": "gzip"}, 400),
    ],
)
async def test_garbage_is_refused_and_said(
    receiving: Capture, body: bytes, kind: str, headers: dict[str, str], status: int
) -> None:
    code, answered, text = await post(f"{receiving.endpoint}/v1/traces", body, kind, **headers)
    assert (code, answered) == (status, JSON if kind == JSON else PROTOBUF)
    assert text.startswith(b'{"code":3' if kind == JSON else b"\x08\x03\x12")
    assert f"1 x refused: {status}" in receiving.notes()[0]


async def test_other_paths_and_methods_are_refused(receiving: Capture) -> None:
    assert (await post(f"{receiving.endpoint}/v1/else", b""))[0] == 404
    async with aiohttp.ClientSession() as session, session.get(f"{receiving.endpoint}/v1/traces") as answer:
        assert answer.status == 405


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_not_unpacked(encoding: str) -> None:
    async with Capture(receiver=True) as capture:
        bomb = gzip.compress(bytes(64 << 20)) if encoding == "gzip" else zlib.compress(bytes(64 << 20))
        code, _, text = await post(f"{capture.endpoint}/v1/traces", bomb, Content_Encoding=encoding)
        assert code == 413 and b"200 times its size" in text


async def test_a_gzip_body_of_several_members_is_read_to_its_end(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        body = encode_spans(elsewhere(captured, ["agent", "chat"])).SerializeToString()
        parts = gzip.compress(body[:50]) + gzip.compress(body[50:])
        assert (await post(f"{receiving.endpoint}/v1/traces", parts, Content_Encoding="gzip"))[0] == 200
        assert len(await captured.flush(outside=True)) == 2


async def test_a_client_that_asks_first_is_told_to_go_on(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        body = encode_spans(elsewhere(captured, ["agent", "chat"])).SerializeToString()
        host, port = receiving.endpoint.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /v1/traces HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {PROTOBUF}\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        await writer.wait_closed()
        assert len(await captured.flush(outside=True)) == 2


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with Capture(receiver=True, limit=1 << 20) as capture:
        for body, headers in (
            (bytes(2 << 20), {}),
            (gzip.compress(bytes(2 << 20)), {"Content_Encoding": "gzip"}),
        ):
            code, _, text = await post(f"{capture.endpoint}/v1/traces", body, **headers)
            assert code == 413 and b"longer than 1 MB; raise trace_limit" in text


def large(captured: Captured | None) -> bytes:
    """A request of one span with 400 kB."""
    request = encode_spans(elsewhere(captured, ["chat"]))
    [span] = request.resource_spans[0].scope_spans[0].spans
    span.attributes.append(KeyValue(key="x", value=AnyValue(string_value="x" * 400_000)))
    return request.SerializeToString()


async def test_a_trace_beyond_the_limit_is_an_error_of_the_harness_and_never_half_read(new_id: NewId) -> None:
    async with Capture(receiver=True, limit=1 << 20) as capture:
        with capture.open(new_id()) as captured, capture.open(new_id()) as other:
            url, body = f"{capture.endpoint}/v1/traces", large(captured)
            assert [(await post(url, body))[0] for _ in range(3)] == [200, 200, 413]
            small = encode_spans(elsewhere(other, ["chat"])).SerializeToString()
            assert (await post(url, small))[0] == 200
            with pytest.raises(HarnessFault, match="longer than 1 MB: 1 of its spans") as caught:
                await captured.flush(outside=True, settle=0.1)
            assert "trace_limit" in (caught.value.hint or "")
            assert len(await other.flush(outside=True, settle=0.1)) == 1


async def test_spans_of_no_conversation_are_kept_up_to_the_limit() -> None:
    async with Capture(receiver=True, limit=1 << 20) as capture:
        for _ in range(4):
            assert (await post(f"{capture.endpoint}/v1/traces", large(None)))[0] == 200
        assert "2 of them were not kept" in capture.notes()


async def test_many_refusals_leave_few_notes(receiving: Capture) -> None:
    for number in range(100):
        assert (await post(f"{receiving.endpoint}/x/{number}/{'y' * 900}", b""))[0] == 404
    told = receiving.notes()
    assert len(told) == REASONS + 1 and max(map(len, told)) < 300
    assert "80 x refused: other reasons" in told


async def test_spans_without_ids_are_a_partial_success(receiving: Capture, new_id: NewId) -> None:
    broken = [Span(name="no ids"), Span(name="zero", trace_id=bytes(16), span_id=bytes(8))]
    good = Span(name="good", trace_id=bytes.fromhex(new_id()), span_id=b"12345678")
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[*broken, good])])]
    )
    code, _, body = await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
    assert code == 200
    assert ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans == 2
    assert "2 spans had no valid id" in receiving.notes()


async def test_spans_without_ids_in_json_are_a_partial_success_too(receiving: Capture, new_id: NewId) -> None:
    ids = [("0" * 32, "0" * 16), (new_id(), "b7ad6b7169203331")]
    spans = [{"traceId": trace, "spanId": span, "name": "chat"} for trace, span in ids]
    request = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    code, _, body = await post(
        f"{receiving.endpoint}/v1/traces", json.dumps(request).encode(), "application/json"
    )
    assert code == 200
    assert json.loads(body)["partialSuccess"]["rejectedSpans"] == "1"


@pytest.mark.parametrize("how", ["link", "gen_ai.conversation.id", "langfuse.session.id", "resource", "uuid"])
async def test_traces_of_the_agents_own_are_found(receiving: Capture, new_id: NewId, how: str) -> None:
    with receiving.open(new_id()) as captured, receiving.open(new_id()) as other:
        request = encode_spans(elsewhere(None, ["agent", "chat"]))
        [scope] = request.resource_spans[0].scope_spans
        said = KeyValue(key=how, value=AnyValue(string_value=captured.conversation_id))
        if how == "link":
            scope.spans[1].links.add(trace_id=bytes.fromhex(captured.conversation_id), span_id=b"12345678")
        elif how == "resource":
            said.key = "session.id"
            request.resource_spans[0].resource.attributes.append(said)
        else:
            if how == "uuid":
                i = captured.conversation_id.upper()
                dashed = f"{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}"
                said = KeyValue(key="session.id", value=AnyValue(string_value=dashed))
            scope.spans[1].attributes.append(said)
        await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        trace = await captured.flush(outside=True)
        assert (await other.flush(settle=0)).spans == []
    assert sorted(span.name for span in trace) == ["agent", "chat"]
    by = "by a span link" if how == "link" else "by a session attribute"
    assert trace.notes == [f"1 trace that the agent started itself belongs to it, found {by}"]
    assert receiving.notes() == []


async def test_unassigned_spans_are_named_where_a_trace_is_missed(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        request = encode_spans(elsewhere(None, ["agent"]))
        await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        with pytest.raises(EnvironmentFault, match="never came") as caught:
            await captured.flush(outside=True, expected=True, settle=0.05)
        assert caught.value.side == "environment"
        assert f"OTEL_EXPORTER_OTLP_ENDPOINT={captured.endpoint}" in (caught.value.hint or "")
        assert "1 spans did come that belong to no conversation" in (caught.value.hint or "")
        trace = await captured.flush(outside=True, settle=0.05)
        assert trace.spans == [] and "OTEL_EXPORTER_OTLP_ENDPOINT" in trace.notes[0]


async def test_duplicates_retries_and_gaps_are_counted(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        request = encode_spans(elsewhere(captured, ["agent", "tool", "chat"]))
        spans = request.resource_spans[0].scope_spans[0].spans
        [tool] = [span for span in spans if span.name == "tool"]
        spans.remove(tool)
        for _ in range(2):
            await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        trace = await captured.flush(outside=True, settle=0.1)
    assert [span.name for span in trace] == ["chat", "agent"]
    assert trace.notes == [
        f"1 span is missing that others name as parent: {tool.span_id.hex()}",
        "2 spans came more than once and were joined: chat, agent",
    ]


async def test_an_agent_of_this_process_that_also_exports_to_us_is_no_duplicate_trace(
    receiving: Capture, new_id: NewId, provider: TracerProvider
) -> None:
    # exported synchronously on the running loop: a receiver on this loop could never answer
    exporter = OTLPSpanExporter(f"{receiving.endpoint}/v1/traces", timeout=5)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with receiving.open(new_id()) as captured:
        provider.get_tracer("t").start_span("agent").end()
        trace = await captured.flush()
    assert [span.name for span in trace] == ["agent"]


async def test_waits_for_the_parents_and_for_the_last_turn(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        chat, agent = elsewhere(captured, ["agent", "chat"])
        later = elsewhere(captured, ["second turn"])
        second_ns = later[0].start_time or 0
        conversation = Conversation(captured.conversation_id, started_ns=second_ns - 10**9)
        conversation.utterances.append(Utterance("caller", "and?", 2, 1.0, 1.0))
        agent._start_time = chat._start_time = second_ns - 5 * 10**8

        async def deliver() -> None:
            for spans in ([chat], [agent], later):
                await post(f"{receiving.endpoint}/v1/traces", encode_spans(spans).SerializeToString())
                await asyncio.sleep(0.25)  # longer than the quiet after which a whole tree is handed over

        delivery = asyncio.create_task(deliver())
        trace = await captured.flush(outside=True, conversation=conversation)
        await delivery
    assert [span.name for span in trace] == ["conversation", "chat", "agent", "second turn"]
    assert trace.notes == []


async def test_evaluation_results_of_the_logs_signal_stand_on_their_span(
    receiving: Capture, new_id: NewId
) -> None:
    with receiving.open(new_id()) as captured:
        request = encode_spans(elsewhere(captured, ["agent"]))
        [span] = request.resource_spans[0].scope_spans[0].spans
        records = [
            LogRecord(
                time_unix_nano=5,
                event_name=name,
                trace_id=span.trace_id,
                span_id=span.span_id,
                attributes=[KeyValue(key="gen_ai.evaluation.score.value", value=AnyValue(double_value=0.5))],
            )
            for name in ("gen_ai.evaluation.result", "something.else")
        ]
        logs = ExportLogsServiceRequest(
            resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])]
        )
        assert (await post(f"{receiving.endpoint}/v1/logs", logs.SerializeToString()))[0] == 200
        assert (await post(f"{receiving.endpoint}/v1/metrics", b"anything"))[0] == 200
        await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        trace = await captured.flush(outside=True)
    [event] = trace.spans[0].events
    assert (event.name, event.time_ns) == ("gen_ai.evaluation.result", 5)
    assert event.attributes == {"gen_ai.evaluation.score.value": 0.5}
    assert receiving.receiver is not None and receiving.receiver.dropped == {"logs": 1, "metrics": 1}


async def test_a_port_in_use_is_the_environments_fault(receiving: Capture) -> None:
    port = int((receiving.endpoint or "").rsplit(":", 1)[1])
    with pytest.raises(EnvironmentFault, match=f"cannot listen on 127.0.0.1:{port}"):
        async with Capture(receiver=True, port=port):
            pass


AGENT = """
    from opentelemetry import propagate, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    import os, sys, time

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    carrier = {"traceparent": os.environ["TRACEPARENT"], "baggage": os.environ["BAGGAGE"]}
    with provider.get_tracer("agent").start_as_current_span("agent", propagate.extract(carrier)):
        provider.get_tracer("agent").start_span("chat").end()
    print("answered", flush=True)
    sys.stdin.read()  # keeps running, as a server does: only the batch schedule brings the spans
    os._exit(0)
"""


async def test_a_process_started_with_our_environment_is_awaited(receiving: Capture, new_id: NewId) -> None:
    with receiving.open(new_id()) as captured:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(AGENT),
            env={**os.environ, **captured.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        assert await process.stdout.readline() == b"answered\n"
        trace = await captured.flush(outside=True, expected=True)
        process.stdin.close()
        await process.wait()
    assert [span.name for span in trace] == ["chat", "agent"]
    assert trace.spans[1].parent_id == captured.root_span_id
    assert trace.notes == []


GOOD = to_json(
    from_protobuf(
        ExportTraceServiceRequest(
            resource_spans=[
                ResourceSpans(
                    scope_spans=[
                        ScopeSpans(
                            spans=[
                                Span(
                                    name="chat",
                                    trace_id=b"0123456789abcdef",
                                    span_id=b"01234567",
                                    attributes=[KeyValue(key="n", value=AnyValue(int_value=3))],
                                    events=[Span.Event(name="e", time_unix_nano=1)],
                                    links=[Span.Link(trace_id=b"0123456789abcdef", span_id=b"01234567")],
                                )
                            ]
                        )
                    ]
                )
            ]
        )
    )
)


def places(document: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in inner:
        found += places(value, (*path, key))
    return found


@given(
    place=st.sampled_from(places(GOOD)),
    wrong=st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.lists(st.integers()),
        st.just({"a": 1}),
    ),
)
@settings(max_examples=400, deadline=None)
def test_json_with_anything_in_any_place_is_taken_or_refused(
    place: tuple[str | int, ...], wrong: object
) -> None:
    document = copy.deepcopy(GOOD)
    holder: Any = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = wrong
    with contextlib.suppress(Refused):
        Receiver(Router()).take("traces", json.dumps(document).encode(), JSON)


@given(
    body=st.binary(max_size=200),
    signal=st.sampled_from(["traces", "logs"]),
    kind=st.sampled_from([PROTOBUF, JSON]),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_taken_or_refused(body: bytes, signal: str, kind: str) -> None:
    with contextlib.suppress(Refused):
        Receiver(Router()).take(signal, body, kind)


async def test_after_one_full_wait_in_vain_the_next_ones_are_short(
    receiving: Capture, new_id: NewId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulate.trace.capture.capture.SETTLE_OUTSIDE", 0.05)
    with receiving.open(new_id()) as captured:
        assert captured._settle(True, None) == 0.05
        await captured.flush(outside=True)
        assert captured._settle(True, None) == SETTLE_SILENT
        assert captured._settle(True, True) == 0.05
        request = encode_spans(elsewhere(None, ["somebody"]))
        await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        assert captured._settle(True, None) == 0.05


async def test_the_agents_own_exporters_can_be_flushed_off_the_loop(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    theirs = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(theirs, schedule_delay_millis=60_000))
    with capture.open(new_id()):
        provider.get_tracer("t").start_span("agent").end()
    assert theirs.get_finished_spans() == ()
    assert await capture.flush_providers()
    assert len(theirs.get_finished_spans()) == 1


async def test_a_root_whose_exporter_writes_zeros_as_its_parent_misses_none(
    receiving: Capture, new_id: NewId
) -> None:
    with receiving.open(new_id()) as captured:
        request = encode_spans(elsewhere(captured, ["agent"]))
        request.resource_spans[0].scope_spans[0].spans[0].parent_span_id = bytes(8)
        await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        assert captured._whole(True, 0)  # or a flush would wait for the parent as long as it may
        trace = await captured.flush(outside=True)
    assert trace.spans[0].parent_id is None and trace.notes == []


async def test_a_span_without_an_id_in_our_own_trace_is_left_out_and_told(
    receiving: Capture, new_id: NewId
) -> None:
    with receiving.open(new_id()) as captured:
        request = encode_spans(elsewhere(captured, ["agent", "chat"]))
        request.resource_spans[0].scope_spans[0].spans[0].span_id = bytes(8)
        await post(f"{receiving.endpoint}/v1/traces", request.SerializeToString())
        trace = await captured.flush(outside=True)
    assert [span.name for span in trace] == ["agent"]
    assert trace.notes == ["a span was left out: an id is all zeros, which means none"]
