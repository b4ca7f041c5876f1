import json
import random

import pytest

from simulate import determinism
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.trace.capture.observed import observed_trace
from simulate.trace.span import Trace

START = 1_800_000_000_000_000_000
ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def conversation() -> Conversation:
    talk = Conversation(ID, started_ns=START, duration=6.5, ended_by="caller")
    talk.utterances += [
        Utterance("agent", "Hello, how can I help?", 0, 0.0, 0.5),
        Utterance("caller", "Where is my parcel 41?", 1, 1.0, 2.0, heard="Where is my parcel"),
        Utterance("agent", "On its way.", 1, 2.5, 3.0, first=2.6),
        Utterance("agent", "Anything else?", 1, 3.0, 3.5, interrupted=True),
        Utterance("caller", "No.", 2, 4.0, 4.5),
    ]
    return talk


def tree(trace: Trace) -> list[tuple[str, str | None]]:
    names = {span.span_id: span.name for span in trace}
    return [(span.name, names.get(span.parent_id or "")) for span in trace]


def test_has_productions_shape_and_says_that_it_was_observed(conversation: Conversation) -> None:
    trace = observed_trace(conversation, agent="support", seen={1: {"gen_ai.response.model": "support-2"}})
    assert trace.trace_id == ID and {span.trace_id for span in trace} == {ID}
    assert tree(trace) == [
        ("conversation", None),
        *[("turn", "conversation"), ("invoke_agent support", "turn")] * 3,
    ]
    assert all(span.scope == "simulate.observed" and span.attributes["simulate.observed"] for span in trace)
    assert [span.attributes["fi.span.kind"] for span in trace] == ["CONVERSATION", *["TURN", "AGENT"] * 3]
    root, _, greeting, turn, agent, _, silent = trace.spans
    assert (root.start_ns, root.end_ns) == (START, START + 6_500_000_000)
    assert (turn.start_ns, turn.end_ns) == (START + 1_000_000_000, START + 3_500_000_000)
    assert agent.start_ns == START + 2_000_000_000 and agent.events[0].time_ns == START + 2_600_000_000
    assert turn.attributes["interrupted"] and agent.attributes["gen_ai.response.model"] == "support-2"
    assert "gen_ai.input.messages" not in greeting.attributes
    assert "gen_ai.output.messages" not in silent.attributes
    assert json.loads(agent.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Where is my parcel"}]}
    ]
    said = json.loads(agent.attributes["gen_ai.output.messages"])
    assert [message["parts"][0]["content"] for message in said] == ["On its way.", "Anything else?"]


def test_tools_seen_at_the_tools_stand_under_their_turn(conversation: Conversation) -> None:
    uses = [
        ToolUse("lookup", {"id": 41}, result={"at": "depot"}, turn=1, start=2.1, end=2.2, call_id="c1"),
        ToolUse("refund", {}, error="declined", turn=None),
    ]
    trace = observed_trace(conversation, uses)
    lookup, refund = (span for span in trace if span.attributes["fi.span.kind"] == "TOOL")
    parents = {span.span_id: span for span in trace}
    assert parents[lookup.parent_id or ""].attributes["fi.span.kind"] == "AGENT"
    assert parents[refund.parent_id or ""].name == "conversation"
    assert lookup.attributes["gen_ai.tool.call.arguments"] == '{"id":41}'
    assert lookup.attributes["gen_ai.tool.call.result"] == '{"at":"depot"}'
    assert (lookup.start_ns, lookup.end_ns) == (START + 2_100_000_000, START + 2_200_000_000)
    assert (refund.status, refund.status_message) == ("error", "declined")
    assert "gen_ai.tool.call.result" not in refund.attributes


def test_a_fault_is_an_error_of_the_last_turn(conversation: Conversation) -> None:
    conversation.ended_by, conversation.end_reason = "fault", "connection closed"
    trace = observed_trace(conversation)
    failed = [(span.name, span.status_message) for span in trace if span.status == "error"]
    assert failed == [("conversation", "connection closed"), ("invoke_agent", "connection closed")]
    assert trace.spans[-1].status == "error"


def test_takes_its_ids_from_the_pins(conversation: Conversation) -> None:
    def once() -> list[str]:
        with determinism.pinned(determinism.RunContext(ids=random.Random(3))):
            return [span.span_id for span in observed_trace(conversation)]

    assert once() == once()


def test_nothing_said_is_a_conversation_without_turns() -> None:
    trace = observed_trace(Conversation(ID, started_ns=START))
    assert [span.name for span in trace] == ["conversation"]
