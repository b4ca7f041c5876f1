"""Trace files, whatever wrote them: found by what they hold, never by their name.

``read`` for a file that fits into memory, ``iter_traces`` for one that does not, ``iter_spans`` for spans in
the order of the file.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import importlib
import pickle
import pkgutil
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from simulate.errors import TraceFileError
from simulate.model.text import line
from simulate.trace.files import documents
from simulate.trace.files.base import Format, Notes, kind_of
from simulate.trace.files.documents import Source
from simulate.trace.joining import join
from simulate.trace.span import Attributes, Span, Trace, group

__all__ = ["Format", "Source", "TraceIndex", "formats", "iter_spans", "iter_traces", "one", "read"]


@lru_cache(maxsize=1)
def formats() -> tuple[Format, ...]:
    """Every file format, the more telling marks first: what modules of `simulate.trace.files` and
    `simulate.trace.vendors` call ``FORMAT``."""
    found: list[Format] = []
    for name in ("simulate.trace.files", "simulate.trace.vendors"):
        for module in pkgutil.iter_modules(importlib.import_module(name).__path__):
            known = getattr(importlib.import_module(f"{name}.{module.name}"), "FORMAT", None)
            if isinstance(known, Format):
                found.append(known)
    return tuple(sorted(found, key=lambda each: each.rank))


def read(source: Source, *more: Source, trace_id: str | None = None, tolerant: bool = False) -> list[Trace]:
    """Every trace of one or more files, in the order in which each first appears.

    Args:
        source: A path, a folder, ``-`` for stdin or an open binary file, of any format that
            docs/trace-files.md lists; gz and zip, too.
        more: Further ones. A trace whose spans lie in several files is one trace.
        trace_id: Only this trace; its first digits are enough.
        tolerant: Read what is whole of a broken file, and say in the notes what is not.

    Raises:
        TraceFileError: A file cannot be read, with line or span, or holds no such trace.
    """
    files = documents.sources(source, *more)
    if len(files) > 1:
        traces = list(iter_traces(*files, tolerant=tolerant))
    else:
        notes = Notes(documents.name_of(files[0]), tolerant)
        traces = group(_spans(files[0], notes), notes.source)
        if not traces:
            raise _holds_nothing(notes)
        for trace in traces:
            trace.notes += notes.of(trace.trace_id)
            join(trace)
    if trace_id is None:
        return traces
    wanted = one([trace.trace_id for trace in traces], trace_id, documents.name_of(source))
    return [trace for trace in traces if trace.trace_id == wanted]


def one(ids: Sequence[str], trace_id: str, source: str | None) -> str:
    """The one of these trace ids that starts so. Raises TraceFileError, with some of them, for none or
    several."""
    found = [each for each in ids if each == trace_id]
    found = found or [each for each in ids if each.startswith((trace_id, trace_id.lower()))]
    if len(found) == 1:
        return found[0]
    told = ", ".join(line(each, 40) for each in (found or ids)[:5])
    problem = "matches several traces" if found else "is not among its traces"
    raise TraceFileError(f"trace {line(trace_id, 40)} {problem}: {told}", where=source)


def iter_spans(*files: Source, tolerant: bool = False, notes: Notes | None = None) -> Iterator[Span]:
    """Spans in the order of the files, holding one document (one line of JSON lines) at a time, each as often
    as it came. ``notes`` gather what a reader should know."""
    notes = notes or Notes(tolerant=tolerant)
    for file in documents.sources(*files):
        notes.source = documents.name_of(file)
        yield from _spans(file, notes)


def iter_traces(
    source: Source,
    *more: Source,
    tolerant: bool = False,
    skipped: list[TraceFileError] | None = None,
) -> Iterator[Trace]:
    """One trace at a time, in the order in which each first appears. Spans of one trace that lie in several
    files, as services export them, are one trace; a span that came twice is there once.

    Spans of a trace may lie anywhere, so everything is read before the first trace comes: spans go to a
    temporary file as they are read, with an index of where each trace's are, and a trace is then gathered
    from there. In memory are the index, one line of a file, and one trace. A file that is a single JSON
    document cannot be read by parts; only JSON lines, length-prefixed protobuf and tables can.

    ``tolerant`` reads what is whole and says in the notes what is not; of several files, those that hold no
    trace at all are left out, and their errors put into ``skipped``.
    """
    with TraceIndex(source, *more, tolerant=tolerant, skipped=skipped) as index:
        for trace_id in index.ids:
            yield index.trace(trace_id)


class TraceIndex:
    """The traces of one or more files on disk, each gathered when it is asked for: what `iter_traces` walks
    once. Arguments and errors are those of `iter_traces`; the temporary file lives as long as the context.
    ``alone`` is False where these are a part of the files that were named: it may hold no trace."""

    def __init__(
        self,
        source: Source,
        *more: Source,
        tolerant: bool = False,
        skipped: list[TraceFileError] | None = None,
        alone: bool = True,
    ) -> None:
        self._spool = tempfile.SpooledTemporaryFile(documents.SPOOL)  # noqa: SIM115 - __exit__ closes it
        self._places: dict[str, list[int]] = {}
        self._read: list[tuple[Notes, int]] = []
        try:
            files = documents.sources(source, *more)
            for each in files:
                self._add(each, tolerant, skipped, alone=alone and len(files) == 1)
            if alone and not self._places:
                raise TraceFileError("none of the files holds spans", where=documents.name_of(source))
        except BaseException:
            self._spool.close()
            raise
        self._begins = [begin for _, begin in self._read]

    def __enter__(self) -> TraceIndex:
        return self

    def __exit__(self, *error: object) -> None:
        self._spool.close()

    def _add(
        self, file: Source, tolerant: bool, skipped: list[TraceFileError] | None, *, alone: bool
    ) -> None:
        notes, begin = Notes(documents.name_of(file), tolerant), self._spool.tell()
        self._read.append((notes, begin))
        try:
            _spool(_spans(file, notes), self._spool, self._places)
            if self._spool.tell() == begin:
                raise _holds_nothing(notes)
        except TraceFileError as error:
            if alone:
                raise
            if not tolerant:
                hints = [error.hint, "--tolerant reads the other files all the same"]
                raise TraceFileError(
                    error.message, where=error.where, hint="; ".join(filter(None, hints))
                ) from error
            notes.say(f"the file was read as far as it goes: {error.message}")
            if self._spool.tell() == begin and skipped is not None:
                skipped.append(error)

    @property
    def ids(self) -> list[str]:
        """The ids of the traces, in the order in which each first appears."""
        return list(self._places)

    def trace(self, trace_id: str) -> Trace:
        """The trace of this id, whole."""
        trace = self.part(trace_id)
        join(trace)
        return trace

    def part(self, trace_id: str) -> Trace:
        """What these files hold of the trace of this id, as it came."""
        places = self._places[trace_id]
        holding = sorted({bisect_right(self._begins, place) - 1 for place in places})
        trace = Trace(trace_id, source=self._read[holding[0]][0].source)
        for place in places:
            self._spool.seek(place)
            trace.spans += pickle.load(self._spool)  # our own temporary file, written a moment ago
        for at in holding:
            trace.notes += self._read[at][0].of(trace_id)
        return trace


def _holds_nothing(notes: Notes) -> TraceFileError:
    why = "; ".join(notes.of(""))
    return TraceFileError("the file holds no spans" + (f": {why}" if why else ""), where=notes.source)


RUN = 512
"""Spans of one trace that are written together, where they come together."""


def _spool(spans: Iterator[Span], spool: Any, index: dict[str, list[int]]) -> None:
    """Append the spans to the spool, and their places to the index."""
    waiting: dict[str, list[Span]] = {}
    held = 0

    def write(trace_id: str) -> None:
        index[trace_id].append(spool.tell())
        pickle.dump(waiting.pop(trace_id), spool, pickle.HIGHEST_PROTOCOL)

    for span in spans:
        index.setdefault(span.trace_id, [])
        mine = waiting.setdefault(span.trace_id, [])
        mine.append(span)
        held += 1
        if held >= RUN:
            for trace_id in list(waiting):
                write(trace_id)
            held = 0
    for trace_id in list(waiting):
        write(trace_id)


# -- finding the format ----------------------------------------------------------------------------------


def _spans(source: Source, notes: Notes) -> Iterator[Span]:
    name = notes.source or ""
    with documents.opened(source) as raw:
        try:
            for inner, stream in documents.streams(raw, name):
                notes.source, notes.line = inner, None
                yield from _from_stream(stream, notes)
        except documents.UNPACKING as error:
            problem = f"the packed file is broken or breaks off: {line(str(error), 80)}"
            if not notes.tolerant:
                raise notes.refuse(problem) from error
            notes.say(problem)
        except OSError as error:
            raise notes.refuse(f"cannot be read: {error}") from error
        finally:
            notes.source = name


def _from_stream(stream: Any, notes: Notes) -> Iterator[Span]:
    head = stream.peek(4096)[:4096]
    for format in formats():
        for starts, spans in format.streams:
            if starts(head):
                yield from spans(stream, notes)
                return
    yield from _from_json(stream, notes)


def _from_json(stream: Any, notes: Notes) -> Iterator[Span]:
    format: Format | None = None
    resource: object = None
    for document in documents.documents(stream, notes):
        if format is None or not format.fits(document):
            found = next((each for each in formats() if each.fits(document)), None)
            if found is None:
                if _is_empty(document):
                    continue
                if notes.tolerant and format is not None:
                    notes.say(f"a line that is not {format.name} was left out", f"line {notes.line}")
                    continue
                raise _unknown(document, notes)
            format = found
        try:
            for span in format.spans(document, notes):
                looked_at = [span.attributes]
                if span.events:
                    looked_at += [each.attributes for each in span.events]
                if span.resource is not resource:  # many spans share theirs
                    looked_at.append(span.resource)
                if _too_deep(looked_at):
                    raise notes.refuse(
                        f"an attribute is nested more than {DEEPEST} deep", f"span {line(span.name, 40)}"
                    )
                resource = span.resource
                yield span
        except (TypeError, AttributeError, KeyError, ValueError, RecursionError) as error:
            raise notes.refuse(f"looks like {format.name} but has not its shape: {_short(error)}") from error


DEEPEST = 100
"""Lists and objects in each other that an attribute may hold; no real one comes near it."""


_HOLDERS = (dict, list, tuple)  # isinstance takes twice as long with a union of types


def _too_deep(held: Sequence[Attributes]) -> bool:
    level: list[Any] = [
        part for each in held for part in each.values() if isinstance(part, _HOLDERS) and part
    ]
    depth = 1
    while level and depth <= DEEPEST:
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [part for each in inner for part in each if isinstance(part, _HOLDERS) and part]
        depth += 1
    return bool(level)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {line(str(error), 120)}"


def _is_empty(document: Any) -> bool:
    """An answer that is right and holds nothing, such as ``{"data": []}``."""
    if isinstance(document, list | dict) and not document:
        return True
    return isinstance(document, dict) and any(
        document.get(key) == []
        for key in ("data", "resourceSpans", "batches", "spans", "observations", "runs")
    )


_ERRORS = ("error", "errors", "message", "detail")


def _unknown(document: Any, notes: Notes) -> TraceFileError:
    keys = ", ".join(line(str(key), 30) for key in list(document)[:8]) if isinstance(document, dict) else ""
    if isinstance(document, dict):
        told = next((document[key] for key in _ERRORS if document.get(key)), None)
        if told is not None:
            return notes.refuse(f"is an error answer of a server, not a trace: {line(str(told), 100)}")
    held = f"an object with {keys}" if keys else kind_of(document)
    known = ", ".join(format.name for format in formats())
    return notes.refuse(f"is JSON, but no trace that we know: {held}", hint=f"known are {known}")
