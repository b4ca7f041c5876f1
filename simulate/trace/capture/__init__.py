"""The agent's own OpenTelemetry spans: from within the process, and from outside by an OTLP receiver."""

from simulate.trace.capture.capture import Capture, Captured

__all__ = ["Capture", "Captured"]
