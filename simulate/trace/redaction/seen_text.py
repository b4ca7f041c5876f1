"""A text as people see it: nothing invisible in it, and letters of full width as any other."""

from __future__ import annotations

import re
from bisect import bisect_right

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_WIDE = re.compile("[\uff01-\uff5e]")


class SeenText:
    """What is seen of a text, and where that lies in it."""

    def __init__(self, text: str) -> None:
        gone = [match.start() for match in _INVISIBLE.finditer(text)]
        self._gone = [at - before for before, at in enumerate(gone)]
        """How many visible characters stand before each of the others."""
        narrow = _WIDE.sub(lambda match: chr(ord(match[0]) - 0xFEE0), text)
        self.text = _INVISIBLE.sub("", narrow) if gone else narrow
        self.differs = self.text != text

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where ``self.text[start:end]`` lies in the text."""
        return self._place(start), self._place(end - 1) + 1

    def _place(self, at: int) -> int:
        return at + bisect_right(self._gone, at)
