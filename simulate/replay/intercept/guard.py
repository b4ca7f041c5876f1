"""Nothing gets out while a conversation is replayed: sockets, names, child processes, native clients.

The guard is an audit hook, so that it sees every ``connect`` and look-up that Python makes, whichever
library asks for it. What leaves Python's sight (gRPC's C core) is refused by name where it is opened.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from simulate.errors import InputError
from simulate.replay.intercept import router
from simulate.replay.matching.key import LOOPBACK
from simulate.replay.player import Player
from simulate.replay.session import current

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

_lock = threading.Lock()
_hooked = False
_native: contextlib.ExitStack | None = None
_inside = threading.local()


class LiveCallRefused(ConnectionRefusedError):
    """A connection that a replay refused. Clients treat it as any refused connection."""


def refuse_production() -> None:
    """InputError where the environment says production: a replay has no business there."""
    for name in _ENVIRONMENT:
        value = os.environ.get(name, "")
        if value.strip().lower() in _PRODUCTION:
            raise InputError(
                f"refusing to replay: {name}={value} says that this is production",
                hint=f"run it elsewhere, or unset {name}",
            )


@contextlib.contextmanager
def guarded(player: Player) -> Generator[None]:
    """Refuse every connection while inside, except to what a running replay allows."""
    global _hooked, _native
    with _lock:
        if not _hooked:
            sys.addaudithook(_hook)  # cannot be taken off again; it does nothing while no replay runs
            _hooked = True
        if not router.players:
            _native = _refuse_native()
        router.players.append(player)
    try:
        with TemporaryDirectory(prefix="simulate-") as folder:
            player.child_log = Path(folder) / "refused"
            try:
                yield
            finally:
                if player.child_log.exists():
                    for text in player.child_log.read_text("utf-8").splitlines():
                        player.refuse(text)
                player.child_log = None
    finally:
        with _lock:
            router.players.remove(player)
            if not router.players and _native is not None:
                _native.close()
                _native = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not router.players:
        return
    if event == "socket.connect":
        _connecting(args[1])
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = args[0]
        text = host.decode() if isinstance(host, bytes) else str(host or "localhost")
        if text not in LOOPBACK and not _allowed_host(text):
            _refuse(f"DNS look-up of {text}")
    elif event in {"socket.sendto", "socket.sendmsg"} and args[-1] is not None:
        _connecting(args[-1])


def _connecting(target: Any) -> None:
    if not isinstance(target, tuple):
        return  # a Unix socket: this machine's own
    place = cast("tuple[Any, ...]", target)
    session = current.get()
    allowed = (
        session.allow if session is not None else set[str]().union(*(one.allow for one in router.players))
    )
    if isinstance(session, Player) and (session.live_calls or session.lets_own_out()):
        return  # the policy lets this conversation go live, and counts
    if session is not None and not session.replaying:
        return  # recorded beside a replay
    host, port = str(place[0]), place[1]
    if f"{'127.0.0.1' if host in LOOPBACK else host}:{port}" not in allowed:
        _refuse(f"connection to {host}:{port}")


def _allowed_host(host: str) -> bool:
    session = current.get()
    if session is not None and (
        not session.replaying
        or (isinstance(session, Player) and (session.live_calls or session.lets_own_out()))
    ):
        return True
    return any(address.rpartition(":")[0] == host for one in router.players for address in one.allow)


def _refuse(what: str) -> None:
    if getattr(_inside, "busy", False):
        return
    _inside.busy = True
    try:
        router.refuse(what)
    finally:
        _inside.busy = False
    raise LiveCallRefused(f"refused during replay: {what}")


# private names of grpcio are used: tests/test_private_names.py lists them, with the version tried
def _refuse_native() -> contextlib.ExitStack:
    """What audit hooks cannot see: gRPC's C core, and what child processes do."""
    from unittest import mock

    stack = contextlib.ExitStack()
    stack.enter_context(mock.patch.object(subprocess.Popen, "__init__", _child(subprocess.Popen.__init__)))
    if importlib.util.find_spec("grpc") is not None:
        for name in ("grpc._channel", "grpc.aio._channel"):
            kind: Any = importlib.import_module(name).Channel
            stack.enter_context(mock.patch.object(kind, "__init__", _channel(kind.__init__)))
    return stack


def _channel(real: Any) -> Any:
    @functools.wraps(real)
    def __init__(channel: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        text = target.decode() if isinstance(target, bytes) else str(target)
        allowed = set[str]().union(*(one.allow for one in router.players))
        if router.players and text.removeprefix("ipv4:").replace("localhost", "127.0.0.1") not in allowed:
            router.refuse(f"gRPC channel to {text}: a replay plays no gRPC")
            raise LiveCallRefused(f"refused during replay: gRPC channel to {text}")
        real(channel, target, *args, **kwargs)

    return __init__


_CHILD = Path(__file__).parent / "child"
NOWHERE = "http://127.0.0.1:9"
"""A proxy that leads nowhere (the discard port): what a child that is neither Python nor Node gets."""


def child_environment(
    allowed: Iterable[str], log: Path | None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What guards a process and its children: Python by an audit hook of its own, Node by a module that is
    loaded first, others by a proxy to nowhere. What they refuse stands in ``log``, a line each.

    ``base`` is the environment that the process would have had (default: ours)."""
    base = os.environ if base is None else base
    names = sorted(set(allowed))
    guard = {
        "SIMULATE_REPLAY_ALLOW": ",".join(names),
        "PYTHONPATH": os.pathsep.join(part for part in (str(_CHILD), base.get("PYTHONPATH", "")) if part),
        "NODE_OPTIONS": f'{base.get("NODE_OPTIONS", "")} --require "{_CHILD / "guard.cjs"}"'.strip(),
    }
    if log is not None:
        guard["SIMULATE_REPLAY_LOG"] = str(log)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        guard[name] = guard[name.lower()] = NOWHERE
    guard["NO_PROXY"] = guard["no_proxy"] = ",".join({address.rpartition(":")[0] for address in names})
    return guard


def _child(real: Any) -> Any:
    """Children inherit the guard."""

    @functools.wraps(real)
    def __init__(process: Any, *args: Any, **kwargs: Any) -> None:
        session = current.get()
        if router.players and session is not None:
            allowed = set[str]().union(*(one.allow for one in router.players))
            env = dict(os.environ if kwargs.get("env") is None else kwargs["env"])
            log = session.child_log if isinstance(session, Player) else None
            kwargs["env"] = env | child_environment(allowed, log, env)
        real(process, *args, **kwargs)

    return __init__
