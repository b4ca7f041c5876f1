"""HTTP/1.1's chunked framing, undone."""

from __future__ import annotations

from collections.abc import Iterator


class Dechunker:
    """Undoes it piece by piece (RFC 9112, section 7.1)."""

    def __init__(self) -> None:
        self.buffer = b""
        self.left = -1
        self.over = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What a piece of the stream holds of the body."""
        self.buffer += piece
        while not self.over:
            if self.left < 0:
                line, found, rest = self.buffer.partition(b"\r\n")
                if not found:
                    return
                self.left, self.buffer = int(line.split(b";")[0] or b"0", 16), rest
                if self.left == 0:
                    self.over = True
                    return
            data = self.buffer[: self.left]
            self.left -= len(data)
            self.buffer = self.buffer[len(data) :]
            if data:
                yield data
            if self.left or len(self.buffer) < 2:
                return
            self.buffer, self.left = self.buffer[2:], -1
