"""Responses without secrets and personal data, also where these are spread over the pieces of a stream.

A streamed answer is many events, each with a piece of some text. The pieces of one text, which is one call's,
item's, block's or choice's, are put together, looked through, and changed each in its own place, so that
nothing moves from one text into another. How TCP cut the events does not matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulate.model.secret_names import is_secret, is_secret_name
from simulate.model.shapes import is_list, is_object
from simulate.replay.cassette.aws_frames import frames_in, restyled
from simulate.replay.matching.recordings import Chunk
from simulate.replay.matching.rules import Rules
from simulate.trace.redaction.edits import edited_pieces

_LINES = ("ndjson", "jsonl", "json-seq", "x-json-stream")
_PLACES = ("index", "output_index", "content_index", "summary_index", "item_id", "contentBlockIndex")
"""What tells which text an event's piece belongs to: of a choice, an item, a block."""


def is_stream(content_type: str) -> bool:
    """Whether the pieces of such a body, and when they came, mean something."""
    return any(kind in content_type for kind in ("event-stream", "eventstream", "audio/", *_LINES))


def redacted(chunks: list[Chunk], content_type: str, rules: Rules) -> list[Chunk]:
    """The chunks of a response, decoded, as they may be kept. Of AWS's event streams, a chunk is a frame."""
    if "amazon.eventstream" in content_type:
        return _redacted_frames(chunks, rules)
    pieces = [content for _, content in chunks]
    whole = b"".join(pieces)
    try:
        text = whole.decode()
    except UnicodeDecodeError:
        return chunks
    if "event-stream" in content_type:
        events = list(_server_sent(whole))
    elif any(kind in content_type for kind in _LINES):
        events = [_Event(*match.span(), match[0]) for match in re.finditer(rb"[^\r\n]+", whole)]
    else:
        clean = _redacted_text(text, rules)
        return chunks if clean == text or not chunks else [(chunks[-1][0], clean.encode())]
    redacted_values([event.root for event in events], rules)
    edits = [(event.start, event.end, new) for event in events if (new := event.changed()) is not None]
    cleaned = edited_pieces(pieces, edits)
    return [(offset, piece) for (offset, _), piece in zip(chunks, cleaned, strict=True)]


def _redacted_text(text: str, rules: Rules) -> str:
    """A body that came whole: JSON text by text, since a number in it is not a telephone number."""
    try:
        value = json.loads(text)
    except ValueError:
        return rules.text(text)
    # Google streams a list of events, where it is not asked for server-sent ones
    parts: list[Any] = value if is_list(value) else [value]
    roots = [[part] for part in parts]
    redacted_values(roots, rules)
    made = [root[0] for root in roots] if is_list(value) else roots[0][0]
    return text if made == json.loads(text) else restyled(text, made)


def _redacted_frames(chunks: list[Chunk], rules: Rules) -> list[Chunk]:
    whole = b"".join(content for _, content in chunks)
    ends = list(_ends(chunks))
    frames = frames_in(whole)
    roots = [[frame.value] for frame, _ in frames]
    redacted_values(roots, rules)
    made: list[Chunk] = []
    for (frame, end), (value,) in zip(frames, roots, strict=True):
        clean = frame if value == frame.value else frame.with_value(value)
        made.append((next(offset for offset, until in ends if until >= end), clean.to_bytes()))
    # a frame that was cut off tells the client nothing, so it is not kept
    return made


def _ends(chunks: list[Chunk]) -> Iterator[tuple[float, int]]:
    end = 0
    for offset, content in chunks:
        end += len(content)
        yield offset, end


@dataclass(slots=True)
class _Event:
    """An event's data within a body; JSON, or else a text."""

    start: int
    end: int
    data: bytes
    root: list[Any] = field(init=False)
    """Holds the value alone, so that it can be replaced as a whole."""

    def __post_init__(self) -> None:
        self.root = [self._value()]

    def _value(self) -> Any:
        text = self.data.decode("utf-8", "replace")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def changed(self) -> bytes | None:
        """What stands there instead; None where nothing changed."""
        before, value = self._value(), self.root[0]
        if value == before:
            return None
        text = self.data.decode("utf-8", "replace")
        # a text that is no JSON has no other style than its own
        whole = value if isinstance(before, str) and before == text else restyled(text, value)
        return b"\ndata: ".join(whole.encode("utf-8", "surrogatepass").splitlines())


_FIELD = re.compile(rb"(?:(?<=[\r\n])|\A)data:[ ]?([^\r\n]*)(?:\r\n|\r|\n|\Z)")


def _server_sent(whole: bytes) -> Iterator[_Event]:
    """The data of server-sent events; lines that follow each other are one event's."""
    lines: list[re.Match[bytes]] = []
    for match in _FIELD.finditer(whole):
        if lines and match.start() != lines[-1].end():
            yield _joined(lines)
            lines = []
        lines.append(match)
    if lines:
        yield _joined(lines)


def _joined(lines: list[re.Match[bytes]]) -> _Event:
    return _Event(lines[0].start(1), lines[-1].end(1), b"\n".join(line[1] for line in lines))


@dataclass(slots=True)
class _Piece:
    """Where an event holds a piece of a text."""

    text: str
    put: Callable[[str], None]


def redacted_values(roots: list[list[Any]], rules: Rules) -> None:
    """Change the values, in place, as one stream."""
    texts: dict[tuple[Any, ...], list[_Piece]] = {}
    for root in roots:
        _gather(root, 0, (), texts, rules)
    for pieces in texts.values():
        given = [piece.text for piece in pieces]
        if len(set(given)) == 1:  # the same in each event: a name or an id, and no piece of anything
            made = [rules.text(text) for text in given]
        else:
            edits = [(each.start, each.end, each.new) for each in rules.edits("".join(given))]
            made = edited_pieces(given, edits) if edits else given
        for piece, new in zip(pieces, made, strict=True):
            if new != piece.text:
                piece.put(new)


def _gather(
    holder: Any, at: Any, place: tuple[Any, ...], texts: dict[tuple[Any, ...], list[_Piece]], rules: Rules
) -> None:
    value = holder[at]
    if isinstance(value, str):
        texts.setdefault(place, []).append(_Piece(value, lambda new: holder.__setitem__(at, new)))
    elif is_list(value):
        for index in range(len(value)):
            _gather(value, index, place, texts, rules)
    elif is_object(value):
        members = value
        which = tuple(members.get(name) or 0 for name in _PLACES)
        if not place:  # what kind of event it is
            which += (members.get("type"),)
        for name, inner in members.items():
            if is_secret_name(name) and (isinstance(inner, (dict, list)) or is_secret(name, inner)):
                members[name] = rules.named(name, inner)
            else:
                _gather(members, name, (*place, *which, name), texts, rules)
