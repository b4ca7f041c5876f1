"""The runs of tools that TOOL spans tell of, each once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulate.model.shapes import is_object
from simulate.trace.reading.facts import Fact, Unknown
from simulate.trace.reading.hidden import hidden
from simulate.trace.reading.model_calls import ViewOf
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.parts import arguments_of
from simulate.trace.reading.tool_call import Arguments, same
from simulate.trace.reading.tool_name import ToolName, groups
from simulate.trace.reading.values import cut_off
from simulate.trace.span import Kind, Span, View

_PHASE = re.compile(
    r"[\W_](start|started|begin|success|succeeded|finish|finished|end|ended|complete|completed|error|failed)$"
)


CLOCKS_DIFFER_NS = 1_000_000
"""A call may seem to begin so much before its caller, by clocks that are as good as they get."""
NEAR = 8
"""Runs of one tool among which one is looked for that a span may tell once more."""
UNTOLD = Unknown("no span tells it")


@dataclass(slots=True, eq=False)
class Run:
    """One run of a tool, and the spans that tell of it, the outermost first."""

    name: ToolName
    spans: list[Span]
    call_id: str | None = None
    arguments: Arguments = UNTOLD
    result: Fact[Any] = UNTOLD
    error: str | None = None
    nameless: bool = False
    """Whether ``arguments`` are one value that was told without a name, as ``{"input": value}``."""
    strange_id: bool = False
    """Whether no model call asked by its id."""
    paused: bool = False
    """Whether it stopped to wait for somebody's answer."""
    shift_ns: int = 0
    """What to add to its times, where the clock of its service is wrong: it began before what called it."""

    @property
    def timed(self) -> bool:
        """Whether its span tells when it began."""
        return bool(self.spans[0].start_ns)

    @property
    def start_ns(self) -> int:
        """When it began."""
        return self.spans[0].start_ns + self.shift_ns

    @property
    def end_ns(self) -> int | None:
        """When it ended; None while it lasts."""
        first = self.spans[0].end_ns
        return None if first is None else max(span.end_ns or 0 for span in self.spans) + self.shift_ns


def tool_runs(spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf) -> list[Run]:
    """The runs in the order in which they began.

    Spans inside one another of one tool are one run (a client's and a server's of an MCP call), and so are
    those that two instrumentations wrote side by side, and those that tell of its start, success and end.
    """
    tools = [span for span in spans if view(span).kind is Kind.TOOL]
    above = Above(by_id, lambda span: view(span).kind in (Kind.TOOL, Kind.AGENT))
    by_span: dict[int, Run] = {}
    runs: list[Run] = []
    of_name: defaultdict[str, list[Run]] = defaultdict(list)
    group = groups(view(span).tool_name or span.name for span in tools)
    for span in _outer_first(tools, above):
        one = view(span)
        name = ToolName(one.tool_name or span.name)
        run = _outer_run(span, one, name, above, by_span) or _twin(
            span, one, of_name[group[name]][-NEAR:], by_id
        )
        if run is None:
            run = Run(name, [])
            runs.append(run)
            of_name[group[name]].append(run)
        by_span[id(span)] = run
        _tell(run, span, one)
    for run in runs:
        caller = by_id.get(run.spans[0].parent_id or "")
        if caller is not None and run.start_ns + CLOCKS_DIFFER_NS < caller.start_ns:
            run.shift_ns = caller.start_ns - run.start_ns
        _complete(run)
    return _resumed(sorted(runs, key=lambda run: run.start_ns))


def _resumed(runs: list[Run]) -> list[Run]:
    """The runs without those that were paused and run anew once somebody had answered: the later one tells
    of both."""
    if not any(run.paused for run in runs):
        return runs
    left: list[Run] = []
    taken: set[int] = set()
    for at, run in enumerate(runs):
        later = (one for one in runs[at + 1 :] if run.paused and id(one) not in taken)
        anew = next((one for one in later if one.name.matches(run.name) and _may_resume(run, one)), None)
        if anew is None:
            left.append(run)
        else:
            taken.add(id(anew))
            anew.spans += run.spans
    return left


def _may_resume(paused: Run, anew: Run) -> bool:
    both = (paused.arguments, anew.arguments)
    alike = any(isinstance(each, Unknown) for each in both) or both[0] == both[1]
    ids = {paused.call_id, anew.call_id} - {None}
    return alike and len(ids) < 2 and (paused.end_ns or 0) <= anew.start_ns


def _outer_first(tools: Sequence[Span], above: Above) -> list[Span]:
    """In the order in which they began, but each after those around it, whatever the clocks say."""
    waiting = {span.span_id: span for span in sorted(tools, key=lambda span: span.start_ns)}
    ordered: list[Span] = []
    while waiting:
        span = next(iter(waiting.values()))
        chain = [waiting.pop(span.span_id)]
        while (parent := above.of(chain[-1])) is not None and parent.span_id in waiting:
            chain.append(waiting.pop(parent.span_id))
        ordered += reversed(chain)
    return ordered


def _outer_run(
    span: Span, view: View, name: ToolName, above: Above, by_span: Mapping[int, Run]
) -> Run | None:
    """The run of the tool span around this one, where it is of the same tool."""
    parent = above.of(span)
    run = None if parent is None else by_span.get(id(parent))
    if run is None or not run.name.matches(name):
        return None
    return None if _runs_again(run, span, view) else run


def _runs_again(run: Run, span: Span, view: View) -> bool:
    """Whether a tool called itself: with other arguments, or since it had failed. Each of those spans tells
    its arguments, and is written by the same code."""
    outer = run.spans[-1]
    alike = (outer.name, outer.scope, outer.otel_kind) == (span.name, span.scope, span.otel_kind)
    if not alike or isinstance(run.arguments, Unknown) or view.tool_arguments is None:
        return False
    return view.error is not None or run.arguments != arguments_of(view.tool_arguments)


def _twin(span: Span, view: View, runs: Sequence[Run], by_id: Mapping[str, Span]) -> Run | None:
    """A run that a span beside this one tells of already: one of another instrumentation, or of an earlier
    phase. A span whose parent is not there may be beside any of its service."""
    phase = _phase(span) if runs else None
    for run in reversed(runs):
        last = run.spans[-1]
        if phase is None and last.scope == span.scope:
            continue
        if not run.name.matches(view.tool_name or span.name):
            continue
        if last.parent_id != span.parent_id:
            lost = span.parent_id not in by_id or last.parent_id not in by_id
            known = any(each.scope == span.scope for each in run.spans)
            if not lost or known or last.service != span.service:
                continue
        if last.scope != span.scope:
            inside = (span.end_ns or 0) <= (run.spans[0].end_ns or 0)
            if inside and _agree(run, view):
                return run
        elif _phase(last) not in (None, phase) and run.call_id == _id(view):
            return None if phase in ("start", "started", "begin") else run
    return None


def _agree(run: Run, view: View) -> bool:
    arguments = view.tool_arguments
    return (
        arguments is None or isinstance(run.arguments, Unknown) or run.arguments == arguments_of(arguments)
    ) and (run.call_id is None or _id(view) is None or run.call_id == _id(view))


def _phase(span: Span) -> str | None:
    found = _PHASE.search(span.name)
    return None if found is None else found[1]


def _id(view: View) -> str | None:
    return view.tool_call_id or None


def _tell(run: Run, span: Span, view: View) -> None:
    """What one more span says of a run."""
    run.spans.append(span)
    run.call_id = run.call_id or _id(view)
    if view.tool_arguments is not None:
        _tell_arguments(run, arguments_of(view.tool_arguments))
    if view.tool_result is not None and isinstance(run.result, Unknown):
        where = f"the span {span.span_id} ({span.name})"
        how = _illegible(view.tool_result)
        unread = Unknown(f"what {where} tells of its result is {how}", recorded=True)
        run.result = view.tool_result if how is None else unread
    run.error = run.error or view.error
    run.paused = (run.paused or view.paused is True) and isinstance(run.result, Unknown)


def _tell_arguments(run: Run, told: Any) -> None:
    """The outermost span's win, unless one inside it, nearer to the tool, gives one of them another value."""
    known = run.arguments
    how = _illegible(told)
    if how is not None:
        if isinstance(known, Unknown):
            span = run.spans[-1]
            why = f"what the span {span.span_id} ({span.name}) tells of its arguments is {how}"
            run.arguments = Unknown(why, recorded=True)
        return
    if not isinstance(known, Unknown) and known != {}:
        rewritten = is_object(told) and any(not same(told[key], known[key]) for key in told.keys() & known)
        if run.nameless or not rewritten:
            return
    run.nameless = not is_object(told)
    run.arguments = told if is_object(told) else {"input": told}


def _illegible(told: Any) -> str | None:
    """How a value was recorded that cannot be read; None where it can."""
    return "hidden" if hidden(told) else "cut off" if cut_off(told) else None


def _complete(run: Run) -> None:
    """Say of what nobody told which span should have."""
    where = f"the span {run.spans[0].span_id} ({run.spans[0].name})"
    if isinstance(run.arguments, Unknown) and not run.arguments.recorded:
        run.arguments = Unknown(f"{where} does not tell its arguments (gen_ai.tool.call.arguments)")
    if isinstance(run.result, Unknown) and not run.result.recorded:
        run.result = Unknown(f"{where} does not tell its result (gen_ai.tool.call.result)")
