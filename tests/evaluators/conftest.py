"""Traces built by hand in the conventions' own names, and a judge whose model is a function."""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.llm import ModelConfig
from simulate.scoring.judge import Judge
from simulate.trace.span import Span, Trace

SECOND = 1_000_000_000
START = 1_760_000_000 * SECOND


class Builder:
    """Puts one trace together, a second a step."""

    def __init__(self) -> None:
        self.trace = Trace(f"{7:032x}")
        self.history: list[dict[str, Any]] = []
        self._now = START
        self.root = self.add("conversation", "AGENT", **{"gen_ai.agent.name": "support"})

    def add(self, name: str, kind: str, *, error: str | None = None, **attributes: Any) -> Span:
        self._now += SECOND
        span = Span(
            self.trace.trace_id,
            f"{len(self.trace.spans) + 1:016x}",
            name,
            parent_id=self.trace.spans[0].span_id if self.trace.spans else None,
            start_ns=self._now,
            end_ns=self._now + SECOND // 2,
            attributes={"gen_ai.span.kind": kind, **attributes},
            status="error" if error else "unset",
            status_message=error,
        )
        self.trace.spans.append(span)
        return span

    def asks(self, text: str) -> "Builder":
        self.history.append({"role": "user", "parts": [{"type": "text", "content": text}]})
        return self

    def says(self, text: str, **attributes: Any) -> Span:
        """One model call that answers the conversation so far."""
        answer = {"role": "assistant", "parts": [{"type": "text", "content": text}]}
        span = self.add(
            "chat m",
            "LLM",
            **{
                "gen_ai.operation.name": "chat",
                "gen_ai.input.messages": json.dumps(self.history),
                "gen_ai.output.messages": json.dumps([answer]),
                **attributes,
            },
        )
        self.history.append(answer)
        return span

    def calls(
        self, name: str, arguments: dict[str, Any] | None = None, result: Any = "ok", error: str | None = None
    ) -> Span:
        told = {} if arguments is None else {"gen_ai.tool.call.arguments": json.dumps(arguments)}
        done = {} if error else {"gen_ai.tool.call.result": json.dumps(result)}
        return self.add(
            f"execute_tool {name}", "TOOL", error=error, **{"gen_ai.tool.name": name, **told, **done}
        )

    def finds(self, query: str, documents: Iterable[dict[str, Any]], kind: str = "RETRIEVER") -> Span:
        return self.add(
            "search",
            kind,
            **{
                "gen_ai.retrieval.query.text": query,
                "gen_ai.retrieval.documents": json.dumps(list(documents)),
            },
        )


@pytest.fixture
def build() -> Builder:
    return Builder()


class Brain:
    """A judge's model, scripted: the answers are written by hand from the evidence. ``rule`` takes the
    question and the material, and gives a label and quotes."""

    def __init__(self, rule: Callable[[str, dict[str, Any]], tuple[str, list[str]]]) -> None:
        self.rule = rule
        self.asked: list[dict[str, Any]] = []

    def __call__(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        instructions = messages[0]["content"]
        material: dict[str, Any] = {}
        for line in messages[1]["content"].splitlines():
            if line.startswith("{"):
                material |= json.loads(line)
        self.asked.append(material)
        label, quotes = self.rule(instructions, material)
        letters = {name: letter for letter, name in re.findall(r"^([A-Z]): ([\w ]+?) \(", instructions, re.M)}
        return {
            "content": json.dumps({"evidence": quotes, "reason": f"it is {label}", "answer": letters[label]})
        }


MakeJudge = Callable[[Callable[[str, dict[str, Any]], tuple[str, list[str]]]], Judge]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(logprobs=False).running() as running:
        yield running


@pytest.fixture
def judge_by(server: ModelServer) -> MakeJudge:
    """A judge over a real socket whose model is this rule; ``judge.brain.asked`` is what it saw."""

    def make(rule: Callable[[str, dict[str, Any]], tuple[str, list[str]]]) -> Judge:
        brain = Brain(rule)
        server.brains = {"judge": brain}
        judge = Judge(ModelConfig("judge", server.url, "k", retries=0))
        judge.brain = brain  # type: ignore[attr-defined]
        return judge

    return make
