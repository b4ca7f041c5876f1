"""One tool call: asked for by a model, run by a tool, answered by somebody; each fact with its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulate.model.transcript import ToolUse
from simulate.trace.reading.facts import Fact, Unknown
from simulate.trace.reading.tool_name import ToolName

Arguments = Fact[dict[str, Any]]
NOBODY_TOLD = Unknown("nothing in the trace tells it")


@dataclass(slots=True)
class Asked:
    """A model asked for the call, in the answer of span ``span_id``; ``at`` as the times of ``ToolCall``."""

    arguments: Arguments
    span_id: str | None = None
    at: float | None = None


@dataclass(slots=True)
class Ran:
    """The tool ran. ``span_ids`` are the spans that tell of it, the outermost first; none where the tool
    itself told us."""

    arguments: Arguments
    span_ids: list[str]
    start: float | None = None
    end: float | None = None


@dataclass(slots=True)
class Answered:
    """Somebody answered, with a result or an error; ``span_id`` is the span that tells of it."""

    result: Fact[Any]
    error: str | None = None
    span_id: str | None = None


@dataclass(slots=True)
class ToolCall:
    """One tool call. ``asked``, ``ran`` and ``answered`` are None for what did not happen, or nobody saw.

    Times are seconds since the trace's first span, or since the conversation began in a simulated run.
    ``agent`` is the name of the agent whose call it is, where a span names it.
    """

    name: ToolName
    call_id: str | None = None
    asked: Asked | None = None
    ran: Ran | None = None
    answered: Answered | None = None
    turn: int | None = None
    agent: str | None = None
    passed_over: bool = False
    """Whether the trace shows that nobody ran what was asked for; means nothing where somebody did."""
    paused_in: str | None = None
    """The span in which it stopped to wait for somebody's answer, where nothing shows that it went on."""

    @property
    def happened(self) -> Fact[bool]:
        """Whether it ran, or where nobody could have seen that, was answered; not what was only asked for."""
        if self.ran is not None or self.answered is not None:
            return True
        if self.paused_in is not None:
            return Unknown(
                f"{self.name} was paused in span {self.paused_in}, and nothing shows that it went on"
            )
        if self.passed_over:
            return False
        where = "" if self.asked is None else f" in span {self.asked.span_id}"
        return Unknown(f"{self.name} was asked for{where}, and nothing shows whether it ran")

    @property
    def arguments(self) -> Arguments:
        """Those that the tool ran with; where nobody tells them, those that the model asked for."""
        ran = NOBODY_TOLD if self.ran is None else self.ran.arguments
        if self.asked is None or not isinstance(ran, Unknown) or ran.recorded:
            return ran
        return self.asked.arguments

    @property
    def differs(self) -> bool:
        """Whether the tool ran with other arguments than the model asked for."""
        if self.ran is None or self.asked is None:
            return False
        ran, asked = self.ran.arguments, self.asked.arguments
        if isinstance(ran, Unknown) or isinstance(asked, Unknown):
            return False
        return not holds(ran, asked)

    @property
    def result(self) -> Fact[Any]:
        """What the tool gave back; None where it gave nothing back."""
        return NOBODY_TOLD if self.answered is None else self.answered.result

    @property
    def error(self) -> str | None:
        """How the tool failed."""
        return None if self.answered is None else self.answered.error

    @property
    def start(self) -> float | None:
        """When it began; where nobody saw it run, when the model had asked for it."""
        if self.ran is not None and self.ran.start is not None:
            return self.ran.start
        return None if self.asked is None else self.asked.at

    @property
    def end(self) -> float | None:
        """When it ended."""
        return None if self.ran is None else self.ran.end

    @property
    def span_id(self) -> str | None:
        """The span that tells most directly of it."""
        if self.ran is not None and self.ran.span_ids:
            return self.ran.span_ids[0]
        return None if self.asked is None else self.asked.span_id

    def shifted(self, seconds: float) -> ToolCall:
        """A copy that its owner may complete, with all its times moved by so much."""
        ran, asked, answered = self.ran, self.asked, self.answered
        # dataclasses.replace takes five times as long, and this is done for every call of every run
        if ran is not None:
            ran = Ran(ran.arguments, ran.span_ids, _moved(ran.start, seconds), _moved(ran.end, seconds))
        if asked is not None:
            asked = Asked(asked.arguments, asked.span_id, _moved(asked.at, seconds))
        if answered is not None:
            answered = Answered(answered.result, answered.error, answered.span_id)
        rest = self.turn, self.agent, self.passed_over, self.paused_in
        return ToolCall(self.name, self.call_id, asked, ran, answered, *rest)

    @classmethod
    def of(cls, use: ToolUse) -> ToolCall:
        """A call from plain data: one that was seen at the tool itself, or that a file holds."""
        arguments: Arguments = use.arguments if use.arguments_known else NOBODY_TOLD
        call = cls(ToolName(use.name), use.call_id, turn=use.turn)
        if use.ran:
            call.ran = Ran(arguments, [] if use.span_id is None else [use.span_id], use.start, use.end)
            call.answered = Answered(use.result if use.result_known else NOBODY_TOLD, use.error)
            if use.asked_arguments is not None:
                call.asked = Asked(use.asked_arguments)
        else:
            call.asked = Asked(arguments, use.span_id, use.start)
            call.passed_over = use.ran is False
        return call

    def plain(self) -> ToolUse:
        """As plain data, for files and callers."""
        arguments, result, happened = self.arguments, self.result, self.happened
        asked = self.asked.arguments if self.asked is not None and self.differs else None
        return ToolUse(
            str(self.name),
            {} if isinstance(arguments, Unknown) else arguments,
            None if isinstance(result, Unknown) else result,
            self.error,
            self.turn,
            self.start,
            self.end,
            self.span_id,
            self.call_id,
            arguments_known=not isinstance(arguments, Unknown),
            result_known=not isinstance(result, Unknown),
            ran=None if isinstance(happened, Unknown) else happened,
            asked_arguments=None if isinstance(asked, Unknown) else asked,
        )

    def told(self) -> dict[str, Any]:
        """As an object for judges; what is unknown says so."""
        return {
            "tool": str(self.name),
            "arguments": _or_unknown(self.arguments),
            "result": _or_unknown(self.result),
            "error": self.error,
        }

    def __str__(self) -> str:
        """As a person would write it: ``refund(order="4417")``, or ``refund(…)``."""
        arguments = self.arguments
        if isinstance(arguments, Unknown):
            return f"{self.name}(…)"
        given = (
            f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in arguments.items()
        )
        return f"{self.name}({', '.join(given)})"


def holds(ran: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether a tool ran with what was asked for; a framework may add what the model left out, and may turn
    "7" into 7."""
    return all(key in ran and same(ran[key], value) for key, value in asked.items())


def same(ran: Any, asked: Any) -> bool:
    """Whether two values are one, however each was written: 7 and "7", True and "true", 5 and 5.0."""
    return ran == asked or str(ran) == str(asked) or _written(ran) == _written(asked)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _moved(moment: float | None, seconds: float) -> float | None:
    return None if moment is None else moment + seconds


def _or_unknown(fact: Any) -> Any:
    return f"(unknown: {fact.why})" if isinstance(fact, Unknown) else fact
