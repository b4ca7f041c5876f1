"""Values as people write them in a file, and the types by which the models take them.

A file keeps what a scalar looks like (see `yaml_loader`): ``012`` and ``no`` are text already when they get
here. What is left to decide is which of two readings a model wants of ``4417``: `AsWritten` takes the source
text, `Whole` and `Number` the number, `Data` whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
)

from simulate.model import matchers

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LONGEST = 366 * 86_400.0


class Written(float):
    """A number with a point as it stood in a file: ``42.50`` stays ``42.50`` where text is wanted."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Written:
        self = super().__new__(cls, text)
        self.text = text
        return self


def as_written(value: Any) -> Any:
    """The source text of a scalar; anything else is left for the model to refuse."""
    kind = cast("type[object]", type(value))
    if kind is str:
        return value
    if kind is bool:
        return "true" if value else "false"
    if kind is Written:
        return cast("Written", value).text
    if kind is int or kind is float:
        return str(value)
    return value


def plain(value: Any) -> Any:
    """The same data made of plain Python values only, so that every JSON writer takes it."""
    kind = cast("type[object]", type(value))
    if kind is Written:
        return float(value)
    if kind is dict:
        return {key: plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in cast("list[Any]", value)]
    return value


def seconds(value: Any) -> Any:
    """``"250ms"`` → 0.25. A float is seconds already, which only Python can say: in a file a bare number is
    refused, for of what unit would it be?"""
    if type(value) is float:
        found = value
    else:
        match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError("a duration needs a unit: 250ms, 1.5s, 2m or 1h")
        found = float(match[1]) * _SECONDS[match[2]]
    if not 0.0 <= found <= _LONGEST:
        raise ValueError("a duration lies between 0s and a year")
    return found


def number(value: Any) -> Any:
    """A number, also one with an exponent, which looks like text elsewhere; never ``true``."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, float) else value


def compiles(value: str) -> str:
    """Refuse what is not a regular expression before anything runs."""
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def mapping_or(other: str) -> Discriminator:
    """Reads ``<mapping>`` where a mapping stands and ``other`` elsewhere, so that a mistake is reported once
    and not once for each form that a value may take."""

    def form(value: Any) -> str:
        return other if value is None or isinstance(value, str | int | float | list) else "<mapping>"

    return Discriminator(cast("Callable[[Any], Any]", form))


_SCALAR = Annotated[Any, WithJsonSchema({"type": ["string", "number", "boolean"]})]

AsWritten = Annotated[str, BeforeValidator(as_written, json_schema_input_type=_SCALAR)]
"""Text, taken as it stands in the file even where it looks like something else."""

Regex = Annotated[AsWritten, AfterValidator(compiles)]
"""A regular expression in Python's syntax."""

Data = Annotated[Any, BeforeValidator(plain)]
"""Any value; what it looks like is what it is."""


T = TypeVar("T")


def matchable(value: T) -> T:
    """Refuse a matcher that could never work before anything runs."""
    matchers.check(value)
    return value


Arguments = Annotated[dict[str, Data], AfterValidator(matchable)]
"""Values by name, each of which may be a matcher."""

Whole = StrictInt
Flag = StrictBool

Turn = Annotated[Whole, Field(ge=0)]
"""A turn of the caller, from 1; 0 is what the agent says before."""

Number = Annotated[
    float, BeforeValidator(number, json_schema_input_type=float), Field(strict=True, allow_inf_nan=False)
]

Duration = Annotated[
    float,
    BeforeValidator(
        seconds,
        json_schema_input_type=Annotated[
            str, Field(pattern=r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h)|\{\{.+\}\})\s*$", examples=["1.5s", "250ms"])
        ],
    ),
]
"""Seconds; written ``250ms``, ``1.5s``, ``2m`` or ``1h`` in a file."""
