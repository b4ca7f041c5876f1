"""Traces by hand, in the conventions' names: model calls, tools, and what each says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace

MS = 1_000_000
START = 1_780_000_000_000_000_000


async def statuses(told: Span | TraceReading, *expect: dict[str, Any]) -> list[str]:
    """What these expectations come to, of a span alone or of a trace."""
    reading = TraceReading(Trace(told.trace_id, [told])) if isinstance(told, Span) else told
    scenario = Scenario.model_validate({"name": "n", "opens_with": "Hi", "expect": list(expect)})
    evidence = Evidence(
        scenario,
        Conversation("1" * 32),
        reading,
        reading.tool_calls,
        no_tools_because=reading.evidence.tools.why_not or None,
    )
    return [verdict.status for verdict in await check_all(scenario.expect, evidence)]


class Story:
    """One trace under an agent's span; each span lasts 10 ms and begins 10 ms after the one before."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.history: list[dict[str, Any]] = []
        self._now = START
        self.root = self.add("invoke_agent desk", "invoke_agent", **{"gen_ai.agent.name": "desk"})
        self.root.end_ns = START + 10**12

    def add(
        self, name: str, operation: str, *, under: Span | None = None, scope: str = "sdk", **attributes: Any
    ) -> Span:
        parent = under or (self.spans[0] if self.spans else None)
        span = Span(
            "a" * 32,
            f"{len(self.spans) + 1:016x}",
            name,
            None if parent is None else parent.span_id,
            self._now,
            self._now + 10 * MS,
            {"gen_ai.operation.name": operation, **attributes},
            scope=scope,
        )
        self._now += 20 * MS
        self.spans.append(span)
        return span

    def chat(self, *calls: tuple[str, str | None, dict[str, Any]], says: str = "", **attributes: Any) -> Span:
        """A model call that is told all that was said so far, and asks for tools or says something."""
        parts: list[dict[str, Any]] = [
            {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}
            for name, call_id, arguments in calls
        ]
        answer = {"role": "assistant", "parts": parts or [{"type": "text", "content": says}]}
        messages = {
            "gen_ai.input.messages": json.dumps(self.history),
            "gen_ai.output.messages": json.dumps([answer]),
        }
        span = self.add("chat m", "chat", **(messages | attributes))
        self.history.append(answer)
        return span

    def answered(self, call_id: str | None, result: Any, name: str | None = None) -> None:
        """A tool's answer, for the next model call to be told."""
        part = {"type": "tool_call_response", "id": call_id, "response": result, "name": name}
        self.history.append({"role": "tool", "parts": [part]})

    def tool(self, name: str, call_id: str | None = None, arguments: Any = None, **more: Any) -> Span:
        attributes = {"gen_ai.tool.name": name, "gen_ai.tool.call.id": call_id}
        if arguments is not None:
            attributes["gen_ai.tool.call.arguments"] = json.dumps(arguments)
        return self.add(f"execute_tool {name}", "execute_tool", **(attributes | more))

    def read(self) -> TraceReading:
        return TraceReading(Trace("a" * 32, self.spans))

    def calls(self) -> list[tuple[str, Any, Any]]:
        """Name, arguments and result of each call."""
        return [(str(call.name), call.arguments, call.result) for call in self.read().tool_calls]


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def stories() -> Callable[[], Story]:
    return Story
