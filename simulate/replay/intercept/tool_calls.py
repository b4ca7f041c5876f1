"""The agent's tools and MCP calls, recorded and played.

The seam is `simulate.tools.Toolbox`. What a scenario pins is answered by its pins, in recording and replay
alike; everything else is recorded, and in a replay comes from the cassette by name, canonical arguments and
ordinal. A tool that writes never runs for real in a replay unless it is named.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from simulate.replay.cassette.cassette import ToolRecording
from simulate.replay.matching.divergence import Divergence
from simulate.tools import Toolbox

if TYPE_CHECKING:
    from simulate.replay.player import Player
    from simulate.replay.session import Recorder


class NotRecorded(Exception):
    """What a tool raises when a replay holds no such call; it names the divergence."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(f"not in the cassette: {divergence}")
        self.divergence = divergence


class ToolFailed(Exception):
    """What a tool raised when it was recorded, where its own class cannot be raised again."""


def pinned(inner: Toolbox | None, name: str) -> bool:
    """Whether the scenario says what this tool answers."""
    return inner is not None and name in getattr(inner, "pins", ())


class RecordingTools:
    """Runs tools as they are, and remembers what they gave."""

    def __init__(self, recorder: Recorder, inner: Toolbox | None = None) -> None:
        self.recorder = recorder
        self.inner = inner

    def offered(self, name: str) -> None:
        if self.inner is not None:
            self.inner.offered(name)

    async def call(
        self, name: str, arguments: dict[str, Any], live: Callable[[], Awaitable[Any]], *, write: bool
    ) -> Any:
        """The tool's own answer, or its pin's."""
        if pinned(self.inner, name):
            assert self.inner is not None
            return await self.inner.call(name, arguments, live, write=write)
        recording = self.recorder.tool_began(name, arguments, write, "tool")
        try:
            if self.inner is not None:
                result = await self.inner.call(name, arguments, live, write=write)
            else:
                result = await live()
        except BaseException as error:
            self.recorder.tool_ended(recording, error=error)
            raise
        self.recorder.tool_ended(recording, result)
        return result

    def call_sync(self, name: str, arguments: dict[str, Any], live: Callable[[], Any], *, write: bool) -> Any:
        """Like ``call``, for a tool that is a plain function."""
        if pinned(self.inner, name):
            assert self.inner is not None
            return self.inner.call_sync(name, arguments, live, write=write)
        recording = self.recorder.tool_began(name, arguments, write, "tool")
        try:
            if self.inner is not None:
                result = self.inner.call_sync(name, arguments, live, write=write)
            else:
                result = live()
        except BaseException as error:
            self.recorder.tool_ended(recording, error=error)
            raise
        self.recorder.tool_ended(recording, result)
        return result


class ReplayedTools:
    """Answers tools from the cassette."""

    def __init__(self, player: Player, inner: Toolbox | None = None) -> None:
        self.player = player
        self.inner = inner

    def offered(self, name: str) -> None:
        if self.inner is not None:
            self.inner.offered(name)

    async def call(
        self, name: str, arguments: dict[str, Any], live: Callable[[], Awaitable[Any]], *, write: bool
    ) -> Any:
        """The recorded answer."""
        if pinned(self.inner, name):
            assert self.inner is not None
            return await self.inner.call(name, arguments, live, write=write)
        answer = self._answer(name, arguments, write=write)
        if answer is None:
            answer = live
        if self.inner is None:
            return await _later(answer)
        # the scenario's toolbox remembers every call, whoever answers it
        return await self.inner.call(name, arguments, lambda: _later(answer), write=write)

    def call_sync(self, name: str, arguments: dict[str, Any], live: Callable[[], Any], *, write: bool) -> Any:
        """Like ``call``, for a tool that is a plain function."""
        if pinned(self.inner, name):
            assert self.inner is not None
            return self.inner.call_sync(name, arguments, live, write=write)
        answer = self._answer(name, arguments, write=write) or live
        if self.inner is None:
            return answer()
        return self.inner.call_sync(name, arguments, answer, write=write)

    def _answer(self, name: str, arguments: dict[str, Any], *, write: bool) -> Callable[[], Any] | None:
        """How to answer; None where the policy lets the tool run for real."""
        found = self.player.tool(name, arguments)
        if isinstance(found, ToolRecording):
            return lambda: given(found)
        if self.player.may_run_live(name, write=write):
            return None
        if write and self.player.policy in {"live", "simulate"}:
            self.player.notes.append(
                f"the tool {name} writes, so it did not run; name it under live writes to let it"
            )
        divergence = found

        def refuse() -> Any:
            raise NotRecorded(divergence)

        return refuse


async def _later(answer: Callable[[], Any]) -> Any:
    result = answer()
    return await cast("Awaitable[Any]", result) if isinstance(result, Awaitable) else result


def given(recording: ToolRecording) -> Any:
    """What a recorded call gave; raises what it raised."""
    if recording.error is None:
        return recording.result
    kind = getattr(builtins, str(recording.error.get("type")), None)
    message = str(recording.error.get("message", ""))
    if isinstance(kind, type) and issubclass(kind, Exception):
        raise kind(message)
    raise ToolFailed(f"{recording.error.get('type')}: {message}")
