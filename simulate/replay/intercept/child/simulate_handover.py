"""In a Python process of an agent that is recorded or replayed: hears which conversation is open, and lets
`simulate.replay.own_process` keep or answer what this process asks for itself.

Nothing but the standard library is imported before a conversation is open and a client of the network is
loaded: this runs in every Python process that the agent starts, whatever it is for.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
from typing import Any

FOLDER = "SIMULATE_REPLAY_HANDOVER"
LOOK_SECONDS = 0.02
COPY_SECONDS = 0.5
"""After this long, a forked process is taken to stay one of ours."""
_CLIENTS = frozenset(
    [
        "aiohttp",
        "grpc",
        "http.client",
        "httpx",
        "httpx2",
        "mcp",
        "requests",
        "urllib.request",
        "urllib3",
        "websocket",
        "websockets",
    ]
)
"""What asks for something over the network; `simulate.replay` is loaded where one of these is about to be.
Those that load another one come into question, too: half loaded, they would keep `simulate.replay` out."""
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker")


class Handover:
    """What this process knows of the open conversation."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.order: dict[str, Any] | None = None
        self.part: Any = None
        """An `OwnProcessPart`, once there is one."""
        self._lock = threading.RLock()
        self._joining = self._leaving = False
        self._broke: str | None = None
        self._waiting: str | None = None
        """Why `join` has to be tried again; None where it has not."""
        self._signal: int | None = None

    def begin(self) -> None:
        """Look now, and from now on."""
        self._register()
        self.look()
        self._begin_watch(0)

    def look(self) -> None:
        """Begin what is open now, and end what no longer is."""
        order = self._read()
        with self._lock:
            if self.order is not None and (order is None or order["id"] != self.order["id"]):
                self.leave()
            if order is not None and self.order is None:
                self.order = order
                os.makedirs(self._place(), exist_ok=True)
                if any(name in sys.modules for name in _CLIENTS):
                    self.join()
                self._tell("ready", {})  # also where nothing here can ask for anything yet

    def join(self) -> Any:
        """A client is loaded: from here on what it asks for is kept or answered."""
        with self._lock:
            if self.order is None or self.part is not None or self._joining or self._broke is not None:
                return self.part
            self._joining = True
            try:
                from simulate.replay.own_process import OwnProcessPart  # start-up time: see above

                self.part = OwnProcessPart(self.order, self._place())
                self._waiting = None
                self._tell("joined", {})
                self._tell("ready", {})
            except Exception as error:  # noqa: BLE001 - told to the other side; the agent goes on
                # in an environment of its own without this package: guarded, and not recorded. Else a package
                # that both need may be half loaded, and it works once that is done
                absent = importlib.util.find_spec("simulate") is None
                self._waiting = None if absent else f"{type(error).__name__}: {error}"
            finally:
                self._joining = False
            return self.part

    def importing(self, name: str) -> None:
        """A module is about to be loaded."""
        again = self._waiting is not None
        if self.order is None or self.part is not None or not (again or name in _CLIENTS):
            return
        if not again or not _half_loaded():
            self._try()

    def _try(self) -> None:
        # where another thread joins, it may wait for what this one loads
        if self._lock.acquire(blocking=False):
            try:
                self.join()
            finally:
                self._lock.release()

    def connecting(self, target: object) -> None:
        """This process reaches for something before it has joined: that much is not kept."""
        order, joining = self.order, self._joining
        if order is None or not isinstance(target, tuple) or (self._waiting is None and not joining):
            return
        host, port = target[:2]  # pyright: ignore[reportUnknownVariableType]
        if f"{'127.0.0.1' if host in {'localhost', '::1'} else host}:{port}" in order["allow"]:
            return
        with self._lock:
            if not self._joining:  # else this is the thread that joins
                self._broke = self._waiting or "it asked before it could be recorded"
                self._tell("joined", {})

    def leave(self) -> None:
        """The conversation is over here: leave an account of what was asked."""
        with self._lock:
            self._leaving = True
            try:
                self._leave()
            finally:
                self._leaving = False
            if self._signal is not None:
                signal.signal(self._signal, signal.SIG_DFL)
                os.kill(os.getpid(), self._signal)

    def _leave(self) -> None:
        if self.order is None:
            return
        part, self.part = self.part, None
        place, self.order = self._place(), None
        broke = self._broke or self._waiting
        account: dict[str, Any] = {} if broke is None else {"broke": broke}
        self._broke = self._waiting = None
        try:
            account |= {} if part is None else part.close()
        except Exception as error:  # noqa: BLE001 - told to the other side, which cannot see it
            account = {"broke": f"{type(error).__name__}: {error}"}
        if os.path.exists(os.path.join(place, f"{os.getpid()}.ready")):
            self._tell("done", account, place)

    def terminated(self, number: int, frame: object) -> None:
        """SIGTERM, of which the process itself takes no notice: it ends as soon as the account is written."""
        self._signal = number
        if not self._leaving:
            self.leave()

    def replaced(self) -> None:
        """Another program takes this one's place: nobody waits for it, unless it is Python and tells so."""
        self.leave()
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.folder, f"{os.getpid()}.process"))

    def forked(self) -> None:
        """This process is a copy. It begins a part of its own once it asks for something: most copies only
        become another program."""
        self._lock = threading.RLock()
        self._joining = self._leaving = False
        part, self.part = self.part, None
        if part is not None:
            part.forked(self.join)
        self._begin_watch(COPY_SECONDS)

    def _register(self) -> None:
        with open(os.path.join(self.folder, f"{os.getpid()}.process"), "w", encoding="utf-8"):
            pass

    def _begin_watch(self, after: float) -> None:
        watch = threading.Thread(target=self._watch, args=(after,), daemon=True, name="simulate-handover")
        watch.start()

    def _watch(self, after: float) -> None:
        if after:
            time.sleep(after)
            self._register()
        while os.path.isdir(self.folder):
            time.sleep(LOOK_SECONDS)
            self.look()
            if self._waiting is not None and self._broke is None and not _half_loaded():
                self._try()

    def _place(self) -> str:
        return os.path.join(self.folder, self.order["id"]) if self.order is not None else ""

    def _read(self) -> dict[str, Any] | None:
        try:
            with open(os.path.join(self.folder, "order.json"), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def _tell(self, what: str, content: dict[str, Any], place: str | None = None) -> None:
        path = os.path.join(place or self._place(), f"{os.getpid()}.{what}")
        with open(path + ".part", "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(path + ".part", path)


def _half_loaded() -> bool:
    """Whether a module is being loaded."""
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    return any(getattr(spec, "_initializing", False) for spec in specs)


def begin() -> None:
    """Take part, where a simulation started this process."""
    folder = os.environ.get(FOLDER)
    if not folder or not os.path.isdir(folder) or any(name in " ".join(sys.orig_argv) for name in _HELPERS):
        return
    handover = Handover(folder)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            handover.importing(args[0])
        elif event == "socket.connect":
            handover.connecting(args[1])
        elif event == "os.exec":
            handover.replaced()

    def finalize(_: Handover) -> None:
        sys.modules["multiprocessing.util"].Finalize(None, handover.leave, exitpriority=1000)

    def forked() -> None:
        # multiprocessing's processes end without atexit, and forget what was registered before they began
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.register_after_fork(handover, finalize)
        handover.forked()

    sys.addaudithook(hook)
    atexit.register(handover.leave)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, handover.terminated)
    handover.begin()
