import asyncio
import sys
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from simulate.errors import EnvironmentFault, MissingExtra
from simulate.trace.capture import Capture
from simulate.trace.otlp.decode import from_sdk

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
async def capture() -> AsyncIterator[Capture]:
    async with Capture(grpc=True) as opened:
        yield opened


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_the_real_exporter_delivers(
    capture: Capture, new_id: Callable[[], str], compression: grpc.Compression
) -> None:
    assert capture.grpc is not None and capture.environment["FI_GRPC_URL"] == capture.grpc.endpoint
    with capture.open(new_id()) as captured:
        kept = InMemorySpanExporter()
        elsewhere = TracerProvider(shutdown_on_exit=False)
        elsewhere._active_span_processor._span_processors = (SimpleSpanProcessor(kept),)
        elsewhere.get_tracer("t").start_span("agent", captured.context).end()
        exporter = OTLPSpanExporter(capture.grpc.endpoint, insecure=True, compression=compression)
        await asyncio.to_thread(exporter.export, kept.get_finished_spans())
        trace = await captured.flush(outside=True)
        exporter.shutdown()
    assert trace.spans == [from_sdk(span) for span in kept.get_finished_spans()]


async def test_garbage_and_unknown_methods_are_refused(capture: Capture) -> None:
    assert capture.grpc is not None
    with grpc.insecure_channel(capture.grpc.endpoint.removeprefix("http://")) as channel:
        for method, code in ((EXPORT, "INVALID_ARGUMENT"), ("/some.Other/Method", "UNIMPLEMENTED")):
            with pytest.raises(grpc.RpcError) as caught:
                await asyncio.to_thread(channel.unary_unary(method), b"\xff\xff")
            assert caught.value.code().name == code
    assert capture.notes() == ["1 x refused: 400 not an OTLP traces request: DecodeError"]


async def test_a_port_in_use_is_the_environments_fault(capture: Capture) -> None:
    assert capture.grpc is not None
    port = int(capture.grpc.endpoint.rsplit(":", 1)[1])
    with pytest.raises(EnvironmentFault, match=f"cannot listen on 127.0.0.1:{port} for gRPC"):
        async with Capture(grpc=True, grpc_port=port):
            pass


async def test_without_grpcio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtra, match=r"simulate-agents\[grpc\]"):
        async with Capture(grpc=True):
            pass
