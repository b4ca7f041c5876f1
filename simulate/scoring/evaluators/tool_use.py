"""What the agent called, held against what it should have called: no judge needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from simulate.model.reference import ExpectedCall
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator, Found, NotRun, Requirement, share, worst
from simulate.scoring.evaluators.judged import ask, ask_all, counted, transcript
from simulate.scoring.evaluators.result import Part
from simulate.scoring.evaluators.transcript_of_trace import said_before, shown
from simulate.scoring.judge.question import CANNOT_TELL
from simulate.trace.reading import Fact, ToolCall, Unknown
from simulate.trace.reading.hidden import difference

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge

_JUDGED = frozenset({"correct", "incorrect", "made up", "nothing to judge", CANNOT_TELL})
"""Labels that only a judge gives, be it by an answer that was kept."""


def wrong(expected: ExpectedCall, use: ToolCall) -> str | None:
    """Why a call is not the one expected; None if it is."""
    if not use.name.matches(expected.name):
        return f"it is {use.name}, not {expected.name}"
    found = _wrong_arguments(expected, use)
    return f"its arguments are not in the trace: {found.why}" if isinstance(found, Unknown) else found


def _wrong_arguments(expected: ExpectedCall, use: ToolCall) -> Fact[str | None]:
    if expected.arguments is None or not use.name.matches(expected.name):
        return None
    if isinstance(use.arguments, Unknown):
        return use.arguments
    return difference(expected.arguments, use.arguments)


def need_arguments(expected: Sequence[ExpectedCall], uses: Sequence[ToolCall]) -> None:
    """Refuse to guess where arguments are expected and the trace holds none."""
    dark = [
        use.name for use in uses if any(isinstance(_wrong_arguments(one, use), Unknown) for one in expected)
    ]
    if dark:
        raise NotRun(f"the trace does not tell the arguments of {', '.join(dict.fromkeys(dark))}")


def pair(expected: Sequence[ExpectedCall], uses: Sequence[ToolCall]) -> list[ToolCall | None]:
    """For each expected call the call of that tool that fits it, or else one that is left over, each used
    once."""
    free = list(uses)
    chosen: list[ToolCall | None] = [None] * len(expected)
    for exact in (True, False):
        for at, one in enumerate(expected):
            if chosen[at] is not None:
                continue
            fits = (use for use in free if (wrong(one, use) is None if exact else use.name.matches(one.name)))
            chosen[at] = next(fits, None)
            if chosen[at] is not None:
                free = [use for use in free if use is not chosen[at]]
    return chosen


def tally(names: Sequence[str]) -> Counter[str]:
    """How often each tool is named."""
    return Counter(names)


class ToolSelectionAccuracy(Evaluator):
    """Whether the agent called the right tools: no less, and no more.

    Formula: F1 = 2·hits / (expected + called), over tool names with their counts; order and arguments do
    not count here. It is ragas' ``ToolCallF1`` on names instead of (name, arguments), since arguments have
    an evaluator of their own (`ArgumentCorrectness`).
    Range: 0 to 1, 1 is good.
    Reads: TOOL spans, and tool calls in the messages of LLM spans, each call once.
    Needs: a trace that shows tool calls; ``reference: tools``. In a scenario the ``called:`` expectations
    are taken where the reference names none. Not run where no call is expected and none was made.
    Costs: nothing.
    Not for: tasks that several sets of tools solve equally well; there use `TaskCompletion`. deepeval's
    metric of this name does not count extra calls, so its values are higher where there are some.
    """

    threshold: ClassVar[float] = 1.0
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.EXPECTED_TOOLS, Requirement.TOOLS)

    async def score(self, material: EvaluationContext, judge: object) -> Found:
        expected, uses = material.reference.tools or [], material.tool_calls
        if not expected and not uses:
            raise NotRun("no call is expected and none was made: there is nothing to score")
        free = list(uses)
        parts: list[Part] = []
        for one in expected:
            use = next((use for use in free if use.name.matches(one.name)), None)
            if use is None:
                parts.append(Part(one.name, 0.0, "missing", "it was never called, or not often enough"))
            else:
                free.remove(use)
                parts.append(Part(one.name, 1.0, "called", span_id=use.span_id))
        hits = sum(1 for part in parts if part.value)
        parts += [Part(use.name, 0.0, "extra", "nobody expected it", span_id=use.span_id) for use in free]
        value = 2 * hits / (len(expected) + len(uses))
        return Found(value, _told(parts), span_id=worst(parts), evidence=material.calls_shown, parts=parts)


def _told(parts: Sequence[Part]) -> str:
    said: list[str] = []
    for label in ("missing", "extra"):
        names = tally([part.what for part in parts if part.label == label])
        if names:
            said.append(f"{label}: " + ", ".join(f"{n} ×{c}" if c > 1 else n for n, c in names.items()))
    return "; ".join(said) or "the tools expected were called, and no other"


class ArgumentCorrectness(Evaluator):
    """Whether the calls were made with the right arguments.

    Formula: with a reference, right calls / expected calls that name arguments and whose tool was called. A
    call is right when every expected argument is there and equal, or fits its matcher (``{about: 42.5,
    within: 0.01}``); further arguments are allowed, ``{exactly: …}`` forbids them (agentevals' "superset" and
    "exact" modes). Numbers are not compared as texts, as ragas does: ``4417`` is not ``"4417"``. Without a
    reference that names arguments, a judge reads each call beside what was said and returned before it
    (deepeval's meaning of the name): ``correct`` (1), ``incorrect`` (0), ``made up`` (0); calls without
    arguments are left out, not counted as correct (deepeval counts no calls as 1).
    Range: 0 to 1, 1 is good.
    Reads: arguments of TOOL spans, or of tool calls in messages; for the judge what was said, what tools
    returned before, and the agent's instructions.
    Needs: a trace that shows tool calls with arguments; ``reference: tools`` with ``arguments``, or a judge.
    Not run where none of these tools was called: that is `ToolSelectionAccuracy`'s to say.
    Costs: nothing with a reference; else two calls of the judge a tool call, four where its two readings
    disagree.
    Not for: free text in arguments; match it with ``{contains: …}``, or leave it out.
    """

    version: ClassVar[str] = "2"
    threshold: ClassVar[float] = 1.0
    needs: ClassVar[tuple[Requirement, ...]] = (Requirement.TOOLS,)

    @property
    def prompt(self) -> str | None:
        return "argument_correctness.v1"

    def _asked(self, found: Found) -> bool:
        return any(part.label in _JUDGED for part in found.parts)

    async def score(self, material: EvaluationContext, judge: Judge | None) -> Found:
        expected = [one for one in material.reference.tools or [] if one.arguments is not None]
        if expected:
            return self._by_reference(material, expected)
        if judge is None:
            raise NotRun("the reference names no arguments, and no model is configured to judge")
        dark = [use.name for use in material.tool_calls if isinstance(use.arguments, Unknown)]
        if dark:
            raise NotRun(f"the trace does not tell the arguments of {', '.join(dict.fromkeys(dark))}")
        uses = [use for use in material.tool_calls if use.arguments != {}]
        if not uses:
            raise NotRun("no call with arguments was made: there is nothing to score")
        asked = [self._ask(material, use, judge) for use in uses]
        return share(counted(await ask_all(asked), "argument to judge"), "calls", "have the right arguments")

    async def _ask(self, material: EvaluationContext, use: ToolCall, judge: Judge) -> Part:
        before = material.tool_calls[: material.tool_calls.index(use)]
        given = {
            "the call": {"tool": str(use.name), "arguments": use.arguments},
            "the conversation before": transcript(said_before(material.said, use, material.origin)),
            "what tools returned before": [
                {key: value for key, value in one.told().items() if key in ("tool", "result")}
                for one in before
            ],
            "the agent's instructions": material.instructions,
        }
        return await ask(judge, "argument_correctness.v1", shown(use.name, use.arguments), given, use.span_id)

    def _by_reference(self, material: EvaluationContext, expected: Sequence[ExpectedCall]) -> Found:
        need_arguments(expected, material.tool_calls)
        parts: list[Part] = []
        for one, use in zip(expected, pair(expected, material.tool_calls), strict=True):
            if use is None:
                continue
            why = wrong(one, use)
            what = shown(use.name, use.arguments)
            label = "right" if why is None else "wrong"
            parts.append(Part(what, float(why is None), label, why, span_id=use.span_id))
        if not parts:
            names = ", ".join(dict.fromkeys(one.name for one in expected))
            raise NotRun(f"none of the calls whose arguments are known to the reference was made: {names}")
        right = sum(1 for part in parts if part.value)
        first = next((part for part in parts if not part.value), None)
        text = f"{right} of {len(parts)} calls have the right arguments"
        if first is not None:
            text += f"; {first.what}: {first.reason}"
        return Found(
            right / len(parts),
            text,
            span_id=worst(parts),
            evidence=[part.what for part in parts if not part.value] or [part.what for part in parts],
            parts=parts,
        )
