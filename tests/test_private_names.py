"""The private names of other libraries that the code uses: each is still there, and there is no other.

Which version a name was tried with is held against constraints.txt, so that moving to another one is a step
that somebody takes with this list in hand."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import simulate

TRIED = {
    "aiohttp": "3.14.5",
    "grpcio": "1.85.3",
    "livekit": "1.1.21",
    "mcp": "2.3.0",
    "opentelemetry-api": "1.45.2",
    "opentelemetry-sdk": "1.45.2",
    "pipecat-ai": "1.14.0",
    "pytest": "9.2.0",
}
"""The versions that the names below were tried with."""

USED = {
    ("aiohttp", "aiohttp.client:ClientSession"): (
        "_request _ws_connect _build_url _prepare_headers _raise_for_status _json_serialize"
    ),
    ("aiohttp", "aiohttp.client_ws:ClientWebSocketResponse"): "_response _writer _reader",
    ("aiohttp", "aiohttp.connector:BaseConnector"): "_factory _acquired",
    ("aiohttp", "aiohttp.client_reqrep:ClientResponse"): (
        "_headers _raw_headers _cookies _closed _response_eof"
    ),
    ("aiohttp", "aiohttp.streams:StreamReader"): "_buffer _protocol",
    ("grpcio", "grpc._channel"): (
        "_UnaryUnaryMultiCallable _UnaryStreamMultiCallable _SingleThreadedUnaryStreamMultiCallable"
        " _StreamUnaryMultiCallable _StreamStreamMultiCallable"
    ),
    ("grpcio", "grpc._channel:_UnaryUnaryMultiCallable"): (
        "_target _method _request_serializer _response_deserializer"
    ),
    ("grpcio", "grpc.aio._channel:Channel"): "__init__",
    ("grpcio", "grpc.aio._channel:UnaryUnaryMultiCallable"): "_references",
    ("livekit", "livekit.rtc"): "_ffi_client",
    ("livekit", "livekit.rtc.room:Room"): "_ffi_handle _ffi_queue",
    ("livekit", "livekit.rtc.audio_stream:AudioStream"): "_ffi_handle _ffi_queue",
    ("livekit", "livekit.rtc._ffi_client:FfiQueue"): "_lock _subscribers",
    ("mcp", "mcp.client.stdio"): "_create_platform_compatible_process",
    ("opentelemetry-api", "opentelemetry.trace"): "_TRACER_PROVIDER",
    ("opentelemetry-api", "opentelemetry.util._decorator"): "_agnosticcontextmanager",
    ("opentelemetry-api", "opentelemetry._logs"): "LogRecord",
    ("opentelemetry-sdk", "opentelemetry.sdk.trace:TracerProvider"): "_active_span_processor",
    ("opentelemetry-sdk", "opentelemetry.sdk.trace:SynchronousMultiSpanProcessor"): "_lock _span_processors",
    ("pipecat-ai", "pipecat.services.ai_service:AIService"): "_settings",
    ("pipecat-ai", "pipecat.transports.base_transport:BaseTransport"): (
        "_register_event_handler _call_event_handler _input_name _output_name"
    ),
    ("pytest", "_pytest.fixtures"): "TopRequest",
    ("pytest", "_pytest.fixtures:pytest_sessionstart"): "_fixturemanager",
    ("pytest", "_pytest.python:Function"): "_fixtureinfo",
    ("pytest", "_pytest.fixtures:TopRequest"): "_fillfixtures",
    ("pipecat-ai", "pipecat.utils.tracing.service_decorators"): "_tts_spans _tts_texts",
}
"""(package, module or class) → names; a public name in a private module counts as well."""

OPTIONAL = {"_handle_transcription"}
"""Looked for in the agent's own classes; nothing breaks where it is missing."""
STANDARD = {
    "_csock",
    "_current_frames",
    "_exit",
    "_get_running_loop",
    "_getframe",
    "_initializing",
    "_ssock",
    "_tunnel_host",
    "_tunnel_port",
}
"""Of Python's standard library."""


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")  # Pipecat imports it
@pytest.mark.parametrize(("package", "place"), USED)
def test_a_private_name_is_still_there(package: str, place: str) -> None:
    module, _, name = place.partition(":")
    pytest.importorskip(module.partition(".")[0])
    told = f"tried with {package} {TRIED[package]}; installed is {version(package)}"
    try:
        holder: Any = importlib.import_module(module)
        holder = getattr(holder, name) if name else holder
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{place} is gone: {error}; {told}")
    gone = [each for each in USED[package, place].split() if not _has(holder, each)]
    assert not gone, f"{place} has no {', '.join(gone)} any more; {told}"


def _has(holder: Any, name: str) -> bool:
    """As an attribute, or as one that the source gives to instances."""
    if hasattr(holder, name):
        return True
    kinds = [kind for kind in holder.__mro__ if kind is not object] if isinstance(holder, type) else [holder]
    return any(re.search(rf"\.{name}\b", inspect.getsource(kind)) for kind in kinds)


def test_what_is_made_up_is_not_there() -> None:
    aiohttp = pytest.importorskip("aiohttp")
    assert not _has(aiohttp.ClientResponse, "_nothing_of_the_kind") and not _has(aiohttp, "_nothing")


@pytest.mark.parametrize("package", TRIED)
def test_the_locked_version_is_the_one_that_was_tried(package: str) -> None:
    lock = Path(__file__).resolve().parents[1] / "constraints.txt"
    (locked,) = (line for line in lock.read_text("utf-8").splitlines() if line.startswith(f"{package}=="))
    assert Requirement(locked).specifier.contains(TRIED[package]), (
        f"run what uses the private names of {package} with {locked}, then write its version here"
    )


def test_no_other_private_name_is_used() -> None:
    listed = {name for names in USED.values() for name in names.split()} | OPTIONAL | STANDARD
    source = Path(simulate.__file__).parent
    found = [each for path in source.rglob("*.py") for each in _foreign(path)]
    own = {name for path in source.rglob("*.py") for name in _defined(ast.parse(path.read_text("utf-8")))}
    unknown = [f"{use} {name}" for use, name in found if name not in listed | own]
    assert not unknown, f"not in this file's list: {unknown}"
    unused = {name for name in listed if name.startswith("_")} - {name for _, name in found} - {"__init__"}
    assert not unused, f"listed, and used nowhere: {unused}"


def _foreign(path: Path) -> Iterator[tuple[str, str]]:
    """Private names that a file reads from something that it does not define itself."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            name = node.args[1]
            names = [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            ours = node.module.partition(".")[0] == "simulate"
            names = [] if ours else [one.name for one in node.names]
        for name in names:
            if name.startswith("_") and not name.startswith(("__", "_simulate_")):
                yield f"{path.name}:{node.lineno}", name


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ("self", "cls"):
            yield from [node.attr] if isinstance(node.ctx, ast.Store) else []
