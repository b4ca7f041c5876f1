"""AWS's event stream, which Bedrock answers with: binary frames, each with headers and a JSON payload.

A frame is its length, the length of its headers and a CRC of both; the headers; the payload; and a CRC of it
all. Numbers are big-endian, four bytes each.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from simulate.model.shapes import object_of

_STYLES: tuple[Callable[[Any], str], ...] = (
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    lambda value: json.dumps(value, separators=(",", ":")),
    lambda value: json.dumps(value, ensure_ascii=False),
    json.dumps,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One event."""

    headers: bytes
    payload: bytes

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        start = struct.pack(">II", 16 + len(self.headers) + len(self.payload), len(self.headers))
        start += struct.pack(">I", binascii.crc32(start))
        whole = start + self.headers + self.payload
        return whole + struct.pack(">I", binascii.crc32(whole))

    @property
    def value(self) -> Any:
        """The JSON of the payload; of a model that is invoked in its own form, the one inside. None where
        there is none."""
        try:
            value = json.loads(self.payload)
            inner = self._wrapped(value)
            return value if inner is None else json.loads(inner)
        except ValueError:
            return None

    def with_value(self, value: Any) -> Frame:
        """The same frame with another value, written as the old one was."""
        outer = json.loads(self.payload)
        inner = self._wrapped(outer)
        if inner is not None:
            text = restyled(inner.decode(), value)
            outer["bytes"] = base64.b64encode(text.encode()).decode()
            value = outer
        return replace(self, payload=restyled(self.payload.decode(), value).encode())

    @staticmethod
    def _wrapped(value: Any) -> bytes | None:
        members = object_of(value)
        return base64.b64decode(members["bytes"]) if isinstance(members.get("bytes"), str) else None

    def readable(self) -> dict[str, Any] | None:
        """The frame for a file that people read; None where it could not be made again from that."""
        try:
            made = {"headers": _headers_in(self.headers), "json": json.loads(self.payload)}
            inner = self._wrapped(made["json"])
            if inner is not None:
                made["inside"] = json.loads(inner)
                del made["json"]["bytes"]
        except (ValueError, struct.error, IndexError):
            return None
        return made if frame_of(made) == self else None


def frame_of(readable: dict[str, Any]) -> Frame:
    """The inverse of `Frame.readable`."""
    value = readable["json"]
    if "inside" in readable:
        inner = _STYLES[0](readable["inside"]).encode()
        value = {"bytes": base64.b64encode(inner).decode(), **value}
    headers = b"".join(header(name.encode(), text.encode()) for name, text in readable["headers"].items())
    return Frame(headers, _STYLES[0](value).encode())


def header(name: bytes, text: bytes) -> bytes:
    """A header whose value is a text."""
    return bytes([len(name)]) + name + b"\7" + struct.pack(">H", len(text)) + text


def _headers_in(data: bytes) -> dict[str, str]:
    """Headers are texts (type 7) in all that Bedrock sends. ValueError for any other."""
    found: dict[str, str] = {}
    while data:
        name, kind = data[1 : 1 + data[0]].decode(), data[1 + data[0]]
        if kind != 7:
            raise ValueError(name)
        data = data[2 + data[0] :]
        (length,) = struct.unpack(">H", data[:2])
        found[name], data = data[2 : 2 + length].decode(), data[2 + length :]
    return found


def frames_in(data: bytes) -> list[tuple[Frame, int]]:
    """The whole frames at the beginning of ``data``, each with where it ends."""
    found: list[tuple[Frame, int]] = []
    at = 0
    while len(data) - at >= 16:
        length, headers = struct.unpack(">II", data[at : at + 8])
        if length < 16 + headers or at + length > len(data):
            break
        start, end = at + 12, at + length
        frame = Frame(data[start : start + headers], data[start + headers : end - 4])
        found.append((frame, end))
        at = end
    return found


def restyled(text: str, value: Any) -> str:
    """JSON of ``value`` with the spaces and escapes that ``text``, the JSON of another one, has."""
    before = json.loads(text)
    style = next((each for each in _STYLES if each(before) == text), _STYLES[0])
    return style(value)
