"""Asked, ran, answered: what belongs together, whatever the ids say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simulate.trace import read
from simulate.trace.diff import compare
from simulate.trace.reading import TraceReading, Unknown
from simulate.trace.span import Trace
from tests.trace.reading.conftest import MS, Story

IDS = ["call_0", "find_parcel", None]
"""One constant for all calls (llama.cpp), the tool's name (Gemini), none at all."""


def parcels(story: Story, call_id: str | None, *numbers: int, spans: bool = True) -> Story:
    """The agent asks for one parcel after the other."""
    for number in numbers:
        story.chat(("find_parcel", call_id, {"number": number}))
        if spans:
            ran = story.tool("find_parcel", call_id, {"number": number})
            ran.attributes["gen_ai.tool.call.result"] = f"at {number}"
        story.answered(call_id, f"at {number}", "find_parcel")
    story.chat(says="There they are.")
    return story


@pytest.mark.parametrize("call_id", IDS)
@pytest.mark.parametrize("spans", [True, False])
def test_ids_that_repeat_or_lack_lose_no_call_and_mix_no_answers(
    story: Story, call_id: str | None, spans: bool
) -> None:
    assert parcels(story, call_id, 77, 78, 77, spans=spans).calls() == [
        ("find_parcel", {"number": number}, f"at {number}") for number in (77, 78, 77)
    ]


@pytest.mark.parametrize("call_id", IDS)
def test_a_call_that_is_gone_shows_in_the_diff(stories: Callable[[], Story], call_id: str | None) -> None:
    one, other = (
        Trace("a" * 32, parcels(stories(), call_id, *numbers).spans) for numbers in ((77, 78), (77,))
    )
    assert compare(one, other).changes[0].path == "tools.find_parcel.count"


def test_two_spans_side_by_side_are_two_calls_whatever_their_ids(story: Story) -> None:
    story.tool("find_parcel", "call_0", {"number": 77})
    story.tool("find_parcel", "call_0", {"number": 78})
    assert [arguments for _, arguments, _ in story.calls()] == [{"number": 77}, {"number": 78}]


@pytest.mark.parametrize(
    ("asked", "ran"),
    [
        ("shop_refund", "shop.refund"),
        ("shop_issue_refund", "shop/issue-refund"),
        ("shop.refund", "shop_refund"),
    ],
)
@pytest.mark.parametrize("ids", [("c1", "c2"), (None, None), ("call_0", "call_0")])
def test_a_name_that_an_api_wrote_in_its_own_letters_is_asked_for_and_run_once(
    story: Story, asked: str, ran: str, ids: tuple[str | None, str | None]
) -> None:
    for order, call_id in zip(("4417", "4418"), ids, strict=True):
        story.chat((asked, call_id, {"order": order}))
        story.tool(ran, call_id, {"order": order})
        story.answered(call_id, "done", asked)
    calls = story.read().tool_calls
    assert [(call.arguments, call.asked is None, call.ran is None) for call in calls] == [
        ({"order": order}, False, False) for order in ("4417", "4418")
    ]
    models = [span for span in story.spans if span.attributes.get("gen_ai.tool.name") is None]
    paths = [each.path for each in compare(Trace("a" * 32, story.spans), Trace("a" * 32, models)).changes]
    assert paths == ["shape.spans"]


def test_an_answer_belongs_to_the_tool_that_was_asked_last_under_its_id(story: Story) -> None:
    for name, result in (("get_user", "Ann"), ("price", "255.0")):
        story.chat((name, "call_1", {}))
        story.answered("call_1", result)
    story.chat(says="That is 255.")
    assert [(name, result) for name, _, result in story.calls()] == [("get_user", "Ann"), ("price", "255.0")]


def test_parallel_calls_under_one_id_are_answered_in_their_order(story: Story) -> None:
    story.chat(("find_parcel", "call_0", {"number": 77}), ("find_parcel", "call_0", {"number": 78}))
    story.answered("call_0", "at 77")
    story.answered("call_0", "at 78")
    story.chat(says="Done.")
    assert [result for _, _, result in story.calls()] == ["at 77", "at 78"]


def test_parallel_runs_in_another_order_find_their_requests_by_their_arguments(story: Story) -> None:
    story.chat(("find_parcel", None, {"number": 77}), ("find_parcel", None, {"number": 78}))
    story.tool("find_parcel", None, {"number": 78})
    story.tool("find_parcel", None, {"number": 77})
    assert all(call.asked and not call.differs for call in story.read().tool_calls)


def test_ids_as_lists_are_read(story: Story) -> None:
    span = story.chat(says="")
    part = {"type": "tool_call", "id": ["call_9"], "name": "find_parcel", "arguments": {"number": 1}}
    span.attributes["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "parts": [part]}])
    story.tool("find_parcel", "call_9", {"number": 1})
    (call,) = story.read().tool_calls
    assert call.asked and call.ran and call.call_id == "call_9"


def test_arguments_that_ran_win_and_the_difference_is_told(story: Story) -> None:
    story.chat(("issue_refund", "c1", {"order_id": "4417", "amount": 5}))
    story.tool("issue_refund", "c1", {"order_id": "4418", "amount": 5, "currency": "USD"})
    (call,) = story.read().tool_calls
    assert call.arguments == {"order_id": "4418", "amount": 5, "currency": "USD"} and call.differs
    assert call.asked and call.asked.arguments == {"order_id": "4417", "amount": 5}


def test_what_a_framework_adds_or_converts_is_no_difference(story: Story) -> None:
    story.chat(("issue_refund", "c1", {"order_id": "4417"}))
    story.tool("issue_refund", "c1", {"order_id": 4417, "currency": "USD"})
    assert not story.read().tool_calls[0].differs


def test_asked_and_never_run_is_known_only_where_the_conversation_went_on(story: Story) -> None:
    story.chat(("delete", "c1", {}))
    assert isinstance(story.read().tool_calls[0].happened, Unknown)
    story.chat(says="I cannot do that.")
    story.history.append({"role": "user", "parts": [{"type": "text", "content": "Why?"}]})
    story.chat(says="It is not allowed.")
    assert story.read().tool_calls[0].happened is False


def test_what_nobody_recorded_is_unknown_and_names_span_and_attribute(story: Story) -> None:
    span = story.tool("issue_refund")
    (call,) = story.read().tool_calls
    for fact, attribute in ((call.arguments, "call.arguments"), (call.result, "call.result")):
        assert isinstance(fact, Unknown) and span.span_id in fact.why and attribute in fact.why
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(call.arguments)


def test_a_call_that_only_the_next_history_tells_belongs_to_the_model_call_before(story: Story) -> None:
    user = {"role": "user", "parts": [{"type": "text", "content": "Where is 77?"}]}
    story.history.append(user)
    silent = story.chat(("find_parcel", None, {"number": 77}))
    del silent.attributes["gen_ai.output.messages"]
    story.answered(None, "in Basel", "find_parcel")
    story.chat(says="In Basel.")
    (call,) = story.read().tool_calls
    assert (call.arguments, call.result, call.span_id) == ({"number": 77}, "in Basel", silent.span_id)


def test_answers_whose_requests_the_provider_keeps_find_them_by_id(story: Story) -> None:
    story.chat(("find_parcel", "c7", {"number": 77}))
    story.history.clear()  # previous_response_id: only what is new is sent
    story.answered("c7", "in Basel")
    story.chat(says="In Basel.")
    assert story.calls() == [("find_parcel", {"number": 77}, "in Basel")]


def test_two_instrumentations_side_by_side_tell_of_one_run(story: Story) -> None:
    first = story.tool("refund", "c1", {"order": 7})
    second = story.tool("refund", None, scope="another")
    second.start_ns, second.end_ns = first.start_ns + MS, (first.end_ns or 0) - MS
    (call,) = story.read().tool_calls
    assert call.ran and call.ran.span_ids == [first.span_id, second.span_id]


def test_spans_of_start_success_and_finish_are_one_run(story: Story) -> None:
    for phase in ("start", "success", "finish"):
        story.tool("refund", "c1").name = f"tool.{phase}"
    for phase in ("start", "error"):
        story.tool("refund", "c2").name = f"tool.{phase}"
    assert len(story.read().tool_calls) == 2


@pytest.mark.parametrize("call_id", [None, "c1"])
def test_a_tool_whose_clock_is_wrong_still_ran_for_the_call_that_asked(
    story: Story, call_id: str | None
) -> None:
    asked = story.chat(("refund", call_id, {"order": 7}))
    ran = story.tool("refund", call_id, {"order": 7})
    ran.start_ns, ran.end_ns = ran.start_ns - 60_000 * MS, (ran.end_ns or 0) - 60_000 * MS
    (call,) = story.read().tool_calls
    assert call.asked and call.ran
    assert (call.start or 0) * 1e9 >= (asked.end_ns or 0) - story.root.start_ns - MS


def test_a_handoff_that_is_told_as_a_tool_is_no_tool_call(story: Story) -> None:
    story.chat(("transfer_to_billing", "c1", {}))
    story.add("handoff", "handoff", **{"gen_ai.handoff.to": "billing"})
    assert story.calls() == []


def test_each_run_looks_at_few_requests_however_long_the_trace(story: Story) -> None:
    """Pairing may not look at all requests for every run."""
    looked: list[Any] = []

    class Counted(str):
        def __eq__(self, other: object) -> bool:
            looked.append(other)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    for number in range(1_500):
        story.chat(("find_parcel", "c", {"number": number}), **{"gen_ai.input.messages": "[]"})
        story.tool("find_parcel", "c", {"number": number}).attributes["gen_ai.tool.call.id"] = Counted("c")
    assert len(TraceReading(Trace("a" * 32, story.spans)).tool_calls) == 1_500
    assert len(looked) < 1_500 * 40


ASKED = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": '{"order": 1}'}}
LATER = {"id": "c2", "type": "function", "function": {"name": "refund", "arguments": '{"order": 2}'}}


@pytest.mark.parametrize("after", [[], [{"role": "assistant", "content": "Done."}]])
def test_a_call_that_a_transcript_leaves_unanswered_may_have_run(
    tmp_path: Path, after: list[dict[str, Any]]
) -> None:
    messages = [{"role": "user", "content": "Refund."}, {"role": "assistant", "tool_calls": [ASKED]}, *after]
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"messages": messages}))
    (call,) = TraceReading(read(file)[0]).tool_calls
    assert isinstance(call.happened, Unknown)


def test_a_transcript_s_answer_belongs_to_no_other_call(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "Refund."},
        {"role": "assistant", "tool_calls": [ASKED, LATER]},
        {"role": "tool", "tool_call_id": "c2", "content": "second"},
        {"role": "assistant", "content": "One is done."},
    ]
    file = tmp_path / "t.json"
    file.write_text(json.dumps({"messages": messages}))
    first, second = TraceReading(read(file)[0]).tool_calls
    assert (first.arguments, first.ran, second.result) == ({"order": 1}, None, "second")
    assert isinstance(first.result, Unknown)


def test_a_transcript_whose_ids_repeat_gives_each_call_its_own_answer(tmp_path: Path) -> None:
    def asks(name: str) -> dict[str, Any]:
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def answer(content: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": "call_1", "content": content}

    messages = [{"role": "user", "content": "Book."}, asks("get_user"), answer("Ann"), asks("price")]
    messages += [answer("255.0"), {"role": "assistant", "content": "That is 255."}]
    (tmp_path / "t.json").write_text(json.dumps({"messages": messages}))
    (trace,) = read(tmp_path / "t.json")
    assert [call.result for call in TraceReading(trace).tool_calls] == ["Ann", "255.0"]
