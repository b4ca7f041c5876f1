"""``--gate`` on real runs, by each of its doors: a verb of its own, ``run`` and ``score``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from simulate.interfaces.cli.main import main
from simulate.interfaces.render.gate import markdown
from simulate.scoring.gate import decide, load_gate, measured_run

ROOT = Path(__file__).parents[2]
SCENARIO = """
name: Refund
agent: python:fixtures.agents.support:agent
tools:
  lookup_order: {status: lost, total: 42.50}
  issue_refund: {ok: true}
expect:
  - called: issue_refund
script:
  - says: WHAT
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``before`` and ``same`` of one agent, ``worse`` of the one that promises and does nothing."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(ROOT))
        Path("scenarios").mkdir()
        for number in range(8):
            said = f"My order 441{number} never turned up, I want my money back."
            text = SCENARIO.replace("WHAT", said).replace("name: Refund", f"name: Refund {number}")
            Path(f"scenarios/{number}.yaml").write_text(text)
        assert main(["run", "scenarios", "--out", "before"]) == 0
        assert main(["run", "scenarios", "--out", "same", "--trials", "2"]) == 0
        worse = "python:fixtures.agents.support:careless_agent"
        assert main(["run", "scenarios", "--out", "worse", "--agent", worse]) == 1
    return folder


@pytest.fixture(autouse=True)
def here(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(runs)
    monkeypatch.syspath_prepend(str(ROOT))
    capsys.readouterr()


def gate(text: str) -> list[str]:
    Path("gate.yaml").write_text(text)
    return ["--gate", "gate.yaml"]


@pytest.mark.parametrize("worst", ["none", "shape", "latency", "cost", "content"])
def test_the_class_of_difference_on_real_runs(worst: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs of one agent differ in nothing, not even in shape; a promise that is not kept is behaviour."""
    ignored = ", ignore: [latency]"  # how long it took is this machine's business
    rule = gate(f"diff: {{worst: {worst}{ignored}}}")
    assert main(["gate", "same", "--baseline", "before", *rule]) == 0
    capsys.readouterr()
    assert main(["gate", "worse", "--baseline", "before", *rule]) == 1
    told = capsys.readouterr().out
    assert "8 of 8 cases differing from the baseline by more than" in told
    assert "Refund 0 (behaviour)" in told
    assert (
        main(["gate", "worse", "--baseline", "before", *gate("diff: {worst: content, may_differ: 100%}")])
        == 0
    )


def test_a_fall_against_the_run_before(capsys: pytest.CaptureFixture[str]) -> None:
    rule = gate("pass_rate: {may_drop: 5%}\ncost: {may_grow: 20%}")
    assert main(["gate", "worse", "--baseline", "before", *rule, "--gate-json", "-"]) == 1
    data = json.loads(capsys.readouterr().out)
    found = {one["rule"]: one for one in data["findings"]}
    assert found["pass_rate: may_drop"]["verdict"] == "fail"
    assert found["pass_rate: may_drop"]["cases"] == [f"Refund {n}" for n in range(8)]
    assert found["cost: may_grow"]["value"] < 0, "it saves a call"
    assert main(["gate", "same", "--baseline", "before", *rule]) == 0


def test_run_is_held_against_a_gate_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    rule = [*gate("pass_rate: 1"), "--gate-junit", "junit.xml", "--gate-markdown", "out/summary.md"]
    shutil.rmtree("now", ignore_errors=True)
    assert main(["run", "scenarios", "-k", "Refund 1", "--out", "now", "--json", "-", *rule]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["outcomes"][0]["status"] == "passed"
    assert "✅ Gate: pass" in told.err, "standard output is for machines here"
    assert Path("out/summary.md").read_text().startswith("## ✅ Gate: pass")
    assert ET.parse("junit.xml").getroot().get("failures") == "0"


def test_a_gate_may_allow_what_a_run_alone_does_not() -> None:
    """The gate decides where there is one: one careless case in nine is within what it allows."""
    shutil.rmtree("mixed", ignore_errors=True)
    Path("mixed.yaml").write_text(
        SCENARIO.replace("WHAT", "My order 4419 never turned up, I want my money back.").replace(
            "support:agent", "support:careless_agent"
        )
    )
    try:
        run = ["run", "scenarios", "mixed.yaml", "--trials", "3"]
        assert main([*run, "--out", "mixed"]) == 1
        assert main(["gate", "mixed", *gate("pass_rate: 50%")]) == 0
    finally:
        Path("mixed.yaml").unlink()


def test_score_holds_both_runs_alike(capsys: pytest.CaptureFixture[str]) -> None:
    """Only what the gate names is scored, in the run and in its baseline."""
    rule = gate("scores: {ToolSelectionAccuracy: {may_drop: 5%}}")
    Path("right.yaml").write_text("tools: [lookup_order, issue_refund]\n")
    words = ["--reference", "right.yaml", "--baseline", "before", *rule]
    assert main(["score", "same", *words]) == 0
    told = capsys.readouterr().out
    assert "PII" not in told and told.count("✓ ToolSelectionAccuracy") == 16
    assert main(["score", "worse", *words]) == 1
    assert "fell by" in capsys.readouterr().out


def test_scores_that_the_run_does_not_have_are_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is it the agent's failure: nobody measured it."""
    rule = gate("scores: {Groundedness: 0.8}\nnot_enough_evidence: fail")
    assert main(["gate", "same", *rule, "--gate-junit", "junit.xml"]) == 3
    told = capsys.readouterr().out
    assert "not enough evidence (not measured: scores: Groundedness: at_least)" in told
    assert "simulate score RUN --gate FILE does" in told
    assert ET.parse("junit.xml").getroot().get("errors") == "1"


def test_half_a_run_decides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("half", ignore_errors=True)
    shutil.copytree("before", "half")
    record = json.loads(Path("half/run.json").read_text())
    Path("half/run.json").write_text(json.dumps({**record, "ended": None}))
    lines = Path("half/outcomes.jsonl").read_bytes().splitlines(keepends=True)
    Path("half/outcomes.jsonl").write_bytes(b"".join(lines[:3]))
    for words in (["gate", "half"], ["gate", "same", "--baseline", "half"]):
        assert main([*words, *gate("pass_rate: {at_least: 1, may_drop: 5%}"), "--baseline", "half"]) == 2
        assert "cut off after 3 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gate", "same", "--gate", "none.yaml"], "--example"),
        (["gate", "nowhere"], "there is no run 'nowhere'"),
        (["gate", "same", "--baseline", "nowhere"], "there is no run 'nowhere'"),
        (["run", "scenarios", "--gate", "none.yaml"], "none.yaml"),
        (["run", "scenarios", "--gate-junit", "x.xml"], "--gate-junit belongs to a gate"),
        (["run", "scenarios", "--gate", "gate.yaml", "--json", "-", "--gate-json", "-"], "both want"),
        (["score", "same", "--gate", "none.yaml"], "none.yaml"),
    ],
)
def test_bad_usage_is_refused_before_anything_runs(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gate("pass_rate: 1")
    assert main(words) == 2
    assert told in capsys.readouterr().err
    assert not Path(".simulate").exists()


def test_a_rule_that_compares_needs_its_baseline_before_anything_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "scenarios", *gate("pass_rate: {may_drop: 5%}")]) == 2
    assert "name it with --baseline RUN" in capsys.readouterr().err
    assert not Path(".simulate").exists()


def test_the_example_is_a_gate_and_so_is_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", "--example"]) == 0
    text = capsys.readouterr().out
    (tmp_path / "gate.yaml").write_text(text)
    plain = load_gate(tmp_path / "gate.yaml")
    assert not plain.needs_baseline
    compared = re.sub(r"^(pass_rate|latency|cost): .*\n", "", text, flags=re.M)
    compared = re.sub(r"^scores:.*\n(  .*\n)*", "", compared, flags=re.M)
    compared = re.sub(r"^# (\w+: )", r"\1", compared, flags=re.M)
    (tmp_path / "gate.yaml").write_text(compared)
    assert len(load_gate(tmp_path / "gate.yaml").needs_baseline) == 5
    assert text in (ROOT / "docs" / "gate.md").read_text("utf-8")


def test_a_decision_in_python() -> None:
    gate("pass_rate: {may_drop: 5%}")
    decision = decide(load_gate("gate.yaml"), measured_run(Path("worse")), measured_run(Path("before")))
    assert decision.exit_code == 1
    assert "## ❌ Gate: fail" in markdown(decision)
