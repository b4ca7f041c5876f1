"""``scores:`` in scenarios: a verdict each, the score on the outcome's trace, bad names at their line."""

from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate import run
from simulate.errors import FileProblems
from simulate.model.scenario import Scenario
from simulate.scenario_files import load_scenarios
from simulate.scoring.checks.scores import reference_of
from simulate.trace.reading import TraceReading

SCENARIO = """
name: Refund
agent: python:fixtures.agents.support:agent
script:
  - says: My order 4417 never came.
  - says: I want a refund, not a replacement.
tools:
  lookup_order: {status: lost, total: 42.50}
  issue_refund: {ok: true}
expect:
  - called: lookup_order
  - called: issue_refund
    with: {order_id: "4417"}
  - not_called: offer_replacement
  - scores: %s
"""


def scenario(tmp_path: Path, scores: str) -> Scenario:
    file = tmp_path / "refund.yaml"
    file.write_text(SCENARIO % scores, "utf-8")
    return Scenario.load(file)


async def test_scores_become_verdicts_and_land_on_the_trace(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    names = [
        "ToolSelectionAccuracy",
        "ArgumentCorrectness",
        "TrajectoryScore",
        "TaskCompletion",
        "PII",
        "Groundedness",
    ]
    outcome = await run(scenario(tmp_path, "{" + ", ".join(f"{name}: 1" for name in names) + "}"))
    verdicts = {one.expectation.split()[0]: one for one in outcome.verdicts if one.check == "scores"}
    assert list(verdicts) == names
    assert [one.status for one in verdicts.values()] == ["passed"] * 5 + ["not_run"], outcome.explain()
    assert verdicts["TaskCompletion"].score == 1.0
    assert verdicts["Groundedness"].fact == "no model is configured to judge"
    # what could not be judged is not a pass
    assert outcome.status == "not_run"
    attached = {score.name for one in TraceReading(outcome.trace).views.values() for score in one.scores}
    assert attached == set(verdicts) - {"Groundedness"}
    for one in verdicts.values():
        if one.status == "passed":
            assert outcome.trace.get(one.span_id) is not None


async def test_a_breach_is_the_agents_and_says_which_span(tmp_path: Path) -> None:
    outcome = await run(scenario(tmp_path, "{StepEfficiency: 1}\n    reference: {tools: [lookup_order]}"))
    (verdict,) = [one for one in outcome.verdicts if one.check == "scores"]
    assert (verdict.status, verdict.side, verdict.score, verdict.threshold) == ("failed", "agent", 0.5, 1.0)
    assert outcome.status == "failed"
    marked = [span for span in outcome.trace.spans if "evaluator.score.threshold" in span.attributes]
    assert [span.span_id for span in marked] == [verdict.span_id]


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ("{Groundednes: 0.8}", 'no evaluator "Groundednes"; did you mean "Groundedness"'),
        ("{ProtectFlash: 0.8}", '"ProtectFlash" has two public meanings'),
        ("{Groundedness: 1.2}", "less than or equal to 1"),
        ("{PII: 1}\n    reference: {tools: [a], forbidden: [a]}", "a is under both tools and forbidden"),
        ("{PII: 1}\n    reference: {tool: [a]}", 'unknown key "tool"'),
    ],
)
def test_what_could_never_be_scored_is_refused_at_its_line(tmp_path: Path, scores: str, told: str) -> None:
    file = tmp_path / "refund.yaml"
    file.write_text(SCENARIO % scores, "utf-8")
    with pytest.raises(FileProblems) as found:
        load_scenarios([file])
    (problem,) = found.value.problems
    assert told in f"{problem.message} {problem.hint}"
    assert problem.line in (15, 16)


async def test_a_judge_that_is_down_in_a_run_is_never_the_agents_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ModelServer
) -> None:
    server.brains = {"judge": lambda messages, tools: {"content": "I like turtles"}}
    for name, value in {"BASE_URL": server.url, "API_KEY": "k", "MODEL": "judge"}.items():
        monkeypatch.setenv(f"OPENAI_{name}", value)
    outcome = await run(scenario(tmp_path, "{AnswerRelevancy: 0.5, PII: 1}"))
    verdicts = [one for one in outcome.verdicts if one.check == "scores"]
    assert [(one.status, one.side) for one in verdicts] == [("error", "simulator"), ("passed", None)]
    assert (outcome.status, outcome.side) == ("error", "simulator")
    asked = [span for span in outcome.own_spans if span.attributes.get("simulate.role") == "judge"]
    assert asked, "the judge's calls are in the simulator's own trace"
    assert not {span.span_id for span in asked} & {span.span_id for span in outcome.trace.spans}


async def test_each_answer_of_an_instant_agent_is_its_own_spans(tmp_path: Path) -> None:
    """Turns of less than a millisecond lie within the grace that clocks are given; none takes another's."""
    outcome = await run(scenario(tmp_path, "{PII: 1}"))
    spans = {span.span_id: span for span in outcome.trace.spans}
    answers = [said for said in outcome.conversation.utterances if said.speaker == "agent"]
    assert len({said.span_id for said in answers}) == len(answers) == 2
    for said in answers:
        assert said.span_id is not None
        assert said.text in str(spans[said.span_id].attributes["gen_ai.output.messages"])


async def test_scores_that_hold_are_told_with_their_figures(tmp_path: Path) -> None:
    wanted = "{PII: 1, LoopDetection: 0.9, StepEfficiency: 1}\n    reference: {tools: [lookup_order]}"
    outcome = await run(scenario(tmp_path, wanted))
    assert "PII 1 (needs 1), LoopDetection 1 (needs 0.9)" in outcome.explain()


@pytest.mark.parametrize(
    ("lines", "calls"),
    [
        ("[{called: a}, {called: a, with: {id: 1}}]", [("a", {"id": 1})]),
        ("[{called: a, with: {id: 1}}, {called: a, with: {n: 2}}]", [("a", {"id": 1, "n": 2})]),
        ("[{called: a, with: {id: 1}}, {called: a, with: {id: 2}}]", [("a", {"id": 1}), ("a", {"id": 2})]),
        ("[{called: a, with: {n: {about: 2}}}, {called: a, with: {n: 2}}]", [("a", {"n": {"about": 2}})]),
        ("[{called: a, times: 2}, {called: a, with: {id: 1}}]", [("a", {"id": 1}), ("a", None)]),
        (
            "[{called: a, with: {id: 1}}, {called: a, times: 2}, {called: b}]",
            [("a", {"id": 1}), ("a", None), ("b", None)],
        ),
    ],
)
def test_two_lines_about_one_tool_may_mean_one_call(
    tmp_path: Path, lines: str, calls: list[tuple[str, Any]]
) -> None:
    file = tmp_path / "calls.yaml"
    file.write_text(f"name: Calls\nscript: [{{says: Hi}}]\nexpect: {lines}\n", "utf-8")
    found = reference_of(Scenario.load(file)).tools or []
    assert [(one.name, one.arguments) for one in found] == calls
