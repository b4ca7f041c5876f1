"""What calls to a model's own realtime protocol share: the caller is its client, and runs the tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from simulate.conversation.agents.adapter import Call
from simulate.conversation.agents.handed_tools import HandedCall, tool_answer
from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.socket_wire import SocketWire
from simulate.errors import Fault
from simulate.model.shapes import is_object
from simulate.trace.capture.observed import Told


class ModelWire(SocketWire):
    """Carries one call; a protocol is a subclass, with `tools_answered` too.

    Args:
        url: Of the endpoint.
        headers: With the key, where one is needed.
        session: The conversation, which holds the tools and what is known of the call.
        settings: Fields of the session: instructions, voice, tools, turn detection.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], session: TrialSession, settings: Mapping[str, Any]
    ) -> None:
        super().__init__(url, headers)
        self._session = session
        self._settings = settings
        self._working: set[asyncio.Task[None]] = set()

    async def tools_answered(self, answers: Sequence[tuple[HandedCall, str]]) -> None:
        """Give the model what its tools answered, and let it go on."""
        raise NotImplementedError

    async def hang_up(self) -> None:
        """Leave; tools that still run are of no use to anybody."""
        for task in self._working:
            task.cancel()
        await super().hang_up()

    def told(self, line: AudioBridge, kind: str, text: Any) -> None:
        """What the model tells of its own words (``tts``) or of the caller's (``stt``)."""
        if isinstance(text, str) and text.strip():
            self._session.call.told.append(Told("tts" if kind == "tts" else "stt", text.strip(), line.now))

    def work(self, line: AudioBridge, calls: Sequence[HandedCall]) -> None:
        """Run the tools that it asks its client to run."""
        if calls:
            task = asyncio.create_task(self._work(line, calls))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _work(self, line: AudioBridge, calls: Sequence[HandedCall]) -> None:
        asked = Call(self._session.conversation.id, self._session.tools)
        try:
            await self.tools_answered([(call, (await tool_answer(asked, call))[0]) for call in calls])
        except Fault as fault:
            line.close(fault.message, fault)


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, where ``other`` wins."""
    together = dict(one)
    for key, value in other.items():
        mine = together.get(key)
        together[key] = merged(mine, value) if is_object(mine) and is_object(value) else value
    return together
