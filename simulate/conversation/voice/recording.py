"""A call's recording: caller left, agent right, on one clock, without gaps, kept even if the process dies."""

from __future__ import annotations

import struct
import threading
import wave
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulate.errors import EnvironmentFault, HarnessFault, InputError

Side = Literal["caller", "agent"]
Samples = NDArray[np.int16]

RATES = (8_000, 48_000)
GAP = 0.06
"""Seconds that a frame may come after the end of the one before it and still be its continuation: less is
jitter of the wire and of this process, more is silence (or audio that was lost)."""
_SHIFT = 0.004  # an earlier arrival moves its run only by more than this, so that jitter costs nothing
_HEADER = 44
_CHANNELS = {"caller": 0, "agent": 1}
_BLOCK = 1 << 20


class CallRecorder:
    """Writes a two-channel 16-bit WAV while the call goes on.

    Times are seconds since the recording began, one clock for both sides. What is not said is silence, so the
    file has no gaps and its position *is* the time. Its header is right after every write: a process that is
    killed leaves a file that plays until there.

    Frames come late now and then, never early. A run of frames is therefore placed by its earliest arrival:
    where a later frame shows that the run began sooner, the run moves back (by up to 0.2 s in practice).

    Threads may share a recorder."""

    def __init__(self, path: Path | str, rate: int = 24_000) -> None:
        if not RATES[0] <= rate <= RATES[1]:
            raise InputError(f"a recording has {RATES[0]} to {RATES[1]} samples a second, not {rate}")
        self.path = Path(path)
        self.rate = rate
        self.frames = 0
        """Samples of each channel so far."""
        self._tracks = {"caller": _Track(rate), "agent": _Track(rate)}
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w+b", buffering=0)
        except OSError as error:
            raise EnvironmentFault(f"cannot write the recording: {error}", where=str(path)) from error
        self._file.write(_header(rate, 0))

    def caller(self, pcm: bytes, at: float) -> None:
        """16-bit mono of the caller, as played to the agent, whose first sample sounded at ``at``."""
        self._add("caller", pcm, at)

    def agent(self, pcm: bytes, at: float) -> None:
        """16-bit mono of the agent, as heard by the caller, whose first sample sounded at ``at``."""
        self._add("agent", pcm, at)

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return self.frames / self.rate

    def close(self, at: float | None = None) -> None:
        """End it, with silence until ``at``; a second call does nothing."""
        with self._lock:
            if self._file.closed:
                return
            if at is not None:
                self._reach(round(at * self.rate))
            self._file.close()

    def __enter__(self) -> CallRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, side: Side, pcm: bytes, at: float) -> None:
        if len(pcm) % 2:
            raise HarnessFault(f"{len(pcm)} bytes of the {side} are not 16-bit samples")
        if not pcm:
            return
        samples = np.frombuffer(pcm, np.int16)
        with self._lock:
            self._check_open()
            track = self._tracks[side]
            start, back = track.place(round(at * self.rate), len(samples))
            try:
                if back:
                    self._move_back(side, track, back)
                self._write(side, start, samples)
            except OSError as error:
                raise EnvironmentFault(
                    f"cannot write the recording: {error}", where=str(self.path)
                ) from error

    def _move_back(self, side: Side, track: _Track, back: int) -> None:
        """The run in the file, ``back`` samples sooner; silence takes the place it leaves at its end."""
        start, end = track.begin + back, track.end_before + back
        run = self._read(side, start, end - start)
        self._write(side, start - back, np.concatenate([run, np.zeros(back, np.int16)]))

    def _write(self, side: Side, start: int, samples: Samples) -> None:
        end = start + len(samples)
        self._reach(end)
        both = self._both(start, end)
        both[:, _CHANNELS[side]] = samples
        self._file.seek(_HEADER + start * 4)
        self._file.write(both.tobytes())

    def _read(self, side: Side, start: int, count: int) -> Samples:
        return self._both(start, start + count)[:, _CHANNELS[side]].copy()

    def _both(self, start: int, end: int) -> Samples:
        self._file.seek(_HEADER + start * 4)
        data = self._file.read((end - start) * 4) or b""
        return np.frombuffer(data, np.int16).reshape(-1, 2).copy()

    def _reach(self, end: int) -> None:
        """Silence on both sides up to ``end``; the header follows, so that it never promises too much."""
        if end <= self.frames:
            return
        self._file.seek(_HEADER + self.frames * 4)
        left = (end - self.frames) * 4
        while left:
            left -= self._file.write(bytes(min(left, _BLOCK))) or 0
        self.frames = end
        self._file.seek(0)
        self._file.write(_header(self.rate, end))

    def _check_open(self) -> None:
        if self._file.closed:
            raise HarnessFault(f"the recording {self.path} is closed")


class _Track:
    """Where the runs of one side lie. Positions are samples."""

    def __init__(self, rate: int) -> None:
        self._gap, self._shift = round(GAP * rate), round(_SHIFT * rate)
        self._floor = 0  # end of the run before: nothing may move before it
        self.begin = self.end = self.end_before = 0

    def place(self, at: int, count: int) -> tuple[int, int]:
        """Where ``count`` samples that arrived at ``at`` belong, and how far their run moves back first."""
        at, back = max(0, at), 0
        if at > self.end + self._gap:
            self._floor, self.begin, self.end = self.end, at, at
        elif self.end - at > self._shift and self.begin > self._floor:
            back = min(self.end - at, self.begin - self._floor)
            self.begin -= back
            self.end -= back
        start, self.end_before = self.end, self.end
        self.end += count
        return start, back


def _header(rate: int, frames: int) -> bytes:
    size = min(frames * 4, 0xFFFF_FFFF - 36)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 2, rate, rate * 4, 4, 16, b"data", size),
    )


def read_channels(path: Path | str) -> tuple[Samples, Samples, int]:
    """Caller's samples, agent's samples, samples a second of a recording of ours."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getnchannels() != 2 or file.getsampwidth() != 2:
                raise InputError("a recording has two channels of 16 bits", where=str(path))
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise InputError(f"not a WAV file: {error}", where=str(path)) from error
    both = np.frombuffer(data[: len(data) // 4 * 4], np.int16).reshape(-1, 2)
    return both[:, 0], both[:, 1], rate
