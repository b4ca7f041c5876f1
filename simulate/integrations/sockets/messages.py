"""JSON messages with sound in them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from simulate.errors import InputError
from simulate.model.text import shorten


def parsed(message: str | bytes) -> dict[str, Any]:
    """A message as an object; raises InputError."""
    try:
        found = orjson.loads(message)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        shown = message if isinstance(message, str) else message[:60].decode(errors="replace")
        raise InputError(f"a message that is not a JSON object: {shorten(shown, 120)}")
    return found  # pyright: ignore[reportUnknownVariableType]


def sound_of(text: Any, what: str) -> bytes:
    """The bytes in base64, of either alphabet; raises InputError."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{what} whose sound is not base64") from error


def as_base64(data: bytes) -> str:
    """The other way."""
    return base64.b64encode(data).decode()
