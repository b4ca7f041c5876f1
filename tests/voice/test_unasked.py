"""Coughs, "um" and words to somebody else: what an agent should let pass."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from simulate.conversation.callers.caller import Say  # noqa: E402
from simulate.conversation.callers.script import Script  # noqa: E402
from simulate.conversation.voice.speech_segments import Stretch, stretches  # noqa: E402
from simulate.conversation.voice.turn_taking import CallerTurn, measure  # noqa: E402
from simulate.conversation.voice.vocal_tics import TICS, tic  # noqa: E402
from simulate.model.scenario import Scenario  # noqa: E402

TURN = CallerTurn(1, 2, turn=1)
WHEN = {
    "stops for it": ((5, 5.4), [(3, 5.8)], False),
    "talks on": ((5, 5.4), [(3, 9)], True),
    "answers it": ((8, 8.4), [(3, 6), (9.5, 11)], False),
    "speaks much later": ((8, 8.4), [(3, 6), (11, 12)], True),
    "says nothing": ((8, 8.4), [(3, 6)], True),
    "answers the turn before it": ((2.5, 2.9), [(3.5, 6)], None),
}


@pytest.mark.parametrize("kind", ["vocal_tic", "aside"])
@pytest.mark.parametrize("case", WHEN)
def test_what_became_of_it(kind: str, case: str) -> None:
    said, agent, good = WHEN[case]
    turns = [TURN, CallerTurn(*said, kind, 1)]  # type: ignore[arg-type]
    panel = measure(turns, [Stretch(*one) for one in agent], 13)
    tau = panel.tau_voice()
    assert tau["S_VT" if kind == "vocal_tic" else "S_ND"] == (None if good is None else float(good))
    assert tau["S_ND" if kind == "vocal_tic" else "S_VT"] is None
    assert (tau["R_R"], panel.caller_interruptions) == (1.0, 0), "it takes no turn and interrupts nobody"


def test_the_agents_interruptions_are_counted_by_turns_due_a_reply() -> None:
    turns = [TURN, CallerTurn(5, 9, turn=2)]
    panel = measure(turns, [Stretch(2.5, 4), Stretch(6, 6.5), Stretch(8, 8.4), Stretch(10, 11)], 12)
    assert (panel.agent_interruptions, panel.tau_voice()["I_A"]) == (2, 1.0)


@pytest.mark.parametrize("name", TICS)
def test_a_tic_sounds_and_is_the_same_each_time(name: str) -> None:
    sound = tic(name)
    assert sound is not None and 0.3 < sound.seconds < 1
    assert len(stretches(np.concatenate([np.zeros(8000, np.int16), sound.samples]), sound.rate)) >= 1
    again = tic(name)
    assert again is not None and (again.samples == sound.samples).all()
    assert tic("um") is None, "it is spoken"


def scripted(medium: str) -> list[object]:
    lines = [{"says": "Hello."}, {"vocal_tic": "cough"}, {"aside": "Put that down."}, {"says": "Bye."}]
    scenario = Scenario(name="tics", medium=medium, script=lines)  # type: ignore[arg-type]
    script = Script(scenario)
    return [script.take() for _ in script.lines]


def test_a_script_has_them_where_they_can_be_heard() -> None:
    spoken = scripted("voice")
    assert spoken[1:3] == [Say("cough", vocal_tic=True), Say("Put that down.", aside=True)]
    assert [each.kind for each in spoken if isinstance(each, Say)] == [
        "speech", "vocal_tic", "aside", "speech",
    ]  # fmt: skip
    assert scripted("text") == [Say("Hello."), Say("Bye.")]
