"""Measures that must not miss: what the harness knows of a call itself is not asked of its recording."""

from __future__ import annotations

from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from simulate.conversation.call_facts import CallFacts  # noqa: E402
from simulate.conversation.voice.caller_line import sounds_of, words_within  # noqa: E402
from simulate.conversation.voice.fillers import is_filler  # noqa: E402
from simulate.conversation.voice.measuring import panel_of  # noqa: E402
from simulate.conversation.voice.pcm import RATE, Pcm  # noqa: E402
from simulate.conversation.voice.recording import CallRecorder  # noqa: E402
from simulate.conversation.voice.speech_segments import Stretch  # noqa: E402
from simulate.conversation.voice.turn_taking import CallerTurn, measure  # noqa: E402
from simulate.model.transcript import Conversation, Utterance  # noqa: E402
from simulate.scoring.checks.replies import after_tool_measures, replies_after_tools  # noqa: E402
from simulate.trace.reading import Asked, Ran, ToolCall, ToolName, TraceReading  # noqa: E402
from simulate.trace.span import Trace  # noqa: E402

TURN = CallerTurn(1, 2, turn=1)


def dead_air(**more: object) -> list[tuple[float, float | None]]:
    panel = measure([TURN], [Stretch(3, 5)], 16, **more)  # type: ignore[arg-type]
    return [(event.at, event.seconds) for event in panel.dead_air]


def test_silence_of_a_caller_that_waits_for_more_is_the_agents() -> None:
    """It said half of its reply and nothing more; the caller, with nothing to say, waited ten seconds."""
    assert dead_air() == [(2, 1)], "a caller that hangs up when it likes was not kept waiting"
    assert dead_air(waits=[Stretch(5.9, 16)]) == [(2, 1), (5, 11)]
    assert dead_air(waits=[Stretch(5.9, 16)], silences=[Stretch(5, 16)]) == [(2, 1)], "silent on purpose"


def test_so_is_the_silence_before_the_caller_speaks_after_all() -> None:
    panel = measure([TURN, CallerTurn(15, 16, turn=2)], [Stretch(3, 5)], 17, waits=[Stretch(5.9, 14)])
    assert (5, 10) in [(event.at, event.seconds) for event in panel.dead_air]


@pytest.mark.parametrize("gap", [0.0, 0.3, 0.7], ids=["at once", "a breath", "a sentence gap"])
def test_a_turn_that_was_cut_is_a_stop_whatever_the_gap(gap: float) -> None:
    """The agent stops for the "mhm" and starts anew within what would be a gap between two sentences."""
    agent = [Stretch(3, 5.4), Stretch(5.4 + gap, 12)] if gap else [Stretch(3, 12)]
    turns = [TURN, CallerTurn(5, 5.3, "backchannel", 1)]
    stopped = measure(turns, agent, 13, cuts=[5.4])
    assert stopped.backchannel_selectivity == 0
    assert measure(turns, agent, 13).backchannel_selectivity == 1, "nothing says that it was cut"
    assert measure(turns, agent, 13, cuts=[2.5]).backchannel_selectivity == 1, "nor that it was then"


def test_the_callers_words_are_where_they_were_played(tmp_path: Path) -> None:
    """Noise as loud as speech before and after them: the channel would say anything."""
    chance = np.random.default_rng(4)
    said = Utterance("caller", "hello there", 1, 2.0, 3.0, first=2.0)
    conversation = Conversation("0" * 32, "voice", [said])
    with CallRecorder(tmp_path / "recording.wav", RATE) as recorder:
        noise = (chance.normal(0, 1, RATE * 6) * 3000).astype(np.int16)
        recorder.caller(noise.tobytes(), 0)
        recorder.close(6)
    facts = CallFacts(played=[(said, [(2.1, 2.4), (2.7, 2.95)])])
    panel = panel_of(tmp_path / "recording.wav", conversation, facts=facts)
    assert (said.start, said.end) == (2.1, 2.95)
    assert panel.caller_speech == pytest.approx(0.55)
    assert panel.words_per_minute == (None, None), "too short to have a pace"


def test_a_line_that_broke_off_counts_as_far_as_it_was_played() -> None:
    tone = (8000 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)).astype(np.int16)
    pause = np.zeros(RATE // 2, np.int16)
    sound = Pcm(np.concatenate([tone, pause, tone]))
    whole = sounds_of(sound, 10, 12.5)
    assert whole == [(pytest.approx(10, abs=0.02), pytest.approx(11, abs=0.02)),
                     (pytest.approx(11.5, abs=0.02), pytest.approx(12.5, abs=0.02))]  # fmt: skip
    assert sounds_of(sound, 10, 11.2) == whole[:1]
    assert words_within("one two three four", 0.5) == "one two"
    assert (words_within("one two", 1.0), words_within("one two", 0.0)) == ("one two", "")


def test_what_only_asks_for_patience() -> None:
    assert is_filler("One moment please, I will look that up.")
    assert is_filler("Sure, let me check that for you.")
    assert not is_filler("One moment please. What is your order number?")
    assert not is_filler("Your order was shipped.")


def called(end: float | None) -> ToolCall:
    ran = Ran({}, [], 4.0, end) if end is not None else None
    return ToolCall(ToolName("look_up"), asked=Asked({}, "a" * 16, 4.0), ran=ran, turn=1)


def test_the_reply_after_the_tool_is_not_the_filler() -> None:
    panel = measure([TURN], [Stretch(3, 4), Stretch(7, 9)], 10).to_dict()
    reading = TraceReading(Trace("0" * 32))
    (reply,) = replies_after_tools(panel, [called(6.5)], reading, 0)
    assert (reply.turn, reply.seconds) == (1, 5.0)
    assert after_tool_measures([reply])["reply_after_tool_p95_seconds"] == 5.0
    (plain,) = replies_after_tools(panel, [], reading, 0)
    assert plain.seconds == 1.0
    (never,) = replies_after_tools(panel, [called(9.5)], reading, 0)
    assert never.seconds is None and never.unknown is None
    (unknown,) = replies_after_tools(panel, [called(None)], reading, 0)
    assert unknown.unknown is not None
    assert replies_after_tools(measure([], [], 1).to_dict(), [], reading, 0) == [], "nobody spoke"
    assert after_tool_measures([unknown])["reply_after_tool_p95_seconds"] is None
