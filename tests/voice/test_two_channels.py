"""A production call's recording: the caller's lines out of it, its measures, and both calls on one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numpy", reason="needs the extra voice")

from simulate.conversation.voice.recording import CallRecorder
from simulate.conversation.voice.senses import Senses, prepare
from simulate.conversation.voice.turn_taking import CallerTurn, measure
from simulate.conversation.voice.two_channels import caller_lines, panel_of_sound
from simulate.errors import InputError
from simulate.interfaces.render.recordings_beside import recordings_beside
from simulate.model.scenario import Scenario

RATE = 16_000


def sound(seconds: float) -> bytes:
    moments = np.arange(round(seconds * RATE)) / RATE
    wave = 8000 * np.sin(2 * np.pi * 220 * moments) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * moments))
    return wave.astype(np.int16).tobytes()


def recording(path: Path, reply: float = 1.0) -> Path:
    """The agent greets, the caller says two lines, the first with a breath in it; each gets its reply."""
    with CallRecorder(path, RATE) as tape:
        tape.agent(sound(1.0), 0.5)
        tape.caller(sound(0.8), 2.0)
        tape.caller(sound(0.6), 3.3)
        tape.agent(sound(1.5), 3.9 + reply)
        tape.caller(sound(0.7), 8.0)
        tape.agent(sound(1.0), 8.7 + reply)
        tape.close(12.0)
    return path


def test_the_callers_lines_are_cut_where_the_agent_spoke(tmp_path: Path) -> None:
    first, second = caller_lines(recording(tmp_path / "a.wav"), 2)
    assert first.seconds == pytest.approx(1.9 + 0.3, abs=0.1) and second.seconds == pytest.approx(
        1.0, abs=0.1
    )
    assert len(caller_lines(tmp_path / "a.wav", 3)) == 3
    with pytest.raises(InputError, match="3 pieces of speech, and the caller has 4 lines"):
        caller_lines(tmp_path / "a.wav", 4)


def test_a_recording_alone_gives_the_panel(tmp_path: Path) -> None:
    panel = panel_of_sound(recording(tmp_path / "a.wav", reply=1.4))
    assert panel.response_latencies == [pytest.approx(1.4, abs=0.05)] * 2
    assert panel.time_to_first_audio == pytest.approx(0.5, abs=0.05) and not panel.agent_interruptions


def test_both_calls_are_on_one_page_with_what_differs(tmp_path: Path) -> None:
    calls = [recording(tmp_path / f"{reply}.wav", reply) for reply in (1.0, 1.8)]
    text = recordings_beside(tmp_path / "page.html", calls, [30, None])
    assert text.count("<audio") == 2 and text.count("<svg") == 4
    assert "<th scope=row>reply, median<td class=num>0.99" in text or "reply, median<td class=num>1 s" in text
    assert "+0.8 s" in text
    assert 'src="1.8.wav"' in text


def test_a_recording_is_refused_before_the_call_where_it_holds_too_little(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    given = {
        "name": "x",
        "medium": "voice",
        "agent": "pipecat:x:y",
        "persona": {"voice": {"recording": "a.wav"}},
    }
    senses = Senses(tts=None, stt=None, root=tmp_path)  # type: ignore[arg-type]
    scenario = Scenario(**given, script=[{"says": str(number)} for number in range(4)])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has 4 lines"):
        prepare(scenario, senses)


def test_hanging_up_on_the_caller_is_no_reply() -> None:
    panel = measure([CallerTurn(1.0, 2.0, turn=1, hung_up_on=True)], [], 2.0)
    assert [(event.kind, event.at, event.good) for event in panel.events] == [("hung_up", 2.0, False)]
