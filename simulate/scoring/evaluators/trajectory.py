"""The way that the agent took: against a known one, against waste and circles, and from agent to agent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from simulate.model.matchers import mismatch
from simulate.model.reference import ExpectedCall, ExpectedHandoff, Order
from simulate.model.text import folded
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, Requirement, worst
from simulate.scoring.evaluators.result import Part
from simulate.scoring.evaluators.tool_use import need_arguments, pair, wrong
from simulate.scoring.evaluators.transcript_of_trace import TraceUtterance, plain, shown
from simulate.scoring.writes import WriteTools, only_writes
from simulate.trace.reading import Handoff, ToolCall, Unknown
from simulate.trace.span import Kind


def _exact(expected: Sequence[ExpectedCall], uses: Sequence[ToolCall]) -> str | None:
    for at, one in enumerate(expected):
        if at >= len(uses):
            return f"step {at + 1}, {one.name}, never came"
        why = wrong(one, uses[at])
        if why is not None:
            return f"step {at + 1}, {shown(uses[at].name, uses[at].arguments)}: {why}"
    if len(uses) > len(expected):
        return f"{uses[len(expected)].name} came on top"
    return None


def _in_order(expected: Sequence[ExpectedCall], uses: Sequence[ToolCall]) -> str | None:
    rest = iter(uses)
    for at, one in enumerate(expected):
        if not any(wrong(one, use) is None for use in rest):
            before = f" after {expected[at - 1].name}" if at else ""
            return f"{_wanted(one)} did not come{before}"
    return None


def _any_order(expected: Sequence[ExpectedCall], uses: Sequence[ToolCall]) -> str | None:
    for one, use in zip(expected, pair(expected, uses), strict=True):
        if use is None or wrong(one, use) is not None:
            return f"{_wanted(one)} did not come"
    return None


def _subset(expected: Sequence[ExpectedCall], uses: Sequence[ToolCall]) -> str | None:
    """Each call is one of those expected, and none comes more often than expected."""
    free = list(expected)
    for use in uses:
        fits = next((one for one in free if wrong(one, use) is None), None)
        if fits is None:
            return f"{shown(use.name, use.arguments)} is not among what is allowed"
        free.remove(fits)
    return None


def _wanted(one: ExpectedCall) -> str:
    return one.name if one.arguments is None else shown(one.name, one.arguments)


_ORDERS: dict[Order, tuple[str, Callable[[Sequence[ExpectedCall], Sequence[ToolCall]], str | None]]] = {
    "exact": ("exactly these steps in this order", _exact),
    "in_order": ("these steps in this order, others between", _in_order),
    "any_order": ("these steps in any order, others between", _any_order),
    "superset": ("these steps in any order, others between", _any_order),
    "subset": ("none but these steps", _subset),
}


class TrajectoryScore(Evaluator):
    """Whether the agent went the way that is known to be right.

    Formula: 1 where the calls match ``reference: tools`` as ``reference: order`` says, else 0:
    ``exact``: these calls in this order and no other; ``in_order`` (the default): these in this order, others
    between; ``any_order``: these, in whatever order, others between (google-adk's EXACT, IN_ORDER and
    ANY_ORDER); ``superset``: the calls hold at least these, which is ``any_order`` by its other name;
    ``subset``: no call but these (agentevals); ``writes``: the successful writes are exactly these, in any
    order, and reads are ignored (τ-bench's end state, told by the deeds). ``reference: writes`` lists the
    tools that write; without it, ``@simulate.tool(write=True)`` and MCP's ``readOnlyHint`` tell. A call
    matches by its name, and by its arguments where the reference names some. ADK takes the mean over turns;
    here the trace is the unit.
    Range: 0 or 1, 1 is good.
    Reads: TOOL spans, and tool calls in the messages of LLM spans.
    Needs: a trace that shows tool calls; ``reference: tools``. An empty list allows no call at all.
    Costs: nothing.
    Not for: tasks with more than one good way. It fails every way but the one you wrote down.
    """

    threshold: ClassVar[float] = 1.0
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.EXPECTED_TOOLS, Requirement.TOOLS)

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        expected, uses = material.reference.tools or [], material.tool_calls
        order = material.reference.order
        if not expected and not uses:
            raise NotRun("no step is expected and none was made: there is nothing to score")
        if order == "writes":
            return self._writes(material, expected)
        need_arguments(expected, uses)
        # no way is right but to call nothing, in whatever order
        meaning, compare = _ORDERS[order] if expected else ("no call at all", _exact)
        problem = compare(expected, uses)
        walked = " → ".join(use.name for use in uses) or "no call at all"
        return Found(
            float(problem is None),
            f"{meaning}: {problem or 'so it was'}; it went {walked}",
            label=f"{order} {'match' if problem is None else 'mismatch'}",
            span_id=uses[-1].span_id if uses else None,
            evidence=material.calls_shown,
        )

    def _writes(self, material: EvaluationContext, expected: Sequence[ExpectedCall]) -> Found:
        tools = WriteTools(material.reference.writes, material.reading, [one.name for one in expected])
        found = only_writes(material.tool_calls, expected, tools, hidden=material.no_tools_because)
        if found.right is None:
            raise NotRun(found.fact)
        return Found(
            float(found.right),
            f"exactly these writes, reads ignored: {found.fact}",
            label=f"writes {'match' if found.right else 'mismatch'}",
            span_id=None if found.call is None else found.call.span_id,
            evidence=material.calls_shown,
        )


class StepEfficiency(Evaluator):
    """How much of what the agent did was needed.

    Formula: with ``reference: tools``: min(1, expected calls / calls), the first term of
    agent-learning-kit's. Without: 1 − repeated / calls, where a call is repeated that has the name, the
    arguments and the result of an earlier one with no other call but repeated ones since. Only tool calls
    count: asking the caller to confirm is not a wasted step (deepeval's judge takes it for one).
    Range: 0 to 1, 1 is good. A way that is too short is not efficient but wrong: `TrajectoryScore` says so.
    Reads: TOOL spans, and tool calls in messages.
    Needs: a trace that shows tool calls, and at least one call.
    Costs: nothing.
    Not for: comparing tasks of different length; compare one task over releases.
    """

    threshold: ClassVar[float] = 0.8
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.TOOLS,)

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        uses = material.tool_calls
        if not uses:
            raise NotRun("the agent called no tool: there are no steps to count")
        expected = material.reference.tools
        if expected:
            value = min(1.0, len(expected) / len(uses))
            text = f"{len(uses)} calls where {len(expected)} are enough"
            return Found(value, text, span_id=uses[-1].span_id)
        parts: list[Part] = []
        since: set[str] = set()
        for use in uses:
            key = _key(use)
            again = key in since
            if again and (lacks := _untold(use)) is not None:
                raise NotRun(f"whether a call repeats the one before cannot be told: {lacks.why}")
            since = since if again else {key}
            label = "repeated" if again else "new"
            parts.append(Part(shown(use.name, use.arguments), float(not again), label, span_id=use.span_id))
        repeated = [part for part in parts if not part.value]
        text = f"{len(repeated)} of {len(uses)} calls repeat the one before and got the same result"
        return Found(
            1 - len(repeated) / len(uses),
            text,
            span_id=worst(parts),
            evidence=[part.what for part in repeated[:10]],
            parts=parts,
        )


def _key(use: ToolCall) -> str:
    """A call and what came of it: polling that brings something new is not a repetition."""
    return plain([str(use.name), _opaque(use.arguments), _opaque(use.result), use.error])


def _untold(use: ToolCall) -> Unknown | None:
    """What nobody recorded of a call, so that another could be equal to it or not."""
    facts = (use.arguments,) if use.error is not None else (use.arguments, use.result)
    return next((fact for fact in facts if isinstance(fact, Unknown)), None)


def _opaque(fact: Any) -> Any:
    """A fact as a part of a key; what nobody told is equal to itself."""
    return "(unknown)" if isinstance(fact, Unknown) else fact


@dataclass(slots=True)
class _Step:
    key: str
    source: ToolCall | Handoff | TraceUtterance
    failed: bool = False

    @property
    def what(self) -> str:
        """For people."""
        match self.source:
            case ToolCall():
                return shown(self.source.name, self.source.arguments)
            case Handoff():
                return f"handoff to {self.source.to}"
            case _:
                return f"“{self.source.text[:80]}”"

    @property
    def untold(self) -> Unknown | None:
        """What nobody recorded of it."""
        return _untold(self.source) if isinstance(self.source, ToolCall) else None

    @property
    def span_id(self) -> str | None:
        """Where it happened."""
        return self.source.span.span_id if isinstance(self.source, Handoff) else self.source.span_id


class LoopDetection(Evaluator):
    """Whether the agent went round in circles.

    Formula: 1 − steps of the longest circle after its first two rounds / all steps. Steps are tool calls with
    arguments and results, handoffs, and what the agent said (without case and white space), in the order of
    time. A circle is one to four steps that come three times or more in a row, none of which brought anything
    new. deepeval's metric of 0.40 equal calls, 0.35 equal texts and 0.25 repeated spans was the model; unlike
    it, a poll whose result changes is not a circle, and two retries of a call that failed are not either.
    Range: 0 to 1, 1 is good: no circle.
    Reads: TOOL and HANDOFF spans, the agent's answers.
    Needs: at least three such steps; fewer cannot be a circle.
    Costs: nothing.
    Not for: agents that say the same on purpose ("Anything else?"): one sentence between breaks the circle.
    """

    threshold: ClassVar[float] = 1.0

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        steps = _steps(material)
        if len(steps) < 3:
            why = material.no_tools_because
            raise NotRun(f"{len(steps)} steps are too few to be a circle" + (f"; {why}" if why else ""))
        start, length, rounds = _longest_circle([step.key for step in steps])
        if rounds and length == 1 and rounds == 3 and steps[start].failed:
            rounds = 0  # a call and two retries
        circle_steps = steps[start : start + length * rounds] if rounds else []
        lacks = next((step.untold for step in circle_steps if step.untold is not None), None)
        if lacks is not None:
            raise NotRun(f"whether the agent goes round in a circle cannot be told: {lacks.why}")
        if not rounds:
            return Found(1.0, f"no circle in {len(steps)} steps")
        wasted = length * (rounds - 2)
        again = steps[start + 2 * length]
        circle = " → ".join(step.what for step in steps[start : start + length])
        return Found(
            1 - wasted / len(steps),
            f"{circle} came {rounds} times in a row, {wasted} of {len(steps)} steps for nothing",
            label="loop",
            span_id=again.span_id,
            evidence=[step.what for step in steps[start : start + length]],
        )


def _steps(material: EvaluationContext) -> list[_Step]:
    timed: list[tuple[int, _Step]] = []
    for use in material.tool_calls:
        at = material.origin + int((use.start or 0.0) * 1e9)
        timed.append((at, _Step(_key(use), use, use.error is not None)))
    timed += [
        (one.span.start_ns, _Step(plain(["handoff", one.from_, one.to, one.payload]), one))
        for one in material.handoffs
    ]
    for said in material.said:
        if said.speaker == "agent" and not said.told:
            text = folded(said.text)
            timed.append((said.at_ns or 0, _Step(f"said {text}", said)))
    return [step for _, step in sorted(timed, key=lambda one: one[0])]


def _longest_circle(keys: Sequence[str]) -> tuple[int, int, int]:
    """Start, length and rounds of the circle with the most steps; rounds 0 where there is none."""
    best = (0, 0, 0)
    for length in range(1, 5):
        at = run = 0
        while at + length < len(keys):
            run = run + 1 if keys[at] == keys[at + length] else 0
            rounds = run // length + 1
            if rounds >= 3 and rounds * length > best[1] * best[2]:
                best = (at - run + 1, length, rounds)
            at += 1
    return best


class HandoffCorrectness(Evaluator):
    """Whether the conversation was handed to the right agent, with what that agent needs to go on.

    Formula: right handoffs / the greater of expected and made. A handoff is right, in order, when it goes
    to the expected agent, comes from the expected one, and its payload holds what the reference wants
    (matched partially, as arguments are). No public definition is common; agent-learning-kit's, by target,
    reason, task and context keys, is the nearest.
    Range: 0 to 1, 1 is good.
    Reads: HANDOFF spans: source agent, target agent, payload; where there is none, the names of AGENT spans
    in the order of their starts, each new name a handoff without payload.
    Needs: ``reference: handoffs``. Not run where no handoff is expected and none was made, where no span
    names an agent, and where a payload is expected that the spans do not tell.
    Costs: nothing.
    Not for: agents that call each other as tools; those are calls, for `ToolSelectionAccuracy`.
    """

    threshold: ClassVar[float] = 1.0
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.EXPECTED_HANDOFFS,)

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        expected = material.reference.handoffs or []
        made = material.handoffs or _by_names(material)
        if not expected and not made:
            raise NotRun("no handoff is expected and none was made: there is nothing to score")
        if any(one.payload for one in expected) and any(one.payload is None for one in made):
            raise NotRun("a payload is expected, and the trace's handoffs do not tell theirs")
        parts = [
            _judged_handoff(one, made[at] if at < len(made) else None) for at, one in enumerate(expected)
        ]
        parts += [
            Part(f"to {one.to}", 0.0, "extra", "nobody expected it", span_id=one.span.span_id)
            for one in made[len(expected) :]
        ]
        right = sum(1 for part in parts if part.value)
        first = next((part for part in parts if not part.value), None)
        text = f"{right} of {len(parts)} handoffs are right"
        if first is not None:
            text += f"; {first.what}: {first.reason}"
        evidence = [f"{one.from_ or '?'} → {one.to}" for one in made]
        return Found(right / len(parts), text, span_id=worst(parts), evidence=evidence, parts=parts)


def _by_names(material: EvaluationContext) -> list[Handoff]:
    """Handoffs as the names of the agents at work tell them. Raises NotRun where none is named."""
    named = [
        (span, name)
        for span in sorted(material.trace.spans, key=lambda span: span.start_ns)
        if (view := material.reading.view(span)).kind is Kind.AGENT and (name := view.agent_name)
    ]
    if not named:
        raise NotRun("the trace has no HANDOFF span, and no AGENT span that names its agent")
    return [
        Handoff(span, name, before, None)
        for (_, before), (span, name) in itertools.pairwise(named)
        if name != before
    ]


def _judged_handoff(expected: ExpectedHandoff, made: Handoff | None) -> Part:
    what = f"to {expected.to}"
    if made is None:
        return Part(what, 0.0, "missing", "it was never made")
    why = None
    if made.to != expected.to:
        why = f"it went to {made.to}"
    elif expected.from_ is not None and made.from_ != expected.from_:
        why = f"it came from {made.from_ or 'an agent that the span does not name'}"
    elif expected.payload:
        why = mismatch(expected.payload, made.payload)
    return Part(what, float(why is None), "wrong" if why else "right", why, span_id=made.span.span_id)
