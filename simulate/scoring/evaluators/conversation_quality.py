"""The conversation as a whole: did it reach its end, does it hang together, how was the caller served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, Requirement, share, worst
from simulate.scoring.evaluators.judged import ask, ask_all, counted, decided, transcript
from simulate.scoring.evaluators.result import Part
from simulate.scoring.evaluators.tool_use import need_arguments, pair, wrong
from simulate.scoring.evaluators.transcript_of_trace import shown
from simulate.scoring.judge.answer import says_nothing
from simulate.trace.reading import ToolCall, Unknown
from simulate.trace.reading.hidden import difference

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge


def deeds(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Tool calls as plain data, for a judge: what was done, as opposed to what was said."""
    return [{"turn": call.turn, **call.told()} for call in calls]


class TaskCompletion(Evaluator):
    """Whether the caller got what they came for: by what was done before what was said.

    Formula: all or nothing, as in τ²-bench. First, without a judge: every call of ``reference: tools`` was
    made with its arguments and did not fail, none of ``reference: forbidden`` was made, and the last result
    of each tool of ``reference: state`` is as stated; one that is not makes 0. Then, where a judge is
    configured, it reads goal, transcript and tool results and says ``completed`` (1), ``partly``, ``not
    completed``, ``refused`` or ``only claimed`` (0): said to be done with no deed that shows it. Without a
    judge, a reference with tools or state decides alone.
    Range: 0 or 1, 1 is good.
    Reads: the conversation; TOOL spans with arguments and results.
    Needs: a goal, and either a judge, or ``reference: tools`` or ``state``. With neither answers nor calls
    in the trace it is not run.
    Costs: nothing where the deeds decide it; else two calls of the judge, four where its two readings
    disagree.
    Not for: how it went; a rude agent that did the task completes it.
    """

    threshold: ClassVar[float] = 1.0
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.GOAL,)

    @property
    def prompt(self) -> str | None:
        return "task_completion.v1"

    def _asked(self, found: Found) -> bool:
        return any(part.what == "the goal" for part in found.parts)

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        parts = _deeds_done(material)
        failed = next((part for part in parts if not part.value), None)
        if failed is not None:
            text = f"{failed.what}: {failed.reason}"
            return Found(0.0, text, "not completed", worst(parts), material.calls_shown, parts)
        if judge is None:
            if not parts:
                raise NotRun(
                    "no model is configured to judge, and the reference names neither tools nor state"
                )
            return Found(
                1.0,
                f"all {len(parts)} deeds of the reference were done",
                "completed",
                worst(parts),
                [],
                parts,
            )
        if not material.answers and not material.tool_calls:
            raise NotRun(material.no_answers_because)
        blind = material.no_tools_because
        part = await ask(
            judge,
            "task_completion.v1",
            "the goal",
            {
                "the goal": material.goal,
                "the conversation": transcript(material.said),
                "what the agent did with its tools": deeds(material.tool_calls)
                or (f"unknown: {blind}" if blind else "it called no tool"),
            },
            material.last_span,
        )
        decided(part)
        return Found(
            part.value or 0.0, part.reason or "", part.label, part.span_id, part.evidence, [*parts, part]
        )


def _deeds_done(material: EvaluationContext) -> list[Part]:
    """One part for each thing that the reference wants done, or left undone."""
    reference, uses = material.reference, material.tool_calls
    if (reference.tools or reference.forbidden or reference.state) and material.no_tools_because:
        raise NotRun(material.no_tools_because)
    parts: list[Part] = []
    expected = reference.tools or []
    need_arguments(expected, uses)
    for one, use in zip(expected, pair(expected, uses), strict=True):
        what = shown(one.name, one.arguments)
        if use is None:
            parts.append(Part(what, 0.0, "missing", "it was never called", span_id=material.last_span))
            continue
        why = wrong(one, use) or (f"it failed: {use.error}" if use.error else None)
        parts.append(Part(what, float(why is None), "wrong" if why else "done", why, span_id=use.span_id))
    for name in reference.forbidden:
        use = next((use for use in uses if use.name.matches(name)), None)
        why = None if use is None else "it was called, and must not be"
        span_id = None if use is None else use.span_id
        parts.append(
            Part(f"no {name}", float(use is None), "done" if use else "left undone", why, span_id=span_id)
        )
    for name, wanted in reference.state.items():
        use = next((use for use in reversed(uses) if use.name.matches(name)), None)
        if use is not None and isinstance(use.result, Unknown):
            raise NotRun(use.result.why)
        why = f"{name} was never called" if use is None else difference(wanted, use.result)
        if isinstance(why, Unknown):
            raise NotRun(why.why)
        span_id = material.last_span if use is None else use.span_id
        parts.append(
            Part(
                f"the state that {name} shows",
                float(why is None),
                "wrong" if why else "right",
                why,
                span_id=span_id,
            )
        )
    return parts


class ConversationCoherence(Evaluator):
    """Whether each of the agent's turns fits what was said before.

    Formula: coherent turns / turns of the agent, each read with the ten utterances before it (deepeval's turn
    relevancy, window 10). A turn is not coherent when it contradicts what the agent said, forgets what the
    caller told, repeats a question that was answered, or speaks past the caller.
    Range: 0 to 1, 1 is good.
    Reads: the conversation: of a scenario's run, or as the model calls of the trace tell it.
    Needs: a judge; two turns of the agent at least, with content captured.
    Costs: two calls of the judge a turn, four where its two readings disagree.
    Not for: threads longer than ten utterances: what was said before them is not seen.
    """

    threshold: ClassVar[float] = 0.8
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.ANSWER)

    @property
    def prompt(self) -> str | None:
        return "coherence.v1"

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        assert judge is not None
        said = [one for one in material.said if not says_nothing(one.text)]
        turns = [(at, one) for at, one in enumerate(said) if one.speaker == "agent" and not one.told and at]
        if sum(1 for one in said if one.speaker == "agent") < 2 or not turns:
            raise NotRun("the agent spoke fewer than twice: nothing can hang together")
        asked = [
            ask(
                judge,
                "coherence.v1",
                one.text,
                {"the turn": one.text, "the conversation before": transcript(said[max(0, at - 10) : at])},
                one.span_id,
            )
            for at, one in turns
        ]
        return share(counted(await ask_all(asked), "turn to judge"), "turns", "fit what was said before")


class CustomerAgentConversationQuality(Evaluator):
    """How well the caller was served, as a person who listens in would say.

    Formula: very good 1, good 0.75, fair 0.5, poor 0.25, very poor 0 (Future AGI's five choices, with its
    values), each described by what the agent did and not by taste.
    Range: 0 to 1, 1 is good.
    Reads: the conversation and the tool calls.
    Needs: a judge; something said by both sides, with content captured.
    Costs: two calls of the judge a conversation, four where its two readings disagree.
    Not for: gating on small changes: one step on the scale is 0.25, and people differ by one step.
    """

    threshold: ClassVar[float] = 0.75
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.JUDGE, Requirement.ANSWER, Requirement.QUESTION)

    @property
    def prompt(self) -> str | None:
        return "quality.v1"

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        assert judge is not None
        if all(says_nothing(one.text) for one in material.answers):
            raise NotRun("the agent's answers say nothing: there is no conversation to judge")
        given = {
            "the conversation": transcript(material.said),
            "the agent's tool calls": deeds(material.tool_calls),
        }
        part = decided(await ask(judge, "quality.v1", "the conversation", given, material.last_span))
        return Found(part.value or 0.0, part.reason or "", part.label, part.span_id, part.evidence, [part])
