"""Conversations of trace files: the traces that belong together as one, whoever asks.

`belonging` tells which traces those are. Their spans stay as they are, with the trace id that each came with;
only an id that two of the traces gave to different spans is given anew to one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from simulate.errors import TraceFileError
from simulate.model.text import line
from simulate.trace.belonging import Marks, Membership, marks_of, memberships
from simulate.trace.files.documents import TRIAL, Source, name_of, sources
from simulate.trace.files.reader import TraceIndex, iter_traces, one, read
from simulate.trace.mixed import mixed, one_of_several, several
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace


def conversations(traces: Sequence[Trace]) -> list[Trace]:
    """The conversations of these traces, each as one trace, in the order in which each first appears."""
    found = memberships([marks_of(trace) for trace in traces])
    return [joined_conversation([traces[at] for at in each.parts], each) for each in found]


def joined_conversation(traces: Sequence[Trace], member: Membership | None = None) -> Trace:
    """One trace of several that are one conversation, in the order of its turns: with the id and the source
    of the first, all spans, and a note of what put them together."""
    first = traces[0]
    doubts = [] if member is None else [*member.doubts, *member.mixed.values()]
    if len(traces) == 1:
        return replace(first, notes=[*first.notes, *doubts]) if doubts else first
    notes = list(dict.fromkeys(note for trace in traces for note in trace.notes))
    named = f" {line(member.id, 60)}" if member is not None else ""
    why = f", joined by {' and '.join(member.why)}" if member is not None and member.why else ""
    notes[:0] = [f"{len(traces)} traces are one conversation{named}{why}", *doubts]
    sources = list(dict.fromkeys(trace.source for trace in traces if trace.source))
    return Trace(first.trace_id, _each_with_its_id(traces), ", ".join(sources[:3]) or None, notes)


def _each_with_its_id(traces: Sequence[Trace]) -> list[Span]:
    """The spans of all traces; ids are unique inside a trace only."""
    spans, taken = list[Span](), set[str]()
    for trace in traces:
        ids = {span.span_id for span in trace.spans}
        anew = {
            each: blake2b(f"{trace.trace_id}/{each}".encode(), digest_size=8).hexdigest()
            for each in ids & taken
        }
        taken |= ids | set(anew.values())
        spans += [_renamed(span, anew) for span in trace.spans] if anew else trace.spans
    return spans


def _renamed(span: Span, anew: dict[str, str]) -> Span:
    links = [
        replace(link, span_id=anew[link.span_id])
        if link.trace_id == span.trace_id and link.span_id in anew
        else link
        for link in span.links
    ]
    parent = span.parent_id and anew.get(span.parent_id, span.parent_id)
    return replace(span, span_id=anew.get(span.span_id, span.span_id), parent_id=parent, links=links)


# -- files -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the conversations in trace files are wanted; all of them where both are None. Of a trace that
    holds several, only the one that is named is taken, where its spans tell whose they are.

    ``conversation`` is the id of a conversation, a session or a trace of it, or how the id begins.
    ``trace`` is the id of one trace (or its beginning), taken by itself."""

    conversation: str | None = None
    trace: str | None = None


ALL = Choice()


def read_conversations(
    source: Source,
    *more: Source,
    choice: Choice = ALL,
    tolerant: bool = False,
    skipped: list[TraceFileError] | None = None,
) -> list[Trace]:
    """The conversations of one or more files or folders that fit into memory, each as one trace.

    Arguments and errors are those of `iter_conversations`."""
    files = sources(source, *more)
    if len(files) == 1:
        traces = read(files[0], tolerant=tolerant)
    else:
        traces = list(iter_traces(*files, tolerant=tolerant, skipped=skipped))
    known = {trace.trace_id: trace for trace in traces}
    return list(_chosen(list(known), known.__getitem__, choice, name_of(source)))


def iter_conversations(
    source: Source,
    *more: Source,
    choice: Choice = ALL,
    tolerant: bool = False,
    skipped: list[TraceFileError] | None = None,
) -> Iterator[Trace]:
    """Each conversation of one or more files or folders as one trace, of which one is held at a time.

    Args:
        source: As for `iter_traces`.
        more: Further ones; a conversation may lie in several files.
        choice: Which conversations.
        tolerant: As for `iter_traces`.
        skipped: As for `iter_traces`.

    Raises:
        TraceFileError: As `iter_traces`; or none or several are called as ``choice`` says, with their ids.
    """
    with TraceIndex(source, *more, tolerant=tolerant, skipped=skipped) as index:
        yield from _chosen(index.ids, index.trace, choice, name_of(source))


def whole_file(path: Source, trace_id: str | None = None) -> Trace:
    """All that is in a file which holds one conversation because we wrote it so: a trial's, a golden case's.
    The trace has ``trace_id`` where one of those in the file has, else the first one's.

    Raises TraceFileError as `read`."""
    found = sorted(read(path), key=lambda trace: trace.trace_id != trace_id)
    joined = joined_conversation(found)
    if len(found) > 1:
        joined.notes[0] = f"the agent's spans came in {len(found)} traces"
    return joined


def parts(
    source: Source,
    *more: Source,
    choice: Choice,
    tolerant: bool = False,
    skipped: list[TraceFileError] | None = None,
) -> Iterator[Trace]:
    """The traces of the chosen conversations, each by itself; otherwise as `iter_conversations`."""
    with TraceIndex(source, *more, tolerant=tolerant, skipped=skipped) as index:
        for each in _members(index.ids, index.trace, choice, name_of(source)):
            yield from (_part(each, at, index.trace(index.ids[at]), choice) for at in each.parts)


def _chosen(
    ids: Sequence[str], trace: Callable[[str], Trace], choice: Choice, source: str
) -> Iterator[Trace]:
    for each in _members(ids, trace, choice, source):
        yield joined_conversation([_part(each, at, trace(ids[at]), choice) for at in each.parts], each)


def _part(member: Membership, at: int, trace: Trace, choice: Choice) -> Trace:
    """Of one of its traces what belongs to the conversation that is chosen."""
    if choice.conversation is None or at not in member.mixed:
        return trace
    part = one_of_several(trace, choice.conversation)
    if part is not trace:
        del member.mixed[at]  # and its own note says so
    return part


def _members(
    ids: Sequence[str], trace: Callable[[str], Trace], choice: Choice, source: str
) -> list[Membership]:
    if choice.trace is not None:
        wanted = one(ids, choice.trace, source)
        return [Membership([ids.index(wanted)], [wanted])]
    if len(ids) == 1 and choice.conversation is None:
        held = several(TraceReading(trace(ids[0])))
        return [Membership([0], [ids[0]], mixed={0: mixed(ids[0], held)} if held else {})]
    found = memberships(_as_written([marks_of(trace(each)) for each in ids]))
    return found if choice.conversation is None else [called(found, choice.conversation, source)]


def _as_written(marks: list[Marks]) -> list[Marks]:
    """Beside a simulated conversation in a trial's own file, what an agent began by itself is part of it."""
    own = [one for one in marks if one.ours]
    if len(own) != 1 or any(Path(one.source or "").name != TRIAL for one in marks):
        return marks
    return [replace(one, conversations=own[0].conversations) for one in marks]


def called(found: Sequence[Membership], name: str, source: str | None) -> Membership:
    """The conversation that goes by this id. Raises TraceFileError, with their ids, for none or several."""
    fit = [each for each in found if name in each.names] or [each for each in found if each.goes_by(name)]
    if len(fit) == 1:
        return fit[0]
    problem = "is the beginning of several" if fit else "is not among its conversations"
    told = some([each.id for each in fit or found])
    raise TraceFileError(f"conversation {line(name, 40)} {problem}: {told}", where=source)


def some(ids: Sequence[str]) -> str:
    """The first five of these ids."""
    return ", ".join(line(each, 40) for each in ids[:5]) + (" …" if len(ids) > 5 else "")


def only(found: Sequence[Trace], source: str | None, hint: str = "say which with --conversation ID") -> Trace:
    """The conversation, where there is one. Raises TraceFileError with the ids of several."""
    if len(found) == 1:
        return found[0]
    told = some([marks_of(trace).name for trace in found])
    raise TraceFileError(f"holds {len(found)} conversations: {told}", where=source, hint=hint)
