"""What Node processes of an agent ask past the endpoint of their model: `outgoing.cjs` sends it by way of us,
with the address that it was meant for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from aiohttp import web

from simulate.replay.intercept import children
from simulate.replay.matching.request import HttpRequest

PATH = "/__simulate/outgoing"
_URL, _TELEMETRY = "x-simulate-url", "x-simulate-telemetry"
_SCRIPT = Path(children.__file__).parent / "child" / "outgoing.cjs"


def environment(port: int, past: Iterable[str], base: Mapping[str, str]) -> dict[str, str]:
    """What sends the requests of Node processes by way of us, but for those to the addresses ``past``."""
    return {
        "SIMULATE_REPLAY_OUTGOING": f"http://127.0.0.1:{port}{PATH}",
        "SIMULATE_REPLAY_PAST": ",".join(sorted(past)),
        "NODE_OPTIONS": f'{base.get("NODE_OPTIONS", "")} --require "{_SCRIPT}"'.strip(),
    }


def is_outgoing(request: web.BaseRequest) -> bool:
    """Whether a request is meant for another address. No page in a browser can send one: the header would
    have to be allowed first."""
    return request.path == PATH and (_URL in request.headers or is_telemetry(request))


def is_telemetry(request: web.BaseRequest) -> bool:
    """Whether an exporter sent it, in a replay: nobody gets it."""
    return _TELEMETRY in request.headers


def meant(request: web.BaseRequest, body: bytes) -> HttpRequest:
    """The request as the agent made it."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in {_URL, "host"}}
    return HttpRequest(request.method, request.headers[_URL], headers, body)
