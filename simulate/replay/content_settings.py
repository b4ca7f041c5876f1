"""How an instrumentation is told to keep what a replay needs: the words of its model's calls."""

from __future__ import annotations

from dataclasses import dataclass

from simulate.trace.span import Span

_GENAI = (
    "OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental and"
    " OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY"
)
"""Without the former, the latter puts content into log records."""


@dataclass(frozen=True, slots=True)
class ContentSetting:
    """Which attributes of a model's span hold its input and its output, and what brings them."""

    input: str
    output: str
    setting: str


_MESSAGES = "gen_ai.input.messages", "gen_ai.output.messages"
_INDEXED = "llm.input_messages", "llm.output_messages"
_SETTINGS = (
    ("gcp.vertex.agent", ContentSetting(*_MESSAGES, _GENAI)),
    (
        "com.anthropic.",
        ContentSetting(
            *_MESSAGES, "the SDK's own spans never hold them: add an instrumentation of Anthropic's client"
        ),
    ),
    ("openinference.", ContentSetting(*_INDEXED, "unset OPENINFERENCE_HIDE_INPUTS and …_OUTPUTS")),
    (
        "traceai_claude_agent_sdk",
        ContentSetting(*_MESSAGES, "the instrumentation never holds what the model was given"),
    ),
    (
        "@mastra/otel-exporter",
        ContentSetting(*_MESSAGES, "the exporter never holds what the model was given"),
    ),
    ("traceai_", ContentSetting(*_MESSAGES, "unset FI_HIDE_INPUTS and FI_HIDE_OUTPUTS")),
    ("pydantic-ai", ContentSetting(*_MESSAGES, "InstrumentationSettings(include_content=True)")),
    (
        "semantic_kernel",
        ContentSetting(
            *_MESSAGES,
            f"its messages are log records: add an instrumentation of the model's client, with {_GENAI}",
        ),
    ),
    (
        "opentelemetry.instrumentation.botocore",
        ContentSetting(
            *_MESSAGES, "its messages are log records: OpenInference and OpenLLMetry have them in spans"
        ),
    ),
    (
        "opentelemetry.instrumentation.openai_agents",
        ContentSetting(
            *_MESSAGES, "its answers are not in its spans: OpenInference, traceAI and Logfire have them"
        ),
    ),
    (
        "org.springframework",
        ContentSetting(
            *_MESSAGES,
            "its spans never hold them (log-prompt and log-completion write to the log): add an"
            " instrumentation of the model's client",
        ),
    ),
    (
        "io.quarkus",
        ContentSetting(
            *_MESSAGES,
            "quarkus.langchain4j.tracing.include-prompt, include-completion, include-tool-arguments and"
            " include-tool-result: true",
        ),
    ),
    ("ai.", ContentSetting("ai.prompt.messages", "ai.response.text", "recordInputs and recordOutputs: true")),
    (
        "opentelemetry.instrumentation.",
        ContentSetting(*_MESSAGES, f"{_GENAI}; for OpenLLMetry, no TRACELOOP_TRACE_CONTENT=false"),
    ),
)
_ANY = ContentSetting(*_MESSAGES, f"for OpenTelemetry's instrumentations {_GENAI}")


def content_setting(span: Span) -> ContentSetting:
    """What the instrumentation that wrote a model's span has to be told."""
    scope = span.scope or ""
    return next((one for prefix, one in _SETTINGS if scope == prefix or scope.startswith(prefix)), _ANY)
