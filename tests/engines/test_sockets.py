"""Calls over WebSockets in the protocols of telephony and of models: Twilio's against Pipecat's serializer,
OpenAI's Realtime against a server of its own published types, plain samples by description.

The servers run in the call's own loop, so that time is virtual: a busy machine changes nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="needs the extra voice")
pytest.importorskip("hibari", reason="needs the extra voice")

import numpy as np
import uvicorn
from aiohttp import WSMsgType, web
from google.genai import types as live
from openai.types import realtime as events
from openai.types.realtime.realtime_client_event import RealtimeClientEvent
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter

from simulate.conversation.voice import g711
from simulate.conversation.voice.embedded_speech import Hibari
from simulate.conversation.voice.pcm import Samples
from simulate.determinism.clock import run_virtual
from simulate.errors import AddressError, InputError
from simulate.integrations.registry import engine_for
from simulate.integrations.sockets.engine import SocketEngine
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]
GREETING = "Hello, this is order support. How can I help you?"
SHORT: dict[str, Any] = {
    "limits": {"reply": "6 s", "time": "40 s"},
    "persona": {"voice": {"waits": "medium"}},
}

POLICY = "Parcels that never came are refunded in full within thirty days."
STATUS = "It has shipped, and will be with you on Tuesday. We are sorry that you had to wait."

Handle = Callable[[web.WebSocketResponse], Awaitable[None]]


async def call(scenario: Scenario, folder: Path, engine: SocketEngine | None = None) -> Outcome:
    async with Resources(Project.find(ROOT), [scenario], agent=engine, logs=folder / "logs") as stage:
        return await run_trial(TrialSpec(scenario, folder=folder), stage)


def phone(agent: str, script: list[dict[str, Any]], **more: Any) -> Scenario:
    return Scenario(name="phone", medium="voice", agent=agent, script=script, **{**SHORT, **more})  # type: ignore[arg-type]


@pytest.fixture
def _no_spans_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulate.trace.capture.capture.SETTLE_OUTSIDE", 0.2)


@contextlib.asynccontextmanager
async def serving(handle: Handle) -> AsyncGenerator[str]:
    """A WebSocket server with one handler; its URL."""

    async def take(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await handle(socket)
        return socket

    app = web.Application()
    app.router.add_get("/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def called(
    scheme: str, handle: Handle, script: list[dict[str, Any]], folder: Path, settings: Any = None, **more: Any
) -> Outcome:
    """A call to the server at this scheme's address."""

    async def carry() -> Outcome:
        async with serving(handle) as url:
            engine = SocketEngine(f"{scheme}:{url}", settings=settings)
            return await call(phone(engine.address, script, **more), folder, engine)

    return run_virtual(carry())


async def spoken(text: str, rate: int) -> Samples:
    return (await Hibari().say(text)).at(rate).samples


class Ear:
    """Whether the caller speaks, from the level of what comes."""

    def __init__(self) -> None:
        self.loud = self.quiet = 0
        self.speaking = False

    def began(self, samples: Samples) -> bool:
        """True once for each stretch of speech; ``ended`` likewise."""
        level = float(np.abs(samples.astype(np.int32)).mean()) if len(samples) else 0.0
        self.loud, self.quiet = (self.loud + 1, 0) if level > 300 else (0, self.quiet + 1)
        if not self.speaking and self.loud >= 5:
            self.speaking = True
            return True
        return False

    def ended(self) -> bool:
        if self.speaking and self.quiet >= 40:
            self.speaking = False
            return True
        return False


# -- Twilio


def test_mu_law_is_that_of_the_telephone() -> None:
    audioop = pytest.importorskip("audioop")
    samples = np.arange(-32768, 32768, dtype=np.int16)
    assert g711.to_mu_law(samples) == audioop.lin2ulaw(samples.tobytes(), 2)
    codes = bytes(range(256))
    assert g711.from_mu_law(codes).tobytes() == audioop.ulaw2lin(codes, 2)


@contextlib.asynccontextmanager
async def pipecat_server() -> AsyncGenerator[str]:
    """The bot of `fixtures.agents.phone_server` behind Pipecat's own parser and serializer."""
    from fixtures.agents.phone_server import app  # imports Pipecat, which warns

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/twilio"
    server.should_exit = True
    await serving


def test_a_call_as_twilio_brings_it_to_pipecat(tmp_path: Path) -> None:
    """What waits in the line is taken back when the caller cuts in; keys and words arrive."""

    async def carry() -> Outcome:
        async with pipecat_server() as url:
            talk = phone(
                f"twilio:{url}",
                [
                    {"says": "Hello, what is your policy when a parcel never came?"},
                    {"says": "Stop. My order number is seven two nine one.", "interrupts_after": "1 s"},
                ],
                speaks_first="agent",
                tools={"search_policy": {"text": POLICY}},
                expect=[{"stops_within": "2 s"}, {"said": {"contains": "7291"}}],
                limits={"reply": "20 s", "time": "90 s"},
            )
            return await call(talk, tmp_path)

    outcome = run_virtual(carry())
    assert outcome.passed, outcome.explain()
    cut = next(said for said in outcome.conversation.by("agent") if said.interrupted)
    assert "thirty" not in cut.text.lower(), "the rest was not heard"


@pytest.mark.usefixtures("_no_spans_come")
def test_every_message_of_twilio(tmp_path: Path) -> None:
    """A mark comes back when what stands before it was heard, keys as messages, and ``stop`` at the end."""
    came: list[dict[str, Any]] = []

    async def handle(socket: web.WebSocketResponse) -> None:
        sound = base64.b64encode(g711.to_mu_law(await spoken(GREETING, 8000))).decode()
        stream = ""
        async for message in socket:
            told = json.loads(message.data)
            came.append(told)
            if told["event"] == "start":
                stream = told["streamSid"]
                for event in (
                    {"event": "media", "media": {"payload": sound}},
                    {"event": "mark", "mark": {"name": "greeted"}},
                ):
                    await socket.send_json({**event, "streamSid": stream})
            if told["event"] == "dtmf" and told["dtmf"]["digit"] == "#":
                await socket.send_json({"event": "media", "media": {"payload": sound}, "streamSid": stream})

    outcome = called(
        "twilio",
        handle,
        [{"dtmf": "44#"}],
        tmp_path,
        {"from_number": "+15550100"},
        speaks_first="agent",
        expect=[{"said": {"contains": "order support"}}],
    )
    assert outcome.passed, outcome.explain()
    kinds = [told["event"] for told in came]
    assert kinds[:2] == ["connected", "start"] and kinds[-1] == "stop"
    start = came[1]["start"]
    assert start["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert (
        start["customParameters"]["from_number"] == "+15550100" and "traceparent" in start["customParameters"]
    )
    assert [told["dtmf"]["digit"] for told in came if told["event"] == "dtmf"] == ["4", "4", "#"]
    before = kinds[: kinds.index("mark")].count("media") * 0.02
    greeting = outcome.conversation.by("agent")[0]
    assert before >= greeting.end - 0.1, "it was heard to its end first"
    numbers = [int(told["sequenceNumber"]) for told in came[1:]]
    assert numbers == list(range(1, len(numbers) + 1))


NONSENSE = {
    "twilio": [
        (b"\x00" * 160, "bytes instead of Twilio's JSON"),
        ("hello", "not a JSON object"),
        ('{"event": "media", "streamSid": "MZ1"}', "a message for the stream 'MZ1'"),
    ],
    "realtime": [
        (b"\x00" * 160, "bytes instead of the Realtime protocol"),
        ("[]", "not a JSON object"),
        ('{"type": "response.output_audio.delta", "delta": "$"}', "not base64"),
        (
            '{"type": "response.done", "response": {"status": "failed", "status_details": '
            '{"error": {"message": "the tool is not known"}}}}',
            "its response failed: the tool is not known",
        ),
    ],
}


@pytest.mark.usefixtures("_no_spans_come")
@pytest.mark.parametrize(
    ("scheme", "message", "reason"),
    [(scheme, *one) for scheme, many in NONSENSE.items() for one in many],
    ids=lambda value: str(value)[:20],
)
def test_an_agent_that_sends_nonsense(tmp_path: Path, scheme: str, message: Any, reason: str) -> None:
    async def handle(socket: web.WebSocketResponse) -> None:
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
        async for _ in socket:
            pass

    outcome = called(scheme, handle, [{"says": "Hello?"}], tmp_path)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
    assert reason in str(outcome.reason)


@pytest.mark.usefixtures("_no_spans_come")
def test_a_realtime_model_without_quota_is_no_fault_of_the_agent(tmp_path: Path) -> None:
    error = {"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded it."}
    response = {"status": "failed", "status_details": {"type": "failed", "error": error}}

    async def handle(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"type": "response.done", "response": response})
        async for _ in socket:
            pass

    outcome = called("realtime", handle, [{"says": "Hello?"}], tmp_path)
    assert (outcome.status, outcome.side) == ("error", "environment"), outcome.explain()
    assert "You exceeded it." in str(outcome.reason)


# -- OpenAI's Realtime

CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class RealtimeServer:
    """Greets, looks the order up, tells its status at length; each event is one of OpenAI's own types."""

    def __init__(self) -> None:
        self.took: list[Any] = []
        self.session: dict[str, Any] = {}
        self._number = 0
        self._items = 0

    async def __call__(self, socket: web.WebSocketResponse) -> None:
        ear, cut = Ear(), asyncio.Event()
        await self.tell(socket, "session.created", session={"type": "realtime", "model": "m"})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            told = CLIENT.validate_json(message.data)
            self.took.append(told)
            if told.type == "session.update":
                self.session = json.loads(message.data)["session"]
                await self.tell(socket, "session.updated", session={"type": "realtime", "model": "m"})
            elif told.type == "response.create":
                asked = [one for one in self.took if one.type == "conversation.item.create"]
                await self.say(socket, STATUS if asked else GREETING)
            elif told.type == "input_audio_buffer.append":
                samples = np.frombuffer(base64.b64decode(told.audio), "<i2")
                if ear.began(samples):
                    cut.set()
                    await self.tell(
                        socket, "input_audio_buffer.speech_started", audio_start_ms=0, item_id=self.item()
                    )
                elif ear.ended():
                    asked = [one for one in self.took if one.type == "conversation.item.create"]
                    await self.heard(socket, "My order is 4417." if not asked else "Thanks.")
                    if not asked:
                        await self.look_up(socket)
                    else:
                        await self.say(socket, "Goodbye.")

    def item(self) -> str:
        self._items += 1
        return f"item_{self._items}"

    async def tell(self, socket: web.WebSocketResponse, kind: str, **content: Any) -> None:
        self._number += 1
        event = SERVER.validate_python({"type": kind, "event_id": f"event_{self._number}", **content})
        await socket.send_str(event.model_dump_json(exclude_none=True))

    async def say(self, socket: web.WebSocketResponse, text: str) -> None:
        place = {"response_id": "r", "item_id": self.item(), "output_index": 0, "content_index": 0}
        sound = np.concatenate([await spoken(text, 24_000), np.zeros(24_000, np.int16)])
        for piece in np.array_split(sound, 5):  # all at once, with silence at its end
            delta = base64.b64encode(piece.astype("<i2").tobytes()).decode()
            await self.tell(socket, "response.output_audio.delta", delta=delta, **place)
        await self.tell(socket, "response.output_audio_transcript.done", transcript=text, **place)
        await self.tell(socket, "response.done", response={"status": "completed", "output": []})

    async def heard(self, socket: web.WebSocketResponse, text: str) -> None:
        await self.tell(
            socket,
            "conversation.item.input_audio_transcription.completed",
            transcript=text,
            item_id=self.item(),
            content_index=0,
            usage={"type": "duration", "seconds": 1.0},
        )

    async def look_up(self, socket: web.WebSocketResponse) -> None:
        output = {
            "type": "function_call",
            "name": "lookup_order",
            "call_id": "call_1",
            "arguments": '{"order_id": "4417"}',
        }
        usage = {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19}
        response = {"status": "completed", "output": [output], "usage": usage}
        await self.tell(socket, "response.done", response=response)


@pytest.mark.usefixtures("_no_spans_come")
def test_a_call_to_a_realtime_model(tmp_path: Path) -> None:
    """The client answers its tool, falls silent where it was interrupted, and tells how much it played."""
    server = RealtimeServer()
    outcome = called(
        "realtime",
        server,
        [
            {"says": "My order is four four one seven."},
            {"says": "Thanks, that is enough.", "interrupts_after": "1.5 s"},
        ],
        tmp_path,
        {"instructions": "Be brief.", "audio": {"output": {"voice": "cedar"}}},
        speaks_first="agent",
        tools={"lookup_order": {"status": "shipped"}},
        expect=[
            {"called": "lookup_order", "with": {"order_id": "4417"}},
            {"heard": "4417"},
            {"said": {"contains": "order support"}},
            {"stops_within": "1 s"},
        ],
    )
    assert outcome.passed, outcome.explain()
    assert server.session["instructions"] == "Be brief."
    assert server.session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "cedar",
    }
    (answer,) = [one.item for one in server.took if one.type == "conversation.item.create"]
    assert isinstance(answer, events.RealtimeConversationItemFunctionCallOutput)
    assert (answer.call_id, json.loads(answer.output)) == ("call_1", {"status": "shipped"})
    (taken_back,) = [one for one in server.took if one.type == "conversation.item.truncate"]
    cut = next(said for said in outcome.conversation.by("agent") if said.interrupted)
    assert abs(taken_back.audio_end_ms / 1000 - (cut.end - cut.start)) < 0.5
    assert outcome.trace is not None
    assert {"stt", "tts"} <= {span.name for span in outcome.trace.spans}
    assert outcome.measures["asr_entity_accuracy"] == 1.0


# -- Gemini's Live API


class GeminiServer:
    """Looks the order up and tells its status; each message is one of Google's own types."""

    def __init__(self) -> None:
        self.took: list[live.LiveClientMessage] = []

    async def __call__(self, socket: web.WebSocketResponse) -> None:
        ear = Ear()
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            told = live.LiveClientMessage.model_validate_json(message.data)
            answered = any(one.tool_response for one in self.took)
            self.took.append(told)
            if told.setup is not None:
                await socket.send_bytes(b'{"setupComplete": {}}')
            elif told.client_content is not None:
                await self.say(socket, GREETING)
            elif told.tool_response is not None:
                await self.say(socket, STATUS)
            elif told.realtime_input is not None and told.realtime_input.audio is not None:
                samples = np.frombuffer(told.realtime_input.audio.data or b"", "<i2")
                if ear.began(samples):
                    await self.tell(socket, interrupted=True)
                elif ear.ended():
                    heard = "Thanks." if answered else "My order is 4417."
                    await self.tell(socket, input_transcription={"text": heard})
                    if answered:
                        await self.say(socket, "Goodbye.")
                    else:
                        call = {"id": "call_1", "name": "lookup_order", "args": {"order_id": "4417"}}
                        await self.put(socket, live.LiveServerMessage.model_validate(
                            {"tool_call": {"function_calls": [call]}}
                        ))  # fmt: skip

    async def put(self, socket: web.WebSocketResponse, message: live.LiveServerMessage) -> None:
        await socket.send_bytes(message.model_dump_json(by_alias=True, exclude_none=True).encode())

    async def tell(self, socket: web.WebSocketResponse, **content: Any) -> None:
        await self.put(socket, live.LiveServerMessage.model_validate({"server_content": content}))

    async def say(self, socket: web.WebSocketResponse, text: str) -> None:
        sound = (await spoken(text, 24_000)).astype("<i2").tobytes()
        blob = {"mime_type": "audio/pcm;rate=24000", "data": base64.b64encode(sound).decode()}
        await self.tell(socket, output_transcription={"text": text})
        await self.tell(socket, model_turn={"parts": [{"inline_data": blob}]})
        await self.tell(socket, turn_complete=True)


@pytest.mark.usefixtures("_no_spans_come")
def test_a_call_to_geminis_live_api(tmp_path: Path) -> None:
    server = GeminiServer()
    outcome = called(
        "gemini",
        server,
        [
            {"says": "My order is four four one seven."},
            {"says": "Thanks, that is enough.", "interrupts_after": "1.5 s"},
        ],
        tmp_path,
        {"model": "models/m", "systemInstruction": {"parts": [{"text": "Be brief."}]}},
        speaks_first="agent",
        tools={"lookup_order": {"status": "shipped"}},
        expect=[
            {"called": "lookup_order", "with": {"order_id": "4417"}},
            {"heard": "4417"},
            {"said": {"contains": "order support"}},
            {"stops_within": "1 s"},
        ],
    )
    assert outcome.passed, outcome.explain()
    setup = server.took[0].setup
    assert setup is not None and setup.model == "models/m" and setup.output_audio_transcription is not None
    (answer,) = [one.tool_response for one in server.took if one.tool_response]
    assert answer.function_responses is not None
    assert answer.function_responses[0].response == {"output": {"status": "shipped"}}
    assert outcome.trace is not None and {"stt", "tts"} <= {span.name for span in outcome.trace.spans}


# -- plain samples


@pytest.mark.usefixtures("_no_spans_come")
@pytest.mark.parametrize("described", [False, True], ids=["binary", "JSON"])
def test_plain_samples(tmp_path: Path, described: bool) -> None:
    settings: dict[str, Any] = {"rate": 8000, "agent_rate": 24_000}
    if described:
        settings |= {
            "encoding": "pcm16",
            "sends": {"type": "audio", "audio": {"data": "{{audio}}"}},
            "takes": {"type": "speech", "chunk": {"pcm": "{{audio}}"}},
            "ends": {"type": "bye"},
            "begins": {"type": "hello", "format": "pcm16"},
        }
    came: list[Any] = []

    async def handle(socket: web.WebSocketResponse) -> None:
        sound = (await spoken(GREETING, 24_000)).astype("<i2").tobytes()
        ear = Ear()
        async for message in socket:
            told = json.loads(message.data) if described else None
            if told is not None and told["type"] == "hello":
                came.append(told)
                continue
            data = message.data if told is None else base64.b64decode(told["audio"]["data"])
            came.append(data)
            ear.began(np.frombuffer(data, "<i2"))
            if not ear.ended():
                continue
            for at in range(0, len(sound), 4801):  # pieces that cut a sample in two
                piece = sound[at : at + 4801]
                if described:
                    piece = sound[at // 4801 * 4800 : at // 4801 * 4800 + 4800]
                    chunk = {"pcm": base64.b64encode(piece).decode(), "n": at}
                    await socket.send_json({"type": "speech", "chunk": chunk})
                else:
                    await socket.send_bytes(piece)
            await asyncio.sleep(len(sound) / 48_000 + 0.3)
            if described:
                await socket.send_json({"type": "bye"})
            await socket.close()

    outcome = called(
        "pcm",
        handle,
        [{"says": "Hello, is anybody there?"}],
        tmp_path,
        settings,
        expect=[{"said": {"contains": "order support"}}, {"ended_by": "agent"}],
    )
    assert outcome.passed, outcome.explain()
    if described:
        assert came.pop(0) == {"type": "hello", "format": "pcm16"}
    assert {len(data) for data in came} <= {320}, "20 ms at 8 kHz"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rate": 100}, "options.rate"),
        ({"sends": {"type": "audio"}}, "where the sound goes"),
        ({"takes": {"data": "data:audio/pcm;base64,{{audio}}"}}, "where the sound goes"),
        ({"takes": {"parts": ["{{audio}}"]}}, "where the sound goes"),
        ({"codec": "opus"}, "options.codec"),
    ],
)
def test_a_description_that_says_nothing(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        SocketEngine("pcm:ws://127.0.0.1:9", settings=options)


@pytest.mark.parametrize("address", ["twilio:", "twilio:https://host/voice", "realtime:ws://", "pcm:host:1"])
def test_addresses_without_a_websocket(address: str) -> None:
    with pytest.raises(AddressError, match=r"does not begin with ws://|names no host"):
        engine_for(address, "voice", root=ROOT)
