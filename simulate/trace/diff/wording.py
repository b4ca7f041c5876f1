"""Small pieces of the sentences in which changes are told."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from simulate.model.shapes import is_list, is_object
from simulate.model.text import shorten
from simulate.trace.diff import content as contents
from simulate.trace.diff.change import Detail
from simulate.trace.reading.hidden import blacked_out

MOST_DETAILS = 24


def brief(value: Any, width: int = 60) -> str:
    """A value in a sentence: texts in quotes, long ones cut in the middle of nothing that matters."""
    if isinstance(value, str):
        return f"“{shorten(value, width)}”"
    if value is None:
        return "nothing"
    if isinstance(value, float):
        return f"{value:.6g}"
    return shorten(contents.dumped(value).decode("utf-8", "replace"), width)


def contrast(value: Any, other: Any, width: int = 60) -> tuple[str, str]:
    """Two values in a sentence; long texts that begin alike are shown from where they part."""
    if isinstance(value, str) and isinstance(other, str):
        one, two = " ".join(value.split()), " ".join(other.split())
        shared = 0
        for a, b in zip(one, two, strict=False):
            if a != b:
                break
            shared += 1
        if shared > width // 2:
            start = one.rfind(" ", 0, shared - width // 4) + 1
            return brief(f"…{one[start:]}", width), brief(f"…{two[start:]}", width)
    return brief(value, width), brief(other, width)


def times(count: int) -> str:
    """How often."""
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def seconds(value: float) -> str:
    """A duration as a person would give it."""
    return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.1f} s"


def listed(names: Counter[str], most: int = 3) -> str:
    """The commonest names with their counts; of a method's long name, its end."""
    parts = [
        _end(name) if count == 1 else f"{_end(name)} ×{count:,}" for name, count in names.most_common(most)
    ]
    rest = len(names) - most
    return ", ".join(parts) + (f" and {rest} more" if rest > 0 else "")


def _end(name: str) -> str:
    return name if len(name) <= 40 else ".".join(name.split(".")[-2:])


def turn_of(turn: int | None) -> str:
    """Where in the conversation, to end a sentence with."""
    return f" in turn {turn}" if turn else ""


def near(one: float, other: float, share: float, least: float = 0.0) -> bool:
    """Whether two numbers are within a relative share of the larger, or within ``least`` of each other."""
    gap = abs(one - other)
    return gap <= least or gap <= share * max(abs(one), abs(other))


def details(expected: Any, actual: Any, tolerance: float = 0.0) -> list[Detail]:
    """Where two plain values differ, by JSON path. Texts count by their wording, numbers by the tolerance.

    Members of objects, and items of lists of one length, are compared each with its own. DeepDiff finds what
    came and went in lists of different lengths; it is slow to import, and most changes are simpler.
    """
    found: list[Detail] = []
    waiting: list[tuple[str, Any, Any]] = [("", expected, actual)]
    while waiting:
        path, one, other = waiting.pop()
        if contents.same(one, other) or any(isinstance(it, str) and blacked_out(it) for it in (one, other)):
            continue
        if is_object(one) and is_object(other):
            mine, theirs = one, other
            keys = {**mine, **theirs}
            waiting.extend((_join(path, key), mine.get(key), theirs.get(key)) for key in keys)
        elif is_list(one) and is_list(other):
            before, after = one, other
            if len(before) == len(after):
                items = enumerate(zip(before, after, strict=True))
                waiting.extend((_join(path, index), *both) for index, both in items)
            else:
                found.extend(_of_lists(path, before, after))
        elif not _close(one, other, tolerance):
            found.append(Detail(path, one, other))
    found.sort(key=lambda detail: detail.path)
    return found[:MOST_DETAILS]


def _of_lists(path: str, before: list[Any], after: list[Any]) -> list[Detail]:
    from deepdiff import DeepDiff

    reports = cast(
        "dict[str, Any]",
        DeepDiff(before, after, view="tree", ignore_numeric_type_changes=True, verbose_level=2),
    )
    found: list[Detail] = []
    for report in reports.values():
        for item in report:
            values = [None if type(value).__name__ == "NotPresent" else value for value in (item.t1, item.t2)]
            if not contents.same(*values):
                place = path
                for part in item.path(output_format="list"):
                    place = _join(place, part)
                found.append(Detail(place, *values))
    return found


def _join(path: str, part: Any) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else str(part)


def _close(one: Any, other: Any, tolerance: float) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return (
        numbers
        and not isinstance(one, bool)
        and not isinstance(other, bool)
        and abs(one - other) <= tolerance
    )


def told(found: list[Detail]) -> str:
    """The first details, as a clause: ``order_id “4418” instead of “4417”``."""
    clauses: list[str] = []
    for detail in found[:2]:
        name = f"{detail.path} " if detail.path else ""
        if detail.actual is None:
            clauses.append(f"without {name}{brief(detail.expected, 40)}")
        elif detail.expected is None:
            clauses.append(f"with {name}{brief(detail.actual, 40)} added")
        else:
            now, was = contrast(detail.actual, detail.expected, 50)
            clauses.append(f"{name}{now} instead of {was}")
    more = len(found) - len(clauses)
    return ", ".join(clauses) + (f" and {more} more" if more > 0 else "")
