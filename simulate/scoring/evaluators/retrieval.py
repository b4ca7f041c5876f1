"""What was retrieved held against what is relevant: by ids where they are known, else by a judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from simulate.model.text import shorten
from simulate.scoring.evaluators.evaluation_context import EvaluationContext, Retrieval
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, Requirement, share, worst
from simulate.scoring.evaluators.grounding import without_content
from simulate.scoring.evaluators.judged import ask, ask_all, counted, sentences
from simulate.scoring.evaluators.result import Part

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge

UNKNOWN = "neither relevant document ids nor a right answer are known: give reference: documents, or answer"
NO_JUDGE = "relevant document ids are not known, and no model is configured to judge instead"


def average_precision(relevant: Sequence[float]) -> float | None:
    """Σ P@k·rel_k / Σ rel_k over ranks k from 1; None where nothing is relevant."""
    hits = total = 0.0
    for rank, one in enumerate(relevant, 1):
        if one >= 1.0:
            hits += 1
            total += hits / rank
    return total / hits if hits else None


def _ids(search: Retrieval) -> list[str]:
    return [str(one["id"]) for one in search.documents if one.get("id") is not None]


def _need_ids(searches: Sequence[Retrieval]) -> None:
    if any(len(_ids(search)) < len(search.documents) for search in searches):
        raise NotRun("the retrieval spans do not tell the ids of all documents")


class ContextPrecision(Evaluator):
    """Whether the relevant documents stand at the top of what was retrieved.

    Formula: average precision, Σ P@k·rel_k / Σ rel_k over the ranks of one search, the mean over searches
    (ragas' and deepeval's contextual precision); 0 for a search that found nothing relevant. With
    ``reference: documents`` relevance is by id and no judge is asked (ragas' id-based form is plain
    precision, without ranks: its values are lower when the relevant ones lead). Without, a judge says of
    each document whether it helps to come to ``reference: answer``, or to the agent's own answer where no
    right one is known.
    Range: 0 to 1, 1 is good.
    Reads: RETRIEVER spans in their ranks, or RERANKER spans where there are some.
    Needs: a retrieval span with documents; ids and ``reference: documents``, or content and a judge.
    Costs: nothing by ids; else two calls of the judge a document, four where its two readings disagree.
    Not for: sets without an order, such as a search by filter.
    """

    threshold: ClassVar[float] = 0.7
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.DOCUMENTS,)

    @property
    def prompt(self) -> str | None:
        return "context_precision.v1"

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        searches = [search for search in material.retrievals if search.documents]
        if not searches:
            raise NotRun("the searches found no document: there is no rank to score")
        wanted = material.reference.documents
        if wanted is not None:
            _need_ids(searches)
            rows = [[_by_id(one, search, set(wanted)) for one in _ids(search)] for search in searches]
        else:
            rows = await self._by_judge(material, searches, judge)
        parts = [part for row in rows for part in row]
        bounds = [
            sum(average_precision([_known(part, open_) for part in row]) or 0.0 for row in rows) / len(rows)
            for open_ in (0.0, 1.0)
        ]
        good = sum(1 for part in parts if part.value)
        first = next((at for at, part in enumerate(rows[0], 1) if part.value), None)
        place = "none of them first" if first is None else f"the first at rank {first}"
        undecided = sum(1 for part in parts if part.value is None)
        text = f"{good} of {len(parts)} documents are relevant, {place}"
        if undecided:
            text += f"; {undecided} could not be decided"
        evidence = [quote for part in parts for quote in part.evidence] or [part.what for part in parts[:10]]
        return Found(
            bounds[0], text, span_id=worst(parts), evidence=evidence, parts=parts,
            low=min(bounds), high=max(bounds),
        )  # fmt: skip

    def _asked(self, found: Found) -> bool:
        return any(part.label in ("useful", "useless") for part in found.parts)

    async def _by_judge(
        self, material: EvaluationContext, searches: Sequence[Retrieval], judge: Judge | None
    ) -> list[list[Part]]:
        answer = material.reference.answer or (material.answers[-1].text if material.answers else None)
        if answer is None:
            raise NotRun(UNKNOWN)
        if judge is None:
            raise NotRun(NO_JUDGE)
        if any(without_content(search.documents) for search in searches):
            raise NotRun("the retrieval spans do not hold the documents' content")
        rows: list[list[Part]] = []
        for search in searches:
            asked = [
                ask(
                    judge,
                    "context_precision.v1",
                    shorten(str(one["content"])),
                    {"what was asked": search.query or material.goal, "the answer": answer,
                     "the document": str(one["content"])},
                    search.span.span_id,
                )
                for one in search.documents
            ]  # fmt: skip
            rows.append(await ask_all(asked))
        return rows


def _by_id(one: str, search: Retrieval, wanted: set[str]) -> Part:
    good = one in wanted
    return Part(one, float(good), "relevant" if good else "not relevant", span_id=search.span.span_id)


def _known(part: Part, otherwise: float) -> float:
    return otherwise if part.value is None else part.value


class ContextRecall(Evaluator):
    """Whether everything that is needed was retrieved.

    Formula: with ``reference: documents``: relevant documents found by any search / relevant documents.
    Without: claims of ``reference: answer`` that the documents support / its claims (ragas and deepeval).
    Range: 0 to 1, 1 is good.
    Reads: RETRIEVER spans, or RERANKER spans where there are some: their documents together.
    Needs: a retrieval span; ids and ``reference: documents``, or content, ``reference: answer`` and a
    judge.
    Costs: nothing by ids; else two calls of the judge a sentence of the right answer, four where its two
    readings disagree.
    Not for: telling whether the agent used what it found: `Faithfulness` does.
    """

    threshold: ClassVar[float] = 0.8
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.DOCUMENTS,)

    @property
    def prompt(self) -> str | None:
        return "context_recall.v1"

    def _asked(self, found: Found) -> bool:
        return any(part.label not in ("found", "not found") for part in found.parts)

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        reference = material.reference
        if reference.documents is not None:
            return self._by_ids(material, reference.documents)
        if reference.answer is None:
            raise NotRun(UNKNOWN)
        if judge is None:
            raise NotRun(NO_JUDGE)
        documents = [one for search in material.retrievals for one in search.documents]
        if without_content(documents):
            raise NotRun("the retrieval spans do not hold the documents' content")
        texts = [str(one["content"]) for one in documents]
        span_id = material.retrievals[-1].span.span_id
        claims = sentences(reference.answer)
        if not texts:
            parts = [
                Part(claim, 0.0, "not found", "the searches found nothing", span_id=span_id)
                for claim in claims
            ]
        else:
            given = {"the documents": texts}
            asked = [
                ask(judge, "context_recall.v1", one, {"the claim": one, **given}, span_id) for one in claims
            ]
            parts = counted(await ask_all(asked), "claim in the right answer")
        return share(parts, "claims of the right answer", "stand in the documents")

    def _by_ids(self, material: EvaluationContext, wanted: Sequence[str]) -> Found:
        if not wanted:
            raise NotRun("the reference names no relevant document: recall has no value")
        _need_ids(material.retrievals)
        where = {one: search.span.span_id for search in reversed(material.retrievals) for one in _ids(search)}
        last = material.retrievals[-1].span.span_id
        parts = [
            Part(
                one,
                float(one in where),
                "found" if one in where else "not found",
                span_id=where.get(one, last),
            )
            for one in wanted
        ]
        lost = [part.what for part in parts if not part.value]
        text = f"{len(wanted) - len(lost)} of {len(wanted)} relevant documents were found"
        text += f"; not {', '.join(lost[:10])}" if lost else ""
        value = 1 - len(lost) / len(wanted)
        return Found(value, text, span_id=worst(parts), evidence=list(where)[:20], parts=parts)
