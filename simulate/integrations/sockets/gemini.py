"""A call to an agent that speaks the protocol of Gemini's Live API: the caller is its client.

https://ai.google.dev/api/live; tried with the messages of google-genai 3.6. The server decides when a turn
has ended, and says ``interrupted`` where the caller spoke into its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from simulate.conversation.agents.handed_tools import HandedCall
from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import RATE, Samples
from simulate.conversation.voice.resampling import Resampler
from simulate.errors import InputError
from simulate.integrations.sockets.messages import as_base64, parsed, sound_of
from simulate.integrations.sockets.model_wire import ModelWire, merged
from simulate.model.shapes import object_of

OUT_RATE = 24_000
"""Of what it says."""
_SETUP: dict[str, Any] = {
    "generationConfig": {"responseModalities": ["AUDIO"]},
    "inputAudioTranscription": {},
    "outputAudioTranscription": {},
}


class GeminiWire(ModelWire):
    """Carries one call; ``settings`` are fields of ``setup``: model, systemInstruction, tools."""

    def __init__(
        self, url: str, headers: Mapping[str, str], session: TrialSession, settings: Mapping[str, Any]
    ) -> None:
        super().__init__(url, headers, session, settings)
        self._in = Resampler(OUT_RATE, RATE)
        self._words = {"tts": "", "stt": ""}
        """What it has told so far of the words that are being said."""
        self._ready = False

    async def begin(self, line: AudioBridge) -> None:
        """Say which model, and what is spoken here."""
        await self._tell(setup=merged(_SETUP, self._settings))

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller; nothing before the server is set up."""
        if self._ready:
            sound = as_base64(frame.astype("<i2").tobytes())
            await self._tell(realtimeInput={"audio": {"mimeType": f"audio/pcm;rate={RATE}", "data": sound}})

    async def take(self, line: AudioBridge, message: str | bytes) -> None:
        """One message of the server. What is not needed for a call is passed over."""
        event = parsed(message)
        if "setupComplete" in event:
            self._ready = True
            if self._session.scenario.speaks_first == "agent":
                await self._tell(clientContent={"turns": [], "turnComplete": True})
        if "toolCall" in event:
            asked: list[dict[str, Any]] = object_of(event["toolCall"]).get("functionCalls") or []
            self.work(
                line, [HandedCall(str(one.get("id")), str(one.get("name")), one.get("args")) for one in asked]
            )
        self._content(line, object_of(event.get("serverContent")))

    def _content(self, line: AudioBridge, content: Mapping[str, Any]) -> None:
        if content.get("interrupted") is True:
            line.flush()
        for kind, name in (("stt", "inputTranscription"), ("tts", "outputTranscription")):
            self._words[kind] += str(object_of(content.get(name)).get("text") or "")
        parts: list[dict[str, Any]] = object_of(content.get("modelTurn")).get("parts") or []
        if parts:
            self._tell_words(line, "stt")
        for part in parts:
            sound = object_of(part.get("inlineData"))
            if not sound:
                continue
            if not str(sound.get("mimeType", "audio/pcm")).startswith("audio/pcm"):
                raise InputError(f"sound as {sound['mimeType']}, which the Live API does not send")
            data = sound_of(sound.get("data"), "`inlineData`")
            samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)
            line.incoming(self._in(samples, line.now))
        if content.get("turnComplete") or content.get("interrupted"):
            self._tell_words(line, "tts")

    def _tell_words(self, line: AudioBridge, kind: str) -> None:
        self.told(line, kind, self._words[kind])
        self._words[kind] = ""

    async def tools_answered(self, answers: Sequence[tuple[HandedCall, str]]) -> None:
        """It goes on by itself."""
        responses = [
            {"id": call.id, "name": call.name, "response": {"output": _value(answer)}}
            for call, answer in answers
        ]
        await self._tell(toolResponse={"functionResponses": responses})

    async def _tell(self, **content: Any) -> None:
        await self.put(orjson.dumps(content).decode())


def _value(answer: str) -> Any:
    try:
        return orjson.loads(answer)
    except ValueError:
        return answer
