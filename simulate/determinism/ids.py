"""Chance and ids, pinned: ``random``, ``uuid4``, OpenTelemetry's ids, and ``secrets`` for those who ask."""

from __future__ import annotations

import contextlib
import gc
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

_chance: ContextVar[random.Random | None] = ContextVar("simulate_chance", default=None)
_ids: ContextVar[random.Random | None] = ContextVar("simulate_ids", default=None)
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
    *seed: object, with_secrets: bool = False, with_ids: bool = True
) -> Generator[random.Random]:
    """Let ``random``, ``uuid.uuid4`` and OpenTelemetry's ids inside come from ``seed``, also in modules that
    imported the functions by name. ``with_secrets`` does the same to ``secrets``; never for what protects
    something real. ``with_ids=False`` leaves OpenTelemetry's ids alone, for conversations side by side."""
    chance = random.Random(derive_seed("chance", *seed))
    with _PATCH.held(), _SECRETS_PATCH.held() if with_secrets else contextlib.nullcontext():
        token, ids = _chance.set(chance), _ids.set(chance if with_ids else None)
        try:
            yield chance
        finally:
            _chance.reset(token)
            _ids.reset(ids)


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
        chance = _chance.get()
        return real(*args, **kwargs) if chance is None else getattr(chance, name)(*args, **kwargs)

    choose.__name__ = name
    return choose


def _uuid4(real: Any) -> Any:
    def uuid4() -> uuid.UUID:
        chance = _chance.get()
        return real() if chance is None else uuid.UUID(int=chance.getrandbits(128), version=4)

    return uuid4


def _secret(real: Any, made: Any) -> Any:
    def secret(*args: Any) -> Any:
        chance = _chance.get()
        return real(*args) if chance is None else made(chance, *args)

    return secret


def _seed_providers(undo: contextlib.ExitStack) -> None:
    """Every tracer provider of the process takes its ids from `SeededIds`, also those that exist already."""
    for one in gc.get_objects():
        if (
            type(one) in (Tracer, TracerProvider)
            and type(getattr(one, "id_generator", None)) is RandomIdGenerator
        ):
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
