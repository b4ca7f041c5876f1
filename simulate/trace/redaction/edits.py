"""Replacements in a text, and in a text that came in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import AnyStr


@dataclass(frozen=True, slots=True)
class Edit:
    """``text[start:end]`` becomes ``new``."""

    start: int
    end: int
    new: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they stand in order and do not overlap."""
    parts, last = list[str](), 0
    for each in edits:
        parts += [text[last : each.start], each.new]
        last = each.end
    return "".join([*parts, text[last:]]) if parts else text


def edited_pieces(pieces: Sequence[AnyStr], edits: Iterable[tuple[int, int, AnyStr]]) -> list[AnyStr]:
    """As many pieces as before. An edit's positions are those of the joined pieces; what is new goes into the
    piece in which the edit begins, and the pieces that it reaches over lose their part."""
    made: list[AnyStr] = []
    todo = list(edits)
    begin = 0
    for piece in pieces:
        end = begin + len(piece)
        at, new_piece = begin, piece[:0]
        while todo and todo[0][0] < end:
            start, stop, new = todo[0]
            if start >= begin:
                new_piece += piece[at - begin : start - begin] + new
            at = min(stop, end)
            if stop > end:
                break
            todo.pop(0)
        made.append(new_piece + piece[at - begin :])
        begin = end
    return made
