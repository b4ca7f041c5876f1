"""Bodies without their content encoding, piece by piece: gzip, deflate, Brotli and Zstandard."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from simulate.model.unpacking import BARE, GZIP, ZLIB, Inflate, UnpackingLimit, Unpacks, in_slices

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
            left = [b"".join(undo(piece)) for piece in left]
        except Unpacks as error:
            raise NotDecoded(f"its body is encoded as {name} and {error}") from error
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


def _decoder(name: str) -> Callable[[bytes], Iterable[bytes]]:
    bound = UnpackingLimit()
    if name in {"gzip", "x-gzip"}:
        return Inflate(GZIP, bound).feed
    if name == "deflate":
        return _Deflate(bound).feed
    if name not in _PACKAGES:
        raise NotDecoded("the encoding is unknown")
    for package in _PACKAGES[name]:
        try:
            module: Any = importlib.import_module(package)
        except ImportError:
            continue
        if name == "zstd":
            undo = module.ZstdDecompressor().decompressobj(read_across_frames=True).decompress
        else:
            undo = module.Decompressor().process
        return lambda piece: in_slices(undo, piece, bound)
    raise NotDecoded(f"pip install {_PACKAGES[name][0]}")


class _Deflate:
    """zlib's format, as the standard says, or the bare one, which some servers send."""

    def __init__(self, bound: UnpackingLimit) -> None:
        self._bound = bound
        self._inner: Inflate | None = None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._inner is not None:
            yield from self._inner.feed(piece)
            return
        self._inner = Inflate(ZLIB, self._bound)
        try:
            yield from self._inner.feed(piece)
        except zlib.error:
            self._inner = Inflate(BARE, self._bound)
            yield from self._inner.feed(piece)
