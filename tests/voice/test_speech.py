"""Real speech offline, what is kept of it, and other people's speech by name."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("hibari", reason="needs the extra voice")
pytest.importorskip("moonshine_voice", reason="needs the extra voice")

from simulate.conversation.voice import speech, speech_services  # noqa: E402
from simulate.conversation.voice.embedded_speech import Hibari, Moonshine  # noqa: E402
from simulate.conversation.voice.normalise import says, word_errors  # noqa: E402
from simulate.conversation.voice.pcm import RATE, Pcm, level_db, read_wav, trimmed  # noqa: E402
from simulate.conversation.voice.tts_cache import CachedTTS, cache_folder  # noqa: E402
from simulate.errors import AddressError, InputError, MissingExtra, SimulatorFault  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is deprecated since:DeprecationWarning"),
]
LINE = "Hello, my order number is seven two nine one, and it never came."


@pytest.fixture(scope="module")
def hibari() -> Hibari:
    return Hibari()


@pytest.fixture(scope="module")
def moonshine() -> Moonshine:
    return Moonshine()


# -- what is embedded


async def test_what_is_spoken_is_understood(hibari: Hibari, moonshine: Moonshine) -> None:
    sound = await hibari.say(LINE)
    heard = await moonshine.transcribe(sound)
    errors, words = word_errors(LINE, heard)
    assert errors <= 1 and words > 8, heard
    assert says(heard, "7291")


async def test_the_same_line_is_the_same_sound_and_the_same_text(
    hibari: Hibari, moonshine: Moonshine
) -> None:
    one, between, same = [await hibari.say(text) for text in (LINE, "Something else.", LINE)]
    assert (one.samples == same.samples).all()
    texts = [await moonshine.transcribe(sound) for sound in (one, between, same)]
    assert texts[0] == texts[2] != texts[1], "nothing carries over from one sentence to the next"
    again = await asyncio.gather(*(moonshine.transcribe(one) for _ in range(3)))
    assert set(again) == {texts[0]}, "also not from several callers at once"


async def test_speech_has_no_silence_around_it(hibari: Hibari) -> None:
    sound = await hibari.say("Yes.")
    edge = int(0.05 * sound.rate)
    assert level_db(sound.samples[:edge]) > -60 and level_db(sound.samples[-edge:]) > -60
    assert 0.2 < sound.seconds < 1.0


async def test_faster_is_shorter(hibari: Hibari) -> None:
    slow, fast = [await hibari.say(LINE, speed=speed) for speed in (0.8, 1.4)]
    assert fast.seconds < 0.7 * slow.seconds


async def test_silence_and_noise_hold_no_words(moonshine: Moonshine) -> None:
    assert await moonshine.transcribe(Pcm(np.zeros(0, np.int16))) == ""
    assert await moonshine.transcribe(Pcm(np.zeros(RATE // 20, np.int16))) == ""
    assert not says(await moonshine.transcribe(Pcm(np.zeros(RATE * 2, np.int16))), "order")


async def test_any_rate_is_understood(hibari: Hibari, moonshine: Moonshine) -> None:
    sound = await hibari.say(LINE)
    for rate in (8_000, 16_000, 44_100, 48_000):
        assert says(await moonshine.transcribe(sound.at(rate)), "7291"), rate


# -- a line is spoken once


class Counting:
    """A mouth that can count."""

    name = "counting"

    def __init__(self) -> None:
        self.said: list[tuple[str, str | None, float]] = []

    def check(self, voice: str | None) -> None:
        if voice == "none":
            raise InputError("no such voice")

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        self.said.append((text, voice, speed))
        return Pcm(np.full(2400, len(self.said), np.int16), 24_000)


async def test_a_line_is_spoken_once_also_by_the_next_process(tmp_path: Path) -> None:
    mouth = Counting()
    kept = CachedTTS(mouth, tmp_path)
    first = await kept.say("Hello.")
    assert (await kept.say("Hello.")).samples is first.samples
    other = CachedTTS(Counting(), tmp_path)
    found = await other.say("Hello.")
    assert (found.samples == first.samples).all() and found.rate == 24_000
    assert mouth.said == [("Hello.", None, 1.0)] and other.spoken == 0


async def test_another_voice_speed_or_text_is_another_line(tmp_path: Path) -> None:
    mouth = Counting()
    kept = CachedTTS(mouth, tmp_path)
    for text, voice, speed in [("a", None, 1.0), ("a", "b", 1.0), ("a", None, 1.2), ("b", None, 1.0)]:
        await kept.say(text, voice, speed)
    assert len(mouth.said) == kept.spoken == 4


async def test_half_a_file_is_spoken_again(tmp_path: Path) -> None:
    await CachedTTS(Counting(), tmp_path).say("Hello.")
    (file,) = tmp_path.rglob("*.wav")
    file.write_bytes(file.read_bytes()[:20])
    again = CachedTTS(Counting(), tmp_path)
    assert len((await again.say("Hello.")).samples) == 2400 and again.spoken == 1
    assert len(read_wav(file).samples) == 2400, "and kept whole"
    assert not list(tmp_path.rglob("*.part"))


async def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = CachedTTS(Counting(), tmp_path / "file" / "speech")
    assert len((await kept.say("Hello.")).samples) == 2400


def test_the_cache_can_be_put_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIMULATE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SIMULATE_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "simulate"


# -- by name


@pytest.mark.parametrize("name", ["piper", "hibary"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match=f"no speech synthesis is called '{name}'"):
        speech_services.find_tts(name)
    with pytest.raises(InputError, match=f"no speech recognition is called '{name}'"):
        speech_services.find_stt(name)


def test_a_missing_extra_is_named_with_its_command() -> None:
    with pytest.raises(MissingExtra, match=r"simulate-agents\[voice\]"):
        speech.needed("no_such_module_anywhere", "no-such-package")


@pytest.mark.parametrize("program", ["flite", "espeak"])
def test_voices_of_programs(program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from simulate.conversation.voice.program_voices import PROGRAMS, Program

    if shutil.which(PROGRAMS[program]):
        sound = asyncio.run(Program(program).say("The number is four four one seven."))
        assert 1 < sound.seconds < 6 and level_db(sound.samples) > -40
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("simulate.conversation.voice.program_voices.has_library", lambda: False)
    with pytest.raises(InputError, match=f"apt install {PROGRAMS[program]}"):
        Program(program)


def test_trimming_keeps_the_words() -> None:
    words = np.tile(np.array([8000, -8000], np.int16), 4000)
    padded = np.concatenate([np.zeros(5000, np.int16), words, np.zeros(9000, np.int16)])
    kept = trimmed(Pcm(padded, 16_000))
    assert len(words) <= len(kept.samples) <= len(words) + 2 * 0.04 * 16_000
    assert not len(trimmed(Pcm(np.zeros(1000, np.int16))).samples)


# -- services of Pipecat, by import path

SERVICES = "fixtures.agents.speech_services"


async def test_any_pipecat_service_speaks_and_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    from simulate.integrations.pipecat.speech import PipecatSTT, PipecatTTS

    mouth, ear = PipecatTTS(f"{SERVICES}:HibariTTS"), PipecatSTT(f"{SERVICES}:Moonshine")
    sound = await mouth.say("My order number is seven two nine one.")
    assert 1.5 < sound.seconds < 5 and level_db(sound.samples) > -40
    assert says(await ear.transcribe(sound), "7291")


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("no.such.module:Service", "there is no module no"),
        (f"{SERVICES}:NoSuchService", "has no `NoSuchService`"),
        (f"{SERVICES}:", "not of the form"),
    ],
)
def test_paths_that_lead_nowhere(path: str, match: str) -> None:
    for make in (speech_services.find_tts, speech_services.find_stt):
        with pytest.raises(AddressError, match=match):
            make(path)


async def test_a_service_that_cannot_be_made_is_no_agents_fault() -> None:
    from simulate.integrations.pipecat.speech import PipecatTTS

    with pytest.raises(SimulatorFault, match="could not be made: TypeError"):
        await PipecatTTS("simulate.conversation.voice.pcm:read_wav").say("x")


async def test_a_service_that_fails_is_no_agents_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from simulate.integrations.pipecat.speech import PipecatSTT, PipecatTTS

    (tmp_path / "broken_services.py").write_text(
        "from pipecat.frames.frames import ErrorFrame\n"
        "from fixtures.agents.speech_services import HibariTTS, Moonshine\n"
        "class TTS(HibariTTS):\n"
        "    async def run_tts(self, text, context_id):\n"
        "        yield ErrorFrame('quota exceeded')\n"
        "class STT(Moonshine):\n"
        "    async def run_stt(self, audio):\n"
        "        yield ErrorFrame('quota exceeded')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SimulatorFault, match=r"broken_services:TTS .*quota exceeded"):
        await PipecatTTS("broken_services:TTS").say("Hello.")
    noise: Any = np.tile(np.array([3000, -3000], np.int16), 8000)
    with pytest.raises(SimulatorFault, match=r"broken_services:STT .*quota exceeded"):
        await PipecatSTT("broken_services:STT").transcribe(Pcm(noise))
