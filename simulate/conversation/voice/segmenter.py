"""What the caller hears of the agent: stretches of speech, their text, and when they began and ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.speech import STT
from simulate.model.transcript import Utterance

PAUSE = 0.35
"""Seconds of silence after which a stretch of speech goes to recognition; more may follow in one breath."""
BEFORE, AFTER = 0.2, 0.3
"""Seconds around a stretch that go with it: soft first and last sounds lie outside."""
AGAIN = 0.6
"""Seconds between two looks at a sentence that is still being said, where somebody waits for a word of it."""


@dataclass(slots=True)
class Hearing:
    """What the agent says in one go, while it is said and after."""

    turn: int
    start: float
    end: float
    stretches: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    texts: list[asyncio.Task[str]] = field(default_factory=list[asyncio.Task[str]])
    open: bool = True
    """The present stretch goes on."""
    partial: str = ""
    """What was understood while it was still being said."""
    looked: float = 0.0
    utterance: Utterance | None = None


class Listener:
    """Follows the agent's side of a line. ``current`` is what the agent is saying, or has said and nobody has
    taken yet."""

    def __init__(self, line: AudioBridge, stt: STT) -> None:
        self.line = line
        self.stt = stt
        self.current: Hearing | None = None
        self.turn = 0
        self._looking: asyncio.Task[None] | None = None

    def beat(self) -> None:
        """Called on each frame of the line."""
        agent, hearing = self.line.agent, self.current
        if not agent.speaking:
            return
        if hearing is None:
            hearing = self.current = Hearing(self.turn, agent.began, agent.last, [(agent.began, agent.last)])
        elif not hearing.open:
            hearing.open = True
            hearing.stretches.append((agent.began, agent.last))
        hearing.end = agent.last
        hearing.stretches[-1] = (hearing.stretches[-1][0], agent.last)
        if agent.quiet_for(self.line.now) >= PAUSE:
            self._end_stretch(hearing)

    def _end_stretch(self, hearing: Hearing) -> None:
        if not hearing.open:
            return
        hearing.open = False
        self.line.agent.rest()
        start, end = hearing.stretches[-1]
        hearing.texts.append(asyncio.create_task(self._recognise(start, end)))

    async def _recognise(self, start: float, end: float) -> str:
        sound = self.line.kept(start - BEFORE, end + AFTER)
        asked = self.line.now
        text = await self.stt.transcribe(sound)
        self.line.pacing.recognised.append(self.line.now - asked)
        return text

    def silent_for(self, seconds: float) -> bool:
        """Whether the agent has said something and then nothing for this long."""
        hearing = self.current
        return hearing is not None and self.line.now - hearing.end >= seconds - 1e-9

    def follow(self) -> None:
        """Understand the sentence that is being said, as far as it goes; ``partial`` gets it soon."""
        hearing = self.current
        if hearing is None or (self._looking is not None and not self._looking.done()):
            return
        if self.line.now - max(hearing.looked, hearing.start) >= AGAIN:
            hearing.looked = self.line.now
            self._looking = asyncio.create_task(self._look(hearing))

    async def _look(self, hearing: Hearing) -> None:
        sound = self.line.kept(hearing.start - BEFORE, self.line.now)
        hearing.partial = await self.stt.transcribe(sound)

    async def text_so_far(self, hearing: Hearing) -> str:
        """All that was said of it until now."""
        sound = self.line.kept(hearing.start - BEFORE, self.line.now)
        hearing.partial = await self.stt.transcribe(sound)
        return hearing.partial

    def split(self, hearing: Hearing, at: float) -> Hearing | None:
        """Put what began after ``at`` into a hearing of its own, of the present turn; None if nothing did."""
        self._end_stretch(hearing)
        count = sum(start <= at for start, _ in hearing.stretches)
        if not 0 < count < len(hearing.stretches):
            return None
        later = Hearing(self.turn, hearing.stretches[count][0], hearing.end, hearing.stretches[count:])
        later.texts, later.open = hearing.texts[count:], False
        del hearing.stretches[count:], hearing.texts[count:]
        hearing.end = hearing.stretches[-1][1]
        return later

    async def take(self, *, interrupted: bool = False) -> Utterance | None:
        """What was said, as an utterance, and begin anew; None for sound without a word in it."""
        hearing = self.current
        if hearing is None:
            return None
        self._end_stretch(hearing)
        self.current = None
        texts = await asyncio.gather(*hearing.texts)
        text = " ".join(text for text in texts if text)
        utterance = hearing.utterance
        if utterance is None:
            if not text:
                return None
            utterance = Utterance(
                "agent", text, hearing.turn, hearing.start, hearing.end, first=hearing.start
            )
        else:
            utterance.text = text or utterance.text
        utterance.end, utterance.interrupted = hearing.end, interrupted
        return utterance
