"""The way in, on real sockets: what is acknowledged is kept, redacted, once."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from sqlalchemy import func, select

from simulate.errors import InputError
from simulate.server import intake as intake_module
from simulate.server.store import Store
from simulate.server.store.access_keys import make_key, revoke_key
from simulate.server.store.find import Wanted, find, one, trace_of
from simulate.server.store.schema import incoming, unread
from simulate.server.store.search import parse_search
from simulate.trace.capture.sdk_settings import environment
from simulate.trace.otlp.encode import to_json, to_protobuf
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., Any]


def found(store: Store, query: str = "", project: str = "default") -> list[int]:
    rows = find(store, Wanted(project, parse_search(query, store.names))).rows
    return [int(row.trace_id, 16) for row in rows]


async def test_every_form_of_otlp_arrives_at_every_path(serve: Serve, small_store: Store, make: Make) -> None:
    server = await serve()
    paths = ["/v1/traces", "/api/public/otel/v1/traces", "/tracer/v1/traces", "/otel/v1/traces"]
    kinds = [("application/json", lambda spans: json.dumps(to_json(spans)).encode()),
             ("application/x-protobuf", lambda spans: to_protobuf(spans).SerializeToString())]  # fmt: skip
    number = 0
    for path in paths:
        for kind, write in kinds:
            for pack, encoding in ((bytes, {}), (gzip.compress, {"Content-Encoding": "gzip"})):
                number += 1
                headers = {"Content-Type": kind, **encoding}
                async with server.session.post(
                    server.address + path, data=pack(write(make(number))), headers=headers
                ) as response:
                    assert (response.status, response.content_type) == (200, kind)
    await server.settled()
    assert sorted(found(small_store)) == list(range(1, number + 1))


async def test_the_sdk_sends_here_by_the_settings_that_the_help_page_tells(
    serve: Serve, small_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    server = await serve()
    for name, value in environment(server.address).items():
        monkeypatch.setenv(name, value)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))

    def work() -> None:
        with provider.get_tracer("t").start_as_current_span("work") as span:
            span.set_attribute("user.id", "u-1")
        provider.shutdown()

    await asyncio.to_thread(work)
    await server.settled()
    assert len(found(small_store, "user=u-1")) == 1


@pytest.mark.parametrize(
    ("heading", "then"),
    [
        ("LiveKit", "telemetry.tracer.start_span('work').end(); provider.force_flush()"),
        (
            "Pipecat",
            "from opentelemetry import trace; trace.get_tracer('pipecat').start_span('work').end();"
            " trace.get_tracer_provider().force_flush()",
        ),
    ],
    ids=["livekit", "pipecat"],
)
async def test_a_voice_framework_sends_here_by_what_the_help_page_tells(
    serve: Serve, small_store: Store, heading: str, then: str
) -> None:
    server = await serve()
    page = (await server.get("/help"))[1]
    code = unescape(page.split(f'<h3>{heading}</h3><pre class="json">')[1].split("</pre>")[0])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{code}\n{then}", env={**os.environ, **environment(server.address)}
    )
    assert await process.wait() == 0
    await server.settled()
    assert len(found(small_store)) == 1


async def test_nothing_is_written_that_redaction_would_hide(
    serve: Serve, small_store: Store, make: Make
) -> None:
    server = await serve()
    secret, person = "sk-proj-abcdefghijklmnopqrstuvwxyz123456", "anna@example.com"
    spans = make(1, user=person, words=f"I am {person} and my key is {secret}")
    assert await server.send(spans) == 200
    # a request that nothing can read is kept aside, redacted too
    broken = b'{"resourceSpans": 5, "me": "anna@example.com"'
    headers = {"Content-Type": "application/json"}
    async with server.session.post(f"{server.address}/v1/traces", data=broken, headers=headers) as response:
        assert response.status == 400
    with small_store.read() as connection:
        (row,) = connection.execute(select(unread)).all()
    assert row.path == "/v1/traces" and b"resourceSpans" in row.data and b"anna" not in row.data
    await server.settled()
    small_store.close()  # so that all is in the file
    raw = b"".join(path.read_bytes() for path in _files(small_store))
    assert secret.encode() not in raw and b"anna" not in raw
    kept = one(small_store, "default", f"{1:032x}")
    assert kept is not None
    told = repr(trace_of(small_store, kept))
    assert secret not in told and "anna" not in told and "order" in told


def _files(store: Store) -> list[Any]:
    from pathlib import Path

    file = Path(str(store.engine.url.database))
    return sorted(file.parent.glob(f"{file.name}*"))


async def test_spans_without_a_valid_id_are_told(serve: Serve, small_store: Store, make: Make) -> None:
    server = await serve()
    bad = make(1)
    bad[0].trace_id = "0" * 32
    body = json.dumps(to_json(bad)).encode()
    headers = {"Content-Type": "application/json"}
    async with server.session.post(f"{server.address}/v1/traces", data=body, headers=headers) as response:
        assert response.status == 200
        assert int((await response.json(content_type=None))["partialSuccess"]["rejectedSpans"]) == 1


async def test_an_exporter_is_asked_to_wait_when_too_much_waits(
    serve: Serve, small_store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "MOST_WAITING", 3)
    server = await serve()
    looked, server.context.assembler.looked = server.context.assembler.looked, lambda waiting: None
    server.context.intake.waiting = 4
    body = to_protobuf(make(1)).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    async with server.session.post(f"{server.address}/v1/traces", data=body, headers=headers) as response:
        assert response.status == 429 and int(response.headers["Retry-After"]) > 0
    server.context.assembler.looked = looked
    await server.settled()
    async with server.session.post(f"{server.address}/v1/traces", data=body, headers=headers) as response:
        assert response.status == 200  # what waited has become traces


async def test_a_store_that_takes_nothing_is_told_and_nothing_is_acknowledged(
    serve: Serve, small_store: Store, make: Make
) -> None:
    from sqlalchemy import text

    server = await serve()
    with small_store.write() as connection:
        connection.execute(text("ALTER TABLE incoming RENAME TO away"))
    body = to_protobuf(make(1)).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    async with server.session.post(f"{server.address}/v1/traces", data=body, headers=headers) as response:
        assert response.status == 503 and "Retry-After" in response.headers
    status, page = await server.get("/help")
    assert status == 200 and "the store cannot be written" in page
    with small_store.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO incoming"))
    assert await server.send(make(1)) == 200
    await server.settled()
    assert found(small_store) == [1]


async def test_a_server_that_others_reach_demands_keys(serve: Serve, small_store: Store, make: Make) -> None:
    with pytest.raises(InputError, match="no key"):
        await serve(host="0.0.0.0")
    send, read = (make_key(small_store, "shop", role, role) for role in ("send", "read"))
    server = await serve(host="0.0.0.0")
    assert await server.send(make(1)) == 401
    assert await server.send(make(1), headers={"x-api-key": "sim_00000000_x"}) == 401
    assert await server.send(make(1), headers={"x-api-key": read}) == 403
    assert await server.send(make(1), headers={"Authorization": f"Bearer {send}"}) == 200
    import base64

    basic = base64.b64encode(f"pk-any:{send}".encode()).decode()  # as Langfuse's SDK sends it
    assert await server.send(make(2), headers={"Authorization": f"Basic {basic}"}) == 200
    assert await server.send(make(3), headers={"x-api-key": send, "x-secret-key": send}) == 200  # traceAI's
    await server.settled()
    assert sorted(found(small_store, project="shop")) == [1, 2, 3]
    revoke_key(small_store, send.split("_")[1])
    assert await server.send(make(4), headers={"x-api-key": send}) == 401
    with small_store.read() as connection:
        assert connection.execute(select(func.count()).select_from(incoming)).scalar_one() == 0
