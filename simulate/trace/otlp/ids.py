"""Ids and texts as OTLP can hold them, and back: the same rules for everything that is read and written."""

from __future__ import annotations

import hashlib
import re

from simulate.model.shapes import list_of
from simulate.trace.span import Attributes, Link, Span

SOURCE_IDS = "simulate.source.ids"
"""Ids of sources that do not use OpenTelemetry's (Langfuse, LangSmith): the writer derives OTLP ids and keeps
the source's in this attribute; the reader puts them back."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


def otlp_ids(span: Span) -> tuple[str, str, str | None, Attributes]:
    """Trace, span and parent id that OTLP can hold, and the attributes, with the source's ids where they
    differ."""
    fits = _TRACE_ID.fullmatch(span.trace_id) and _SPAN_ID.fullmatch(span.span_id)
    if fits and (span.parent_id is None or _SPAN_ID.fullmatch(span.parent_id)):
        return span.trace_id, span.span_id, span.parent_id, span.attributes
    parent = derived(span.parent_id, 16) if span.parent_id is not None else None
    kept = span.attributes | {SOURCE_IDS: [span.trace_id, span.span_id, span.parent_id or ""]}
    return derived(span.trace_id, 32), derived(span.span_id, 16), parent, kept


def link_ids(link: Link) -> tuple[str, str, Attributes]:
    """A link's ids as OTLP can hold them, and its attributes, with the source's ids where they differ."""
    if _TRACE_ID.fullmatch(link.trace_id) and _SPAN_ID.fullmatch(link.span_id):
        return link.trace_id, link.span_id, link.attributes
    kept = link.attributes | {SOURCE_IDS: [link.trace_id, link.span_id]}
    return derived(link.trace_id, 32), derived(link.span_id, 16), kept


def restore_ids(item: Span | Link) -> None:
    """Put back the ids that the source had, where the writer had to derive OTLP ids for them."""
    found = item.attributes.get(SOURCE_IDS)
    ids = list_of(found)
    due = 3 if isinstance(item, Span) else 2
    if len(ids) != due or not all(isinstance(part, str) for part in ids):
        return
    del item.attributes[SOURCE_IDS]
    item.trace_id, item.span_id = ids[:2]
    if isinstance(item, Span):
        item.parent_id = ids[2] or None


def derived(source_id: str, digits: int) -> str:
    """The id itself where it fits, a UUID without its dashes as a trace id, and otherwise a hash: the same
    source id always gets the same one."""
    pattern = _TRACE_ID if digits == 32 else _SPAN_ID
    bare = source_id.replace("-", "").lower()
    if pattern.fullmatch(bare):
        return bare
    return hashlib.blake2b(source_id.encode("utf-8", "surrogatepass"), digest_size=digits // 2).hexdigest()


def clean(text: str) -> str:
    """Half of a surrogate pair (a text cut in the middle of an emoji) has no UTF-8; it becomes U+FFFD."""
    if text.isascii():  # which costs nothing
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
