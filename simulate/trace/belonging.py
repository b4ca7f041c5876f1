"""Which traces are one conversation: a web agent writes a trace a request, and people had one conversation.

What tells, the surest first: a conversation's id; a session's id, where no conversation's id says otherwise;
an answer's id that a later request names; a link; a call that both tell; a gateway's call that took over from
one that failed; and the history in the messages, where a later request begins with an earlier one's messages
and its answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from simulate.model.shapes import object_of
from simulate.trace.fallbacks import GivenUp, gateway_calls
from simulate.trace.reading import TraceReading
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.values import decoded
from simulate.trace.retold import Telling, retold, tellings
from simulate.trace.root import is_ours
from simulate.trace.span import Message, Span, Trace, View

_NO_NAMES = frozenset({"", "-", "0", "default", "none", "null", "undefined", "unknown", "n/a"})
"""Ids that say nothing: whoever writes one gives it to everybody."""
_NOT_SESSIONS = ("mcp.session.id", "langsmith.trace.session_id")
"""What dialects call a session and is none of a caller's: a connection to a server, a project."""
_PREVIOUS = "previous_response_id"

Lines = tuple[int, ...]
"""What was said, caller's and agent's lines by their hashes, in order."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What one trace says of the conversation that it is a part of."""

    trace_id: str
    source: str | None
    conversations: tuple[str, ...]
    sessions: tuple[str, ...]
    users: frozenset[str]
    ours: bool
    """Whether it is a simulated conversation, which is whole as it is."""
    start_ns: int
    responses: frozenset[str]
    previous: frozenset[str]
    linked: frozenset[str]
    """Traces that its topmost spans link to."""
    heads: frozenset[Lines]
    """What each request repeats of the conversation: up to the agent's last line in it."""
    tails: frozenset[Lines]
    """What was said when each model call had answered."""
    callers: int | None
    """How many lines of the caller the first request holds; None where no request is known."""
    tellings: tuple[Telling, ...] = ()
    """Its calls, which another trace may tell once more."""
    several: tuple[str, ...] = ()
    """The conversations that it holds, where it is more than one."""
    gave_up: tuple[GivenUp, ...] = ()
    took_over: tuple[GivenUp, ...] = ()
    """Calls of a gateway that failed, and that took over from a failed one."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that it gives its conversation."""
        return (*self.conversations, *self.sessions)

    @property
    def name(self) -> str:
        """What to call its conversation."""
        return next(iter(self.ids), self.trace_id)


def marks_of(source: Trace | TraceReading) -> Marks:
    """Read what a trace says of the conversation that it belongs to."""
    reading = TraceReading.of(source)
    trace = reading.trace
    root = next((span for span in reading.spans if is_ours(span)), None)
    if root is not None:
        own = str(root.attributes.get("gen_ai.conversation.id", trace.trace_id))
        nothing = frozenset[str]()
        return Marks(
            trace.trace_id, trace.source, (own,), (), nothing, True, trace.start_ns,
            nothing, nothing, nothing, frozenset(), frozenset(), None,
        )  # fmt: skip
    heads, tails, callers = set[Lines](), set[Lines](), None
    for _, view in reading.llm_calls:
        if view.input is None:
            continue
        # an agent may leave its tool calls out of what it repeats
        for lines in (_said, _said_and_called):
            asked = [line for message in view.input for line in lines(message)]
            answered = [line for message in view.output or () for line in lines(message)]
            newest = next((at for at in reversed(range(len(asked))) if asked[at][0] == "assistant"), -1)
            heads.add(_hashed(asked[: newest + 1]))
            tails.add(_hashed(asked + answered))
            callers = sum(who == "user" for who, _ in asked) if callers is None else callers
    views = [view for _, view in reading]
    return Marks(
        trace.trace_id,
        trace.source,
        _names(view.conversation_id for view in views),
        _names(_session(span, view) for span, view in reading),
        frozenset(_names(view.user_id for view in views)),
        False,
        trace.start_ns,
        frozenset(_told(_response, reading)),
        frozenset(_told(_previous, reading)),
        frozenset(link.trace_id for span in reading.roots for link in span.links) - {trace.trace_id},
        frozenset(filter(_tells, heads)),
        frozenset(filter(_tells, tails)),
        callers,
        tuple(tellings(reading, 0)),
        tuple(several(reading)),
        *gateway_calls(reading),
    )


def _conversation(_: Span, view: View) -> object:
    return view.conversation_id


def several(reading: TraceReading) -> list[str]:
    """The ids of the conversations in a trace that holds more than one: of spans side by side, since what is
    inside another's may be a part of it. By the sessions' ids where no span tells a conversation's."""
    if any(is_ours(span) for span in reading.spans):
        return []
    for read in (_conversation, _session):
        told = ((span.span_id, read(span, view)) for span, view in reading)
        named = {span_id: name for span_id, value in told if value is not None for name in _names([value])}
        above = Above(reading.by_id, lambda span, named=named: span.span_id in named)
        tops = [span for span in reading.spans if span.span_id in named and above.of(span) is None]
        if tops:
            found = list(dict.fromkeys(named[span.span_id] for span in tops))
            return found if len(found) > 1 else []
    return []


def _names(values: Iterable[object]) -> tuple[str, ...]:
    known = (str(value) for value in values if value is not None)
    return tuple(dict.fromkeys(name for name in known if name.strip().casefold() not in _NO_NAMES))


def _session(span: Span, view: View) -> object:
    session = view.session_id
    return None if any(session == span.attributes.get(key) for key in _NOT_SESSIONS) else session


def _told(read: Callable[[Span, View], object], reading: TraceReading) -> Iterator[str]:
    return (str(value) for span, view in reading.llm_calls if (value := read(span, view)))


def _response(span: Span, view: View) -> object:
    if view.response_id is not None:
        return view.response_id
    answer = decoded(view.output_value)
    return object_of(answer).get("id")


def _previous(span: Span, view: View) -> object:
    if _PREVIOUS in view.parameters:
        return view.parameters[_PREVIOUS]
    return next((value for key, value in span.attributes.items() if key.endswith(_PREVIOUS)), None)


def _said(message: Message) -> Iterator[tuple[str, str]]:
    """What a person or the agent said; results and instructions may be told otherwise each time."""
    text = " ".join(message.text.split())
    if text and message.role in ("user", "assistant"):
        yield message.role, text


def _said_and_called(message: Message) -> Iterator[tuple[str, str]]:
    yield from _said(message)
    for call in message.tool_calls:
        arguments = json.dumps(decoded(call.get("arguments")), sort_keys=True, default=str)
        yield "assistant", f"{call.get('name')}({arguments})"


def _hashed(lines: Sequence[tuple[str, str]]) -> Lines:
    # an odd hash is the agent's, so that `_tells` sees who speaks
    return tuple(hash(line) & ~1 | (line[0] == "assistant") for line in lines)


def _tells(lines: Lines) -> bool:
    """Whether both spoke: a greeting alone is anybody's."""
    return any(line & 1 for line in lines) and any(not line & 1 for line in lines)


# -- together --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Membership:
    """One conversation: ``parts`` are the places of its traces among those given, in the order of its turns;
    ``names`` are the ids that it goes by, ``why`` is what put them together."""

    parts: list[int]
    names: list[str]
    why: list[str] = field(default_factory=list[str])
    doubts: list[str] = field(default_factory=list[str])
    """What might be told once more in another conversation, one sentence each."""

    @property
    def id(self) -> str:
        """The first of the names: the conversation's id, else the session's, else the first trace's."""
        return self.names[0]

    def goes_by(self, name: str) -> bool:
        """Whether one of its ids is this one, or begins so."""
        return any(known == name or known.startswith(name) for known in self.names)


class _Sets:
    """Disjoint sets of traces, and what joined each."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))
        self.why: dict[int, list[str]] = {}

    def of(self, item: int) -> int:
        while self._above[item] != item:
            self._above[item] = item = self._above[self._above[item]]
        return item

    def join(self, one: int, other: int, why: str) -> None:
        left, right = self.of(one), self.of(other)
        if left != right:
            self._above[right] = left
            reasons = [*self.why.get(left, ()), *self.why.pop(right, ()), why]
            self.why[left] = list(dict.fromkeys(reasons))


def memberships(marks: Sequence[Marks]) -> list[Membership]:
    """The conversations of these traces, in the order in which the first trace of each comes."""
    sets = _Sets(len(marks))
    _by_ids(marks, sets)
    _by_answers(marks, sets)
    doubts = _by_calls(marks, sets)
    _by_fallbacks(marks, sets)
    _by_history(marks, sets)
    members: dict[int, list[int]] = {}
    for at in range(len(marks)):
        members.setdefault(sets.of(at), []).append(at)
    found = [_member(parts, marks, sets.why.get(root, [])) for root, parts in members.items()]
    for each in found:
        each.doubts = [doubt for at in each.parts for doubt in doubts.get(at, ())]
        each.doubts += [
            mixed(marks[at].trace_id, marks[at].several) for at in each.parts if marks[at].several
        ]
    return found


def _by_ids(marks: Sequence[Marks], sets: _Sets) -> None:
    _alike([one.conversations for one in marks], sets, "conversation id")
    sessions: dict[str, list[int]] = {}
    for at, one in enumerate(marks):
        for session in one.sessions:
            sessions.setdefault(session, []).append(at)
    for inside in sessions.values():
        # one session may hold several conversations, and then it tells nothing of a trace without either's id
        named = {sets.of(at) for at in inside if marks[at].conversations}
        some = inside if len(named) < 2 else [at for at in inside if not marks[at].conversations]
        for at in some[1:]:
            sets.join(some[0], at, "session id")


def _alike(names: Sequence[Iterable[Hashable]], sets: _Sets, why: str) -> None:
    first: dict[Hashable, int] = {}
    for at, each in enumerate(names):
        for name in each:
            sets.join(first.setdefault(name, at), at, why)


def _by_answers(marks: Sequence[Marks], sets: _Sets) -> None:
    answered = {response: at for at, one in enumerate(marks) for response in one.responses}
    places = {one.trace_id: at for at, one in enumerate(marks)}
    for at, one in enumerate(marks):
        for previous in one.previous & answered.keys():
            _unless_apart(marks, answered[previous], at, sets, "the answer that the next request names")
        linked = [places[each] for each in one.linked if each in places]
        if len(linked) == 1:  # who links to many gathers them, and goes on with none
            _unless_apart(marks, linked[0], at, sets, "a link")


def _by_calls(marks: Sequence[Marks], sets: _Sets) -> dict[int, list[str]]:
    """Join what tells of one call; by the place of a trace, what may."""
    every = (replace(each, trace=at) for at, one in enumerate(marks) for each in one.tellings)
    found = retold(every)
    for one, other in found.pairs:
        _unless_apart(marks, one.trace, other.trace, sets, "a call that two instrumentations tell")
    doubts: dict[int, list[str]] = {}
    for pair in found.doubts:
        for one, other in (pair, pair[::-1]):
            if sets.of(one.trace) != sets.of(other.trace) and not _apart(
                marks[one.trace], marks[other.trace]
            ):
                doubts.setdefault(one.trace, []).append(doubt(one, marks[other.trace].trace_id))
    return doubts


def doubt(one: Telling, trace_id: str) -> str:
    """A note on a call that another trace may tell, too."""
    what = ", ".join(sorted(one.names)) or "unnamed"
    return f"trace {trace_id} may tell of the same {one.kind} call ({what}); it is counted in both"


def mixed(trace_id: str, several: Sequence[str]) -> str:
    """A note on a trace that holds ``several`` conversations."""
    told = ", ".join(several[:5])
    return f"trace {trace_id} holds {len(several)} conversations ({told}), which are read as one"


def _by_fallbacks(marks: Sequence[Marks], sets: _Sets) -> None:
    """Join a call that took over with the one that had failed: of another route, asked the same, the last
    before it that nothing took over from."""
    failed = sorted(
        ((call, at) for at, one in enumerate(marks) for call in one.gave_up), key=lambda each: each[0].end_ns
    )
    after = [(call, at) for at, one in enumerate(marks) for call in one.took_over]
    for call, at in sorted(after, key=lambda each: each[0].start_ns):
        before = [each for each in failed if call.follows(each[0]) and not _apart(marks[each[1]], marks[at])]
        if before:
            failed.remove(before[-1])
            sets.join(before[-1][1], at, "a gateway's fallback")


def _by_history(marks: Sequence[Marks], sets: _Sets) -> None:
    """Each trace continues the one whose words it repeats most of; of several, the latest that nothing
    continues yet."""
    ended: dict[int, list[tuple[int, Lines]]] = {}
    for at, one in enumerate(marks):
        for tail in one.tails:
            ended.setdefault(tail[-1], []).append((at, tail))
    continued = set[int]()
    for at in sorted(range(len(marks)), key=lambda at: marks[at].start_ns):
        found = [
            (min(len(head), len(tail)), before not in continued, marks[before].start_ns, before)
            for head in marks[at].heads
            for before, tail in ended.get(head[-1], ())
            if before != at and _ends_with(tail, head) and _may_follow(marks[before], marks[at])
        ]
        if found:
            before = max(found)[-1]
            continued.add(before)
            sets.join(before, at, "the history in their messages")


def _ends_with(tail: Lines, head: Lines) -> bool:
    """Whether one is how the other ends: an agent may keep the last messages only."""
    size = min(len(head), len(tail))
    return head[-size:] == tail[-size:] and _tells(head[-size:])


def _may_follow(before: Marks, after: Marks) -> bool:
    in_order = not before.start_ns or not after.start_ns or before.start_ns < after.start_ns
    return in_order and not _apart(before, after)


def _unless_apart(marks: Sequence[Marks], before: int, after: int, sets: _Sets, why: str) -> None:
    if not _apart(marks[before], marks[after]):
        sets.join(before, after, why)


def _apart(one: Marks, other: Marks) -> bool:
    """Whether their ids or users say that they are two conversations."""
    if one.ours or other.ours:
        return True
    if one.users and other.users and not one.users & other.users:
        return True
    return bool(one.ids and other.ids) and not set(one.ids) & set(other.ids)


def _member(parts: list[int], marks: Sequence[Marks], why: list[str]) -> Membership:
    parts = _in_order(parts, marks)
    found = [marks[at] for at in parts]
    names = [name for one in found for name in one.conversations]
    names += [name for one in found for name in one.sessions]
    names += [one.trace_id for one in found]
    return Membership(parts, list(dict.fromkeys(names)), why)


def _in_order(parts: list[int], marks: Sequence[Marks]) -> list[int]:
    """By how much of the conversation each trace's first request repeats, where that tells all of them apart;
    else by their clocks, and those without a time last."""
    depths = {at: depth for at in parts if (depth := marks[at].callers) is not None}
    if len(set(depths.values())) == len(parts):
        return sorted(parts, key=depths.__getitem__)
    return sorted(parts, key=lambda at: marks[at].start_ns or float("inf"))
