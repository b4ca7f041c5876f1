"""A program of somebody else's that is started for a run: ready before it is used, gone with all that it
started, and what it printed kept in a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from simulate import stopping
from simulate.errors import EnvironmentFault, Fault, InputError

LOOK_SECONDS = 0.05
"""How often a process is asked whether it is ready, or gone."""
TRIES = 100
LOG_LIMIT, LOG_KEPT = 64 << 20, 4 << 20
"""Bytes of a log from which on its beginning is cut off, and of its end that then stay."""
HURRY_SECONDS = 1.5
"""What a process has to end after each signal, where we are told to end ourselves."""


KILL: signal.Signals = getattr(signal, "SIGKILL", signal.SIGTERM)
"""The signal that nothing can refuse; Windows has only the other."""


LAUNCHER = "SIMULATE_LAUNCHER"
"""The variable that names a Python program which starts others, and what it is told first."""


def launched(words: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> list[str]:
    """The words that start a program by way of the launcher that its environment names; the same words where
    there is no launcher, or no such program."""
    launcher = environment.get(LAUNCHER)
    path = environment.get("PATH", os.environ.get("PATH"))
    found = (cwd or Path()) / words[0] if os.sep in words[0] else shutil.which(words[0], path=path)
    if not launcher or found is None or not os.access(found, os.X_OK):
        return list(words)
    return [sys.executable, "-I", "-S", *launcher.split(os.pathsep), *words]


@contextlib.contextmanager
def environment_set(values: Mapping[str, str]) -> Generator[None]:
    """While inside, these variables are set: for this process, and for those that are started here."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def free_port(preferred: int = 0, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody listens at now: the preferred one, if it is free.

    Others are below those that systems hand out by themselves (Linux: from 32768), so that nobody is given it
    before a process that we start with it listens there. Raises EnvironmentFault where none is free."""
    chance = random.SystemRandom()
    for port in (preferred, *(chance.randrange(20_000, 32_768) for _ in range(TRIES))):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port:
                return port
    raise EnvironmentFault("no port of 127.0.0.1 is free")


class ChildProcess:
    """Runs ``command`` in a process group of its own until it is stopped.

    What it prints is added to the file ``log``, of which the end stays where it grows too long.
    A subclass says when it is ``ready`` and whose fault it is when it is ``broken``."""

    ready_seconds: ClassVar[float] = 30.0
    late: str = "is not ready"
    """What is said of one that is not ready after ``ready_seconds``."""
    early: str = "before it was ready"
    """When one ended that never was ready."""
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]] = (
        (signal.SIGTERM, 5.0),
        (KILL, 5.0),
    )
    """What its group is sent in turn, each with the seconds that it has to end."""

    def __init__(self, command: Sequence[str], *, log: Path, cwd: Path | None = None) -> None:
        self.command = list(command)
        self.log = log
        self.cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0
        """Bytes of the log that are of runs before."""
        self._cut = 0
        """Bytes at the log's beginning that were cut off."""
        self._watch: asyncio.Task[None] | None = None

    async def ready(self) -> bool:
        """Whether it can be used now."""
        raise NotImplementedError

    def line(self, environment: Mapping[str, str]) -> list[str]:
        """The words that are run with these variables."""
        return self.command

    def broken(self, what: str, since: int | None = None) -> Fault:
        """The fault that it ``what``; ``since`` is a place in its log."""
        raise NotImplementedError

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start it with these variables besides our own, and wait until it is ready.

        Raises ``broken`` where it does not get so far, and InputError where there is no such program."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._started_at = self.place
        with self.log.open("ab") as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.line(environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.cwd,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise InputError(f"cannot start {shlex.join(self.command)}: {error.strerror}") from error
        _GROUPS.add(self._process.pid)
        self._watch = asyncio.create_task(self._cap_log())
        try:
            async with asyncio.timeout(self.ready_seconds):
                while not await self.ready():
                    if (ended := self.ended) is not None:
                        raise self.broken(f"{ended} {self.early}")
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            await self.stop()
            raise self.broken(f"{self.late} after {self.ready_seconds:g} s") from None
        except BaseException:
            await self.stop()
            raise

    @property
    def ended(self) -> str | None:
        """How it ended; None while it runs, and where it was never started or was stopped by us."""
        code = None if self._process is None else self._process.returncode
        return None if code is None else f"ended with code {code}"

    async def stop(self) -> None:
        """Ask it and all that it started to end, with time to flush their spans; then end them."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._watch is not None:
            self._watch.cancel()
        await end_group(process, self.stop_signals)
        _GROUPS.discard(process.pid)
        with contextlib.suppress(OSError):
            self._shorten_log()

    async def _cap_log(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(OSError):
                self._shorten_log()

    def _shorten_log(self) -> None:
        """Cut off the beginning of a long log. The process appends, so that it goes on behind what stays."""
        size = self.place - self._cut
        if size <= LOG_LIMIT:
            return
        with self.log.open("rb") as file:
            file.seek(size - LOG_KEPT)
            kept = file.read(LOG_KEPT).partition(b"\n")[2]
        told = f"({size - len(kept)} bytes that were printed before are not kept)\n".encode()
        with self.log.open("ab") as file:
            file.truncate(0)
            file.write(told + kept)
        self._cut += size - len(kept) - len(told)

    @property
    def place(self) -> int:
        """Where its log ends now, in bytes of all that was printed; what it prints later comes after."""
        return self._cut + (self.log.stat().st_size if self.log.exists() else 0)

    def printed(self, since: int | None = None, most: int | None = None) -> str:
        """What it printed since it started, or since a place in its log; the last ``most`` bytes of it."""
        since = self._started_at if since is None else since
        begins = since if most is None else max(since, self.place - most)
        with self.log.open("rb") as file:
            file.seek(max(0, begins - self._cut))
            text = file.read()
        if begins > since:
            text = text.partition(b"\n")[2] or text
        return text.decode(errors="replace")


_GROUPS: set[int] = set()
"""Process groups that we started and have not stopped yet."""


def _kill_all() -> None:
    for group in tuple(_GROUPS):
        signalled(group, KILL)


stopping.before_force(_kill_all)


async def end_group(
    process: asyncio.subprocess.Process, signals: Sequence[tuple[signal.Signals, float]]
) -> None:
    """End a process and its group: each signal in turn, with the seconds that it has to end after it."""
    for number, patience in signals:
        seconds = min(patience, HURRY_SECONDS) if stopping.asked() else patience
        if not signalled(process.pid, number):
            break
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process.wait()
                while signalled(process.pid):  # noqa: ASYNC110 - only asking tells
                    await asyncio.sleep(LOOK_SECONDS)
    await process.wait()


def signalled(group: int, number: int = 0) -> bool:
    """Whether there is still a process of the group to take the signal; 0 only asks."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS: of a group of which only a zombie is left
        return False
    return True


def is_running(process: int) -> bool:
    """Whether there is a process of this id, also one of another user."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


async def listens(host: str | None, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
