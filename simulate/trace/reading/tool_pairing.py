"""The tool calls of a trace: what was asked for, what ran and what was answered, put together.

Pairing is local. A call id is armed by a request and consumed by its answer, since ids repeat: some models
give one to all calls, some the tool's name, some none. Two spans of a tool side by side are two calls,
whatever their ids. Arguments help to choose among several, and never forbid.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from simulate.trace.reading.facts import Unknown
from simulate.trace.reading.model_calls import ModelCall, ViewOf
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.parts import Part
from simulate.trace.reading.positional import named_arguments
from simulate.trace.reading.tool_call import Answered, Arguments, Asked, Ran, ToolCall, same
from simulate.trace.reading.tool_history import (
    History,
    RepeatedRequest,
    answered,
    arguments_asked,
    call_id_of,
    first_waiting,
)
from simulate.trace.reading.tool_name import ToolName, flat, groups
from simulate.trace.reading.tool_runs import Run, tool_runs
from simulate.trace.span import Kind, Span

HANDOFF = re.compile(r"transfer|hand_?(off|over)|delegate", re.IGNORECASE)
"""Names of the tools by which frameworks let a model hand over to another agent."""
NEAR = 8
"""Model calls, and messages, within which a call that only a later history tells is looked for."""
RECENT = 256
"""Requests still without a run that are looked at to find that of one run."""


@dataclass(slots=True, eq=False)
class _Request:
    """One part of a model's answer that asks for a tool."""

    name: ToolName
    call_id: str | None
    arguments: Arguments
    span: Span
    round: int
    """The place of its model call among all."""
    run: Run | None = None
    answer: Answered | None = None
    """What a later model call was told that the tool answered."""
    passed_over: bool = False
    """Whether a later model call was told that it was asked for, and no answer."""


def tool_calls(
    spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf, models: Sequence[ModelCall]
) -> list[ToolCall]:
    """The agent's tool calls in the order in which they began, each once. Times are seconds since the first
    span began."""
    origin = min((span.start_ns for span in spans if span.start_ns), default=0)
    runs = tool_runs(spans, by_id, view)
    requests = _Requests(models)
    _pair(requests.all, runs)
    asked_for = {id(request.run) for request in requests.all}
    group = groups([*(request.name for request in requests.all), *(run.name for run in runs)])
    seen_run = {group[run.name] for run in runs if not run.paused}
    agents = Above(by_id, lambda span: view(span).kind is Kind.AGENT)
    calls: list[ToolCall] = []
    hands_over = any(view(span).kind is Kind.HANDOFF for span in spans)
    for request in requests.all:
        if hands_over and request.run is None and HANDOFF.match(request.name.bare):
            continue  # a HANDOFF span tells it
        call = _call(request, request.run, origin)
        call.passed_over = request.passed_over or group[request.name] in seen_run
        call.agent = _agent(agents.of(request.span), view)
        calls.append(call)
    for run in runs:
        if id(run) not in asked_for:
            call = _call(None, run, origin)
            call.agent = _agent(agents.of(run.spans[0]), view)
            calls.append(call)
    return sorted(calls, key=lambda call: call.start if call.start is not None else 0.0)


def _agent(span: Span | None, view: ViewOf) -> str | None:
    return None if span is None else view(span).agent_name


# -- requests and their answers --------------------------------------------------------------------------


class _Requests:
    """All that the models asked for, each with the answer that a later call was told."""

    def __init__(self, models: Sequence[ModelCall]) -> None:
        self.all: list[_Request] = []
        self._by_name: defaultdict[str, list[_Request]] = defaultdict(list)
        self._by_id: defaultdict[str, list[_Request]] = defaultdict(list)
        for place, (span, view) in enumerate(models):
            told = History(view.input or ())
            self._resolve(told, models, place)
            for asked in History(view.output or ()).asked:
                request = self._add(asked.part, span, place)
                if request is not None and asked.answer is not None:  # the provider ran it
                    request.answer = answered(asked.answer, span)

    def _add(self, part: Part, span: Span, place: int) -> _Request | None:
        if part.get("name") is None or part.get("runs") is False:
            return None  # the latter is an answer in the shape of a call
        name = ToolName(str(part["name"]))
        request = _Request(name, call_id_of(part), arguments_asked(part.get("arguments")), span, place)
        self.all.append(request)
        self._by_name[flat(name.bare)].append(request)
        if request.call_id is not None:
            self._by_id[request.call_id].append(request)
        return request

    def _resolve(self, history: History, models: Sequence[ModelCall], place: int) -> None:
        """Give the requests made so far the answers that this history tells, its last ones first."""
        unused: dict[str, int] = {}
        for asked in reversed(history.asked):
            request = self._of(asked, unused)
            if request is None:
                request = self._asked_before(asked, models, place)
            if request is None or request.answer is not None:
                continue
            if asked.answer is not None:
                request.answer = answered(asked.answer, models[place][0])
            elif history.went_on_after(asked):
                request.passed_over = True
        for part in history.answers:
            request = self._waiting_for(part)
            if request is not None:
                request.answer = answered(part, models[place][0])

    def _waiting_for(self, part: Part) -> _Request | None:
        """The request that an answer belongs to whose history does not repeat it: the provider keeps it. By
        id the last one, else by name or order of those that were made last."""
        call_id, name = call_id_of(part), part.get("name")
        if call_id is not None:
            found = self._by_id.get(call_id, [])
            return next((one for one in reversed(found) if one.answer is None), None)
        last = self.all[-1].round if self.all else None
        waiting = [one for one in self.all[-RECENT:] if one.round == last and one.answer is None]
        return first_waiting(waiting, name)

    def _of(self, asked: RepeatedRequest, unused: dict[str, int]) -> _Request | None:
        """The request that this part of a history repeats: the last one of its tool that is not taken by a
        later part, of the same id where ids tell."""
        tool = flat(asked.name.bare)
        made = self._by_name.get(tool, [])
        last = unused.get(tool, len(made))
        place = next((at for at in range(last - 1, -1, -1) if _fits(made[at], asked)), None)
        if place is None:
            return None
        unused[tool] = place
        return made[place]

    def _asked_before(
        self, asked: RepeatedRequest, models: Sequence[ModelCall], place: int
    ) -> _Request | None:
        """A request that only this later history tells, since the answer of the call before was not recorded.

        What a model was told of a past before this trace is none."""
        for earlier in range(place - 1, max(-1, place - 1 - NEAR), -1):
            span, view = models[earlier]
            if not view.input or not len(view.input) <= asked.at < len(view.input) + NEAR:
                continue
            told = any(message.tool_calls or message.text for message in view.output or ())
            if not told and view.input[-1].parts == asked.messages[len(view.input) - 1].parts:
                return self._add(asked.part, span, earlier)
        return None


def _fits(request: _Request, asked: RepeatedRequest) -> bool:
    """Whether they may be one: some APIs tell two ids of one call (``fc_…`` and ``call_…``)."""
    if request.call_id is None or asked.call_id is None or request.call_id == asked.call_id:
        return True
    return request.call_id[:2] != asked.call_id[:2] and request.arguments == asked.arguments


# -- requests and runs -----------------------------------------------------------------------------------


def _pair(requests: Sequence[_Request], runs: Sequence[Run]) -> None:
    """Find for each run the request that it came of, the surest first."""
    asked_ids = {request.call_id for request in requests}
    group = groups([*(request.name for request in requests), *(run.name for run in runs)])
    by_name: defaultdict[str, tuple[list[_Request], list[Run]]] = defaultdict(lambda: ([], []))
    for request in requests:
        by_name[group[request.name]][0].append(request)
    for run in runs:
        run.strange_id = run.call_id not in asked_ids
        by_name[group[run.name]][1].append(run)
    for asked, ran in by_name.values():
        asked.sort(key=lambda request: request.span.start_ns)
        for fits in (_same_id_and_arguments, _same_id, _same_arguments, _ids_allow):
            asked, ran = _matched(asked, ran, fits)
        for run in ran:
            _match_by_broken_clocks(run, asked)


def _match_by_broken_clocks(run: Run, requests: Sequence[_Request]) -> None:
    """Match a run whose time says nothing about requests: it is unknown, another service's, or wrong by its
    caller."""
    others = [
        one
        for one in requests[-RECENT:]
        if one.run is None and (run.shift_ns or not run.timed or one.span.service != run.spans[0].service)
    ]
    for fits in (_same_id, _same_arguments, _ids_allow):
        request = next((one for one in others if _fitting(one, run, fits)), None)
        if request is not None:
            request.run = run
            if run.timed:
                run.shift_ns += max(0, (request.span.end_ns or request.span.start_ns) - run.start_ns)
            return


Fits = Callable[[_Request, Run], bool]


def _matched(requests: list[_Request], runs: list[Run], fits: Fits) -> tuple[list[_Request], list[Run]]:
    """Match each run with a request of the last model call before it, there the first in order; what is left
    of both."""
    armed: list[_Request] = []
    left: list[Run] = []
    at = 0
    for run in runs:
        while at < len(requests) and requests[at].span.start_ns <= run.start_ns:
            armed.append(requests[at])
            at += 1
        chosen: _Request | None = None
        for request in reversed(armed[-RECENT:]):
            if chosen is not None and request.round != chosen.round:
                break
            chosen = request if _fitting(request, run, fits) else chosen
        if chosen is None:
            left.append(run)
        else:
            chosen.run = run
            armed.remove(chosen)
    return [request for request in requests if request.run is None], left


def _fitting(request: _Request, run: Run, fits: Fits) -> bool:
    return request.name.matches(run.name) and fits(request, run)


def _same_id(request: _Request, run: Run) -> bool:
    return request.call_id is not None and request.call_id == run.call_id


def _same_id_and_arguments(request: _Request, run: Run) -> bool:
    return _same_id(request, run) and request.arguments == run.arguments


def _ids_allow(request: _Request, run: Run) -> bool:
    """Ids decide where both tell one, and of one kind: a run whose id nobody asked by has another."""
    return request.call_id is None or run.call_id is None or run.strange_id


def _same_arguments(request: _Request, run: Run) -> bool:
    same = request.arguments == run.arguments or _only_value(request.arguments, run)
    return same and _ids_allow(request, run)


def _only_value(asked: Arguments, run: Run) -> bool:
    """Whether a run that tells one value tells that of the one argument asked for."""
    if isinstance(asked, Unknown) or isinstance(run.arguments, Unknown) or len(asked) != 1:
        return False
    return run.arguments.keys() == {"input"} and same(run.arguments["input"], next(iter(asked.values())))


# -- calls -----------------------------------------------------------------------------------------------


def _call(request: _Request | None, run: Run | None, origin: int) -> ToolCall:
    name = cast("Run", run).name if request is None else request.name
    call = ToolCall(name, None if request is None else request.call_id)
    if request is not None:
        end = request.span.start_ns if request.span.end_ns is None else request.span.end_ns
        call.asked = Asked(request.arguments, request.span.span_id, (end - origin) / 1e9)
        if request.answer is not None:
            call.answered = replace(request.answer)
    if run is not None:
        call.name = run.name
        call.call_id = call.call_id or run.call_id
        end_ns = run.end_ns
        if run.paused:
            return _paused(call, run, origin)
        call.ran = Ran(
            run.arguments,
            [span.span_id for span in run.spans],
            (run.start_ns - origin) / 1e9 if run.timed else None,
            (end_ns - origin) / 1e9 if end_ns else None,
        )
        if request is not None:
            call.ran.arguments = named_arguments(run, request.arguments)
        if call.answered is None or not isinstance(run.result, Unknown):
            told = None if call.answered is None else call.answered.error
            call.answered = Answered(run.result, told, run.spans[0].span_id)
        call.answered.error = run.error or call.answered.error
    return call


def _paused(call: ToolCall, run: Run, origin: int) -> ToolCall:
    """A call whose tool stopped for somebody's answer, and was not seen to run once more."""
    first = run.spans[0]
    call.paused_in = first.span_id
    call.asked = call.asked or Asked(
        run.arguments, first.span_id, (run.start_ns - origin) / 1e9 if run.timed else None
    )
    return call
