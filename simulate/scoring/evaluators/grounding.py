"""Answers held against what the agent had at hand, and against what was asked; a judge reads each claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from simulate.model.text import shorten
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, Requirement, share
from simulate.scoring.evaluators.judged import ask, ask_all, counted, sentences, transcript
from simulate.scoring.evaluators.result import Part
from simulate.scoring.evaluators.transcript_of_trace import AgentAnswer
from simulate.scoring.judge.answer import says_nothing

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge


def _spoken(material: EvaluationContext) -> list[AgentAnswer]:
    """Answers that say something. Raises NotRun where there is none."""
    found = [one for one in material.answers if not says_nothing(one.text)]
    if not found:
        raise NotRun("the agent's answers say nothing: there is no claim to score")
    return found


class _ByClaim(Evaluator):
    """Cuts each answer into claims and asks about each."""

    question: ClassVar[str]
    good: ClassVar[str]

    @property
    def prompt(self) -> str | None:
        return self.question

    def material_of(self, answer: AgentAnswer, material: EvaluationContext) -> dict[str, Any] | None:
        """What a claim of this answer is held against; None where there is nothing."""
        raise NotImplementedError

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        assert judge is not None
        asked = [
            ask(
                judge,
                self.question,
                claim,
                {"the claim": claim, "the answer": answer.text, **beside},
                answer.span_id,
            )
            for answer in _spoken(material)
            if (beside := self.material_of(answer, material)) is not None
            for claim in sentences(answer.text)
        ]
        parts = counted(await ask_all(asked), "claim in the agent's answers")
        return share(parts, "claims", self.good)


class HallucinationScore(_ByClaim):
    """Whether the agent made things up.

    Formula: claims that are neither contradicted by what the agent was given nor made up / claims. A claim
    is a sentence of an answer that states something about this case; courtesies, questions and common
    knowledge are no claims. The idea is Phoenix' (1 is hallucinated there, 1 is good here) with deepeval's
    share in place of yes or no; unlike deepeval 4, which counts context items that the answer agrees with,
    it finds what was invented and stands nowhere.
    Range: 0 to 1, 1 is good: nothing was made up.
    Reads: the agent's answers, everything it was given before them: documents, tool results, what the
    caller said, the system prompt.
    Needs: a judge; answers with content captured.
    Costs: two calls of the judge a sentence, four where its two readings disagree; kept ones cost nothing.
    Not for: answers from the model's own knowledge (writing, general questions): nothing there backs them.
    """

    threshold: ClassVar[float] = 1.0
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.ANSWER)
    question: ClassVar[str] = "hallucination.v1"
    good: ClassVar[str] = "are backed by what the agent was given"

    def material_of(self, answer: AgentAnswer, material: EvaluationContext) -> dict[str, Any] | None:
        return {
            "documents and tool results": answer.context,
            "the conversation before": transcript(answer.before),
            "the agent's instructions": material.instructions,
        }


class Faithfulness(_ByClaim):
    """Whether every claim of the answers follows from the context that was found for them.

    Formula: supported claims / claims (RAGAS, Es et al. 2023). A claim is a sentence that states something;
    RAGAS lets a model cut the claims, here a rule does, so that the same answer always has the same ones. A
    claim that the context neither supports nor contradicts is not supported (it passes by default in
    deepeval).
    Range: 0 to 1, 1 is good.
    Reads: the agent's answers; documents of RETRIEVER or RERANKER spans and tool results before each
    answer.
    Needs: a judge; answers and context with content captured. An answer without a claim is not scored
    (RAGAS gives NaN, deepeval 1).
    Costs: two calls of the judge a sentence, four where its two readings disagree.
    Not for: an answer that rightly leans on what the caller said: `HallucinationScore` reads that too.
    """

    threshold: ClassVar[float] = 0.9
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.ANSWER, Requirement.CONTEXT)
    question: ClassVar[str] = "faithfulness.v1"
    good: ClassVar[str] = "are supported by the context"

    def material_of(self, answer: AgentAnswer, material: EvaluationContext) -> dict[str, Any] | None:
        return {"the context": answer.context} if answer.context else None


class AnswerRelevancy(_ByClaim):
    """Whether the answers speak to what was asked.

    Formula: relevant statements / statements (deepeval). A statement is a sentence; courtesies do not
    count. One that evades ("I cannot help with that") does not answer, and counts as irrelevant, as ragas'
    noncommittal answers do. ragas' own formula, the mean cosine of the question and three questions made
    from the answer, gave .3, .98 and 1 for one case (deepeval issue 1265 tells of it), so it is not used.
    Range: 0 to 1, 1 is good.
    Reads: the agent's answers, each with the caller's words before it.
    Needs: a judge; a question and an answer with content captured.
    Costs: two calls of the judge a sentence, four where its two readings disagree.
    Not for: correctness: a wrong answer to the question asked is relevant.
    """

    threshold: ClassVar[float] = 0.7
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.ANSWER, Requirement.QUESTION)
    question: ClassVar[str] = "answer_relevancy.v1"
    good: ClassVar[str] = "speak to what was asked"

    def material_of(self, answer: AgentAnswer, material: EvaluationContext) -> dict[str, Any] | None:
        if answer.asked is None:
            return None
        return {"what was asked": answer.asked, "the conversation before": transcript(answer.before[-10:])}


class Groundedness(Evaluator):
    """Whether the answers as a whole rest on the context.

    Formula: each answer is rated full (1), partial (0.5) or none (0), twice, with the options in opposite
    order; the mean over the answers that state something. It is ragas' "response groundedness" (two ratings
    of 0, 1, 2, mean / 2) with named labels. google-adk's share of sentences counts what needs no support as
    supported; here an answer without a claim is not scored.
    Range: 0 to 1, 1 is good.
    Reads: the agent's answers; documents of RETRIEVER or RERANKER spans and tool results before each.
    Needs: a judge; answers and context with content captured.
    Costs: two calls of the judge an answer, four where its two readings disagree: the cheaper sister of
    `Faithfulness`.
    Not for: finding which claim is wrong; `Faithfulness` names it.
    """

    threshold: ClassVar[float] = 0.8
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.ANSWER, Requirement.CONTEXT)

    @property
    def prompt(self) -> str | None:
        return "groundedness.v1"

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        assert judge is not None
        asked = [
            ask(
                judge,
                "groundedness.v1",
                shorten(answer.text),
                {"the answer": answer.text, "the context": answer.context},
                answer.span_id,
            )
            for answer in _spoken(material)
            if answer.context
        ]
        parts = counted(await ask_all(asked), "answer that states something")
        return share(parts, "answers", "rest on the context")


class ContextRelevance(Evaluator):
    """Whether what was retrieved bears on what was asked.

    Formula: each document is rated full (1), partial (0.5) or none (0), twice, with the options in opposite
    order; the mean over documents. ragas rates the whole context by two ratings of 0, 1, 2; deepeval takes
    the share of relevant statements. Of all of RAGAS' measures this one agreed least with people (.70, Es
    et al. 2023): do not gate on it alone.
    Range: 0 to 1, 1 is good.
    Reads: RETRIEVER or RERANKER spans: query and documents; the caller's words where a span has no query.
    Needs: a judge; a retrieval span with documents and their content.
    Costs: two calls of the judge a document, four where its two readings disagree.
    Not for: judging the answer.
    """

    threshold: ClassVar[float] = 0.5
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.DOCUMENTS)

    @property
    def prompt(self) -> str | None:
        return "context_relevance.v1"

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        assert judge is not None
        asked: list[Any] = []
        empty: list[Part] = []
        for search in material.retrievals:
            query = search.query or _asked_before(material, search.span.start_ns)
            if not query:
                raise NotRun("neither the retrieval span nor the conversation tells what was asked")
            for document in search.documents:
                content = str(document.get("content") or "")
                if not content:
                    raise NotRun("the retrieval spans do not hold the documents' content")
                if says_nothing(content):
                    empty.append(
                        Part(shorten(content), 0.0, "none", "it says nothing", span_id=search.span.span_id)
                    )
                    continue
                given = {"what was asked": query, "the document": content}
                asked.append(ask(judge, "context_relevance.v1", shorten(content), given, search.span.span_id))
        if not asked and not empty:
            raise NotRun("the searches found no document")
        parts = counted([*empty, *await ask_all(asked)], "document that could be rated")
        return share(parts, "documents", "bear on what was asked")


def _asked_before(material: EvaluationContext, moment: int) -> str | None:
    asked = [one for one in material.said if one.speaker == "caller"]
    before = [one for one in asked if (one.at_ns or 0) <= moment]
    return next((one.text for one in [*reversed(before), *asked]), None)


def without_content(documents: Sequence[dict[str, Any]]) -> bool:
    """Whether one of them does not tell its content."""
    return any(not str(one.get("content") or "").strip() for one in documents)
