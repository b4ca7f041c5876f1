"""Scores to where the traces are: any OTLP endpoint, and the score APIs of Phoenix, Langfuse and LangSmith.

No backend is known to read the evaluation event as a score, so each that has an API for scores gets them by
it, joined by trace and span id. Sending the same scores again changes nothing: every one has an id made of
what it scores. Keys come from the environment only, by the names that the vendors' own SDKs use.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from simulate import determinism
from simulate.errors import EnvironmentFault, InputError
from simulate.model.nearest import did_you_mean
from simulate.model.web_url import url_problem
from simulate.retry_after import retry_after
from simulate.scoring.evaluators.attach import attributes_of
from simulate.scoring.evaluators.result import Result
from simulate.trace.otlp.encode import to_protobuf
from simulate.trace.span import Event, Span
from simulate.trace.vendors.simulate_conventions import EVENT

if TYPE_CHECKING:
    import aiohttp

TRIES = 4
LONGEST_WAIT = 30.0
"""Seconds that a ``Retry-After`` is obeyed for at most."""
CONCURRENCY = 8
PHOENIX_BATCH = 100


@dataclass(frozen=True, slots=True)
class Post:
    """One request."""

    url: str
    json: Any = None
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    scores: int = 1
    """How many scores it carries."""
    optional: bool = False
    """Whether an endpoint that does not know the path is none the worse for it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where scores go; ``headers`` hold the key and are never shown."""

    kind: str
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class _Kind:
    url: Callable[[], str | None]
    """The vendor's own variables, or its own default."""
    hint: str
    headers: Callable[[], dict[str, str]]
    posts: Callable[[Target, Sequence[Result]], Iterable[Post]]


def target(text: str) -> Target:
    """``phoenix=http://127.0.0.1:6006``, or ``phoenix`` alone where the environment knows the address. Raises
    InputError, before anything is scored, for a target that is unknown or whose key is missing."""
    name, _, given = text.partition("=")
    kind = _KINDS.get(name)
    if kind is None:
        raise InputError(f'scores cannot be exported to "{name[:60]}"{did_you_mean(name, _KINDS)}')
    url = (given or kind.url() or "").rstrip("/")
    if (problem := url_problem(url)) is not None:
        raise InputError(
            f"{name} needs an address, and this one {problem}",
            hint=f"--export {name}=http://…, or {kind.hint}",
        )
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise InputError(
            f"the address of {name} holds a key or a query", hint="keys come from the environment only"
        )
    return Target(name, url, kind.headers())


async def export(results: Iterable[Result], to: Target) -> int:
    """Send what was scored; returns how many scores arrived. 429 and 5xx are tried again, as ``Retry-After``
    says. Raises EnvironmentFault where some did not arrive, and says how many did."""
    import aiohttp

    scored = [one for one in results if one.status == "scored" and one.value is not None]
    known = [one for one in scored if one.span_id and one.trace_id]
    posts = list(_KINDS[to.kind].posts(to, known))
    gate = asyncio.Semaphore(CONCURRENCY)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(headers=to.headers, timeout=timeout, trust_env=True) as session:

        async def one(post: Post) -> str | None:
            async with gate:
                return await send(session, post)

        problems = await asyncio.gather(*(one(post) for post in posts))
    lost = [(post, problem) for post, problem in zip(posts, problems, strict=True) if problem is not None]
    arrived = sum(post.scores for post in posts) - sum(post.scores for post, _ in lost)
    if lost:
        raise EnvironmentFault(
            f"{arrived} of {len(known)} scores arrived at {to.kind}: {lost[0][1]}",
            where=to.url,
            hint="the scores themselves are kept; sending them again changes nothing that arrived",
        )
    return arrived


async def send(session: aiohttp.ClientSession, post: Post) -> str | None:
    """What went wrong; None where it arrived."""
    import aiohttp

    problem = ""
    for attempt in range(TRIES):
        wait = 0.25 * 2**attempt
        try:
            async with session.post(post.url, json=post.json, data=post.data, headers=post.headers) as answer:
                if answer.status < 300:
                    return None
                if post.optional and answer.status in (404, 405, 415, 501):
                    return None
                text = " ".join((await answer.text(errors="replace")).split())[:200]
                problem = f"{answer.status} {text}"
                if answer.status != 429 and answer.status < 500:
                    return problem
                asked = retry_after(answer.headers)
                wait = wait if asked is None else min(LONGEST_WAIT, asked)
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = f"{type(error).__name__}: {error}"
        if attempt < TRIES - 1:
            await determinism.SystemClock().sleep(wait)
    return problem


def score_id(result: Result) -> str:
    """The same for the same evaluator on the same span, so that sending again replaces."""
    parts = [result.trace_id, result.span_id, result.evaluator]
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()[:32]


def _beside(result: Result) -> dict[str, Any]:
    """What a score's metadata holds."""
    found: dict[str, Any] = {
        "threshold": result.threshold,
        "passed": result.passed,
        "evaluator_version": result.version,
        "direction": result.direction,
        "range": [result.low, result.high],
        "judge": result.judge,
        "prompt": result.prompt,
        "evidence": result.evidence[:20],
    }
    return {key: value for key, value in found.items() if value not in (None, [])}


# -- OTLP ------------------------------------------------------------------------------------------------


def evaluator_span(result: Result, moment: int) -> Span:
    """A span of kind EVALUATOR below the judged one, which carries the score: a stored span cannot be
    changed, but its trace takes another child."""
    return Span(
        trace_id=result.trace_id or "",
        span_id=score_id(result)[:16],
        name=f"evaluate {result.evaluator}",
        parent_id=result.span_id,
        start_ns=moment,
        end_ns=moment,
        attributes={"gen_ai.span.kind": "EVALUATOR", "fi.span.kind": "EVALUATOR"},
        events=[Event(EVENT, moment, attributes_of(result))],
        scope="simulate.evaluators",
        resource={"service.name": "simulate"},
    )


def _otlp(to: Target, results: Sequence[Result]) -> Iterable[Post]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, SEVERITY_NUMBER_WARN

    if not results:
        return
    now = determinism.current().clock.time_ns()
    request = to_protobuf([evaluator_span(one, now) for one in results])
    base = to.url.removesuffix("/v1/traces")
    headers = {"Content-Type": "application/x-protobuf"}
    yield Post(f"{base}/v1/traces", data=request.SerializeToString(), headers=headers, scores=len(results))
    logs = ExportLogsServiceRequest()
    breached = {score_id(one)[:16] for one in results if one.passed is False}
    for of_resource in request.resource_spans:
        out = logs.resource_logs.add()
        out.resource.CopyFrom(of_resource.resource)
        for of_scope in of_resource.scope_spans:
            scope = out.scope_logs.add()
            scope.scope.CopyFrom(of_scope.scope)
            for span in of_scope.spans:
                record = scope.log_records.add(
                    time_unix_nano=now, observed_time_unix_nano=now, event_name=EVENT
                )
                warns = span.span_id.hex() in breached
                record.severity_number = SEVERITY_NUMBER_WARN if warns else SEVERITY_NUMBER_INFO
                record.trace_id, record.span_id = span.trace_id, span.parent_span_id
                record.attributes.extend(span.events[0].attributes)
    data = logs.SerializeToString()
    # Jaeger and other stores of traces take no logs
    yield Post(f"{base}/v1/logs", data=data, headers=headers, scores=0, optional=True)


def _otlp_headers() -> dict[str, str]:
    pairs = [one.partition("=") for one in os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(",")]
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs if value}


# -- Phoenix ---------------------------------------------------------------------------------------------


def _phoenix(to: Target, results: Sequence[Result]) -> Iterable[Post]:
    rows = [
        {
            "span_id": one.span_id,
            "name": one.evaluator,
            "annotator_kind": one.annotator,
            "result": {"score": one.value, "label": one.label or _word(one), "explanation": one.explanation},
            "identifier": "simulate",
            "metadata": _beside(one),
        }
        for one in results
    ]
    for at in range(0, len(rows), PHOENIX_BATCH):
        batch = rows[at : at + PHOENIX_BATCH]
        yield Post(f"{to.url}/v1/span_annotations?sync=true", json={"data": batch}, scores=len(batch))


def _word(result: Result) -> str:
    return {True: "pass", False: "fail", None: "unknown"}[result.passed]


def _phoenix_headers() -> dict[str, str]:
    key = os.environ.get("PHOENIX_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


# -- Langfuse --------------------------------------------------------------------------------------------


def _langfuse(to: Target, results: Sequence[Result]) -> Iterable[Post]:
    for one in results:
        body = {
            "id": score_id(one),
            "traceId": one.trace_id,
            "observationId": one.span_id,
            "name": one.evaluator,
            "value": one.value,
            "dataType": "NUMERIC",
            "comment": one.explanation,
            "metadata": _beside(one) | ({"label": one.label} if one.label else {}),
        }
        yield Post(f"{to.url}/api/public/scores", json=body)


def _langfuse_headers() -> dict[str, str]:
    pair = f"{_required('LANGFUSE_PUBLIC_KEY')}:{_required('LANGFUSE_SECRET_KEY')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


# -- LangSmith -------------------------------------------------------------------------------------------


def run_id(span_id: str) -> str:
    """LangSmith's run id of a span: a UUID as it is (a trace that came from there), else the eight bytes of
    an OpenTelemetry id at the right of sixteen. Raises InputError for an id of another system."""
    try:
        return str(uuid.UUID(span_id))
    except ValueError:
        pass
    try:
        number = int(span_id, 16)
    except ValueError:
        number = 2**64
    if number >= 2**64:
        raise InputError(f"the span id {span_id[:40]} is neither LangSmith's nor OpenTelemetry's")
    return str(uuid.UUID(int=number))


def _langsmith(to: Target, results: Sequence[Result]) -> Iterable[Post]:
    for one in results:
        body = {
            "id": str(uuid.UUID(score_id(one))),
            "run_id": run_id(one.span_id or ""),
            "key": one.evaluator,
            "score": one.value,
            "value": one.label or _word(one),
            "comment": one.explanation,
            "feedback_source": {"type": "model" if one.judge else "api", "metadata": _beside(one)},
        }
        yield Post(f"{to.url}/feedback", json=body)


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise InputError(f"the environment variable {name} is not set", hint=f"export {name}=…")
    return value


def _first(*names: str, otherwise: str | None = None) -> Callable[[], str | None]:
    return lambda: next((os.environ[name] for name in names if os.environ.get(name)), otherwise)


_KINDS = {
    "otlp": _Kind(
        _first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        "set OTEL_EXPORTER_OTLP_ENDPOINT",
        _otlp_headers,
        _otlp,
    ),
    "phoenix": _Kind(
        _first("PHOENIX_COLLECTOR_ENDPOINT"), "set PHOENIX_COLLECTOR_ENDPOINT", _phoenix_headers, _phoenix
    ),
    "langfuse": _Kind(
        _first("LANGFUSE_BASE_URL", "LANGFUSE_HOST"), "set LANGFUSE_BASE_URL", _langfuse_headers, _langfuse
    ),
    "langsmith": _Kind(
        _first("LANGSMITH_ENDPOINT", otherwise="https://api.smith.langchain.com"),
        "set LANGSMITH_ENDPOINT",
        lambda: {"x-api-key": _required("LANGSMITH_API_KEY")},
        _langsmith,
    ),
}
