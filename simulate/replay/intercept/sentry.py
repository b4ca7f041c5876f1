"""Who is asked before the processes that `kernel` guards reach an address: it refuses what a replay does not
allow, and names it; while recording it names what no recording holds."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from simulate.child_process import LAUNCHER
from simulate.replay.intercept import kernel

_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_ASKED, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_MESSAGE = struct.Struct("@QI")
_MESSAGE_SIZE = 64
"""Bytes of each message of `sendmmsg`."""
_LOCAL = frozenset({socket.AF_UNSPEC, socket.AF_UNIX, 16})
"""Families that do not leave this machine, and netlink, by which the kernel is asked."""
_PROBES = frozenset({0, 9, 65535})
"""Ports that libraries connect to by UDP to learn which of their addresses would be used; nothing is sent."""
_DNS = 53


class Sentry:
    """Watches the processes that were started with `environment`, or called `kernel.watched` with ``path``.

    ``allowed`` gives the ``host:port`` that they may reach. Of anything else ``told`` is given the address, a
    description, and the id of the process that reaches for it; it gets there unless ``refuses`` says so.
    """

    def __init__(
        self,
        allowed: Callable[[], Iterable[str]],
        refuses: Callable[[], bool],
        told: Callable[[str, str, int], None],
    ) -> None:
        self._allowed, self._refuses, self._told = allowed, refuses, told
        self._folder = tempfile.mkdtemp(prefix="simulate-sentry-")
        self.path = str(Path(self._folder) / "s")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(self.path)
        self._door.listen(64)
        self._wakes, self._wake = socket.socketpair()
        self._closing = False
        self.forbidden = ""
        """Why a process runs without this guard."""
        self._thread = threading.Thread(target=self._watch, daemon=True, name="simulate-sentry")
        self._thread.start()

    def environment(self) -> dict[str, str]:
        """What has a program of its own started by way of us: see `child_process.launched`."""
        return {LAUNCHER: f"{Path(kernel.__file__).resolve()}{os.pathsep}{self.path}"}

    def close(self) -> None:
        """Take no further processes. Those that still run stay guarded for as long as we live."""
        self._closing = True
        self._wake.send(b".")
        with contextlib.suppress(OSError):
            os.unlink(self.path)
            os.rmdir(self._folder)

    def _watch(self) -> None:
        asking = select.poll()
        watched = set[int]()
        for one in (self._door, self._wakes):
            asking.register(one, select.POLLIN)
        while watched or not self._closing:
            for descriptor, event in asking.poll():
                if descriptor == self._wakes.fileno():
                    self._wakes.recv(1)
                    asking.unregister(self._door)
                    self._door.close()
                elif descriptor not in watched:
                    if (taken := self._take()) is not None:
                        watched.add(taken)
                        asking.register(taken, select.POLLIN)
                elif event & select.POLLIN:
                    self._answer(descriptor)
                else:  # nobody is left whom it could ask for
                    asking.unregister(descriptor)
                    watched.discard(descriptor)
                    os.close(descriptor)
        self._wakes.close()
        self._wake.close()

    def _take(self) -> int | None:
        """The descriptor by which a new process asks."""
        why = b""
        with contextlib.suppress(OSError), self._door.accept()[0] as process:
            why, descriptors, _, _ = socket.recv_fds(process, 200, 1)
            if descriptors:
                process.send(b"+")
                return descriptors[0]
        self.forbidden = why.decode() or self.forbidden
        return None

    def _answer(self, descriptor: int) -> None:
        assert fcntl is not None, "not Linux"
        asked = bytearray(_ASKED.size)
        try:
            fcntl.ioctl(descriptor, _RECEIVE, asked)
        except OSError:
            return  # it ended meanwhile
        name, process, _, call, _, _, *arguments = _ASKED.unpack(asked)
        try:
            targets = _targets(process, call, arguments)
            refused = True in [self._is_refused(target, process) for target in targets]
        except Exception:  # noqa: BLE001 - whoever asks waits for an answer
            refused = True
        error, flags = (-errno.ECONNREFUSED, 0) if refused else (0, _CONTINUE)
        with contextlib.suppress(OSError):
            fcntl.ioctl(descriptor, _SEND, _ANSWER.pack(name, 0, error, flags))

    def _is_refused(self, target: tuple[str, int], process: int) -> bool:
        if self._is_allowed(target):
            return False
        refused = self._refuses()
        what = f"{_described(target)} in a process of the agent's ({_command(process)})"
        self._told(f"{target[0]}:{target[1]}", what, _whole(process))
        return refused

    def _is_allowed(self, target: tuple[str, int]) -> bool:
        host, port = target
        if port in _PROBES:
            return True
        places = [place.rpartition(":") for place in self._allowed()]
        if port == _DNS:  # a name that may be reached may be looked up, and while recording any
            return not self._refuses() or any(not _is_address(name) for name, _, _ in places)
        return any(number == str(port) and host in addresses(name) for name, _, number in places)


def _targets(process: int, call: int, arguments: list[int]) -> list[tuple[str, int]]:
    """Where a call would reach, as far as that is another program by the network."""
    connect, sendto, sendmsg, _ = kernel.calls()
    try:
        with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
            if call == connect:
                found = [(arguments[1], arguments[2])]
            elif call == sendto:
                found = [(arguments[4], arguments[5])]
            else:
                many = 1 if call == sendmsg else min(arguments[2], 64)
                places = [arguments[1] + number * _MESSAGE_SIZE for number in range(many)]
                heads = [os.pread(memory.fileno(), _MESSAGE.size, place) for place in places]
                found = list(map(_MESSAGE.unpack, heads))
            named = [(place, min(size, 128)) for place, size in found if place and size]
            raw = [os.pread(memory.fileno(), size, place) for place, size in named]
    except (OSError, OverflowError, struct.error):
        return [("an address that cannot be read", -1)]
    return [target for one in raw if (target := _target(one)) is not None]


def _target(address: bytes) -> tuple[str, int] | None:
    family = int.from_bytes(address[:2], "little") if len(address) >= 2 else socket.AF_UNSPEC
    if family in _LOCAL:
        return None
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return (f"a socket of family {family}", -1)
    port = int.from_bytes(address[2:4], "big")
    if family == socket.AF_INET:
        return (str(ipaddress.IPv4Address(address[4:8])), port)
    host = ipaddress.IPv6Address(address[8:24])
    return (str(host.ipv4_mapped or host), port)


def _described(target: tuple[str, int]) -> str:
    host, port = target
    if port == _DNS:
        return f"DNS look-up (at {host})"
    return f"connection to {host}" + (f":{port}" if port >= 0 else "")


def _command(process: int) -> str:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    return " ".join(" ".join(words).split())[:120] or f"process {process}"


def _whole(thread: int) -> int:
    """The process of a thread."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{thread}/status").read_text().splitlines():
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    return thread


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name.strip("[]")))
    return name == "localhost"


@lru_cache(maxsize=256)
def addresses(name: str) -> frozenset[str]:
    """Of a host; this machine's are all one."""
    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(name.strip("[]"), None)}
    except OSError:
        return frozenset()
    here = {"127.0.0.1", "::1", "0.0.0.0", "::"}
    return frozenset(found | here if found & here else found)
