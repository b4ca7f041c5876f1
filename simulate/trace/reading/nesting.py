"""The nearest span of some kind above another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulate.trace.span import Span


class Above:
    """The nearest span above another that ``picks`` picks; every span is passed once, however deep."""

    def __init__(self, spans: Mapping[str, Span], picks: Callable[[Span], bool]) -> None:
        self._spans = spans
        self._picks = picks
        self._known: dict[str, Span | None] = {}
        """By span id: the nearest one, that span itself included."""

    def of(self, span: Span) -> Span | None:
        """None at the top, and where parents go round in a circle."""
        found: Span | None = None
        passed: dict[str, None] = {}
        at = span.parent_id or ""
        while at not in passed:
            if at in self._known:
                found = self._known[at]
                break
            here = self._spans.get(at)
            if here is None:
                break
            passed[at] = None
            if self._picks(here):
                found = here
                break
            at = here.parent_id or ""
        self._known.update(dict.fromkeys(passed, found))
        return None if found is span else found
