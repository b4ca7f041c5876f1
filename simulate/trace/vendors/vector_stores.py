"""Vector stores' spans: which are searches, and what they found.

Writes and deletions have spans of the same shape; the operation tells. What was found stands in events
(OpenLLMetry), in lists of ids and scores (traceAI), or in an attribute for each field (Redis).
"""

from __future__ import annotations

import re
from typing import Any

from simulate.model.shapes import is_object, object_of
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import decoded, documents, items, loose, printed, text
from simulate.trace.span import Attributes, Kind, Span, View

_STORES = frozenset(
    "chroma chromadb elasticsearch lancedb marqo milvus opensearch pinecone qdrant weaviate".split()  # noqa: SIM905
)
_SEARCH = re.compile(r"query|search|near_|hybrid|bm25|retrieve|similar", re.IGNORECASE)
_WRITE = re.compile(r"insert|upsert|add|delete|create|drop|load|index|bulk|update", re.IGNORECASE)
_SQL = re.compile(r"\s*(?:select|with)\b(?!.*\b(?:insert|update|delete|merge|create)\b)", re.I | re.S)
_OPERATOR = re.compile(r"<(?:=|-|#|\+)>")
"""Pgvector's. ``<=>`` is its alone in PostgreSQL, the others are also those of shapes and texts."""
_VECTORS = re.compile(r"vector|embed", re.I)
_DISTANCES = re.compile(
    r"\b(?:cosine|l1|l2|vector|vec|euclidean|inner_product)_?distance\w*\s*\(|\binner_product\s*\(",
    re.I,
)
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_RESULT = re.compile(r"db\.(?:query|search)\.result$")
_REDIS = re.compile(r"redis\.search\.xdoc_b'(?P<id>.*?)'\.b'(?P<field>.*)'$")


def _refine(span: Span, found: View) -> None:
    if found.kind is Kind.CHAIN and _is_search(span):
        found.kind = Kind.RETRIEVER
    if found.kind is Kind.RETRIEVER:
        found.query = found.query or _query(span.attributes)
        if found.documents is None:
            found.documents = _found(span)


def _is_search(span: Span) -> bool:
    attributes = span.attributes
    if "redis.search.query" in attributes:
        return True
    operation = str(attributes.get("db.operation.name") or attributes.get("db.operation") or "")
    if "db.vector.query.type" in attributes and not _WRITE.search(operation):
        return True
    system = str(attributes.get("db.system.name") or attributes.get("db.system")).lower()
    if _orders_by_distance(
        str(attributes.get("db.query.text") or attributes.get("db.statement") or ""), system
    ):
        return True
    vectors = system in _STORES or any(key.startswith("db.vector.") for key in attributes)
    return vectors and bool(_SEARCH.search(operation)) and not _WRITE.search(operation)


def _orders_by_distance(statement: str, system: str) -> bool:
    """Whether a statement, in SQL or MongoDB's, looks for what is near a vector, and writes nothing."""
    if "$vectorSearch" in statement:
        return not re.search(r"\$(?:out|merge)\b", statement)
    words = _QUOTED.sub("''", statement)
    near = bool(_DISTANCES.search(words))
    if system == "postgresql":
        near = near or "<=>" in words or bool(_OPERATOR.search(words) and _VECTORS.search(words))
    return near and bool(_SQL.match(words))


def _query(attributes: Attributes) -> str | None:
    """The words that were looked for, out of Elasticsearch's query; a vector has none."""
    asked = decoded(attributes.get("db.query.text"))
    held = object_of(asked).get("query")
    match = object_of(held).get("match")
    words = list(match.values()) if is_object(match) else []
    return words[0] if len(words) == 1 and isinstance(words[0], str) else None


def _found(span: Span) -> list[dict[str, Any]] | None:
    told = [_told(event.attributes, span) for event in span.events if _RESULT.match(event.name)]
    if told:
        return documents(told)
    ids = items(span.attributes.get("db.vector.results.ids"))
    scores = items(span.attributes.get("db.vector.results.scores"))
    if ids or scores:
        scores = None if _system(span) == "chroma" else scores  # those are distances
        count = max(len(ids or ()), len(scores or ()))
        columns = {"id": ids or [None] * count, "score": scores or [None] * count}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]
        return [{key: value for key, value in row.items() if value is not None} for row in rows]
    return _redis(span.attributes)


def _told(event: Attributes, span: Span) -> dict[str, Any]:
    """One result of OpenLLMetry's events; Milvus calls its score a distance."""
    told = {key.rpartition(".")[2]: value for key, value in event.items() if ".result." in key}
    held = loose(told.get("entity", told.get("metadata")))
    fields = object_of(held)
    score = told.get("score", told.get("distance") if _system(span) == "milvus" else None)
    content = told.get("document") or fields.get("text") or fields.get("content")
    return {"id": told.get("id"), "content": content, "score": score}


def _system(span: Span) -> str:
    return str(span.attributes.get("db.system")).lower()


def _redis(attributes: Attributes) -> list[dict[str, Any]] | None:
    rows: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        if part := _REDIS.match(key):
            row = rows.setdefault(part["id"], {"id": part["id"]})
            row[part["field"]] = _unprinted(value)
    return documents(list(rows.values())) if rows else None


def _unprinted(value: Any) -> str | None:
    """A text out of how Python prints bytes."""
    held = printed(str(value))
    return held.decode(errors="replace") if isinstance(held, bytes) else text(held)


DIALECT = Dialect(
    name="vector_stores",
    version="semantic-conventions 1.30",
    rank=49,
    marks=("db.", "redis.search.", "pinecone."),
    tells=False,
    any_names=(
        (r"\w*SearchClient\w*\._search_(get|post)$", Kind.RETRIEVER),
        (r"(SegmentAPI|RustBindingsAPI|(Async)?FastAPI)\._(query|search)$", Kind.RETRIEVER),  # Chroma's own
        (
            r"(?i:chroma|faiss|lancedb|milvus|opensearch|pgvector|pinecone|qdrant|weaviate)\w*"
            r"[.: _](a?similarity_search|a?max_marginal_relevance_search|query|search)",
            Kind.RETRIEVER,
        ),
    ),
    fields={"query": ("db.vector.query.content",)},
    refine=_refine,
)
