"""Any value as JSON: writing never fails on what an agent may have said or returned."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Mapping, Set
from typing import Any, cast

import orjson

MAX_DEPTH = 60
"""Deeper values become text: a list that holds itself must not hang a report."""


def to_json(value: Any) -> bytes:
    """Any dataclass of this package, or plain data, as JSON; NaN and infinity, which JSON lacks, as null."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(plain(value))


def plain(value: Any, depth: int = 0) -> Any:
    """The same in JSON's own types. Bytes become base64, sets lists, anything unknown its ``repr``."""
    if isinstance(value, str):
        return str(value) if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return _text(value) if depth >= MAX_DEPTH else _many(value, depth + 1)


def object_in(text: str) -> dict[str, Any] | None:
    """The JSON object in what a model said, fenced or with words around it; None where there is none."""
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1]) if 0 <= start < end else None
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _many(value: Any, depth: int) -> Any:
    # plain types first: most of what is written are dicts and lists, and asking an abstract type is slow
    if isinstance(value, dict | Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {plain(_text(key)): plain(item, depth) for key, item in pairs}
    if isinstance(value, list | tuple | Set):
        return [plain(item, depth) for item in cast("list[Any]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), depth) for field in dataclasses.fields(value)}
    return plain(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return repr(value)[:10_000]
    except Exception as error:  # noqa: BLE001  the repr is a foreign program
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
