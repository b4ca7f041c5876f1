"""Sample rates of sound that comes in pieces: nothing is lost, delayed or bent on the way."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("soxr")

from simulate.conversation.voice.resampling import Resampler  # noqa: E402

PAIRS = [
    (8_000, 16_000),
    (16_000, 8_000),
    (24_000, 16_000),
    (48_000, 16_000),
    (16_000, 24_000),
    (22_050, 16_000),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_tone_stays_that_tone(source: int, target: int) -> None:
    resample = Resampler(source, target)
    sound = (8000 * np.sin(2 * np.pi * 440 * np.arange(source) / source)).astype(np.int16)
    pieces = [resample(sound[at : at + source // 50]) for at in range(0, source, source // 50)]
    out = np.concatenate(pieces).astype(float)
    assert len(out) / target > 1 - 0.022, "no more than a frame is held back"
    middle = out[target // 5 : -target // 5]
    expected = 8000 * np.sin(2 * np.pi * 440 * np.arange(target) / target)
    best = max(
        float(np.dot(middle, expected[shift : shift + len(middle)]))
        for shift in range(target // 5 - target // 100, target // 5 + 1)
    )
    assert best / (np.linalg.norm(middle) ** 2) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("source", "target"), [(8_000, 16_000), (16_000, 8_000)])
def test_a_telephones_rate_comes_at_once(source: int, target: int) -> None:
    """The last sound of a sentence is not kept for the beginning of the next."""
    resample = Resampler(source, target)
    for _ in range(10):
        assert len(resample(np.full(source // 50, 500, np.int16))) == target // 50


def test_the_same_rate_is_the_same_sound() -> None:
    sound = np.arange(320, dtype=np.int16)
    assert Resampler(16_000, 16_000)(sound) is sound


@pytest.mark.parametrize("source", [24_000, 22_050, 48_000])
def test_after_a_pause_nothing_is_left_of_what_was_cut_off(source: int) -> None:
    loud, quiet = np.full(source // 25, 20_000, np.int16), np.zeros(source // 25, np.int16)
    resample = Resampler(source, 16_000)
    assert abs(resample(loud, 1.00)).max() > 1000
    assert abs(resample(quiet, 1.04)).max() > 1000, "it is late by a few milliseconds, as it should be"
    resample(loud, 2.00)
    assert abs(resample(quiet, 2.25)).max() < 10, "dither"
