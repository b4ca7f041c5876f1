"""The line's frames through a LiveKit room: the caller's as a microphone, the agent's from its track."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import numpy as np
from livekit import rtc

from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.pcm import FRAME, RATE, SILENCE, Samples, level_db
from simulate.errors import EnvironmentFault, Fault
from simulate.integrations.livekit.events import stream_hears_its_own
from simulate.integrations.livekit.room import CALLER, Room

CUSHION = 2
"""Frames that lie ready in the track, so that a late beat does not become a hole in what the agent hears.
By so much (40 ms) it hears the caller later than the recording shows."""
AHEAD = 0.06
"""Seconds that may lie ready before silence is dropped to catch up, in either direction."""
_QUIET_DB = -60.0
_CODES = {**{str(digit): digit for digit in range(10)}, "*": 10, "#": 11, "A": 12, "B": 13, "C": 14, "D": 15}
_BETWEEN_KEYS = 0.2  # seconds; agents take keys that come faster for one


class LiveKitWire:
    """Carries the frames of one call; `AudioBridge` calls ``send`` and ``press``."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=200)
        self._frames: asyncio.Queue[Samples] = asyncio.Queue(maxsize=50)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._line: AudioBridge | None = None
        self._heard: asyncio.Task[Any] | None = None

    async def publish(self) -> None:
        """Bring the caller's microphone into the room; before the agent is waited for, which takes it up."""
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        await self.room.room.local_participant.publish_track(track, options)

    def connect(self, line: AudioBridge) -> None:
        """From now on carry this line's frames."""
        self._line = line
        for _ in range(CUSHION):
            self._frames.put_nowait(SILENCE)
        self._begin(self._pump())
        self.room.room.on("track_subscribed", self._subscribed)
        for participant in self.room.room.remote_participants.values():
            for publication in participant.track_publications.values():
                if publication.track is not None:
                    self._subscribed(publication.track, publication, participant)
        self.room.left.add_done_callback(self._gone)

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller. What is no word is dropped where too much lies ready: a track keeps its own
        pace."""
        ready = self._frames.qsize() * FRAME / RATE + self._source.queued_duration
        wordless = self._line is None or not self._line.speaking or level_db(frame) < _QUIET_DB
        if wordless and ready > CUSHION * FRAME / RATE + AHEAD:
            return
        if self._frames.full():
            raise EnvironmentFault("LiveKit no longer takes sound: the caller's track is stalled")
        self._frames.put_nowait(frame)

    async def press(self, keys: str) -> bool:
        """As a telephone's keys come through LiveKit's SIP bridge."""
        for key in keys:
            await self.room.room.local_participant.publish_dtmf(code=_CODES[key], digit=key)
            await asyncio.sleep(_BETWEEN_KEYS)
        return True

    async def aclose(self) -> None:
        """Stop carrying; the room is left elsewhere."""
        self._line = None
        self.room.room.off("track_subscribed", self._subscribed)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._source.aclose()

    async def _pump(self) -> None:
        while True:
            frame = await self._frames.get()
            await self._source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE, 1, len(frame)))

    def _subscribed(self, track: Any, publication: Any, participant: Any) -> None:
        """The agent's voice; where it opens another track (a background player), only the first is heard."""
        if track.kind != rtc.TrackKind.KIND_AUDIO or participant.identity == CALLER:
            return
        if self.room.agent is None or participant.sid != self.room.agent.sid or self._heard is not None:
            return
        self._heard = self._begin(self._hear(track))

    async def _hear(self, track: Any) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=20)
        stream_hears_its_own(stream)
        try:
            async for event in stream:
                line = self._line
                if line is None:
                    return
                samples = np.frombuffer(event.frame.data, np.int16)
                # the stream never pauses: without this, one late moment would delay all that follows
                if line.waiting > AHEAD and level_db(samples) < _QUIET_DB:
                    continue
                line.incoming(samples)
        finally:
            await stream.aclose()
            self._heard = None

    def _gone(self, left: asyncio.Future[Fault | None]) -> None:
        if self._line is not None and not left.cancelled():
            fault = left.result()
            self._line.close("the agent left the room" if fault is None else fault.message, fault)

    def _begin(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._line is not None:
            self._line.close(f"the call's sound broke off: {error}", EnvironmentFault(str(error)))
