"""Logfire's own instrumentations: the request and the answer of OpenAI's and Anthropic's clients as they went
over the wire, and the spans of OpenAI's Agents SDK, whose templates tell their kind."""

from __future__ import annotations

from typing import Any

from simulate.model.shapes import is_object, object_of
from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.messages import incoming, outgoing
from simulate.trace.reading.parts import arguments_of
from simulate.trace.reading.usage import take_usage
from simulate.trace.reading.values import decoded, items, known, text
from simulate.trace.span import Kind, Span, Trace, View


def _refine(span: Span, found: View) -> None:
    template = str(span.attributes.get("logfire.msg_template") or span.name)
    if found.kind is Kind.LLM:
        if found.provider is None and span.scope in ("logfire.openai", "logfire.anthropic"):
            found.provider = span.scope.removeprefix("logfire.")
        _request(_object(span, "request_data"), found)
        _response(_object(span, "response_data"), found)
        if template.startswith(("Chat completion with {gen_ai", "Responses API")):
            found.input = incoming(span.attributes.get("input")) or found.input
            found.output = outgoing(span.attributes.get("output")) or found.output
        _answer_after_question(span, found)
        take_usage(_object(span, "usage"), found)
    elif template == "Function: {name}":
        found.tool_name = text(span.attributes.get("name"))
        found.tool_arguments = arguments_of(span.attributes.get("input"))
        found.output_value = decoded(span.attributes.get("output"))
    elif template.startswith("Handoff: {from_agent}"):
        found.handoff_from = text(span.attributes.get("from_agent"))
        found.handoff_to = text(span.attributes.get("to_agent"))
    elif template.startswith("Agent run: {name"):
        found.agent_name = text(span.attributes.get("name"))
    elif template.startswith("Guardrail {name"):
        verdict = "failed" if span.attributes.get("triggered") is True else "passed"
        found.gateway["guardrails"] = [{"name": text(span.attributes.get("name")), "result": verdict}]


def _object(span: Span, key: str) -> dict[str, Any]:
    value = decoded(span.attributes.get(key))
    return object_of(value)


def _request(request: dict[str, Any], found: View) -> None:
    found.request_model = found.request_model or known(request.get("model"))
    if found.input is None and "messages" in request:
        found.input = incoming(request)
    found.tool_definitions = found.tool_definitions or items(request.get("tools"))


def _response(response: dict[str, Any], found: View) -> None:
    if found.output is None:
        said = response.get("message", response.get("combined_chunk_content"))
        found.output = outgoing(said)
    usage = response.get("usage")
    if is_object(usage):
        take_usage(usage, found)


def _answer_after_question(span: Span, found: View) -> None:
    """The Responses API's events list what was said in order, the answer last."""
    events = items(span.attributes.get("events")) or ()
    if found.output is None and found.input and events and found.input[-1].role == "assistant":
        found.output = [found.input.pop()]


def _streams(trace: Trace, found: dict[str, View]) -> None:
    """Give a streamed call its answer, which comes in a span of its own once the stream has ended."""
    asked: dict[str, View] = {}
    for span in sorted(trace.spans, key=lambda span: span.start_ns):
        request = str(span.attributes.get("request_data"))
        view = found[span.span_id]
        if str(span.attributes.get("logfire.msg_template")).startswith("streaming response from"):
            call = asked.pop(request, None)
            if call is not None:
                _response(_object(span, "response_data"), call)
        elif view.kind is Kind.LLM and view.output is None:
            asked[request] = view


DIALECT = Dialect(
    name="logfire",
    version="5.4",
    rank=42,
    scopes=("logfire",),
    marks=("logfire.msg_template",),
    tells=False,
    any_names=(
        (r"(Chat [Cc]ompletion|Responses API|Message) with (\{|')", Kind.LLM),
        (r"Function: \{name\}$", Kind.TOOL),
        (r"Handoff: \{from_agent\}", Kind.HANDOFF),
        (r"Agent run: \{name", Kind.AGENT),
        (r"Guardrail \{name", Kind.GUARDRAIL),
    ),
    names=(
        (r"Turn \{turn\}", Kind.TURN),
        (r"(Task|OpenAI Agents trace): ", Kind.WORKFLOW),
        (r".", Kind.CHAIN),
    ),
    refine=_refine,
    context=_streams,
)
