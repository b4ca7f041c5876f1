"""JSON values in one form: as bytes for hashing, and made of whatever a tool was given."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, cast

import orjson


def canonical_json(value: Any) -> bytes:
    """One byte string for one JSON value: sorted keys, no spaces. NaN and infinities become null."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # integers beyond 64 bits, and whatever else only the slow way can say
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def short_hash(value: Any) -> str:
    """Ten hex digits that tell two JSON values apart, for component hashes."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:10]


def plain(value: Any) -> Any:
    """A JSON value with sorted keys of whatever a tool was given: models and dataclasses as dicts, the rest
    as text."""
    try:
        return orjson.loads(
            orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
        )
    except TypeError:
        # integers beyond 64 bits, or a value that nests too deeply for the fast way
        return json.loads(json.dumps(value, default=_plain, sort_keys=True))


def _plain(value: Any) -> Any:
    for method in ("model_dump", "to_dict", "_asdict"):
        dump = getattr(value, method, None)
        if callable(dump) and not isinstance(value, type):
            return dump()
    if isinstance(value, (set, frozenset)):
        return sorted(cast("set[Any]", value), key=str)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return str(value)
    # an object's default text holds its address, which no second run would have
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))
