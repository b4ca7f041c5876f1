"""How OTLP/HTTP asks and is answered, whoever takes the spans
(https://opentelemetry.io/docs/specs/otlp/#otlphttp)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import orjson

from simulate.local_server import Intake, Refused
from simulate.model.unpacking import GZIP, ZLIB, Inflate, Unpacks

if TYPE_CHECKING:
    from aiohttp import web

PROTOBUF, JSON = "application/x-protobuf", "application/json"
EVALUATION = "gen_ai.evaluation.result"


async def export(request: web.BaseRequest, intake: Intake) -> tuple[str, bytes]:
    """The signal (``traces``, ``logs``, ``metrics``) and the unpacked body of an export. Raises Refused for
    what is none, and for a body beyond the limit."""
    signal = signal_of(request.path)
    if request.method != "POST":
        raise Refused(405, "export with POST")
    if request.content_type not in (PROTOBUF, JSON):
        raise Refused(415, f"{PROTOBUF} or {JSON}, not {request.content_type}")
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # or the answer would count as begun
    body = await intake.body(request)
    return signal, inflated(body, request.headers.get("Content-Encoding", ""), intake)


def signal_of(path: str) -> str:
    """The signal that a path takes, whatever words a vendor puts before it. Raises Refused."""
    for signal in ("traces", "logs", "metrics"):
        if path.rstrip("/").endswith(f"/v1/{signal}"):
            return signal
    raise Refused(404, f"nothing at {path}: this is an OTLP receiver, traces go to /v1/traces")


def inflated(body: bytes, encoding: str, intake: Intake) -> bytes:
    """The body decompressed, never to more than the limit, whatever it claims."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise Refused(415, f"gzip, deflate or no compression, not {encoding}")
    inflate, data = Inflate(GZIP if encoding == "gzip" else ZLIB), bytearray()
    try:
        for piece in inflate.feed(body):
            data += piece
            if len(data) > intake.limit:
                raise intake.too_long("once decompressed, the request")
    except Unpacks as error:
        raise Refused(413, f"the request {error}") from error
    except zlib.error as error:
        raise Refused(400, f"the body is not {encoding}") from error
    if not inflate.whole:
        raise Refused(400, f"the {encoding} body is cut off")
    return bytes(data)


def success(problem: tuple[int, str] | None, kind: str) -> bytes:
    """The answer to a request that was taken, with the spans that were not."""
    if kind == JSON:
        if problem is None:
            return b"{}"
        return b'{"partialSuccess":{"rejectedSpans":"%d","errorMessage":"%s"}}' % (
            problem[0],
            problem[1].encode(),
        )
    if problem is None:
        return b""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    partial = ExportTracePartialSuccess(rejected_spans=problem[0], error_message=problem[1])
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


def failure(message: str, kind: str) -> bytes:
    """A ``google.rpc.Status`` with code 3, INVALID_ARGUMENT: two fields, so written by hand."""
    if kind == JSON:
        return orjson.dumps({"code": 3, "message": message})
    text = message.encode()[:127]
    return b"\x08\x03\x12" + bytes([len(text)]) + text
