"""Speech of any OpenAI-compatible endpoint: ``/audio/speech`` and ``/audio/transcriptions``."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from openai import APIConnectionError, AsyncOpenAI, OpenAIError, omit

from simulate.conversation.voice.pcm import RATE, Pcm, read_wav, trimmed
from simulate.errors import EnvironmentFault, Fault, InputError, SimulatorFault
from simulate.model.persona import Gender

TTS_MODEL, STT_MODEL, VOICE = "gpt-4o-mini-tts", "gpt-4o-mini-transcribe", "alloy"
TIMEOUT = 30.0


class _Endpoint:
    """Where, and with which key: ``SIMULATE_SPEECH_BASE_URL`` and ``SIMULATE_SPEECH_API_KEY``, else those of
    OpenAI, whose endpoint may serve the models and not the speech."""

    def __init__(self, model: str) -> None:
        self.model = model
        environ = os.environ
        self._base_url = environ.get("SIMULATE_SPEECH_BASE_URL") or environ.get("OPENAI_BASE_URL") or None
        self._key = environ.get("SIMULATE_SPEECH_API_KEY") or environ.get("OPENAI_API_KEY") or None
        if self._base_url is None and self._key is None:
            raise InputError(
                'speech is set to "openai", and there is neither a key nor an endpoint',
                where="[tool.simulate.speech]",
                hint="set OPENAI_API_KEY, or SIMULATE_SPEECH_BASE_URL (and SIMULATE_SPEECH_API_KEY)",
            )
        self.name = f"openai/{model}@{self._base_url or 'api.openai.com'}"

    @cached_property
    def client(self) -> AsyncOpenAI:
        """The SDK's client, with its own retries."""
        return AsyncOpenAI(
            api_key=self._key or "none", base_url=self._base_url, timeout=TIMEOUT, max_retries=2
        )

    def fault(self, what: str, error: Exception) -> Fault:
        """Whose it is: nobody's program where the endpoint cannot be reached, else the caller's speech."""
        kind = EnvironmentFault if isinstance(error, APIConnectionError) else SimulatorFault
        reason = getattr(error, "message", None) or str(error)
        return kind(f"{what} failed at {self.name}: {reason}"[:400])


class OpenAITTS(_Endpoint):
    """Text to speech."""

    def __init__(self, model: str | None = None) -> None:
        super().__init__(model or TTS_MODEL)

    def in_language(self, code: str) -> OpenAITTS:
        """The text tells the endpoint its language."""
        return self

    def voice_like(self, gender: Gender | None, age: int | None, accent: str | None) -> str | None:
        """One of OpenAI's voices, which other endpoints map to their own."""
        old = age is not None and age >= 60
        return {"female": "sage" if old else "nova", "male": "onyx" if old else "echo", None: None}[gender]

    def check(self, voice: str | None) -> None:
        """The endpoint knows its voices; we do not."""

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """The text, spoken and trimmed."""
        try:
            answer = await self.client.audio.speech.create(
                model=self.model, voice=voice or VOICE, input=text, speed=speed, response_format="wav"
            )
            return trimmed(read_wav(answer.content, f"the answer of {self.name}"))
        except OpenAIError as error:
            raise self.fault("speech synthesis", error) from error
        except InputError as error:
            raise SimulatorFault(str(error)) from error


class OpenAISTT(_Endpoint):
    """Speech to text."""

    def __init__(self, model: str | None = None, language: str | None = None) -> None:
        super().__init__(model or STT_MODEL)
        self._language = language

    def in_language(self, code: str) -> OpenAISTT:
        """The same model, told which language it hears."""
        return OpenAISTT(self.model, code)

    async def transcribe(self, pcm: Pcm) -> str:
        """What is said."""
        if pcm.seconds < 0.1:
            return ""
        file = ("speech.wav", pcm.at(RATE).wav(), "audio/wav")
        try:
            answer: Any = await self.client.audio.transcriptions.create(
                model=self.model, file=file, response_format="json", language=self._language or omit
            )
        except OpenAIError as error:
            raise self.fault("speech recognition", error) from error
        return str(answer.text).strip()
