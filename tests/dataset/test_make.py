"""From a trace to a case: redacted, once, and never one that makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate.errors import EnvironmentFault, InputError, NotReplayable
from simulate.model.loading.yaml_reader import read_documents
from simulate.model.units import plain
from simulate.scenario_files import load_scenarios
from simulate.scoring.datasets import Dataset, Wish, add
from simulate.scoring.datasets.store import dump
from simulate.trace import Trace, read
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Event, Span

TRACES = Path("fixtures/traces")
SHARED = Path("../shared/traces")
START = 1_780_000_000_000_000_000
SECRET = "sk-" + "proj-Ab3dEf6hIj9kLmN0pQrStUvWxYz1234567890AbCd"


def conversation(*said: str, tools: dict[str, Any] | None = None, scores: Any = ()) -> Trace:
    """The agent's trace of this, caller and agent in turns; ``tools`` were called before the end."""
    history = [
        {"role": "assistant" if at % 2 else "user", "parts": [{"type": "text", "content": text}]}
        for at, text in enumerate(said)
    ]
    answer = history.pop() if len(said) % 2 == 0 else {"role": "assistant", "parts": []}
    trace_id = f"{abs(hash(said)):032x}"[-32:]
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1-mini"}
    chat |= {"gen_ai.input.messages": _json(history), "gen_ai.output.messages": _json([answer])}
    spans = [Span(trace_id, "b" * 16, "chat", None, START, START + 10**8, chat)]
    for at, (name, result) in enumerate((tools or {}).items()):
        told = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
        told |= {"gen_ai.tool.call.arguments": "{}", "gen_ai.tool.call.result": _json(result)}
        spans.append(Span(trace_id, f"{at + 1:016x}", name, "b" * 16, START + at, START + at + 9, told))
    for name, value, threshold in scores:
        told = {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": value}
        if threshold is not None:
            told["evaluator.score.threshold"] = threshold
        spans[0].events.append(Event("gen_ai.evaluation.result", START, told))
    return Trace(trace_id, spans)


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def scenario(dataset: Dataset, at: int = 0) -> dict[str, Any]:
    return yaml.safe_load(dataset.cases()[at].scenario.read_text("utf-8"))


def one(tmp_path: Path, trace: Trace, **wish: Any) -> tuple[Dataset, dict[str, Any]]:
    dataset = Dataset(tmp_path / "golden")
    add(dataset, [trace], Wish(**wish))
    return dataset, scenario(dataset)


def test_what_happened_is_taken_to_be_right_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    trace = conversation("Where is order 4711?", "It comes on Friday.", tools={"find": {"day": "Friday"}})
    dataset, case = one(tmp_path, trace, why="asked every day")
    assert case["script"] == [{"says": "Where is order 4711?"}, {"hangs_up": True}]
    assert case["tools"] == {"find": {"returns": {"day": "Friday"}}}
    assert case["expect"] == [{"called": "find"}, {"said": {"contains": "It comes on Friday."}}]
    origin = dataset.cases()[0].origin
    assert origin["trace"] == trace.trace_id and origin["why"] == "asked every day"
    assert origin["verified"] is None and origin["expectations"] == "guessed from what happened"
    (again,) = read(dataset.cases()[0].trace)
    assert [span.name for span in again.spans] == [span.name for span in trace.spans]


def test_what_somebody_says_replaces_the_guess(tmp_path: Path) -> None:
    trace = conversation("Where is order 4711?", "No idea.", tools={"find": {}})
    dataset, case = one(
        tmp_path, trace, expect=[{"not_said": {"contains": "No idea"}}], tools=["find", "tell", "find"],
        answer="That it comes on Friday.", pins={"tell": {"returns": 1}}, by="Ann", agent="support",
    )  # fmt: skip
    assert case["expect"] == [
        {"not_said": {"contains": "No idea"}},
        {"called": "find", "times": 2},
        {"called": "tell", "after": "find"},
        {"said": "That it comes on Friday."},
    ]
    assert case["tools"]["tell"] == {"returns": 1} and case["agent"] == "support"
    assert dataset.cases()[0].verified == "Ann" and dataset.cases()[0].origin["expectations"] == "given"
    (loaded,) = load_scenarios([dataset.cases()[0].scenario])
    assert len(loaded.scenario.expect) == 4


def test_personal_data_and_secrets_never_get_in(tmp_path: Path) -> None:
    said = f"I am dana.whitfield@example.com, my key is {SECRET}, call +1 415 555 0132."
    trace = conversation(said, "Thank you, dana.whitfield@example.com.", tools={"mail": {"token": SECRET}})
    dataset = Dataset(tmp_path / "golden")
    redactor = Redactor(patterns={"customer": r"C-\d{4}"})
    add(dataset, [trace, conversation("Customer C-8831 here.", "Hello.")], Wish(), redactor)
    for file in (tmp_path / "golden").rglob("*"):
        if file.is_file():
            text = file.read_text("utf-8")
            assert "dana.whitfield" not in text and SECRET not in text and "8831" not in text, file
            assert "555 0132" not in text, file
    assert redactor.counts["email"] >= 2
    said = scenario(dataset, 1)["script"][0]["says"]
    assert "<email:a>" in said, (
        "the same person has the same placeholder, and no digits for an agent to trip over"
    )


def test_the_same_conversation_is_there_once(tmp_path: Path) -> None:
    """Though each redaction has a key of its own, and ids and times differ."""
    dataset = Dataset(tmp_path / "golden")
    trace = conversation("I am ann@example.com. Where is it?", "Here.")
    (first,) = add(dataset, [trace], Wish())
    other = conversation("I am ann@example.com. Where is it?", "Here.")
    other.trace_id = "f" * 32
    for span in other.spans:
        span.trace_id, span.start_ns = "f" * 32, span.start_ns + 10**12
    added = add(dataset, [other, trace], Wish())
    assert [each.is_new for each in added] == [False, False] and added[0].case == first.case
    assert len(dataset.versions()) == 1
    (third,) = add(dataset, [trace], Wish(expect=[{"said": {"contains": "Here"}}]))
    assert third.is_new, "another expectation is another case"


def test_who_is_told_first_in_a_trace_makes_no_other_case(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "golden")
    said = "I am ann@example.com, and ben@example.com pays."
    one, two = (conversation(said, "Fine.", tools={"find": {}}) for _ in range(2))
    one.spans[1].attributes["user.id"] = "ben@example.com"
    one.spans[1].start_ns -= 10
    assert [each.is_new for each in add(dataset, [one, two], Wish())] == [True, False]


def test_one_agent_in_many_dialects_is_one_case(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "golden")
    for name in (
        "openinference_openai",
        "otel_openai_v2",
        "traceai_openai_client",
        "vercel_ai",
        "langgraph_agent",
    ):
        added = add(dataset, read(TRACES / f"{name}.otlp.jsonl"), Wish(by="Ann"))
        assert sum(each.case is not None for each in added) == 3, name
    assert len(dataset.ids()) == 3
    load_scenarios([case.scenario for case in dataset.cases()])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection of real traces is not beside this checkout")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("01_jaeger_kagent_helm_run_a.json", 1),
        ("03_tempo_v1_batches_kagent.json", 1),
        ("05_langfuse_ui_pydantic_ai_tools.json", 1),
        ("07_vercel_ai_sdk_v6_spans.json", 4),
        ("08_taubench_airline_tasks1_5_x4trials.json", 8),
        ("11_livekit_1.8.9_native_fakes.otlp.jsonl", 1),
        ("12_pipecat_1.14.0_native_fakes.otlp.jsonl", 1),
    ],
)
def test_real_traces_become_cases(name: str, count: int, tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "golden")
    added = add(dataset, read(SHARED / name), Wish())
    assert len(dataset.ids()) == count == sum(each.is_new for each in added)
    dataset.check()
    assert len(load_scenarios([case.scenario for case in dataset.cases()])) == count
    for case in dataset.cases():
        assert scenario_of(case)["script"][0]["says"]
        assert read(case.trace)


def scenario_of(case: Any) -> dict[str, Any]:
    return yaml.safe_load(case.scenario.read_text("utf-8"))


def test_scores_are_kept_as_expectations(tmp_path: Path) -> None:
    scores = [("TrajectoryScore", 0.2, 0.8), ("PII", 1.0, None), ("Acme Quality", 3.0, 2.0)]
    trace = conversation("Hi.", "Hello.", scores=scores)
    dataset, case = one(tmp_path, trace, keep_scores=True, answer="Hello.")
    assert case["expect"] == [
        {"scores": {"TrajectoryScore": 0.8, "PII": 1.0}, "reference": {"answer": "Hello."}}
    ]
    assert [each["name"] for each in dataset.cases()[0].origin["scores"]] == [each[0] for each in scores]


@pytest.mark.parametrize("scores", [[], [("Acme Quality", 3.0, 2.0)]])
def test_scores_that_are_not_there_are_not_kept_in_silence(tmp_path: Path, scores: Any) -> None:
    with pytest.raises(InputError, match="carries no score to keep"):
        add(Dataset(tmp_path / "g"), [conversation("Hi.", "Hello.", scores=scores)], Wish(keep_scores=True))


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish(expect=[{"caled": "find"}]), 'did you mean "called"'),
        (Wish(expect=[{"said": {"contains": ""}, "called": "x"}]), "makes no scenario"),
        (Wish(pins={"find": {"returns": 1, "error": "x"}}), "makes no scenario"),
        (Wish(expect=[{"called": "find"}, {"not_called": "find"}]), "to be called and not to be called"),
        (Wish(tools=["find"], expect=[{"called": "find", "times": 0}]), "to be called and not to be called"),
    ],
)
def test_what_makes_no_case_is_refused_before_anything_is_written(
    tmp_path: Path, wish: Wish, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        add(Dataset(tmp_path / "golden"), [conversation("Hi.", "Hello.")], wish)
    assert not list(tmp_path.rglob("*.*"))


def test_two_cases_that_no_agent_can_both_pass_are_refused(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "golden")
    trace = conversation("Hi.", "Hello.")
    (first,) = add(dataset, [trace], Wish(expect=[{"called": "find"}]))
    with pytest.raises(InputError, match=f"find: .* which {first.case} says otherwise"):
        add(dataset, [trace], Wish(expect=[{"not_called": "find"}]))
    add(dataset, [conversation("Hi there.", "Hello.")], Wish(expect=[{"not_called": "find"}]))


def test_all_traces_of_a_file_become_cases_or_none(tmp_path: Path) -> None:
    dataset = Dataset(tmp_path / "golden")
    silent = conversation("Hi.", "Hello.")
    del silent.spans[0].attributes["gen_ai.input.messages"]
    with pytest.raises(NotReplayable, match=r"gen_ai\.input\.messages"):
        add(dataset, [conversation("Bye.", "Goodbye."), silent], Wish())
    assert not dataset.ids() and not dataset.log.exists()
    with pytest.raises(
        NotReplayable, match=f"1 of 2 traces lack.*\n.*{silent.trace_id}.*\n.*no input messages"
    ):
        add(dataset, [conversation("Bye.", "Goodbye."), silent], Wish())
    added = add(dataset, [conversation("So long.", "Goodbye."), silent], Wish(partial=True))
    assert [each.case is None for each in added] == [False, True], "with partial it is left out, and told"
    assert "the recording does not tell what the caller said" in added[1].notes[0]
    tool_only = Trace("e" * 32, [Span("e" * 32, "1" * 16, "GET /health", None, START, START + 1, {})])
    added = add(dataset, [tool_only, conversation("Bye.", "Goodbye.")], Wish())
    assert [each.case is None for each in added] == [False, True]
    assert "holds no model call" in added[1].notes[0]
    with pytest.raises(NotReplayable, match="no model call"):
        add(dataset, [tool_only], Wish())


def test_a_tool_that_would_run_for_real_is_named(tmp_path: Path) -> None:
    trace = conversation("Hi.", "Hello.", tools={"find": 1})
    (added,) = add(Dataset(tmp_path / "golden"), [trace], Wish(tools=["find", "pay"]))
    (note,) = added.notes
    assert note.startswith("pay is expected") and "--pin 'pay=" in note


def test_a_tool_that_the_agent_never_had_is_told(tmp_path: Path) -> None:
    trace = conversation("Hi.", "Hello.", tools={"find": 1})
    offered = [{"type": "function", "name": name} for name in ("find", "issue_refund", "cancel")]
    trace.spans[0].attributes["gen_ai.tool.definitions"] = _json(offered)
    (added,) = add(Dataset(tmp_path / "golden"), [trace], Wish(tools=["isue_refund"]))
    assert added.notes[1:] == [
        'the agent had no tool isue_refund in that trace; did you mean "issue_refund"?',
        "not pinned, so they run for real where the agent calls them: cancel, issue_refund",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "Fill {{name}} in.",
        "{{ {x}",
        "\\{{x}} \\\\{{y}}",
        "- a: list",
        "env:HOME",
        "line\n\ttwo",
        "\x1b[31mred \u202e",
        "true",
        "x" * 5000,
    ],
)
def test_whatever_was_said_is_said_again(tmp_path: Path, said: str) -> None:
    """A caller's words are no YAML, no hole of a template, no variable of the environment."""
    dataset, _ = one(tmp_path, conversation(said, "Fine, {{name}}.", tools={"find": {"{{key}}": said}}))
    (loaded,) = load_scenarios([dataset.cases()[0].scenario])
    assert loaded.scenario.script[0].says == said
    assert loaded.scenario.tools["find"].returns == {"{{key}}": said}


def test_a_case_that_cannot_fail_is_told(tmp_path: Path) -> None:
    """The agent broke before it said anything: there is nothing to take for right."""
    trace = conversation("Hi.")
    trace.spans[0].status = "error"
    trace.spans[0].attributes["error.type"] = "timeout"
    (added,) = add(Dataset(tmp_path / "golden"), [trace], Wish())
    assert "it cannot fail: give --expect" in added.notes[0]


def test_a_full_disk_leaves_the_dataset_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import simulate.model.whole_file as whole_file

    dataset = Dataset(tmp_path / "golden")
    add(dataset, [conversation("Hi.", "Hello.")], Wish())
    before = {path: path.read_bytes() for path in (tmp_path / "golden").rglob("*") if path.is_file()}
    write, room = whole_file._write, 4

    def full(path: Any, chunks: Any) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(28, "No space left on device")
        write(path, chunks)

    monkeypatch.setattr(whole_file, "_write", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        add(dataset, [conversation("Bye.", "Goodbye."), conversation("Thanks.", "Welcome.")], Wish())
    after = {path: path.read_bytes() for path in (tmp_path / "golden").rglob("*") if path.is_file()}
    assert after == before
    dataset.check()


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029\ufeff"))
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(-1e6, 1e6).map(lambda value: round(value, 9))
    | TEXT
    | st.sampled_from(["1e5", "0o17", "no", "12:30", "<<", "=", "~"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), DATA, min_size=1, max_size=4))
def test_what_is_written_is_read_the_same_by_the_strict_loader(data: dict[str, Any]) -> None:
    """PyYAML writes, our loader reads: they know different words for numbers and truth. Whole numbers of 19
    digits and more are ids to our loader, and become texts."""
    (document,) = read_documents(dump(data).encode(), "case.yaml")
    assert plain(document.value) == data
