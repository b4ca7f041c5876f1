"""Generated traces with known truth, for the alignment benchmark.

Shares no code with the aligner: a trace is grown from a grammar of agents, and the second one is made from
the first by edits that note, for every span, which span of the first it came from (or none).
"""

from __future__ import annotations

import copy
import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

from simulate.trace.span import Span, Trace

TOOLS = (
    "lookup_order",
    "verify_identity",
    "issue_refund",
    "search_flights",
    "book_seat",
    "send_mail",
    "get_weather",
)
WORDS = tuple(
    re.findall(
        r"\w+",
        "order refund flight seat weather customer account delay parcel invoice address credit card "
        "booking ticket window morning evening policy agent manager return exchange discount shipping "
        "tracking number city hotel room meal luggage passport airport gate boarding upgrade economy "
        "business voucher email phone please thanks sorry check confirm cancel change update status "
        "today tomorrow soon later never always maybe ",
    )
)


@dataclass(slots=True)
class Grown:
    """A tree of spans under construction; ``origin`` is the index in the first trace, None if new."""

    name: str
    attributes: dict[str, Any]
    children: list[Grown] = field(default_factory=list)
    parallel: bool = False
    origin: int | None = None
    seconds: float = 0.1


class Grammar:
    """Grows conversations: turns of agents that think, call tools (some in parallel), retrieve and answer."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def sentence(self, low: int = 6, high: int = 24) -> str:
        return " ".join(self.random.choice(WORDS) for _ in range(self.random.randint(low, high)))

    def node(self, name: str, attributes: dict[str, Any], **more: Any) -> Grown:
        self.count += 1
        return Grown(name, attributes, seconds=self.random.uniform(0.01, 2.0), **more)

    def model(self, heard: str, said: str) -> Grown:
        return self.node(
            "chat gpt-5-mini",
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-5-mini",
                "gen_ai.provider.name": "openai",
                "gen_ai.usage.input_tokens": self.random.randint(100, 4000),
                "gen_ai.usage.output_tokens": self.random.randint(5, 400),
                "gen_ai.input.messages": _messages("user", heard),
                "gen_ai.output.messages": _messages("assistant", said),
            },
        )

    def tool(self) -> Grown:
        name = self.random.choice(TOOLS)
        arguments = {"id": str(self.random.randint(1000, 9999)), "reason": self.sentence(1, 4)}
        result = {"status": self.random.choice(["ok", "late", "open"]), "note": self.sentence(3, 9)}
        found = self.node(
            f"execute_tool {name}",
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.call.arguments": json.dumps(arguments),
                "gen_ai.tool.call.result": json.dumps(result),
            },
        )
        for _ in range(self.random.choice((0, 0, 1, 2))):
            url = f"http://127.0.0.1/{name}/{self.random.randint(0, 40)}"
            found.children.append(self.node(self.random.choice(("GET", "POST")), {"url.full": url}))
        return found

    def retrieval(self) -> Grown:
        return self.node(
            "retrieve",
            {
                "gen_ai.operation.name": "retrieval",
                "openinference.span.kind": "RETRIEVER",
                "input.value": self.sentence(3, 8),
                "output.value": self.sentence(20, 40),
            },
        )

    def step(self) -> list[Grown]:
        heard = self.sentence()
        parts = [self.model(heard, self.sentence())]
        tools = [self.tool() for _ in range(self.random.choice((0, 1, 1, 2, 3)))]
        if len(tools) > 1 and self.random.random() < 0.6:
            group = self.node("tools", {"fi.span.kind": "CHAIN"}, parallel=True)
            group.children = tools
            return [*parts, group]
        if self.random.random() < 0.3:
            parts.append(self.retrieval())
        return [*parts, *tools]

    def agent(self, depth: int) -> Grown:
        name = self.random.choice(("triage", "billing", "travel", "support"))
        found = self.node(
            f"invoke_agent {name}", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
        )
        for _ in range(self.random.randint(1, 4)):
            found.children.extend(self.step())
            if depth and self.random.random() < 0.2:
                found.children.append(self.agent(depth - 1))
        found.children.append(self.model(self.sentence(), self.sentence()))
        return found

    def conversation(self, spans: int) -> Grown:
        root = self.node("conversation", {"fi.span.kind": "CONVERSATION"})
        while self.count < spans:
            turn = self.node("turn", {"fi.span.kind": "TURN"})
            turn.children = [self.agent(2)]
            root.children.append(turn)
        return root


def _messages(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


@dataclass(slots=True)
class Edits:
    """What the second trace has other than the first, as shares of all spans or of those it applies to."""

    inserted: float = 0.02
    deleted: float = 0.02
    reworded: float = 0.5
    arguments: float = 0.1
    reorder: bool = False
    rename: str | None = None


def edit(root: Grown, edits: Edits, seed: int) -> Grown:
    """A second run of the same conversation."""
    grammar = Grammar(seed)
    chance = grammar.random
    second = copy.deepcopy(root)
    waiting = [second]
    while waiting:
        grown = waiting.pop()
        kept: list[Grown] = []
        for child in grown.children:
            if chance.random() < edits.deleted and grown is not second:
                continue
            if chance.random() < edits.inserted:
                kept.append(chance.choice((grammar.tool, grammar.retrieval, lambda: grammar.agent(0)))())
            kept.append(child)
            waiting.append(child)
        if grown.parallel and edits.reorder:
            chance.shuffle(kept)
        grown.children = kept
        if grown.origin is not None:
            _reword(grown, edits, grammar)
    return second


def _reword(grown: Grown, edits: Edits, grammar: Grammar) -> None:
    chance, attributes = grammar.random, grown.attributes
    grown.seconds *= chance.uniform(0.7, 1.4)
    if "gen_ai.usage.input_tokens" in attributes:
        attributes["gen_ai.usage.input_tokens"] += chance.randint(0, 50)
        if chance.random() < edits.reworded:
            text = json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["content"].split()
            changed = [chance.choice(WORDS) if chance.random() < 0.5 else word for word in text]
            chance.shuffle(changed)
            attributes["gen_ai.output.messages"] = _messages("assistant", " ".join(changed))
    if "gen_ai.tool.call.arguments" in attributes and chance.random() < edits.arguments:
        arguments = json.loads(attributes["gen_ai.tool.call.arguments"])
        arguments["id"] = str(chance.randint(1000, 9999))
        attributes["gen_ai.tool.call.arguments"] = json.dumps(arguments)
    if edits.rename and attributes.get("gen_ai.agent.name") == edits.rename:
        attributes["gen_ai.agent.name"] = "concierge"
        grown.name = "invoke_agent concierge"


def number(root: Grown) -> None:
    """Give every span of the first trace its own origin."""
    for index, grown in enumerate(_walk(root)):
        grown.origin = index


def _walk(root: Grown) -> list[Grown]:
    found: list[Grown] = []
    waiting = [root]
    while waiting:
        grown = waiting.pop()
        found.append(grown)
        waiting.extend(reversed(grown.children))
    return found


def trace(root: Grown, seed: int) -> tuple[Trace, dict[str, int | None]]:
    """The spans with fresh ids, in the order in which they would end, and each one's origin."""
    chance = random.Random(seed)
    trace_id = f"{chance.getrandbits(128):032x}"
    spans: list[Span] = []
    origins: dict[str, int | None] = {}
    clock = 1_700_000_000_000_000_000
    waiting: list[tuple[Grown, str | None]] = [(root, None)]
    while waiting:
        grown, parent = waiting.pop()
        span_id = f"{chance.getrandbits(64):016x}"
        origins[span_id] = grown.origin
        clock += 1_000_000
        spans.append(
            Span(
                trace_id,
                span_id,
                grown.name,
                parent,
                clock,
                clock + int(grown.seconds * 1e9),
                attributes=dict(grown.attributes),
                scope="generated",
            )
        )
        waiting.extend((child, span_id) for child in reversed(grown.children))
    spans.reverse()
    return Trace(trace_id, spans), origins


def pair(spans: int, edits: Edits, seed: int = 7) -> tuple[Trace, Trace, dict[str, str | None], int]:
    """Two traces, and for each span of the second the id of the span in the first that it is."""
    root = Grammar(seed).conversation(spans)
    number(root)
    first, origins = trace(root, seed + 1)
    by_origin = {origin: span_id for span_id, origin in origins.items()}
    second, made = trace(edit(root, edits, seed + 2), seed + 3)
    truth = {span_id: None if origin is None else by_origin[origin] for span_id, origin in made.items()}
    return first, second, truth, len(first)


def siblings(count: int) -> tuple[Trace, Trace]:
    """Identical siblings under one root, and two in a hundred fewer of them."""

    def flat(n: int) -> Trace:
        trace_id = f"{n:032x}"
        root = Span(trace_id, f"{1:016x}", "root", None, 1, 10)
        rest = [Span(trace_id, f"{i + 2:016x}", "poll", root.span_id, i + 2, i + 3) for i in range(n)]
        return Trace(trace_id, [root, *rest])

    return flat(count), flat(count - count // 50)


def chain(count: int) -> tuple[Trace, Trace]:
    """Spans nested one in another, and the same with every fiftieth taken out."""

    def deep(skip: int) -> Trace:
        trace_id = f"{count + skip:032x}"
        spans: list[Span] = []
        for i in range(count):
            if skip and i % skip == skip - 1:
                continue
            parent = spans[-1].span_id if spans else None
            spans.append(
                Span(
                    trace_id,
                    f"{i + 1:016x}",
                    f"level {i % 7}",
                    parent,
                    i,
                    10**9,
                    attributes={"input.value": f"in {i}"},
                )
            )
        return Trace(trace_id, spans)

    return deep(0), deep(50)
