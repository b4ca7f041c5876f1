"""Spans that came a moment ago, as they were read then."""

from __future__ import annotations

import threading

from simulate.trace.span import Span


class Recent:
    """Spans by what they were packed as, so that who shares the process need not unpack them: the newest, up
    to ``most`` bytes packed. Each is handed out once."""

    def __init__(self, most: int = 8 << 20) -> None:
        self._most, self._held = most, 0
        self._spans: dict[bytes, list[Span]] = {}
        self._lock = threading.Lock()

    def keep(self, data: bytes, spans: list[Span]) -> None:
        """Remember the spans that unpacking ``data`` would give."""
        with self._lock:
            self._held += 0 if data in self._spans else len(data)
            self._spans[data] = spans
            while self._held > self._most:
                oldest = next(iter(self._spans))
                self._held -= len(oldest)
                del self._spans[oldest]

    def pop(self, data: bytes) -> list[Span] | None:
        """The spans of ``data``; None where they are not here."""
        with self._lock:
            spans = self._spans.pop(data, None)
            self._held -= 0 if spans is None else len(data)
        return spans
