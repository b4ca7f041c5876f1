"""OTLP over gRPC, for agents whose distribution knows nothing else; needs the extra ``grpc``.

Everything that arrives goes the same way as what the HTTP receiver gets.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulate.errors import EnvironmentFault, MissingExtra
from simulate.local_server import Refused
from simulate.trace.capture.otlp_http import PROTOBUF, success
from simulate.trace.capture.receiver import Receiver

METHODS = {
    f"/opentelemetry.proto.collector.{name}.v1.{service}Service/Export": signal
    for name, service, signal in (
        ("trace", "Trace", "traces"),
        ("logs", "Logs", "logs"),
        ("metrics", "Metrics", "metrics"),
    )
}
"""The methods that exporters call, and the signal that each brings."""


def grpc_module(name: str = "grpc") -> Any:
    """A module of grpcio. Raises MissingExtra where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra("grpcio, to receive OTLP over gRPC", "grpc") from error


class GrpcReceiver:
    """Listens on 127.0.0.1 and hands what comes to ``receiver``."""

    def __init__(self, receiver: Receiver, *, port: int = 0) -> None:
        self._receiver = receiver
        self._port = port
        self._server: Any = None
        self.endpoint = ""
        """``http://127.0.0.1:PORT`` once started."""

    async def start(self) -> None:
        """Listen. Raises MissingExtra without grpcio, EnvironmentFault where the port is taken."""
        module = grpc_module()
        limit = self._receiver.limit
        self._server = module.server(
            ThreadPoolExecutor(2, thread_name_prefix="simulate-grpc"),
            handlers=[handlers(module, functools.partial(_export, module, self._receiver))],
            # two runs on one port would share its requests at random
            options=[("grpc.max_receive_message_length", limit), ("grpc.so_reuseport", 0)],
        )
        try:
            port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        except RuntimeError as error:
            raise EnvironmentFault(
                f"the OTLP receiver cannot listen on 127.0.0.1:{self._port} for gRPC",
                hint="choose another port, or 0 for any free one",
            ) from error
        self._server.start()
        self.endpoint = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        """Answer what is being read, then close."""
        if self._server is not None:
            await asyncio.to_thread(self._server.stop(1.0).wait)
            self._server = None


def handlers(grpc: Any, export: Callable[[str], Callable[[bytes, Any], Any]]) -> Any:
    """What answers the methods of `METHODS`; ``export`` makes the function that answers the one at a path,
    given the body and the call."""

    class Export(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            path = handler_call_details.method
            return grpc.unary_unary_rpc_method_handler(export(path)) if path in METHODS else None

    return Export()


def _export(grpc: Any, receiver: Receiver, path: str) -> Callable[[bytes, Any], bytes]:
    def export(body: bytes, context: Any) -> bytes:
        try:
            problem = receiver.take(METHODS[path], body, PROTOBUF)
        except Refused as refusal:
            receiver.refuse(refusal)
            full = refusal.status == 413
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if full else grpc.StatusCode.INVALID_ARGUMENT
            context.abort(code, refusal.message)
            raise  # abort() raises; this tells so to those who read types
        return success(problem, PROTOBUF)

    return export
