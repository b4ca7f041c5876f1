"""Nothing gets out while a conversation is replayed: sockets, names, child processes, native clients.

The guard is an audit hook, so that it sees every ``connect`` and look-up that Python makes, whichever
library asks for it. What leaves Python's sight, gRPC's C core, is intercepted where it is called.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Generator
from typing import Any, cast
from unittest import mock

from simulate.determinism.shared_patch import SharedPatch
from simulate.errors import InputError
from simulate.replay.intercept import children
from simulate.replay.intercept.router import LiveCallRefused, TrafficRouter
from simulate.replay.intercept.senders import is_exporting
from simulate.replay.intercept.traffic import Traffic
from simulate.replay.matching.endpoints import LOOPBACK, host_port

_ENVIRONMENT = (
    "ENV",
    "APP_ENV",
    "ENVIRONMENT",
    "DEPLOYMENT_ENVIRONMENT",
    "NODE_ENV",
    "DJANGO_ENV",
    "FLASK_ENV",
    "RAILS_ENV",
    "STAGE",
    "SIMULATE_ENV",
)
_PRODUCTION = frozenset({"prod", "production", "live", "prd"})


def refuse_production() -> None:
    """InputError where the environment says production: a replay has no business there."""
    for name in _ENVIRONMENT:
        value = os.environ.get(name, "")
        if value.strip().lower() in _PRODUCTION:
            raise InputError(
                f"refusing to replay: {name}={value} says that this is production",
                hint=f"run it elsewhere, or unset {name}",
            )


class Guard:
    """Refuses every connection of this process while a replay runs, except to what the replay allows."""

    def __init__(self, router: TrafficRouter) -> None:
        self.router = router
        self._lock = threading.Lock()
        self._hooked = False
        self.native = SharedPatch(self._patch)
        self._inside = threading.local()

    @contextlib.contextmanager
    def held(self, replay: Traffic) -> Generator[None]:
        """Guard the process while ``replay`` runs inside."""
        with self.native.held():
            self._begin(replay)
            try:
                yield
            finally:
                self._end(replay)

    def _begin(self, replay: Traffic) -> None:
        with self._lock:
            if not self._hooked:
                sys.addaudithook(
                    self._hook
                )  # cannot be taken off again; it does nothing while no replay runs
                self._hooked = True
            self.router.replays = (*self.router.replays, replay)

    def _end(self, replay: Traffic) -> None:
        with self._lock:
            self.router.replays = tuple(one for one in self.router.replays if one is not replay)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        # all that Python does comes by here, also between a fork and what the copy becomes
        if not event.startswith("socket.") or not self.router.playing:
            return
        if event == "socket.connect":
            self._connecting(args[1])
        elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
            host = args[0]
            name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
            if name not in LOOPBACK and not self._may_connect() and name not in self._hosts():
                self._refuse(f"DNS look-up of {name}")
        elif event in {"socket.sendto", "socket.sendmsg"} and args[-1] is not None:
            self._connecting(args[-1])

    def _connecting(self, target: Any) -> None:
        if not isinstance(target, tuple):
            return  # a Unix socket: this machine's own
        host, port, *_ = cast("tuple[Any, ...]", target)
        if not self._may_connect() and host_port(str(host), port) not in self.router.allowed:
            self._refuse(f"connection to {host}:{port}")

    def _may_connect(self) -> bool:
        traffic = self.router.current
        return traffic is not None and traffic.may_connect()

    def _hosts(self) -> set[str]:
        # every replay's: a host that another one allows may be looked up, and not connected to
        return {place.rpartition(":")[0] for replay in self.router.replays for place in replay.allow}

    def _refuse(self, what: str) -> None:
        if getattr(self._inside, "busy", False):
            return
        self._inside.busy = True
        try:
            # what an exporter had begun to send before the replay is refused like all else; it blames nobody
            if not is_exporting():
                self.router.refuse(what)
        finally:
            self._inside.busy = False
        raise LiveCallRefused(f"refused during replay: {what}")

    def _patch(self, undo: contextlib.ExitStack) -> None:
        """What audit hooks cannot see: what child processes do."""
        for holder, name, replacement in children.patches(self.router):
            undo.enter_context(mock.patch.object(holder, name, replacement))
