"""Sound as this package carries it: mono, 16-bit, and on the line always 16 kHz in frames of 20 ms."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulate.errors import InputError

Samples = NDArray[np.int16]

RATE = 16_000
"""Samples a second on the line: what speech recognition and turn detection are made for."""
FRAME_SECONDS = 0.02
FRAME = int(RATE * FRAME_SECONDS)
"""Samples in one frame; 20 ms is what telephony and WebRTC send at once."""
SILENCE: Samples = np.zeros(FRAME, np.int16)
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000


@dataclass(frozen=True, slots=True)
class Pcm:
    """A stretch of sound: ``samples`` at ``rate`` a second."""

    samples: Samples
    rate: int = RATE

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Pcm:
        """The same sound at another rate."""
        if rate == self.rate or not len(self.samples):
            return Pcm(self.samples, rate)
        import soxr  # calls alone need it, not those who read a recording

        resample: Any = soxr.resample  # pyright: ignore[reportUnknownMemberType]
        return Pcm(np.asarray(resample(self.samples, self.rate, rate), np.int16), rate)

    def wav(self) -> bytes:
        """As a WAV file."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(self.samples.astype("<i2").tobytes())
        return buffer.getvalue()


def from_floats(values: NDArray[Any], rate: int) -> Pcm:
    """From samples between -1 and 1."""
    return Pcm((np.clip(values, -1.0, 1.0) * 32767).astype(np.int16), rate)


def joined(pieces: Sequence[Pcm], pause: float, rate: int) -> Pcm:
    """One after another, with ``pause`` seconds of silence between two."""
    silence = np.zeros(int(pause * rate), np.int16)
    parts: list[Samples] = []
    for piece in pieces:
        if len(piece.samples):
            parts += [silence, piece.samples] if parts else [piece.samples]
    return Pcm(np.concatenate(parts) if parts else silence[:0], rate)


def read_wav(source: Path | bytes, name: str = "") -> Pcm:
    """A 16-bit WAV file, several channels mixed into one; raises InputError where it is not one."""
    where = name or (str(source) if isinstance(source, Path) else "sound")
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else io.BytesIO(source.read_bytes())
        with wave.open(opened) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            # some servers stream a WAV whose header cannot know its length
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error
    except (wave.Error, EOFError) as error:
        raise InputError(
            f"is not a usable WAV file ({error})", where=where, hint="16-bit PCM is needed"
        ) from error
    if width != 2 or not 1 <= channels <= 2:
        raise InputError(
            f"has {channels} channels of {8 * width} bits",
            where=where,
            hint="one or two channels of 16 bits are needed",
        )
    check_rate(rate, where)
    samples = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2").astype(np.int16)
    if channels == 2:
        samples = samples.reshape(-1, 2).astype(np.int32).mean(axis=1).astype(np.int16)
    return Pcm(samples, rate)


def check_rate(rate: int, where: str) -> None:
    """Refuse a sample rate that no speech is carried at."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InputError(
            f"a sample rate of {rate} Hz",
            where=where,
            hint=f"{LOWEST_RATE} to {HIGHEST_RATE} Hz are possible",
        )


def mixed(one: Samples, other: Samples) -> Samples:
    """Both at once."""
    return np.clip(one.astype(np.int32) + other, -32768, 32767).astype(np.int16)


def level_db(samples: Samples) -> float:
    """The root mean square in dB of full scale; -100 for silence."""
    if not len(samples):
        return -100.0
    flat = samples.astype(np.float32)
    power = float(np.dot(flat, flat)) / len(flat)
    return max(-100.0, 10 * float(np.log10(max(power, 1e-12) / 32768.0**2)))


def trimmed(pcm: Pcm, quiet_db: float = -50.0, margin: float = 0.02) -> Pcm:
    """Without the silence before and after the words: speech synthesis pads 0.2 to 0.5 s, and latencies would
    be wrong by it. ``margin`` seconds stay on both sides."""
    step = max(1, pcm.rate // 100)
    count = len(pcm.samples) // step
    if not count:
        return pcm
    blocks = pcm.samples[: count * step].reshape(count, step).astype(np.float32)
    levels = np.sqrt(np.mean(blocks * blocks, axis=1))
    loud = np.nonzero(levels > 32768.0 * 10 ** (quiet_db / 20))[0]
    if not len(loud):
        return Pcm(pcm.samples[:0], pcm.rate)
    keep = int(margin * pcm.rate)
    start = max(0, int(loud[0]) * step - keep)
    end = min(len(pcm.samples), (int(loud[-1]) + 1) * step + keep)
    return Pcm(pcm.samples[start:end], pcm.rate)
