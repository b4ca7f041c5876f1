"""What a diff says first, what it tells once, and both conversations side by side."""

from __future__ import annotations

from typing import Any

from simulate.interfaces.render.diff_conversation import conversation_rows
from simulate.interfaces.render.diff_html import page_data
from simulate.trace.diff import compare
from simulate.trace.span import Trace


def refunds(scene: Any, seed: int, amount: float, turns: tuple[int, ...] = (2, 3, 4)) -> Trace:
    story = scene(seed).caller("Where is my parcel?")
    story.model("It is lost.")
    for turn in range(2, 5):
        story.caller(f"Refund me, {turn}.")
        story.tool("issue_refund", {"ok": True}, amount=amount if turn in turns else 42.5)
        story.model(f"Done: {amount if turn in turns else 42.5}.")
    return story.trace


def test_a_change_that_repeats_itself_is_told_once_with_its_turns(scene: Any) -> None:
    diff = compare(refunds(scene, 0, 42.5), refunds(scene, 1, 50.0))
    behaviour, content, *_ = diff.summary().splitlines()
    assert behaviour.endswith("(×3 in turns 2–4)") and "50 instead of 42.5" in behaviour
    assert content.endswith("(×3 in turns 2–4)")
    assert len(diff.of("behaviour")) == 3
    parted = compare(refunds(scene, 0, 42.5), refunds(scene, 1, 50.0, turns=(2, 4)))
    assert "(×2 in turns 2, 4)" in parted.summary()


def test_changes_of_one_path_that_differ_are_counted(scene: Any) -> None:
    one, other = (scene(seed).caller("Refund me.") for seed in (0, 1))
    for amount in (1, 2):
        one.tool("issue_refund", amount=amount)
        other.tool("issue_refund", amount=amount * 10)
    assert "(and 1 more like it)" in compare(one.trace, other.trace).summary()


def test_what_could_not_be_compared_comes_first(scene: Any) -> None:
    one, other = refunds(scene, 0, 42.5), refunds(scene, 1, 50.0)
    for trace in (one, other):
        for span in trace:
            span.attributes.pop("gen_ai.tool.call.result", None)
    diff = compare(one, other)
    (fact,) = diff.not_compared
    assert fact.startswith("in both traces the results of issue_refund")
    first, second, *_ = diff.summary().splitlines()
    assert first.startswith("unknown ") and second.startswith("behaviour ")
    assert list(diff.to_dict()).index("not_compared") < list(diff.to_dict()).index("changes")
    assert page_data(diff)["unknown"] == diff.not_compared


def test_many_facts_leave_room_for_changes(scene: Any) -> None:
    diff = compare(refunds(scene, 0, 42.5), refunds(scene, 1, 50.0))
    diff.not_compared = [f"fact {number}" for number in range(9)]
    lines = diff.summary(10).splitlines()
    assert len(lines) <= 10
    assert [line.split()[0] for line in lines[:4]] == ["unknown", "unknown", "unknown", "behaviour"]
    assert "6 more" in lines[2]
    assert diff.summary(3).splitlines()[-1].startswith(("behaviour", "…"))


def test_a_difference_that_no_reader_reads_is_not_the_same(scene: Any) -> None:
    one, other = refunds(scene, 0, 42.5), refunds(scene, 1, 42.5)
    for trace, words in ((one, "by card"), (other, "by cheque")):
        trace.spans[-1].attributes["acme.run.response"] = f'{{"paid": "{words}", "id": "run_{id(trace)}"}}'
    (fact,) = compare(one, other).not_compared
    assert "acme.run.response" in fact or "run.response" in fact
    for trace in (one, other):
        trace.spans[-1].attributes["acme.run.response"] = f'{{"paid": "by card", "id": "run_{id(trace)}"}}'
    assert compare(one, other).not_compared == []


def test_both_conversations_line_by_line(scene: Any) -> None:
    one, other = refunds(scene, 0, 42.5), refunds(scene, 1, 50.0, turns=(3,))
    rows = conversation_rows(one, other)
    assert "".join(state for state, *_ in rows) == "==" + "===" + "=!!" + "==="
    state, left, right = rows[6]
    assert state == "!" and left[0] == right[0] == "tool issue_refund"
    assert "42.5" in left[1] and "50" in right[1] and left[2] == 3


def test_a_line_of_one_side_has_no_counterpart(scene: Any) -> None:
    one, other = (scene(seed).caller("Hello") for seed in (0, 1))
    other.tool("lookup_order", "found")
    for story in (one, other):
        story.model("Good day.")
    rows = conversation_rows(one.trace, other.trace)
    assert [state for state, *_ in rows] == ["=", "+", "="]
    assert rows[1][1] is None


def test_no_secret_is_shown_in_a_conversation(scene: Any) -> None:
    secret = "sk-" + "a1B2c3D4e5F6" * 3
    traces = [scene(seed).caller("Hello").trace for seed in (0, 1)]
    for seed, _ in enumerate(traces):
        story = scene(seed).caller("My key is")
        story.model(f"You gave me {secret}.")
        traces[seed] = story.trace
    assert secret not in str(conversation_rows(*traces))


def test_a_caller_who_said_something_else_is_told_and_is_no_change(scene: Any) -> None:
    one, other = scene(0).caller("List all releases."), scene(1).caller("Get me all the releases.")
    for each in (one, other):
        each.model("There are two.")
        each.caller("Thanks.").model("Bye.")
    diff = compare(one.trace, other.trace)
    (note,) = diff.notes
    assert diff.same and "turn 1" in note and "Get me all" in note and "List all" in note
    secret = scene(2).caller("My password=hunter2pass9, list them.")
    secret.model("There are two.")
    assert "hunter2pass9" not in str(compare(one.trace, secret.trace).notes)
