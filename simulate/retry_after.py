"""How long a server asks to be left alone before the next try."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from simulate import determinism


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now, from ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date) or OpenAI's
    ``retry-after-ms``; None where the headers, which know no case, hold neither or something unreadable."""
    milliseconds, given = headers.get("retry-after-ms"), headers.get("retry-after", "")
    for text, unit in ((milliseconds or "", 0.001), (given, 1.0)):
        try:
            return max(0.0, float(text) * unit)
        except ValueError:
            continue
    try:
        due = parsedate_to_datetime(given).timestamp()
    except ValueError:
        return None
    return max(0.0, due - determinism.current().clock.time_ns() / 1e9)
