"""The checks of calls on panels and traces made by hand: they pass, fail, and say when they cannot know."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

from simulate.conversation.voice.speech_segments import Stretch
from simulate.conversation.voice.turn_taking import CallerTurn, measure
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Span, Trace

QUESTION, CUT_IN = CallerTurn(0.5, 2, turn=1), CallerTurn(5, 6.5, turn=2)
MHM = CallerTurn(4, 4.3, "backchannel", turn=1)
COUGH, ASIDE = CallerTurn(4, 4.3, "vocal_tic", turn=1), CallerTurn(4, 4.3, "aside", turn=1)
MUSIC = CallerTurn(4, 9, "hold_music", turn=1)
ID = "ab" * 16


async def verdict(
    expect: dict[str, Any],
    caller: list[CallerTurn] | None = None,
    agent: list[tuple[float, float]] | None = None,
    *,
    spans: list[Span] | None = None,
    said: list[Utterance] | None = None,
    uses: list[ToolUse] | None = None,
    duration: float = 12,
) -> Verdict:
    measures = {}
    if caller is not None and agent is not None:
        panel = measure(caller, [Stretch(*one) for one in agent], duration)
        measures = {"turn_taking": panel.to_dict()}
    conversation = Conversation(ID, "voice", said or [], started_ns=10**9)
    scenario = Scenario(name="x", medium="voice", opens_with="x", expect=[expect])  # type: ignore[list-item]
    evidence = Evidence(
        scenario,
        conversation,
        TraceReading(Trace(ID, spans or [])),
        [ToolCall.of(use) for use in uses or ()],
        measures=measures,
    )
    (result,) = await check_all(scenario.expect, evidence)
    return result


@pytest.mark.parametrize(
    ("expect", "caller", "agent", "status", "fact"),
    [
        ({"stops_within": "1 s"}, [QUESTION, CUT_IN], [(3, 5.7), (7, 8)], "passed", "700 ms"),
        ({"stops_within": "500 ms"}, [QUESTION, CUT_IN], [(3, 5.7), (7, 8)], "failed", "700 ms"),
        ({"stops_within": "1 s"}, [QUESTION, CUT_IN], [(3, 12)], "failed", "until the call ended"),
        ({"stops_within": "1 s"}, [QUESTION, CUT_IN], [(3, 4), (7, 8)], "not_run", "never interrupted"),
        ({"stops_within": "1 s"}, [QUESTION, MHM], [(3, 4.5)], "not_run", "never interrupted"),
        ({"ignores_backchannel": True}, [QUESTION, MHM], [(3, 7)], "passed", "1 of 1"),
        ({"ignores_backchannel": True}, [QUESTION, MHM], [(3, 4.6)], "failed", "600 ms after"),
        ({"ignores_backchannel": True}, [QUESTION], [(3, 4.6)], "not_run", "no “mhm”"),
        ({"ignores_vocal_tics": True}, [QUESTION, COUGH], [(3, 7)], "passed", "1 of 1"),
        ({"ignores_vocal_tics": True}, [QUESTION, COUGH], [(3, 4.6)], "failed", "600 ms after"),
        ({"ignores_vocal_tics": True}, [QUESTION, ASIDE], [(3, 4.6)], "not_run", "no cough"),
        ({"ignores_asides": True}, [QUESTION, ASIDE], [(3, 7)], "passed", "1 of 1"),
        ({"ignores_asides": True}, [QUESTION, ASIDE], [(3, 3.5), (5, 6)], "failed", "1000 ms after"),
        ({"ignores_asides": True}, [QUESTION, COUGH], [(3, 4.6)], "not_run", "somebody else"),
        ({"ignores_hold_music": True}, [QUESTION, MUSIC], [(3, 3.8)], "passed", "1 of 1"),
        ({"ignores_hold_music": True}, [QUESTION, MUSIC], [(3, 3.8), (6, 7)], "failed", "2000 ms after"),
        ({"ignores_hold_music": True}, [QUESTION, ASIDE], [(3, 4.6)], "not_run", "hold music"),
        ({"lets_caller_finish": True}, [QUESTION, CUT_IN], [(3, 4)], "passed", "never began"),
        ({"lets_caller_finish": True}, [QUESTION], [(1, 3)], "failed", "at 1.0 s, 1000 ms before"),
        ({"lets_caller_finish": True}, [], [(1, 3)], "not_run", "said nothing"),
        ({"no_dead_air": "2 s"}, [QUESTION], [(3, 11)], "passed", "1000 ms, at 2.0 s"),
        ({"no_dead_air": "2 s"}, [QUESTION], [(3, 4), (9, 10)], "failed", "5000 ms, at 4.0 s"),
        ({"no_dead_air": "2 s"}, [], [], "not_run", "nobody spoke"),
        ({"talk_ratio": {"at_most": 0.6}}, [QUESTION], [(3, 5)], "passed", "57%"),
        ({"talk_ratio": {"at_most": 0.6}}, [QUESTION], [(3, 9)], "failed", "80%"),
        ({"talk_ratio": {"at_least": 0.2}}, [], [], "not_run", "nobody spoke"),
    ],
)
async def test_what_the_panel_tells(
    expect: dict[str, Any], caller: list[CallerTurn], agent: list[tuple[float, float]], status: str, fact: str
) -> None:
    found = await verdict(expect, caller, agent)
    assert (found.status, fact in found.fact) == (status, True), found.fact
    assert found.side == ("agent" if status == "failed" else None)


@pytest.mark.parametrize(
    "expect",
    [
        {"stops_within": "1 s"},
        {"ignores_backchannel": True},
        {"ignores_vocal_tics": True},
        {"ignores_asides": True},
        {"lets_caller_finish": True},
        {"no_dead_air": "1 s"},
        {"talk_ratio": {"at_most": 1}},
    ],
)
async def test_without_a_recording_nothing_is_known(expect: dict[str, Any]) -> None:
    found = await verdict(expect)
    assert found.status == "not_run" and "not recorded" in found.fact


async def test_the_turn_that_failed_is_named() -> None:
    found = await verdict({"stops_within": "500 ms"}, [QUESTION, CUT_IN], [(3, 5.7), (7, 8)])
    assert found.turn == 2 and found.actual == 0.7


def span(name: str, at: float, number: int, **attributes: Any) -> Span:
    """A span of LiveKit's at ``at`` seconds of the conversation."""
    start = 10**9 + int(at * 1e9)
    return Span(ID, f"{number:016x}", name, None, start, start + 10**8, attributes, scope="livekit-agents")


SAID = [
    Utterance("caller", "My order is four four one seven.", 1, 0.5, 2),
    Utterance("agent", "Which day?", 1, 3, 4),
    Utterance("caller", "Tuesday.", 2, 5, 6),
]
TURNS = [
    span("user_turn", 2.1, 1, **{"lk.user_transcript": "My order is 4-4-1-7."}),
    span("user_turn", 6.1, 2, **{"lk.user_transcript": "choose day"}),
]


@pytest.mark.parametrize(
    ("expect", "status", "turn"),
    [
        ({"heard": "4417"}, "passed", 1),
        ({"heard": "order is four four one seven", "in_turn": 1}, "passed", 1),
        ({"heard": "4417", "in_turn": 2}, "failed", 2),
        ({"heard": "Tuesday"}, "failed", 2),
        ({"heard": "441"}, "failed", 2),
    ],
)
async def test_what_the_agent_understood(expect: dict[str, Any], status: str, turn: int) -> None:
    found = await verdict(expect, spans=TURNS, said=SAID)
    assert (found.status, found.turn) == (status, turn), found.fact
    assert found.span_id == TURNS[turn - 1].span_id


async def test_an_agent_whose_recognition_leaves_no_span_is_not_judged() -> None:
    found = await verdict({"heard": "4417"}, spans=[span("agent_session", 0, 1)], said=SAID)
    assert found.status == "not_run" and "speech recognition" in found.fact


KEYS = [Utterance("caller", "42#", 1, 1, 2, kind="dtmf")]
CHAT = '[{"role": "user", "content": "hello"}]'


@pytest.mark.parametrize(
    ("spans", "uses", "said", "status"),
    [
        ([span("enter_pin", 2, 1, **{"sip.dtmf.digits": "4 2 #"})], [], KEYS, "passed"),
        ([span("x", 2, 1)], [ToolUse("unlock", {"pin": "42#"})], KEYS, "passed"),
        ([span("x", 2, 1)], [ToolUse("unlock", {"pin": "24#"})], KEYS, "failed"),
        ([span("x", 2, 1)], [], KEYS, "not_run"),
        ([], [], KEYS, "not_run"),
        ([span("x", 2, 1)], [ToolUse("unlock", {"pin": "42#"})], SAID, "not_run"),
    ],
    ids=["in a span", "in a tool call", "another pin", "nothing shows content", "no trace", "none pressed"],
)
async def test_keys(spans: list[Span], uses: list[ToolUse], said: list[Utterance], status: str) -> None:
    found = await verdict({"dtmf": "42#"}, spans=spans, uses=uses, said=said)
    assert found.status == status, found.fact


@pytest.mark.parametrize(
    ("cuts", "background", "known", "status"),
    [
        ([4.0], True, True, "failed"),  # in its speech, long after the caller
        ([4.0], True, False, "failed"),
        ([], True, True, "passed"),
        ([], True, False, "not_run"),  # its side does not tell
        ([4.0], False, True, "not_run"),  # nothing but the caller was heard
        ([7.5], True, True, "passed"),  # for the caller
        ([2.5], True, True, "passed"),  # it was not speaking
    ],
)
async def test_only_the_caller_stops_it(
    cuts: list[float], background: bool, known: bool, status: str
) -> None:
    panel = measure([QUESTION, CallerTurn(7, 8, turn=2)], [Stretch(3, 7.6)], 12, cuts=cuts)
    panel.background, panel.cuts_known = background, known
    scenario = Scenario(name="x", medium="voice", opens_with="x", expect=[{"ignores_background": True}])  # type: ignore[list-item]
    evidence = Evidence(
        scenario,
        Conversation(ID, "voice", started_ns=10**9),
        TraceReading(Trace(ID, [])),
        [],
        measures={"turn_taking": panel.to_dict()},
    )
    (result,) = await check_all(scenario.expect, evidence)
    assert result.status == status, result.fact
