"""What speaks for the caller and what listens: text to speech, speech to text, and how models are loaded."""

from __future__ import annotations

import asyncio
import contextlib
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


def in_language(service: T, code: str, key: str) -> T:
    """The service for a language by its ISO 639 code. All of them know English; those that know others have
    ``in_language(code)``. Raises InputError for one that has not, and names what has."""
    if code == ENGLISH:
        return service
    other: Callable[[str], T] | None = getattr(service, "in_language", None)
    if other is None:
        what, others = _OTHERS[key]
        raise InputError(
            f"{getattr(service, 'name', service)} {what} English alone, and the persona speaks {code!r}",
            where="persona, speaks.language",
            hint=f"set {key} under [tool.simulate.speech]: {others}",
        )
    return other(code)


ENGLISH = "en"
_OTHERS = {
    "tts": ("speaks", 'tts = "espeak" (the extra `languages`), "openai", or a Pipecat service'),
    "stt": ("understands", 'stt = "openai" (any endpoint with /audio/transcriptions), or a Pipecat service'),
}


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
