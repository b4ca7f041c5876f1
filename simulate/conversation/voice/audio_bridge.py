"""The line between caller and agent: one beat of 20 ms, on which both sides are played, heard and recorded.

At beat *n* the caller's frame *n* goes out and the agent's frame *n* comes in, as a telephone does it. So
there is one clock for everything: what the agent's waveform says happened at 3.2 s happened at 3.2 s of the
caller's, of the recording and of the transcript. What carries the frames is a `Wire`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np

from simulate import determinism
from simulate.conversation.voice.pacing import Pacing
from simulate.conversation.voice.pcm import FRAME, FRAME_SECONDS, RATE, SILENCE, Pcm, Samples, level_db, mixed
from simulate.conversation.voice.speech_segments import SpeechLevels
from simulate.conversation.voice.vad import LOUD_DB, Detector
from simulate.errors import AgentFault

RECORD_EVERY = 10
"""Frames that go to the recording at once; a crash loses at most that much."""
DEVICE = 3 * FRAME
"""Samples that lie ready for the ear: more are not taken in before these were heard, as with a sound card."""
STUTTER = 4
"""Frames of silence in the middle of speech up to which they are a gap in the delivery and no pause."""
BACKLOG_SECONDS = 120
"""Sound beyond which a wire that cannot be held back is sending nonsense."""


class Wire(Protocol):
    """What carries the sound of a call. What it receives it gives to `AudioBridge.incoming` or `.accept`."""

    async def send(self, frame: Samples) -> None:
        """20 ms of the caller, at 16 kHz; called on the beat and never waits long."""
        ...

    async def press(self, keys: str) -> bool:
        """Send these keys; False where the wire has no way but their tones."""
        ...


class SoundFile(Protocol):
    """Where both sides are recorded; `simulate.conversation.voice.recording.Recorder`."""

    def caller(self, pcm: bytes, at: float) -> None: ...

    def agent(self, pcm: bytes, at: float) -> None: ...


class Effect(Protocol):
    """Changes sound on its way, one frame after another."""

    def __call__(self, frame: Samples, /) -> Samples: ...


def _unchanged(frame: Samples) -> Samples:
    return frame


class AudioBridge:
    """Both directions of one call. ``now`` is the time on it, in seconds since ``run`` began."""

    def __init__(
        self,
        wire: Wire,
        *,
        tape: SoundFile | None = None,
        detector: Detector | None = None,
        spoils: Effect = _unchanged,
        dims: Effect = _unchanged,
        out: Effect = _unchanged,
        back: Effect = _unchanged,
        returns: Effect | None = None,
    ) -> None:
        self.wire = wire
        self.tape = tape
        self.agent = detector or Detector()
        self.spoils = spoils
        """What the line does to the caller's voice on its way to the agent."""
        self.dims = dims
        """What it does to the agent's."""
        self.out, self.back = out, back
        """The way to the agent and back, between what is recorded here and its end."""
        self.returns = returns
        """What the caller's microphone picks up of the agent's sound; None: nothing."""
        self.pacing = Pacing()
        self.agent_levels = SpeechLevels(RATE)
        """How loud the agent was, before the line changed it."""
        self.closed: str | None = None
        """Why the other side is gone."""
        self.failure: BaseException | None = None
        """What went wrong with the wire."""
        self.errors: list[str] = []
        """What parts of the agent raised and it went on without, as far as its wire tells."""
        self.beat: Callable[[], None] = lambda: None
        """Called after each frame, with all of its state in place."""
        self.cuts: list[float] = []
        """When the agent's side said that it was interrupted."""
        self.tells_cuts = False
        """Whether the wire tells whenever it was."""
        self._frames = 0
        self._out: deque[Samples] = deque()
        self._buffer = np.zeros(0, np.int16)
        self._drained = asyncio.Event()
        self._beaten = asyncio.Condition()
        self._left: list[Samples] = []
        self._right: list[Samples] = []
        self._recorded = 0
        self._kept: deque[Samples] = deque()
        self._picked_up: Samples = SILENCE
        self._dry: int | None = None
        """The frame at which the agent's sound ran out in the middle of its speech."""

    @property
    def now(self) -> float:
        """Seconds of the call so far."""
        return self._frames * FRAME_SECONDS

    @property
    def speaking(self) -> bool:
        """Whether the caller has words left to play."""
        return bool(self._out)

    @property
    def agent_sounds(self) -> bool:
        """Whether the agent is in the middle of a word, and stays so in the next few frames. Some send a
        whole reply at once, whose end tells nothing of now."""
        ahead = self._buffer[:DEVICE][-FRAME:]
        return self.agent.sounds(self.now) and (not len(ahead) or level_db(ahead) > LOUD_DB)

    @property
    def waiting(self) -> float:
        """Seconds of the agent's sound that have come and were not heard yet."""
        return len(self._buffer) / RATE

    def close(self, reason: str, failure: BaseException | None = None) -> None:
        """The other side is gone; the first reason stays."""
        if self.closed is None:
            self.closed, self.failure = reason, failure

    # -- what the wire brings

    def incoming(self, samples: Samples) -> None:
        """Sound of the agent at 16 kHz; played to the ear as it comes, in order."""
        if self._dry is not None and len(samples):
            if 0 < self._frames - self._dry <= STUTTER:
                self.pacing.lost += self._frames - self._dry
            self._dry = None
        self._buffer = np.concatenate([self._buffer, samples])
        if len(self._buffer) > BACKLOG_SECONDS * RATE:
            reason = f"the agent sent more than {BACKLOG_SECONDS} s of sound ahead of time"
            self.close(reason, AgentFault(reason, hint="it should send at the pace at which it speaks"))
            self._buffer = self._buffer[: BACKLOG_SECONDS * RATE]

    async def accept(self, samples: Samples) -> None:
        """The same for a wire that can be held back: returns when the ear is about to run dry, so that what
        was not heard yet can still be taken back (``flush``)."""
        self.incoming(samples)
        while len(self._buffer) > DEVICE and self.closed is None:
            self._drained.clear()
            await self._drained.wait()

    def flush(self) -> None:
        """The agent takes back what was not heard yet."""
        self.cuts.append(self.now)
        self._buffer = self._buffer[:0]
        self._drained.set()

    # -- what the caller does

    def play(self, pcm: Pcm) -> None:
        """Say this after whatever is being said."""
        samples = pcm.at(RATE).samples
        padded = np.concatenate([samples, np.zeros(-len(samples) % FRAME, np.int16)])
        self._out.extend(padded.reshape(-1, FRAME))

    def hush(self) -> None:
        """Stop in the middle of the word."""
        self._out.clear()

    async def until(self, holds: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until this holds, looked at on each beat; False where time or the call ended before."""
        end = None if seconds is None else self.now + seconds
        while not holds():
            if self.closed is not None or (end is not None and self.now >= end - 1e-9):
                return holds()
            async with self._beaten:
                await self._beaten.wait()
        return True

    def kept(self, start: float, end: float) -> Pcm:
        """What the agent said between two moments of the last minutes."""
        first = self._frames - len(self._kept)
        begin = max(0, round(start / FRAME_SECONDS) - first)
        stop = max(begin, round(end / FRAME_SECONDS) - first)
        frames = [self._kept[index] for index in range(begin, min(stop, len(self._kept)))]
        return Pcm(np.concatenate(frames) if frames else np.zeros(0, np.int16))

    # -- the beat

    async def run(self) -> None:
        """Carry frames until cancelled. Deadlines are those of the first frame: what is late is caught up
        with, so that the call's time never drifts from the world's."""
        clock = determinism.current().clock
        began = clock.monotonic()
        while True:
            due = began + self._frames * FRAME_SECONDS
            wait = due - clock.monotonic()
            # also with nothing to wait for: others must run between two frames
            await clock.sleep(max(0.0, wait))
            self.pacing.late.append(max(0.0, clock.monotonic() - due))
            await self._frame()

    async def _frame(self) -> None:
        at = self.now
        voice = self._out.popleft() if self._out else SILENCE
        if self.returns is not None:
            voice = mixed(voice, self._picked_up)
        spoiled = self.spoils(voice)
        if self.closed is None:
            await self.wire.send(self.out(spoiled))
        came = self.back(self._next_heard())
        self.agent_levels.push(came)
        heard = self.dims(came)
        if self.returns is not None:
            self._picked_up = self.returns(heard)
        self.agent.push(heard, at)
        self._kept.append(heard)
        if len(self._kept) > 180 * 50:
            self._kept.popleft()
        if self.tape is not None:
            self._record(spoiled, heard)
        self._frames += 1
        self.beat()
        async with self._beaten:
            self._beaten.notify_all()

    def _next_heard(self) -> Samples:
        have = len(self._buffer)
        frame = self._buffer[:FRAME]
        self._buffer = self._buffer[FRAME:]
        if len(self._buffer) <= DEVICE:
            self._drained.set()
        if have >= FRAME:
            return frame
        if self._dry is None and self.agent.speaking:
            self._dry = self._frames
        if not have:
            return SILENCE
        return np.concatenate([frame, SILENCE[have:]])

    def _record(self, left: Samples, right: Samples) -> None:
        self._left.append(left)
        self._right.append(right)
        if len(self._left) >= RECORD_EVERY:
            self.write_out()

    def write_out(self) -> None:
        """Bring the last frames into the recording."""
        if self.tape is None or not self._left:
            return
        at = self._recorded * FRAME_SECONDS
        self.tape.caller(np.concatenate(self._left).tobytes(), at)
        self.tape.agent(np.concatenate(self._right).tobytes(), at)
        self._recorded += len(self._left)
        self._left, self._right = [], []
