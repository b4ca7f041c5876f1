"""WebSockets: recorded event by event, replayed without a connection, and told by event where they differ."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import google.genai as genai
import pytest
import websocket
from cartesia import AsyncCartesia
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from elevenlabs.client import ElevenLabs
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect as blocking

from simulate.replay import Cassette, ReplayReport, record, replaying
from simulate.replay.matching.rules import default_rules
from simulate.replay.verify import verify

from .realtime import SOUND, Realtime

ELSEWHERE = "wss://elsewhere.example"


@pytest.fixture
async def realtime() -> AsyncGenerator[Realtime]:
    async with Realtime().running() as one:
        yield one


async def both(realtime: Realtime, folder: Path, work: Any) -> tuple[Any, Any, ReplayReport]:
    """What the work gives when recorded and when replayed; nobody may be called by the replay."""
    async with record(folder):
        recorded = await work(realtime.base)
    opened = realtime.opened
    async with replaying(folder) as player:
        replayed = await asyncio.wait_for(work(ELSEWHERE), 10)
    assert realtime.opened == opened
    return recorded, replayed, player.report()


# the SDKs of the services


async def openai_realtime(base: str) -> Any:
    heard: list[Any] = []
    async with (
        AsyncOpenAI(api_key="k", websocket_base_url=base + "/v1") as client,
        client.realtime.connect(model="gpt-realtime") as session,
    ):
        await session.session.update(session={"type": "realtime", "instructions": "Be kind."})
        for _ in range(4):
            await session.input_audio_buffer.append(audio=base64.b64encode(SOUND).decode())
        async for event in session:
            heard.append(event.to_dict())
            if event.type == "input_audio_buffer.speech_stopped":
                await session.response.create(event_id=f"event_{uuid.uuid4().hex}")
            if event.type == "response.done":
                break
    return [*heard[:-1], heard[-1]["type"]]


def _deepgram(base: str) -> Any:
    return DeepgramClientEnvironment(base=base, production=base, agent=base, agent_rest=base)


async def deepgram_blocking(base: str) -> Any:
    def work() -> Any:
        client = DeepgramClient(api_key="k", environment=_deepgram(base))
        with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16000) as session:
            for _ in range(4):
                session.send_media(SOUND)
            found = session.recv()
            session.send_keep_alive()
            session.send_close_stream()
            return found.channel.alternatives[0].transcript  # type: ignore[union-attr]

    return await asyncio.to_thread(work)


async def deepgram_async(base: str) -> Any:
    client = AsyncDeepgramClient(api_key="k", environment=_deepgram(base))
    async with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16000) as session:
        for _ in range(4):
            await session.send_media(SOUND)
        found = await session.recv()
        await session.send_close_stream()
        return found.channel.alternatives[0].transcript  # type: ignore[union-attr]


async def elevenlabs(base: str) -> Any:
    def work() -> Any:
        client = ElevenLabs(api_key="k")
        client.text_to_speech._ws_base_url = base  # type: ignore[attr-defined]
        text = iter(["A table for two, ", "at eight."])
        return b"".join(client.text_to_speech.convert_realtime("anna", text=text, model_id="flash"))

    return await asyncio.to_thread(work)


async def cartesia(base: str) -> Any:
    voice: Any = {"mode": "id", "id": "anna"}
    form: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
    async with (
        AsyncCartesia(api_key="k", websocket_base_url=base) as client,
        client.tts.websocket_connect() as session,
    ):
        context = session.context(model_id="sonic", voice=voice, output_format=form)
        await context.send(model_id="sonic", transcript="Hello.", voice=voice, continue_=False)
        chunks = [event async for event in context.receive()]
        return [getattr(event, "data", None) for event in chunks]


async def gemini(base: str) -> Any:
    client: Any = genai.Client(api_key="k")

    def websocket_base_url(_: Any = None) -> str:
        return base

    client._api_client._websocket_base_url = websocket_base_url
    client._api_client._websocket_ssl_ctx = {} if base.startswith("ws:") else {"ssl": True}
    async with client.aio.live.connect(model="gemini-live", config={"response_modalities": ["TEXT"]}) as live:
        await live.send_client_content(turns={"role": "user", "parts": [{"text": "A table for two."}]})
        return [message.text async for message in live.receive()]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "work", [openai_realtime, deepgram_blocking, deepgram_async, elevenlabs, cartesia, gemini]
)
async def test_a_service_s_own_sdk_is_replayed_without_a_connection(
    realtime: Realtime, tmp_path: Path, work: Callable[[str], Any]
) -> None:
    recorded, replayed, report = await both(realtime, tmp_path / "c", work)
    assert recorded and replayed == recorded
    assert report.verdict == "identical", report.explain()
    assert (report.played, report.recorded) == (1, 1) and not report.refused


# the client libraries


async def with_aiohttp(base: str, events: list[Any]) -> list[Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(base + "/v1/realtime?model=m", protocols=("realtime",)) as socket,
    ):
        heard: list[Any] = [socket.protocol, (await socket.receive()).data]
        for event in events:
            await socket.send_json(event)
        async for message in socket:
            heard.append(message.data)
            if "response.done" in message.data:
                return heard
        return [*heard, socket.close_code]


async def with_websockets(base: str, events: list[Any]) -> list[Any]:
    async with connect(base + "/v1/realtime?model=m") as socket:
        heard: list[Any] = [await socket.recv()]
        for event in events:
            await socket.send(json.dumps(event))
        async for message in socket:
            heard.append(message)
            if "response.done" in str(message):
                return heard
        return heard


async def with_blocking(base: str, events: list[Any]) -> list[Any]:
    def work() -> list[Any]:
        with blocking(base + "/v1/realtime?model=m") as socket:
            heard: list[Any] = [socket.recv()]
            for event in events:
                socket.send(json.dumps(event))
            for message in socket:
                heard.append(message)
                if "response.done" in str(message):
                    return heard
            return heard

    return await asyncio.to_thread(work)


async def with_websocket_client(base: str, events: list[Any]) -> list[Any]:
    def work() -> list[Any]:
        heard: list[Any] = []

        def on_open(app: Any) -> None:
            for event in events:
                app.send(json.dumps(event))

        def on_message(app: Any, message: str) -> None:
            heard.append(message)
            if "response.done" in message:
                app.close()

        def on_close(app: Any, code: Any, reason: Any) -> None:
            heard.append(reason)

        app: Any = websocket.WebSocketApp(
            base + "/v1/realtime?model=m", on_open=on_open, on_message=on_message, on_close=on_close
        )
        app.run_forever()
        return heard

    return await asyncio.to_thread(work)


CLIENTS: Any = [with_aiohttp, with_websockets, with_blocking, with_websocket_client]
UPDATE: Any = {"type": "session.update", "session": {"instructions": "Be kind.", "tools": []}}
EVENTS: list[Any] = [UPDATE, {"type": "response.create"}]


@pytest.mark.parametrize("client", CLIENTS)
async def test_each_client_is_replayed_as_it_was(realtime: Realtime, tmp_path: Path, client: Any) -> None:
    recorded, replayed, report = await both(realtime, tmp_path / "c", partial(client, events=EVENTS))
    assert replayed == recorded and len(recorded) > 6
    assert report.verdict == "identical", report.explain()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_changed_event_is_named_by_number_type_and_field(
    realtime: Realtime, tmp_path: Path, client: Any
) -> None:
    async with record(tmp_path / "c"):
        await client(realtime.base, EVENTS)
    changed: Any = {"type": "session.update", "session": {"instructions": "Be rude.", "tools": []}}
    async with replaying(tmp_path / "c") as player:
        with suppress(ConnectionClosedError, aiohttp.ClientError, websocket.WebSocketException, OSError):
            await asyncio.wait_for(client(ELSEWHERE, [changed, EVENTS[1]]), 10)
    report = player.report()
    assert report.verdict == "drifted" and not report.passed
    assert report.first is not None and report.first.component == "system prompt"
    # that client sends before it reads the greeting
    number = 2 if client is with_websocket_client else 3
    assert f"event {number} (session.update)" in report.first.asked
    (change,) = report.first.changes
    assert (change.path, change.recorded, change.now) == (
        "$.session.instructions",
        "Be kind.",
        "Be rude.",
    )


async def test_a_missing_event_an_extra_one_and_another_order_are_told(
    realtime: Realtime, tmp_path: Path
) -> None:
    clear = {"type": "input_audio_buffer.clear"}
    async with record(tmp_path / "c"):
        await with_websockets(realtime.base, [UPDATE, clear, EVENTS[1]])

    async def replay(events: list[Any]) -> ReplayReport:
        async with replaying(tmp_path / "c") as player:
            with suppress(ConnectionClosedError):
                await asyncio.wait_for(with_websockets(ELSEWHERE, events), 10)
        return player.report()

    missing = await replay([UPDATE, EVENTS[1]])
    assert missing.verdict == "unplayed" and "event 4 (input_audio_buffer.clear)" in str(missing.first)
    extra = await replay([UPDATE, clear, clear, EVENTS[1]])
    assert not extra.passed and "input_audio_buffer.clear" in str(extra.first)
    swapped = await replay([clear, UPDATE, EVENTS[1]])
    assert swapped.verdict == "reordered" and swapped.passed


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_connection_that_no_cassette_holds_is_refused_and_named(
    realtime: Realtime, client: Any
) -> None:
    async with replaying(Cassette()) as player:
        with suppress(InvalidStatus, aiohttp.WSServerHandshakeError):
            await client(realtime.base, EVENTS)
    report = player.report()
    assert realtime.opened == 0 and report.verdict == "never_recorded" and not report.passed
    assert "WEBSOCKET" in str(report.first)


async def test_other_parameters_are_another_connection(realtime: Realtime, tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        await with_websockets(realtime.base, EVENTS)
    async with replaying(tmp_path / "c") as player:
        with pytest.raises(InvalidStatus):
            await connect(ELSEWHERE + "/v1/realtime?model=other")
    first = player.report().first
    assert first is not None and first.component == "model" and first.changes[0].path == "?.model"


async def test_a_refused_handshake_is_refused_again(realtime: Realtime, tmp_path: Path) -> None:
    async def work(base: str) -> Any:
        with pytest.raises(InvalidStatus) as error:
            await connect(base + "/v1/refused")
        return error.value.response.status_code, error.value.response.body

    recorded, replayed, report = await both(realtime, tmp_path / "c", work)
    # the path is no model provider's, so that only the recorded host answers
    assert recorded[0] == 401 and replayed[0] == 418
    async with replaying(tmp_path / "c") as player:
        assert await work(realtime.base) == recorded
    assert player.report().passed and not report.passed


async def test_silence_where_there_was_sound_is_no_pass(realtime: Realtime, tmp_path: Path) -> None:
    async def work(base: str, sounds: list[bytes]) -> Any:
        async with connect(base + "/v1/listen?model=nova") as socket:
            for sound in sounds:
                await socket.send(sound)
            return json.loads(await socket.recv())["channel"]

    async with record(tmp_path / "c"):
        said = await work(realtime.base, [SOUND] * 4)
    async with replaying(tmp_path / "c") as player:
        assert await work(ELSEWHERE, [SOUND * 2] * 2) == said  # cut elsewhere
    assert player.report().verdict == "identical" and player.report().notes == []
    async with replaying(tmp_path / "c") as player:
        assert await work(ELSEWHERE, [SOUND[::-1]] * 4) == said
    assert player.report().passed and "sound" in player.report().notes[0]
    async with replaying(tmp_path / "c") as player:
        assert await work(ELSEWHERE, []) == said  # after as long as it took, and a little more
    assert not player.report().passed and "none" in player.report().explain()


async def test_verify_compares_connections_too(realtime: Realtime, tmp_path: Path) -> None:
    changed: Any = {"type": "session.update", "session": {"instructions": "Be rude.", "tools": []}}
    for name, update in (("a", UPDATE), ("b", UPDATE), ("c", changed)):
        async with record(tmp_path / name):
            await with_websockets(realtime.base, [update, EVENTS[1]])
    loaded = {name: Cassette.load(tmp_path / name) for name in "abc"}
    assert verify(loaded["a"], loaded["b"]).verdict == "identical"
    report = verify(loaded["a"], loaded["c"])
    assert report.verdict == "drifted" and report.first is not None
    assert report.first.changes[0].path == "$.session.instructions"


async def test_what_is_ignored_and_what_is_secret(realtime: Realtime, tmp_path: Path) -> None:
    key = "sk-proj-" + "a1B2c3D4e5" * 4
    update: Any = {"type": "session.update", "session": {"api_key": key, "trace": 1}}
    rules = default_rules(ignore=("$.session.trace",))
    async with record(tmp_path / "c", rules=rules):
        await with_websockets(realtime.base, [update, EVENTS[1]])
    update["session"]["trace"] = 2
    async with replaying(tmp_path / "c", rules=rules) as player:
        await with_websockets(ELSEWHERE, [update, EVENTS[1]])
    assert key not in (tmp_path / "c" / "streams.jsonl").read_text()
    assert player.report().verdict == "identical", player.report().explain()


async def test_connections_side_by_side_get_each_its_own_answers(realtime: Realtime, tmp_path: Path) -> None:
    async def speak(base: str, text: str) -> list[str]:
        async with connect(base + "/v1/text-to-speech/anna/stream-input") as socket:
            await socket.send(json.dumps({"text": text}))
            await socket.send(json.dumps({"text": ""}))
            return [str(message) async for message in socket]

    async def work(base: str, texts: list[str]) -> dict[str, list[str]]:
        found = await asyncio.gather(*(speak(base, text) for text in texts))
        return dict(zip(texts, found, strict=True))

    async with record(tmp_path / "c"):
        recorded = await work(realtime.base, ["one", "two", "three"])
    async with replaying(tmp_path / "c") as player:
        assert await work(ELSEWHERE, ["three", "one", "two"]) == recorded
    assert player.report().passed and player.report().played == 3


async def test_a_stopped_service_and_a_cut_connection_end_as_they_did(tmp_path: Path) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from simulate.replay.intercept.websocket_peer import ReplayedPeer, frame

        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        answers: list[bytes] = []
        peer: Any = ReplayedPeer(None, answers.append, secure=False)  # type: ignore[arg-type]
        peer._key = key.partition(b":")[2].strip()
        peer._open({})
        writer.write(answers[0] + frame(1, b'{"type": "hello"}'))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.transport.abort()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def work() -> Any:
        async with connect(f"ws://127.0.0.1:{port}/v1/realtime") as socket:
            heard = [await socket.recv()]
            with pytest.raises(ConnectionClosedError):
                await socket.recv()
            return heard, socket.close_code

    async with server, record(tmp_path / "c"):
        recorded = await work()
    async with replaying(tmp_path / "c") as player:
        assert await asyncio.wait_for(work(), 10) == recorded
    assert player.report().verdict == "identical", player.report().explain()
