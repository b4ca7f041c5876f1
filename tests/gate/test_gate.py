"""A gate is red only on evidence, says what it lacks, and refuses a file that makes no sense."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pydantic import ValidationError

from simulate.errors import FileProblems, InputError
from simulate.interfaces.render.gate import markdown, to_dict
from simulate.interfaces.render.junit import gate_junit
from simulate.model.json_values import to_json
from simulate.model.outcome import Outcome
from simulate.model.transcript import Conversation
from simulate.scoring.gate import Gate, Measured, decide, load_gate, measured


def rates(passed: dict[str, tuple[int, int]], source: str = "now") -> Measured:
    """Case → passed, trials."""
    found = Measured(source)
    for case, (good, trials) in passed.items():
        found.passes[case] = [1.0] * good + [0.0] * (trials - good)
        found.total += trials
    return found


def verdicts(gate: Gate, now: Measured, before: Measured | None = None) -> list[str]:
    return [finding.verdict for finding in decide(gate, now, before).findings]


@pytest.mark.parametrize(
    ("passed", "trials", "verdict"),
    [
        (100, 100, "pass"),
        (60, 100, "fail"),
        (9, 10, "not enough evidence"),
        (4, 4, "not enough evidence"),
        (0, 4, "fail"),
        (0, 1, "not enough evidence"),
    ],
)
def test_a_threshold_needs_evidence_either_way(passed: int, trials: int, verdict: str) -> None:
    gate = Gate.model_validate({"pass_rate": 0.9})
    assert verdicts(gate, rates({"a": (passed, trials)})) == [verdict]


def test_a_threshold_of_one_allows_no_failure() -> None:
    gate = Gate.model_validate({"pass_rate": 1})
    assert verdicts(gate, rates({"a": (1, 1)})) == ["pass"]
    assert verdicts(gate, rates({"a": (9, 10)})) == ["fail"]


def test_a_fall_is_compared_case_by_case() -> None:
    gate = Gate.model_validate({"pass_rate": {"may_drop": "5%"}})
    before = rates({f"c{n}": (1, 1) for n in range(40)}, "before")
    worse = rates({f"c{n}": (int(n >= 10), 1) for n in range(40)})
    decision = decide(gate, worse, before)
    (finding,) = decision.findings
    assert finding.verdict == "fail" and decision.exit_code == 1
    assert finding.cases == [f"c{n}" for n in range(10)]
    assert finding.p == pytest.approx(1 / 1024)
    slight = decide(gate, rates({f"c{n}": (int(n >= 3), 1) for n in range(40)}), before)
    assert slight.verdict == "not enough evidence"
    assert slight.findings[0].needed is not None and slight.findings[0].needed > 40


def test_an_effect_too_small_to_matter_is_no_breach() -> None:
    gate = Gate.model_validate({"pass_rate": {"may_drop": 0.1}})
    before = rates({f"c{n}": (1, 1) for n in range(1000)})
    after = rates({f"c{n}": (int(n >= 30), 1) for n in range(1000)})
    assert verdicts(gate, after, before) == ["pass"]


def test_what_missing_evidence_counts_as_is_said_in_the_file() -> None:
    now = rates({"a": (9, 10)})
    lenient = decide(Gate.model_validate({"pass_rate": 0.9}), now)
    strict = decide(Gate.model_validate({"pass_rate": 0.9, "not_enough_evidence": "fail"}), now)
    assert (lenient.verdict, lenient.exit_code) == ("not enough evidence", 0)
    assert (strict.verdict, strict.exit_code) == ("not enough evidence", 1)
    assert ET.fromstring(gate_junit(lenient)).get("skipped") == "1"
    assert ET.fromstring(gate_junit(strict)).get("failures") == "1"


def test_many_rules_share_one_level_of_false_alarm() -> None:
    """One p-value that is a breach alone is none among twenty."""
    alone = Gate.model_validate({"scores": {"Groundedness": 0.8}})
    names = ["Groundedness", "Faithfulness", "AnswerRelevancy", "ContextRelevance", "ContextPrecision"]
    names += ["ContextRecall", "TaskCompletion", "TrajectoryScore", "PII", "LoopDetection", "StepEfficiency"]
    together = Gate.model_validate({"scores": dict.fromkeys(names, 0.8)})
    now = Measured("now", total=20)
    for name in names:
        good = 11 if name == "Groundedness" else 20
        now.scores[name] = {"a": [1.0] * good + [0.0] * (20 - good)}
    assert verdicts(alone, now)[0] == "fail"
    assert verdicts(together, now)[0] == "not enough evidence"
    first = decide(together, now).findings[0]
    assert first.p is not None and first.corrected == pytest.approx(min(1, first.p * len(names)))


def test_flaky_cases_are_named() -> None:
    decision = decide(Gate.model_validate({"pass_rate": 0.5}), rates({"a": (3, 4), "b": (4, 4)}))
    assert decision.flaky == ["a (3 of 4 passed)"]
    assert "3 of 4 passed" in markdown(decision)


def test_pass_hat() -> None:
    gate = Gate.model_validate({"pass_hat": {"k": 4, "at_least": 0.8}})
    assert verdicts(gate, rates({"a": (10, 20)})) == ["fail"]
    assert verdicts(gate, rates({"a": (200, 200)})) == ["pass"]
    assert decide(gate, rates({"a": (3, 3)})).exit_code == 0, "more trials would decide it"
    few = decide(gate, rates({"a": (3, 3)})).findings[0]
    assert few.verdict == "not enough evidence" and few.needed == 4


def test_pass_hat_of_a_few_cases_is_decided_by_many_trials() -> None:
    gate = Gate.model_validate({"pass_hat": {"k": 4, "at_least": 0.8}})
    cases = {f"c{n}": (100, 100) for n in range(5)}
    assert verdicts(gate, rates(cases)) == ["pass"]
    assert verdicts(gate, rates({f"c{n}": (4, 4) for n in range(5)})) == ["not enough evidence"]
    assert verdicts(gate, rates({f"c{n}": (14, 20) for n in range(10)})) == ["fail"]


def test_latency_and_cost_grow() -> None:
    gate = Gate.model_validate({"latency": {"at_most": "2s", "may_grow": "20%"}, "cost": {"may_grow": "20%"}})
    before, now = rates({f"c{n}": (1, 1) for n in range(40)}), rates({f"c{n}": (1, 1) for n in range(40)})
    for n in range(40):
        before.latency[f"c{n}"], now.latency[f"c{n}"] = [0.5 + n / 100], [(0.5 + n / 100) * 2]
        before.cost[f"c{n}"] = now.cost[f"c{n}"] = [0.01]
    assert verdicts(gate, now, before) == ["not enough evidence", "fail", "pass"]
    unknown = rates({"a": (1, 1)})
    assert verdicts(Gate.model_validate({"cost": {"at_most": 0.02}}), unknown) == ["not enough evidence"]


def outcome(status: str, trial: int, **more: object) -> Outcome:
    found = Outcome("refund", "agent", status, Conversation("ab" * 16), trial=trial)  # type: ignore[arg-type]
    found.measures = {"reply_p95_seconds": 0.4, "cost_usd": None}
    for name, value in more.items():
        setattr(found, name, value)
    return found


@dataclass
class Score:
    evaluator: str
    value: float | None
    status: str = "scored"
    explanation: str = ""


def test_a_simulators_fault_is_neither_a_pass_nor_a_failure() -> None:
    outcomes = [
        outcome("passed", 1),
        outcome("failed", 2),
        outcome("error", 3, side="simulator", reason="babbled"),
    ]
    results = {"refund-1": [Score("PII", 1.0), Score("TaskCompletion", None, "not_run", "no goal is known")]}
    now = measured(outcomes, results)
    assert now.passes == {"refund": [1.0, 0.0]}
    assert now.scores == {"PII": {"refund": [1.0]}, "TaskCompletion": {}}
    assert now.cost == {} and "unknown" in now.lacking["cost"]
    assert now.unjudged == ["refund-3: error, babbled"]
    decision = decide(Gate.model_validate({"scores": {"PII": 1}, "judged": 0.9}), now)
    assert decision.verdict == "not enough evidence" and decision.exit_code == 3
    assert any("1 of 3 conversations have no verdict" in note for note in decision.notes)
    assert "not enough evidence (only 2 of 3 conversations came to a verdict)" in markdown(decision)
    suite = ET.fromstring(gate_junit(decision))
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("2", "1", "0")
    assert suite.get("skipped") == "1"
    assert suite.find("testcase[@name='judged']/error") is not None
    lacks = decide(Gate.model_validate({"scores": {"TaskCompletion": 0.5}, "judged": 0}), now)
    assert "no goal is known" in lacks.findings[0].sentence


def test_too_many_unknown_values_are_no_pass() -> None:
    """Half of the prices are unknown: those that are known do not stand for the others."""
    outcomes = [outcome("passed", trial) for trial in range(1, 21)]
    for one in outcomes[:10]:
        one.measures["cost_usd"] = 0.01 + one.trial / 1e6
    gate = Gate.model_validate({"cost": 0.02})
    decision = decide(gate, measured(outcomes))
    assert decision.verdict == "not enough evidence"
    assert "10 of 20 are unknown" in decision.findings[0].sentence and decision.exit_code == 3
    for one in outcomes[10:19]:
        one.measures["cost_usd"] = 0.01
    assert decide(gate, measured(outcomes)).verdict == "pass"
    results = {one.key: [Score("Faithfulness", None, "not_run", "no retrieval")] for one in outcomes}
    results |= {one.key: [Score("Faithfulness", 1.0)] for one in outcomes[:8]}
    gate = Gate.model_validate({"scores": {"Faithfulness": 0.5}})
    assert decide(gate, measured(outcomes, results)).verdict == "pass", "it does not apply to the others"
    results |= {one.key: [Score("Faithfulness", None, "error", "judge down")] for one in outcomes[8:12]}
    assert decide(gate, measured(outcomes, results)).verdict == "not enough evidence"


def test_ones_own_evaluator_is_named_by_its_class() -> None:
    now = rates({"a": (10, 10)})
    now.scores["Politeness"] = {"a": [1.0] * 20}
    assert verdicts(Gate.model_validate({"scores": {"mine.evals:Politeness": 0.5}}), now) == ["pass"]


def test_short_forms_are_the_most_common_keys() -> None:
    short = Gate.model_validate({"pass_rate": "90%", "latency": "2s", "cost": 0.02, "confidence": "90%"})
    assert short.pass_rate is not None and short.pass_rate.at_least == 0.9 and short.confidence == 0.9
    assert short.latency is not None and short.latency.at_most == 2
    assert short.cost is not None and short.cost.at_most == 0.02


def test_reports_are_whole_and_safe() -> None:
    now = rates({"a | b <script>": (1, 10)})
    decision = decide(Gate.model_validate({"pass_rate": 0.9}), now)
    text = markdown(decision)
    assert "❌ Gate: fail" in text and "<script>" not in text and "\\|" in text
    data = json.loads(to_json(to_dict(decision)))
    assert data["verdict"] == "fail" and data["findings"][0]["cases"] == ["a | b <script>"]
    assert to_dict(decision)["exit_code"] == 1
    assert ET.fromstring(gate_junit(decision)).find("testcase/failure") is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pass_rat: 0.9", 'did you mean "pass_rate"|pass_rate'),
        ("pass_rate: 1.2", "1"),
        ("scores: {Groundednes: 0.8}", "Groundedness"),
        ("latency: {at_most: 2}", "unit"),
        ("latency: {}", "holds nothing"),
        ("confidence: 0.95", "holds no rule"),
        ("pass_rate: {at_least: 0.9, may_drop: lots}", "number"),
        ("- pass_rate", "mapping"),
        ("diff: {worst: terrible}", "shape"),
        ("diff: {worst: behaviour}", "allows every difference"),
        ("pass_rate: 90", "write 90%"),
        ("cost: {may_grow: -5%}", "may_grow"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(text)
    with pytest.raises(FileProblems, match=told) as caught:
        load_gate(file)
    assert str(file) in str(caught.value)


def test_a_comparison_without_a_baseline_is_refused() -> None:
    gate = Gate.model_validate({"pass_rate": {"may_drop": 0.05}, "diff": {"worst": "latency"}})
    with pytest.raises(InputError, match="pass_rate: may_drop, diff"):
        decide(gate, rates({"a": (1, 1)}))


def test_callers_must_have_kept_to_their_part() -> None:
    outcomes = [outcome("passed", number) for number in range(1, 40)]
    outcomes += [outcome("error", number, side="simulator", reason="left") for number in range(40, 80)]
    for each in outcomes:
        each.measures["caller_fidelity"] = 1.0 if each.passed else 0.5
    gate = Gate.model_validate({"caller_fidelity": 0.95, "judged": 0})
    assert decide(gate, measured(outcomes)).verdict == "fail", "those without a verdict count, too"
    assert decide(gate, measured(outcomes[:39])).findings[0].verdict != "fail"
    scripted = decide(gate, measured([outcome("passed", 1)]))
    assert "no caller improvised" in scripted.findings[0].sentence


@pytest.mark.parametrize(
    ("rule", "slow", "verdict"),
    [
        ({"at_most": 3}, 0, "pass"),
        ({"at_most": 3}, 40, "fail"),
        ({"at_least": 2, "percentile": 50}, 95, "pass"),
        ({"at_least": 2, "percentile": 50}, 5, "fail"),
    ],
)
def test_any_measure_of_a_call_can_be_held(rule: dict[str, float], slow: int, verdict: str) -> None:
    """Of the calls that have it; a conversation without it is no evidence, and none at all holds nothing."""
    calls = [outcome("passed", trial) for trial in range(120)]
    for number, each in enumerate(calls[:100]):
        each.measures["dead_air_max_seconds"] = 9.0 if number < slow else 1.0
    gate = Gate.model_validate({"measures": {"dead_air_max_seconds": rule}})
    (finding,) = decide(gate, measured(calls)).findings
    assert (finding.rule, finding.verdict, finding.count) == (
        "measures: dead_air_max_seconds",
        verdict,
        100,
    )
    nobody = decide(Gate.model_validate({"measures": {"no_such": rule}}), measured(calls))
    assert nobody.exit_code != 0 and "no conversation has the measure no_such" in nobody.findings[0].sentence


def test_a_measure_without_a_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="give at_most or at_least"):
        Gate.model_validate({"measures": {"dead_air_max_seconds": {}}})
