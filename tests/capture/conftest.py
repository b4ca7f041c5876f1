"""Conversation ids, providers and a small agent that leaves spans, shared by the tests of this room."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from simulate.trace.capture import Capture


@pytest.fixture
def new_id() -> Callable[[], str]:
    chance = random.Random(7)
    return lambda: f"{chance.getrandbits(128) or 1:032x}"


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    made = TracerProvider(resource=Resource.create({"service.name": "support"}), shutdown_on_exit=False)
    yield made
    made.shutdown()


@pytest.fixture
async def capture() -> AsyncIterator[Capture]:
    async with Capture("run-1") as opened:
        yield opened


@pytest.fixture
async def receiving() -> AsyncIterator[Capture]:
    async with Capture("run-1", receiver=True) as opened:
        yield opened
