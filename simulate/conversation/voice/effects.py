"""What a real line does to a voice: noise behind it, a telephone's band, lost packets, echo, a low level.

Every effect works frame by frame, as the line does, and is the same for the same seed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulate.conversation.voice.background import SPOKEN
from simulate.conversation.voice.pcm import FRAME, RATE, SILENCE, Samples, level_db, mixed, read_wav
from simulate.conversation.voice.resampling import Double, Halve
from simulate.errors import InputError
from simulate.model.persona import Voice

Effect = Callable[[Samples], Samples]
NOISES = ("white", "street", "cafe")
SPEECH_DB = -26.0
"""Noise is set against speech of this level: Hibari's own (measured over its sentences), and the 26 dB below
overload that ITU-T P.56 calls usual."""
LOSS, BURST = 0.03, 0.5
"""A bad line loses that share of its packets; after a lost one the next too with this chance (Gilbert)."""
ECHO_SECONDS, ECHO_GAIN = 0.18, 0.12
BAD_GAIN = 0.35
"""A bad line is also quiet: 9 dB below."""


def check(voice: Voice, root: Path | None = None) -> None:
    """Refuse a noise that is neither made here nor a WAV file."""
    if voice.noise is not None and voice.noise not in SPOKEN:
        _noise(voice.noise, 0, root)


def outgoing(voice: Voice, seed: int, root: Path | None = None, spoken: Samples | None = None) -> Effect:
    """What the caller's surroundings and line do to the caller's voice; ``spoken`` is the noise where that is
    one of `SPOKEN`."""
    effects: list[Effect] = []
    if spoken is not None:
        effects.append(Noise(spoken, voice.noise_db))
    elif voice.noise is not None and voice.noise not in SPOKEN:
        effects.append(Noise(_noise(voice.noise, seed, root), voice.noise_db))
    if voice.line == "bad":
        effects += [Echo(), Gain(BAD_GAIN)]
    if voice.line in ("phone", "bad"):
        effects.append(Telephone())
    if voice.line == "bad":
        effects.append(Loss(seed))
    return Chain(effects)


def incoming(voice: Voice, seed: int) -> Effect:
    """What the line does to the agent's voice before the caller hears it."""
    effects: list[Effect] = [Telephone()] if voice.line in ("phone", "bad") else []
    if voice.line == "bad":
        effects.append(Loss(seed + 1))
    return Chain(effects)


def returning(voice: Voice) -> Effect | None:
    """What the caller's microphone picks up of the agent's voice; None: nothing."""
    return Chain([Delay(ECHO_SECONDS), Gain(voice.echo)]) if voice.echo else None


class Chain:
    """One effect after another."""

    def __init__(self, effects: list[Effect]) -> None:
        self.effects = effects

    def __call__(self, frame: Samples) -> Samples:
        for effect in self.effects:
            frame = effect(frame)
        return frame


class Noise:
    """Noise behind the voice, all the time; speech over noise is ``db``."""

    def __init__(self, noise: Samples, db: float) -> None:
        wanted = SPEECH_DB - db
        gain = 10 ** ((wanted - level_db(noise)) / 20)
        self._noise = np.clip(noise.astype(np.float32) * gain, -32768, 32767)
        self._at = 0

    def __call__(self, frame: Samples) -> Samples:
        indices = np.arange(self._at, self._at + len(frame)) % len(self._noise)
        self._at = (self._at + len(frame)) % len(self._noise)
        return np.clip(frame + self._noise[indices], -32768, 32767).astype(np.int16)


class Telephone:
    """8 kHz, the band of 300 to 3400 Hz, and G.711 µ-law. It delays by 6 ms."""

    def __init__(self) -> None:
        self._down, self._up = Halve(), Double()
        self._low = 0.0
        self._before = 0.0

    def __call__(self, frame: Samples) -> Samples:
        narrow = self._without_lows(self._down(frame) / 32768.0)
        wide = self._up(from_mu_law(to_mu_law(narrow)))
        return np.clip(wide * 32768.0, -32768, 32767).astype(np.int16)

    def _without_lows(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """A first-order high-pass at 300 Hz."""
        if not len(samples):
            return samples.astype(np.float32)
        share = 0.81  # 1 / (1 + 2π · 300 / 8000)
        out = np.empty(len(samples), np.float32)
        low, before = self._low, self._before
        for index, value in enumerate(samples.tolist()):
            low = share * (low + value - before)
            before = value
            out[index] = low
        self._low, self._before = low, before
        return out


def to_mu_law(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """G.711's companding (µ = 255) of samples between -1 and 1, to 8 bits."""
    squeezed = np.sign(samples) * np.log1p(255 * np.minimum(np.abs(samples), 1.0)) / np.log(256)
    return np.asarray(np.round((squeezed + 1) * 127.5), np.uint8)


def from_mu_law(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The other way."""
    squeezed = codes.astype(np.float32) / 127.5 - 1
    return np.asarray(np.sign(squeezed) * (np.power(256.0, np.abs(squeezed)) - 1) / 255, np.float32)


class Loss:
    """Packets of 20 ms get lost in bursts; what is lost is concealed as receivers do it: the last packet once
    more, quieter each time, then silence (after G.711 Appendix I)."""

    def __init__(self, seed: int, share: float = LOSS, burst: float = BURST) -> None:
        self._chance = np.random.default_rng(seed)
        self._share, self._burst = share * (1 - burst), burst
        self._last: Samples = np.zeros(FRAME, np.int16)
        self._lost = 0

    def __call__(self, frame: Samples) -> Samples:
        if self._chance.random() < (self._burst if self._lost else self._share):
            self._lost += 1
            gain = max(0.0, 1.0 - 0.4 * self._lost)
            return (self._last * gain).astype(np.int16)
        self._lost, self._last = 0, frame
        return frame


class Delay:
    """Everything that much later, in whole frames."""

    def __init__(self, seconds: float) -> None:
        self._late: deque[Samples] = deque([SILENCE] * round(seconds * RATE / FRAME))

    def __call__(self, frame: Samples) -> Samples:
        self._late.append(frame)
        return self._late.popleft()


class Echo:
    """The voice once more, later and quieter."""

    def __init__(self, seconds: float = ECHO_SECONDS, gain: float = ECHO_GAIN) -> None:
        self._late = Chain([Delay(seconds), Gain(gain)])

    def __call__(self, frame: Samples) -> Samples:
        return mixed(frame, self._late(frame))


class Gain:
    """Louder or quieter."""

    def __init__(self, gain: float) -> None:
        self._gain = gain

    def __call__(self, frame: Samples) -> Samples:
        return np.clip(frame * self._gain, -32768, 32767).astype(np.int16)


def _noise(name: str, seed: int, root: Path | None) -> Samples:
    if name in NOISES:
        return generated(name, seed)
    path = Path(name) if root is None else root / name
    if path.suffix.lower() != ".wav" or not path.is_file():
        raise InputError(
            f"there is no noise {name!r}",
            where="persona, voice.noise",
            hint=f"{', '.join([*NOISES, *SPOKEN])}, or a WAV file",
        )
    samples = read_wav(path).at(RATE).samples
    if len(samples) < RATE // 2 or level_db(samples) <= -90:
        raise InputError(
            "is too short or too quiet to be a noise", where=str(path), hint="half a second or more"
        )
    return samples


def generated(name: str, seed: int, seconds: float = 12.0) -> Samples:
    """Noise made here: ``white``; ``street`` (a rumble of traffic that swells and fades); ``cafe`` (the
    band of many voices, swelling at the pace of syllables). It repeats without a seam."""
    chance = np.random.default_rng(seed)
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(chance.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    moments = np.arange(count) / RATE
    if name == "white":
        shaped: NDArray[Any] = np.fft.irfft(spectrum, count)
    elif name == "street":
        shaped = np.fft.irfft(spectrum / np.maximum(hertz, 60) ** 0.9, count)
        passing = [np.sin(2 * np.pi * (n * moments / seconds + chance.random())) for n in (1, 2, 5)]
        shaped = shaped * (1 + 0.3 * np.sum(passing, axis=0))
    else:
        band = np.exp(-(((np.log(np.maximum(hertz, 1)) - np.log(550)) / 0.8) ** 2))
        talk = [np.sin(2 * np.pi * (n * moments / seconds + chance.random())) for n in (37, 49, 61)]
        shaped = np.fft.irfft(spectrum * band, count) * (1 + 0.25 * np.sum(talk, axis=0))
    return (shaped / np.max(np.abs(shaped)) * 20_000).astype(np.int16)
