"""gRPC's messages and statuses as they are recorded: messages as JSON lines, in a response as HTTP's."""

from __future__ import annotations

import base64
import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from simulate.model.shapes import object_of
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.recordings import HttpResponse
from simulate.replay.matching.request import HttpRequest

_LINES = ("content-type", "application/x-ndjson")
_TRAILER = "trailer-"
_SCHEME = re.compile(r"^(dns:(//[^/]*/)?|ipv4:|ipv6:|passthrough:///)")


def url_of(target: Any, method: Any) -> str:
    """Where a call goes, as a URL: ``target`` is what the channel was opened with, ``method`` is in full."""
    text = target.decode() if isinstance(target, bytes) else str(target)
    path = method.decode() if isinstance(method, bytes) else str(method)
    place = _SCHEME.sub("", text)
    return f"grpc://{place if '/' not in place else 'localhost'}{path}"


def request_of(url: str, message: Any, serializer: Any, metadata: Iterable[Any] | None) -> HttpRequest:
    """A call with one request."""
    return HttpRequest("GRPC", url, _headers(metadata), line_of(message, serializer).strip())


def stream_request_of(url: str, metadata: Iterable[Any] | None) -> HttpRequest:
    """A call whose request is a stream."""
    return HttpRequest("GRPC", url, _headers(metadata), b"")


def _headers(metadata: Iterable[Any] | None) -> dict[str, str]:
    given = {str(key): value for key, value in metadata or () if isinstance(value, str)}
    return {**given, "content-type": "application/json"}


def line_of(message: Any, serializer: Callable[[Any], bytes] | None) -> bytes:
    """A message as a line: by its fields where it is one of protobuf's, else by its bytes."""
    inner = _protobuf(message)
    if inner is not None:
        json_format: Any = importlib.import_module("google.protobuf.json_format")
        try:
            fields = json_format.MessageToDict(inner, preserving_proto_field_name=True)
            if json_format.ParseDict(fields, type(inner)()) == inner:
                return orjson.dumps({"message": fields}) + b"\n"
        except (TypeError, ValueError, json_format.Error):
            pass  # a type that nobody registered: by its bytes
    content = message if serializer is None else serializer(message)
    return orjson.dumps({"base64": base64.b64encode(content).decode()}) + b"\n"


def message_of(line: bytes, deserializer: Callable[[bytes], Any] | None) -> Any:
    """The message again, as the client's deserializer makes it."""
    told = object_of(orjson.loads(line))
    if "message" not in told or deserializer is None:
        content = base64.b64decode(told.get("base64", ""))
        return content if deserializer is None else deserializer(content)
    made = deserializer(b"")
    json_format: Any = importlib.import_module("google.protobuf.json_format")
    json_format.ParseDict(told["message"], _protobuf(made))
    return made


def _protobuf(message: Any) -> Any:
    """The message of protobuf in it; proto-plus wraps one."""
    inner = message.__dict__.get("_pb", message) if hasattr(message, "__dict__") else message
    return inner if hasattr(inner, "DESCRIPTOR") else None


def note_status(exchange: HttpExchange, code: Any, details: Any, trailers: Iterable[Any] | None) -> None:
    """The call has ended so, after what was noted of it."""
    exchange.opened(200, "", [_LINES, *status_headers(code, details, trailers)])
    exchange.ended()


def status_headers(code: Any, details: Any, trailers: Iterable[Any] | None) -> list[tuple[str, str]]:
    """A status as pairs."""
    name = getattr(code, "name", "OK") or "OK"
    told = [(f"{_TRAILER}{key}", value) for key, value in trailers or () if isinstance(value, str)]
    return [("grpc-status", name), ("grpc-message", str(details or "")), *told]


class Status:
    """How a played call ended: ``code`` is grpc's, ``trailers`` its metadata."""

    def __init__(self, response: HttpResponse) -> None:
        grpc: Any = importlib.import_module("grpc")
        self.details = response.header("grpc-message")
        name = response.header("grpc-status") or "OK"
        if response.failure is not None:
            name, self.details = "UNAVAILABLE", ": ".join(response.failure)
        elif response.status != 200:
            name, self.details = "FAILED_PRECONDITION", response.content.decode("utf-8", "replace")
            error = object_of(orjson.loads(response.content)).get("error")
            self.details = str(object_of(error).get("message", self.details))
        self.code = getattr(grpc.StatusCode, name)
        self.ok = self.code is grpc.StatusCode.OK
        self.trailers = tuple(
            (name.removeprefix(_TRAILER), value)
            for name, value in response.headers
            if name.startswith(_TRAILER)
        )
