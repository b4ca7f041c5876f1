"""Portkey's gateway, seen by its headers where an HTTP instrumentation captures them."""

from __future__ import annotations

from typing import Any

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import known, texts

_HEADER = "http.response.header.x-portkey-"
_ASKED = "http.request.header.x-portkey-provider"


def _first(value: Any) -> str | None:
    """Header attributes are lists by the conventions."""
    found = texts(value)
    return known(found[0]) if found else None


def _hit(value: Any) -> bool | None:
    status = _first(value)
    return None if status is None else "HIT" in status.upper()


DIALECT = Dialect(
    name="portkey",
    version="headers of 2026",
    rank=46,
    marks=(_HEADER, _ASKED),
    tells=False,
    fields={
        "gateway.original_target": ((_ASKED, _first),),
        "gateway.cache_hit": ((f"{_HEADER}cache-status", _hit),),
        "gateway.route": ((f"{_HEADER}last-used-option-index", _first),),
        "gateway.retries": ((f"{_HEADER}retry-attempt-count", _first),),
    },
)
