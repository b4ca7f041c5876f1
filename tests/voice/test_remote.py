"""Speech of an OpenAI-compatible endpoint: a real server on 127.0.0.1 that speaks its wire."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

np = pytest.importorskip("numpy")
pytest.importorskip("soxr")

from simulate.conversation.voice.openai_speech import OpenAISTT, OpenAITTS  # noqa: E402
from simulate.conversation.voice.pcm import Pcm, read_wav  # noqa: E402
from simulate.errors import EnvironmentFault, InputError, SimulatorFault  # noqa: E402

SOUND = Pcm((9000 * np.sin(np.arange(24_000) / 10)).astype(np.int16), 24_000)


@dataclass
class Endpoint:
    """``/audio/speech`` and ``/audio/transcriptions``; what was asked is kept."""

    status: int = 200
    statuses: list[int] = field(default_factory=list)
    """Of the first answers, before ``status`` holds."""
    audio: bytes = field(default_factory=SOUND.wav)
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def _refused(self) -> web.Response | None:
        status = self.statuses.pop(0) if self.statuses else self.status
        if status == 200:
            return None
        error = {"message": f"refused with {status}", "type": "x", "code": None}
        return web.json_response({"error": error}, status=status)

    async def speech(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json() | {"key": request.headers.get("Authorization")})
        return self._refused() or web.Response(body=self.audio, content_type="audio/wav")

    async def transcriptions(self, request: web.Request) -> web.Response:
        form = await request.post()
        file: Any = form["file"]
        sound = read_wav(file.file.read(), "upload")
        self.asked.append({"model": form["model"], "seconds": sound.seconds, "rate": sound.rate})
        return self._refused() or web.json_response({"text": " My order is 4417. "})


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    made = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/audio/speech", made.speech)
    app.router.add_post("/v1/audio/transcriptions", made.transcriptions)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMULATE_SPEECH_BASE_URL", made.url)
    monkeypatch.setenv("SIMULATE_SPEECH_API_KEY", "sk-secret-of-a-test")
    # the SDK waits half a second before it tries again
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *_, **__: 0.0)
    yield made
    await runner.cleanup()


async def test_a_line_is_spoken(endpoint: Endpoint) -> None:
    mouth = OpenAITTS("tts-9")
    sound = await mouth.say("Hello.", "coral", 1.2)
    assert sound.rate == 24_000 and 0.9 < sound.seconds < 1.1
    (asked,) = endpoint.asked
    assert asked == {
        "model": "tts-9", "voice": "coral", "input": "Hello.", "speed": 1.2, "response_format": "wav",
        "key": "Bearer sk-secret-of-a-test",
    }  # fmt: skip
    await mouth.client.close()


async def test_speech_is_understood(endpoint: Endpoint) -> None:
    ear = OpenAISTT()
    assert await ear.transcribe(SOUND) == "My order is 4417."
    assert endpoint.asked == [
        {"model": "gpt-4o-mini-transcribe", "seconds": pytest.approx(1), "rate": 16_000}
    ]
    assert await ear.transcribe(Pcm(SOUND.samples[:100])) == "" and len(endpoint.asked) == 1
    await ear.client.close()


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (404, 1), (429, 3), (500, 3)])
async def test_a_refusal_is_the_simulators_fault(endpoint: Endpoint, status: int, asked: int) -> None:
    """What may pass is asked again; what cannot is not. The key is in no message."""
    endpoint.status = status
    mouth, ear = OpenAITTS(), OpenAISTT()
    with pytest.raises(SimulatorFault, match=f"speech synthesis failed .*{status}") as told:
        await mouth.say("Hello.")
    assert len(endpoint.asked) == asked and "sk-secret" not in str(told.value)
    with pytest.raises(SimulatorFault, match=f"speech recognition failed .*{status}"):
        await ear.transcribe(SOUND)
    assert len(endpoint.asked) == 2 * asked
    await mouth.client.close()
    await ear.client.close()


async def test_an_endpoint_that_passes_after_all(endpoint: Endpoint) -> None:
    endpoint.statuses = [500, 429]
    mouth = OpenAITTS()
    assert (await mouth.say("Hello.")).seconds > 0.9
    assert len(endpoint.asked) == 3
    await mouth.client.close()


@pytest.mark.parametrize(
    "audio",
    [b"", b"<html>", struct.pack("<4sI4s", b"RIFF", 4, b"WAVE"), Pcm(SOUND.samples, 4_000).wav()],
    ids=["nothing", "a page", "half a header", "4 kHz"],
)
async def test_an_answer_that_is_no_sound(endpoint: Endpoint, audio: bytes) -> None:
    endpoint.audio = audio
    mouth = OpenAITTS()
    with pytest.raises(SimulatorFault, match="the answer of openai/"):
        await mouth.say("Hello.")
    await mouth.client.close()


async def test_a_streamed_wav_whose_header_knows_no_length(endpoint: Endpoint) -> None:
    whole = bytearray(SOUND.wav())
    whole[4:8] = whole[40:44] = b"\xff\xff\xff\xff"
    endpoint.audio = bytes(whole)
    mouth = OpenAITTS()
    assert (await mouth.say("Hello.")).seconds == pytest.approx(1, abs=0.05)
    await mouth.client.close()


async def test_nobody_there_is_the_environments_fault(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMULATE_SPEECH_BASE_URL", "http://127.0.0.1:9/v1")
    mouth = OpenAITTS()
    with pytest.raises(EnvironmentFault, match=r"speech synthesis failed at openai/.*127\.0\.0\.1:9"):
        await mouth.say("Hello.")
    await mouth.client.close()


def test_neither_key_nor_endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "SIMULATE_SPEECH_BASE_URL", "SIMULATE_SPEECH_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="neither a key nor an endpoint"):
        OpenAITTS()
