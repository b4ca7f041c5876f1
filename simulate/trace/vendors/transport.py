"""What carries calls: HTTP, RPC, databases and queues. Steps of the chain, seen here so that they are
not unknown."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="transport",
    version="semantic-conventions 1.30",
    rank=90,
    scopes=(
        "opentelemetry.instrumentation.",
        "@opentelemetry/instrumentation-",
        "go.opentelemetry.io/",
        "io.opentelemetry.",
        "next.js",
        "fastapi",
        "azure.core.tracing",
    ),
    names=((r".", Kind.CHAIN),),
    any_names=((r"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)( |$)", Kind.CHAIN),),
    signs=dict.fromkeys(
        (
            "http.request.method",
            "http.method",
            "http.route",
            "http.url",
            "url.full",
            "rpc.system",
            "rpc.system.name",
            "db.system",
            "db.system.name",
            "messaging.system",
            "asgi.event.type",
        ),
        Kind.CHAIN,
    ),
)
