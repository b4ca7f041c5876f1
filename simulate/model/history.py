"""What was said and done before a scenario begins: ``history:``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from simulate.model.base import Strict
from simulate.model.units import AsWritten, Data

CALL_ID = "simulate-history-"
"""How the ids of earlier tool calls begin, so that none of them is taken for one of the conversation."""


class Earlier(Strict):
    """One message or tool call before the scenario begins. Exactly one of ``caller``, ``agent`` and
    ``called``."""

    caller: AsWritten | None = None
    """What the caller said."""
    agent: AsWritten | None = None
    """What the agent said."""
    called: AsWritten | None = None
    """A tool that the agent called."""
    with_: dict[str, Data] = Field(default_factory=dict[str, Any], alias="with")
    """Its arguments."""
    returned: Data = None
    """What it answered."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Earlier:
        if sum(getattr(self, name) is not None for name in ("caller", "agent", "called")) != 1:
            raise ValueError("an entry is one of caller, agent and called")
        if self.called is None and self.model_fields_set & {"with_", "returned"}:
            raise ValueError("with: and returned: belong to called:")
        return self


def as_messages(history: Sequence[Earlier]) -> list[dict[str, Any]]:
    """The history in OpenAI's message shape."""
    messages: list[dict[str, Any]] = []
    for number, each in enumerate(history, 1):
        if each.caller is not None:
            messages.append({"role": "user", "content": each.caller})
        elif each.agent is not None:
            messages.append({"role": "assistant", "content": each.agent})
        else:
            function = {"name": each.called, "arguments": json.dumps(each.with_, ensure_ascii=False)}
            call = {"id": f"{CALL_ID}{number}", "type": "function", "function": function}
            returned = each.returned
            content = returned if isinstance(returned, str) else json.dumps(returned, ensure_ascii=False)
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    return messages
