"""Grafana Tempo: OTLP under another name. v1 calls it ``batches``, v2 wraps it in ``trace``."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulate.trace.files.base import Format, Notes
from simulate.trace.otlp import decode
from simulate.trace.span import Span


def fits(document: Any) -> bool:
    """``{"batches": …}`` or ``{"trace": {"resourceSpans" | "batches": …}}`` (Jaeger's v3 API: ``result``)."""
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("batches"), list):
        return True
    inner = _inner(document)
    return isinstance(inner, dict) and any(
        key in inner for key in ("resourceSpans", "resource_spans", "batches")
    )


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans inside the wrapping."""
    return decode.from_json(document if "batches" in document else _inner(document), notes)


def _inner(document: dict[str, Any]) -> Any:
    return document.get("trace") or document.get("result")


FORMAT = Format("Tempo", 10, fits, spans)
