"""How bodies stand in a cassette's files: as readable as they can be, and exact to the byte.

``{"json": …}`` where dumping the value again gives the same bytes, ``{"string": …}`` for text (a list: the
chunks of a stream, one a line), ``{"frames": …}`` for an event stream of AWS, ``{"base64": …}`` for the rest,
``{"blob": sha256}`` for what is large.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.model.shapes import is_list
from simulate.replay.cassette.aws_frames import Frame, frame_of, frames_in
from simulate.replay.cassette.stream_redaction import is_stream
from simulate.replay.matching.recordings import Chunk

LARGE = 65_536
"""Bytes from which a body lies beside, in a file of its own."""

_STYLES: dict[str, Callable[[Any], bytes]] = {
    "compact": orjson.dumps,
    "spaced": lambda value: json.dumps(value).encode(),
    "ascii": lambda value: json.dumps(value, separators=(",", ":")).encode(),
    "indented": lambda value: json.dumps(value, indent=2).encode(),
}


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
    frames = [_frame(part) for part in parts]
    if frames and None not in frames:
        return {"frames": frames}
    try:
        texts = [part.decode() for part in parts]
    except UnicodeDecodeError:
        return {"base64": [base64.b64encode(part).decode() for part in parts]}
    return {"string": texts[0] if len(texts) == 1 else texts}


def _frame(part: bytes) -> dict[str, Any] | None:
    found: list[tuple[Frame, int]] = frames_in(part) if part[:1] == b"\0" else []
    return found[0][0].readable() if len(found) == 1 and found[0][1] == len(part) else None


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
    if "frames" in body:
        return [frame_of(each).to_bytes() for each in body["frames"]]
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
    return value if is_list(value) else [value]


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
