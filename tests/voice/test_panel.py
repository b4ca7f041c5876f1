"""The panel against calls whose every time is known, and against one of τ-voice's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from simulate.conversation.voice.measuring import panel_of  # noqa: E402
from simulate.conversation.voice.panel import Panel  # noqa: E402
from simulate.conversation.voice.recording import CallRecorder  # noqa: E402
from simulate.conversation.voice.speech_segments import Stretch, stretches  # noqa: E402
from simulate.conversation.voice.turn_taking import CallerTurn, measure  # noqa: E402
from simulate.model.transcript import Conversation, Utterance  # noqa: E402

RATE = 16_000
SHARED = Path(__file__).parents[3] / "shared/traces/09_tau2_voice_fullduplex_simulation.json"


def voice(seconds: float, chance: np.random.Generator, level: float | None = None) -> np.ndarray:
    """Sound like speech, with an exact begin and end: harmonics of a wandering pitch, in syllables."""
    count = int(seconds * RATE)
    t = np.arange(count) / RATE
    pitch = chance.uniform(90, 220) * (1 + 0.05 * np.sin(2 * np.pi * chance.uniform(0.5, 2) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.sum([np.sin(k * phase) / k for k in range(1, 15)], axis=0)
    sound *= 0.35 + 0.65 * np.abs(np.sin(np.pi * chance.uniform(3, 5) * t + chance.uniform(0, 3)))
    rise, fall = int(chance.uniform(0.005, 0.03) * RATE), int(chance.uniform(0.01, 0.06) * RATE)
    sound[:rise] *= np.linspace(0, 1, rise)
    sound[-fall:] *= np.linspace(1, 0, fall)
    level = chance.uniform(0.1, 0.6) if level is None else level
    return sound / np.abs(sound).max() * level


def pcm(sound: np.ndarray) -> np.ndarray:
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16)


@pytest.mark.parametrize("noise_db", [None, 40, 25], ids=["clean", "40 dB", "25 dB"])
def test_onsets_and_offsets_are_within_20_ms(noise_db: float | None) -> None:
    chance = np.random.default_rng(11)
    errors: list[float] = []
    for _ in range(6):
        sound, truth, at = np.zeros(RATE * 40), list[tuple[float, float]](), 0.5
        while at < 34:
            piece = voice(float(chance.uniform(0.3, 4)), chance)
            begin = int(at * RATE)
            sound[begin : begin + len(piece)] += piece
            truth.append((begin / RATE, (begin + len(piece)) / RATE))
            at += len(piece) / RATE + float(chance.uniform(0.4, 3))
        if noise_db is not None:
            power = float(np.mean(sound[sound != 0] ** 2))
            sound += chance.normal(0, np.sqrt(power / 10 ** (noise_db / 10)), len(sound))
        found = stretches(pcm(sound), RATE)
        assert len(found) == len(truth), "one stretch an utterance, and none that is noise"
        for one, (begin, end) in zip(found, truth, strict=True):
            errors += [abs(one.start - begin), abs(one.end - end)]
    assert np.median(errors) < 0.020
    assert np.percentile(errors, 95) < 0.060


@pytest.mark.parametrize("level", [0, 3, 30], ids=["digital silence", "dither", "hum"])
def test_a_silent_channel_holds_no_speech(level: float) -> None:
    chance = np.random.default_rng(3)
    assert stretches((chance.normal(0, 1, RATE * 5) * level).astype(np.int16), RATE) == []
    assert stretches(np.zeros(0, np.int16), RATE) == []


def test_a_click_is_no_speech() -> None:
    sound = np.zeros(RATE * 3)
    sound[RATE : RATE + 160] = 0.9
    assert stretches(pcm(sound), RATE) == []


@dataclass
class Call:
    """A call made to order: (start, end) of everything, in seconds."""

    caller: list[tuple[float, float, str]]
    agent: list[tuple[float, float]]
    duration: float
    pauses: tuple[tuple[float, float], ...] = ()
    """Where a caller's utterance pauses for breath."""

    def panel(self, tmp_path: Path, **more: bool) -> tuple[Panel, Conversation]:
        chance = np.random.default_rng(5)
        conversation = Conversation("0" * 32, "voice")
        with CallRecorder(tmp_path / "recording.wav", RATE) as recorder:
            for turn, (start, end, kind) in enumerate(self.caller, start=1):
                said = "mhm" if kind == "backchannel" else "one two three four five"
                # what the pipeline knows: its synthesiser padded the words with silence
                conversation.utterances.append(
                    Utterance("caller", said, turn, start - 0.2, end + 0.3, kind=kind)  # type: ignore[arg-type]
                )
                edges = [start, *(t for pause in self.pauses if start < pause[0] < end for t in pause), end]
                for begin, until in zip(edges[::2], edges[1::2], strict=True):
                    if kind != "silence":
                        recorder.caller(pcm(voice(until - begin, chance, 0.4)).tobytes(), begin)
            for start, end in self.agent:
                # what its detector told: late
                conversation.utterances.append(
                    Utterance("agent", "six seven eight nine ten", 1, start + 0.35, end + 0.25)
                )
                recorder.agent(pcm(voice(end - start, chance, 0.4)).tobytes(), start)
            recorder.close(self.duration)
        return panel_of(tmp_path / "recording.wav", conversation, **more), conversation


def near(value: float) -> object:
    return pytest.approx(value, abs=0.03)


def test_replies_are_measured_from_the_sound_not_from_what_the_pipeline_believes(tmp_path: Path) -> None:
    call = Call([(0.5, 2.5, "speech"), (6, 8, "speech")], [(3.3, 5.5), (9.9, 11)], 12)
    panel, conversation = call.panel(tmp_path)
    assert panel.response_latencies == [near(0.8), near(1.9)]
    assert panel.measures()["reply_p95_seconds"] == near(0.8 + 0.95 * 1.1)
    assert panel.time_to_first_audio == near(3.3)
    assert panel.response_rate == 1.0
    first = conversation.utterances[0]
    assert (first.start, first.end) == (near(0.5), near(2.5))
    reply = conversation.by("agent")[0]
    assert (reply.first, reply.start, reply.end) == (near(3.3), near(3.3), near(5.5))
    assert panel.talk_ratio == near(3.3 / 7.3)
    assert panel.overlap == 0 and panel.silence == near(12 - 7.3)
    assert panel.words_per_minute == (near(10 / 4 * 60), pytest.approx(10 / 3.3 * 60, rel=0.03))
    assert panel.caller_interruptions == panel.agent_interruptions == panel.premature_ends == 0


def test_an_agent_that_stops_when_interrupted(tmp_path: Path) -> None:
    call = Call([(0.5, 1.5, "speech"), (4, 6, "speech")], [(2, 4.6), (7, 8)], 9)
    panel, _ = call.panel(tmp_path)
    assert panel.stop_times == [near(0.6)]
    assert panel.yield_rate == 1.0
    assert panel.response_latencies == [near(0.5), near(1.0)], "the interruption is answered too"
    assert panel.overlap == near(0.6)


def test_a_gap_between_sentences_is_no_stop(tmp_path: Path) -> None:
    """The caller cuts in at 4.0; the agent finishes its sentence, breathes for 0.6 s and goes on."""
    call = Call([(0.5, 1.5, "speech"), (4, 6.5, "speech")], [(2, 4.3), (4.9, 9)], 10)
    panel, _ = call.panel(tmp_path)
    assert panel.stop_times == [near(5.0)]
    assert panel.yield_rate == 0.0
    assert panel.agent_interruptions == 0, "it went on, it did not begin"


def test_an_agent_that_never_stops_has_no_stop_time(tmp_path: Path) -> None:
    panel, _ = Call([(0.5, 1.5, "speech"), (4, 6, "speech")], [(2, 8)], 8).panel(tmp_path)
    assert panel.stop_times == [None]
    assert panel.measures()["stop_max_seconds"] is None and panel.yield_rate == 0.0


@pytest.mark.parametrize(("until", "selectivity"), [(6.0, 1.0), (3.6, 0.0)], ids=["talks on", "stops"])
def test_a_backchannel_is_no_interruption(tmp_path: Path, until: float, selectivity: float) -> None:
    call = Call([(0.5, 1.5, "speech"), (3, 3.35, "backchannel")], [(2, until)], 8)
    panel, _ = call.panel(tmp_path)
    assert panel.backchannel_selectivity == selectivity
    assert panel.caller_interruptions == 0 and panel.stop_times == []


def test_a_breath_taken_for_the_end_of_the_turn(tmp_path: Path) -> None:
    call = Call([(1, 6, "speech")], [(3.2, 4.5)], 8, pauses=((2.5, 3.3),))
    panel, _ = call.panel(tmp_path)
    assert panel.premature_ends == panel.agent_interruptions == 1


def test_talking_over_the_caller_is_not_a_breath_misread(tmp_path: Path) -> None:
    panel, _ = Call([(1, 6, "speech")], [(4, 7)], 8).panel(tmp_path)
    assert (panel.agent_interruptions, panel.premature_ends) == (1, 0)
    assert panel.response_latencies == [], "nobody waited"


def test_dead_air_is_where_the_agent_was_due(tmp_path: Path) -> None:
    """After a turn, between "one moment" and the result, and when the reply never comes."""
    call = Call([(0.5, 1.5, "speech"), (13, 14, "speech")], [(4, 5), (10, 11)], 20)
    panel, _ = call.panel(tmp_path)
    assert [(event.at, event.seconds) for event in panel.dead_air] == [
        (near(1.5), near(2.5)), (near(5), near(5)), (near(14), near(6)),
    ]  # fmt: skip
    assert panel.response_rate == 1.0, "after the last turn nobody spoke: it is not counted, as in τ-voice"


def test_silence_that_the_caller_keeps_on_purpose_is_no_dead_air(tmp_path: Path) -> None:
    call = Call([(0.5, 1.5, "speech"), (3.2, 9.8, "silence")], [(2, 3), (10, 11)], 11)
    panel, _ = call.panel(tmp_path)
    assert [event.seconds for event in panel.dead_air] == [near(0.5)]


def test_a_greeting_that_is_owed(tmp_path: Path) -> None:
    call = Call([(6, 7, "speech")], [(3, 5), (7.5, 8)], 8)
    panel, _ = call.panel(tmp_path, agent_first=True)
    assert [event.seconds for event in panel.dead_air] == [near(3.0), near(0.5)]
    panel, _ = call.panel(tmp_path)
    assert [event.seconds for event in panel.dead_air] == [near(0.5)], "it owed none"


def test_nothing_said_is_unknown_not_zero(tmp_path: Path) -> None:
    panel, _ = Call([], [], 5).panel(tmp_path)
    measures = panel.measures()
    for name in ("reply_p50_seconds", "talk_ratio", "yield_rate", "backchannel_selectivity", "response_rate"):
        assert measures[name] is None
    assert measures["silence_seconds"] == 5 and panel.words_per_minute == (None, None)


def test_noise_of_the_callers_line_is_not_the_callers_speech(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    conversation = Conversation("0" * 32, "voice", [Utterance("caller", "hello there", 1, 0.9, 2.1)])
    with CallRecorder(tmp_path / "recording.wav", RATE) as recorder:
        sound = chance.normal(0, 0.01, RATE * 8)
        sound[RATE : 2 * RATE] += voice(1, chance, 0.4)
        sound[5 * RATE : 6 * RATE] += voice(1, chance, 0.1)  # somebody in the café
        recorder.caller(pcm(sound).tobytes(), 0)
    panel = panel_of(tmp_path / "recording.wav", conversation)
    assert panel.caller_speech == near(1.0)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared traces are not beside this checkout")
def test_agrees_with_tau_voice_on_one_of_its_calls() -> None:
    """What tau2-bench's own ``voice_interaction_metrics`` gives for this call, event by event. It counts two
    more interruptions, in ticks of 0.2 s in which both began at once: to us that is nobody's."""
    ticks = json.loads(SHARED.read_bytes())["ticks"][:-1]  # its last tick is the end signal, not speech
    caller = [
        CallerTurn(start, end, "backchannel" if action == "backchannel" else "speech")
        for start, end, action in runs(ticks, "user_chunk")
    ]
    agent = [Stretch(start, end) for start, end, _ in runs(ticks, "agent_chunk")]
    panel = measure(caller, agent, len(ticks) * 0.2)
    assert panel.response_latencies == pytest.approx([1.2, 1.2, 1.0, 1.2, 1.4, 0.8, 1.6, 1.0])
    assert panel.stop_times == pytest.approx([0.6, 0.6, 0.6])
    assert panel.yield_rate == panel.response_rate == panel.backchannel_selectivity == 1.0
    assert panel.agent_interruptions == 0
    assert panel.tau_voice() == {
        "L_R": pytest.approx(1.175), "L_Y": pytest.approx(0.6), "R_R": 1, "R_Y": 1, "I_A": 0,
        "S_BC": 1, "S_VT": None, "S_ND": None,
    }  # fmt: skip


def runs(ticks: list[dict], who: str) -> list[tuple[float, float, str | None]]:
    found: list[tuple[float, float, str | None]] = []
    for number, tick in enumerate(ticks):
        chunk = tick[who]
        if not (chunk and chunk["contains_speech"]):
            continue
        if found and abs(found[-1][1] - number * 0.2) < 1e-6:
            found[-1] = (found[-1][0], (number + 1) * 0.2, found[-1][2])
        else:
            action = (chunk["turn_taking_action"] or {}).get("action")
            found.append((number * 0.2, (number + 1) * 0.2, action))
    return found
