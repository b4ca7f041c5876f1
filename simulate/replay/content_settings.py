"""How an instrumentation is told to keep what a replay needs: the words of its model's calls."""

from __future__ import annotations

from dataclasses import dataclass

from simulate.trace.span import Span

_GENAI = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@dataclass(frozen=True, slots=True)
class ContentSetting:
    """Which attributes of a model's span hold its input and its output, and what brings them."""

    input: str
    output: str
    setting: str


_MESSAGES = "gen_ai.input.messages", "gen_ai.output.messages"
_INDEXED = "llm.input_messages", "llm.output_messages"
_SETTINGS = (
    ("gcp.vertex.agent", ContentSetting(*_MESSAGES, f"{_GENAI}=SPAN_ONLY")),
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
            f"its messages are log records: add an instrumentation of the model's client, with {_GENAI}=true",
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
        ContentSetting(*_MESSAGES, "spring.ai.chat.observations.log-prompt=true and log-completion=true"),
    ),
    (
        "io.quarkus",
        ContentSetting(
            *_MESSAGES, "quarkus.langchain4j.tracing.include-prompt=true and include-completion=true"
        ),
    ),
    ("ai.", ContentSetting("ai.prompt.messages", "ai.response.text", "recordInputs and recordOutputs: true")),
    (
        "opentelemetry.instrumentation.",
        ContentSetting(*_MESSAGES, f"{_GENAI}=true, or for OpenLLMetry TRACELOOP_TRACE_CONTENT=true"),
    ),
)
_ANY = ContentSetting(*_MESSAGES, f"for OpenTelemetry's instrumentations {_GENAI}=true")


def content_setting(span: Span) -> ContentSetting:
    """What the instrumentation that wrote a model's span has to be told."""
    scope = span.scope or ""
    return next((one for prefix, one in _SETTINGS if scope == prefix or scope.startswith(prefix)), _ANY)
