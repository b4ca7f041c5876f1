"""What a line does to a voice: as loud, as narrow, as lossy as asked for, and the same for a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("soxr")

from simulate.conversation.voice import effects  # noqa: E402
from simulate.conversation.voice.dtmf import tones  # noqa: E402
from simulate.conversation.voice.pcm import FRAME, RATE, Pcm, level_db  # noqa: E402
from simulate.errors import InputError  # noqa: E402
from simulate.model.persona import Voice  # noqa: E402


def tone(hertz: float, seconds: float = 2.0, level: float = 0.3) -> Any:
    moments = np.arange(int(seconds * RATE)) / RATE
    return (level * 32767 * np.sin(2 * np.pi * hertz * moments)).astype(np.int16)


def through(effect: effects.Effect, samples: Any) -> Any:
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    done = [effect(frame) for frame in frames]
    assert all(len(frame) == FRAME and frame.dtype == np.int16 for frame in done), "frame in, frame out"
    return np.concatenate(done)


SILENT = np.zeros(RATE * 3, np.int16)


@pytest.mark.parametrize("name", effects.NOISES)
@pytest.mark.parametrize("db", [0, 10, 30])
def test_noise_has_the_level_that_was_asked_for(name: str, db: float) -> None:
    made = through(effects.outgoing(Voice(noise=name, noise_db=db), 7), np.tile(SILENT, 4))
    assert level_db(made) == pytest.approx(effects.SPEECH_DB - db, abs=0.7)


def test_the_same_seed_makes_the_same_line() -> None:
    voice = Voice(noise="cafe", line="bad")
    one, same, other = (through(effects.outgoing(voice, seed), tone(440)) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()


def test_noises_differ_and_repeat_without_a_click() -> None:
    spectra = {}
    for name in effects.NOISES:
        noise = effects.generated(name, 3).astype(float)
        power = np.abs(np.fft.rfft(noise)) ** 2
        hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
        spectra[name] = power[hertz < 400].sum() / power.sum()
        seam = np.abs(np.diff(np.concatenate([noise[-50:], noise[:50]]))).max()
        assert seam <= np.abs(np.diff(noise)).max() * 1.01
    assert spectra["street"] > 0.8 > spectra["cafe"] > spectra["white"]


@pytest.mark.parametrize(("hertz", "lost"), [(100, 7), (1000, -1), (3300, -1), (4200, 25)])
def test_a_telephone_carries_its_band(hertz: float, lost: float) -> None:
    """300 to 3400 Hz pass; what lies outside gets quieter by so many dB."""
    sound = tone(hertz)
    heard = through(effects.Telephone(), sound)[RATE // 2 :]
    drop = level_db(sound) - level_db(heard)
    assert drop > lost if lost > 0 else abs(drop) < 1.5


def test_a_telephone_delays_by_a_few_milliseconds() -> None:
    click = SILENT.copy()
    click[RATE : RATE + 40] = 20_000
    heard = through(effects.Telephone(), click)
    assert 0 < np.argmax(np.abs(heard)) - RATE < 0.01 * RATE


def test_mu_law_is_g711s() -> None:
    """Quantisation of speech-loud sound leaves about 37 dB over noise, whatever the level (G.711)."""
    for level in (0.5, 0.1, 0.02):
        sound = tone(300, level=level) / 32768
        error = sound - effects.from_mu_law(effects.to_mu_law(sound))
        ratio = 10 * np.log10(np.mean(sound**2) / np.mean(error**2))
        assert 33 < ratio < 42
    edges = np.array([-1.5, -1, 0, 1, 1.5])
    assert effects.to_mu_law(edges).tolist()[0] == 0 and effects.to_mu_law(edges).tolist()[-1] == 255


def test_lost_packets_are_concealed() -> None:
    effect = effects.Loss(5)
    frames = [np.full(FRAME, 1000 + index, np.int16) for index in range(4000)]
    lost = [index for index, frame in enumerate(frames) if not (effect(frame) == frame).all()]
    assert 0.02 < len(lost) / len(frames) < 0.045, "three in a hundred"
    runs = sum(index - 1 not in lost for index in lost)
    assert 1.5 < len(lost) / runs < 2.6, "in bursts"


def test_concealment_fades_and_never_clicks() -> None:
    effect = effects.Loss(0, share=1.0, burst=1.0)
    effect._last = np.full(FRAME, 10_000, np.int16)
    effect._lost = 1
    levels = [int(effect(np.full(FRAME, 9_999, np.int16))[0]) for _ in range(3)]
    assert levels == [1999, 0, 0]


def test_an_echo_comes_later_and_quieter() -> None:
    click = SILENT.copy()
    click[:FRAME] = 20_000
    heard = through(effects.Echo(), click)
    at = np.flatnonzero(heard[FRAME:])[0] + FRAME
    assert at / RATE == pytest.approx(effects.ECHO_SECONDS, abs=0.02)
    assert heard[at] == int(20_000 * effects.ECHO_GAIN)


def test_a_bad_line_is_quieter_than_a_good_one() -> None:
    sound = tone(800)
    good, bad = (through(effects.outgoing(Voice(line=line), 1), sound) for line in ("phone", "bad"))
    assert 6 < level_db(good) - level_db(bad) < 12


def test_a_clean_line_changes_nothing() -> None:
    sound = tone(800)
    assert (through(effects.outgoing(Voice(), 1), sound) == sound).all()
    assert (through(effects.incoming(Voice(), 1), sound) == sound).all()


def test_loud_sound_is_clipped_and_never_wraps() -> None:
    loud = np.full(RATE, 32_000, np.int16)
    for effect in (effects.Gain(4.0), effects.Echo(), effects.Noise(effects.generated("white", 1), -10)):
        assert through(effect, loud)[-FRAME:].astype(int).min() > -32768 // 2


def test_noise_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "hum.wav").write_bytes(Pcm(tone(500)).wav())
    voice = Voice(noise="hum.wav", noise_db=10)
    effects.check(voice, tmp_path)
    made = through(effects.outgoing(voice, 1, tmp_path), SILENT)
    assert level_db(made) == pytest.approx(effects.SPEECH_DB - 10, abs=0.5)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("none.wav", None, "there is no noise"),
        ("song.mp3", b"ID3", "there is no noise"),
        ("text.wav", b"no audio at all", "is not a usable WAV file"),
        ("half.wav", Pcm(tone(300)).wav()[:30], "is not a usable WAV file"),
        ("short.wav", Pcm(tone(300, 0.2)).wav(), "too short or too quiet"),
        ("silent.wav", Pcm(SILENT).wav(), "too short or too quiet"),
        ("slow.wav", Pcm(tone(300), 4_000).wav(), "a sample rate of 4000 Hz"),
    ],
)
def test_what_is_no_noise_is_refused(tmp_path: Path, name: str, content: bytes | None, match: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=match):
        effects.check(Voice(noise=name), tmp_path)


# -- keys


def test_every_key_has_its_two_tones() -> None:
    """ITU-T Q.23: one of a low group and one of a high group, nothing else."""
    low, high = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    pairs = {}
    for key in "123A456B789C*0#D":
        samples = tones(key).samples[: int(0.1 * RATE)].astype(float)
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 15))
        hertz = np.fft.rfftfreq(1 << 15, 1 / RATE)
        strong = [each for each in (*low, *high) if power[np.abs(hertz - each) < 15].max() > power.max() / 4]
        assert len(strong) == 2 and strong[0] in low and strong[1] in high, (key, strong)
        pairs[tuple(strong)] = key
    assert len(pairs) == 16 and pairs[(770, 1336)] == "5" and pairs[(941, 1477)] == "#"


def test_keys_follow_each_other_with_silence_between() -> None:
    sound = tones("42#")
    assert sound.seconds == pytest.approx(0.6)
    gap = sound.samples[int(0.13 * RATE) : int(0.19 * RATE)]
    assert not gap.any() and not len(tones("").samples)


def test_a_delay_moves_everything_by_whole_frames() -> None:
    sound = tone(440)
    late = through(effects.Delay(0.1), sound)
    assert (late[: 5 * FRAME] == 0).all()
    assert (late[5 * FRAME :] == sound[: len(late) - 5 * FRAME]).all()
    assert (through(effects.Delay(0), sound) == sound).all()


def test_the_agents_own_voice_comes_back_softer_and_later() -> None:
    echo = effects.returning(Voice(echo=0.5))
    assert echo is not None and effects.returning(Voice()) is None
    back = through(echo, tone(440))
    late = round(effects.ECHO_SECONDS * RATE)
    assert not back[:late].any()
    assert np.abs(back[late:]).max() == pytest.approx(np.abs(tone(440)).max() / 2, rel=0.01)
