"""Calls to real Pipecat bots, in the process and over WebSocket, with real speech on both sides.

Calls in the process run in virtual time, which changes neither what is said nor when it is heard."""

from __future__ import annotations

import asyncio
import os
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pipecat", reason="needs the extra voice")
pytest.importorskip("hibari", reason="needs the extra voice")

from aiohttp import WSMsgType, web

from fixtures.rooms import believed
from simulate.conversation.voice.recording import read_channels
from simulate.determinism.clock import run_virtual
from simulate.errors import AddressError, InputError, MissingExtra
from simulate.integrations.pipecat.engine import PipecatEngine, load_bot
from simulate.integrations.registry import engine_for
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run, run_trial
from simulate.scenario_files import load_scenarios

ROOT = Path(__file__).parents[2]
# Pipecat imports a module that Python 3.13 no longer has, and subclasses what it has itself deprecated
pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]


async def call(scenario: Scenario, folder: Path | None = None, seed: int = 0) -> Outcome:
    """One call, with everything that the product does around it."""
    logs = None if folder is None else folder / "logs"
    async with Resources(Project.find(ROOT), [scenario], logs=logs) as stage:
        return await run_trial(TrialSpec(scenario, folder=folder, seed=seed), stage)


def virtually(scenario: Scenario, folder: Path | None = None) -> Outcome:
    return run_virtual(call(scenario, folder))


def phone(agent: str, script: list[dict[str, Any]], **more: Any) -> Scenario:
    given = {"name": "phone", "medium": "voice", **more}
    return Scenario(agent=agent, script=script, **given)  # type: ignore[arg-type]


def example(name: str, agent: str = "phone") -> Scenario:
    (loaded,) = load_scenarios([ROOT / "scenarios" / "voice" / f"{name}.yaml"])
    return loaded.scenario.model_copy(update={"agent": agent})


def failed(outcome: Outcome) -> list[str]:
    return [verdict.check for verdict in outcome.verdicts if verdict.status != "passed"]


# -- a call as it should be


def test_a_call_with_barge_in(tmp_path: Path) -> None:
    outcome = virtually(example("barge_in"), tmp_path)
    assert outcome.passed, outcome.explain()
    said = outcome.conversation.by("agent")
    assert "order support" in said[0].text.lower()
    assert any(each.interrupted for each in said), "the agent was cut short"
    assert outcome.measures["caller_interruptions"] == 1
    names = [span.name for span in outcome.trace.spans]
    assert {"turn", "stt", "llm", "tts"} <= set(names), names
    assert {span.trace_id for span in outcome.trace.spans} == {outcome.conversation.id}
    left, right, rate = read_channels(str(outcome.recording))
    assert len(left) == len(right) and abs(len(left) / rate - outcome.conversation.duration) < 0.1
    assert left.any() and right.any()
    first = next(each for each in outcome.conversation.utterances if each.speaker == "caller")
    at = int(first.start * rate)
    assert left[at : at + rate].any() and not left[: max(0, at - rate // 5)].any(), "one clock for both"


def test_what_was_not_heard_is_in_no_transcript(tmp_path: Path) -> None:
    """The bot has its whole answer ready; the caller cuts in after a second of it."""
    talk = phone(
        "phone",
        [
            {"says": "Hello, what is your policy when a parcel never came?"},
            {"says": "Stop, please. My order number is seven two nine one.", "interrupts_after": "1 s"},
        ],
        speaks_first="agent",
        tools={"search_policy": {"text": "Parcels that never came are refunded in full within thirty days."}},
        limits={"reply": "15 s"},
    )
    outcome = virtually(talk, tmp_path)
    cut = next(each for each in outcome.conversation.by("agent") if each.interrupted)
    assert "policy" in cut.text.lower() and "thirty" not in cut.text.lower(), cut.text
    _, right, rate = read_channels(str(outcome.recording))
    following = next(each for each in outcome.conversation.by("agent") if each.start > cut.end)
    between = right[int((cut.end + 0.1) * rate) : int((following.start - 0.1) * rate)]
    assert len(between) > rate and abs(between).max() < 10, "nor does its end sound before the next answer"


def test_a_caller_that_waits_for_a_word(tmp_path: Path) -> None:
    """It cuts in once it has heard it, hesitates, and understands the number also over a bad line."""
    talk = phone(
        "phone",
        [
            {"says": "Hello, what is your policy when a parcel never came?"},
            {
                "says": "My order number is six eight one five.",
                "interrupts_when": "refunded",
                "waits": "300 ms",
            },
        ],
        speaks_first="agent",
        persona={"voice": {"line": "bad", "waits": "high"}},
        tools={
            "search_policy": {
                "text": "Parcels that never came are refunded in full. "
                "Returns are free within thirty days, as long as the goods are in their box."
            },
            "lookup_order": {"status": "lost", "total": 42.5},
        },
        expect=[{"called": "lookup_order", "with": {"order_id": "6815"}}],
        limits={"reply": "15 s"},
    )
    outcome = virtually(talk, tmp_path)
    assert outcome.passed, outcome.explain()
    cut = next(each for each in outcome.conversation.by("agent") if each.interrupted)
    assert "refunded" in cut.text.lower() and "box" not in cut.text.lower(), cut.text


def test_the_same_seed_makes_the_same_call(tmp_path: Path) -> None:
    talk = example("noisy_order_number")
    runs = [run_virtual(call(talk, tmp_path / str(number), seed=3)) for number in range(2)]
    first, second = ([(each.speaker, each.text) for each in one.conversation.utterances] for one in runs)
    assert first == second
    left = [read_channels(str(one.recording))[0] for one in runs]
    start = next(each.start for each in runs[0].conversation.by("caller"))
    assert (left[0][: int(start * 16000) - 800] == left[1][: int(start * 16000) - 800]).all(), "the noise too"


# -- twins with one fault each: found by the check that should find it, and by no other

TWINS = {
    "ignores_barge_in": ("barge_in", "stops_within"),
    "dead_air": ("barge_in", "no_dead_air"),
    "stops_on_mhm": ("backchannel", "ignores_backchannel"),
    "mishears_digits": ("noisy_order_number", "heard"),
    "greets_twice": ("barge_in", "not_said"),
}


@pytest.mark.parametrize("twin", TWINS)
def test_the_faulty_twin_is_found(twin: str, tmp_path: Path) -> None:
    scenario, check = TWINS[twin]
    outcome = virtually(example(scenario, twin), tmp_path)
    assert failed(outcome) == [check], outcome.explain()
    if twin == "ignores_barge_in":
        assert not any(said.interrupted for said in outcome.conversation.by("agent")), "it talked on"
    assert (outcome.status, outcome.side) == ("failed", "agent")


@pytest.mark.parametrize(
    "name", ["voice/backchannel", "voice/keypad", "voice/silent_caller", "outbound/voicemail"]
)
def test_the_other_examples_pass(name: str, tmp_path: Path) -> None:
    (loaded,) = load_scenarios([ROOT / "scenarios" / f"{name}.yaml"])
    outcome = virtually(loaded.scenario, tmp_path)
    assert outcome.passed, outcome.explain()


def test_a_breath_inside_a_line_is_not_its_end(tmp_path: Path) -> None:
    """The bot takes 0.6 s of silence for the end of a turn: a breath of 1.6 s is talked into."""
    line = {"says": "My order number is seven two nine one … and it has never come."}
    expect: Any = [{"lets_caller_finish": True}]
    for pauses, wrong in (("200 ms", []), ("1600 ms", ["lets_caller_finish"])):
        talk = phone("phone", [{**line, "pauses": pauses}], speaks_first="agent", expect=expect)
        outcome = virtually(talk, tmp_path / pauses)
        assert failed(outcome) == wrong, outcome.explain()
    assert outcome.measures["premature_ends"] >= 1


# -- bots that break


HEAD = """
    import asyncio
    import numpy as np
    from pipecat.frames.frames import EndFrame, OutputAudioRawFrame, TTSAudioRawFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.workers.runner import WorkerRunner

    def humming(seconds, rate=24000, channels=1):
        moments = np.arange(int(seconds * rate)) / rate
        sound = (8000 * np.sin(2 * np.pi * 220 * moments) * np.sin(2 * np.pi * 3 * moments)).astype(np.int16)
        return OutputAudioRawFrame(np.repeat(sound, channels).tobytes(), rate, channels)

    async def carry(transport, greet=None, params=None):
        worker = PipelineWorker(
            Pipeline([transport.input(), transport.output()]),
            params=params or PipelineParams(), enable_rtvi=False, idle_timeout_secs=None,
        )

        @transport.event_handler("on_client_connected")
        async def connected(*_):
            if greet is not None:
                asyncio.ensure_future(greet(worker))

        @transport.event_handler("on_client_disconnected")
        async def gone(*_):
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()
"""


def bot(folder: Path, body: str) -> str:
    """A file with a bot in it; its address."""
    file = folder / f"bot_{abs(hash(body)) % 10**9}.py"
    file.write_text(textwrap.dedent(HEAD) + textwrap.dedent(body))
    return f"pipecat:{file}:bot"


QUICK: dict[str, Any] = {"limits": {"reply": "4 s", "time": "30 s"}}

BROKEN = {
    "raises at once": (
        """
        async def bot(transport):
            raise ValueError("no database")
        """,
        "the bot raised ValueError: no database",
    ),
    "raises in the middle": (
        """
        async def bot(transport):
            running = asyncio.ensure_future(carry(transport))
            await asyncio.sleep(3)
            running.cancel()
            raise ValueError("no database any more")
        """,
        "no database any more",
    ),
    "runs no pipeline": (
        """
        async def bot(transport):
            return None
        """,
        "returned before its pipeline took the call",
    ),
    "never takes the call": (
        """
        async def bot(transport):
            await asyncio.sleep(3600)
        """,
        "took more than 30 s before its pipeline took the call",
    ),
    "is silent": (
        """
        async def bot(transport):
            await carry(transport)
        """,
        "said nothing for 4 s",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_bot_that_breaks_is_the_agents_fault(kind: str, tmp_path: Path) -> None:
    body, reason = BROKEN[kind]
    limits = {"reply": "4 s", "time": "60 s"}
    talk = phone(bot(tmp_path, body), [{"says": "Hello, is anybody there?"}], limits=limits)
    outcome = virtually(talk, tmp_path)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
    assert reason in str(outcome.reason)
    assert outcome.recording is not None and Path(outcome.recording).is_file(), "what there was is kept"


RAISES = """
    from pipecat.frames.frames import TTSStoppedFrame
    class Service(FrameProcessor):
        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            await self.push_frame(frame, direction)
    async def bot(transport):
        service = Service(name="speech")
        worker = PipelineWorker(
            Pipeline([transport.input(), service, transport.output()]), enable_rtvi=False,
            idle_timeout_secs=None,
        )
        @transport.event_handler("on_client_connected")
        async def connected(*_):
            await worker.queue_frame(humming(1.5))
            await asyncio.sleep(2.5)
            await service.push_error(error_msg="quota exceeded", fatal=FATAL)
        @transport.event_handler("on_client_disconnected")
        async def gone(*_):
            await worker.cancel()
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()
"""


@pytest.mark.parametrize("fatal", [True, False])
def test_what_a_service_of_the_bot_raised_is_told(fatal: bool, tmp_path: Path) -> None:
    """A pipeline that ended with an error did not hang up; a deaf one has it beside its silence."""
    address = bot(tmp_path, RAISES.replace("FATAL", str(fatal)))
    talk = phone(address, [{"says": "Hello?", "waits": "3 s"}], speaks_first="agent", **QUICK)
    outcome = virtually(talk, tmp_path)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
    assert any("speech" in note and "quota exceeded" in note for note in outcome.notes), outcome.notes
    assert "quota exceeded" in outcome.explain()
    assert ("ended with an error" if fatal else "said nothing for 4 s") in str(outcome.reason)


def test_a_bot_that_hangs_up_is_no_fault(tmp_path: Path) -> None:
    address = bot(
        tmp_path,
        """
        async def bot(transport):
            async def greet(worker):
                await worker.queue_frame(humming(1.5))
                await worker.queue_frame(EndFrame())
            await carry(transport, greet)
        """,
    )
    talk = phone(
        address,
        [{"says": "Hello?", "waits": "3 s"}],
        expect=[{"ended_by": "agent"}],
        speaks_first="agent",
        **QUICK,
    )
    outcome = virtually(talk, tmp_path)
    assert outcome.passed, outcome.explain()
    _, right, _ = read_channels(str(outcome.recording))
    loud = (abs(right) > 200).nonzero()[0]
    assert 1.3 * 16000 < loud[-1] - loud[0] < 1.7 * 16000, "all of it was heard"


def test_a_bot_that_does_not_notice_the_end_is_ended_and_told(tmp_path: Path) -> None:
    address = bot(
        tmp_path,
        """
        async def bot(transport):
            worker = PipelineWorker(
                Pipeline([transport.input(), transport.output()]), enable_rtvi=False, idle_timeout_secs=None
            )
            runner = WorkerRunner(handle_sigint=False)
            await runner.add_workers(worker)
            await runner.run()
        """,
    )
    talk = phone(address, [{"says": "Goodbye."}, {"hangs_up": True}], **QUICK)
    outcome = virtually(talk, tmp_path)
    assert any("went on for 3 s after the caller had hung up" in note for note in outcome.notes), (
        outcome.notes
    )


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (24000, 2), (48000, 1)])
def test_rates_and_channels_of_bots(tmp_path: Path, rate: int, channels: int) -> None:
    """A second and a half of sound is that, whatever the bot's output is set to."""
    address = bot(
        tmp_path,
        f"""
        from pipecat.transports.base_transport import TransportParams

        async def bot(transport):
            transport.adopt(TransportParams(audio_out_channels={channels}))
            async def greet(worker):
                await worker.queue_frame(humming(1.5, {rate}, {channels}))
            await carry(transport, greet, PipelineParams(
                audio_out_sample_rate={rate}, audio_in_sample_rate={rate}
            ))
        """,
    )
    talk = phone(address, [{"silent_for": "3 s"}, {"hangs_up": True}], **QUICK)
    outcome = virtually(talk, tmp_path)
    _, right, _ = read_channels(str(outcome.recording))
    loud = (abs(right) > 300).nonzero()[0]
    assert 1.4 * 16000 < loud[-1] - loud[0] < 1.6 * 16000
    assert (outcome.status, outcome.side) == ("passed", None), outcome.explain()


def test_half_an_hour_of_silence(tmp_path: Path) -> None:
    """The limit ends it; nothing piles up meanwhile."""
    address = bot(tmp_path, "async def bot(transport):\n    await carry(transport)\n")
    talk = phone(
        address,
        [{"silent_for": "30 m"}, {"hangs_up": True}],
        expect=[{"ended_by": "caller"}],
        limits={"time": "31 m"},
    )
    outcome = virtually(talk)
    assert outcome.passed, outcome.explain()
    assert outcome.measures["silence_seconds"] == pytest.approx(1800, abs=5)


def test_a_call_from_python_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that listen are judged, and the recording is where the outcome says."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    at_exit: list[tuple[Any, ...]] = []
    monkeypatch.setattr("atexit.register", lambda function, *args, **more: at_exit.append((function, args)))
    talk = phone(
        "phone",
        [{"says": "Hello, what is your return policy?"}],
        speaks_first="agent",
        expect=[{"replied_within": "5 s"}, {"no_dead_air": "6 s"}],
        limits={"reply": "15 s"},
    )
    monkeypatch.chdir(ROOT)
    outcome = run_virtual(run(talk))
    assert outcome.passed, outcome.explain()
    assert Path(str(outcome.recording)).is_file()
    assert Path(str(outcome.recording)).is_relative_to(tmp_path)
    for function, args in at_exit:
        function(*args, ignore_errors=True)
    assert not Path(str(outcome.recording)).exists(), "nothing stays behind the process"


def test_nothing_is_left_after_a_call(tmp_path: Path) -> None:
    talk = phone("phone", [{"says": "Hello, what is your return policy?"}], limits={"reply": "15 s"})

    async def twice() -> tuple[set[str], set[str], int, int]:
        await call(talk, tmp_path / "0")
        tasks, files = {each.get_name() for each in asyncio.all_tasks()}, len(os.listdir("/proc/self/fd"))
        await call(talk, tmp_path / "1")
        again = {each.get_name() for each in asyncio.all_tasks()}
        return tasks, again, files, len(os.listdir("/proc/self/fd"))

    tasks, again, files, files_again = run_virtual(twice())
    assert again == tasks and len(again) == 1
    assert files_again <= files


# -- over WebSocket


@pytest.fixture
def _no_spans_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """These bots have no exporter, so that waiting for its batch would prove nothing."""
    monkeypatch.setattr("simulate.trace.capture.capture.SETTLE_OUTSIDE", 0.2)


@pytest.mark.alone
async def test_a_bot_in_a_process_of_its_own(tmp_path: Path) -> None:
    talk = phone(
        "phone_server",
        [
            {"says": "Please look up my order seven two nine one."},
        ],
        speaks_first="agent",
        persona={"voice": {"waits": "high"}},
        expect=[{"heard": "7291"}, {"called": "lookup_order", "with": {"order_id": "7291"}}],
        limits={"reply": "20 s", "time": "90 s"},
    )
    outcome = await believed(partial(call, talk), tmp_path)
    assert outcome.passed, outcome.explain()
    assert {span.trace_id for span in outcome.trace.spans} == {outcome.conversation.id}
    assert {"turn", "stt", "llm", "tts"} <= {span.name for span in outcome.trace.spans}


def served(handle: Any, folder: Path, **more: Any) -> Outcome:
    """A call to a WebSocket server whose one handler is given, in the call's own loop and virtual time."""

    async def carry() -> Outcome:
        app = web.Application()
        app.router.add_get("/", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"ws://127.0.0.1:{runner.addresses[0][1]}"
        try:
            return await call(phone(address, [{"says": "Hello?"}], **QUICK, **more), folder)
        finally:
            await runner.cleanup()

    return run_virtual(carry())


def sound(rate: int, channels: int = 1) -> bytes:
    from pipecat.frames.protobufs import frames_pb2

    frame = frames_pb2.Frame()  # type: ignore[attr-defined]
    frame.audio.audio = bytes(640 * channels)
    frame.audio.sample_rate, frame.audio.num_channels = rate, channels
    return frame.SerializeToString()


@pytest.mark.usefixtures("_no_spans_come")
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("hello", "a text message instead of Pipecat's protobuf frames"),
        (b"\xff\xff\xff\xff", "not a frame of Pipecat's protobuf serializer"),
        (sound(4_000), "a sample rate of 4000 Hz"),
        (sound(1_000_000), "a sample rate of 1000000 Hz"),
        (sound(16_000, 6), "6 channels"),
    ],
    ids=["text", "other bytes", "rate too low", "rate too high", "channels"],
)
def test_a_bot_that_sends_nonsense(tmp_path: Path, message: Any, reason: str) -> None:
    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
        async for _ in socket:
            pass
        return socket

    outcome = served(handle, tmp_path)
    assert (outcome.status, outcome.side) == ("failed", "agent"), outcome.explain()
    assert reason in str(outcome.reason)


@pytest.mark.usefixtures("_no_spans_come")
@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [(1000, "passed", "hung up"), (1011, "failed", "broke off (code 1011)")],
    ids=["hangs up", "crashes"],
)
def test_a_bot_that_closes_the_socket(tmp_path: Path, code: int, status: str, reason: str) -> None:
    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            assert message.type is WSMsgType.BINARY
            await asyncio.sleep(0.5)
            await socket.close(code=code)
        return socket

    outcome = served(handle, tmp_path, expect=[{"ended_by": "agent"}])
    assert outcome.status == status, outcome.explain()
    assert reason in str(outcome.conversation.end_reason or outcome.reason)


@pytest.mark.usefixtures("_no_spans_come")
@pytest.mark.parametrize(
    ("answer", "side", "told"),
    [
        (403, "environment", "answered 403"),
        (500, "agent", "answered 500"),
        (200, "environment", "no WebSocket"),
    ],
)
def test_an_address_that_takes_no_websockets(tmp_path: Path, answer: int, side: str, told: str) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=answer)

    outcome = served(handle, tmp_path)
    assert (outcome.status == "failed", outcome.side) == (side == "agent", side), outcome.explain()
    assert told in str(outcome.reason)


@pytest.mark.usefixtures("_no_spans_come")
async def test_nothing_at_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulate.conversation.voice.socket_wire.CONNECT_SECONDS", 0.5)
    outcome = await call(phone("ws://127.0.0.1:9", [{"says": "Hello?"}], **QUICK), tmp_path)
    assert (outcome.status, outcome.side) == ("error", "environment"), outcome.explain()
    assert "nothing takes calls at ws://127.0.0.1:9" in str(outcome.reason)


# -- what is refused before anything runs


@pytest.mark.parametrize(
    ("address", "match"),
    [
        ("pipecat:", "names no callable"),
        ("pipecat:fixtures.agents.phone_bot:nobody", "has no `nobody`"),
        ("pipecat:no.such.module:bot", "there is no module"),
        ("pipecat:no/such/file.py:bot", "there is no file"),
        ("pipecat:fixtures.agents.phone_bot:digits", "cannot be called as a bot"),
    ],
)
def test_addresses_that_are_no_bot(address: str, match: str) -> None:
    with pytest.raises(AddressError, match=match):
        engine_for(address, "voice", root=ROOT)


def test_without_the_extra_its_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="simulate-agents\\[voice\\]"):
        PipecatEngine("pipecat:fixtures.agents.phone_bot:bot")


@pytest.mark.parametrize(
    ("voice", "match"),
    [
        ({"noise": "rain"}, "there is no noise 'rain'"),
        ({"noise": "README.md"}, "there is no noise"),
        ({"noise": "text.wav"}, "is not a usable WAV file"),
        ({"name": "nobody"}, "no voice 'nobody'"),
    ],
)
async def test_a_voice_that_there_is_not(voice: dict[str, Any], match: str, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is not an audio")
    engine = PipecatEngine("pipecat:fixtures.agents.phone_bot:bot", root=tmp_path)
    with pytest.raises(InputError, match=match):
        engine.prepare(phone("phone", [{"says": "Hello?"}], persona={"voice": voice}))


def test_the_signatures_of_pipecats_own_examples(tmp_path: Path) -> None:
    """``bot(transport)``, ``bot(transport, runner_args)`` and ``bot(runner_args)`` are called as meant."""
    file = tmp_path / "shapes.py"
    file.write_text(
        "async def one(transport): ...\nasync def two(transport, runner_args): ...\n"
        "async def three(runner_args): ...\nasync def none(): ...\ndef plain(transport): ...\n"
    )
    for name in ("one", "two", "three"):
        assert load_bot(f"pipecat:{file}:{name}", tmp_path).__name__ == name
    for name in ("none", "plain"):
        with pytest.raises(AddressError, match="cannot be called as a bot"):
            load_bot(f"pipecat:{file}:{name}", tmp_path)
