"""Our servers on 127.0.0.1 answer to nobody else's pages, read no more than they can hold, and say nothing
on the terminal of a client that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from simulate import local_server
from simulate.local_server import Intake, Refused
from simulate.replay.serving.sockets import LIMIT, listening
from simulate.trace.capture import Capture

HEAD = "Host: localhost\r\nContent-Type: application/json\r\n"


async def ok(request: web.BaseRequest, body: bytes) -> web.Response:
    return web.Response(text=f"{request.path} {len(body)}")


@asynccontextmanager
async def otlp() -> AsyncIterator[int]:
    async with Capture(receiver=True) as capture:
        assert capture.endpoint is not None
        yield int(capture.endpoint.rpartition(":")[2])


SERVERS = {"otlp": (otlp, "/v1/traces"), "models": (lambda: listening(ok, 0), "/v1/chat/completions")}


async def ask(
    port: int, path: str, body: bytes = b"{}", method: str = "POST", **headers: str
) -> tuple[int, str]:
    """The status and the text of an answer to exactly these headers."""
    given = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2].decode(errors="replace")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST.:80"}, 200),
        ({"Host": "[::1]:4318"}, 200),
        ({"Host": "agent.localhost:4318"}, 200),
        ({"Host": "host.docker.internal:4318"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:4318"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "evil.example:80@127.0.0.1"}, 200),  # no browser sends it, and it is this machine
        ({"Host": "127.0.0.1@evil.example"}, 421),
        ({"Host": "10.0.0.1"}, 421),
        ({"Host": "[::1"}, 421),
        ({"Host": " "}, 421),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "text/plain; charset=application/json"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": ""}, 415),
    ],
    ids=str,
)
async def test_who_is_answered(server: str, headers: dict[str, str], status: int) -> None:
    serve, path = SERVERS[server]
    async with serve() as port:
        assert (await ask(port, path, **headers))[0] == status


async def test_a_page_from_elsewhere_reads_no_report() -> None:
    async with listening(ok, 0, report=ok) as port:
        assert await ask(port, "/__simulate/report", b"", "GET") == (200, "/__simulate/report 0")
        assert (await ask(port, "/__simulate/report", b"", "GET", Host="evil.example"))[0] == 421


@pytest.mark.parametrize("server", SERVERS)
async def test_a_request_of_very_many_gzip_members_is_answered_soon(server: str) -> None:
    serve, path = SERVERS[server]
    member = gzip.compress(b"", mtime=0)
    async with serve() as port:
        before = time.process_time()
        status, told = await ask(port, path, member * (16_000_000 // len(member)), Content_Encoding="gzip")
        # in the square of their number, minutes
        assert time.process_time() - before < 30
    assert status in (413, 415) and "gzip members" in told


@pytest.mark.parametrize("server", SERVERS)
async def test_what_unpacks_to_far_more_is_refused(server: str) -> None:
    serve, path = SERVERS[server]
    async with serve() as port:
        status, told = await ask(port, path, gzip.compress(bytes(100 << 20)), Content_Encoding="gzip")
    assert status in (413, 415) and "200 times" in told


async def test_bodies_that_are_read_at_once_share_a_limit() -> None:
    intake, reading = Intake(1 << 20), asyncio.Event()

    class Request:
        def __init__(self, *pieces: bytes) -> None:
            self.content, self._pieces = self, [*pieces, b""]

        async def readany(self) -> bytes:
            if not self._pieces[0]:
                await reading.wait()
            return self._pieces.pop(0)

    first = asyncio.create_task(intake.body(Request(bytes(700_000))))  # pyright: ignore[reportArgumentType]
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await intake.body(Request(bytes(700_000)))  # pyright: ignore[reportArgumentType]
    assert refused.value.status == 503
    reading.set()
    assert len(await first) == 700_000
    assert len(await intake.body(Request(bytes(700_000)))) == 700_000  # pyright: ignore[reportArgumentType]


async def test_a_request_beyond_the_limit_is_refused() -> None:
    async with listening(ok, 0) as port:
        assert (await ask(port, "/x", bytes(LIMIT + 1)))[0] == 413


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/tra", b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nX: "]
)
async def test_a_client_that_never_finishes_its_head_is_hung_up_on(
    server: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "PATIENCE", 0.2)
    async with SERVERS[server][0]() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("server", SERVERS)
async def test_a_client_that_never_finishes_its_body_is_told(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "PATIENCE", 0.2)
    serve, path = SERVERS[server]
    async with serve() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {path} HTTP/1.1\r\n{HEAD}Content-Length: 9\r\n\r\n{{".encode())
        async with asyncio.timeout(30):
            assert b" 408 " in await reader.readline()
        writer.close()


BROKEN = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    f"POST /v1/traces HTTP/1.1\r\n{HEAD}Content-Length: 99\r\n\r\n{{".encode(),
    b"X" * 100_000,
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5_000,
]


@pytest.mark.parametrize("server", SERVERS)
async def test_a_broken_connection_prints_nothing(
    server: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with SERVERS[server][0]() as port:
        for data in BROKEN:
            for reset in (False, True):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(data)
                await asyncio.sleep(0.05)
                if reset:
                    writer.transport.abort()
                else:
                    writer.close()
        await asyncio.sleep(0.2)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")
