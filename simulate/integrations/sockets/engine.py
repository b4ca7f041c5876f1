"""SocketEngine: voice, with an agent behind a WebSocket that speaks a protocol of telephony or of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulate.conversation.engine import TrialSession
from simulate.conversation.voice.call import VoiceCall
from simulate.conversation.voice.senses import CallerSpeech
from simulate.conversation.voice.socket_wire import SocketWire
from simulate.integrations.sockets.gemini import GeminiWire
from simulate.integrations.sockets.pcm import PcmDescription, PcmWire
from simulate.integrations.sockets.realtime import RealtimeWire
from simulate.integrations.sockets.twilio import TwilioWire
from simulate.model.agent_address import scheme_of, target_of
from simulate.model.identity import filled, filled_texts
from simulate.model.scenario import Scenario


class SocketEngine:
    """Carries calls to ``twilio:ws://…``, ``realtime:ws://…``, ``gemini:ws://…`` or ``pcm:ws://…``.

    Args:
        agent: The address.
        headers: Sent when the connection is opened, beside ``traceparent`` and ``baggage``.
        api_key: Sent as ``Authorization: Bearer``; to Gemini as ``x-goog-api-key``.
        settings: Twilio's custom parameters; the fields of a Realtime session or of Gemini's ``setup``; or a
            `PcmDescription`.
        stt, tts: What the caller listens and speaks with.
        root: Files of noise are relative to it.
    """

    name = "sockets"
    outside = True

    def __init__(
        self,
        agent: str,
        *,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        settings: Mapping[str, Any] | None = None,
        stt: str | None = None,
        tts: str | None = None,
        root: Path | None = None,
    ) -> None:
        self.address = agent
        self._scheme, self._url = scheme_of(agent), target_of(agent)
        self._headers = dict(headers or {})
        if api_key is not None:
            named = ("x-goog-api-key", "") if self._scheme == "gemini" else ("Authorization", "Bearer ")
            self._headers[named[0]] = f"{named[1]}{api_key}"
        self._settings = dict(settings or {})
        self._description = PcmDescription.of(self._settings if self._scheme == "pcm" else {}, agent)
        self._speech = CallerSpeech(stt, tts, root)

    def prepare(self, scenario: Scenario) -> None:
        """Refuse, before anything runs, a voice, a noise or a speech service that there is not."""
        self._speech.prepare(scenario)

    async def converse(self, session: TrialSession) -> None:
        """Call the agent; returns when one side has hung up or a limit is reached."""
        senses = self._speech.of(session.scenario)
        await VoiceCall(session, self._wire(session), senses).carry()

    def _wire(self, session: TrialSession) -> SocketWire:
        places = session.start.placeholders()
        headers = {**filled_texts(self._headers, places), **session.headers}
        settings = filled(self._settings, places)
        match self._scheme:
            case "twilio":
                return TwilioWire(self._url, headers, session.conversation.id, settings)
            case "realtime":
                return RealtimeWire(self._url, headers, session, settings)
            case "gemini":
                return GeminiWire(self._url, headers, session, settings)
            case _:
                return PcmWire(self._url, headers, self._description)

    async def aclose(self) -> None:
        """Nothing outlives a call."""
