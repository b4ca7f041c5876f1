from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulate.errors import InputError
from simulate.trace.diff import Change, Diff, compare, judged
from simulate.trace.span import Event, Span, Trace


def sentences(diff: Diff, *categories: str) -> list[str]:
    return [change.sentence for change in (diff.of(*categories) if categories else diff.changes)]


def refund(scene: Any, order: tuple[str, ...] = ("verify_identity", "issue_refund"), seed: int = 0) -> Trace:
    story = scene(seed).caller("I want my money back for order 4417")
    for name in order:
        story.tool(name, order_id="4417")
    story.model("Your refund of $42.50 is on its way.")
    return story.trace


def test_another_order_of_calls_is_told_first(scene: Any) -> None:
    diff = compare(refund(scene), refund(scene, ("issue_refund", "verify_identity"), seed=1))
    assert not diff.same
    assert diff.summary().startswith("behaviour  issue_refund was called before verify_identity")
    back = compare(refund(scene, ("issue_refund", "verify_identity"), seed=1), refund(scene))
    assert sentences(back, "behaviour") == ["verify_identity was called before issue_refund"]


def test_calls_asked_for_together_have_no_order(scene: Any) -> None:
    def trace(seed: int, names: list[str]) -> Trace:
        story = scene(seed).caller("hello")
        story.model(calls=[(name, {"id": 1}) for name in names])
        for name in names:
            story.run(name, id=1)
        story.model("done")
        return story.trace

    diff = compare(trace(0, ["search", "weather", "hotels"]), trace(1, ["hotels", "search", "weather"]))
    assert diff.same, diff.summary()


def test_a_missing_and_an_unexpected_tool(scene: Any) -> None:
    diff = compare(refund(scene), refund(scene, ("issue_refund",), seed=1))
    assert sentences(diff, "behaviour") == [
        'the tool verify_identity was not called (expected with {"order_id":"4417"})'
    ]
    diff = compare(refund(scene), refund(scene, ("verify_identity", "issue_refund", "issue_refund"), seed=1))
    assert sentences(diff, "behaviour") == ["the tool issue_refund was called twice instead of once"]
    assert diff.changes[0].actual_spans
    assert not diff.changes[0].expected_spans


def test_arguments_are_compared_by_value_with_their_path(scene: Any) -> None:
    def trace(seed: int, **arguments: Any) -> Trace:
        story = scene(seed).caller("refund please")
        story.tool("issue_refund", **arguments)
        return story.trace

    one, other = trace(0, order={"id": "4417"}, amount=42.5), trace(1, order={"id": "4418"}, amount=42.51)
    diff = compare(one, other)
    assert [(d.path, d.expected, d.actual) for d in diff.changes[0].details] == [
        ("amount", 42.5, 42.51),
        ("order.id", "4417", "4418"),
    ]
    assert "issue_refund was called with amount 42.51 instead of 42.5" in diff.changes[0].sentence
    assert [d.path for d in compare(one, other, tolerance={"arguments": 0.05}).changes[0].details] == [
        "order.id"
    ]
    ignored = compare(one, other, ignore=["tools.issue_refund.arguments.order", "tools.*.arguments.amount"])
    assert ignored.same, ignored.summary()
    # 42.5 and "42.50" are not the same argument, 42 and 42.0 are
    assert compare(trace(0, amount=42), trace(1, amount=42.0)).same


def test_an_error_and_its_retry(scene: Any) -> None:
    def trace(seed: int, *errors: str | None) -> Trace:
        story = scene(seed).caller("where is my parcel")
        for error in errors:
            story.tool("track", error=error, id=7)
        story.model("It is in Bonn.")
        return story.trace

    retried = compare(trace(0, None), trace(1, "timeout", None))
    assert sentences(retried, "behaviour") == ["track took 2 attempts instead of 1 in turn 1"]
    failed = compare(trace(0, None), trace(1, "timeout"))
    assert sentences(failed, "behaviour") == ["track failed: “timeout” in turn 1"]
    assert sentences(compare(trace(1, "timeout"), trace(0, None)), "behaviour") == [
        "track no longer fails in turn 1"
    ]


def test_model_prompt_and_answer(scene: Any) -> None:
    def trace(seed: int, model: str, answer: str, prompt: str = "Be kind.") -> Trace:
        story = scene(seed).caller("hi")
        story.model("Hello! How can I help?", model=model, **{"gen_ai.system_instructions": prompt})
        story.caller("bye").model(answer, model=model, **{"gen_ai.system_instructions": prompt})
        return story.trace

    diff = compare(
        trace(0, "gpt-5", "Bye."), trace(1, "gpt-5-mini", "See you tomorrow at nine.", "Be brief.")
    )
    assert sentences(diff) == [
        "the model changed from gpt-5 to gpt-5-mini in 2 calls",
        "the system prompt changed: “Be brief.” instead of “Be kind.”",
        "turn 2 answers something else: “See you tomorrow at nine.” instead of “Bye.”",
    ]
    assert diff.changes[2].turn == 2
    # a gateway's prefix is no other model, and neither wording's case nor its spaces are another answer
    assert compare(trace(0, "gpt-5", "Bye."), trace(1, "openai/gpt-5", " bye ")).same


async def test_a_judge_takes_back_what_means_the_same(scene: Any) -> None:
    def trace(seed: int, *answers: str) -> Trace:
        story = scene(seed)
        for answer in answers:
            story.caller("?").model(answer)
        return story.trace

    diff = compare(trace(0, "It is sunny.", "Yes."), trace(1, "The sun shines.", "No."))
    asked: list[tuple[str, str]] = []

    async def judge(one: str, other: str) -> bool:
        asked.append((one, other))
        return "sun" in one and "sun" in other

    left = await judged(diff, judge)
    assert asked == [("It is sunny.", "The sun shines."), ("Yes.", "No.")]
    assert [change.turn for change in left.changes] == [2]


def test_cost_and_latency_are_told_and_do_not_decide(scene: Any) -> None:
    def trace(seed: int, searches: int, tokens: int) -> Trace:
        story = scene(seed).caller("what is the policy?")
        for _ in range(searches):
            story.span("retrieve", **{"openinference.span.kind": "RETRIEVER", "input.value": "policy"})
        story.model("Thirty days.", **{"gen_ai.usage.input_tokens": tokens})
        return story.trace

    diff = compare(trace(0, 1, 900), trace(1, 2, 5_000))
    assert diff.same
    assert "cost       1 more retrieval, 4,100 more input tokens" in diff.summary()
    # what one side does not say is unknown, and unknown is not a difference
    silent = trace(1, 1, 5_000)
    for span in silent:
        span.attributes.pop("gen_ai.usage.input_tokens", None)
    assert not compare(trace(0, 1, 900), silent).of("cost")


def test_a_renamed_agent_is_one_change(scene: Any) -> None:
    one, other = refund(scene), refund(scene, seed=1)
    for span in other:
        if span.attributes.get("gen_ai.agent.name"):
            span.attributes["gen_ai.agent.name"] = "concierge"
    assert sentences(compare(one, other)) == ["the agent support is called concierge"]


def test_a_span_wrapped_round_others_is_a_matter_of_shape(scene: Any) -> None:
    one, other = refund(scene), refund(scene, seed=1)
    top = other.spans[0]
    wrap = Span(other.trace_id, "f" * 16, "middleware", top.span_id, other.spans[1].start_ns - 1, top.end_ns)
    for span in other.spans[1:3]:
        span.parent_id = wrap.span_id
    other.spans.append(wrap)
    diff = compare(one, other)
    assert diff.same
    assert "middleware now wraps chat gpt-5-mini" in sentences(diff, "shape")


def test_without_content_answers_are_not_compared_and_it_is_said(scene: Any) -> None:
    dark = refund(scene, seed=1)
    for span in dark:
        span.attributes = {key: value for key, value in span.attributes.items() if "messages" not in key}
    diff = compare(refund(scene), dark)
    assert not diff.of("content")
    assert any("what was said is not recorded" in note for note in diff.not_compared)


def test_what_could_not_be_compared_is_said_first(scene: Any) -> None:
    """Two traces without content are not the same: nobody knows."""
    one, other = refund(scene), refund(scene, seed=1)
    for span in (*one, *other):
        span.attributes = {key: value for key, value in span.attributes.items() if "messages" not in key}
    diff = compare(one, other)
    assert not diff.changes and diff.summary().startswith("not all could be compared")
    assert diff.not_compared and diff.to_dict()["not_compared"] == diff.not_compared


def test_arguments_that_one_side_does_not_tell_are_not_equal(scene: Any) -> None:
    one, other = refund(scene), refund(scene, seed=1)
    for span in other:
        span.attributes = {key: value for key, value in span.attributes.items() if "arguments" not in key}
        for key in ("gen_ai.input.messages", "gen_ai.output.messages"):
            if key in span.attributes:
                span.attributes[key] = str(span.attributes[key]).replace("tool_call", "other")
    assert any("arguments of" in each for each in compare(one, other).not_compared)


def test_ids_and_times_never_count(scene: Any) -> None:
    one, other = refund(scene), refund(scene, seed=9)
    for span in other:
        span.start_ns += 10**15
        span.end_ns = None if span.end_ns is None else span.end_ns + 10**15
        span.attributes["gen_ai.response.id"] = f"resp_{span.span_id}"
    diff = compare(one, other)
    assert diff.changes == []
    assert (
        diff.summary()
        == f"no change in behaviour, content, cost, latency or shape ({len(one)} and {len(other)} spans)"
    )


def test_the_summary_stays_within_its_lines(scene: Any) -> None:
    def trace(seed: int, start: int) -> Trace:
        story = scene(seed).caller("go")
        for number in range(start, start + 30):
            story.tool(f"tool_{number}")
        return story.trace

    diff = compare(trace(0, 0), trace(1, 15))
    for lines in (3, 5, 10):
        assert len(diff.summary(lines).splitlines()) <= lines
    assert "more in behaviour" in diff.summary()
    assert len(diff.only(["shape"]).changes) == len(diff.of("shape"))
    assert diff.to_dict()["changes"][0]["category"] == "behaviour"


def test_terminal_controls_of_an_agent_are_shown_not_obeyed(scene: Any) -> None:
    story = scene(1).caller("x")
    story.tool("wipe\x1b[2J")
    assert "\x1b" not in compare(scene(0).trace, story.trace).summary()


def test_an_unknown_tolerance_is_refused(scene: Any) -> None:
    with pytest.raises(InputError, match="no tolerance 'token'"):
        compare(refund(scene), refund(scene), tolerance={"token": 1})


# properties

texts = st.sampled_from(["yes", "no", "maybe later", "the order is late", ""])
steps = st.lists(
    st.tuples(
        st.sampled_from(["tool", "model", "chain", "agent", "retrieve", "caller", "up"]),
        st.sampled_from(["alpha", "beta", "gamma"]),
        texts,
        st.booleans(),
    ),
    max_size=14,
)


def grown(scene: Any, recipe: list[tuple[str, str, str, bool]], seed: int) -> Trace:
    story = scene(seed)
    for what, name, text, flag in recipe:
        if what == "tool":
            story.tool(name, text, error="broken" if flag else None, value=text)
        elif what == "model":
            story.model(text, model=name)
        elif what == "caller":
            story.caller(text or "hm")
        elif what == "retrieve":
            story.span("search", **{"openinference.span.kind": "RETRIEVER", "input.value": text})
        elif what == "agent":
            story.top = story.span(
                name, **{"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
            )
        elif what == "up":
            story.top = story.trace.spans[0]
        else:
            story.span(name, **{"input.value": text})
    return story.trace


def straight(change: Change) -> Any:
    before = repr(change.expected), sorted(change.expected_spans)
    after = repr(change.actual), sorted(change.actual_spans)
    details = sorted((d.path, repr(d.expected), repr(d.actual)) for d in change.details)
    return change.category, change.path, before, after, details


def mirrored(change: Change) -> Any:
    before = repr(change.actual), sorted(change.actual_spans)
    after = repr(change.expected), sorted(change.expected_spans)
    details = sorted((d.path, repr(d.actual), repr(d.expected)) for d in change.details)
    return change.category, change.path, before, after, details


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(one=steps, other=steps)
def test_swapping_the_traces_mirrors_the_changes(scene: Any, one: Any, other: Any) -> None:
    a, b = grown(scene, one, 0), grown(scene, other, 1)
    there = sorted(straight(change) for change in compare(a, b).changes)
    back = sorted(mirrored(change) for change in compare(b, a).changes)
    assert there == back


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipe=steps, seed=st.integers(2, 9))
def test_a_trace_against_itself_is_empty(scene: Any, recipe: Any, seed: int) -> None:
    trace = grown(scene, recipe, 0)
    assert compare(trace, copy.deepcopy(trace)).changes == []
    assert compare(trace, grown(scene, recipe, seed)).changes == []


def test_handoffs_guardrails_and_a_gateway_that_fell_back(scene: Any) -> None:
    def trace(seed: int, to: str, verdict: str, provider: str) -> Trace:
        story = scene(seed).caller("hi")
        story.span("check", **{"openinference.span.kind": "GUARDRAIL", "output.value": verdict})
        story.span(f"handoff to {to}", **{"fi.span.kind": "HANDOFF", "gen_ai.handoff.target": to})
        story.model("Hello.", **{"llm.custom_llm_provider": provider})
        return story.trace

    diff = compare(trace(0, "billing", "pass", "openai"), trace(1, "billing", "blocked", "openai"))
    assert sentences(diff) == ["the guardrail check said “blocked” instead of “pass”"]
    moved = compare(trace(0, "billing", "pass", "openai"), trace(1, "sales", "pass", "openai"))
    assert {change.path.split(".")[0] for change in moved.of("behaviour")} == {"handoffs"}
    elsewhere = compare(trace(0, "billing", "pass", "openai"), trace(1, "billing", "pass", "azure"))
    assert sentences(elsewhere) == [
        "the gateway went another way: resolved_provider “azure” instead of “openai”"
    ]


def test_a_run_that_failed_says_so_first(scene: Any) -> None:
    one, other = refund(scene), refund(scene, seed=1)
    other.spans[0].status, other.spans[0].status_message = "error", "rate limit"
    assert sentences(compare(one, other), "behaviour") == ["the run failed: “rate limit”"]
    assert sentences(compare(other, one), "behaviour") == ["the run no longer fails"]


def test_values_that_no_one_should_send_do_not_stop_it(scene: Any) -> None:
    deep: Any = "end"
    for _ in range(400):
        deep = {"in": [deep]}

    def trace(seed: int, note: Any) -> Trace:
        story = scene(seed).caller("hi")
        story.tool("store", note=note)
        story.trace.spans[-1].attributes["gen_ai.tool.call.result"] = b"\x00\xff"
        return story.trace

    assert compare(trace(0, deep), trace(1, deep)).changes == []
    assert compare(trace(0, float("nan")), trace(1, float("nan"))).changes == []
    assert not compare(trace(0, "\ud800"), trace(1, "x" * 2_000_000)).same
    assert compare(Trace("a"), Trace("b")).same
    assert "the expected trace is empty" in compare(Trace("a"), trace(0, 1)).notes


def scored(scene: Any, seed: int, *results: dict[str, Any]) -> Trace:
    story = scene(seed).caller("hello")
    span = story.model("Hello.")
    for told in results:
        attributes = {f"gen_ai.evaluation.{key.replace('__', '.')}": value for key, value in told.items()}
        if "threshold" in told:
            attributes["evaluator.score.threshold"] = attributes.pop("gen_ai.evaluation.threshold")
        span.events.append(Event("gen_ai.evaluation.result", span.start_ns, attributes))
    return story.trace


@pytest.mark.parametrize(
    ("before", "after", "path", "sentence"),
    [
        (
            {"name": "polite", "score__value": 0.9, "threshold": 0.7},
            {"name": "polite", "score__value": 0.3, "threshold": 0.7},
            "scores.polite.verdict",
            "polite failed: 0.3 instead of 0.9, threshold 0.7",
        ),
        (
            {"name": "polite", "score__label": "fail"},
            {"name": "polite", "score__label": "pass"},
            "scores.polite.verdict",
            "polite no longer fails",
        ),
        (
            {"name": "reward", "score__value": 1.0},
            {"name": "reward", "score__value": 0.0},
            "scores.reward.value",
            "reward scored 0 instead of 1",
        ),
        (
            {"name": "tone", "score__label": "warm"},
            {"name": "tone", "score__label": "curt"},
            "scores.tone.label",
            "tone said “curt” instead of “warm”",
        ),
    ],
)
def test_evaluators_that_scored_both_traces_are_compared(
    scene: Any, before: dict[str, Any], after: dict[str, Any], path: str, sentence: str
) -> None:
    diff = compare(scored(scene, 0, before), scored(scene, 1, after))
    assert [(change.path, change.sentence) for change in diff.changes] == [(path, sentence)]
    assert diff.changes[0].category == ("behaviour" if path.endswith("verdict") else "content")
    assert diff.changes[0].expected_spans and diff.changes[0].actual_spans
    assert compare(scored(scene, 0, before), scored(scene, 1, before)).changes == []
    assert compare(scored(scene, 0, before), scored(scene, 1, after), ignore=["scores"]).changes == []


def test_a_score_that_only_one_trace_has_tells_nothing(scene: Any) -> None:
    one, other = scored(scene, 0, {"name": "polite", "score__value": 0.1}), scored(scene, 1)
    assert compare(one, other).changes == compare(other, one).changes == []


def test_scores_within_the_tolerance_are_the_same_and_repeats_widen_it(scene: Any) -> None:
    def trace(seed: int, value: float) -> Trace:
        return scored(scene, seed, {"name": "polite", "score__value": value})

    assert compare(trace(0, 0.9), trace(1, 0.85)).same
    assert not compare(trace(0, 0.9), trace(1, 0.7)).same
    assert compare(trace(0, 0.9), trace(1, 0.7), tolerance={"scores": 0.3}).same
    assert compare(trace(0, 0.9), trace(1, 0.7), repeats=[trace(2, 0.6)]).same
    assert not compare(trace(0, 0.9), trace(1, 0.3), repeats=[trace(2, 0.6)]).same


def test_who_spoke_when_is_compared_without_words(scene: Any) -> None:
    def trace(seed: int, *speakers: str) -> Trace:
        story = scene(seed)
        for speaker in speakers:
            story.span("voice.turn", **{"voice.actor": speaker, "fi.span.kind": "TURN"})
        return story.trace

    diff = compare(trace(0, "user", "agent", "user", "agent"), trace(1, "user", "agent", "agent"))
    assert [change.path for change in diff.of("behaviour")] == ["voice.speakers"]
    assert diff.changes[0].sentence == "nobody spoke where the caller was expected, after 2 turns of speech"
    assert compare(trace(0, "user", "agent"), trace(1, "user", "agent", "agent")).same
    first = compare(trace(0, "agent", "user"), trace(1, "user", "agent")).changes[0]
    assert first.sentence == "the caller spoke where the agent was expected, from the start"


@pytest.mark.parametrize(
    ("path", "met"),
    [
        ("$.tools.issue_refund.arguments.order_id", True),
        ("$.tools[*].arguments", True),
        ("$..order_id", True),
        ("$.tools.issue_*", True),
        ("tools.issue_refund.arguments.order_id", True),
        ("behaviour", True),
        ("$.tools.issue_refnd.arguments.order_id", False),
        ("$.order_id", False),
    ],
)
def test_what_is_ignored_is_a_json_path_and_one_that_meets_nothing_is_told(
    path: str, met: bool, scene: Any
) -> None:
    def trace(seed: int, order: str) -> Trace:
        story = scene(seed).caller("refund please")
        story.tool("issue_refund", order_id=order)
        return story.trace

    diff = compare(trace(0, "4417"), trace(1, "4418"), ignore=[path])
    assert diff.same is met
    assert diff.unmet == ([] if met else [path])
    assert any(path in note for note in diff.notes) is not met
    if "refnd" in path:
        assert "tools.issue_refund.arguments.order_id" in diff.summary()


@pytest.mark.parametrize("path", ["$", "$.tools[", "", "/tools/issue_refund"])
def test_what_is_not_a_path_cannot_be_ignored(path: str, scene: Any) -> None:
    with pytest.raises(InputError):
        compare(scene(0).trace, scene(1).trace, ignore=[path])
