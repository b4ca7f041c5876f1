"""Scores on the wire, against servers that refuse what the real ones would."""

import base64
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from simulate.errors import EnvironmentFault, InputError
from simulate.scoring.evaluators import Result
from simulate.scoring.evaluators.export import export, run_id, target
from simulate.trace.files.base import Notes
from simulate.trace.otlp.decode import from_protobuf
from simulate.trace.reading import view

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


def result(name: str = "Groundedness", value: float | None = 0.5, **more: Any) -> Result:
    return Result(
        name, "1", "scored", "half of it", value, threshold=0.8, trace_id=TRACE, span_id=SPAN, judge="m",
        prompt="groundedness.v1", evidence=["lost"], **more,
    )  # fmt: skip


class Backend:
    """All four services on one port; keeps what came, and refuses what is not of the documented shape."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.fail: list[int] = []
        self.logs = True

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/traces", self._otlp(ExportTraceServiceRequest))
        app.router.add_post("/v1/logs", self._otlp(ExportLogsServiceRequest))
        app.router.add_post("/v1/span_annotations", self._phoenix)
        app.router.add_post("/api/public/scores", self._langfuse)
        app.router.add_post("/feedback", self._langsmith)
        return app

    def _seen(self, request: web.Request) -> web.Response | None:
        self.headers.append(dict(request.headers))
        if self.fail:
            return web.Response(status=self.fail.pop(0), text="not now", headers={"Retry-After": "0"})
        return None

    def _otlp(self, message: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            if (refused := self._seen(request)) is not None:
                return refused
            if message is ExportLogsServiceRequest and not self.logs:
                return web.Response(status=404)
            if request.content_type != "application/x-protobuf":
                return web.Response(status=415)
            self.got.append((request.path, message.FromString(await request.read())))
            return web.Response(body=b"", content_type="application/x-protobuf")

        return answer

    async def _phoenix(self, request: web.Request) -> web.Response:
        if (refused := self._seen(request)) is not None:
            return refused
        body = await request.json()
        for row in body["data"]:
            assert set(row) <= {"span_id", "name", "annotator_kind", "result", "metadata", "identifier"}, row
            assert row["annotator_kind"] in {"LLM", "CODE", "HUMAN"}
            assert set(row["result"]) <= {"label", "score", "explanation"}
            assert isinstance(row["span_id"], str) and isinstance(row["identifier"], str)
            assert isinstance(row["result"]["score"], float)
        self.got.append((request.path, body))
        return web.json_response({"data": [{"id": "1"} for _ in body["data"]]})

    async def _langfuse(self, request: web.Request) -> web.Response:
        if (refused := self._seen(request)) is not None:
            return refused
        wanted = base64.b64encode(b"pk-1:sk-1").decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            return web.json_response({"message": "Invalid credentials"}, status=401)
        body = await request.json()
        allowed = {"id", "traceId", "observationId", "name", "value", "dataType", "comment", "metadata"}
        assert set(body) <= allowed | {"environment", "configId", "sessionId"}
        assert body["dataType"] == "NUMERIC" and isinstance(body["value"], float)
        self.got.append((request.path, body))
        return web.json_response({"id": body["id"]})

    async def _langsmith(self, request: web.Request) -> web.Response:
        if (refused := self._seen(request)) is not None:
            return refused
        if request.headers.get("x-api-key") != "ls-1":
            return web.json_response({"detail": "Forbidden"}, status=403)
        body = await request.json()
        uuid.UUID(body["id"]), uuid.UUID(body["run_id"])
        assert body["feedback_source"]["type"] in {"api", "model", "app"}
        self.got.append((request.path, body))
        return web.json_response(body)


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    one = Backend()
    runner = web.AppRunner(one.app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "LANGFUSE_PUBLIC_KEY": "pk-1",
        "LANGFUSE_SECRET_KEY": "sk-1",
        "LANGSMITH_API_KEY": "ls-1",
        "PHOENIX_API_KEY": "px-1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("LANGFUSE_BASE_URL", "LANGFUSE_HOST", "LANGSMITH_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


async def test_phoenix(backend: Backend) -> None:
    assert await export([result(), result("PII", 1.0)], target(f"phoenix={backend.url}/")) == 2
    ((_, body),) = backend.got
    first = body["data"][0]
    assert first["span_id"] == SPAN
    assert first["result"] == {"score": 0.5, "label": "fail", "explanation": "half of it"}
    assert first["metadata"]["threshold"] == 0.8
    assert first["metadata"]["evidence"] == ["lost"]
    assert backend.headers[0]["Authorization"] == "Bearer px-1"


async def test_langfuse(backend: Backend) -> None:
    assert await export([result(label="partial")], target(f"langfuse={backend.url}")) == 1
    assert await export([result()], target(f"langfuse={backend.url}")) == 1
    bodies = [body for _, body in backend.got]
    assert bodies[0]["id"] == bodies[1]["id"], "sending again must replace"
    assert (bodies[0]["traceId"], bodies[0]["observationId"]) == (TRACE, SPAN)
    assert bodies[0]["metadata"]["label"] == "partial"


async def test_langsmith(backend: Backend) -> None:
    await export([result()], target(f"langsmith={backend.url}"))
    ((_, body),) = backend.got
    assert body["run_id"] == "00000000-0000-0000-00f0-67aa0ba902b7"
    assert (body["key"], body["score"], body["value"]) == ("Groundedness", 0.5, "fail")


@pytest.mark.parametrize(
    ("span_id", "run"),
    [
        # the vectors that the SDK's own tests hold
        ("0000000000000001", "00000000-0000-0000-0000-000000000001"),
        ("0102030405060708", "00000000-0000-0000-0102-030405060708"),
        ("5d6b1a6a-6d5f-4f3c-9d3e-5c8a3c1d2e4f", "5d6b1a6a-6d5f-4f3c-9d3e-5c8a3c1d2e4f"),
    ],
)
def test_langsmith_run_ids(span_id: str, run: str) -> None:
    assert run_id(span_id) == run


def test_an_id_of_another_system_has_no_run() -> None:
    with pytest.raises(InputError, match="neither LangSmith's nor"):
        run_id("observation-7")


async def test_otlp_adds_a_child_that_reads_back_and_the_log_event(backend: Backend) -> None:
    assert await export([result()], target(f"otlp={backend.url}")) == 1
    spans = [body for path, body in backend.got if path == "/v1/traces"]
    (span,) = from_protobuf(spans[0], Notes("t"))
    assert (span.trace_id, span.parent_id) == (TRACE, SPAN)
    read = view(span)
    assert read.kind == "EVALUATOR"
    (score,) = read.scores
    assert (score.name, score.value, score.threshold) == ("Groundedness", 0.5, 0.8)
    (logs,) = [body for path, body in backend.got if path == "/v1/logs"]
    record = logs.resource_logs[0].scope_logs[0].log_records[0]
    assert record.event_name == "gen_ai.evaluation.result"
    assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE, SPAN)
    assert {one.key for one in record.attributes} >= {
        "gen_ai.evaluation.name",
        "gen_ai.evaluation.score.value",
    }


async def test_a_store_of_traces_that_takes_no_logs_is_fine(backend: Backend) -> None:
    backend.logs = False
    assert await export([result()], target(f"otlp={backend.url}/v1/traces")) == 1


async def test_busy_endpoints_are_asked_again(backend: Backend) -> None:
    backend.fail = [429, 503]
    assert await export([result()], target(f"langfuse={backend.url}")) == 1
    assert len(backend.headers) == 3


async def test_what_did_not_arrive_is_the_environments_fault_and_counted(backend: Backend) -> None:
    backend.fail = [400]
    with pytest.raises(EnvironmentFault, match=r"1 of 2 scores arrived at langfuse: 400 not now") as found:
        await export([result(), result("PII", 1.0)], target(f"langfuse={backend.url}"))
    assert "sk-1" not in str(found.value)


async def test_nobody_listening_is_told(unused_tcp_port: int) -> None:
    with pytest.raises(EnvironmentFault, match="0 of 1 scores arrived"):
        await export([result()], target(f"phoenix=http://127.0.0.1:{unused_tcp_port}"))


async def test_only_scores_are_sent(backend: Backend) -> None:
    lacking = Result("PII", "1", "not_run", "no", trace_id=TRACE, span_id=SPAN)
    assert await export([lacking], target(f"phoenix={backend.url}")) == 0
    assert await export([lacking], target(f"otlp={backend.url}")) == 0
    assert not backend.got


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("phenix=http://127.0.0.1", 'did you mean "phoenix"'),
        ("phoenix", "needs an address"),
        ("phoenix=127.0.0.1:6006", "needs an address"),
        ("langfuse=http://pk:sk@127.0.0.1", "holds a key"),
        ("langfuse=http://127.0.0.1?key=1", "holds a key"),
    ],
)
def test_targets_that_cannot_be_are_refused(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        target(text)


def test_a_missing_key_is_told_before_anything_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGFUSE_SECRET_KEY")
    with pytest.raises(InputError, match="LANGFUSE_SECRET_KEY is not set"):
        target("langfuse=http://127.0.0.1")
    assert "sk-1" not in repr(json.dumps(str(target("langsmith=http://127.0.0.1"))))
