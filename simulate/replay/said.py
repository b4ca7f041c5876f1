"""What was said in a conversation, from its model calls.

Most agents send the whole history with each request, some its end only, and some leave it to the provider
(``previous_response_id``, threads), so that a request holds one turn: then the turns are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulate.replay.matching.chat import Atom, parsed
from simulate.replay.matching.recordings import HttpRecording
from simulate.trace.reading import TraceReading
from simulate.trace.span import Kind, Span


@dataclass(slots=True)
class Thread:
    """Model calls that go on with one history, and what was said and called in it."""

    calls: list[HttpRecording] = field(default_factory=list[HttpRecording])
    atoms: list[Atom] = field(default_factory=list["Atom"])

    @property
    def callers(self) -> list[str]:
        """The caller's lines."""
        return _callers(self.atoms)

    def overlap(self, history: list[Atom]) -> int:
        """How many of the last caller's lines a request repeats; 0 where it does not go on with this one."""
        asked, known = _callers(history), self.callers
        for size in (len(asked), len(asked) - 1):
            if 0 < size <= len(known) and known[-size:] == asked[:size]:
                return size
        return 0

    def add(self, call: HttpRecording, overlap: int) -> None:
        """Go on with this call, which repeats so many of the caller's last lines."""
        history: list[Atom] = call.body["history"]
        forgotten = len(self.callers) - overlap
        kept: list[Atom] = []
        if overlap and forgotten:  # only the end is sent
            kept, history = self.atoms[: _line(self.atoms, forgotten)], history[_line(history, 0) :]
        elif self.calls and not overlap:  # the provider remembers what was said, and what was called
            kept = [*self.atoms, *_asked_for(self.calls[-1])]
        self.atoms = [*kept, *history, *_answer(call)]
        self.calls.append(call)
        call.turn = len(self.callers)


def _callers(atoms: list[Atom]) -> list[str]:
    return [atom[2] for atom in atoms if atom[:2] == ["user", "text"]]


def _line(atoms: list[Atom], number: int) -> int:
    """Where the caller's line of this number, counted from 0, stands."""
    return [at for at, atom in enumerate(atoms) if atom[:2] == ["user", "text"]][number]


def _answer(call: HttpRecording) -> Iterator[Atom]:
    answer = orjson.loads(call.response.content)
    if answer.get("text"):
        yield ["assistant", "text", answer["text"]]


def _asked_for(call: HttpRecording) -> Iterator[Atom]:
    for asked in orjson.loads(call.response.content)["calls"]:
        yield ["assistant", "call", str(asked["name"]), parsed(asked["arguments"])]


def threads(recordings: list[HttpRecording]) -> list[Thread]:
    """The histories that the calls tell of, in the order in which they began."""
    found: list[Thread] = []
    for call in sorted(recordings, key=lambda call: call.start):
        history = call.body["history"]
        overlaps = [(thread.overlap(history), at) for at, thread in enumerate(found)]
        overlap, at = max(overlaps, default=(0, -1))
        if overlap:
            found[at].add(call, overlap)
        elif found and not _callers(history):
            found[-1].add(call, 0)  # a tool's result alone: the provider has what was before
        else:
            found.append(Thread())
            found[-1].add(call, 0)
    return found


def spoken(recordings: list[HttpRecording], reading: TraceReading) -> list[Thread]:
    """The conversation between caller and agent, as the histories that follow one another in it: the one
    that holds most of the caller's lines, or one a turn where the provider keeps the history."""
    found = threads(recordings)
    longest = max(found, key=_length, default=None)
    if longest is None or len(longest.callers) > 1:
        return [] if longest is None else [longest]
    turns: list[Thread] = []
    for thread in found:
        if turns and not apart(reading, turns[-1].calls[-1], thread.calls[0]):
            turns[-1] = max(turns[-1], thread, key=_length)
        else:
            turns.append(thread)
    for before, turn in enumerate(turns):
        for call in turn.calls:
            call.turn = before + 1
    return turns


def _length(thread: Thread) -> tuple[int, float]:
    return len(thread.callers), thread.calls[-1].start


def apart(reading: TraceReading, before: HttpRecording, after: HttpRecording) -> bool:
    """Whether two model calls answer two turns: in traces of their own, or below two steps, one after the
    other, that each serve a request."""
    first, second = reading.by_id.get(before.span_id or ""), reading.by_id.get(after.span_id or "")
    if first is None or second is None:
        return False
    if first.trace_id != second.trace_id:
        return True
    one, other = _serving(first, reading), _serving(second, reading)
    return one is not other and one.end_ns is not None and one.end_ns <= other.start_ns


def _serving(span: Span, reading: TraceReading) -> Span:
    """The span that serves the request which a call belongs to: a turn, a server's, else the topmost one
    below the conversation's."""
    passed: dict[str, Span] = {}
    here: Span | None = span
    while here is not None and here.span_id not in passed:
        if reading.view(here).kind is Kind.CONVERSATION:
            break
        passed[here.span_id] = here
        serves = here.otel_kind in ("server", "consumer") or "http.route" in here.attributes
        if serves or reading.view(here).kind is Kind.TURN:
            return here
        here = reading.by_id.get(here.parent_id or "")
    return list(passed.values())[-1] if passed else span


def heard(
    recordings: list[HttpRecording], reading: TraceReading, hide: Callable[[str], str]
) -> dict[str, str]:
    """What callers said, by what a model was told instead: an agent may put the words into a template of its
    own, and then only a span around the call, as the agent's or the root's, tells them."""
    found: dict[str, str] = {}
    for call in recordings:
        told = _callers(call.body["history"])[-1:]
        own = reading.by_id.get(call.span_id or "")
        span = None if own is None else reading.by_id.get(own.parent_id or "")
        passed: set[str] = set()
        while told and span is not None and span.span_id not in passed:
            passed.add(span.span_id)
            messages = [one for one in reading.view(span).input or () if one.role not in _OTHERS]
            text = hide(messages[-1].text.strip()) if messages else ""
            if text and text != told[0] and text in told[0]:
                found[told[0]] = text  # the outermost span is nearest to the caller
            span = reading.by_id.get(span.parent_id or "")
    return found


_OTHERS = frozenset({"system", "developer", "assistant", "model", "ai", "tool"})
Deliver = Callable[[Thread], str | None]
"""The last answer of a thread as the caller got it, where that is known to be other than the model's."""


def said_in(turns: list[Thread], delivered: Deliver, heard: Mapping[str, str]) -> list[dict[str, Any]]:
    """The conversation as a cassette keeps it: who said what in which turn, and what the agent called.
    ``heard`` has the caller's words where the model was told others."""
    said: list[dict[str, Any]] = []
    turn = 0
    for thread in turns:
        for role, kind, *rest in thread.atoms:
            if kind == "call" and role == "assistant":
                said.append({"speaker": "agent", "called": rest[0], "arguments": rest[1], "turn": turn})
            if kind != "text" or role not in {"user", "assistant"}:
                continue
            turn += role == "user"
            text = heard.get(rest[0], rest[0]) if role == "user" else rest[0]
            said.append({"speaker": "caller" if role == "user" else "agent", "text": text, "turn": turn})
        last = delivered(thread)
        if last and said and said[-1]["speaker"] == "agent" and "text" in said[-1]:
            said[-1]["text"] = last
    return said
