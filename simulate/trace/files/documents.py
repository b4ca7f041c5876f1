"""From a path, a stream or stdin to JSON documents: gz and zip opened, JSON told from JSON lines, and what
is not a trace at all told by name."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import orjson

from simulate.errors import TraceFileError
from simulate.model.collecting import without_collecting
from simulate.model.text import line
from simulate.model.unpacking import Inflate, UnpackingLimit, Unpacks
from simulate.trace.files.base import Notes
from simulate.trace.otlp.ids import clean

Source = Path | str | BinaryIO

SPOOL = 16_000_000
"""Bytes that are kept in memory before a temporary file takes them."""


TRIAL = "trace.otlp.jsonl"
"""How a run calls the agent's trace in the folder of each conversation."""


def sources(*given: Source) -> list[Source]:
    """The files that these name, a folder replaced by what is in it: the agent's traces where it is the
    folder of a run, else every file that is not hidden. Raises TraceFileError for a folder without any."""
    found: list[Source] = []
    for source in given:
        if not isinstance(source, str | Path) or not Path(source).is_dir():
            found.append(source)
            continue
        folder = Path(source)
        inside = sorted(folder.rglob(TRIAL)) or sorted(
            path
            for path in folder.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
        if not inside:
            raise TraceFileError("is a folder without files", where=str(source))
        found += inside
    return found


def name_of(source: Source) -> str:
    """How errors and traces call the source."""
    if isinstance(source, str | Path):
        return "stdin" if str(source) == "-" else str(source)
    return str(getattr(source, "name", "stream"))


@contextmanager
def opened(source: Source) -> Generator[BinaryIO]:
    """The bytes of a source, whatever it is."""
    if not isinstance(source, str | Path):
        yield source
    elif str(source) == "-":
        yield sys.stdin.buffer
    else:
        path = Path(source)
        try:
            file = path.open("rb")
        except IsADirectoryError as error:
            raise TraceFileError("is a folder, not a trace file", where=str(path)) from error
        except OSError as error:
            raise TraceFileError(f"cannot be opened: {error.strerror}", where=str(path)) from error
        with file:
            yield file


PACKED = 5
"""How often a file may be packed in another one."""


def streams(source: BinaryIO, name: str, packed: int = 0) -> Iterator[tuple[str, io.BufferedReader]]:
    """The file itself, or what is inside of a gz or zip; each can be peeked at."""
    if packed > PACKED:
        raise TraceFileError(f"is packed more than {PACKED} times, one in the other", where=name)
    stream = source if isinstance(source, io.BufferedReader) else io.BufferedReader(cast(Any, source))
    head = stream.peek(4)[:4]
    if head[:2] == b"\x1f\x8b":
        yield from streams(_unzipped(stream, name), name, packed + 1)
    elif head == b"PK\x03\x04":
        with ExitStack() as stack:
            for inner, member in _members(stream, name, stack):
                yield from streams(member, inner, packed + 1)
    else:
        yield name, stream


class _Pieces(io.RawIOBase):
    """Reads what comes in pieces, and refuses what unpacks to far more than it was."""

    def __init__(self, pieces: Iterator[bytes], name: str) -> None:
        self._pieces, self._name, self._left = pieces, name, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while not self._left and (piece := next(self._pieces, b"")):
                self._left = memoryview(piece)
        except Unpacks as error:
            raise TraceFileError(
                str(error), where=self._name, hint="unpack it first, if it is what you expect"
            ) from None
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _unzipped(stream: BinaryIO, name: str) -> BinaryIO:
    def pieces() -> Iterator[bytes]:
        inflate = Inflate()
        while chunk := stream.read(1 << 16):
            yield from inflate.feed(chunk)
        if not inflate.whole:
            raise EOFError("it ends before its end-of-stream marker")

    return cast(BinaryIO, _Pieces(pieces(), name))


def _unpacked(member: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    # what the archive says itself is refused before any of it is unpacked; it may say less than there is
    UnpackingLimit().add(packed=info.compress_size, made=info.file_size)
    bound = UnpackingLimit()
    bound.add(packed=info.compress_size)
    while chunk := member.read(1 << 16):
        bound.add(made=len(chunk))
        yield chunk


def _members(stream: io.BufferedReader, name: str, stack: ExitStack) -> Iterator[tuple[str, BinaryIO]]:
    archive: Any = stream
    if not stream.seekable():
        archive = stack.enter_context(tempfile.SpooledTemporaryFile(SPOOL))  # noqa: SIM115 - the stack closes it
        while chunk := stream.read(1 << 20):
            archive.write(chunk)
    try:
        files = stack.enter_context(zipfile.ZipFile(archive))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise TraceFileError(f"is a broken zip: {line(str(error), 100)}", where=name) from error
    for info in files.infolist():
        hidden = Path(info.filename).name.startswith(".") or info.filename.startswith("__MACOSX")
        if not info.is_dir() and not hidden:
            try:
                member = files.open(info)
            except (RuntimeError, NotImplementedError, ValueError, OSError, zipfile.BadZipFile) as error:
                raise TraceFileError(
                    f"cannot be unpacked: {line(str(error), 100)}", where=f"{name}/{info.filename}"
                ) from error
            with member:
                inner = f"{name}/{info.filename}"
                yield (
                    inner,
                    cast(BinaryIO, _Pieces(_unpacked(member, info), inner)),
                )


UNPACKING = (EOFError, zlib.error, zipfile.BadZipFile)
"""What Python raises where a packed file breaks off."""


def documents(stream: io.BufferedReader, notes: Notes) -> Iterator[Any]:
    """Each JSON document: the whole file, one a line, or several one after the other."""
    stream = _as_utf8(stream)
    number, line = 1, stream.readline()
    while line and not line.strip():
        number, line = number + 1, stream.readline()
    if not line:
        raise notes.refuse("the file is empty")
    if line.lstrip()[:1] not in (b"{", b"["):
        raise _no_json(line + stream.read(4096), notes)
    try:
        first = load(line, notes)
    except ValueError:
        first = None
    if not isinstance(first, dict | list):
        yield from _whole(line + stream.read(), notes)
        return
    later = stream.readline()
    if later:
        notes.line = number
    yield first
    while later:
        number += 1
        notes.line = number
        if later.strip():
            following = stream.readline()
            yield from _line(later, notes, last=not following)
            later = following
        else:
            later = stream.readline()
    notes.line = None


def _line(line: bytes, notes: Notes, *, last: bool) -> Iterator[Any]:
    try:
        yield load(line, notes)
    except ValueError as error:
        problem = (
            "the file breaks off in the middle of this line"
            if last
            else f"the line is not JSON: {_short(error)}"
        )
        if not notes.tolerant:
            raise notes.refuse(problem, hint="--tolerant reads the lines that are whole") from error
        notes.say(f"{problem}; what is whole was read (line {notes.line})")


def _whole(data: bytes, notes: Notes) -> Iterator[Any]:
    try:
        yield load(data, notes)
        return
    except ValueError as error:
        problem = error
    several = _sequence(data)
    if several:
        yield from several
        return
    message = f"the JSON breaks off or is malformed: {_short(problem)}"
    if notes.tolerant:
        kept = salvaged(data)
        if kept is not None:
            notes.say(f"{message}; the spans before that place were read")
            yield kept
            return
    raise notes.refuse(message, hint="--tolerant reads the spans that are whole")


def _sequence(data: bytes) -> list[Any]:
    """Objects one after the other over several lines, as console exporters print them; else none."""
    text, place, found = data.decode("utf-8", "replace"), 0, list[Any]()
    decoder = json.JSONDecoder()
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        found.append(value)
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
    return found


_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]', re.DOTALL)
_HOLDS_RECORDS = frozenset([b'"spans"', b'"observations"', b'"runs"', b'"data"', b'"messages"', b'"traj"'])


def salvaged(data: bytes) -> Any:
    """A JSON document that breaks off, cut after its last whole span and closed there; else None."""
    stack, cut = list[tuple[bytes, bytes]](), None
    key = b""
    for token in _TOKEN.finditer(data):
        mark = token[0]
        if mark in b"{[":
            stack.append((mark, key))
            key = b""
        elif mark in b"}]":
            if not stack:
                break
            stack.pop()
            top = stack[-1] if stack else None
            if mark == b"}" and top and top[0] == b"[" and (top[1] in _HOLDS_RECORDS or len(stack) == 1):
                cut = token.end(), [opening for opening, _ in stack]
        else:
            key = mark
    if cut is None:
        return None
    end, opened_here = cut
    closing = b"".join(b"}" if mark == b"{" else b"]" for mark in reversed(opened_here))
    try:
        return orjson.loads(data[:end] + closing)
    except orjson.JSONDecodeError:
        return None


_INTEGER_ID = re.compile(rb'"(?:trace_?id|span_?id)"\s*:\s*\d{20}', re.IGNORECASE)


def load(data: bytes, notes: Notes) -> Any:
    """One JSON document. What orjson refuses and other writers write (NaN, halves of surrogate pairs, broken
    UTF-8) is read by the standard library, and said; so are ids that are integers of 128 bits, of which
    orjson would make a rounded float. Raises ValueError for what is no JSON."""
    # who writes one id as an integer writes them all so: looking at the first is enough
    if _INTEGER_ID.search(data, 0, 4096):
        return _load_slowly(data, notes)
    try:
        with without_collecting():
            return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        reason = str(error).lower()
        if b"NaN" in data or b"Infinity" in data or "surrogate" in reason or "utf-8" in reason:
            return _load_slowly(data, notes)
        raise


def _load_slowly(data: bytes, notes: Notes) -> Any:
    def constant(name: str) -> float:
        notes.say(f"{name} is written as a number, which JSON does not allow")
        return float(name.replace("Infinity", "inf"))

    try:
        text = data.decode()
    except UnicodeDecodeError:
        notes.say("some bytes are not UTF-8; they became U+FFFD")
        text = data.decode("utf-8", "replace")
    try:
        found = json.loads(text, parse_constant=constant)
        if "\\ud" in text.lower():
            plain = json.dumps(found, ensure_ascii=False)
            if plain != (whole := clean(plain)):
                notes.say("halves of surrogate pairs (of an emoji, say) became U+FFFD")
                found = json.loads(whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found


def _as_utf8(stream: io.BufferedReader) -> io.BufferedReader:
    """Byte order marks, among them the one that PowerShell's ``>`` writes, which makes UTF-16."""
    head = stream.peek(3)[:3]
    if head == b"\xef\xbb\xbf":
        stream.read(3)
    elif head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = stream.read().decode("utf-16", "replace")
        return io.BufferedReader(cast(Any, io.BytesIO(text.encode("utf-8", "replace"))))
    return stream


def _short(error: Exception) -> str:
    return line(str(error), 100)


_TITLE = re.compile(rb"<title[^>]*>([^<]{1,80})", re.IGNORECASE)


def _no_json(head: bytes, notes: Notes) -> TraceFileError:
    start = head.lstrip()
    if start[:1] == b"<":
        title = _TITLE.search(start)
        called = f" (“{line(title[1].decode('utf-8', 'replace').strip(), 80)}”)" if title else ""
        return notes.refuse(
            f"is an HTML or XML page{called}, not a trace",
            hint="a download without a session gets the login page; export again, signed in or with a key",
        )
    if b"\0" in start[:512]:
        return notes.refuse("is a binary file that is not a trace we know")
    first = start.split(b"\n", 1)[0].decode("utf-8", "replace")
    return notes.refuse(
        f"is text, not a trace; it starts with “{line(first, 60)}”",
        hint="a log is not a trace; export spans from the backend as OTLP JSON or in its own format",
    )
