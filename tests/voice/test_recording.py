"""The recording: two sides on one clock, nothing lost by a kill, late frames put where they belong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from simulate.conversation.voice.recording import CallRecorder, read_channels  # noqa: E402
from simulate.errors import HarnessFault, InputError  # noqa: E402

RATE = 16_000
FRAME = RATE // 50


def ramp(count: int, start: int = 1) -> np.ndarray:
    return (np.arange(start, start + count) % 30_000 + 1).astype(np.int16)


def test_sides_lie_on_one_clock_with_silence_between(tmp_path: Path) -> None:
    sound = ramp(FRAME)
    with CallRecorder(tmp_path / "call.wav", RATE) as recorder:
        recorder.caller(sound.tobytes(), 0.5)
        recorder.agent(sound.tobytes(), 1.25)
        recorder.close(2.0)
    left, right, rate = read_channels(tmp_path / "call.wav")
    assert rate == RATE and len(left) == len(right) == 2 * RATE
    assert np.flatnonzero(left)[[0, -1]].tolist() == [RATE // 2, RATE // 2 + FRAME - 1]
    assert np.flatnonzero(right)[0] == round(1.25 * RATE)
    assert (left[RATE // 2 : RATE // 2 + FRAME] == sound).all()


def test_late_frames_are_put_where_their_run_began(tmp_path: Path) -> None:
    """The first frame was 180 ms late, the others less: the run belongs where the most punctual one says."""
    chance = random.Random(7)
    sound = ramp(FRAME * 50)
    with CallRecorder(tmp_path / "call.wav", RATE) as recorder:
        for number in range(50):
            late = 0.18 if number == 0 else chance.choice([0, 0.01, 0.03])
            piece = sound[number * FRAME : (number + 1) * FRAME]
            recorder.agent(piece.tobytes(), 1.0 + number * 0.02 + late)
    left, right, _ = read_channels(tmp_path / "call.wav")
    began = int(np.flatnonzero(right)[0])
    assert abs(began - RATE) <= 0.005 * RATE
    assert (right[began : began + len(sound)] == sound).all(), "samples must come in order, none lost"
    assert not left.any()


def test_a_stall_of_this_process_leaves_no_hole(tmp_path: Path) -> None:
    """Frames of a continuous stream that were read 0.3 s late, all at once, were still sounding in time."""
    sound = ramp(FRAME * 100)
    with CallRecorder(tmp_path / "call.wav", RATE) as recorder:
        for number in range(100):
            at = number * 0.02
            if 40 <= number < 55:
                at = 55 * 0.02
            recorder.agent(sound[number * FRAME : (number + 1) * FRAME].tobytes(), at)
    _, right, _ = read_channels(tmp_path / "call.wav")
    assert (right[: len(sound)] == sound).all()


def test_real_silence_stays_silence(tmp_path: Path) -> None:
    sound = ramp(FRAME)
    with CallRecorder(tmp_path / "call.wav", RATE) as recorder:
        recorder.agent(sound.tobytes(), 0.0)
        recorder.agent(sound.tobytes(), 1.0)
        recorder.agent(sound.tobytes(), 0.98)  # earlier than placed, but another run's place is not touched
    _, right, _ = read_channels(tmp_path / "call.wav")
    assert (right[:FRAME] == sound).all()
    assert not right[FRAME : round(0.9 * RATE)].any()
    assert np.count_nonzero(right) == 3 * FRAME


def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    code = (
        "import os, signal, sys\n"
        "from simulate.conversation.voice.recording import CallRecorder\n"
        "recorder = CallRecorder(sys.argv[1], 16000)\n"
        "for number in range(75):\n"
        "    recorder.caller(b'\\x01\\x02' * 320, number * 0.02)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False, cwd=os.getcwd())
    assert ended.returncode == -signal.SIGKILL
    with wave.open(str(path)) as file:
        assert file.getnframes() == 75 * 320
        assert file.readframes(75 * 320)[:2] == b"\x01\x02"


@pytest.mark.parametrize("rate", [0, 7_999, 96_000])
def test_a_rate_out_of_range_is_refused(tmp_path: Path, rate: int) -> None:
    with pytest.raises(InputError, match="samples a second"):
        CallRecorder(tmp_path / "call.wav", rate)


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    with CallRecorder(tmp_path / "call.wav", RATE) as recorder, pytest.raises(HarnessFault, match="16-bit"):
        recorder.caller(b"\x01", 0.0)
    with pytest.raises(HarnessFault, match="closed"):
        recorder.caller(b"\x01\x00", 0.0)
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(InputError, match="not a WAV"):
        read_channels(tmp_path / "text.wav")
