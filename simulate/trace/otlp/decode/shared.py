"""What the three ways of reading OTLP share: the rules for times, numbers and notes."""

from __future__ import annotations

from typing import Any, NamedTuple

from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import NANO_CEILING, NANO_FLOOR, Notes
from simulate.trace.span import Attributes

_INT_FLOOR, _INT_CEILING = -(2**63), 2**63


class Origin(NamedTuple):
    """What all spans of one scope share."""

    resource: Attributes
    scope: str
    version: str | None
    attributes: Attributes


def place(name: str) -> str:
    return f"span {line(name, 40)}"


def time(value: int, notes: Notes, name: str) -> int:
    return value if NANO_FLOOR <= value <= NANO_CEILING else odd_time(value, notes, name)


def odd_time(value: Any, notes: Notes, name: str) -> int:
    return base.nanoseconds(value, notes, place(name))


def whole_number(value: int) -> int | str:
    """No integer of OTLP has more than 64 bits; one that has is kept as text, as it is written."""
    return value if _INT_FLOOR <= value < _INT_CEILING else str(value)


def note_size(key: str, text: str, notes: Notes, name: str) -> None:
    where = place(name) if name else ""
    notes.say(f"attribute {line(key, 60)} holds {len(text) / 1e6:.1f} MB", where)
