"""The real clients, recorded against a real server and replayed without it."""

# ruff: noqa: SIM117, PERF401 (programs in texts; what is awaited inside is the point)
from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest
import requests
import urllib3

from simulate.replay import Cassette, ReplayReport, record, replaying

MESSAGES: list[Any] = [{"role": "user", "content": "hello"}]
Work = Callable[[str], Awaitable[Any]]


async def both(server: Any, folder: Path, work: Work, **options: Any) -> tuple[Any, Any, ReplayReport]:
    """What the work gives when recorded and when replayed; the server must hear nothing of the replay."""
    async with record(folder):
        recorded = await work(server.base)
    heard = len(server.hits)
    async with replaying(folder, **options) as player:
        replayed = await work("http://somewhere.else.example:1234")
    assert len(server.hits) == heard
    return recorded, replayed, player.report()


async def openai_async(base: str) -> Any:
    async with openai.AsyncOpenAI(base_url=base + "/v1", api_key="k") as client:
        answer = await client.chat.completions.create(model="m", messages=MESSAGES)
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        words = [piece.choices[0].delta.content async for piece in stream]
        vector = await client.embeddings.create(model="e", input="abc", encoding_format="float")
        return answer.choices[0].message.content, words, vector.data[0].embedding


async def openai_sync(base: str) -> Any:
    def work() -> Any:
        with openai.OpenAI(base_url=base + "/v1", api_key="k") as client:
            answer = client.chat.completions.create(model="m", messages=MESSAGES)
            stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            return answer.choices[0].message.content, [piece.choices[0].delta.content for piece in stream]

    return await asyncio.to_thread(work)


async def httpx_multipart(base: str) -> Any:
    async with httpx.AsyncClient() as client:
        files = {"file": ("a.wav", b"\x00\x01" * 50, "audio/wav")}
        answer = await client.post(base + "/v1/audio/transcriptions", data={"model": "whisper"}, files=files)
        return answer.json()["size"]


async def aiohttp_all(base: str) -> Any:
    base = base if "127.0.0.1" in base else "http://127.0.0.1:1"
    async with aiohttp.ClientSession() as session:
        async with session.post(
            base + "/v1/chat/completions", json={"model": "m", "messages": MESSAGES}
        ) as answer:
            one = await answer.json()
        streamed = {"model": "m", "messages": MESSAGES, "stream": True}
        async with session.post(base + "/v1/chat/completions", json=streamed) as answer:
            lines = [line async for line in answer.content]
        form = aiohttp.FormData()
        form.add_field("file", b"\x00\x01" * 20, filename="a.bin")
        async with session.post(base + "/upload", data=form) as answer:
            size = (await answer.json())["size"]
        async with session.get(base + "/gzip") as answer:
            return one, lines, size, await answer.text()


async def requests_all(base: str) -> Any:
    base = base if "127.0.0.1" in base else "http://127.0.0.1:1"

    def work() -> Any:
        with requests.Session() as session:
            one = session.post(
                base + "/v1/chat/completions", json={"model": "m", "messages": MESSAGES}
            ).json()
            streamed = {"model": "m", "messages": MESSAGES, "stream": True}
            with session.post(base + "/v1/chat/completions", json=streamed, stream=True) as answer:
                lines = [line for line in answer.iter_lines() if line]
            slow = session.get(base + "/429")
            binary = session.get(base + "/binary").content
            gone = session.get(base + "/gzip").json()
            return one, lines, slow.status_code, slow.headers["Retry-After"], binary, gone

    return await asyncio.to_thread(work)


async def urllib3_and_urllib(base: str) -> Any:
    base = base if "127.0.0.1" in base else "http://127.0.0.1:1"
    with urllib3.PoolManager() as pool:
        one = pool.request("POST", base + "/a?x=1&b=2", body=b"hi")
        first = one.json()["path"], one.status
    with urllib.request.urlopen(base + "/b") as answer:
        return first, answer.read()[:20]


@pytest.mark.parametrize(
    "work", [openai_async, openai_sync, httpx_multipart, aiohttp_all, requests_all, urllib3_and_urllib]
)
async def test_a_client_gets_the_same_from_the_recording(server: Any, tmp_path: Path, work: Work) -> None:
    recorded, replayed, report = await both(server, tmp_path / "c", work)
    assert replayed == recorded
    assert report.verdict == "identical" and report.passed and report.live_calls == 0


@pytest.mark.parametrize("transport", ["httpx", "aiohttp", "requests"])
async def test_a_stream_that_died_dies_again_in_the_same_place(
    server: Any, tmp_path: Path, transport: str
) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "please die here"}]}

    async def work(base: str) -> Any:
        url = (base if "127.0.0.1" in base else "http://127.0.0.1:1") + "/v1/chat/completions"
        got: list[bytes] = []
        try:
            if transport == "httpx":
                async with httpx.AsyncClient() as client, client.stream("POST", url, json=body) as answer:
                    async for piece in answer.aiter_raw():
                        got.append(piece)
            elif transport == "aiohttp":
                async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
                    async for piece in answer.content.iter_any():
                        got.append(piece)
            else:

                def sync() -> None:
                    with requests.post(url, json=body, stream=True) as answer:
                        for piece in answer.iter_content(None):
                            got.append(piece)  # noqa: PERF402

                await asyncio.to_thread(sync)
        except (
            httpx.RemoteProtocolError,
            aiohttp.ClientPayloadError,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            return b"".join(got), type(error).__name__
        raise AssertionError("the stream did not die")

    recorded, replayed, _ = await both(server, tmp_path / "c", work)
    assert replayed == recorded and recorded[0].count(b"data:") == 2
    assert Cassette.load(tmp_path / "c").http[0].response.ended.startswith("died")


async def test_errors_come_back_as_they_were(server: Any, tmp_path: Path) -> None:
    async def work(base: str) -> Any:
        async with httpx.AsyncClient() as client:
            answer = await client.get(("http://127.0.0.1:1" if "else" in base else base) + "/429")
            try:
                await client.get("http://127.0.0.1:9/nobody-listens")
            except httpx.ConnectError as error:
                return answer.status_code, answer.headers["retry-after"], answer.json(), str(error)

    recorded, replayed, report = await both(server, tmp_path / "c", work)
    assert replayed == recorded and recorded[:2] == (429, "7")
    assert report.passed


async def test_recording_does_not_hold_a_stream_back(server: Any, tmp_path: Path) -> None:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "a b c d e f g h"}]}
    times: list[float] = []
    async with record(tmp_path / "c"), httpx.AsyncClient() as client:
        async with client.stream("POST", server.base + "/v1/chat/completions", json=body) as answer:
            async for _ in answer.aiter_raw():
                times.append(time.perf_counter())
    # the server spreads the pieces over 200 ms; held back, they would all come at once
    assert len(times) > 4 and times[-1] - times[0] > 0.1
    offsets = [offset for offset, _ in Cassette.load(tmp_path / "c").http[0].response.chunks]
    assert offsets == sorted(offsets) and offsets[-1] - offsets[0] > 100
    async with replaying(tmp_path / "c", pace="recorded"), httpx.AsyncClient() as client:
        times.clear()
        async with client.stream("POST", server.base + "/v1/chat/completions", json=body) as answer:
            async for _ in answer.aiter_raw():
                times.append(time.perf_counter())
    assert times[-1] - times[0] > 0.1


async def test_threads_carry_the_conversation_with_them(server: Any, tmp_path: Path) -> None:
    def ask(text: str) -> str:
        return str(requests.post(server.base + "/echo", json={"q": text}).json()["size"])

    def work() -> list[str]:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(ask("in a thread")))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(4) as pool:
            return found + list(pool.map(ask, ["a", "bb", "ccc", "dddd"]))

    async with record(tmp_path / "c"):
        recorded = work()
    heard = len(server.hits)
    async with replaying(tmp_path / "c") as player:
        assert work() == recorded
    assert len(server.hits) == heard
    assert player.report().verdict == "identical"


async def test_a_connection_kept_alive_from_before_does_not_get_out(server: Any, tmp_path: Path) -> None:
    with requests.Session() as session, httpx.Client() as client:
        session.get(server.base + "/a")
        client.get(server.base + "/a")
        async with record(tmp_path / "c"):
            assert session.get(server.base + "/b").json()["path"] == "/b"
            assert client.get(server.base + "/c").json()["path"] == "/c"
        heard = len(server.hits)
        async with replaying(tmp_path / "c") as player:
            assert session.get(server.base + "/b").json()["path"] == "/b"
            assert client.get(server.base + "/c").json()["path"] == "/c"
            assert session.get(server.base + "/never").status_code == 418
        assert len(server.hits) == heard
        assert not player.report().passed
        # and afterwards all is as before
        assert session.get(server.base + "/d").json()["path"] == "/d"
        assert client.get(server.base + "/d").json()["path"] == "/d"


async def test_the_patches_are_gone_afterwards(server: Any, tmp_path: Path) -> None:
    before = (
        httpx.HTTPTransport.handle_request,
        urllib3.connection.HTTPConnection.connect,
        threading.Thread.start,
    )
    with pytest.raises(RuntimeError):
        async with record(tmp_path / "c"):
            raise RuntimeError("the agent broke")
    after = (
        httpx.HTTPTransport.handle_request,
        urllib3.connection.HTTPConnection.connect,
        threading.Thread.start,
    )
    assert after == before
