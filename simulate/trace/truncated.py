"""A worker's trace whose end was never sent, told with the line that mends it."""

from __future__ import annotations

from simulate.trace.span import Trace

LIVEKIT = "livekit-agents"


def truncated(trace: Trace, outside: str | None = None) -> str | None:
    """What is lost and the line to add, for a LiveKit worker that ended before its exporter had sent all.

    A job's process is ended soon after its call, and a batch of spans waits for up to 5 s: those that end
    last, ``agent_session`` first among them, are then lost, and what hung on them hangs in the air.
    ``outside`` is the span that we sent as parent, which is in no trace of the agent's."""
    mine = [span for span in trace.spans if span.scope.startswith(LIVEKIT) or span.scope == "livekit.agents"]
    if not mine or any(span.name == "agent_session" for span in mine):
        return None
    known = {span.span_id for span in trace.spans}
    loose = [span for span in mine if span.parent_id not in (None, outside) and span.parent_id not in known]
    if not loose:
        return None
    return (
        f"the worker's trace is cut off: its agent_session never came, and {len(loose)} spans hang on spans "
        "that were not sent. The job ended before its exporter had sent them; in the entrypoint, add "
        "`ctx.add_shutdown_callback(flush)` with `async def flush(): provider.force_flush()`"
    )
