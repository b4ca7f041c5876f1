"""How exactly the panel finds who spoke when: errors against made audio whose every time is known.

::

    python -m benchmarks.panel              # synthetic voices
    python -m benchmarks.panel --real       # and words cut from real speech (extra voice)

Wanted: median error below 20 ms, 95 % below 60 ms, at 25 dB of noise and better.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import numpy as np

from simulate.conversation.voice.speech_segments import stretches

RATE = 16_000
SENTENCES = [
    "My order number is seven two nine one.",
    "Could you tell me what your return policy is?",
    "No, that is not what I asked for.",
    "Thank you very much, goodbye.",
    "I have been waiting for three weeks now.",
]


def synthetic(chance: np.random.Generator) -> np.ndarray:
    """Harmonics of a wandering pitch, in syllables, with an exact begin and end."""
    count = int(chance.uniform(0.3, 4) * RATE)
    t = np.arange(count) / RATE
    pitch = chance.uniform(90, 220) * (1 + 0.05 * np.sin(2 * np.pi * chance.uniform(0.5, 2) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.sum([np.sin(k * phase) / k for k in range(1, 15)], axis=0)
    sound *= 0.35 + 0.65 * np.abs(np.sin(np.pi * chance.uniform(3, 5) * t + chance.uniform(0, 3)))
    rise, fall = int(chance.uniform(0.005, 0.03) * RATE), int(chance.uniform(0.01, 0.06) * RATE)
    sound[:rise] *= np.linspace(0, 1, rise)
    sound[-fall:] *= np.linspace(1, 0, fall)
    return sound / np.abs(sound).max() * chance.uniform(0.1, 0.6)


def real_voice() -> list[np.ndarray]:
    """Sentences of a real voice, cut where the sound first and last reaches a fiftieth of its peak (-34 dB):
    that is where they begin and end."""
    from simulate.conversation.voice.speech_services import find_tts

    async def say() -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for sentence in SENTENCES:
            samples = (await find_tts().say(sentence)).at(RATE).samples.astype(np.float64) / 32768
            loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 50)
            found.append(samples[loud[0] : loud[-1] + 1])
        return found

    return asyncio.run(say())


def mulaw(sound: np.ndarray) -> np.ndarray:
    """Through G.711, at the rate of a telephone and back."""
    import soxr

    low = soxr.resample(np.clip(sound, -1, 1), RATE, 8_000)
    coded = np.sign(low) * np.log1p(255 * np.abs(low)) / np.log(256)
    coded = np.round(coded * 127) / 127
    return soxr.resample(np.sign(coded) * (256 ** np.abs(coded) - 1) / 255, 8_000, RATE)


def one(
    chance: np.random.Generator, voices: list[np.ndarray] | None
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """40 s of one side of a call, and the times of what is said in it."""
    sound, truth, at = np.zeros(RATE * 40), list[tuple[float, float]](), 0.5
    while at < 34:
        piece = synthetic(chance) if voices is None else voices[int(chance.integers(len(voices)))]
        begin = int(at * RATE)
        sound[begin : begin + len(piece)] += piece
        truth.append((begin / RATE, (begin + len(piece)) / RATE))
        at += len(piece) / RATE + float(chance.uniform(0.4, 3))
    return sound, truth


def row(name: str, calls: int, voices: list[np.ndarray] | None, noise: float | None, telephone: bool) -> None:
    """Measure ``calls`` recordings and print a line."""
    chance = np.random.default_rng(7)
    errors: list[float] = []
    missed = extra = 0
    spent = 0.0
    for _ in range(calls):
        sound, truth = one(chance, voices)
        if noise is not None:
            power = float(np.mean(sound[sound != 0] ** 2))
            sound = sound + chance.normal(0, np.sqrt(power / 10 ** (noise / 10)), len(sound))
        if telephone:
            sound = mulaw(sound)
        samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
        began = time.perf_counter()
        found = stretches(samples, RATE)
        spent += time.perf_counter() - began
        taken: set[int] = set()
        for begin, end in truth:
            mine = [n for n, each in enumerate(found) if each.start < end and each.end > begin]
            if not mine:
                missed += 1
                continue
            taken.update(mine)
            errors += [abs(found[mine[0]].start - begin), abs(found[mine[-1]].end - end)]
        extra += len(found) - len(taken)
    values = np.array(errors) * 1000
    print(
        f"{name:<38} {len(values):>5} {np.median(values):>8.1f} {np.percentile(values, 95):>8.1f} "
        f"{missed:>7} {extra:>6} {calls * 40 / spent:>12,.0f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--real", action="store_true")
    args = parser.parse_args()
    head = ("edges", 5), ("p50 ms", 8), ("p95 ms", 8), ("missed", 7), ("extra", 6), ("x real time", 12)
    print(f"{'audio':<38} " + " ".join(f"{name:>{width}}" for name, width in head))
    kinds: list[tuple[str, list[np.ndarray] | None]] = [("synthetic", None)]
    if args.real:
        kinds.append(("real voice", real_voice()))
    for kind, voices in kinds:
        for noise in (None, 40, 25, 15):
            row(
                f"{kind}, {'clean' if noise is None else f'noise {noise} dB'}",
                args.calls,
                voices,
                noise,
                False,
            )
        row(f"{kind}, telephone (G.711)", args.calls, voices, None, True)
        row(f"{kind}, telephone, noise 25 dB", args.calls, voices, 25, True)


if __name__ == "__main__":
    main()
