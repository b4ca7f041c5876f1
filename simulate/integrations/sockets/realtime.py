"""A call to an agent that speaks OpenAI's Realtime protocol: the caller is its client, with a microphone, a
speaker and the tools that the session declares.

https://platform.openai.com/docs/guides/realtime-websocket; the events of its beta (``response.audio.delta``)
are read, too. The server decides when a turn has ended; what it tells of its own words and of the caller's
goes into the trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from simulate.conversation.agents.handed_tools import HandedCall, seen_of
from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import RATE, Samples
from simulate.conversation.voice.resampling import Resampler
from simulate.errors import AgentFault, EnvironmentFault, InputError
from simulate.integrations.sockets.messages import as_base64, parsed, sound_of
from simulate.integrations.sockets.model_wire import ModelWire, merged
from simulate.model.outage import outage
from simulate.model.shapes import object_of

PCM_RATE = 24_000
"""The one rate of its ``audio/pcm``."""
_FORMAT = {"type": "audio/pcm", "rate": PCM_RATE}


class RealtimeWire(ModelWire):
    """Carries one call; ``url`` names the model."""

    def __init__(
        self, url: str, headers: Mapping[str, str], session: TrialSession, settings: Mapping[str, Any]
    ) -> None:
        super().__init__(url, headers, session, settings)
        self._out, self._in = Resampler(RATE, PCM_RATE), Resampler(PCM_RATE, RATE)
        self._item: tuple[str, int] | None = None
        """The agent's item that sounds now, and the part of its content."""
        self._came = 0
        """Samples of it so far."""
        self._taken_back: set[str] = set()
        self._yields = True

    async def begin(self, line: AudioBridge) -> None:
        """Say what is spoken here; ask for the first words where the agent speaks first."""
        audio = {"input": {"format": _FORMAT}, "output": {"format": _FORMAT}}
        await self._tell(
            "session.update", session=merged({"type": "realtime", "audio": audio}, self._settings)
        )
        if self._session.scenario.speaks_first == "agent":
            await self._tell("response.create")

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller."""
        sound = self._out(frame).astype("<i2").tobytes()
        await self._tell("input_audio_buffer.append", audio=as_base64(sound))

    async def take(self, line: AudioBridge, message: str | bytes) -> None:
        """One event of the server. What is not needed for a call is passed over."""
        if isinstance(message, bytes):
            raise InputError("bytes instead of the Realtime protocol's JSON events")
        event = parsed(message)
        match event.get("type"):
            case "session.created" | "session.updated":
                self._yields = _yields(event.get("session"))
            case "response.output_audio.delta" | "response.audio.delta":
                self._hear(line, event)
            case "input_audio_buffer.speech_started" if self._yields and line.waiting:
                await self._fall_silent(line)
            case "response.output_audio_transcript.done" | "response.audio_transcript.done":
                self.told(line, "tts", event.get("transcript"))
            case "conversation.item.input_audio_transcription.completed":
                self.told(line, "stt", event.get("transcript"))
            case "response.done":
                self._done(line, event.get("response"))
            case "error":
                error = object_of(event.get("error"))
                line.errors.append(str(error.get("message") or error.get("code") or event))
            case _:
                pass

    def _hear(self, line: AudioBridge, event: Mapping[str, Any]) -> None:
        item = str(event.get("item_id")), int(event.get("content_index") or 0)
        if item[0] in self._taken_back:
            return  # it was on its way when the caller began to speak
        if item != self._item:
            self._item, self._came = item, 0
        data = sound_of(event.get("delta"), f"`{event['type']}`")
        samples = self._in(np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16), line.now)
        self._came += len(samples)
        line.incoming(samples)

    async def _fall_silent(self, line: AudioBridge) -> None:
        """The server heard the caller: what was not played yet never is; tell the server how much was."""
        if self._item is None:
            return
        item, part = self._item
        heard = max(0, self._came - round(line.waiting * RATE))
        self._taken_back.add(item)
        line.flush()
        await self._tell(
            "conversation.item.truncate",
            item_id=item,
            content_index=part,
            audio_end_ms=heard * 1000 // RATE,
        )

    def _done(self, line: AudioBridge, response: Any) -> None:
        done = object_of(response)
        if done.get("status") == "failed":
            details = object_of(done.get("status_details"))
            error = object_of(details.get("error"))
            why = error.get("message") or error.get("code") or details.get("reason") or "it does not say why"
            its_model = outage(f"{error.get('type') or ''} {error.get('code') or ''}: {why}") is not None
            side = EnvironmentFault if its_model else AgentFault
            raise side(f"its response failed: {why}", where=self.address)
        turn = self._session.tools.turn
        self._session.seen.setdefault(turn, {}).update(seen_of(done))
        output: list[dict[str, Any]] = done.get("output") or []
        calls = [
            HandedCall(str(item.get("call_id")), str(item.get("name")), item.get("arguments"))
            for item in output
            if item.get("type") == "function_call" and done.get("status") != "cancelled"
        ]
        self.work(line, calls)

    async def tools_answered(self, answers: Sequence[tuple[HandedCall, str]]) -> None:
        """Each answer is an item of the conversation."""
        for call, answer in answers:
            item = {"type": "function_call_output", "call_id": call.id, "output": answer}
            await self._tell("conversation.item.create", item=item)
        await self._tell("response.create")

    async def _tell(self, kind: str, **content: Any) -> None:
        await self.put(orjson.dumps({"type": kind, **content}).decode())


def _yields(session: Any) -> bool:
    """Whether the server's own voice detection ends what it says; a client then falls silent, too."""
    detection = object_of(
        object_of(object_of(object_of(session).get("audio")).get("input")).get("turn_detection")
    )
    return detection.get("interrupt_response") is not False
