"""voiceobs: ``voice.stage.type`` inside ``voice.turn`` inside ``voice.conversation``."""

from __future__ import annotations

from simulate.trace.reading.dialect import Dialect
from simulate.trace.reading.values import flag, milliseconds
from simulate.trace.span import Kind

DIALECT = Dialect(
    name="voiceobs",
    version="0.0.1",
    rank=45,
    scopes=("voiceobs",),
    marks=("voice.",),
    kinds={"voice.stage.type": {"asr": Kind.STT, "stt": Kind.STT, "llm": Kind.LLM, "tts": Kind.TTS}},
    any_names=((r"voice\.turn$", Kind.TURN), (r"voice\.conversation$", Kind.CONVERSATION)),
    fields={
        "provider": ("voice.stage.provider",),
        "request_model": ("voice.stage.model",),
        "conversation_id": ("voice.conversation.id",),
        "voice.speaker": ("voice.actor",),
        "voice.user_to_agent_latency": (("voice.silence.after_user_ms", milliseconds),),
        "voice.interrupted": (("voice.interruption.detected", flag),),
    },
)
