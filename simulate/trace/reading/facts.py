"""A fact that a trace tells, or does not tell: a value, nothing (None, an empty object), or ``Unknown``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unknown:
    """What nobody recorded. ``why`` names the span and the attribute that is missing.

    It is neither true nor false, so that ``arguments or {}`` raises instead of taking it for nothing.
    """

    why: str
    recorded: bool = False
    """Whether it was recorded, in a form that cannot be read: then nothing else is taken for it."""

    def __bool__(self) -> NoReturn:
        raise TypeError(f"unknown is neither true nor false: {self.why}")


Fact: TypeAlias = T | Unknown
"""A value, which may be None for "known to be nothing", or ``Unknown``."""


@dataclass(frozen=True, slots=True)
class Visible:
    """Whether a trace would show something had it happened; ``why_not`` is empty where it would."""

    why_not: str = ""

    def __bool__(self) -> bool:
        return not self.why_not
