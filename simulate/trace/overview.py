"""What a trace says as a whole, for whoever has a minute: who, when, which models, at what cost, what was
judged, and which agent did what; and in a line, what one span decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from simulate.model.shapes import is_object
from simulate.trace.reading import TraceReading
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.values import decoded, flag
from simulate.trace.span import Kind, Score, Span, Trace, View


@dataclass(slots=True)
class Role:
    """One agent of a trace. ``dollars`` is None where a call of it has no known price; ``failures`` are the
    failing spans below which none failed; ``steps`` is the last step that it counted."""

    name: str
    calls: int = 0
    tools: int = 0
    dollars: float | None = 0.0
    failures: int = 0
    steps: int | None = None


@dataclass(slots=True)
class Overview:
    """A trace, or a conversation of several, told as a whole. ``began_ns`` is None where no span has a time;
    ``tags`` are user, session and the like, each with all its values, as far as they are set."""

    trace_ids: list[str]
    began_ns: int | None
    tags: dict[str, list[str]]
    models: list[str]
    dollars: float | None
    tokens: int | None
    verdicts: list[tuple[Span, Score]] = field(default_factory=list[tuple[Span, Score]])
    roles: list[Role] = field(default_factory=list[Role])


def overview(source: Trace | TraceReading) -> Overview:
    """What the trace says as a whole."""
    reading = TraceReading.of(source)
    views = [view for _, view in reading]
    tagged = [view.tags for view in views if view.tags]
    tags = {
        "user": _values(view.user_id for view in views),
        "session": _values(view.session_id for view in views),
        "conversation": _values(view.conversation_id for view in views),
        "tenant": _values(each.get("tenant.id") for each in tagged),
        "feature": _values(each.get("feature.id") for each in tagged),
        "prompt": _values(_prompt(view) for view in views),
        "experiment": _values(each.get("experiment.id") for each in tagged),
        "cohort": _values(each.get("cohort.name") for each in tagged),
    }
    models = (view.response_model or view.request_model for _, view in reading.llm_calls)
    return Overview(
        _values(span.trace_id for span in reading.spans),
        reading.began,
        {name: values for name, values in tags.items() if values},
        _values(models),
        reading.cost.dollars,
        reading.cost.tokens,
        [(span, score) for span, view in reading for score in view.scores],
        _roles(reading),
    )


def _values(found: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in found if value not in (None, "")))


def _prompt(view: View) -> str | None:
    return " ".join(filter(None, (view.prompt_name, view.prompt_version))) or None


def fails(span: Span, view: View) -> bool:
    """Whether the span says that it failed."""
    return span.status == "error" or view.error is not None


def failing(reading: TraceReading) -> list[Span]:
    """The spans that failed and below which none did: an error that its callers repeat is one error."""
    found = [span for span, view in reading if fails(span, view)]
    above = {span.parent_id for span in found}
    return [span for span in found if span.span_id not in above]


def _roles(reading: TraceReading) -> list[Role]:
    above = Above(reading.by_id, lambda span: reading.view(span).agent_name is not None)
    roles: dict[str, Role] = {}

    def role(span: Span | None, named: str | None = None) -> Role | None:
        if span is not None and named is None:
            named = reading.view(span).agent_name
            if named is None and (outer := above.of(span)) is not None:
                named = reading.view(outer).agent_name
        return None if named is None else roles.setdefault(named, Role(named))

    for span, _, paid in reading.cost.calls:
        if (one := role(span)) is not None:
            one.calls += 1
            known = one.dollars is not None and paid.dollars is not None
            one.dollars = (one.dollars or 0.0) + (paid.dollars or 0.0) if known else None
    for call in reading.tool_calls:
        ran = call.ran.span_ids[0] if call.ran is not None and call.ran.span_ids else None
        asked = call.asked.span_id if call.asked is not None else None
        if (one := role(reading.by_id.get(ran or asked or ""), call.agent)) is not None:
            one.tools += 1
    for span in failing(reading):
        if (one := role(span)) is not None:
            one.failures += 1
    for span, view in reading:
        if view.step is not None and (one := role(span)) is not None:
            one.steps = max(view.step, one.steps or 0)
    return list(roles.values())


_NOWHERE = (None, False, "", "none", "None")


# -- one span --------------------------------------------------------------------------------------------


def decisions(span: Span, view: View) -> list[str]:
    """What the span decided, in a few words each: a guardrail's verdict, a gateway's route, a hand-off, the
    MCP server that was called."""
    found = list(_gateway(view.gateway))
    if view.kind is Kind.GUARDRAIL and (verdict := guardrail_verdict(span, view)):
        found.append(verdict)
    if view.kind is Kind.HANDOFF and (view.handoff_from or view.handoff_to):
        found.append(f"{view.handoff_from or '?'} → {view.handoff_to or '?'}")
    server = view.tags.get("mcp.server") or span.attributes.get("fastmcp.server.name")
    if server:
        found.append(f"MCP server {server}")
    return found


_ROUTE = {"original_target": "asked for", "fallback": "fell back to", "resolved_provider": "answered by"}


def _gateway(facts: dict[str, Any]) -> Iterator[str]:
    taken = {name: facts.get(name) for name in _ROUTE}
    route = [f"{_ROUTE[name]} {target}" for name, target in taken.items() if target not in _NOWHERE]
    if route:
        yield ", ".join(route)
    if facts.get("cache_hit") is not None:
        yield "cache hit" if facts["cache_hit"] else "cache miss"
    if facts.get("strategy"):
        yield f"by {facts['strategy']}"
    if facts.get("retries") not in (None, 0, "0"):
        yield f"{facts['retries']} retries"
    for verdict in cast("list[dict[str, Any]]", facts.get("guardrails") or ()):
        told = verdict.get("verdict") or verdict.get("result") or verdict.get("action")
        if told is not None:
            stage = f"{verdict['stage']}-guardrail" if verdict.get("stage") else "guardrail"
            yield f"{stage} {verdict.get('name', '')}: {told}".replace(" :", ":")


def guardrail_verdict(span: Span, view: View) -> str | None:
    """What a guardrail's span says it found; None where it does not say."""
    passed = flag(span.attributes.get("validation_passed"))
    if passed is not None:
        return "passed" if passed else "failed"
    told = decoded(view.output_value)
    if not is_object(told):
        return None
    held = told
    for name in ("outcome", "verdict", "result", "action"):
        if isinstance(held.get(name), str):
            why = held.get("error_message") or held.get("reason")
            return f"{held[name]}: {why}" if why else str(held[name])
    tripped = flag(held.get("tripwire_triggered", held.get("triggered")))
    return None if tripped is None else "triggered" if tripped else "passed"
