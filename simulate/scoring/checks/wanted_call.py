"""Which tool calls an expectation means: by the tool's name, the arguments and what the tool gave back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simulate.model.expect import Called, NotCalled, OtherCall
from simulate.model.shapes import is_list, is_object
from simulate.scoring.checks.unread import held_elsewhere
from simulate.trace.reading import Fact, ToolCall, Unknown
from simulate.trace.reading.hidden import difference


def as_json(value: Any) -> str:
    """A value on one line, for a sentence."""
    return json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A tool call as it is expected; what is None may be anything."""

    name: str
    arguments: dict[str, Any] | None = None
    returned: Any = None
    exactly: bool = False
    """No other arguments than these."""

    @classmethod
    def of(cls, given: Called | NotCalled | OtherCall | str) -> WantedCall:
        """From an expectation, or from a tool's name alone."""
        if isinstance(given, str):
            return cls(given)
        if isinstance(given, NotCalled):
            return cls(given.not_called, given.with_, given.returned)
        return cls(given.called, given.with_, given.returned, isinstance(given, Called) and given.exactly)

    def wrong(self, call: ToolCall) -> Fact[str | None]:
        """Why a call of that tool is not the one that is meant; None if it is."""
        found = [self._wrong_arguments(call), self._wrong_result(call)]
        return next((each for each in found if isinstance(each, str)), None) or next(
            (each for each in found if isinstance(each, Unknown)), None
        )

    def holds_elsewhere(self, call: ToolCall) -> bool:
        """Whether the call holds the arguments, though not where they are expected."""
        if not self.arguments or not isinstance(self._wrong_arguments(call), str):
            return False
        return held_elsewhere(self.arguments, call)

    def _wrong_arguments(self, call: ToolCall) -> Fact[str | None]:
        arguments, expected = call.arguments, self.arguments
        if expected is None:
            return None
        if isinstance(arguments, Unknown):
            return Unknown(f"the arguments of {call} are unknown: {arguments.why}")
        # not {"exactly": expected}, which would take the matchers in it by their letter
        found = difference(expected, arguments)
        more = next((key for key in arguments if key not in expected), None) if self.exactly else None
        if found is None and more is not None:
            return f"$.{more}: not expected, but it is {as_json(arguments[more])}"
        return found

    def _wrong_result(self, call: ToolCall) -> Fact[str | None]:
        if self.returned is None:
            return None
        result = call.result
        if call.error is not None and (isinstance(result, Unknown) or result is None):
            return f"it failed: {call.error}"
        if isinstance(result, Unknown):
            return Unknown(f"what {call} returned is unknown: {result.why}")
        differences = [difference(self.returned, form) for form in _forms(result)]
        if None in differences:
            return None
        unknown = (one for one in differences if isinstance(one, Unknown))
        return next(unknown, f"it returned something else: {differences[-1]}")

    def others(self, calls: Sequence[ToolCall]) -> list[tuple[ToolCall, Fact[str | None]]]:
        """The calls of that tool that ran, or may have, each with why it is not meant."""
        named = (call for call in calls if call.happened is not False and call.name.matches(self.name))
        return [(call, self.wrong(call)) for call in named]

    @property
    def details(self) -> str:
        """What is wanted beside the name, for the end of a sentence."""
        text = ""
        if self.arguments is not None:
            text += f" with {'exactly ' if self.exactly else ''}{as_json(self.arguments)}"
        return text + (f" returning {as_json(self.returned)}" if self.returned is not None else "")

    def __str__(self) -> str:
        return f"{self.name}{self.details}"


def _forms(result: Any) -> Iterator[Any]:
    """A tool's result as it is, and as its caller reads it: JSON in a text, the content of MCP's envelope."""
    yield result
    if isinstance(result, str):
        try:
            yield json.loads(result)
        except ValueError:
            return
    elif is_object(result) and "structuredContent" in result:
        yield result["structuredContent"]
    content = result.get("content") if is_object(result) else result
    if is_list(content) and len(content) == 1:
        (part,) = content
        if is_object(part) and isinstance(text := part.get("text"), str):
            yield from _forms(text)
