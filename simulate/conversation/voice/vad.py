"""Is somebody speaking? Heard while the call goes on, frame by frame, for the caller's own decisions.

What a report says about turn-taking is measured afterwards from the recording, not from here.
"""

from __future__ import annotations

from collections import deque
from importlib.resources import files
from typing import Any, Protocol

import numpy as np

from simulate.conversation.voice.pcm import FRAME_SECONDS, RATE, Samples, level_db
from simulate.conversation.voice.speech import needed

LOUD_DB = -48.0
"""Quieter sound is nobody's speech."""
ABOVE_FLOOR_DB = 9.0
"""Speech is that much louder than the background, where there is one."""
CONFIRM = 3
"""Frames out of the last five that must sound like speech before it counts as begun: a click is no word."""
SOUNDS = 0.03
"""Seconds since the last loud frame within which somebody is still in the middle of a word."""
LATELY, SOFTER_DB = 40, 8.0
"""Frames of the last sounds, and decibels below their loudest from which a word may be at its end."""
_FLOOR_SECONDS = 4.0


class SpeechModel(Protocol):
    """Tells speech from other sound; Silero's shape."""

    def likely(self, window: Samples) -> bool:
        """Whether these 512 samples are speech."""
        ...


class Silero:
    """Silero's model as Pipecat carries it. It is asked only about sound that is loud enough to be speech,
    which costs a third of asking always."""

    _shared: Any = None

    def __init__(self) -> None:
        silero = needed("pipecat.audio.vad.silero", "pipecat-ai (voice activity detection)")
        path = files("pipecat.audio.vad.data").joinpath("silero_vad.onnx")
        self._model = silero.SileroOnnxModel(str(path), force_onnx_cpu=True)

    def likely(self, window: Samples) -> bool:
        floats = window.astype(np.float32) / 32768.0
        return float(np.ravel(self._model(floats, RATE))[0]) > 0.4


class Detector:
    """One side of the line. ``push`` frames of 20 ms; times are those of the frames."""

    def __init__(self, model: SpeechModel | None = None) -> None:
        self.model = model
        self.speaking = False
        self.began = 0.0
        """When the present or the last speech began, by its first loud frame."""
        self.last = 0.0
        """When there was speech last: the end of its last loud frame."""
        self._recent: deque[bool] = deque(maxlen=5)
        self._levels: deque[float] = deque(maxlen=int(_FLOOR_SECONDS / FRAME_SECONDS))
        self._window: deque[Samples] = deque(maxlen=2)
        self._first: float | None = None
        self._sure = False

    def push(self, frame: Samples, at: float) -> bool:
        """Take in the frame that begins at ``at``; whether it sounds like speech."""
        level = level_db(frame)
        self._levels.append(level)
        self._window.append(frame)
        loud = level > LOUD_DB and level > self._floor() + ABOVE_FLOOR_DB
        self._recent.append(loud)
        if loud:
            self._first = at if self._first is None else self._first
        elif not any(self._recent):
            self._first, self._sure = None, False
        voiced = loud and self._likely()
        if voiced or (loud and self.speaking):
            self.last = at + FRAME_SECONDS
        if voiced and not self.speaking and sum(self._recent) >= CONFIRM:
            self.speaking, self.began = True, self._first if self._first is not None else at
        return loud

    def quiet_for(self, now: float) -> float:
        """Seconds since the last speech; 0 while there is some."""
        return max(0.0, now - self.last)

    def sounds(self, now: float) -> bool:
        """Whether it is speaking at this very moment and will go on: neither between two words or sentences,
        nor in one's last sound, which is softer than what was before it."""
        loudest = max(list(self._levels)[-LATELY:], default=0.0)
        return self.speaking and now - self.last < SOUNDS and self._levels[-1] > loudest - SOFTER_DB

    def rest(self) -> None:
        """The speech is over, as whoever listens has decided."""
        self.speaking = False
        self._first, self._sure = None, False

    def _floor(self) -> float:
        """The background's level: what nine tenths of the last seconds were louder than. Speech that has just
        begun after silence has no background to be held against."""
        if len(self._levels) < 10:
            return -100.0
        ordered = sorted(self._levels)
        return min(ordered[len(ordered) // 10], -30.0)

    def _likely(self) -> bool:
        if self.model is None or self._sure:
            return True
        if len(self._window) < 2:
            return False
        self._sure = self.model.likely(np.concatenate(list(self._window))[-512:])
        return self._sure
