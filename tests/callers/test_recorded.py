"""The recorded caller keeps to what was said while the agent does, and says where it left."""

from __future__ import annotations

from typing import Any

from simulate.conversation.callers.caller import HangUp, Listen, Say
from simulate.conversation.callers.recorded import RecordedCaller
from simulate.model.transcript import Conversation, ToolUse, Utterance

SAID: list[dict[str, Any]] = [
    {"speaker": "caller", "text": "Where is order 7?", "turn": 1},
    {"speaker": "agent", "called": "lookup", "arguments": {"order": "7"}, "turn": 1},
    {"speaker": "agent", "text": "It is lost. I am sorry!", "turn": 1},
    {"speaker": "caller", "text": "Then refund it.", "turn": 2},
    {"speaker": "agent", "text": "Done.", "turn": 2},
]


class Persona:
    async def act(self, conversation: Conversation) -> Say:
        return Say("improvised")

    def finish(self, conversation: Conversation) -> list[str]:
        return ["the persona's note"]


def heard(conversation: Conversation, text: str, speaker: Any = "agent") -> None:
    conversation.utterances.append(Utterance(speaker, text, conversation.turns, 0.0, 0.0))


async def step(caller: RecordedCaller, conversation: Conversation) -> Any:
    act = await caller.act(conversation)
    if isinstance(act, Say):
        conversation.utterances.append(Utterance("caller", act.text, conversation.turns + 1, 0.0, 0.0))
    return act


async def test_on_the_path_every_line_is_said_as_recorded() -> None:
    uses: list[ToolUse] = []
    caller, conversation = RecordedCaller(SAID, uses=lambda: uses), Conversation("c")
    assert (await step(caller, conversation)).text == "Where is order 7?"
    uses.append(ToolUse("lookup", {"order": "7"}))
    heard(conversation, "it is  LOST – I am sorry")  # wording apart from case and punctuation
    assert (await step(caller, conversation)).text == "Then refund it."
    heard(conversation, "Done.")
    end = await step(caller, conversation)
    assert isinstance(end, HangUp) and caller.left is None and caller.finish(conversation) == []


async def test_other_words_leave_the_path_and_the_persona_takes_over_at_a_named_point() -> None:
    uses = [ToolUse("lookup", {"order": "7"})]
    called: list[ToolUse] = []
    caller = RecordedCaller(SAID, persona=Persona(), uses=lambda: called)
    conversation = Conversation("c")
    await step(caller, conversation)
    called += uses
    heard(conversation, "I cannot help.")
    assert (await step(caller, conversation)).text == "improvised"
    assert (await step(caller, conversation)).text == "improvised"
    notes = caller.finish(conversation)
    assert "left the recorded path in turn 1" in notes[0] and "I cannot help" in notes[0]
    assert notes[1] == "the persona's note"


async def test_another_tool_call_leaves_the_path_whatever_is_said() -> None:
    uses: list[ToolUse] = []
    caller, conversation = RecordedCaller(SAID, uses=lambda: uses), Conversation("c")
    await step(caller, conversation)
    uses.append(ToolUse("lookup", {"order": "8"}))
    heard(conversation, "It is lost. I am sorry!")
    end = await step(caller, conversation)
    assert isinstance(end, HangUp) and end.satisfied is False and "lookup({'order': '8'})" in end.reason


async def test_a_missing_tool_call_leaves_the_path() -> None:
    caller, conversation = RecordedCaller(SAID), Conversation("c")
    await step(caller, conversation)
    heard(conversation, "It is lost. I am sorry!")
    assert "did not call lookup" in (await step(caller, conversation)).reason


async def test_a_judge_of_meaning_keeps_it_on_the_path() -> None:
    uses: list[ToolUse] = []

    async def same(then: str, now: str) -> bool:
        return "lost" in then and "gone" in now

    caller, conversation = RecordedCaller(SAID, uses=lambda: uses, same=same), Conversation("c")
    await step(caller, conversation)
    uses.append(ToolUse("lookup", {"order": "7"}))
    heard(conversation, "I regret that it is gone.")
    assert (await step(caller, conversation)).text == "Then refund it."


async def test_an_agent_that_speaks_first_is_heard_out() -> None:
    said = [{"speaker": "agent", "text": "Hello!", "turn": 0}, *SAID]
    caller, conversation = RecordedCaller(said), Conversation("c")
    assert isinstance(await step(caller, conversation), Listen)
    heard(conversation, "Hello!")
    assert (await step(caller, conversation)).text == "Where is order 7?"
