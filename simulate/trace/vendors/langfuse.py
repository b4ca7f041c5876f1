"""Langfuse: the SDK's spans; and files: the UI's download ``{trace, observations}``, export lines, and what
its API answers.

An observation's own fields become ``langfuse.observation.*`` attributes, named as the Langfuse SDK names
them on spans. Attributes of the span that Langfuse was sent stand in ``metadata.attributes``; they become
the raw attributes again. Scores become evaluation events of the span they are about.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a file of somebody else holds has no type until it is read; shapes are checked as they are met

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from simulate.model.json_values import to_json
from simulate.model.shapes import is_list, is_object
from simulate.model.text import line
from simulate.trace.files import base
from simulate.trace.files.base import Format, Notes, Record
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import incoming, outgoing
from simulate.trace.reading.values import decoded, integer, number
from simulate.trace.reading.wrapping import tool_message
from simulate.trace.span import Attributes, Event, Kind, Span, View

_USAGE = (
    ("input_tokens", ("input", "prompt_tokens", "input_tokens", "promptTokens")),
    ("output_tokens", ("output", "completion_tokens", "output_tokens", "completionTokens")),
    ("cached_tokens", ("input_cache_read", "input_cached_tokens", "cache_read_input_tokens", "input_cached")),
    ("cache_write_tokens", ("input_cache_creation", "cache_creation_input_tokens")),
    ("reasoning_tokens", ("output_reasoning", "output_reasoning_tokens")),
    ("input_audio_tokens", ("input_audio", "input_audio_tokens")),
    ("output_audio_tokens", ("output_audio", "output_audio_tokens")),
    ("total_tokens", ("total", "total_tokens", "totalTokens")),
)


def _refine(span: Span, found: View) -> None:
    usage = decoded(span.attributes.get("langfuse.observation.usage_details"))
    if is_object(usage):
        held = usage
        for name, keys in _USAGE:
            if getattr(found, name) is None:
                setattr(
                    found, name, next((integer(held[key]) for key in keys if held.get(key) is not None), None)
                )
    cost = decoded(span.attributes.get("langfuse.observation.cost_details"))
    if is_object(cost) and found.cost is None:
        found.cost = _total(cost) or (0.0 if found.output_tokens else None)
    parameters = decoded(span.attributes.get("langfuse.observation.model.parameters"))
    if is_object(parameters):
        found.parameters.update(parameters)
    first = decoded(span.attributes.get("langfuse.observation.completion_start_time"))
    if isinstance(first, str) and found.time_to_first_token is None:
        found.time_to_first_token = _since(span.start_ns, first)
    if (
        str(decoded(span.attributes.get("langfuse.observation.level"))).upper() == "ERROR"
        and found.error is None
    ):
        found.error = str(span.attributes.get("langfuse.observation.status_message") or "error")
    _langchain_tool(span, found)
    _spoken(span, found)
    calls = decoded(span.attributes.get("langfuse.observation.tool_calls"))
    if found.kind is Kind.LLM and is_list(calls) and not any(one.tool_calls for one in found.output or ()):
        # exports tell them apart from the output, which may be left out
        told = outgoing([{"role": "assistant", "tool_calls": [decoded(call) for call in calls]}])
        found.output = [*(found.output or ()), *(told or ())]


def _total(cost: dict[str, Any]) -> float | None:
    if number(cost.get("total")) is not None:
        return number(cost["total"])
    shares = [number(value) for value in cost.values()]
    return (
        sum(share for share in shares if share is not None)
        if any(share is not None for share in shares)
        else None
    )


def _since(start_ns: int, moment: str) -> float | None:
    try:
        seconds = datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None
    return max(0.0, seconds - start_ns / 1e9)


def _langchain_tool(span: Span, found: View) -> None:
    """A plain span whose output is a LangChain tool message is a tool's: older handlers knew no tool type."""
    message = tool_message(found.output_value) if found.kind in (Kind.CHAIN, Kind.TOOL) else None
    if message is not None and message.get("name") in (None, span.name):
        found.kind = Kind.TOOL
        found.tool_name = found.tool_name or span.name


_SPEAKER = re.compile(r"^(system|user|assistant|human|ai|tool): ", re.MULTILINE)


def _spoken(span: Span, found: View) -> None:
    """Messages that were written one below the other in one text, each after its role."""
    written = span.attributes.get("langfuse.observation.input")
    if found.kind is not Kind.LLM or not isinstance(written, str) or not _SPEAKER.match(written):
        return
    _, *parts = _SPEAKER.split(written)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    found.input = incoming([{"role": role, "content": words.strip()} for role, words in pairs])


DIALECT = Dialect(
    name="langfuse",
    version="5",
    rank=45,
    scopes=("langfuse",),
    marks=("langfuse.observation.type", "langfuse.trace"),
    kinds={
        "langfuse.observation.type": {
            "generation": Kind.LLM,
            "agent": Kind.AGENT,
            "tool": Kind.TOOL,
            "chain": Kind.CHAIN,
            "retriever": Kind.RETRIEVER,
            "embedding": Kind.EMBEDDING,
            "evaluator": Kind.EVALUATOR,
            "guardrail": Kind.GUARDRAIL,
            "span": None,
            "event": None,
        }
    },
    fields={
        "request_model": ("langfuse.observation.model.name",),
        "input_value": ("langfuse.observation.input",),
        "output_value": ("langfuse.observation.output",),
        "prompt_name": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "user_id": ("langfuse.user.id", "langfuse.trace.user_id"),
        "session_id": ("langfuse.session.id", "langfuse.trace.session_id"),
    },
    signs={"langfuse.observation.input": Kind.CHAIN, "langfuse.trace.name": Kind.CHAIN},
    names=((r".", Kind.CHAIN),),
    refine=_refine,
)


# -- files -------------------------------------------------------------------------------------------


_TYPES = frozenset(
    "span generation event agent tool chain retriever evaluator embedding guardrail".split()  # noqa: SIM905
)


def fits(document: Any) -> bool:
    """A trace with its observations, one observation, or a list or page of either."""
    if isinstance(document, list):
        return bool(document) and fits(document[0])
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("data"), list) and "meta" in document:
        return fits(document["data"])
    if isinstance(document.get("observations"), list):
        return True
    if str(document.get("type")).lower() in _TYPES:
        return ("traceId" in document or "trace_id" in document) and (
            "startTime" in document
            or "parentObservationId" in document
            or "parent_observation_id" in document
        )
    return _is_trace(document)


def _is_trace(record: Record) -> bool:
    return "id" in record and "timestamp" in record and ("projectId" in record or "project_id" in record)


def spans(document: Any, notes: Notes) -> Iterator[Span]:
    """A span for each observation; a trace without observations is one span of its own."""
    if isinstance(document, dict) and "meta" in document and isinstance(document.get("data"), list):
        document = document["data"]
    for record in document if isinstance(document, list) else [document]:
        if not isinstance(record, dict):
            raise notes.refuse(f"expected a Langfuse record, found {base.kind_of(record)}")
        observations = record.get("observations")
        if "type" in record and not isinstance(observations, list):
            yield from base.each([record], lambda raw: _span(raw, None, notes), notes, "observation")
            continue
        trace = record.get("trace") if isinstance(record.get("trace"), dict) else record
        yield from _trace(trace or {}, observations or [], notes)


def _trace(trace: Record, observations: list[Any], notes: Notes) -> Iterator[Span]:
    # an export of traces alone names the observations by id, or leaves them out
    whole = [item for item in observations if not isinstance(item, str)]
    if not whole:
        if "id" not in trace:
            raise notes.refuse("a Langfuse trace without observations and without an id")
        notes.say("the trace was exported without its observations", trace_id=str(trace["id"]))
        yield from base.each([trace], lambda raw: _bare(raw, notes), notes, "trace")
        return
    found = list(base.each(whole, lambda raw: _span(raw, trace, notes), notes, "observation"))
    by_id = {span.span_id: span for span in found}
    roots = [span for span in found if span.parent_id is None or span.parent_id not in by_id]
    for root in roots:
        for key, value in _trace_attributes(trace).items():
            root.attributes.setdefault(key, value)
    for score in trace.get("scores") or ():
        if isinstance(score, dict) and (roots or found):
            target = by_id.get(str(_get(score, "observationId")), (roots or found)[0])
            target.events.append(_score(score, notes))
    if found and all("langfuse.observation.output" not in span.attributes for span in found):
        notes.say("inputs and outputs are not in this export", trace_id=found[0].trace_id)
    yield from found


def _bare(trace: Record, notes: Notes) -> Span:
    start = base.nanoseconds(trace.get("timestamp"), notes, "the trace")
    trace_id = str(trace["id"])
    latency = trace.get("latency")
    end = start + round(float(latency) * 1e9) if isinstance(latency, int | float) else None
    return Span(trace_id, trace_id, str(trace.get("name") or ""), None, start, end, _trace_attributes(trace))


def _span(raw: Record, trace: Record | None, notes: Notes) -> Span:
    name = str(raw.get("name") or "")
    where = f"observation {line(name, 40)}"
    metadata = _object(raw.get("metadata"))
    original = _object(metadata.pop("attributes", None))
    resource = _object(metadata.pop("resourceAttributes", None) or metadata.pop("resource_attributes", None))
    scope = _object(metadata.pop("scope", None))
    start, end = base.times(_get(raw, "startTime"), _get(raw, "endTime"), notes, where)
    level = str(raw.get("level") or "")
    trace = trace or {}
    span = Span(
        str(_get(raw, "traceId") or trace["id"]),
        str(raw["id"]),
        name,
        base.text_or_none(_get(raw, "parentObservationId")),
        start,
        end,
        original | _observation(raw, metadata) | _who(raw, trace),
        status="error" if level == "ERROR" else "unset",
        status_message=base.text_or_none(_get(raw, "statusMessage")),
        scope=str(scope.get("name") or ""),
        scope_version=base.text_or_none(scope.get("version")),
        scope_attributes=_object(scope.get("attributes")),
        resource=resource,
    )
    base.note_size(span, notes)
    return span


_FIELDS = {
    "level": "level",
    "statusMessage": "status_message",
    "model": "model.name",
    "modelParameters": "model.parameters",
    "input": "input",
    "output": "output",
    "usageDetails": "usage_details",
    "costDetails": "cost_details",
    "completionStartTime": "completion_start_time",
    "promptName": "prompt.name",
    "promptVersion": "prompt.version",
    "toolDefinitions": "tool_definitions",
    "toolCalls": "tool_calls",
    "version": "version",
    "environment": "environment",
}


def _observation(raw: Record, metadata: Record) -> Attributes:
    found: Attributes = {"langfuse.observation.type": str(raw.get("type") or "span").lower()}
    for key, name in _FIELDS.items():
        value = _get(raw, key)
        if value is None and key == "model":
            value = raw.get("provided_model_name") or raw.get("providedModelName")
        if value is None or value == {} or value == [] or value == "":
            continue
        found[f"langfuse.observation.{name}"] = _text(value)
    if "langfuse.observation.usage_details" not in found and isinstance(raw.get("usage"), dict):
        found["langfuse.observation.usage_details"] = _text(raw["usage"])  # exports of version 2
    total = number(_get(raw, "totalCost") or _get(raw, "calculatedTotalCost"))
    if total and "langfuse.observation.cost_details" not in found:
        found["langfuse.observation.cost_details"] = _text({"total": total})
    for key, value in metadata.items():
        found[f"langfuse.observation.metadata.{key}"] = _text(value)
    return found


def _who(raw: Record, trace: Record) -> Attributes:
    user = _get(trace, "userId") or _get(raw, "userId")
    session = _get(trace, "sessionId") or _get(raw, "sessionId")
    return {key: str(value) for key, value in (("user.id", user), ("session.id", session)) if value}


def _trace_attributes(trace: Record) -> Attributes:
    found: Attributes = dict(_who({}, trace))
    for key in ("name", "input", "output", "tags", "release", "version", "environment"):
        value = trace.get(key)
        if value not in (None, "", []):
            found[f"langfuse.trace.{key}"] = value if key == "tags" else _text(value)
    for key, value in _object(trace.get("metadata")).items():
        if key not in ("attributes", "resourceAttributes", "scope"):
            found[f"langfuse.trace.metadata.{key}"] = _text(value)
    return found


def _score(score: Record, notes: Notes) -> Event:
    value = score.get("value")
    about: Attributes = {"gen_ai.evaluation.name": str(score.get("name") or "")}
    if isinstance(value, int | float):
        about["gen_ai.evaluation.score.value"] = float(value)
    for key, name in (("stringValue", "score.label"), ("comment", "explanation")):
        if _get(score, key):
            about[f"gen_ai.evaluation.{name}"] = str(_get(score, key))
    if score.get("source"):
        about["langfuse.score.source"] = str(score["source"])
    return Event(
        "gen_ai.evaluation.result", base.nanoseconds(score.get("timestamp"), notes, "a score"), about
    )


def _get(record: Record, key: str) -> Any:
    """The UI and the API write camelCase, the storage export snake_case."""
    if key in record:
        return record[key]
    return record.get("".join("_" + char.lower() if char.isupper() else char for char in key))


def _object(value: Any) -> Record:
    """A copy of an object that may come as JSON text; anything else is none."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return dict(value) if isinstance(value, dict) else {}


def _text(value: Any) -> Any:
    """As the SDK writes it onto a span: texts and plain numbers as they are, anything else as JSON."""
    if isinstance(value, str | bool | int | float):
        return value
    return to_json(value).decode()


FORMAT = Format("Langfuse", 30, fits, spans)
