"""What a comparison leaves out, by the paths of its changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from simulate.model.json_path import covers, parse_path, place_of
from simulate.model.nearest import nearest
from simulate.trace.diff.change import Change
from simulate.trace.diff.result import Diff


class Ignore:
    """One path to ignore: a JSON path below the changes (``$.tools.send_mail.arguments.body``), also without
    its ``$``, or the name of a category. Raises InputError for what is not a path."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.met = False
        """Whether a change was there."""
        self._path = parse_path(text, short=True)

    def covers(self, place: str) -> bool:
        """Whether it names this place or something above it."""
        found = covers(self._path, place_of(place)) or self._as_before(place)
        self.met = self.met or found
        return found

    def _as_before(self, place: str) -> bool:
        """Without ``$``, ``*`` may also stand for several steps, as it did before these were JSON paths."""
        text = self.text
        return text[0] != "$" and (fnmatchcase(place, text) or fnmatchcase(place, f"{text}.*"))


def ignoring(diff: Diff, ignores: Sequence[Ignore]) -> None:
    """Take out of a diff what is ignored, and note the paths at which nothing differs."""
    if not ignores:
        return
    places = [place for change in (*diff.changes, *diff.varies) for place in _places(change)]
    diff.changes, diff.varies = (list(_kept(part, ignores)) for part in (diff.changes, diff.varies))
    diff.unmet = [each.text for each in ignores if not each.met]
    if diff.unmet:
        told = ", ".join(f"{path}{_meant(path, places)}" for path in diff.unmet)
        diff.notes.insert(0, f"nothing to ignore at {told}")


def _kept(changes: Sequence[Change], ignores: Sequence[Ignore]) -> Iterable[Change]:
    """The changes that nothing ignores, and of each the details that nothing ignores."""
    for change in changes:
        if _ignored(ignores, change.path, change.category.value):
            continue
        if change.details:
            left = [
                detail for detail in change.details if not _ignored(ignores, _place(change.path, detail.path))
            ]
            if not left:
                continue
            change = replace(change, details=left)
        yield change


def _ignored(ignores: Sequence[Ignore], *places: str) -> bool:
    """Each is asked, also after one has said yes: it has to know whether anything was there."""
    return sum(each.covers(place) for each in ignores for place in places) > 0


def _places(change: Change) -> list[str]:
    return [change.path, *(_place(change.path, detail.path) for detail in change.details)]


def _place(path: str, detail: str) -> str:
    return f"{path}{'' if detail[:1] in ('', '[') else '.'}{detail}"


def _meant(path: str, places: Sequence[str]) -> str:
    """Another path that differs and is spelt nearly so; not one that is only a part of it."""
    found = nearest(path.lstrip("$."), places)
    return f" (did you mean $.{found}?)" if found is not None else ""
