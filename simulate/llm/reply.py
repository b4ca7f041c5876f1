"""What a model answered, gathered from its stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RequestedTool:
    """One call that the model asks for; ``arguments`` is the text as it came, which may be no JSON at all."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the answer with its natural-log probability and the likeliest others in its place."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(slots=True)
class Reply:
    """One whole answer. None is unknown: an endpoint that reports no usage did not use zero tokens."""

    text: str = ""
    tool_calls: list[RequestedTool] = field(default_factory=list[RequestedTool])
    finish_reason: str | None = None
    refusal: str | None = None
    tokens: list[Token] | None = None
    """Log probabilities, where they were asked for and the endpoint has them."""
    model: str | None = None
    id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    """US dollars."""
    first_token_seconds: float | None = None
    seconds: float = 0.0

    @property
    def total_tokens(self) -> int | None:
        """Input and output together."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)


class Gatherer:
    """Puts a stream's chunks together."""

    def __init__(self) -> None:
        self.reply = Reply()
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}

    def add(self, chunk: Any) -> bool:
        """Take in one chunk of the openai SDK; True when it carried something to hear."""
        self.reply.id = chunk.id or self.reply.id
        self.reply.model = chunk.model or self.reply.model
        if chunk.usage is not None:
            self.reply.input_tokens = chunk.usage.prompt_tokens
            self.reply.output_tokens = chunk.usage.completion_tokens
        heard = False
        choices: list[Any] = chunk.choices or []
        for choice in choices:
            heard = self._choice(choice) or heard
        return heard

    def add_whole(self, answer: dict[str, Any]) -> None:
        """Take in an answer that came as one JSON document. Raises ValueError where it holds no choice."""
        from openai.types.chat import ChatCompletionChunk  # has long been imported by who asked

        choices: list[dict[str, Any]] = answer.get("choices") or []
        if not choices:
            raise ValueError(f"no choices in {str(answer)[:200]}")
        for choice in choices:
            choice["delta"] = choice.pop("message", None)
            message: dict[str, Any] = choice["delta"] or {}
            calls: list[dict[str, Any]] = message.get("tool_calls") or []
            for index, call in enumerate(calls):
                call.setdefault("index", index)
        self.add(ChatCompletionChunk.construct(**{"usage": None, "id": None, "model": None} | answer))

    def _choice(self, choice: Any) -> bool:
        self.reply.finish_reason = choice.finish_reason or self.reply.finish_reason
        self._logprobs(getattr(choice, "logprobs", None))
        delta = choice.delta
        if delta is None:
            return False
        if delta.content:
            self._text.append(delta.content)
        if getattr(delta, "refusal", None):
            self._refusal.append(delta.refusal)
        parts: list[Any] = delta.tool_calls or []
        for part in parts:
            call = self._calls.setdefault(part.index or 0, {"id": "", "name": "", "arguments": ""})
            call["id"] = part.id or call["id"]
            if part.function is not None:
                call["name"] += part.function.name or ""
                call["arguments"] += part.function.arguments or ""
        return bool(delta.content or delta.tool_calls)

    def _logprobs(self, logprobs: Any) -> None:
        entries: list[Any] = getattr(logprobs, "content", None) or []
        for entry in entries:
            likeliest: list[Any] = entry.top_logprobs or []
            top = tuple((str(one.token), float(one.logprob)) for one in likeliest)
            self.reply.tokens = [*(self.reply.tokens or []), Token(entry.token, entry.logprob, top)]

    def done(self) -> Reply:
        """The answer as a whole."""
        self.reply.text = "".join(self._text)
        self.reply.refusal = "".join(self._refusal) or None
        self.reply.tool_calls = [RequestedTool(**call) for _, call in sorted(self._calls.items())]
        return self.reply
