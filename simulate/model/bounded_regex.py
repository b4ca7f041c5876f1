"""Regular expressions that users write, which end in bounded time whatever the text.

Python's ``re`` may need longer than anyone lives for ``^(a+)+$``, holds the interpreter meanwhile and hears
no signal. It stays in use where that cannot happen, since scenarios were written for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from simulate.errors import HarnessFault

SECONDS = 1.0
"""What one search may take."""
SHORT = 2000
"""Characters up to which a single repetition cannot take long, though its time grows with their square."""
_REPEATS = re.compile(r"\\.|([*+?{|])", re.DOTALL)


class BoundedRegex:
    """Like a compiled pattern of ``re``; a search that takes too long raises HarnessFault.

    Raises ``re.error`` for what is not a regular expression."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._re = re.compile(pattern)
        self._repeats = [found for found in _REPEATS.findall(pattern) if found]
        self._bounded: Any = None

    @property
    def groupindex(self) -> Mapping[str, int]:
        """The numbers of its named groups."""
        return self._re.groupindex

    def search(self, text: str) -> re.Match[str] | None:
        """The first place where it matches."""
        if self._is_quick(text):
            return self._re.search(text)
        return next(self._slow(text, "search"), None)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All places where it matches."""
        return self._re.finditer(text) if self._is_quick(text) else self._slow(text, "finditer")

    def _is_quick(self, text: str) -> bool:
        one = len(self._repeats) == 1 and self._repeats != ["|"]
        return not self._repeats or (one and len(text) <= SHORT)

    def _slow(self, text: str, method: str) -> Iterator[re.Match[str]]:
        if self._bounded is None:
            import regex  # takes a while, and most patterns do without

            self._bounded = regex.compile(self.pattern)
        try:
            found = getattr(self._bounded, method)(text, timeout=SECONDS)
            yield from found if method == "finditer" else [found] if found else []
        except TimeoutError:
            raise HarnessFault(
                f"the regular expression {self.pattern!r} found no end within {SECONDS:g} s in a text of "
                f"{len(text)} characters",
                hint="a repetition of repetitions, as in (a+)+, can be told apart in too many ways: write a+",
            ) from None


@lru_cache(maxsize=512)
def bounded(pattern: str) -> BoundedRegex:
    """The regular expression of this text, compiled once."""
    return BoundedRegex(pattern)
