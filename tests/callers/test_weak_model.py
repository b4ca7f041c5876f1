"""Caller and judge against a real, weak model: nothing crashes, and what it does badly is the simulator's."""

from collections.abc import Iterator

import pytest

from fixtures.agents.weak_model import COMMAND, weak_model, weights
from simulate.conversation.callers import HangUp, Say, make_caller
from simulate.errors import SimulatorFault
from simulate.llm import Model, ModelConfig
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.scoring.judge import Judge
from simulate.scoring.judge.answer import folded

pytestmark = [
    pytest.mark.skipif(weights() is None, reason=f"the small model is not installed: {COMMAND}"),
    pytest.mark.timeout(900),  # it computes: minutes on a busy machine
]

PERSONA = Persona(name="Dana", traits=["hurried"], knows={"order_id": "4417"})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with weak_model() as address:
        yield address


async def test_a_weak_caller_never_crashes(url: str):
    """Each act is one that an engine can carry, or the fault is the simulator's and says so."""
    model = Model(ModelConfig("smollm2", base_url=url, max_tokens=24, timeout=100))
    scenario = Scenario(name="refund", goal="Get the money back for order 4417.")
    caller = make_caller(scenario, PERSONA, model=model, seed=1)
    conversation = Conversation("ab" * 16)
    ended: HangUp | SimulatorFault | None = None
    for turn, reply in enumerate(["What is your order number?", "It is lost and refunded."], start=1):
        try:
            act = await caller.act(conversation)
        except SimulatorFault as fault:
            ended = fault
            break
        if isinstance(act, HangUp):
            ended = act
            break
        assert isinstance(act, Say) and act.text.strip()
        conversation.utterances.append(Utterance("caller", act.text, turn, 0.0, 0.0))
        conversation.utterances.append(Utterance("agent", reply, turn, 0.0, 0.0))
    if isinstance(ended, SimulatorFault):
        assert "broke its part twice" in ended.message and ended.where


async def test_a_weak_judge_never_passes_without_proof(url: str):
    judge = Judge(ModelConfig("smollm2", base_url=url, max_tokens=48, timeout=100), concurrency=2)
    said = [Utterance("agent", "The parcel left our warehouse on Monday.", 1, 0.0, 0.0)]
    try:
        found = await judge.means("That the refund is $42.50", said)
    except SimulatorFault as fault:
        found, message = None, fault.message
    else:
        message = "asked twice"
    assert "asked twice" in message
    if found is not None and found.label == "yes":
        assert all(folded(quote) in folded(said[0].text) for quote in found.evidence) and found.evidence
