"""Which calls changed something, and whether they are exactly those expected; reads are ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from simulate.model.matchers import mismatch
from simulate.model.reference import ExpectedCall
from simulate.model.shapes import is_object, object_of
from simulate.tools import annotated_writes
from simulate.trace.reading import Fact, ToolCall, ToolName, TraceReading, Unknown
from simulate.trace.reading.hidden import difference

_BAD = frozenset({"error", "failed", "failure", "denied", "rejected", "refused", "exception"})
_FLAGS = ("success", "ok", "succeeded")


class WriteTools:
    """Which tools write: those that a scenario or project lists; else by their mark or MCP annotation.

    A list is taken as complete: what it leaves out, and nobody marks, reads.
    """

    def __init__(self, listed: Iterable[str] | None, reading: TraceReading, expected: Iterable[str]) -> None:
        """``listed`` is None where nobody wrote a list. A tool whose write is ``expected`` writes."""
        self._complete = listed is not None
        self._writes = [ToolName(name) for name in (*(listed or ()), *expected)]
        self._told = {**_annotated(reading), **annotated_writes(reading.trace.trace_id)}

    def writes(self, name: ToolName) -> Fact[bool]:
        """Whether this tool writes."""
        if any(name.matches(one) for one in self._writes):
            return True
        found = [write for one, write in self._told.items() if name.matches(one)]
        told = self._told.get(str(name), any(found) if found else None)
        if told is not None or self._complete:
            return bool(told)
        return Unknown(f"nothing tells whether {name} writes or only reads")


def _annotated(reading: TraceReading) -> dict[str, bool]:
    """The tools that were offered with MCP's annotation ``readOnlyHint``; what has it false, writes."""
    found: dict[str, bool] = {}
    for _, view in reading.llm_calls:
        for definition in view.tool_definitions or ():
            if not is_object(definition):
                continue
            held = definition
            inner: Any = held.get("function")
            known = inner if is_object(inner) else held
            hints: Any = known.get("annotations") or held.get("annotations")
            read_only: Any = object_of(hints).get("readOnlyHint")
            if isinstance(read_only, bool) and known.get("name"):
                found[str(known["name"])] = not read_only
    return found


def succeeded(call: ToolCall) -> Fact[bool]:
    """Whether a call did what it was for, by its error and by what its result says: ``error``, ``isError``,
    ``success: false``, ``status: failed``, or a text that begins with "Error"."""
    if isinstance(call.happened, Unknown) or call.happened is False:
        return call.happened
    if call.error is not None:
        return False
    if isinstance(call.result, Unknown):
        return Unknown(f"whether {call} succeeded is unknown: {call.result.why}")
    return not _says_failure(call.result)


def _says_failure(result: Any) -> bool:
    if isinstance(result, str):
        return result.lstrip().lower().startswith(("error", "failed", "failure", "exception", "traceback"))
    if not isinstance(result, Mapping):
        return False
    held = cast("Mapping[str, Any]", result)
    return (
        bool(held.get("error") or held.get("isError") or held.get("is_error"))
        or any(held.get(flag) is False for flag in _FLAGS)
        or (isinstance(held.get("status"), str) and held["status"].lower() in _BAD)
    )


@dataclass(frozen=True, slots=True)
class WriteComparison:
    """What a comparison came to; ``right`` is None where it cannot be known. ``call`` is the one to look
    at."""

    right: bool | None
    fact: str
    call: ToolCall | None = None


def only_writes(
    calls: Sequence[ToolCall],
    expected: Sequence[ExpectedCall],
    tools: WriteTools,
    *,
    in_order: bool = False,
    hidden: str | None = None,
) -> WriteComparison:
    """Whether the successful writes are exactly these.

    Args:
        calls: What was called, in its order.
        expected: The writes that are right; arguments match partially.
        tools: Which tools write.
        in_order: Whether they have to come in the order of ``expected``.
        hidden: Why a call may not have been seen; None where every one would have been.

    Every fact that is unknown is tried both ways: only what holds either way is right or wrong.
    """
    sure, maybe = _successful_writes(calls, tools)
    extra = _unmatched(sure, expected, _may_be)
    if extra is not None:
        return WriteComparison(False, _besides(extra, expected), extra)
    missing = _unmatched(
        expected, [*sure, *(call for call, _ in maybe)], lambda one, call: _may_be(call, one)
    )
    if missing is not None and hidden is None:
        return WriteComparison(False, _never(missing, calls, tools), next(iter(reversed(calls)), None))
    if hidden is not None:
        return WriteComparison(None, hidden)
    if maybe:
        return WriteComparison(None, maybe[0][1], maybe[0][0])
    dark = next((call for call in sure if _unmatched([call], expected, _is) is not None), None)
    if dark is not None or _unmatched(sure, expected, _is) is not None:
        call = dark or sure[0]
        return WriteComparison(None, f"the arguments of {call} are unknown", call)
    if in_order:
        late = next((call for one, call in zip(expected, sure, strict=True) if not _is(call, one)), None)
        if late is not None:
            came = " → ".join(map(str, sure))
            return WriteComparison(False, f"the writes came in another order: {came}", late)
    return WriteComparison(True, f"written: {', '.join(map(str, sure))}" if sure else "nothing was written")


def _successful_writes(
    calls: Sequence[ToolCall], tools: WriteTools
) -> tuple[list[ToolCall], list[tuple[ToolCall, str]]]:
    """The calls that wrote, and those of which that is unknown, with why."""
    sure: list[ToolCall] = []
    maybe: list[tuple[ToolCall, str]] = []
    for call in calls:
        facts = (tools.writes(call.name), succeeded(call))
        if any(fact is False for fact in facts):
            continue
        why = next((fact.why for fact in facts if isinstance(fact, Unknown)), None)
        if why is None:
            sure.append(call)
        else:
            maybe.append((call, why))
    return sure, maybe


def _may_be(call: ToolCall, one: ExpectedCall) -> bool:
    """Whether a call may be the one expected, as far as is known."""
    if not call.name.matches(one.name):
        return False
    return (
        one.arguments is None
        or isinstance(call.arguments, Unknown)
        or not isinstance(difference(one.arguments, call.arguments), str)
    )


def _is(call: ToolCall, one: ExpectedCall) -> bool:
    if one.arguments is None or isinstance(call.arguments, Unknown):
        return _may_be(call, one) and one.arguments is None
    return call.name.matches(one.name) and difference(one.arguments, call.arguments) is None


def _unmatched(left: Sequence[Any], right: Sequence[Any], fits: Callable[[Any, Any], bool]) -> Any:
    """One of the left that stays alone, however they are paired with the right; None where none has to."""
    taken: dict[int, int] = {}

    def place(i: int, tried: set[int]) -> bool:
        for j, other in enumerate(right):
            if j not in tried and fits(left[i], other):
                tried.add(j)
                if j not in taken or place(taken[j], tried):
                    taken[j] = i
                    return True
        return False

    return next((one for i, one in enumerate(left) if not place(i, set())), None)


def _besides(extra: ToolCall, expected: Sequence[ExpectedCall]) -> str:
    near = [one for one in expected if extra.name.matches(one.name) and one.arguments is not None]
    if not near or isinstance(extra.arguments, Unknown):
        return f"{extra} was written, which is not expected"
    why = mismatch(near[0].arguments, extra.arguments)
    return f"{extra} was written, which is not expected: {why or 'it is one too many'}"


def _never(missing: ExpectedCall, calls: Sequence[ToolCall], tools: WriteTools) -> str:
    failed = [call for call in calls if call.name.matches(missing.name) and succeeded(call) is False]
    if failed:
        return f"{failed[-1]} did not succeed: {failed[-1].error or failed[-1].result}"
    if not any(call.name.matches(missing.name) for call in calls):
        return f"{missing.name} was never called"
    return f"{missing.name} was not called so often, or not with these arguments: {missing.arguments}"
