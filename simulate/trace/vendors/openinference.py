"""OpenInference (Arize): its own kinds, flattened messages, ``llm.token_count``; and Phoenix's files.

Those are flat spans of its API, and dataframes of its client as JSON, CSV or parquet. A dataframe has a
column ``attributes.llm.model_name`` for each attribute, and lists of objects in one column
(``attributes.llm.input_messages``); they become the dotted, numbered names of OpenInference again.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import ast
import csv
import io
import math
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import orjson

from simulate.errors import MissingExtra
from simulate.model.shapes import is_list, is_object
from simulate.model.text import line
from simulate.trace.files import base, plain
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.parts import not_a_schema
from simulate.trace.reading.values import decoded, known
from simulate.trace.span import Attributes, Kind, Span, View

_KINDS: dict[str, Kind | None] = {
    "llm": Kind.LLM,
    "chain": Kind.CHAIN,
    "agent": Kind.AGENT,
    "tool": Kind.TOOL,
    "retriever": Kind.RETRIEVER,
    "embedding": Kind.EMBEDDING,
    "reranker": Kind.RERANKER,
    "guardrail": Kind.GUARDRAIL,
    "evaluator": Kind.EVALUATOR,
    "prompt": Kind.CHAIN,
    "audio": None,
    "unknown": None,
}


def unwrap_tools(found: View) -> None:
    """Tool definitions as such, out of what the flattened attributes wrap round them."""
    if found.tool_definitions is not None:
        found.tool_definitions = [_tool(definition) for definition in found.tool_definitions]


def _tool(definition: Any) -> Any:
    """``{"tool": {"json_schema": "…"}}`` as the definition itself."""
    if not is_object(definition):
        return definition
    held = definition
    inner = cast("dict[str, Any]", held.get("tool", held))
    return decoded(inner["json_schema"]) if "json_schema" in inner else inner


def take_parameters(given: dict[str, Any], found: View) -> None:
    """The request's parameters; its model too, where the span ended before an answer named one."""
    found.request_model = found.request_model or known(given.get("model"))
    for name, value in given.items():
        if name not in ("messages", "tools", "input", "model"):
            found.parameters.setdefault(name, value)


def _refine(span: Span, found: View) -> None:
    unwrap_tools(found)
    if found.provider is None and "ls_provider" in str(beside := span.attributes.get("metadata")):
        told = decoded(beside)  # LangChain's own bookkeeping
        found.provider = known(told.get("ls_provider")) if is_object(told) else None
    parameters = decoded(span.attributes.get("llm.invocation_parameters"))
    if is_object(parameters):
        take_parameters(parameters, found)


DIALECT = Dialect(
    name="openinference",
    version="0.1.30",
    rank=30,
    scopes=("openinference.",),
    marks=(
        "openinference.",
        "llm.input_messages",
        "llm.output_messages",
        "llm.token_count",
        "llm.model_name",
    ),
    kinds={"openinference.span.kind": _KINDS},
    fields={
        "provider": ("llm.provider", "llm.system"),
        "request_model": ("llm.model_name", "embedding.model_name", "reranker.model_name"),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_tokens": ("llm.token_count.prompt_details.cache_read",),
        "cache_write_tokens": ("llm.token_count.prompt_details.cache_write",),
        "input_audio_tokens": ("llm.token_count.prompt_details.audio",),
        "output_audio_tokens": ("llm.token_count.completion_details.audio",),
        "total_tokens": ("llm.token_count.total",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "cost": ("llm.cost.total",),
        "finish_reasons": ("llm.finish_reason",),
        "input_value": ("input.value",),
        "output_value": ("output.value",),
        "tool_name": ("tool.name", "tool_call.function.name"),
        "tool_call_id": ("tool.id", "tool_call.id"),
        "tool_arguments": ("tool_call.function.arguments", ("tool.parameters", not_a_schema)),
        "documents": ("retrieval.documents",),
        "query": ("reranker.query",),
        "agent_name": ("agent.name",),
        "session_id": ("session.id",),
        "user_id": ("user.id",),
        "prompt_name": ("llm.prompt_template.name",),
        "prompt_version": ("llm.prompt_template.version",),
        "voice.transcript": ("input.audio.transcript", "output.audio.transcript"),
    },
    indexed={
        "input": ("llm.input_messages.",),
        "output": ("llm.output_messages.",),
        "documents": ("retrieval.documents.", "reranker.output_documents."),
        "tool_definitions": ("llm.tools.",),
    },
    signs={"llm.model_name": Kind.LLM, "embedding.model_name": Kind.EMBEDDING},
    refine=_refine,
)


# -- files -------------------------------------------------------------------------------------------


def fits(document: Any) -> bool:
    """Spans with ``span_kind``, rows with ``context.span_id``, or a table of columns with that name."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("data"), list):
        return fits(document["data"])
    if "context.span_id" in document:
        return True
    return "span_kind" in document and plain.fits(document)


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """The spans of the document."""
    if isinstance(document, dict):
        if isinstance(document.get("data"), list):
            document = document["data"]
        elif isinstance(document.get("context.span_id"), dict):
            document = _rows(document)
        else:
            document = [document]
    return base.each(document, lambda raw: _span(raw, notes), notes)


def _rows(table: Record) -> list[Record]:
    """``DataFrame.to_json()``: column → row label → value."""
    labels = list(table["context.span_id"])
    return [
        {
            column: values[row]
            for column, values in table.items()
            if isinstance(values, dict) and row in values
        }
        for row in labels
    ]


def _span(raw: Record, notes: Notes) -> Span:
    row = {key: value for key, value in raw.items() if not _is_nothing(value)}
    if "context.span_id" in row:
        row["context"] = {"trace_id": row.get("context.trace_id"), "span_id": row["context.span_id"]}
    attributes = row.get("attributes")
    attributes = dict(attributes) if isinstance(attributes, dict) else {}
    attributes |= {key[11:]: value for key, value in row.items() if key.startswith("attributes.")}
    kind = row.get("span_kind")
    row["attributes"] = flattened(attributes)
    if kind and str(kind) != "UNKNOWN":
        row["attributes"].setdefault("openinference.span.kind", str(kind))
    row.pop("kind", None)
    return plain.span(row, notes)


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def flattened(attributes: Attributes) -> Attributes:
    """Nested objects and lists of objects as dotted names; a list of plain values stays one value."""
    flat: Attributes = {}
    waiting: list[tuple[str, Any]] = list(reversed(attributes.items()))
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict) and value and not key.endswith(_WHOLE):
            inner = cast(Record, value)
            waiting += [(f"{key}.{name}", inner[name]) for name in reversed(inner)]
        elif is_list(value) and any(isinstance(item, dict) for item in value):
            items = value
            waiting += [(f"{key}.{index}", items[index]) for index in reversed(range(len(items)))]
        elif not _is_nothing(value):
            flat[key] = value
    return flat


_WHOLE = (".metadata", "llm.invocation_parameters", "template.variables")
"""Objects that are one value in OpenInference."""


# -- tables ----------------------------------------------------------------------------------------------


def is_csv(head: bytes) -> bool:
    """Whether the first line is the header of a spans table."""
    line = head.split(b"\n", 1)[0]
    return b"," in line and b"span_id" in line and line.lstrip()[:1] not in b"{["


def from_csv(stream: BinaryIO, notes: Notes) -> Iterator[Span]:
    """The spans of ``DataFrame.to_csv()``; lists are Python or JSON literals in it."""
    csv.field_size_limit(2**31 - 1)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    reader = csv.DictReader(text, strict=True)
    try:
        for index, row in enumerate(reader):
            notes.line = reader.line_num
            if None in row or None in row.values():
                problem = f"row {index + 1} has not the {len(reader.fieldnames or ())} cells of the header"
                if not notes.tolerant:
                    raise notes.refuse(problem, hint="--tolerant leaves such rows out")
                notes.say(f"{problem}; it was left out")
                continue
            record = {
                key: _literal(key, value) for key, value in row.items() if key and value not in (None, "")
            }
            if "context.span_id" not in record and "span_id" not in record:
                raise notes.refuse(f"row {index + 1} has no span id")
            yield from spans([record], notes)
    except csv.Error as error:
        raise notes.refuse(f"is not readable CSV: {line(str(error), 100)}") from error
    finally:
        text.detach()


def _literal(key: str, value: Any) -> Any:
    # a JSON text in ``input.value`` is the attribute itself; lists were lists before the table was written
    if isinstance(value, str) and value[:1] == "[" and not key.endswith(".value"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return value


def _is_parquet(head: bytes) -> bool:
    return head[:4] == b"PAR1"


def from_parquet(stream: BinaryIO, notes: Notes) -> Iterator[Span]:
    """The spans of ``DataFrame.to_parquet()``."""
    try:
        import pyarrow  # pyright: ignore
        import pyarrow.parquet as parquet  # pyright: ignore
    except ImportError as error:
        raise MissingExtra("pyarrow, which reads parquet,", "parquet") from error
    try:
        file: Any = parquet.ParquetFile(io.BytesIO(stream.read()))  # pyright: ignore
        batches: Iterator[Any] = file.iter_batches(batch_size=1024)
        while (batch := next(batches, None)) is not None:
            yield from spans([_plain(row) for row in batch.to_pylist()], notes)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:  # pyright: ignore
        raise notes.refuse(f"is not a whole parquet file: {line(str(error), 100)}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


FORMAT = Format("Phoenix", 60, fits, spans, streams=((_is_parquet, from_parquet), (is_csv, from_csv)))
