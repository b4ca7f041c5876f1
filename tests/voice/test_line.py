"""One beat for both sides: what is played, heard, taken back and kept, and whether its time is trusted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("soxr")

from simulate.conclude import conclude  # noqa: E402
from simulate.conversation.agents.pinned_tools import PinnedTools  # noqa: E402
from simulate.conversation.callers import make_caller  # noqa: E402
from simulate.conversation.engine import TrialSession  # noqa: E402
from simulate.conversation.own_process import NoEngine  # noqa: E402
from simulate.conversation.voice.audio_bridge import BACKLOG_SECONDS, AudioBridge  # noqa: E402
from simulate.conversation.voice.pacing import Pacing, Processors  # noqa: E402
from simulate.conversation.voice.pcm import FRAME, FRAME_SECONDS, RATE, Pcm  # noqa: E402
from simulate.conversation.voice.pressure import Pressure, is_busy  # noqa: E402
from simulate.conversation.voice.vad import Detector  # noqa: E402
from simulate.determinism.clock import run_virtual  # noqa: E402
from simulate.errors import AgentFault, EnvironmentFault, HarnessFault  # noqa: E402
from simulate.model.scenario import Scenario  # noqa: E402
from simulate.model.transcript import Conversation  # noqa: E402
from simulate.model.trial import TrialSpec  # noqa: E402


class Ends:
    """A wire with nobody at its end."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, frame: Any) -> None:
        self.sent.append(frame)

    async def press(self, keys: str) -> bool:
        return False


@contextlib.asynccontextmanager
async def beating() -> AsyncIterator[tuple[AudioBridge, Ends]]:
    wire = Ends()
    line = AudioBridge(wire, detector=Detector())
    task = asyncio.create_task(line.run())
    try:
        yield line, wire
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def virtual(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        run_virtual(test())  # type: ignore[arg-type]

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def humming(seconds: float) -> Any:
    moments = np.arange(int(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 220 * moments)).astype(np.int16)


@virtual
async def test_what_is_played_goes_out_frame_by_frame() -> None:
    async with beating() as (line, wire):
        line.play(Pcm(humming(0.5)))
        await line.until(lambda: not line.speaking)
        assert line.now == pytest.approx(0.5, abs=FRAME_SECONDS)
        sent = np.concatenate(wire.sent)
        assert (sent[: RATE // 2] == humming(0.5)).all() and all(len(frame) == FRAME for frame in wire.sent)
        await line.until(lambda: False, 0.2)
        assert not np.concatenate(wire.sent[-10:]).any(), "silence goes on, as on a telephone"


@virtual
async def test_the_agent_is_heard_when_it_sounds() -> None:
    async with beating() as (line, _):
        await line.until(lambda: False, 1.0)
        line.incoming(humming(0.8))
        assert await line.until(lambda: line.agent.speaking, 1.0)
        assert line.agent.began == pytest.approx(1.0, abs=0.03)
        await line.until(lambda: False, 1.0)
        assert line.agent.last == pytest.approx(1.8, abs=0.03)
        assert line.agent.quiet_for(line.now) == pytest.approx(line.now - 1.8, abs=0.03)
        assert (line.kept(1.0, 1.8).samples == humming(0.8)).all()
        assert not line.kept(0.0, 0.9).samples.any()


@virtual
async def test_what_was_taken_back_was_not_heard() -> None:
    async with beating() as (line, _):
        line.incoming(humming(5.0))
        await line.until(lambda: False, 1.0)
        assert line.waiting == pytest.approx(4.0, abs=0.05)
        line.flush()
        await line.until(lambda: False, 1.0)
        assert not line.kept(1.05, 2.0).samples.any() and line.waiting == 0


@virtual
async def test_a_wire_that_can_be_held_back_is() -> None:
    """Two seconds of sound are taken in two seconds, so that an interruption can still take the rest back."""
    async with beating() as (line, _):
        for _ in range(100):
            await line.accept(humming(0.02))
        assert line.now == pytest.approx(2.0, abs=0.1)
        assert line.waiting < 0.1


@virtual
async def test_an_agent_that_sends_hours_at_once() -> None:
    async with beating() as (line, _):
        for _ in range(BACKLOG_SECONDS + 5):
            line.incoming(humming(1.0))
        assert isinstance(line.failure, AgentFault) and "ahead of time" in str(line.closed)
        assert line.waiting <= BACKLOG_SECONDS


@virtual
async def test_gaps_in_delivery_are_counted_and_pauses_are_not() -> None:
    async with beating() as (line, _):
        for pause in (0.04, 1.0, 0.06):
            line.incoming(humming(1.0))
            await line.until(lambda: False, 1.0 + pause)
        line.incoming(humming(0.5))
        await line.until(lambda: False, 0.5)
        assert 2 <= line.pacing.lost <= 6, "two gaps of 40 and 60 ms, not the second of silence"


@virtual
async def test_waiting_ends_with_the_call() -> None:
    async with beating() as (line, _):
        asyncio.get_running_loop().call_later(1.0, line.close, "gone")
        assert not await line.until(lambda: False, 60.0)
        assert line.now == pytest.approx(1.0, abs=0.05) and line.closed == "gone"
        line.close("later", AgentFault("x"))
        assert line.closed == "gone" and line.failure is None, "the first reason stays"


async def test_late_frames_are_caught_up_with() -> None:
    """A stall of this process makes frames late and never the call longer."""
    async with beating() as (line, _):
        began = time.monotonic()
        await line.until(lambda: False, 0.2)
        time.sleep(0.2)
        await line.until(lambda: False, 0.5)
        assert -0.05 < time.monotonic() - began - line.now < 1.0
        assert max(line.pacing.late) > 0.1


# -- speech and other sound


def test_a_click_is_nobody_speaking() -> None:
    detector, frame = Detector(), np.zeros(FRAME, np.int16)
    click = frame.copy()
    click[:40] = 20_000
    for number, piece in enumerate([frame] * 20 + [click] + [frame] * 20):
        detector.push(piece, number * FRAME_SECONDS)
    assert not detector.speaking


def test_steady_noise_is_nobody_speaking() -> None:
    detector, chance = Detector(), np.random.default_rng(1)
    for number in range(500):
        detector.push(chance.normal(0, 300, FRAME).astype(np.int16), number * FRAME_SECONDS)
        if number == 100:
            detector.rest()
    assert not detector.speaking


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
def test_silero_tells_speech_from_a_rustle() -> None:
    pytest.importorskip("pipecat", reason="needs the extra voice")
    pytest.importorskip("hibari", reason="needs the extra voice")
    from simulate.conversation.voice.embedded_speech import Hibari
    from simulate.conversation.voice.vad import Silero

    speech = asyncio.run(Hibari().say("Hello, is anybody there?")).at(RATE).samples
    found = {}
    rustle = np.random.default_rng(1).normal(0, 3000, 2 * RATE).astype(np.int16)
    for name, sound in {"speech": speech, "rustle": rustle}.items():
        detector = Detector(Silero())
        for number in range(len(sound) // FRAME):
            detector.push(sound[number * FRAME : (number + 1) * FRAME], number * FRAME_SECONDS)
        found[name] = detector.speaking
    assert found == {"speech": True, "rustle": False}


# -- pacing


def test_a_machine_that_kept_time_is_believed() -> None:
    pacing = Pacing(late=[0.002] * 990 + [0.09] * 10, recognised=[0.3, 0.5])
    pacing.judge()
    measures = pacing.measures()
    assert (
        measures["pacing_p50_ms"] == 2 and measures["pacing_max_ms"] == 90 and measures["stt_p95_ms"] == 490
    )


def test_a_machine_that_could_not_is_blamed_before_the_agent() -> None:
    with pytest.raises(EnvironmentFault, match="more than 300 ms late"):
        Pacing(late=[0.0] * 900 + [0.3] * 100).judge()
    with pytest.raises(HarnessFault, match="speech recognition fell 9"):
        Pacing(late=[0.0] * 100, recognised=[9.0]).judge()


def test_how_busy_the_processors_were(tmp_path: Path) -> None:
    source = tmp_path / "stat"
    source.write_text("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n")
    processors = Processors(source, least=0)
    assert processors.busy() is None, "no time has passed"
    source.write_text("cpu  170 0 70 805 55 0 0 0 0 0\n")
    assert processors.busy() == pytest.approx(0.9)
    short = Processors(source)
    source.write_text("cpu  470 0 70 805 55 0 0 0 0 0\n")
    assert short.busy() is None, "busy for a moment is every machine"
    source.unlink()
    assert processors.busy() is None and Processors(source, least=0).busy() is None, "only Linux tells"


@pytest.mark.parametrize(
    ("busy", "waited", "proof", "status"),
    [
        (0.5, 0.4, None, ("failed", "agent")),
        (0.995, None, None, ("error", "environment")),
        (0.9, 0.85, None, ("error", "environment")),
        (0.995, 0.9, "ValueError: no database", ("failed", "agent")),
        (None, None, None, ("failed", "agent")),
    ],
)
def test_a_call_on_a_machine_without_time_is_held_against_nobody(
    busy: float | None, waited: float | None, proof: str | None, status: tuple[str, str]
) -> None:
    talk = Scenario.model_validate({"name": "x", "script": [{"says": "Hi"}]})
    conversation = Conversation("ab" * 16, "voice")
    fault = AgentFault("it said nothing", proof=proof)
    engine, caller = NoEngine("a", fault), make_caller(talk)
    session = TrialSession(TrialSpec(talk), engine, caller, conversation, PinnedTools({}), fault=fault)
    session.measures |= {"processors_busy": busy, "processors_waited_for": waited}
    outcome = conclude(session, None, None)
    assert (outcome.status, outcome.side) == status


def test_how_long_somebody_waited_for_a_processor(tmp_path: Path) -> None:
    source = tmp_path / "cpu"
    source.write_text("some avg10=30.00 avg60=1.00 avg300=1.00 total=1000000\nfull avg10=0.00 total=0\n")
    assert is_busy(source)
    pressure = Pressure(source, time.monotonic() - 10, 1_000_000)
    source.write_text("some avg10=20.00 avg60=1.00 avg300=1.00 total=6000000\n")
    assert not is_busy(source) and pressure.share() == pytest.approx(0.5, abs=0.05)
    source.unlink()
    assert pressure.share() is None, "only Linux tells"


def test_nothing_measured_is_unknown() -> None:
    assert set(Pacing().measures().values()) == {None, 0}
    Pacing().judge()
