"""Both conversations of a diff, line beside line: what was said, and what was called in between."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

from simulate.scoring.evaluators.transcript_of_trace import TraceUtterance, from_reading, plain
from simulate.trace.diff.content import plain_text
from simulate.trace.diff.sequence import Pair, common
from simulate.trace.reading import ToolCall, TraceReading, Unknown
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace

LINES = 1_000
"""Of one conversation, that a page carries."""
LONG = 4_000
"""Characters of one line."""

Row = list[Any]


@dataclass(frozen=True, slots=True)
class _Line:
    who: str
    text: str
    turn: int

    @property
    def key(self) -> tuple[str, str]:
        return self.who, plain_text(self.text)


def conversation_rows(expected: Trace | TraceReading, actual: Trace | TraceReading) -> list[Row]:
    """Both conversations as one list: ``[state, left, right]``, a side being None or ``[who, text, turn]``.

    States as in the tree: ``=``, ``!`` changed, ``-`` ``+`` one side only."""
    left, right = _lines(expected), _lines(actual)
    rows: list[Row] = []
    at, beside = 0, 0
    same = common([one.key for one in left], [one.key for one in right])
    for i, j in [*same, (len(left), len(right))]:
        rows += _changed(left[at:i], right[beside:j])
        if i < len(left):
            rows.append(["=", _cell(left[i]), _cell(right[j])])
        at, beside = i + 1, j + 1
    return rows


def _changed(left: list[_Line], right: list[_Line]) -> list[Row]:
    """What lies between two equal lines: by the order of who spoke."""
    pairs: list[Pair] = [*common([one.who for one in left], [one.who for one in right])]
    rows: list[Row] = []
    at, beside = 0, 0
    for i, j in [*pairs, (len(left), len(right))]:
        rows += [["-", _cell(one), None] for one in left[at:i]]
        rows += [["+", None, _cell(one)] for one in right[beside:j]]
        if i < len(left):
            rows.append(["!", _cell(left[i]), _cell(right[j])])
        at, beside = i + 1, j + 1
    return rows


def _cell(one: _Line) -> list[Any]:
    text = one.text if len(one.text) <= LONG else f"{one.text[:LONG]}… ({len(one.text) - LONG:,} more)"
    return [one.who, text, one.turn]


def _lines(trace: Trace | TraceReading) -> list[_Line]:
    reading, mask = TraceReading.of(trace), SecretMask()
    waiting = deque(reading.tool_calls)  # in the order in which they began
    found: list[_Line] = []
    for one in from_reading(reading):
        if len(found) >= LINES:
            break
        while one.speaker == "agent" and waiting and _before(waiting[0], one, reading.origin):
            call = waiting.popleft()
            found.append(_Line(f"tool {call.name.bare}", _called(call), one.turn))
        found.append(_Line(one.speaker, one.text, one.turn))
    turn = found[-1].turn if found else 0
    left = islice(waiting, max(0, LINES - len(found)))
    found += [_Line(f"tool {call.name.bare}", _called(call), turn) for call in left]
    return [_Line(one.who, mask.text(one.text), one.turn) for one in found[:LINES]]


def _before(call: ToolCall, one: TraceUtterance, origin: int) -> bool:
    if one.at_ns is None:
        return False
    return call.start is None or origin + call.start * 1e9 <= one.at_ns


def _called(call: ToolCall) -> str:
    if call.happened is False:
        return f"{call}: asked for, and never ran"
    result = call.error or ("not recorded" if isinstance(call.result, Unknown) else plain(call.result))
    return f"{call} {'failed: ' if call.error else '→ '}{result}"
