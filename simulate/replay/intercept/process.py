"""This process, patched and guarded for as long as any of its conversations is recorded or replayed.

The patches put `TrafficRouter` between the clients and the network. vcrpy's own patches are not used: they
buffer streams, give all chunks at once, and let other threads' requests out while they build a connection.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Generator
from typing import Any, cast
from unittest import mock

from simulate.determinism.shared_patch import SharedPatch
from simulate.determinism.when_imported import when_imported
from simulate.replay.intercept import (
    children,
    grpc_aio,
    grpc_client,
    httpx_client,
    mcp_client,
    socket_client,
    started_work,
    websocket_client,
    websockets_client,
    websockets_legacy,
)
from simulate.replay.intercept.guard import Guard
from simulate.replay.intercept.router import TrafficRouter
from simulate.replay.intercept.traffic import Traffic

Patches = list[tuple[Any, str, Any]]


def _aiohttp(router: TrafficRouter) -> Patches:
    from simulate.replay.intercept import aiohttp_client, aiohttp_websocket  # they import aiohttp themselves

    return [*aiohttp_client.patches(router), *aiohttp_websocket.patches(router)]


_ALWAYS = (socket_client.patches, started_work.patches)
_CLIENTS: tuple[tuple[str, Callable[[TrafficRouter], Patches]], ...] = (
    ("httpx", functools.partial(httpx_client.patches, "httpx")),
    ("httpx2", functools.partial(httpx_client.patches, "httpx2")),
    ("aiohttp", _aiohttp),
    ("websocket", websocket_client.patches),
    ("websockets", websockets_client.patches),
    ("websockets", websockets_legacy.patches),
    ("grpc", grpc_client.patches),
    ("grpc", grpc_aio.patches),
    ("mcp", mcp_client.patches),
)
"""By the package that has to be imported before there is anything to patch."""


class _Process:
    """One for the whole process: clients and sockets can be patched once only."""

    def __init__(self) -> None:
        self.router = TrafficRouter()
        self.guard = Guard(self.router)
        self.patches = SharedPatch(self._patch)
        self._stays: contextlib.ExitStack | None = None
        if hasattr(os, "register_at_fork"):
            # whom a fork asks has to be there before it is one
            os.register_at_fork(
                before=lambda: self.router.playing and self.router.sentry,
                after_in_child=lambda: children.after_fork(self.router),
            )

    def stay(self) -> None:
        """Keep the patches on until the process ends: something of a conversation still runs."""
        if self._stays is None:
            # kept: what enters a context and forgets it leaves it as soon as it is collected
            self._stays = contextlib.ExitStack()
            self._stays.enter_context(self.patches.held())
            self._stays.enter_context(self.guard.native.held())

    def _patch(self, undo: contextlib.ExitStack) -> None:
        for patches in _ALWAYS:
            self._replace(patches, undo)
        for package, patches in _CLIENTS:
            when_imported(undo, package, functools.partial(self._replace, patches))

    def _replace(self, patches: Callable[[TrafficRouter], Patches], undo: contextlib.ExitStack) -> None:
        for holder, name, replacement in patches(self.router):
            undo.enter_context(mock.patch.object(holder, name, replacement))


_PROCESS = _Process()


@contextlib.contextmanager
def intercepted(traffic: Traffic) -> Generator[None]:
    """``traffic`` decides what becomes of all that the code inside asks of the network. Where it is a replay,
    every other connection of this process is refused meanwhile."""
    guarded = _PROCESS.guard.held(traffic) if traffic.replaying else contextlib.nullcontext()
    router = _PROCESS.router
    with router.logged(traffic), _PROCESS.patches.held(), guarded, router.entered(traffic):
        try:
            yield
        finally:
            _PROCESS.router.background.over.add(traffic)
            if _PROCESS.router.background.lasts(traffic):
                _PROCESS.stay()


@contextlib.contextmanager
def intercepted_everywhere(traffic: Traffic) -> Generator[None]:
    """The same in a process that has one conversation at a time: all that any of its threads asks for is
    ``traffic``'s, also those that began before."""
    guarded = _PROCESS.guard.held(traffic) if traffic.replaying else contextlib.nullcontext()
    router = _PROCESS.router
    with _PROCESS.patches.held(), guarded, router.entered_everywhere(traffic):
        try:
            yield
        finally:
            router.background.over.add(traffic)


def begin_again(begin: Callable[[], Traffic]) -> None:
    """In a forked process: it belongs to what ``begin`` gives, once it asks for something."""
    _PROCESS.router.everywhere = cast("Traffic", _Later(begin))


class _Later:
    """A conversation that begins when it is first asked anything."""

    def __init__(self, begin: Callable[[], Traffic]) -> None:
        self._begin = begin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._begin(), name)


async def settled(traffic: Traffic) -> None:
    """Wait for the threads and tasks that were started in this conversation."""
    await _PROCESS.router.background.settled(traffic)


def entered(traffic: Traffic) -> contextlib.AbstractContextManager[None]:
    """What is asked for inside is this conversation's; the process is patched already, or not at all."""
    return _PROCESS.router.entered(traffic)


def current() -> Traffic | None:
    """The conversation that the running code belongs to, as far as it is recorded or replayed."""
    return _PROCESS.router.current
