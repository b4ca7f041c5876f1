"""The caller's mouth and ear: who speaks for it, and who listens.

What is installed with the extra ``voice`` works offline: Hibari speaks, Moonshine listens. Others are chosen
by name in ``[tool.simulate.speech]``: ``openai`` (any OpenAI-compatible endpoint), or the import path of a
Pipecat service, ``package.module:Service``. Further voices of Debian (``flite:rms``, ``espeak:en-gb``) are
there where their programs are.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from simulate.conversation.voice.pcm import Pcm
from simulate.errors import InputError, MissingExtra

T = TypeVar("T")

DEFAULT_MOUTH = "hibari"
DEFAULT_EAR = "moonshine"


class TTS(Protocol):
    """Turns text into speech."""

    name: str

    async def say(self, text: str, voice: str | None = None, speed: float = 1.0) -> Pcm:
        """The text spoken, with no silence around it: 16-bit mono at whatever rate the voice has.

        The same text, voice and speed give the same sound. Raises SimulatorFault where it can't be."""
        ...

    def check(self, voice: str | None) -> None:
        """Refuse a voice that there is not, before anything runs: raises InputError."""
        ...


class STT(Protocol):
    """Turns speech into text."""

    name: str

    async def transcribe(self, pcm: Pcm) -> str:
        """What is said in it; an empty text where nothing is. Raises SimulatorFault where it fails."""
        ...


@functools.cache
def mouth(name: str | None = None) -> TTS:
    """The mouth of this name, shared by all calls of the process, its lines kept on disk.

    Raises InputError for a name that is none and MissingExtra where what it needs is not installed."""
    from simulate.conversation.voice.tts_cache import Kept

    chosen = name or DEFAULT_MOUTH
    if chosen == "hibari":
        from simulate.conversation.voice.embedded_speech import Hibari

        return Kept(Hibari())
    if chosen in ("flite", "espeak"):
        from simulate.conversation.voice.program_voices import Program

        return Kept(Program(chosen))
    if chosen == "openai" or chosen.startswith("openai/"):
        from simulate.conversation.voice.openai_speech import RemoteMouth

        return Kept(RemoteMouth(chosen.partition("/")[2] or None))
    if ":" in chosen:
        from simulate.conversation.voice.pipecat_speech import ServiceMouth

        return Kept(ServiceMouth(chosen))
    raise InputError(
        f"no speech synthesis is called {chosen!r}",
        where="[tool.simulate.speech] tts",
        hint="hibari, flite, espeak, openai or openai/<model>, or a Pipecat service: package.module:Service",
    )


@functools.cache
def ear(name: str | None = None) -> STT:
    """The ear of this name, shared by all calls of the process.

    Raises InputError for a name that is none and MissingExtra where what it needs is not installed."""
    chosen = name or DEFAULT_EAR
    if chosen == "moonshine":
        from simulate.conversation.voice.embedded_speech import Moonshine

        return Moonshine()
    if chosen == "openai" or chosen.startswith("openai/"):
        from simulate.conversation.voice.openai_speech import RemoteEar

        return RemoteEar(chosen.partition("/")[2] or None)
    if ":" in chosen:
        from simulate.conversation.voice.pipecat_speech import ServiceEar

        return ServiceEar(chosen)
    raise InputError(
        f"no speech recognition is called {chosen!r}",
        where="[tool.simulate.speech] stt",
        hint="moonshine, openai or openai/<model>, or a Pipecat service: package.module:Service",
    )


def needed(module: str, what: str) -> Any:
    """Import a module of the extra ``voice``, or say how to get it."""
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(what, "voice") from error


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Pipecat greets on stderr when it is imported, and logs every frame there, unless loguru is told
    otherwise before it is imported first. Whoever has set its level, or sinks of their own, keeps them."""
    unset = "LOGURU_LEVEL" not in os.environ and "loguru" not in sys.modules
    if unset:
        os.environ["LOGURU_LEVEL"] = "WARNING"
    try:
        if unset and importlib.util.find_spec("loguru") is not None:
            importlib.import_module("loguru")
        yield
    finally:
        if unset:
            os.environ.pop("LOGURU_LEVEL", None)


class Worker:
    """One thread for one model: calls come one after another, and how long they wait is known."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=f"simulate-{name}")
        self._lock = threading.Lock()
        self.waiting = 0
        """Jobs that are under way or in the queue."""

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run it there; the event loop goes on meanwhile."""
        with self._lock:
            self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        finally:
            with self._lock:
                self.waiting -= 1
