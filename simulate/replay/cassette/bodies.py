"""How bodies stand in a cassette's files: as readable as they can be, and exact to the byte.

``{"json": …}`` where dumping the value again gives the same bytes, ``{"string": …}`` for text (a list: the
chunks of a stream, one a line), ``{"base64": …}`` for the rest, ``{"blob": sha256}`` for what is large.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.replay.matching.recordings import Chunk
from simulate.replay.matching.rules import Rules

LARGE = 65_536
"""Bytes from which a body lies beside, in a file of its own."""

_STYLES: dict[str, Callable[[Any], bytes]] = {
    "compact": orjson.dumps,
    "spaced": lambda value: json.dumps(value).encode(),
    "ascii": lambda value: json.dumps(value, separators=(",", ":")).encode(),
    "indented": lambda value: json.dumps(value, indent=2).encode(),
}
_STREAMS = ("text/event-stream", "ndjson", "jsonl", "vnd.amazon.eventstream", "audio/")


def is_stream(content_type: str) -> bool:
    """Whether the pieces of such a body, and when they came, mean something."""
    return any(kind in content_type for kind in _STREAMS)


def pack(chunks: list[Chunk], content_type: str, blobs: dict[str, bytes]) -> tuple[dict[str, Any], str]:
    """A body for the file, and the offsets of its chunks in ms, as text."""
    if not is_stream(content_type) and chunks:
        chunks = [(chunks[-1][0], b"".join(content for _, content in chunks))]
    offsets = " ".join(f"{offset:.1f}" for offset, _ in chunks)
    return _packed([content for _, content in chunks], blobs), offsets


def _packed(parts: list[bytes], blobs: dict[str, bytes]) -> dict[str, Any]:
    whole = b"".join(parts)
    if len(whole) > LARGE:
        name = hashlib.sha256(whole).hexdigest()
        blobs[name] = whole
        return {"blob": name, "lengths": " ".join(str(len(part)) for part in parts)}
    if len(parts) == 1 and whole[:1] in b"{[" and whole:
        try:
            value = orjson.loads(whole)
            for style, dump in _STYLES.items():
                if dump(value) == whole:
                    return {"json": value, "style": style}
        except orjson.JSONDecodeError:
            pass  # not JSON after all: text
    try:
        texts = [part.decode() for part in parts]
    except UnicodeDecodeError:
        return {"base64": [base64.b64encode(part).decode() for part in parts]}
    return {"string": texts[0] if len(texts) == 1 else texts}


def unpack(body: dict[str, Any], offsets: str, blob: Callable[[str], bytes]) -> list[Chunk]:
    """The chunks again; the inverse of `pack`."""
    parts = _unpacked(body, blob)
    times = [float(text) for text in offsets.split()]
    if len(times) != len(parts):
        times = [0.0] * len(parts)
    return list(zip(times, parts, strict=True))


def _unpacked(body: dict[str, Any], blob: Callable[[str], bytes]) -> list[bytes]:
    if "json" in body:
        return [_STYLES[body.get("style", "compact")](body["json"])]
    if "blob" in body:
        whole = blob(body["blob"])
        parts: list[bytes] = []
        for length in (int(text) for text in str(body.get("lengths", len(whole))).split()):
            parts.append(whole[:length])
            whole = whole[length:]
        return parts
    if "base64" in body:
        return [base64.b64decode(part) for part in _listed(body["base64"])]
    if "base64_string" in body:  # how vcrpy's JSON cassettes name it
        return [base64.b64decode(body["base64_string"])]
    if body.get("string") is None:
        return []
    return [
        part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        for part in _listed(body["string"])
    ]


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def inflated(chunks: list[Chunk], encoding: str) -> list[Chunk] | None:
    """The chunks without their content encoding; None where it is one that we cannot undo piece by piece."""
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        return None
    plain = zlib.decompressobj(zlib.MAX_WBITS | (16 if "gzip" in encoding else 0))
    try:
        return [(offset, plain.decompress(content)) for offset, content in chunks]
    except zlib.error:
        return None


_DELTAS = (
    ("choices", 0, "delta", "content"),
    ("choices", 0, "delta", "tool_calls", 0, "function", "arguments"),
    ("delta",),
    ("delta", "text"),
    ("delta", "partial_json"),
)


def redacted(chunks: list[Chunk], content_type: str, rules: Rules) -> list[Chunk]:
    """Placeholders in a response, also where what must go is spread over the pieces of a stream."""
    try:
        texts = [(offset, content.decode()) for offset, content in chunks]
    except UnicodeDecodeError:
        return chunks
    if not is_stream(content_type):
        whole = "".join(text for _, text in texts)
        clean = _redacted_json(whole, rules)
        return chunks if clean == whole else [(texts[-1][0], clean.encode())]
    if "event-stream" not in content_type:
        return [(offset, rules.text(text).encode()) for offset, text in texts]
    cleaned = texts
    for path in _DELTAS:
        cleaned = _redacted_deltas(cleaned, path, rules.text)
    cleaned = [
        (offset, _DATA.sub(lambda match: "data: " + _redacted_json(match[1], rules), text))
        for offset, text in cleaned
    ]
    return [(offset, text.encode()) for offset, text in cleaned]


def _redacted_json(text: str, rules: Rules) -> str:
    """Text by text, as the request's side does it: a number in JSON is not a telephone number."""
    try:
        value = json.loads(text)
    except ValueError:
        return rules.text(text)
    clean = rules.value(value)
    return text if clean == value else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))


def _redacted_deltas(
    texts: list[tuple[float, str]], path: tuple[str | int, ...], redact: Callable[[str], str]
) -> list[tuple[float, str]]:
    """Where the joined pieces hold something to hide, the first piece says it all, and the others nothing."""
    pieces: list[str] = []

    def visit(match: re.Match[str], change: Callable[[str], str]) -> str:
        try:
            event = json.loads(match[1])
        except ValueError:
            return match[0]
        holder: Any = event
        try:
            for step in path[:-1]:
                holder = holder[step]
            old = holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            return match[0]
        if not isinstance(old, str):
            return match[0]
        new = change(old)
        if new == old:
            return match[0]
        holder[path[-1]] = new
        return "data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":"))

    def collect(old: str) -> str:
        pieces.append(old)
        return old

    for _, text in texts:
        _DATA.sub(lambda match: visit(match, collect), text)
    joined = "".join(pieces)
    clean = redact(joined)
    if clean == joined:
        return texts
    rest = iter([clean] + [""] * len(pieces))
    return [
        (offset, _DATA.sub(lambda match: visit(match, lambda _: next(rest)), text)) for offset, text in texts
    ]


_DATA = re.compile(r"^data: *(\{.*\})\r?$", re.MULTILINE)


def blob_reader(folder: Any) -> Callable[[str], bytes]:
    """Read blobs of a cassette's folder, by the hash that names them."""

    def read(name: str) -> bytes:
        path = folder / "blobs" / name
        try:
            content = cast("bytes", path.read_bytes())
        except OSError as error:
            raise InputError(
                f"the blob {name[:12]}… is missing", where=str(folder), hint="record the cassette again"
            ) from error
        if hashlib.sha256(content).hexdigest() != name:
            raise InputError(
                f"the blob {name[:12]}… is damaged: its content has another hash",
                where=str(folder),
                hint="restore it, or record the cassette again",
            )
        return content

    return read
