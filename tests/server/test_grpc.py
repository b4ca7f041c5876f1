"""OTLP over gRPC: it is kept as what comes over HTTP is, for whoever has a key that may send."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from sqlalchemy import text

from simulate.server.store import Store
from simulate.server.store.access_keys import make_key
from simulate.server.store.find import Wanted, find
from simulate.server.store.search import parse_search
from simulate.trace.otlp.encode import to_protobuf
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., Any]
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def body(spans: list[Span]) -> bytes:
    return to_protobuf(spans).SerializeToString()


async def send(address: str, data: bytes, key: str | None = None, method: str = EXPORT) -> str:
    """The name of the status that an export gets."""

    def call() -> str:
        with grpc.insecure_channel(address.removeprefix("http://")) as channel:
            try:
                channel.unary_unary(method)(data, metadata=(("x-api-key", key),) if key else (), timeout=20)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

    return await asyncio.to_thread(call)


def kept(store: Store, project: str = "default") -> list[int]:
    rows = find(store, Wanted(project, parse_search(""))).rows
    return sorted(row.spans for row in rows)


async def test_the_real_exporter_delivers(serve: Serve, small_store: Store) -> None:
    server = await serve(grpc_port=0)

    def work() -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(server.context.grpc_address, insecure=True)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("t").start_as_current_span("work") as span:
            span.set_attribute("input.value", "write to anna@shop.example")
        provider.shutdown()

    await asyncio.to_thread(work)
    await server.settled()
    assert kept(small_store) == [1]
    assert find(small_store, Wanted("default", parse_search(""), text="anna")).rows == []


async def test_a_key_is_demanded_as_over_http(serve: Serve, small_store: Store, make: Make) -> None:
    mine, read = (make_key(small_store, "shop", role, role) for role in ("send", "read"))
    server = await serve(grpc_port=0, demand_keys=True)
    address = server.context.grpc_address
    assert await send(address, body(make(1))) == "UNAUTHENTICATED"
    assert await send(address, body(make(1)), "sim_00000000_x") == "UNAUTHENTICATED"
    assert await send(address, body(make(1)), read) == "PERMISSION_DENIED"
    assert await send(address, body(make(1)), mine) == "OK"
    await server.settled()
    assert (kept(small_store), kept(small_store, "shop")) == ([], [3])


async def test_what_cannot_be_kept_now_may_be_sent_again_and_garbage_may_not(
    serve: Serve, small_store: Store, make: Make
) -> None:
    server = await serve(grpc_port=0)
    address = server.context.grpc_address
    assert await send(address, b"\xff\xff") == "INVALID_ARGUMENT"
    assert await send(address, b"", method="/some.Other/Method") == "UNIMPLEMENTED"
    with small_store.write() as connection:
        connection.execute(text("ALTER TABLE incoming RENAME TO away"))
    assert await send(address, body(make(1))) == "UNAVAILABLE"
    with small_store.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO incoming"))
    assert await send(address, body(make(1))) == "OK"
    await server.settled()
    assert kept(small_store) == [3]


@pytest.mark.skipif(
    importlib.util.find_spec("fi_instrumentation") is None,
    reason="pip install 'simulate-agents[sdks]' brings fi_instrumentation",
)
@pytest.mark.parametrize("transport", ["HTTP", "GRPC"])
async def test_traceai_delivers_unmodified_and_with_its_keys(
    serve: Serve, small_store: Store, transport: str
) -> None:
    key = make_key(small_store, "shop", "send", "traceAI")
    server = await serve(grpc_port=0, demand_keys=True)
    script = f"""
from fi_instrumentation import register
from fi_instrumentation.otel import Transport
provider = register(project_name="shop", transport=Transport.{transport}, batch=False, verbose=False)
with provider.get_tracer("agent").start_as_current_span("answer") as span:
    span.set_attribute("user.id", "u-1")
provider.shutdown()
"""
    environment = {
        **os.environ, "FI_BASE_URL": server.address, "FI_GRPC_URL": server.context.grpc_address,
        "FI_API_KEY": key, "FI_SECRET_KEY": key,
    }  # fmt: skip
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, env=environment)
    assert await asyncio.wait_for(agent.wait(), 60) == 0
    await server.settled()
    assert kept(small_store, "shop") == [1]


async def test_a_port_in_use_is_told(serve: Serve) -> None:
    server = await serve(grpc_port=0)
    port = int(server.context.grpc_address.rpartition(":")[2])
    with pytest.raises(OSError, match=f"port {port} cannot be had for gRPC"):
        await serve(grpc_port=port)
