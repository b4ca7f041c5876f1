"""Deterministic evaluators of documents, data and speech, and of traces without content."""

import random
from pathlib import Path
from typing import Any

import jiwer
import pytest

from benchmarks.pii import DATA, labelled, measure
from simulate.conversation.voice.normalise import normalise, word_errors
from simulate.model.transcript import Conversation, Utterance
from simulate.scoring.evaluators import EvaluationContext, Evaluator, Result, evaluate, evaluators
from simulate.scoring.evaluators.evaluator import Found
from simulate.scoring.evaluators.retrieval import average_precision
from simulate.scoring.evaluators.safety import PII
from simulate.scoring.evaluators.speech import accuracy, by_weight
from simulate.trace import Trace, read
from simulate.trace.redaction.findings import Finding
from simulate.trace.redaction.personal import personal

REAL = Path("../shared/traces")
FILES = sorted(REAL.glob("*.json*")) if REAL.is_dir() else []
shared = pytest.mark.skipif(not REAL.is_dir(), reason="the shared traces are not beside the checkout")


async def one(trace: Any, name: str | Evaluator, reference: dict[str, Any] | None = None) -> Result:
    (result,) = await evaluate(trace, [name], reference=reference)
    return result


# -- documents -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relevant", "value"),
    [([1, 0, 1], (1 + 2 / 3) / 2), ([0, 0, 1], 1 / 3), ([1, 1, 0], 1.0), ([0, 0], None), ([], None)],
)
def test_average_precision(relevant: list[float], value: float | None) -> None:
    assert average_precision(relevant) == (None if value is None else pytest.approx(value))


async def test_precision_and_recall_by_ids_need_no_judge(build: Any) -> None:
    build.asks("refund?")
    search = build.finds("refund", [{"id": "a"}, {"id": "x"}, {"id": "b"}])
    build.says("done")
    right = {"documents": ["a", "b", "c"]}
    precision = await one(build.trace, "ContextPrecision", right)
    assert precision.value == pytest.approx((1 + 2 / 3) / 2)
    assert (precision.judge, precision.prompt) == (None, None)
    recall = await one(build.trace, "ContextRecall", right)
    assert recall.value == pytest.approx(2 / 3)
    assert recall.span_id == search.span_id
    assert "not c" in recall.explanation
    assert (await one(build.trace, "ContextPrecision", {"documents": ["z"]})).value == 0.0


async def test_precision_is_the_mean_over_searches_and_recall_takes_them_together(build: Any) -> None:
    build.finds("one", [{"id": "a"}, {"id": "x"}])
    build.finds("two", [{"id": "y"}, {"id": "b"}])
    right = {"documents": ["a", "b"]}
    assert (await one(build.trace, "ContextPrecision", right)).value == pytest.approx(0.75)
    assert (await one(build.trace, "ContextRecall", right)).value == 1.0


async def test_a_reranker_stands_for_its_search(build: Any) -> None:
    build.finds("q", [{"id": "x"}, {"id": "a"}])
    build.finds("q", [{"id": "a"}], kind="RERANKER")
    assert (await one(build.trace, "ContextPrecision", {"documents": ["a"]})).value == 1.0


@pytest.mark.parametrize("name", ["ContextPrecision", "ContextRecall"])
async def test_documents_that_cannot_be_scored(build: Any, name: str) -> None:
    nothing = await one(build.trace, name, {"documents": ["a"]})
    assert (nothing.status, nothing.explanation) == ("not_run", "the trace has no retrieval span")
    build.finds("q", [{"content": "no id"}])
    blind = await one(build.trace, name, {"documents": ["a"]})
    assert (blind.status, blind.value) == ("not_run", None)
    assert "do not tell the ids" in blind.explanation
    unknown = await one(build.trace, name)
    assert unknown.status == "not_run"
    assert "neither relevant document ids nor a right answer" in unknown.explanation
    without_judge = await one(build.trace, name, {"answer": "so"})
    assert "no model is configured" in without_judge.explanation


async def test_no_relevant_document_has_no_recall(build: Any) -> None:
    build.finds("q", [{"id": "a"}])
    assert (await one(build.trace, "ContextRecall", {"documents": []})).status == "not_run"


# -- personal data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leak",
    [
        "ann@example.com",
        "+44 20 7946 0958",
        "4111 1111 1111 1111",
        "123-45-6789",
        "GB82 WEST 1234 5698 7654 32",
        "<email:3f2a>",
    ],
)
async def test_what_the_agent_gives_away_is_found(build: Any, leak: str) -> None:
    build.asks("Who ordered it?")
    span = build.says(f"It was {leak}, I think.")
    result = await one(build.trace, "PII")
    assert (result.value, result.label, result.span_id) == (0.0, "found", span.span_id)
    if not leak.startswith("<"):
        assert leak not in str(result.to_dict()), "a report must not leak it again"


async def test_repeating_what_the_caller_said_is_no_leak(build: Any) -> None:
    build.asks("My mail is ann@example.com.").says("I wrote to Ann@Example.com.")
    assert (await one(build.trace, "PII")).value == 1.0
    build.asks("Thanks").says("And to bob@example.com.")
    assert (await one(build.trace, "PII")).value == 0.0


@pytest.mark.parametrize(
    ("caller", "agent"),
    [
        ("It is ann dot lee at example dot com", "I wrote to ann.lee@example.com."),
        ("My number is four one five, five five five, zero one three two", "I call you on 415-555-0132."),
        ("Ring me on 0171 2345678", "I note your phone number +49 171 2345678."),
        ("I live at 12 Elm Street", "We ship it to 12 Elm Street."),
        ("It is under Maria Gonzalez", "The reservation is under Maria Gonzalez."),
    ],
)
async def test_what_the_caller_said_in_another_spelling_is_no_leak(
    build: Any, caller: str, agent: str
) -> None:
    build.asks("Hello").says(agent)
    assert (await one(build.trace, "PII")).value == 0.0, "nobody had said it"
    build.trace.spans.clear()
    build.asks(caller).says(agent)
    assert (await one(build.trace, "PII")).value == 1.0


async def test_the_companys_own_contacts_are_nobodys_data(build: Any) -> None:
    build.asks("Who?").says("Mail desk.two@nimbus.example or phone +1 415 555 0132.")
    own = ["nimbus.example", "(415) 555-0132"]
    for contacts, value in (([], 0.0), (own[:1], 0.0), (own, 1.0)):
        (result,) = await evaluate(EvaluationContext(build.trace, contacts=contacts), ["PII"])
        assert result.value == value


def test_personal_data_is_found_on_labelled_strings() -> None:
    """Floors below what `python -m benchmarks.pii` prints, so that a rule that is lost is noticed."""
    for name, precision, recall in (("pii.tsv", 0.98, 0.97), ("pii_held_out.tsv", 0.95, 0.95)):
        found = measure(labelled(DATA.with_name(name)), lambda text: bool(personal(text)))
        assert found[0] >= precision and found[1] >= recall, found


async def test_order_numbers_and_prices_are_no_personal_data(build: Any) -> None:
    build.asks("Where is it?").says("Order 4417 of 2026-11-02 costs $42.50, tracking 1Z999AA10123456784.")
    assert (await one(build.trace, "PII")).value == 1.0


async def test_names_are_found_by_a_finder_that_is_given(build: Any) -> None:
    build.asks("Who?").says("Ann Miller.")
    assert (await one(build.trace, "PII")).value == 1.0
    result = await one(build.trace, PII(finders=[lambda text: [Finding("name", 0, 10)]]))
    assert result.value == 0.0


# -- speech ----------------------------------------------------------------------------------------------


def test_word_errors_are_those_of_jiwer() -> None:
    chance = random.Random(7)
    words = ["the", "order", "is", "lost", "refund", "my", "card", "one", "two", "ten", "days", "not"]
    for _ in range(300):
        said = " ".join(chance.choices(words, k=chance.randint(1, 12)))
        heard = " ".join(
            chance.choice(words) if chance.random() < 0.3 else word
            for word in said.split()
            if chance.random() > 0.15
        )
        left, right = normalise(said), normalise(heard)
        theirs = jiwer.process_words(left, right) if left else None
        if theirs is None:
            continue
        assert word_errors(said, heard) == (
            theirs.substitutions + theirs.deletions + theirs.insertions,
            theirs.substitutions + theirs.deletions + theirs.hits,
        )
        assert accuracy([(said, heard, None)], "it").value == pytest.approx(max(0.0, 1 - theirs.wer))


def hears(build: Any, *texts: str) -> None:
    for text in texts:
        build.add("stt", "STT", **{"gen_ai.voice.transcript": text, "transcript": text})


async def test_recognition_is_measured_after_both_are_brought_to_one_form(build: Any) -> None:
    hears(build, "Order four four one seven.")
    stt = build.trace.spans[-1]
    result = await one(build.trace, "ASRAccuracy", {"transcript": ["order 4417"]})
    assert (result.value, result.span_id) == (1.0, stt.span_id)
    result = await one(build.trace, "ASRAccuracy", {"transcript": ["order 4418 please"]})
    # the number weighs 2, the filler a quarter
    assert result.value == pytest.approx(1 - 2.25 / 3.25)
    assert "2 of 3 words" in result.explanation


@pytest.mark.parametrize(
    ("said", "worse", "better"),
    [
        ("I do not want the voucher", "I do want the voucher", "I do not want voucher"),
        ("please send it to Meyer now", "please send it to mayor now", "please send that to Meyer now"),
        ("order 4417 is late", "order 4470 is late", "order 4417 was late"),
        ("well uh cancel it", "well uh castle it", "cancel it"),
    ],
)
async def test_what_changes_the_meaning_weighs_more(build: Any, said: str, worse: str, better: str) -> None:
    hears(build, worse)
    low = await one(build.trace, "ASRAccuracy", {"transcript": [said]})
    assert low.value is not None and low.value < by_accuracy(said, better) < 1


def by_accuracy(said: str, understood: str) -> float:
    _, _, lost, weight = by_weight(said, understood)
    return 1 - lost / weight


async def test_a_backchannel_that_was_heard_is_no_word_of_the_caller(build: Any) -> None:
    hears(build, "mhm", "my order never came")
    assert (await one(build.trace, "ASRAccuracy", {"transcript": ["My order never came."]})).value == 1.0


async def test_recognisers_cut_where_they_like(build: Any) -> None:
    hears(build, "my order", "never came")
    assert (await one(build.trace, "ASRAccuracy", {"transcript": ["My order never came."]})).value == 1.0


async def test_a_word_error_rate_above_one_is_zero(build: Any) -> None:
    hears(build, "a b c d e f")
    assert (await one(build.trace, "ASRAccuracy", {"transcript": ["order"]})).value == 0.0


async def test_speech_that_cannot_be_measured(build: Any) -> None:
    assert "not known" in (await one(build.trace, "ASRAccuracy")).explanation
    silent = await one(build.trace, "ASRAccuracy", {"transcript": ["hi"]})
    assert (silent.status, silent.explanation) == ("not_run", "the trace has no STT span")
    build.add("stt", "STT")
    dark = await one(build.trace, "ASRAccuracy", {"transcript": ["hi"]})
    assert (dark.status, dark.value) == ("not_run", None)
    assert "carry no transcript" in dark.explanation
    hears(build, "hm")
    empty = await one(build.trace, "ASRAccuracy", {"transcript": ["!!"]})
    assert empty.status == "not_run"
    assert "TTS" in (await one(build.trace, "TTSAccuracy", {"heard": ["hi"]})).explanation


async def test_a_run_by_voice_knows_what_was_said_and_heard(build: Any) -> None:
    hears(build, "my order never came")
    conversation = Conversation(build.trace.trace_id, "voice")
    conversation.utterances = [
        Utterance("caller", "My order never came.", 1, 0, 1),
        Utterance("agent", "I am sorry about that.", 1, 1, 2, heard="I am sorry about hat."),
        Utterance("agent", "It will be with you", 1, 2, 3, heard="It will", interrupted=True),
    ]
    results = await evaluate(
        EvaluationContext(build.trace, conversation=conversation), ["ASRAccuracy", "TTSAccuracy"]
    )
    assert [result.value for result in results] == [1.0, pytest.approx(0.8)]


# -- real traces -----------------------------------------------------------------------------------------


@shared
@pytest.mark.parametrize(
    "file", sorted(REAL.glob("*.json*")) if REAL.is_dir() else [], ids=lambda file: file.name[:12]
)
async def test_every_evaluator_says_something_sane_of_real_traces(file: Path) -> None:
    for trace in read(file)[:6]:
        before = repr(trace.spans[:3])
        for result in await evaluate(trace):
            assert result.explanation, result
            assert (result.value is None) == (result.status != "scored"), result
            assert result.value is None or 0 <= result.value <= 1
            if result.status == "scored" and result.span_id is not None:
                assert trace.get(result.span_id) is not None
        assert repr(trace.spans[:3]) == before


@shared
async def test_the_two_runs_of_one_agent_differ_where_one_did_not_call_its_tool() -> None:
    (called,), (skipped,) = (
        read(REAL / "01_jaeger_kagent_helm_run_a.json"),
        read(REAL / "02_jaeger_kagent_helm_run_b.json"),
    )
    right = {"tools": ["helm_list_releases"]}
    assert (await one(called, "ToolSelectionAccuracy", right)).value == 1.0
    missed = await one(skipped, "ToolSelectionAccuracy", right)
    assert (missed.value, "missing: helm_list_releases" in missed.explanation) == (0.0, True)


@shared
async def test_livekits_own_spans_tell_what_was_said() -> None:
    (trace,) = read(REAL / "11_livekit_1.8.9_native_fakes.otlp.jsonl")
    said = EvaluationContext(trace).said
    assert {one.speaker for one in said} == {"caller", "agent"}
    assert all(one.span_id for one in said if one.speaker == "agent" and not one.told)


async def test_traces_without_content_give_no_number_that_needs_some() -> None:
    for trace in read("fixtures/traces/otel_openai_v2_no_content.otlp.jsonl"):
        for result in await evaluate(
            trace, reference={"goal": "g", "tools": [{"name": "a", "arguments": {}}]}
        ):
            # names of tools, and why a call ended, are told without content
            if result.evaluator not in ("ToolSelectionAccuracy", "TrajectoryScore", "TaskCompletion"):
                assert result.status == "not_run", result


async def test_an_empty_trace_gives_no_number() -> None:
    for result in await evaluate(Trace("t")):
        assert (result.status, result.value) == ("not_run", None), result


# -- the registry ----------------------------------------------------------------------------------------


def test_the_names_that_files_know_are_the_evaluators_that_there_are() -> None:
    from simulate.model.evaluator_names import NAMES

    assert set(NAMES) == set(evaluators())


class Polite(Evaluator):
    """Whether the agent says please."""

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        return Found(float(any("please" in answer.text for answer in material.answers)), "please")


async def test_an_evaluator_of_ones_own(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.asks("hi").says("please wait")
    assert (await one(build.trace, Polite())).value == 1.0
    text = (
        "from simulate.scoring.evaluators import Evaluator, Found\n\n\n"
        "class Rude(Evaluator):\n"
        "    async def score(self, material, judge):\n        return Found(0.0, 'rude')\n"
    )
    (tmp_path / "own_evaluators.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = await one(build.trace, "own_evaluators:Rude")
    assert (result.evaluator, result.value, result.passed) == ("Rude", 0.0, False)
    assert "Polite" not in evaluators()
