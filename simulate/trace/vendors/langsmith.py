"""LangSmith: the SDK's OpenTelemetry spans; and files of runs, as JSON or JSON lines, whose attributes are
named as in LangSmith's OpenTelemetry export.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulate.model.json_values import to_json
from simulate.model.shapes import is_list, is_object, object_of
from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.parts import arguments_of
from simulate.trace.span import Attributes, Event, Kind, Span, View

_RUNS: dict[str, Kind | None] = {
    "llm": Kind.LLM,
    "chat_model": Kind.LLM,
    "chain": Kind.CHAIN,
    "tool": Kind.TOOL,
    "retriever": Kind.RETRIEVER,
    "embedding": Kind.EMBEDDING,
    "prompt": Kind.CHAIN,
    "parser": Kind.CHAIN,
    "agent": Kind.AGENT,
}


def unwrap(span: Span, found: View) -> None:
    """A tool's run records its arguments as ``{"input": …}``, and a result that is no object as
    ``{"output": …}``."""
    if found.kind is not Kind.TOOL:
        return
    given: Any = found.input_value
    if found.tool_arguments is None and is_object(given):
        held = given
        found.tool_arguments = arguments_of(held["input"] if held.keys() == {"input"} else held)
    told: Any = found.output_value
    if found.tool_result is None and is_object(told) and told.keys() == {"output"}:
        found.tool_result = told["output"]


DIALECT = Dialect(
    name="langsmith",
    version="0.6",
    rank=45,
    scopes=("langsmith",),
    marks=("langsmith.",),
    kinds={"langsmith.span.kind": _RUNS, "langsmith.run_type": _RUNS},
    fields={
        "request_model": ("langsmith.metadata.ls_model_name",),
        "provider": ("langsmith.metadata.ls_provider",),
        "input_value": ("langsmith.inputs", "gen_ai.prompt"),
        "output_value": ("langsmith.outputs", "gen_ai.completion"),
        "session_id": (
            "langsmith.trace.session_id",
            "langsmith.metadata.session_id",
            "langsmith.metadata.thread_id",
        ),
        "user_id": ("langsmith.metadata.user_id",),
        "parameters.temperature": ("langsmith.metadata.ls_temperature",),
    },
    refine=unwrap,
)


# -- files -------------------------------------------------------------------------------------------


def fits(document: Any) -> bool:
    """A run, a list of runs, or ``{"runs": […]}``."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("runs"), list):
        return fits(document["runs"])
    return "run_type" in document and "id" in document


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """A span for each run and its child runs."""
    if isinstance(document, dict):
        document = document["runs"] if isinstance(document.get("runs"), list) else [document]
    waiting = list(reversed(document))
    while waiting:
        raw = waiting.pop()
        yield from base.each([raw], lambda record: _span(record, notes), notes, "run")
        children = raw.get("child_runs") if isinstance(raw, dict) else None
        if isinstance(children, list):
            for child in reversed(children):
                if isinstance(child, dict):
                    child.setdefault("trace_id", raw.get("trace_id"))
                    child.setdefault("parent_run_id", raw.get("id"))
                waiting.append(child)


def _span(raw: Record, notes: Notes) -> Span:
    name = str(raw.get("name") or "")
    where = f"run {line(name, 40)}"
    ancestors = [part.rsplit("Z", 1)[-1] for part in str(raw.get("dotted_order") or "").split(".") if part]
    # the fraction of each moment in dotted_order stands before a "Z", and the run's id after it
    trace_id = raw.get("trace_id") or (ancestors[0] if ancestors else raw["id"])
    parent = raw.get("parent_run_id") or (ancestors[-2] if len(ancestors) > 1 else None)
    start, end = base.times(raw.get("start_time"), raw.get("end_time"), notes, where)
    error = base.text_or_none(raw.get("error"))
    span = Span(
        str(trace_id),
        str(raw["id"]),
        name,
        base.text_or_none(parent),
        start,
        end,
        _attributes(raw),
        [_event(event, notes, where) for event in raw.get("events") or () if isinstance(event, dict)],
        status="error" if error or raw.get("status") == "error" else "unset",
        status_message=error,
        scope="langsmith",
    )
    base.note_size(span, notes)
    return span


def _event(raw: Record, notes: Notes, where: str) -> Event:
    more = {key: _text(value) for key, value in raw.items() if key not in ("name", "time")}
    return Event(str(raw.get("name") or ""), base.nanoseconds(raw.get("time"), notes, where), more)


_TOKENS = {
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
}
_USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
}
_CACHE = {
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation": "gen_ai.usage.cache_creation.input_tokens",
}


def _attributes(raw: Record) -> Attributes:
    found: Attributes = {"langsmith.span.kind": str(raw.get("run_type") or "chain")}
    for key in ("inputs", "outputs"):
        if raw.get(key) is not None:
            found[f"langsmith.{key}"] = _text(raw[key])
    for key, name in _TOKENS.items():
        if isinstance(raw.get(key), int):
            found[name] = raw[key]
    for usage in _usages(raw):
        found |= {
            name: usage[key]
            for key, name in _USAGE.items()
            if isinstance(usage.get(key), int) and name not in found
        }
        details = usage.get("input_token_details")
        if isinstance(details, dict):
            found |= {name: details[key] for key, name in _CACHE.items() if isinstance(details.get(key), int)}
    if isinstance(details := raw.get("prompt_token_details"), dict):
        found |= {name: details[key] for key, name in _CACHE.items() if isinstance(details.get(key), int)}
    if raw.get("total_cost") is not None:
        found["gen_ai.usage.cost"] = float(raw["total_cost"])
    if raw.get("tags"):
        found["langsmith.span.tags"] = _text(raw["tags"])
    if raw.get("session_name"):
        found["langsmith.trace.session_name"] = str(raw["session_name"])
    if raw.get("first_token_time"):
        found["langsmith.first_token_time"] = str(raw["first_token_time"])
    extra = raw.get("extra")
    if isinstance(extra, dict):
        for part, prefix in (
            ("metadata", "langsmith.metadata"),
            ("invocation_params", "langsmith.invocation"),
        ):
            values = extra.get(part)
            if isinstance(values, dict):
                found |= {
                    f"{prefix}.{key}": _text(value) for key, value in values.items() if value is not None
                }
    found |= _model(found)
    return found


def _usages(raw: Record) -> Iterator[Record]:
    """Where runs tell their usage whose own columns are empty."""
    extra, outputs = raw.get("extra"), raw.get("outputs")
    metadata = extra.get("metadata") if isinstance(extra, dict) else None
    for held in (metadata, outputs):
        usage = held.get("usage_metadata") if isinstance(held, dict) else None
        if isinstance(usage, dict):
            yield usage
    generations: Any = outputs.get("generations") if isinstance(outputs, dict) else None
    while is_list(generations) and generations:
        generations = generations[0]
    message = object_of(object_of(generations).get("message"))
    for held in (message, object_of(message.get("kwargs"))):
        if isinstance(usage := held.get("usage_metadata"), dict):
            yield usage


def _model(found: Attributes) -> Attributes:
    model = found.get("langsmith.metadata.ls_model_name") or found.get("langsmith.invocation.model")
    return {"gen_ai.request.model": model} if model else {}


def _text(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | float) else to_json(value).decode()


FORMAT = Format("LangSmith", 40, fits, spans)
