"""Agent2Agent: a client's ``send_message`` hands work to another agent; the rest is the SDK's own
plumbing."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="a2a",
    version="1.0",
    rank=50,
    scopes=("a2a-python-sdk", "a2a."),
    marks=("a2a.",),
    any_names=(
        (r"a2a\.client\.transports\..*\.send_message(_streaming)?$", Kind.HANDOFF),
        (r"a2a\.", Kind.CHAIN),
    ),
    names=((r".", Kind.CHAIN),),
    fields={
        "conversation_id": ("a2a.context_id",),
        "handoff_to": ("a2a.agent.name", "a2a.agent_card.name"),
        "tags.a2a.task.id": ("a2a.task_id", "gen_ai.task.id"),
    },
)
