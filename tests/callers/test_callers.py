"""Scripted, improvised and mixed callers; the model is a rule-based server met over the real SDK."""

import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.conversation.callers import HangUp, Listen, Say, make_caller, require_model
from simulate.conversation.callers.styling import styled, with_typos
from simulate.errors import EnvironmentFault, InputError, SimulatorFault
from simulate.llm import Model, ModelConfig
from simulate.model.persona import Persona, Speaks
from simulate.model.scenario import Line, Scenario, When
from simulate.model.transcript import Conversation, ToolUse, Utterance

DANA = Persona(name="Dana", traits=["hurried"], knows={"order_id": "4417"})
SECRET = "the agent's prompt and tools"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer().running() as running:
        yield running


class Talk:
    """A conversation that a test writes line by line."""

    def __init__(self, agent: Callable[[str], str] | None = None) -> None:
        self.conversation = Conversation("ab" * 16)

    def caller(self, text: str) -> None:
        self._add("caller", text)

    def agent(self, text: str) -> None:
        self._add("agent", text)

    def _add(self, speaker: Any, text: str) -> None:
        turn = self.conversation.turns + (speaker == "caller")
        self.conversation.utterances.append(Utterance(speaker, text, turn, 0.0, 0.0))


def scenario(**more: Any) -> Scenario:
    return Scenario(name="refund", **more)


async def played(caller: Any, answers: list[str], talk: Talk | None = None) -> list[Any]:
    """The acts of a caller whom the agent answers with these lines, until it hangs up."""
    talk, acts, left = talk or Talk(), [], list(answers)
    for _ in range(12):
        act = await caller.act(talk.conversation)
        acts.append(act)
        if isinstance(act, HangUp):
            talk.conversation.ended_by = "caller"
            break
        if isinstance(act, Say):
            talk.caller(act.text)
        if left:
            talk.agent(left.pop(0))
    return acts


# --- scripted ----------------------------------------------------------------------------------------


async def test_a_script_is_said_word_for_word_and_hangs_up():
    lines = [Line(says="It's 4417."), Line(dtmf="12#"), Line(backchannel="mhm"), Line(silent_for=2.0)]
    caller = make_caller(scenario(opens_with="Hi.", script=lines), DANA, seed=1)
    acts = await played(caller, ["a", "b", "c", "d", "e"])
    assert acts == [
        Say("Hi."),
        Say("It's 4417."),
        Say("12#", dtmf=True),
        Say("mhm", backchannel=True),
        Listen(2.0),
        HangUp("all lines of the script are said"),
    ]
    assert caller.finish(Conversation("x")) == []


async def test_a_line_waits_for_what_the_agent_says_or_does():
    lines = [
        Line(says="4417", when=When(said="order  NUMBER")),
        Line(says="yes", when=When(said_matches=r"\$\d+")),
        Line(says="thanks", when=When(called="issue_refund")),
    ]
    uses: list[ToolUse] = []
    caller = make_caller(scenario(opens_with="Hi.", script=lines), DANA, uses=lambda: uses, seed=1)
    talk = Talk()
    assert await caller.act(talk.conversation) == Say("Hi.")
    talk.caller("Hi.")
    talk.agent("Hello.")
    assert await caller.act(talk.conversation) == Listen()
    talk.agent("What is the order number?")
    assert await caller.act(talk.conversation) == Say("4417")
    talk.caller("4417")
    talk.agent("Shall I refund $42.50?")
    assert await caller.act(talk.conversation) == Say("yes")
    talk.caller("yes")
    uses.append(ToolUse("issue_refund", {}))
    talk.agent("Done.")
    assert await caller.act(talk.conversation) == Say("thanks")


async def test_a_line_that_never_comes_due_ends_the_call_and_is_told():
    lines = [Line(says="4417", when=When(said="order number")), Line(says="bye")]
    caller = make_caller(scenario(opens_with="Hi.", script=lines), DANA, seed=1)
    talk = Talk()
    acts = await played(caller, ["What is wrong?"], talk)
    assert isinstance(acts[-1], HangUp) and acts[-1].satisfied is False
    assert "to say “order number”" in acts[-1].reason
    notes = caller.finish(talk.conversation)
    assert len(notes) == 2
    assert "line 2 of the script was never said: “4417”, which waits for the agent to say" in notes[0]


async def test_an_agent_that_hangs_up_early_leaves_notes():
    caller = make_caller(scenario(opens_with="Hi.", script=[Line(says="4417")]), DANA, seed=1)
    talk = Talk()
    await caller.act(talk.conversation)
    talk.caller("Hi.")
    talk.conversation.ended_by = "agent"
    assert caller.finish(talk.conversation) == [
        "line 2 of the script was never said: “4417” (the agent ended the conversation first)"
    ]


async def test_the_agent_may_speak_first():
    caller = make_caller(scenario(opens_with="Hi.", speaks_first="agent"), DANA, seed=1)
    assert await caller.act(Conversation("x")) == Listen()
    assert await caller.act(Conversation("x")) == Say("Hi.")


# --- improvised ---------------------------------------------------------------------------------------


def ends(reason: str, reached: bool, content: str | None = None) -> dict[str, Any]:
    arguments = json.dumps({"reason": reason, "goal_reached": reached})
    function = {"name": "end_call", "arguments": arguments}
    return {"content": content, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


def improvised(server: ModelServer, answers: list[Any], **more: Any) -> Any:
    """A caller whose model gives these answers in turn; the last one for ever."""
    left = list(answers)

    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return {"content": answer} if isinstance(answer, str) else answer

    server.brains = {"persona": brain}
    persona = more.pop("persona", DANA)
    model = Model(ModelConfig("persona", base_url=server.url, retries=0, timeout=5))
    return make_caller(scenario(goal="Get a refund for order 4417.", **more), persona, model=model, seed=7)


async def test_it_plays_the_persona_and_ends_by_a_structured_signal(server: ModelServer):
    answers = ["Hi, my order 4417 never came, I want a refund.", ends("refunded", True, "Thanks, bye!")]
    acts = await played(improvised(server, answers), ["I have refunded it.", "Goodbye."])
    assert acts == [
        Say("Hi, my order 4417 never came, I want a refund."),
        Say("Thanks, bye!"),
        HangUp("refunded", satisfied=True),
    ]
    assert [tool["function"]["name"] for tool in server.requests[0]["tools"]] == ["end_call"]


async def test_magic_words_end_nothing(server: ModelServer):
    answers = ["I want a refund. [END_CALL] TERMINATE <hangup>", "Well?", ends("done", True)]
    acts = await played(improvised(server, answers), ["Hm.", "Yes."])
    assert isinstance(acts[0], Say) and isinstance(acts[1], Say)


async def test_the_model_sees_what_a_caller_would_see(server: ModelServer):
    caller = improvised(server, ["I want a refund for 4417.", "Really?", ends("ok", True)])
    talk = Talk()
    await played(caller, ["One moment.", "It is refunded."], talk)
    sent = json.dumps(server.requests)
    assert "Get a refund for order 4417." in sent and "hurried" in sent and "order id: 4417" in sent
    roles = [message["role"] for message in server.requests[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "$" not in server.requests[0]["messages"][0]["content"], "every place of the prompt is filled"


async def test_interrupted_speech_is_seen_as_it_was_heard(server: ModelServer):
    caller = improvised(server, ["Yes, 4417."])
    talk = Talk()
    talk.agent("Is it order 4417 that you are calling about, or another?")
    talk.conversation.utterances[0].heard = "Is it order 4417"
    await caller.act(talk.conversation)
    assert "or another" not in json.dumps(server.requests[0]["messages"])


@pytest.mark.parametrize("tools", [False])
@pytest.mark.parametrize("schemas", [True, False])
async def test_an_endpoint_without_tools_answers_in_json(server: ModelServer, tools: bool, schemas: bool):
    server.tools, server.schemas = tools, schemas
    say = {"say": "I want a refund for 4417.", "end_call": False, "reason": "", "goal_reached": False}
    end = {"say": "", "end_call": True, "reason": "refunded", "goal_reached": True}
    answers = [json.dumps(say), f"```json\n{json.dumps(end)}\n```"]
    acts = await played(improvised(server, answers), ["It is refunded."])
    assert acts == [Say("I want a refund for 4417."), HangUp("refunded", satisfied=True)]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("How can I help you today?", "acts as the agent"),
        ("My order number is 9999.", "invents a number"),
        ("As an AI language model I cannot order.", "machine"),
        ("", "empty"),
        ({"content": "I want", "finish_reason": "length"}, "cut off"),
        ({"content": None, "refusal": "I can't assist."}, "refusal"),
        ({"content": None, "finish_reason": "content_filter"}, "content filter"),
        (ends("bored", False), "before the goal was tried"),
        ({"content": "", "tool_calls": [{"id": "1", "type": "function", "function": {
            "name": "end_call", "arguments": "{nonsense"}}]}, "ending that cannot be read"),
    ],
)  # fmt: skip
async def test_a_fault_is_corrected_once_and_then_the_simulators(server: ModelServer, bad: Any, fault: str):
    good = "Hi, where is order 4417?"
    caller = improvised(server, [bad, good])
    talk = Talk()
    assert await caller.act(talk.conversation) == Say(good)
    assert "Your last try could not be used." in server.requests[1]["messages"][0]["content"]
    assert fault in caller.finish(talk.conversation)[0]

    with pytest.raises(SimulatorFault, match=r"broke its part twice \(.*" + fault) as raised:
        await improvised(server, [bad]).act(Conversation("x"))
    assert raised.value.where == "turn 1" and raised.value.hint
    assert len(server.requests) == 4


async def test_a_model_that_is_down_is_the_environments_fault(server: ModelServer):
    server.fail("500", 9)
    with pytest.raises(EnvironmentFault):
        await improvised(server, ["Hi"]).act(Conversation("x"))


async def test_script_lines_are_said_when_due_and_the_rest_improvised(server: ModelServer):
    lines = [Line(says="Is it lost or not?", when=When(said="moment"), interrupts_after=2.0)]
    answers = ["I see. I want a refund for 4417.", ends("ok", True)]
    caller = improvised(server, answers, opens_with="Hi, no parcel.", script=lines)
    acts = await played(caller, ["Hello, which order?", "One moment.", "Lost. Refunded."])
    assert acts == [
        Say("Hi, no parcel."),
        Say("I see. I want a refund for 4417."),
        Say("Is it lost or not?"),
        HangUp("ok", satisfied=True),
    ]


async def test_what_models_put_around_the_words_is_taken_off(server: ModelServer):
    caller = improvised(server, ['<think>hm</think>Dana: "Where is order 4417?"'])
    assert await caller.act(Conversation("x")) == Say("Where is order 4417?")


def test_a_goal_without_a_model_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InputError, match=r"tool\.simulate\.models.*OPENAI_API_KEY"):
        require_model(scenario(goal="g"), None)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    model = require_model(scenario(goal="g"), None)
    assert model is not None and model.config.base_url == "http://127.0.0.1:1/v1"


# --- how it is typed ----------------------------------------------------------------------------------


def test_typing_is_the_persons_and_the_same_for_a_seed():
    text = (
        "Hello, please tell me where order BK-77210 is, because you are really late. Write to a@example.com!"
    )
    speaks = Speaks(typos="high", punctuation="none", slang="high", emoji="high")
    once = styled(text, speaks, random.Random(3))
    assert once == styled(text, speaks, random.Random(3))
    assert once != text and once != styled(text, speaks, random.Random(4))
    assert "BK-77210" in once and "a@example.com" in once
    assert styled(text, Speaks(), random.Random(3)) == text


def test_a_scripted_line_stays_but_for_typos():
    text = "Hello there, please refund order 4417."
    assert with_typos(text, Speaks(slang="high", emoji="high", punctuation="none"), random.Random(1)) == text
    assert with_typos(text, Speaks(typos="high"), random.Random(1)) != text


# --- who is to blame when neither comes to an end -----------------------------------------------------


async def test_a_caller_who_still_improvises_at_the_limit_is_held_against_nobody(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
):
    from simulate import run

    lines = ["Hi, order 4417 never came.", "So what now?", "And when will that be?", "Which card, please?"]
    improvised(server, lines)
    for name, value in {"BASE_URL": server.url, "API_KEY": "none", "MODEL": "persona"}.items():
        monkeypatch.setenv(f"OPENAI_{name}", value)
    answers = iter(["I have refunded it.", "You get your money.", "In three days."])

    def agent(message: str) -> str:
        return next(answers)

    asked = {"name": "refund", "persona": DANA, "goal": "Get a refund.", "limits": {"turns": 3}}
    outcome = await run(Scenario.model_validate(asked), agent)
    assert (outcome.status, outcome.side) == ("not_run", None), outcome.explain()
    assert "limit of 3 turns" in str(outcome.reason) and "cannot be told" in str(outcome.reason)

    answers = iter(["Sorry?", "Sorry, what?", "I did not get that."])
    improvised(server, lines)
    wanted = Scenario.model_validate(asked | {"expect": [{"said": {"contains": "refunded"}}]})
    outcome = await run(wanted, agent)
    assert outcome.status == "not_run", "no model can read whether the caller kept to its part"
    assert "turns 1 to 3" in str(outcome.verdicts[0].hint)
    assert any(each.status == "failed" for each in outcome.verdicts), "what did not happen is still told"
