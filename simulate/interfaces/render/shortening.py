"""Large fields are cut before they reach a page, with a count and the place where the whole stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulate.model.json_values import plain
from simulate.model.shapes import is_list, is_object

ITEMS = 500
"""Entries of one list or mapping that a page shows."""


class Clip:
    """Cuts the texts of one object: each to ``each`` characters, all together to ``budget``.

    ``whole`` names the file where the uncut object stands.
    """

    def __init__(self, *, each: int = 20_000, budget: int = 80_000, whole: str | None = None) -> None:
        self.each = each
        self.left = budget
        self.whole = whole

    def __call__(self, value: Any) -> Any:
        """The same in plain JSON values, cut."""
        return self._cut(plain(value))

    def _cut(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if is_list(value):
            entries = value
            cut = [self._cut(entry) for entry in entries[:ITEMS]]
            if len(entries) > ITEMS:
                cut.append(self._more(len(entries) - ITEMS, "entries"))
            return cut
        if is_object(value):
            return self._mapping(value)
        return value

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        cut: dict[str, Any] = {}
        for number, (key, entry) in enumerate(value.items()):
            if number == ITEMS:
                cut["…"] = self._more(len(value) - ITEMS, "entries")
                break
            cut[key[:500]] = self._cut(entry)
        return cut

    def _text(self, text: str) -> str:
        room = min(self.each, max(self.left, 200))
        self.left -= min(len(text), room)
        if len(text) <= room:
            return text
        return f"{text[:room]} {self._more(len(text) - room, 'characters')}"

    def _more(self, count: int, what: str) -> str:
        where = f"; all of it is in {self.whole}" if self.whole else ""
        return f"… ({count:,} more {what}{where})"
