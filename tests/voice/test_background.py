"""What an agent hears that is not meant for it: other voices, its own echo, music on hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("soxr")

from simulate.conversation.voice.audio_bridge import AudioBridge  # noqa: E402
from simulate.conversation.voice.background import hold_music, spoken_noise  # noqa: E402
from simulate.conversation.voice.effects import outgoing, returning  # noqa: E402
from simulate.conversation.voice.pcm import FRAME, RATE, Pcm, level_db  # noqa: E402
from simulate.conversation.voice.speech_segments import stretches  # noqa: E402
from simulate.determinism.clock import run_virtual  # noqa: E402
from simulate.model.persona import Voice  # noqa: E402


class Beeping:
    """A voice that says each text as a tone of its own."""

    name = "beeping"

    def check(self, voice: str | None) -> None: ...

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        moments = np.arange(RATE) / RATE
        return Pcm((9000 * np.sin(2 * np.pi * (200 + len(text)) * moments)).astype(np.int16))


def noise(name: str, seed: int = 1) -> Any:
    return asyncio.run(spoken_noise(name, Beeping(), None, seed))


def silent_share(samples: Any) -> float:
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return float(np.mean([level_db(frame) < -60 for frame in frames]))


def test_one_voice_pauses_and_many_never_do() -> None:
    assert silent_share(noise("voice")) > 0.2
    assert silent_share(noise("babble")) < 0.02
    assert (noise("babble") == noise("babble")).all()
    assert len(noise("babble")) != len(noise("babble", 2)) or (noise("babble") != noise("babble", 2)).any()


def test_a_voice_behind_the_caller_is_as_loud_as_asked_for() -> None:
    line = outgoing(Voice(noise="voice", noise_db=20), 1, None, noise("voice"))
    heard = np.concatenate([line(np.zeros(FRAME, np.int16)) for _ in range(len(noise("voice")) // FRAME)])
    assert level_db(heard) == pytest.approx(-46, abs=1)


@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_hold_music_sounds_all_the_time_that_it_lasts(seconds: float) -> None:
    sound = hold_music(seconds)
    assert sound.seconds == seconds
    around = np.concatenate([np.zeros(RATE, np.int16), sound.samples, np.zeros(RATE, np.int16)])
    found = stretches(around, RATE)
    assert sum(one.seconds for one in found) == pytest.approx(seconds, rel=0.1)


class Wire:
    """An agent that says a tone at once, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    async def send(self, frame: Any) -> None:
        self.heard.append(frame)

    async def press(self, keys: str) -> bool:
        return False


def test_an_agent_hears_its_own_echo_and_its_speech_is_measured_before_the_line() -> None:
    tone = (9000 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype(np.int16)

    async def call() -> tuple[Any, list[Any]]:
        wire = Wire()
        line = AudioBridge(wire, returns=returning(Voice(echo=0.3)), dims=lambda frame: frame // 100)
        running = asyncio.create_task(line.run())
        await line.until(lambda: False, 1.0)
        line.incoming(tone)
        await line.until(lambda: False, 2.0)
        running.cancel()
        return np.concatenate(wire.heard), line.agent_levels.stretches(line.now)

    heard, spoke = run_virtual(call())
    assert not heard[: round(1.15 * RATE)].any()
    assert heard[round(1.3 * RATE) : round(2.0 * RATE)].any()
    assert [(one.start, one.end) for one in spoke] == [
        (pytest.approx(1, abs=0.03), pytest.approx(2, abs=0.03))
    ]
