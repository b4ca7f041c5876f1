"""Chance and ids, pinned: ``random``, ``uuid4``, OpenTelemetry's ids, and ``secrets`` for those who ask."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import sys
import uuid
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any

from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

from simulate.determinism.context import derive_seed
from simulate.determinism.shared_patch import SharedPatch, replace_everywhere
from simulate.living import living

_chance: ContextVar[Streams | None] = ContextVar("simulate_chance", default=None)
_ids: ContextVar[random.Random | None] = ContextVar("simulate_ids", default=None)
_everywhere: list[Streams] = []
"""The chance of all that this process does outside of any conversation of its own; the last one counts."""
_RANDOM = (
    "random",
    "uniform",
    "randint",
    "randrange",
    "choice",
    "choices",
    "sample",
    "shuffle",
    "gauss",
    "normalvariate",
    "betavariate",
    "expovariate",
    "triangular",
    "getrandbits",
    "randbytes",
)


class Streams:
    """The chance of one conversation: a stream for each kind of value and each who draws it.

    Who draws is a package (a library, OpenTelemetry), or a module of the agent's own code. So where one draws
    once more than before, nobody else's values move. ``apart=False`` is the one stream of all that recordings
    had before."""

    def __init__(self, seed: int, *, apart: bool = True) -> None:
        self.seed = seed
        self.apart = apart
        self.first = random.Random(seed)
        self._streams: dict[tuple[str, str], random.Random] = {}

    def stream(self, kind: str, drawer: str) -> random.Random:
        """Where ``drawer``, a module's name, gets its values of this kind from."""
        if not self.apart:
            return self.first
        known = self._streams.get((kind, drawer))
        if known is None:
            package = drawer.partition(".")[0]
            name = package if _is_library(package) else drawer
            known = self._streams.setdefault((kind, name), random.Random(derive_seed(self.seed, kind, name)))
            self._streams[kind, drawer] = known
        return known


def _is_library(package: str) -> bool:
    """Whether a package is installed, or comes with Python, rather than being the agent's own code."""
    if package in sys.stdlib_module_names:
        return package != "__main__"
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    paths: list[str] = list(getattr(sys.modules.get(package), "__path__", ()))
    return any("site-packages" in place or "dist-packages" in place for place in (file, *paths))


def _drawer() -> str:
    """The module that calls the function which asks."""
    return str(sys._getframe(2).f_globals.get("__name__", ""))  # pyright: ignore[reportPrivateUsage]


class SeededIds(IdGenerator):
    """OpenTelemetry's ids from the conversation's own chance, and random ones outside of any."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        """128 bits, never zero."""
        chance = _ids.get()
        return self._random.generate_trace_id() if chance is None else chance.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        """64 bits, never zero."""
        chance = _ids.get()
        return self._random.generate_span_id() if chance is None else chance.getrandbits(64) or 1


@contextlib.contextmanager
def pinned_chance(
    *seed: object, with_secrets: bool = False, with_ids: bool = True, apart: bool = True
) -> Generator[random.Random]:
    """Let ``random``, ``uuid.uuid4`` and OpenTelemetry's ids inside come from ``seed``, also in modules that
    imported the functions by name. ``with_secrets`` does the same to ``secrets``; never for what protects
    something real. ``with_ids=False`` leaves OpenTelemetry's ids alone, for conversations side by side.

    Each library, and each module of the agent's, draws from a stream of its own, numbers and UUIDs apart, so
    that one more draw of one shifts nothing of another (``apart=False``: one stream for all)."""
    chance = Streams(derive_seed("chance", *seed), apart=apart)
    with _PATCH.held(), _SECRETS_PATCH.held() if with_secrets else contextlib.nullcontext():
        token, ids = _chance.set(chance), _ids.set(chance.stream("ids", "") if with_ids else None)
        try:
            yield chance.first
        finally:
            _chance.reset(token)
            _ids.reset(ids)


@contextlib.contextmanager
def pinned_chance_everywhere(*seed: object, apart: bool = True) -> Generator[None]:
    """`pinned_chance` for all threads and tasks of a process that has one conversation at a time, also those
    that began before; OpenTelemetry's ids stay as they are. A forked copy of the process is not pinned."""
    process, chance = os.getpid(), Streams(derive_seed("chance", *seed), apart=apart)
    with _PATCH.held():
        _everywhere.append(chance)
        try:
            yield
        finally:
            if process == os.getpid():
                _everywhere.remove(chance)


def _pinned() -> Streams | None:
    return _chance.get() or (_everywhere[-1] if _everywhere else None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_everywhere.clear)


def _bytes(chance: random.Random, count: int | None = None) -> bytes:
    return chance.randbytes(32 if count is None else count)


def _hex(chance: random.Random, count: int | None = None) -> str:
    return _bytes(chance, count).hex()


_SECRETS: dict[str, Any] = {
    "token_bytes": _bytes,
    "token_hex": _hex,
    "randbits": random.Random.getrandbits,
    "randbelow": random.Random.randrange,
    "choice": random.Random.choice,
}


def _patch(undo: contextlib.ExitStack) -> None:
    functions: dict[Any, Any] = {uuid.uuid4: _uuid4(uuid.uuid4)}
    for name in _RANDOM:
        real = getattr(random, name)
        functions[real] = _choosing(name, real)
    replace_everywhere(undo, functions)
    _seed_providers(undo)


def _patch_secrets(undo: contextlib.ExitStack) -> None:
    functions = {getattr(secrets, name): made for name, made in _SECRETS.items()}
    replace_everywhere(undo, {real: _secret(real, made) for real, made in functions.items()})


_PATCH = SharedPatch(_patch)
_SECRETS_PATCH = SharedPatch(_patch_secrets)


def _choosing(name: str, real: Any) -> Any:
    def choose(*args: Any, **kwargs: Any) -> Any:
        chance = _pinned()
        if chance is None:
            return real(*args, **kwargs)
        return getattr(chance.stream("random", _drawer()), name)(*args, **kwargs)

    choose.__name__ = name
    return choose


def _uuid4(real: Any) -> Any:
    def uuid4() -> uuid.UUID:
        chance = _pinned()
        if chance is None:
            return real()
        return uuid.UUID(int=chance.stream("uuid", _drawer()).getrandbits(128), version=4)

    return uuid4


def _secret(real: Any, made: Any) -> Any:
    def secret(*args: Any) -> Any:
        chance = _chance.get()
        return real(*args) if chance is None else made(chance.stream("secrets", _drawer()), *args)

    return secret


def _seed_providers(undo: contextlib.ExitStack) -> None:
    """Every tracer provider of the process takes its ids from `SeededIds`, also those that exist already."""
    for one in living(Tracer, TracerProvider):
        if type(getattr(one, "id_generator", None)) is RandomIdGenerator:
            undo.callback(setattr, one, "id_generator", one.id_generator)
            one.id_generator = SeededIds()


_UNPINNED = {
    "torch": "PyTorch has generators and threads of its own; use torch.manual_seed; a GPU may still differ",
    "numpy": "numpy has a generator of its own; seed it in the agent",
    "uvloop": "uvloop's sockets are out of the guard's sight, and its time cannot be virtual",
}


def unpinned() -> list[str]:
    """What is loaded in this process that cannot be pinned, for the report: one plain sentence each."""
    return [f"{name} is loaded: {what}" for name, what in _UNPINNED.items() if name in sys.modules]
