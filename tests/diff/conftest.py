"""Small traces as an agent instrumented by the GenAI conventions would send them."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from simulate.trace.span import Span, Trace

ROOT = Path(__file__).parents[2]


class Scene:
    """Writes one trace, a span at a time, each a second after the one before."""

    def __init__(self, seed: int = 0) -> None:
        self.numbers = itertools.count(seed * 1_000_000 + 1)
        self.trace = Trace(f"{seed + 1:032x}")
        self.clock = 1_700_000_000_000_000_000
        self.history: list[dict[str, Any]] = []
        self.top = self.span("invoke_agent support", **_agent("support"))

    def span(self, name: str, parent: Span | None = None, **attributes: Any) -> Span:
        self.clock += 1_000_000_000
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        above = parent or getattr(self, "top", None)
        span = Span(
            self.trace.trace_id,
            f"{next(self.numbers):016x}",
            name,
            None if above is None else above.span_id,
            self.clock,
            self.clock + 500_000_000,
            attributes=named,
        )
        self.trace.spans.append(span)
        return span

    def caller(self, text: str) -> Scene:
        self.history.append({"role": "user", "parts": [{"type": "text", "content": text}]})
        return self

    def model(
        self,
        text: str = "",
        calls: list[tuple[str, dict[str, Any]]] | None = None,
        model: str = "gpt-5-mini",
        **more: Any,
    ) -> Span:
        parts: list[dict[str, Any]] = [{"type": "text", "content": text}] if text else []
        parts += [
            {"type": "tool_call", "id": f"call_{next(self.numbers)}", "name": name, "arguments": arguments}
            for name, arguments in calls or ()
        ]
        answer = {"role": "assistant", "parts": parts}
        span = self.span(
            f"chat {model}",
            gen_ai__operation__name="chat",
            gen_ai__input__messages=json.dumps(self.history),
            gen_ai__output__messages=json.dumps([answer]),
            **{
                "gen_ai.request.model": model,
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 20,
                **more,
            },
        )
        self.history.append(answer)
        return span

    def tool(self, name: str, result: Any = "ok", *, error: str | None = None, **arguments: Any) -> Span:
        """The model asks for the tool, and the tool runs."""
        self.model(calls=[(name, arguments)])
        return self.run(name, result, error=error, **arguments)

    def run(self, name: str, result: Any = "ok", *, error: str | None = None, **arguments: Any) -> Span:
        span = self.span(
            f"execute_tool {name}",
            **{
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.call.arguments": json.dumps(arguments),
                "gen_ai.tool.call.result": json.dumps(result),
            },
        )
        if error is not None:
            span.status, span.status_message = "error", error
            span.attributes.pop("gen_ai.tool.call.result")
            span.attributes["error.type"] = error
        return span


def _agent(name: str) -> dict[str, Any]:
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}


@pytest.fixture(scope="session")
def scene() -> type[Scene]:
    return Scene


@pytest.fixture(scope="session")
def generator() -> ModuleType:
    """The benchmark's generator, which shares no code with the aligner."""
    path = ROOT / "benchmarks" / "diff_traces.py"
    if not path.exists():
        pytest.skip("the benchmarks are not here")
    spec = importlib.util.spec_from_file_location("diff_traces_for_tests", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
