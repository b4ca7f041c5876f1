"""Bodies without their content encoding, piece by piece: gzip, deflate, Brotli and Zstandard."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Sequence
from typing import Any

_PACKAGES = {"br": ("brotli", "brotlicffi"), "zstd": ("zstandard",)}


class NotDecoded(Exception):
    """A body cannot be read; the text says why, and which package could."""


def decoded(pieces: Sequence[bytes], encoding: str) -> list[bytes]:
    """The pieces without ``encoding``, the value of a ``Content-Encoding`` header; as many as were given.

    A name that is no encoding is nothing to undo where the body is text. Raises NotDecoded."""
    left = list(pieces)
    if not any(left):
        return left
    for name in reversed([word.strip().lower() for word in encoding.split(",") if word.strip()]):
        if name == "identity":
            continue
        try:
            undo = _decoder(name)
            left = [undo(piece) if piece else piece for piece in left]
        except Exception as error:  # each package has errors of its own
            # readable as it is: the header told of an encoding that nobody had applied
            if not _is_text(left):
                why = error if isinstance(error, NotDecoded) else f"it is damaged: {error}"
                raise NotDecoded(f"its body is encoded as {name}: {why}") from error
    return left


def _is_text(pieces: list[bytes]) -> bool:
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True


def _decoder(name: str) -> Callable[[bytes], bytes]:
    if name in {"gzip", "x-gzip"}:
        return _Members().feed
    if name == "deflate":
        return _Deflate().feed
    if name not in _PACKAGES:
        raise NotDecoded("nobody knows that encoding")
    for package in _PACKAGES[name]:
        try:
            module: Any = importlib.import_module(package)
        except ImportError:
            continue
        if name == "zstd":
            return module.ZstdDecompressor().decompressobj(read_across_frames=True).decompress
        return module.Decompressor().process
    raise NotDecoded(f"pip install {_PACKAGES[name][0]}")


class _Members:
    """gzip: one member after another (RFC 1952)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, piece: bytes) -> bytes:
        made = self._member.decompress(piece)
        while self._member.eof and self._member.unused_data.strip(b"\0"):
            rest = self._member.unused_data
            self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            made += self._member.decompress(rest)
        return made


class _Deflate:
    """zlib's format, as the standard says, or the bare one, which some servers send."""

    def __init__(self) -> None:
        self._inner: Any = None

    def feed(self, piece: bytes) -> bytes:
        if self._inner is not None:
            return self._inner.decompress(piece)
        self._inner = zlib.decompressobj()
        try:
            return self._inner.decompress(piece)
        except zlib.error:
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inner.decompress(piece)
