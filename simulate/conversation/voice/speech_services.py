"""Speech services by name, as ``[tool.simulate.speech]`` chooses them.

What is installed with the extra ``voice`` works offline: Hibari speaks, Moonshine listens. Others are
``openai`` (any OpenAI-compatible endpoint), voices of Debian's programs (``flite:rms``, ``espeak:en-gb``), or
the import path of a Pipecat service, ``package.module:Service``.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from simulate.conversation.voice.speech import STT, TTS, quiet
from simulate.conversation.voice.tts_cache import CachedTTS
from simulate.errors import InputError, MissingExtra

_VOICE = "simulate.conversation.voice"
_PIPECAT = "simulate.integrations.pipecat.speech"
# imported when one is chosen: each brings a model or an SDK of its own
TTS_SERVICES = {
    "hibari": (f"{_VOICE}.embedded_speech:Hibari",),
    "flite": (f"{_VOICE}.program_voices:Program", "flite"),
    "espeak": (f"{_VOICE}.program_voices:Program", "espeak"),
    "openai": (f"{_VOICE}.openai_speech:OpenAITTS",),
}
STT_SERVICES = {
    "moonshine": (f"{_VOICE}.embedded_speech:Moonshine",),
    "openai": (f"{_VOICE}.openai_speech:OpenAISTT",),
}


@functools.cache
def find_tts(name: str | None = None) -> TTS:
    """What this name speaks with, shared by all calls of the process, its lines kept on disk.

    Raises InputError for a name that is none and MissingExtra where what it needs is not installed."""
    return CachedTTS(
        _found(name or "hibari", TTS_SERVICES, f"{_PIPECAT}:PipecatTTS", "speech synthesis", "tts")
    )


@functools.cache
def find_stt(name: str | None = None) -> STT:
    """What this name listens with, shared by all calls of the process.

    Raises InputError for a name that is none and MissingExtra where what it needs is not installed."""
    pipecat = f"{_PIPECAT}:PipecatSTT"
    found: STT = _found(name or "moonshine", STT_SERVICES, pipecat, "speech recognition", "stt")
    return found


def _found(chosen: str, known: Mapping[str, tuple[str, ...]], pipecat: str, what: str, key: str) -> Any:
    name, slash, model = chosen.partition("/")
    if name in known and (not slash or name == "openai"):
        path, *given = known[name]
        given += [model] if model else []
    elif ":" in chosen:
        path, given = pipecat, [chosen]
    else:
        raise InputError(
            f"no {what} is called {chosen!r}",
            where=f"[tool.simulate.speech] {key}",
            hint=f"{', '.join(known)} or openai/<model>, or a Pipecat service: package.module:Service",
        )
    module, _, attribute = path.partition(":")
    try:
        with quiet():
            service = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name}, which {chosen} needs,", "voice") from error
    return service(*given)
