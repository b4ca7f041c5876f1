"""Compressed bytes unpacked within bounds: what is small and unpacks to far more than that is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

FREELY = 16 << 20
"""Bytes that may be unpacked before it matters how small they were packed."""
RATIO = 200
"""How many times its size something may unpack to; JSON of real traces reaches 50."""
MEMBERS = 100_000
"""How many gzip members may follow one another; an empty one has 20 bytes."""
GZIP, ZLIB, BARE = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS
_MADE = 1 << 18
_FIRST = 256
_SLICE = 64


class Unpacks(Exception):
    """Something unpacks to too much; the text says to what."""


class UnpackingLimit:
    """Counts what was packed and what it became."""

    def __init__(self) -> None:
        self.packed = self.made = 0

    def add(self, *, packed: int = 0, made: int = 0) -> None:
        """Raises Unpacks for what became far more than it was."""
        self.packed += packed
        self.made += made
        if self.made > max(FREELY, RATIO * self.packed):
            raise Unpacks(f"unpacks to more than {RATIO} times its size")


class Inflate:
    """gzip, one member after another (RFC 1952), or with other ``bits`` zlib's formats."""

    def __init__(self, bits: int = GZIP, bound: UnpackingLimit | None = None) -> None:
        self._bits, self._bound = bits, bound or UnpackingLimit()
        self._members, self._stream = 1, zlib.decompressobj(bits)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether what came so far is complete."""
        return self._stream.eof or not self._begun

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, in pieces of bounded size. Raises zlib.error, and Unpacks.

        The bytes are handed on in parts that grow within a member, since each end of a member copies what
        is left of its part: in whole, many short members would take the square of their number."""
        at, size = 0, _FIRST
        while at < len(data):
            if self._stream.eof:
                if self._bits != GZIP or not data[at]:  # zeros may pad a gzip file
                    at = len(data) if self._bits != GZIP else at + 1
                    continue
                self._next_member()
                size = _FIRST
            part = data[at : at + size]
            yield from self._unpacked(part)
            at += len(part) - len(self._stream.unused_data)
            size = min(2 * size, _MADE)

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MEMBERS:
            raise Unpacks(f"is more than {MEMBERS:,} gzip members")
        self._stream = zlib.decompressobj(self._bits)

    def _unpacked(self, part: bytes) -> Iterator[bytes]:
        self._begun = True
        left = part
        while True:
            made = self._stream.decompress(left, _MADE)
            taken = len(left) - len(self._stream.unconsumed_tail) - len(self._stream.unused_data)
            self._bound.add(packed=taken, made=len(made))
            if made:
                yield made
            left = self._stream.unconsumed_tail
            if self._stream.eof or (not left and len(made) < _MADE):
                return


def in_slices(undo: Callable[[bytes], bytes], data: bytes, bound: UnpackingLimit) -> Iterable[bytes]:
    """What ``undo``, which knows no bounds itself, makes of the data, a few bytes at a time."""
    for at in range(0, len(data), _SLICE):
        part = data[at : at + _SLICE]
        made = undo(part)
        bound.add(packed=len(part), made=len(made))
        if made:
            yield made
