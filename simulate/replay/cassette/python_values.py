"""What a tool gave, as JSON that gives the same value again: the same types, the same order.

JSON's own values stand as they are. Others are ``{"$python": NAME, "value": …}``: tuples, sets, bytes,
decimals, dates, UUIDs; and dataclasses, named tuples, enums and pydantic models by the name of their class,
which is looked for among the modules that are loaded and never imported.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel

from simulate.model.shapes import is_list, is_object

_TAG = "$python"
_TEXTS: dict[type[Any], tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    Decimal: (str, Decimal),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    timedelta: (
        lambda span: f"{span.days} {span.seconds} {span.microseconds}",
        lambda text: timedelta(*map(int, text.split())),
    ),
    UUID: (str, UUID),
    bytes: (bytes.hex, bytes.fromhex),
    int: (str, int),
    float: (str, float),
    str: (
        lambda text: text.encode("utf-8", "surrogatepass").hex(),
        lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    ),
}
"""What a text can say; numbers and texts where JSON cannot: beyond 64 bits, not finite, half an emoji."""
_SEQUENCES: tuple[type[Any], ...] = (tuple, set, frozenset)
_NAMES = {kind.__name__: kind for kind in (*_TEXTS, *_SEQUENCES, dict)}


class NotKept(Exception):
    """A value that a cassette cannot give again; ``str`` names its type."""


def to_json(value: Any) -> Any:
    """JSON for a value; raises NotKept for one that could not be given again as it is."""
    kind = cast("type[Any]", type(value))
    if value is None or kind is bool or (kind in (int, float, str) and _is_json(value)):
        return value
    if kind is list:
        return [to_json(one) for one in value]
    if kind is dict:
        members = cast("dict[Any, Any]", value)
        if _TAG not in members and all(type(name) is str for name in members):
            return {name: to_json(one) for name, one in members.items()}
        return _tagged(kind, [[to_json(name), to_json(one)] for name, one in members.items()])
    if kind in _TEXTS:
        return _tagged(kind, _TEXTS[kind][0](value))
    if kind in _SEQUENCES:
        return _tagged(kind, [to_json(one) for one in value])
    name = f"{kind.__module__}:{kind.__qualname__}"
    if _class_of(name) is not kind:
        raise NotKept(name)
    if isinstance(value, Enum):
        return {_TAG: name, "value": value.name}
    return {_TAG: name, "value": {field: to_json(getattr(value, field)) for field in _fields(kind, name)}}


def from_json(value: Any) -> Any:
    """The value that `to_json` was given; what redaction replaced in it is the text that stands there now."""
    if is_list(value):
        return [from_json(one) for one in value]
    if not is_object(value):
        return value
    members = value
    if members.keys() != {_TAG, "value"}:
        return {name: from_json(one) for name, one in members.items()}
    name, inner = str(members[_TAG]), members["value"]
    kind: Any = _NAMES.get(name) or _class_of(name)
    if kind in _TEXTS:
        try:
            return _TEXTS[kind][1](inner)
        except (ValueError, ArithmeticError):
            return inner
    if kind is dict:
        return {from_json(key): from_json(one) for key, one in inner}
    if kind in _SEQUENCES:
        return kind(from_json(one) for one in inner)
    if kind is None:
        return without_types(inner)
    return _revived(kind, inner)


def without_types(value: Any) -> Any:
    """The same as plain JSON, for those who have no use for Python's types."""
    if is_list(value):
        return [without_types(one) for one in value]
    if not is_object(value):
        return value
    members = value
    if members.keys() != {_TAG, "value"}:
        return {name: without_types(one) for name, one in members.items()}
    inner = members["value"]
    if members[_TAG] == "dict":
        return {str(without_types(name)): without_types(one) for name, one in inner}
    return without_types(inner)


def _is_json(value: float | str) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return value - value == 0  # neither infinite nor "not a number"


def _tagged(kind: type[Any], value: Any) -> dict[str, Any]:
    return {_TAG: kind.__name__, "value": value}


def _class_of(name: str) -> Any:
    """A class of a loaded module whose values are nothing but their fields; None for any other name."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    kind: Any = found if isinstance(found, type) else None
    if kind is None or dataclasses.is_dataclass(kind) or _is_named_tuple(kind):
        return kind
    return kind if issubclass(kind, BaseModel | Enum) else None


def _is_named_tuple(kind: Any) -> bool:
    return "_fields" in vars(kind) and issubclass(kind, tuple)


def _fields(kind: Any, name: str) -> list[str]:
    if issubclass(kind, BaseModel):
        return list(kind.model_fields)
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if _is_named_tuple(kind):
        return list(kind._fields)
    raise NotKept(name)


def _revived(kind: Any, inner: Any) -> Any:
    if issubclass(kind, Enum):
        return kind[inner]
    fields = {name: from_json(one) for name, one in cast("dict[str, Any]", inner).items()}
    if issubclass(kind, BaseModel):
        return kind.model_construct(**fields)
    if _is_named_tuple(kind):
        return kind(**fields)
    made = object.__new__(kind)
    for name, one in fields.items():
        object.__setattr__(made, name, one)
    return made
