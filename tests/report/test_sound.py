"""The recording in the report: waveforms without any extra, the sound found where the run lies now."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
import wave
from pathlib import Path

from simulate.conversation.voice.waveform import picture
from simulate.interfaces.render.html import write_html
from simulate.model.outcome import Outcome
from simulate.model.transcript import Conversation, Utterance


def recording(path: Path, seconds: int = 4, rate: int = 8_000) -> Path:
    """The caller speaks in the first second, the agent, half as loud, in the third."""
    frames = bytearray()
    for number in range(seconds * rate):
        tone = math.sin(2 * math.pi * 200 * number / rate)
        left = tone * 32_000 if number < rate else 0
        right = tone * 16_000 if 2 * rate <= number < 3 * rate else 0
        frames += struct.pack("<hh", int(left), int(right))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(frames))
    return path


def test_a_picture_shows_who_spoke_when(tmp_path: Path) -> None:
    drawn = picture(recording(tmp_path / "recording.wav"))
    assert drawn is not None and drawn["seconds"] == 4
    caller, agent = (base64.b64decode(drawn[side]) for side in ("caller", "agent"))
    assert len(caller) == len(agent) == 200
    assert min(caller[:50]) > 200 and not any(caller[51:])
    assert not any(agent[:99]) and min(agent[101:149]) > 150 and max(agent) < max(caller)


def test_what_is_no_recording_has_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("RIFF")
    assert picture(tmp_path / "text.wav") is None
    assert picture(tmp_path / "none.wav") is None


def outcome(folder: Path) -> Outcome:
    talk = Conversation("ab" * 16, "voice", [Utterance("caller", "Hi", 1, 0, 1)], "caller", started_ns=10**18)
    events = [{"kind": "reply", "at": 1.0, "seconds": 1.0, "turn": 1, "good": None}]
    made = Outcome("phone", "livekit:x", "passed", talk, folder=str(folder))
    made.recording = str(folder / "recording.wav")
    made.measures = {"talk_ratio": 0.5, "turn_taking": {"events": events}}  # type: ignore[dict-item]
    return made


def embedded(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="outcome-0">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_report_points_to_the_sound_beside_it(tmp_path: Path) -> None:
    recording(tmp_path / "run" / "a call" / "recording.wav")
    page = write_html(
        tmp_path / "run" / "report.html", None, [outcome(tmp_path / "run" / "a call")]
    ).read_text()
    data = embedded(page)
    assert data["sound"]["src"] == "a%20call/recording.wav"
    assert data["sound"]["events"][0]["kind"] == "reply"
    assert data["measures"] == {"talk_ratio": 0.5}
    assert "media-src 'self' file:;" in page.replace("&#x27;", "'")


def test_a_run_that_was_moved_still_finds_its_sound(tmp_path: Path) -> None:
    recording(tmp_path / "moved" / "call" / "recording.wav")
    page = write_html(
        tmp_path / "moved" / "report.html", None, [outcome(tmp_path / "gone" / "call")]
    ).read_text()
    assert embedded(page)["sound"]["src"] == "call/recording.wav"


def test_without_a_recording_no_sound_may_come_from_anywhere(tmp_path: Path) -> None:
    silent = outcome(tmp_path / "gone")
    assert embedded(write_html(tmp_path / "report.html", None, [silent]).read_text())["sound"] is None
    silent.recording = None
    assert "media-src 'none'" in write_html(tmp_path / "report.html", None, [silent]).read_text()
