"""Units as people write them."""

from __future__ import annotations

import re
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(value: Any) -> Any:
    """``"250ms"`` → 0.25. A bare number is refused: of what unit would it be?"""
    if isinstance(value, float):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration needs a unit: 250ms, 1.5s, 2m or 1h")
    return float(match[1]) * _SECONDS[match[2]]
