"""When the caller speaks while the agent still does."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from simulate.conversation.callers.script import Script
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.normalise import says
from simulate.conversation.voice.segmenter import Hearing, Listener
from simulate.model.persona import Amount
from simulate.model.scenario import Line as ScriptLine
from simulate.model.transcript import Conversation, Utterance

CUTS_IN = {"none": 0.0, "low": 0.15, "medium": 0.35, "high": 0.7}
"""By the persona's ``voice.interrupts``: share of the agent's utterances that the caller cuts into."""
MHM_AFTER = 1.0
"""Seconds into the agent's speech at which a backchannel is said, when nothing else is asked."""


class CutIns:
    """Decides the moment, of a script's next line or of a persona that interrupts by nature. It is always one
    at which the agent is in the middle of a word: words that fall into its pause interrupt nobody."""

    def __init__(
        self,
        line: AudioBridge,
        listener: Listener,
        conversation: Conversation,
        script: Script | None,
        interrupts: Amount,
        chance: random.Random,
    ) -> None:
        self._line = line
        self._listener = listener
        self._conversation = conversation
        self._script = script
        self._share = CUTS_IN[interrupts]
        self._chance = chance

    def spontaneous(self) -> bool:
        """Whether the persona cuts into the agent's next utterance."""
        return self._chance.random() < self._share

    def asks(self) -> bool:
        """Whether what the caller does next depends on words that it has only begun to hear."""
        script = self._script
        return script is None or script.line is None or not script.due(self._conversation)

    def moment(self, *, spontaneous: bool) -> Callable[[], bool] | None:
        """When the next thing the caller says is due while the agent still talks; None if it is not."""
        hearing = self._listener.current
        line = None if self._script is None else self._script.line
        if hearing is None:
            return None
        if line is None or not (line.interrupts_after or line.interrupts_when or line.backchannel):
            if not spontaneous:
                return None
            return self._after(hearing, self._chance.uniform(0.8, 2.5), line)
        if line.interrupts_when is None:
            after = line.interrupts_after if line.interrupts_after is not None else MHM_AFTER
            return self._after(hearing, after, line)
        wanted = line.interrupts_when

        def understood() -> bool:
            self._listener.follow()
            return self._line.agent_sounds and says(hearing.partial, wanted) and self._due(line, hearing)

        return understood

    def _after(self, hearing: Hearing, seconds: float, line: ScriptLine | None) -> Callable[[], bool]:
        return lambda: (
            self._line.now >= hearing.start + seconds and self._line.agent_sounds and self._due(line, hearing)
        )

    def _due(self, line: ScriptLine | None, hearing: Hearing) -> bool:
        script = self._script
        if line is None or script is None or line.when is None:
            return True
        self._listener.follow()
        so_far = Utterance("agent", hearing.partial, hearing.turn, hearing.start, self._line.now)
        so_far_said = [*self._conversation.utterances, so_far]
        return script.due(replace(self._conversation, utterances=so_far_said))
