"""In which turn of a conversation each span of its agent was made, whatever the clock of its service says.

Told by, in this order: the parent that we sent with the turn's request; the caller's line that a model was
told last; and, where neither says, the clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from simulate.model.transcript import Conversation
from simulate.trace.reading import Asked, ToolCall, TraceReading, Unknown
from simulate.trace.reading.tool_history import History, answered
from simulate.trace.root import TURN, root_span_id
from simulate.trace.span import Kind, Message, Span, View

GRACE_NS = 1_000_000
"""By which a span may seem to lie outside of its turn, by clocks that are as good as they get."""
CLOCKS_DIFFER_NS = 1_000_000_000
"""From which on a span lies outside of the conversation: its clock is not ours."""
_TELLS = (Kind.LLM, Kind.TOOL)
"""Kinds of spans that say what an agent did."""


class SpanTurns:
    """The turns of one conversation's spans. ``outside``: the agent has clocks and exporters of its own."""

    def __init__(self, reading: TraceReading, conversation: Conversation, *, outside: bool) -> None:
        self._reading, self._conversation, self._outside = reading, conversation, outside
        self._ours = root_span_id(conversation.id)
        self.spans = [span for span in reading.spans if span.span_id != self._ours]
        self._lines = _lines(conversation)
        self._tops: dict[str, Span] = {}
        """By span, the topmost above it; filled as it is asked for."""
        answered = {said.turn: said.end for said in conversation.by("agent") if said.text}
        begins = {said.turn: said.start for said in reversed(conversation.by("caller"))}
        self._windows = {
            turn: (self._moment(begins[turn]), self._moment(answered[turn]))
            for turn in sorted(answered)
            if turn in begins
        }

    def of(self, span_id: str | None) -> int | None:
        """The turn of a span; None where nothing tells it."""
        if (turn := self._sure(span_id)) is not None:
            return turn
        span = self._reading.by_id.get(span_id or "")
        return None if span is None or not span.start_ns or self.clocks_differ else self.at_ns(span.start_ns)

    def of_call(self, call: ToolCall) -> int | None:
        """The turn of a tool call; None where nothing tells it."""
        told_by = [*(call.ran.span_ids if call.ran else ()), call.asked.span_id if call.asked else None]
        for turn_of in (self._sure, self.of) if self._told else (self.of,):
            for span_id in told_by:
                if (turn := turn_of(span_id)) is not None:
                    return turn
        return None

    def at_ns(self, moment_ns: int) -> int:
        """The turn that was on at a moment of our own clock; 0 before the first."""
        starts, reached = self._begun
        return reached[bisect_right(starts, moment_ns)]

    @cached_property
    def _begun(self) -> tuple[list[int], list[int]]:
        """When the caller spoke, in order, and the turn that was reached before and after each."""
        said = sorted((self._moment(said.start), said.turn) for said in self._conversation.by("caller"))
        return [start for start, _ in said], [0, *accumulate((turn for _, turn in said), max)]

    @cached_property
    def clocks_differ(self) -> bool:
        """Whether some span lies outside of the conversation, so that times do not tell turns."""
        if not self._windows:
            return False
        last = max(until for _, until in self._windows.values()) + CLOCKS_DIFFER_NS
        first = self._conversation.started_ns - CLOCKS_DIFFER_NS
        return any(span.start_ns > last or (span.end_ns or last) < first for span in self.spans)

    def told_later(self, known: Sequence[ToolCall]) -> list[ToolCall]:
        """Calls whose own spans were lost, and which a model was told of later in this conversation."""
        if not self._outside:
            return []
        found: list[ToolCall] = []
        for span, view in self._reading.llm_calls:
            # a history tells each call once, so that each is one known call, whatever its id
            told, free = list(self._history(span, view)), [*known, *found]
            for same in (_equal, _same):
                for call in list(told):
                    other = next((each for each in free if same(call, each)), None)
                    if other is not None:
                        told.remove(call)
                        free.remove(other)
            found += told
        return found

    def _history(self, span: Span, view: View) -> Iterator[ToolCall]:
        """The answered calls in what a model was told, from the caller's first line on."""
        messages: list[Message] = view.input or []
        turns: list[int | None] = []
        for message in messages:
            said = self._lines.get(" ".join(message.text.split())) if message.role == "user" else None
            turns.append(said if said is not None else turns[-1] if turns else None)
        for each in History(messages).asked:
            if each.answer is not None and turns[each.at] is not None:
                asked = Asked(each.arguments, span.span_id)
                result = answered(each.answer, span)
                yield ToolCall(each.name, each.call_id, asked, None, result, turns[each.at])

    @cached_property
    def lost(self) -> str | None:
        """Why spans of an answered turn must have been lost; None where each turn has some."""
        if not self._told or not self._outside:
            turn = self._without_by_time()
            return None if turn is None else _none_of(turn)
        kinds: dict[int | None, set[Kind]] = {}
        for span in self.spans:
            kinds.setdefault(self.of(span.span_id), set()).add(self._reading.view(span).kind)
        told = {kind for of_turn in kinds.values() for kind in of_turn if kind in _TELLS}
        for turn in self._windows:
            of_turn = kinds.get(turn, set[Kind]())
            if not of_turn:
                return _none_of(turn)
            if told and not of_turn & told and not self._retold(turn):
                return (
                    f"the agent answered in turn {turn}, and of that turn came neither a model call nor a "
                    "tool call: they were lost, or there were none"
                )
        return None

    @cached_property
    def without_model(self) -> int | None:
        """The first answered turn without a model call, where other turns have some."""
        asked = {self.of(span.span_id) for span, _ in self._reading.llm_calls}
        return next((turn for turn in self._windows if asked and turn not in asked), None)

    @cached_property
    def _told(self) -> dict[str, int]:
        """By span, the turn that its request or its messages tell."""
        told: dict[str, int] = {}
        heard: dict[str, set[int]] = {}
        for span in self.spans:
            if TURN in span.attributes:
                top = self._top(span)
                sent = top.attributes.get(TURN)
                if isinstance(sent, int):
                    told[top.span_id] = sent
        for span, view in self._reading:
            if view.kind is Kind.LLM and view.input and (turn := self._heard_last(view)) is not None:
                told.setdefault(span.span_id, turn)
                heard.setdefault(self._top(span).span_id, set()).add(turn)
        for top, turns in heard.items():
            if len(turns) == 1:
                told.setdefault(top, *turns)
        if not told and self.clocks_differ:
            tops = [span for span in self.spans if next(iter(self._upwards(span.parent_id)), None) is None]
            if len(tops) == len(self._windows):
                tops.sort(key=lambda span: span.start_ns)
                return {span.span_id: turn for span, turn in zip(tops, self._windows, strict=True)}
        return told

    def _top(self, span: Span) -> Span:
        """The topmost above a span."""
        passed: list[Span] = []
        for above in self._upwards(span.span_id):
            if above.span_id in self._tops:
                top = self._tops[above.span_id]
                break
            passed.append(above)
        else:
            top = passed[-1] if passed else span
        self._tops.update((each.span_id, top) for each in passed)
        return top

    def _sure(self, span_id: str | None) -> int | None:
        """What the span's own request or messages tell, or those of the nearest above it that do."""
        told = self._told
        above = self._upwards(span_id) if told else ()
        return next((told[span.span_id] for span in above if span.span_id in told), None)

    def _upwards(self, span_id: str | None) -> Iterator[Span]:
        """A span and all above it, without our own."""
        seen = set[str]()
        while span_id is not None and span_id != self._ours and span_id not in seen:
            span = self._reading.by_id.get(span_id)
            if span is None:
                return
            seen.add(span_id)
            yield span
            span_id = span.parent_id

    def _heard_last(self, view: View) -> int | None:
        """The turn of the caller's line that a model was told last, where only one turn has that line."""
        for message in reversed(view.input or ()):
            if message.role == "user":
                return self._lines.get(" ".join(message.text.split()))
        return None

    def _retold(self, turn: int) -> bool:
        """Whether a model was told later what came of this turn."""
        for _, view in self._reading.llm_calls:
            after = False
            for message in view.input or ():
                if after and message.role == "assistant" and message.text:
                    return True
                line = " ".join(message.text.split())
                after = after or (message.role == "user" and self._lines.get(line) == turn)
        return False

    def _without_by_time(self) -> int | None:
        """The first turn in whose time no span lies; by their number, where the agent's clock is another."""
        if not self._windows:
            return None
        last = max(until for _, until in self._windows.values())
        if self.clocks_differ:
            tops = [span for span in self.spans if next(iter(self._upwards(span.parent_id)), None) is None]
            return max(self._windows) if len(tops) < len(self._windows) else None
        turns = list(self._windows)
        since = [begin for begin, _ in self._windows.values()]
        # a late last word may overlap the next turn
        until = list(accumulate((end for _, end in self._windows.values()), max))
        told = set[int]()
        for span in self.spans:
            first, end = span.start_ns, span.end_ns or last
            # one beside all turns is a little early or late
            told |= _between(first, end, since, until) or _between(
                first - GRACE_NS, end + GRACE_NS, since, until
            )
        return next((turn for index, turn in enumerate(turns) if index not in told), None)

    def _moment(self, seconds: float) -> int:
        return self._conversation.started_ns + round(seconds * 1e9)


def _equal(told: ToolCall, known: ToolCall) -> bool:
    return told.name.matches(known.name) and told.arguments == known.arguments and _same(told, known)


def _same(told: ToolCall, known: ToolCall) -> bool:
    """Whether a call that a history tells is known: some frameworks give it another id there, or write its
    arguments in another way."""
    if not told.name.matches(known.name):
        return False
    if told.call_id == known.call_id or known.turn is None or told.turn == known.turn:
        return True
    return isinstance(known.arguments, Unknown) or told.arguments == known.arguments


def _between(first: int, last: int, since: list[int], until: list[int]) -> set[int]:
    """The numbers of the turns, by their beginnings and ends in order, that this time touches."""
    return {
        index
        for index in range(bisect_left(until, first), bisect_right(since, last))
        if first <= until[index] and last >= since[index]
    }


def _none_of(turn: int) -> str:
    return f"the agent answered in turn {turn} and no span of that turn came: it was lost"


def _lines(conversation: Conversation) -> dict[str, int]:
    """The caller's lines that were said in one turn only."""
    found: dict[str, set[int]] = {}
    for said in conversation.by("caller"):
        found.setdefault(" ".join(said.text.split()), set()).add(said.turn)
    return {line: min(turns) for line, turns in found.items() if line and len(turns) == 1}
