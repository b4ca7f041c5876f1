"""What an evaluator is: a name, what it needs, and a score between 0 and 1 where 1 is good."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from simulate.errors import Fault, InputError
from simulate.load_object import own_traceback
from simulate.model.reference import ExpectedCall, Reference
from simulate.model.text import shorten
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.result import Part, Result
from simulate.scoring.evaluators.steps import context_of
from simulate.user_code import meant_for_us

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge


class NotRun(Exception):
    """Raised inside an evaluator that has nothing to score; says why."""


@dataclass(slots=True)
class Found:
    """What an evaluator came to. ``low`` and ``high`` are the values it would have if all that could not be
    decided were bad, or good."""

    value: float
    explanation: str
    label: str | None = None
    span_id: str | None = None
    evidence: list[str] = field(default_factory=list[str])
    parts: list[Part] = field(default_factory=list[Part])
    low: float | None = None
    high: float | None = None


class Requirement(Enum):
    """Something without which a score would be a guess; the value is a sentence for the documentation."""

    JUDGE = "a model as judge"
    ANSWER = "an answer of the agent, with content captured"
    QUESTION = "what the caller asked, with content captured"
    CONTEXT = "retrieved documents or tool results, with content"
    DOCUMENTS = "a retrieval span with its documents"
    TOOLS = "a trace that shows tool calls"
    EXPECTED_TOOLS = "reference: tools"
    EXPECTED_HANDOFFS = "reference: handoffs"
    GOAL = "reference: goal, or the caller's first words"

    def missing(self, material: EvaluationContext, judge: Judge | None) -> str | None:
        """Why it is not there; None where it is."""
        return _MISSING[self](material, judge)


def _no_answer(material: EvaluationContext, judge: Judge | None) -> str | None:
    return None if material.answers else material.no_answers_because


def _no_context(material: EvaluationContext, judge: Judge | None) -> str | None:
    if any(answer.context for answer in material.answers):
        return None
    return (
        f"{material.no_documents_because}, and no tool result is recorded: nothing to hold the answer against"
    )


_MISSING: dict[Requirement, Callable[[EvaluationContext, Judge | None], str | None]] = {
    Requirement.JUDGE: lambda _, judge: None if judge else "no model is configured to judge",
    Requirement.ANSWER: _no_answer,
    Requirement.QUESTION: lambda m, _: (
        None if any(one.asked for one in m.answers) else "nobody asked anything"
    ),
    Requirement.CONTEXT: _no_context,
    Requirement.DOCUMENTS: lambda m, _: None if m.retrievals else m.no_documents_because,
    Requirement.TOOLS: lambda m, _: m.no_tools_because,
    Requirement.EXPECTED_TOOLS: lambda m, _: (
        None if m.reference.tools is not None else "the reference names no tools"
    ),
    Requirement.EXPECTED_HANDOFFS: lambda m, _: (
        None if m.reference.handoffs is not None else "the reference names no handoffs"
    ),
    Requirement.GOAL: lambda m, _: None if m.goal else "neither a goal nor the caller's words are known",
}

NO_JUDGE_HINT = (
    "configure one under [tool.simulate.models] as `judge`, or set OPENAI_BASE_URL and OPENAI_API_KEY"
)

EVALUATORS: dict[str, type[Evaluator]] = {}
"""Every evaluator of this package by its name."""


class Evaluator:
    """Scores one trace. A subclass is known by its name, says what it ``needs``, and writes ``score``."""

    version: ClassVar[str] = "1"
    """Changes whenever the same trace could get another score."""
    threshold: ClassVar[float] = 0.5
    """The least value that passes where nobody says another."""
    needs: ClassVar[tuple[Requirement, ...]] = ()

    def __init_subclass__(cls) -> None:
        if cls.__module__.startswith("simulate.scoring.evaluators.") and not cls.__name__.startswith("_"):
            EVALUATORS[cls.__name__] = cls

    @property
    def name(self) -> str:
        """The class's own name; also `gen_ai.evaluation.name`."""
        return type(self).__name__

    @property
    def prompt(self) -> str | None:
        """The question's file, where a judge is asked one."""
        return None

    @classmethod
    def judged(cls) -> bool:
        """Whether it can only be scored by a judge."""
        return Requirement.JUDGE in cls.needs

    def installed(self) -> None:
        """Raises MissingExtra where a package that it needs is not there; called before all."""

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        """The value. Raises NotRun where there is nothing to score, and a Fault where the judge fails."""
        raise NotImplementedError

    def evaluate(
        self,
        trajectory: Iterable[Any] = (),
        *,
        expected_tool: str | ExpectedCall | Mapping[str, Any] | None = None,
        expected_tools: Sequence[str | ExpectedCall | Mapping[str, Any]] | None = None,
        user_input: str | None = None,
        final_output: str | None = None,
        documents: Sequence[str | Mapping[str, Any]] = (),
        reference: Reference | None = None,
        judge: Judge | None = None,
        threshold: float | None = None,
    ) -> Result:
        """Score the steps of an agent that runs now, where there is no trace yet.

        ``trajectory`` are its steps in order, each a tool's name, a mapping (or object) with ``name``,
        ``arguments`` and ``result``, or one of OpenAI's chat messages. ``expected_tool`` and
        ``expected_tools`` are the calls that are right, by name or with arguments; ``documents`` are the
        texts that were retrieved; ``reference`` holds whatever else is right. Works where an event loop
        runs, too, and blocks it until the judge has answered. A result that lacks something is ``not_run``,
        its ``value`` None. Raises InputError for a step that is none.

        >>> from simulate.evaluators import ToolSelectionAccuracy
        >>> steps = ["lookup_order", {"name": "issue_refund", "arguments": {"amount": 42.5}}]
        >>> ToolSelectionAccuracy().evaluate(steps, expected_tools=["lookup_order", "issue_refund"]).value
        1.0
        """
        expected = expected_tools if expected_tool is None else [expected_tool, *(expected_tools or ())]
        material = context_of(
            trajectory,
            reference=reference or Reference(),
            expected=expected,
            user_input=user_input,
            final_output=final_output,
            documents=documents,
        )
        return _now(self.result(material, judge, threshold))

    async def result(
        self, material: EvaluationContext, judge: Judge | None = None, threshold: float | None = None
    ) -> Result:
        """Score one trace; never raises for what the trace, the reference or the judge lacks."""
        least = self.threshold if threshold is None else threshold
        result = Result(self.name, self.version, "not_run", "", threshold=least)
        result.trace_id = material.trace.trace_id
        for need in self.needs:
            lacks = need.missing(material, judge)
            if lacks is not None:
                result.explanation = lacks
                result.hint = NO_JUDGE_HINT if need is Requirement.JUDGE else None
                return result
        try:
            found = await self.score(material, judge)
        except NotRun as nothing:
            result.explanation = str(nothing)
        except Fault as fault:
            result.status, result.side, result.explanation = "error", fault.side, fault.message
            result.hint, result.evidence = fault.hint, [] if fault.proof is None else [fault.proof]
            result.judge = None if judge is None else judge.model.config.model
        except BaseException as error:
            # what is wrong with a question's file is for whoever wrote it
            if meant_for_us(error) or isinstance(error, InputError):
                raise
            result.status, result.side = "error", "harness"
            result.explanation = f"{self.name} raised {type(error).__name__}: {error}"
            result.evidence = [own_traceback(error)]
        else:
            self._take(result, found, material, judge)
        return result

    def _take(self, result: Result, found: Found, material: EvaluationContext, judge: Judge | None) -> None:
        result.parts, result.evidence = found.parts, found.evidence
        result.span_id = found.span_id or material.last_span
        result.explanation, result.label = found.explanation, found.label
        if judge is not None and found.parts and self._asked(found):
            result.calls = sum(part.calls for part in found.parts)
            result.judge, result.prompt = judge.model.config.model, self.prompt
        low = found.value if found.low is None else found.low
        high = found.value if found.high is None else found.high
        if low < (result.threshold or 0.0) <= high:
            result.explanation = (
                f"what the judge could not decide decides it: between {low:.2f} and {high:.2f}; "
                + found.explanation
            )
            return
        result.status, result.value = "scored", min(1.0, max(0.0, found.value))

    def _asked(self, found: Found) -> bool:
        """Whether a judge had a part in it, be it by an earlier answer that was kept."""
        return self.judged()


def _now(scoring: Coroutine[Any, Any, Result]) -> Result:
    """Wait for a result; in a thread of its own where an event loop runs here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(scoring)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, scoring).result()


def describe(evaluator: type[Evaluator]) -> str:
    """Its docstring, dedented."""
    return inspect.getdoc(evaluator) or ""


def worst(parts: Sequence[Part]) -> str | None:
    """The span that lost most; the last of those that lost nothing."""
    known = [part for part in parts if part.span_id is not None and part.value is not None]
    if not known:
        return None
    least = min(part.value or 0.0 for part in known)
    if least >= 1.0:
        return known[-1].span_id
    return next(part.span_id for part in known if part.value == least)


def _shown(part: Part, lost: Sequence[Part]) -> list[str]:
    """What shows it: the words quoted, or, where nothing in the material speaks for a part that was lost,
    that part itself."""
    return part.evidence or ([part.what] if lost else [])


def share(parts: Sequence[Part], what: str, good: str) -> Found:
    """The mean value of the parts that count and could be decided. Raises NotRun where none could."""
    counting = [part for part in parts if part.counts]
    decided = [part.value for part in counting if part.value is not None]
    if not decided:
        reasons = "; ".join(dict.fromkeys(part.reason for part in counting if part.reason))
        raise NotRun(f"the judge could not decide any of {len(counting)} {what}: {shorten(reasons, 300)}")
    value = sum(decided) / len(decided)
    open_ = len(counting) - len(decided)
    full = sum(1 for one in decided if one >= 1.0)
    text = f"{full} of {len(decided)} {what} {good}"
    lost = [part for part in parts if part.value is not None and part.value < 1.0]
    if lost:
        first = min(lost, key=lambda part: part.value or 0.0)
        why = f": {first.reason}" if first.reason else ""
        text += f"; “{shorten(first.what)}” is {first.label or 'not'}{why}"
    if open_:
        text += f"; {open_} more could not be decided"
    return Found(
        value,
        text,
        span_id=worst(parts),
        evidence=list(dict.fromkeys(quote for part in (lost or counting) for quote in _shown(part, lost))),
        parts=list(parts),
        low=sum(decided) / len(counting),
        high=(sum(decided) + open_) / len(counting),
    )
