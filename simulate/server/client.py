"""A server from outside: what the command line asks of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import orjson

from simulate.errors import EnvironmentFault, InputError
from simulate.model.web_url import url_problem
from simulate.retry_after import retry_after
from simulate.trace.otlp.encode import to_protobuf
from simulate.trace.span import Span

BATCH = 512
TRIES = 5
TIMEOUT = 60.0


class Client:
    """Asks a server at ``http://host:port``, with a key where it demands one.

    Every method raises InputError for what the server refuses, and EnvironmentFault where it cannot be
    reached."""

    def __init__(self, address: str, key: str | None = None) -> None:
        if (problem := url_problem(address)) is not None:
            raise InputError(
                f"{address!r} is not the address of a server: it {problem}",
                hint="write http://127.0.0.1:4318",
            )
        self.address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def send(self, spans: Iterable[Span]) -> int:
        """Send spans as an exporter does; how many were taken."""
        taken, batch = 0, list[Span]()
        for span in spans:
            batch.append(span)
            if len(batch) >= BATCH:
                taken += self._send(batch)
                batch = []
        return taken + (self._send(batch) if batch else 0)

    def _send(self, batch: list[Span]) -> int:
        body = to_protobuf(batch).SerializeToString()
        self._ask("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        return len(batch)

    def get(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        """The JSON of an address of the API."""
        return orjson.loads(self.download(path, query))

    def download(self, path: str, query: Mapping[str, str | None] | None = None) -> bytes:
        """What is at an address."""
        told = urlencode({name: value for name, value in (query or {}).items() if value})
        return self._ask("GET", f"{path}?{told}" if told else path)

    def trace_path(self, trace_id: str, what: str = "") -> str:
        """The address of a trace."""
        return f"/api/v1/traces/{quote(trace_id, safe='')}{what}"

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        request = Request(self.address + path, body, {**self._headers, **(headers or {})}, method=method)
        for attempt in range(1, TRIES + 1):
            try:
                with urlopen(request, timeout=TIMEOUT) as response:
                    return response.read()
            except HTTPError as error:
                if error.code in (429, 503) and attempt < TRIES:
                    time.sleep(min(30.0, retry_after(dict(error.headers.items())) or 1.0))
                    continue
                raise _refusal(error) from error
            except (URLError, OSError) as error:
                reason = getattr(error, "reason", error)
                raise EnvironmentFault(
                    f"the server cannot be reached: {reason}",
                    where=self.address,
                    hint="simulate serve starts one",
                ) from error
        raise AssertionError("the last try returns or raises")


def _refusal(error: HTTPError) -> InputError | EnvironmentFault:
    data = error.read(100_000)
    try:
        told = orjson.loads(data)
        message, hint = str(told["error"]), told.get("hint")
    except (ValueError, TypeError, KeyError):
        message, hint = (
            data.decode("utf-8", "replace").strip("\x00\x08\x03\x12 ")[:200] or str(error.reason),
            None,
        )
    if error.code in (429, 500, 503):
        return EnvironmentFault(f"the server says: {message}", where=f"HTTP {error.code}")
    return InputError(f"the server refuses: {message}", where=f"HTTP {error.code}", hint=hint)
