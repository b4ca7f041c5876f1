"""Processes that an agent starts while it is replayed, in whatever way: guarded, or stopped and named.

Python and Node load a guard of ours, which names the place in their code; on Linux the kernel asks before any
of them reaches an address. A program whose only use is to reach something is not started at all.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any, cast

from simulate.child_process import LAUNCHER, environment_set
from simulate.replay.intercept import kernel
from simulate.replay.intercept.router import LiveCallRefused, TrafficRouter

_CLIENTS = ("curl", "wget", "nc", "ncat", "netcat", "socat", "telnet", "ssh", "scp", "http", "https", "xh")
_SHELLS = ("sh", "bash", "dash", "zsh", "env", "timeout", "nohup")
_COMMAND = re.compile(rf"(?:^|[|;&(`])\s*(?:\S*/)?(?:{'|'.join(_CLIENTS)})(?=\s)")
"""One of them where a shell begins a command."""
_IN_SHELL = re.compile(
    r"(?P<program>(?:^|[|;&(`\s/])(?:python|pypy)[\d.]*)(?P<flags>(?:\s+-[bBdEiIOPqsSuvx]+)+)(?=\s)"
)
"""Where a shell starts Python with flags."""
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*(?:\.exe)?$")
_CHILD = Path(__file__).parent / "child"
_SHIM = """#!/bin/sh
told=$(echo "process {name} $*: a replay plays no other programs" | tr '\\n' ' ')
echo "$told" >> "${{SIMULATE_REPLAY_LOG:-/dev/stderr}}"
exit 7
"""
"""In place of a client that a script calls; 7 is what curl ends with where it cannot connect."""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that leads nowhere (the discard port): what a child that is neither Python nor Node gets where the
kernel does not ask."""


HANDOVER = "SIMULATE_REPLAY_HANDOVER"
"""The folder in which an agent's own processes hear which conversation is open: see `own_process`."""


def taking_part(folder: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """What lets Python processes keep, or be answered, what they ask for themselves."""
    return {HANDOVER: str(folder), "PYTHONPATH": _python_path(os.environ if base is None else base)}


def _python_path(base: Mapping[str, str]) -> str:
    known = [part for part in base.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(_CHILD)]
    return os.pathsep.join((str(_CHILD), *known))


def child_environment(
    allowed: Iterable[str], log: Path | None, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What guards a process and its children: Python by an audit hook of its own, Node by a module that is
    loaded first, others by a proxy to nowhere where the kernel does not ask. What they refuse stands in
    ``log``, a line each.

    ``base`` is the environment that the process would have had (default: ours)."""
    base = os.environ if base is None else base
    names = sorted(set(allowed))
    guard = {
        "SIMULATE_REPLAY_ALLOW": ",".join(names),
        "PYTHONPATH": _python_path(base),
        "NODE_OPTIONS": f'{base.get("NODE_OPTIONS", "")} --require "{_CHILD / "guard.cjs"}"'.strip(),
    }
    if log is not None:
        guard["SIMULATE_REPLAY_LOG"] = str(log)
    guard["PATH"] = os.pathsep.join((str(_shims()), base.get("PATH", os.defpath)))
    if not kernel.can_ask():
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            guard[name] = guard[name.lower()] = NOWHERE
        guard["NO_PROXY"] = guard["no_proxy"] = ",".join({address.rpartition(":")[0] for address in names})
    return guard


@functools.cache
def _shims() -> Path:
    """A folder of programs that stand in `PATH` before the clients: a script that calls one is told so, and
    the call is named."""
    folder = Path(tempfile.mkdtemp(prefix="simulate-clients-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in _CLIENTS:
        program = folder / name
        program.write_text(_SHIM.format(name=name))
        program.chmod(0o755)
    return folder


def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The functions to replace."""
    found: list[tuple[Any, str, Any]] = [
        (subprocess.Popen, "__init__", _popen(subprocess.Popen.__init__, router)),
        (os, "system", _system(getattr(os, "system"), router)),  # noqa: B009 (it is softly deprecated)
        (util, "spawnv_passfds", _spawning(util.spawnv_passfds, router)),
    ]
    names = [name for name in ("posix_spawn", "posix_spawnp") if hasattr(os, name)]
    return [*found, *((os, name, _posix_spawn(getattr(os, name), router)) for name in names)]


def _popen(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def __init__(process: Any, args: Any, *more: Any, **kwargs: Any) -> None:
        env = os.environ if kwargs.get("env") is None else kwargs["env"]
        sentry = None if LAUNCHER in env or len(more) >= 6 else router.sentry
        if router.playing and router.current is not None:
            _refuse_clients(args, router)
            args, env = _not_isolated(args, dict(env))
            kwargs["env"] = env | _guard(router, env)
        if sentry is not None:
            kwargs["preexec_fn"] = _watched(kwargs.get("preexec_fn"), sentry)
        real(process, args, *more, **kwargs)

    return __init__


def _system(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def system(command: Any) -> int:
        if not router.playing or router.current is None:
            return real(command)
        code = subprocess.call(command, shell=True)
        return -code if code < 0 else code << 8

    return system


def _posix_spawn(real: Any, router: TrafficRouter) -> Any:
    @functools.wraps(real)
    def posix_spawn(path: Any, argv: Any, env: Any, **kwargs: Any) -> int:
        if router.playing and router.current is not None:
            given = {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
            _refuse_clients(argv, router)
            argv, given = _not_isolated(argv, given)
            env = given | _guard(router, given)
        if LAUNCHER not in env and (sentry := router.sentry) is not None:
            path, *argv = [sys.executable, *kernel.launching(sentry, [os.fsdecode(path), *_words(argv)[1:]])]
        return real(path, argv, env, **kwargs)

    return posix_spawn


def _spawning(real: Any, router: TrafficRouter) -> Any:
    """How `multiprocessing` starts processes that it does not fork; they take the environment as it is."""

    @functools.wraps(real)
    def spawnv_passfds(*args: Any) -> Any:
        if not router.playing or router.current is None:
            return real(*args)
        guard = _guard(router, os.environ)
        # Python guards itself, and a proxy to nowhere would keep LiveKit's native client from its room
        with environment_set({k: v for k, v in guard.items() if not k.upper().endswith("_PROXY")}):
            return real(*args)

    return spawnv_passfds


def after_fork(router: TrafficRouter) -> None:
    """In a process that was just forked: it can ask nobody whose it is, so it reaches nothing in a replay."""
    if router.everywhere is not None:
        return  # an agent's own process: its copies have a part of their own
    router.forked = router.current is not None
    if router.forked and router.playing and router.sentry is not None:
        kernel.watched(router.sentry)


def _guard(router: TrafficRouter, env: Mapping[str, str]) -> dict[str, str]:
    return child_environment(router.all_allowed, router.log, env)


def _watched(before: Any, sentry: str) -> Any:
    def begin() -> None:
        if before is not None:
            before()
        kernel.watched(sentry)

    return begin


def _words(args: Any) -> list[str]:
    if isinstance(args, (str, bytes)):
        try:
            return shlex.split(os.fsdecode(args))
        except ValueError:
            return os.fsdecode(args).split()
    if isinstance(args, Sequence):
        return [os.fsdecode(word) for word in args]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [os.fsdecode(args)]


def _refuse_clients(args: Any, router: TrafficRouter) -> None:
    words = _words(args)
    lines = [os.fsdecode(args)] if isinstance(args, (str, bytes)) else words[1:]
    alone = bool(words) and os.path.basename(words[0]) in _CLIENTS
    shell = isinstance(args, (str, bytes)) or (bool(words) and os.path.basename(words[0]) in _SHELLS)
    if alone or (shell and any(_COMMAND.search(line) for line in lines)):
        text = router.refuse(f"process {' '.join(words)[:200]}: a replay plays no other programs")
        raise LiveCallRefused(f"refused during replay: {text}")


def _not_isolated(args: Any, env: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """``python -I``, ``-E`` and ``-S`` would not load the guard: the same without them, by what they stand
    for."""
    if isinstance(args, (str, bytes)):
        return _IN_SHELL.sub(_shell_flags, os.fsdecode(args)), env
    words = _words(args) if isinstance(cast(object, args), (list, tuple)) else []
    if words and os.path.basename(words[0]) in _SHELLS:
        return [words[0], *(_IN_SHELL.sub(_shell_flags, word) for word in words[1:])], env
    if not words or not _PYTHON.search(os.path.basename(words[0])):
        return args, env
    made = [words[0]]
    for index, word in enumerate(words[1:], 1):
        if not word.startswith("-") or word.startswith("--") or word[1:2] in {"c", "m", "W", "X"}:
            return [*made, *words[index:]], env
        flags = word[1:]
        if "I" in flags or "E" in flags:
            env = {name: value for name, value in env.items() if not name.startswith("PYTHON")}
        made += _flags(flags)
    return made, env


def _flags(flags: str) -> list[str]:
    """Flags of Python without those that keep the guard out."""
    kept = flags.replace("I", "Ps").replace("E", "").replace("S", "")
    return [f"-{kept}"] if kept else []


def _shell_flags(match: re.Match[str]) -> str:
    flags = [kept for flag in match["flags"].split() for kept in _flags(flag[1:])]
    return " ".join([match["program"], *flags])
