"""The agent's tools, answering what the scenario pins."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Protocol

from simulate import determinism
from simulate.errors import HarnessFault
from simulate.model.matchers import matches
from simulate.model.tool_pin import DelaySpread, ToolPin
from simulate.model.transcript import ToolUse
from simulate.tools import ToolFailed
from simulate.trace.reading import ToolName

_Z95 = 1.6448536269514722
"""Standard deviations from the median to the 95th percentile."""


class ToolWorld(Protocol):
    """What answers tools out of a state of its own."""

    def has(self, tool: str) -> bool: ...
    async def answer(self, tool: str, arguments: dict[str, Any]) -> Any: ...
    def answer_sync(self, tool: str, arguments: dict[str, Any]) -> Any: ...


class PinnedTools:
    """Answers tool calls of one conversation from the scenario's ``tools:``, and remembers each call.

    A tool that is not pinned runs for real. ``uses`` holds every call that came through here, pinned or not.
    """

    def __init__(self, tools: Mapping[str, ToolPin], chance: random.Random | None = None) -> None:
        self.pins = tools
        self.world: ToolWorld | None = None
        """Its methods answer what is not pinned."""
        self._chance = chance or random.Random(0)
        self.uses: list[ToolUse] = []
        self.told: list[ToolUse] = []
        """Calls that came through nobody here: the agent's own program tells of them."""
        self.seen: set[str] = set()
        self.marks: dict[str, bool] = {}
        """Whether each marked tool writes; of two of one name that differ, the one that does."""
        self.turn = 0
        self.began: float | None = None
        self.fault: HarnessFault | None = None
        """The first question that the scenario has no answer to; the agent may have caught its exception."""
        self.recorded: Callable[[str, dict[str, Any]], Any] | None = None
        """Answers what the agent hands to its caller and the scenario does not pin: a replay's cassette."""
        self._calls: dict[str, int] = {}

    def offered(self, name: str, *, write: bool) -> None:
        self.seen.add(name)
        self.marks[name] = write or self.marks.get(name, False)

    def answers(self, name: str) -> bool:
        pin = self._pin(name)
        return (pin is not None and not pin.live) or self._in_world(name) is not None

    async def call(
        self, name: str, arguments: dict[str, Any], live: Callable[[], Awaitable[Any]], *, write: bool
    ) -> Any:
        """The pinned answer, after the pinned delay; else the agent's own tool."""
        with self._noted(name, arguments) as use:
            answer = self._pinned_answer(name, arguments)
            if (delay := self._delay(name)) > 0:
                await determinism.current().clock.sleep(delay)
            if answer is None and self.world is not None and (method := self._in_world(name)) is not None:
                use.result = await self._of_world(self.world.answer(method, arguments))
            else:
                use.result = await live() if answer is None else answer()
            return use.result

    def call_sync(self, name: str, arguments: dict[str, Any], live: Callable[[], Any], *, write: bool) -> Any:
        """Like ``call``, for a tool that is a plain function."""
        with self._noted(name, arguments) as use:
            answer = self._pinned_answer(name, arguments)
            time.sleep(self._delay(name))
            if answer is None and self.world is not None and (method := self._in_world(name)) is not None:
                with self._keeping_fault():
                    use.result = self.world.answer_sync(method, arguments)
            else:
                use.result = live() if answer is None else answer()
            return use.result

    async def answer(self, name: str, arguments: dict[str, Any], call_id: str | None = None) -> Any:
        """The answer to a tool call that the agent hands to its caller (OpenAI's ``tool_calls``)."""

        async def nobody() -> Any:
            if self.recorded is not None:
                return self.recorded(name, arguments)
            raise self._unanswered(
                f"the agent asks its caller to run the tool {name!r}, which the scenario does not pin",
                f"say under `tools:` what {name} answers",
            )

        result = await self.call(name, arguments, nobody, write=False)
        self.uses[-1].call_id = call_id
        return result

    @contextlib.contextmanager
    def _noted(self, name: str, arguments: dict[str, Any]) -> Generator[ToolUse]:
        self.seen.add(name)
        use = ToolUse(name, arguments, turn=self.turn, start=self._now())
        self.uses.append(use)
        try:
            yield use
        except BaseException as error:
            use.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            use.end = self._now()

    def _delay(self, name: str) -> float:
        pin = self._pin(name)
        if pin is None:
            return 0.0
        if isinstance(pin.delay, DelaySpread):
            sigma = math.log(pin.delay.p95 / pin.delay.p50) / _Z95
            return self._chance.lognormvariate(math.log(pin.delay.p50), sigma)
        return pin.delay

    def _in_world(self, name: str) -> str | None:
        """The world's method that answers a tool, whichever way the agent writes its name."""
        if self.world is None:
            return None
        return next((each for each in (name, ToolName(name).bare) if self.world.has(each)), None)

    async def _of_world(self, answer: Awaitable[Any]) -> Any:
        with self._keeping_fault():
            return await answer

    @contextlib.contextmanager
    def _keeping_fault(self) -> Generator[None]:
        """A world that breaks is told even where the agent catches its exception."""
        try:
            yield
        except HarnessFault as fault:
            self.fault = self.fault or fault
            raise

    def _pin(self, name: str) -> ToolPin | None:
        """What the scenario pins for a tool, whichever way the agent writes its name."""
        if name in self.pins:
            return self.pins[name]
        return next((pin for other, pin in self.pins.items() if ToolName(other).matches(name)), None)

    def _pinned_answer(self, name: str, arguments: dict[str, Any]) -> Callable[[], Any] | None:
        """None where the tool is not pinned, or pinned to run for real."""
        pin = self._pin(name)
        if pin is None:
            return None
        if pin.probability is not None and self._chance.random() < pin.probability:
            return _gives(None, pin.error)
        return None if pin.live else self._answer(name, pin, arguments)

    def _unanswered(self, message: str, hint: str) -> HarnessFault:
        fault = HarnessFault(message, where=f"turn {self.turn}", hint=hint)
        self.fault = self.fault or fault
        return fault

    def _now(self) -> float | None:
        return None if self.began is None else determinism.current().clock.monotonic() - self.began

    def _answer(self, name: str, pin: ToolPin, arguments: dict[str, Any]) -> Callable[[], Any]:
        ordinal = self._calls.get(name, 0)
        self._calls[name] = ordinal + 1
        for case in pin.cases or ():
            if matches(case.when, arguments):
                return _gives(case.returns, case.error)
        if pin.cases and "returns" not in pin.model_fields_set:
            raise self._unanswered(
                f"no case pinned for the tool {name!r} fits the arguments {arguments!r}",
                f"add a case, or a `returns:` for all others, under `tools: {name}:`",
            )
        if pin.sequence:
            # the last one stands for every further call
            item = pin.sequence[min(ordinal, len(pin.sequence) - 1)]
            return self._answer(name, item, arguments) if isinstance(item, ToolPin) else _gives(item, None)
        return _gives(pin.returns, pin.error if pin.probability is None else None)


def _gives(result: Any, error: str | None) -> Callable[[], Any]:
    def answer() -> Any:
        if error is not None:
            raise ToolFailed(error)
        return result

    return answer
