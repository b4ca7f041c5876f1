"""What each known SDK reads to send its traces to us."""

from __future__ import annotations


def environment(endpoint: str) -> dict[str, str]:
    """What sends each known SDK's traces to ``endpoint``; docs/capture.md tells the traps."""
    return {
        **main_settings(endpoint),
        # the signal's own variables win over the general ones, so an agent that has them needs them changed
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "500",
        "FI_BASE_URL": endpoint,
        "LANGFUSE_BASE_URL": endpoint,
        "LANGFUSE_HOST": endpoint,
        # Phoenix puts its gRPC port in place of this one unless told otherwise in code, and takes an address
        # with this path to be HTTP all the same
        "PHOENIX_COLLECTOR_ENDPOINT": f"{endpoint}/v1/traces",
        "PHOENIX_GRPC_PORT": endpoint.rsplit(":", 1)[1],
        "TRACELOOP_BASE_URL": endpoint,
        "LANGSMITH_ENDPOINT": endpoint,
    }


def main_settings(endpoint: str) -> dict[str, str]:
    """OpenTelemetry's own, which nearly all take."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
