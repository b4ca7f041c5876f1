"""Virtual time: a loop that jumps to the next timer when nothing else can happen.

Time stands still while code runs and moves only by jumps, so that timers, time-outs and the pace of recorded
streams take no real time and happen in the same order every time. While a thread of the loop's executor works
or a connection out of the loop is open, time passes as it really does. ``time.time``, ``monotonic`` and
``perf_counter`` are coupled to the loop: frameworks measure with them what asyncio's timers wait for.
(``datetime.now`` is not: C code reads it from the system.)
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar
from types import FunctionType
from typing import Any, TypeVar, cast

from simulate.determinism.shared_patch import LEFT_ALONE, SharedPatch, replace_everywhere
from simulate.errors import HarnessFault

T = TypeVar("T")
START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: where a virtual clock starts when nothing else is said."""

_real = {
    name: getattr(time, name)
    for name in ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns", "sleep")
}
_loop_of: ContextVar[VirtualLoop | None] = ContextVar("simulate_virtual_loop", default=None)


class Deadlock(HarnessFault):
    """Everything waits and no timer is set: real time would not go on either."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual. ``start_ns`` is what ``time.time_ns`` says at its beginning."""

    def __init__(self, start_ns: int = START_NS, *, patience: float = 1.0) -> None:
        self.now = 0.0
        """Seconds since the beginning."""
        self.start_ns = start_ns
        self.patience = patience
        """Real seconds to wait for a thread that nobody told us of, before calling it a deadlock."""
        self.jumps = 0
        self.working = 0
        """How many threads of the executor are at work."""
        self.closing = False
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Virtual seconds; 1000 at the beginning, as no clock of a machine starts at 0."""
        return 1000.0 + self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Real work in a thread: while it lasts, the clock does not jump."""
        future = super().run_in_executor(executor, func, *args)
        self.working += 1

        def over(_: Any) -> None:
            self.working -= 1

        future.add_done_callback(over)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """Threads end in real time, also in that which Python (3.12 and later) gives them at most."""
        self.closing = True
        await super().shutdown_default_executor(*args, **kwargs)

    def waits_for_the_world(self, registered: Any) -> bool:
        """Whether something real is in flight: a thread, or a connection out of this loop."""
        if self.working or self.closing:
            return True
        own = {self._ssock.fileno(), self._csock.fileno()}  # type: ignore[attr-defined]
        ends = [_ends(key.fileobj) for key in registered if key.fd not in own]
        # of a connection between two parts of this loop, nothing can come while both wait
        return any(end is None or (end[1] is not None and end[::-1] not in ends) for end in ends)


def _ends(file: Any) -> tuple[Any, Any] | None:
    """The names of a socket and of its peer, which is None where it listens; None where they have no names.
    asyncio registers its servers by their number."""
    number = file if isinstance(file, int) else file.fileno()
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
        if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return copy.getsockname(), None
        if copy.family in (socket.AF_INET, socket.AF_INET6):
            return copy.getsockname()[:2], copy.getpeername()[:2]
    return None


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        loop = self.loop
        if loop.waits_for_the_world((self.get_map() or {}).values()):
            before = _real["monotonic"]()
            ready = super().select(timeout)
            if not loop.working:  # a socket's wait is real time that passes; a thread's work is not
                loop.now += min(_real["monotonic"]() - before, timeout if timeout is not None else 1e9)
            return ready
        if timeout is None:
            ready = super().select(loop.patience)
            if not ready:
                raise Deadlock("every task waits and no timer is set\n  " + "\n  ".join(_waiting(loop)))
            return ready
        loop.now += timeout
        loop.jumps += 1
        return []


def _waiting(loop: asyncio.AbstractEventLoop) -> list[str]:
    found: list[str] = []
    for task in sorted(asyncio.all_tasks(loop), key=lambda one: one.get_name()):
        frames = task.get_stack(limit=1)
        place = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "?"
        coroutine = cast("Any", task.get_coro())
        found.append(f"{task.get_name()} in {getattr(coroutine, '__qualname__', coroutine)} at {place}")
    return found


class VirtualClock:
    """The loop's time as `simulate.determinism.context` wants it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop

    def monotonic(self) -> float:
        return self.loop.time()

    def time_ns(self) -> int:
        return self.loop.start_ns + round(self.loop.now * 1e9)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtual(main: Coroutine[Any, Any, T], *, start_ns: int = START_NS) -> T:
    """``asyncio.run`` in virtual time, with the functions of ``time`` coupled to it."""
    loop = VirtualLoop(start_ns)
    token = _loop_of.set(loop)
    try:
        with coupled(), asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)
    finally:
        _loop_of.reset(token)


class Apart:
    """Virtual time beside a loop in real time: in a thread, one thing after another on a loop of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "simulate-virtual-time")
        self._runner: asyncio.Runner | None = None

    async def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for what ``main`` makes. Cancelled, it cancels there, and ends when that has ended."""
        begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

        async def noted() -> T:
            task = asyncio.current_task()
            assert task is not None
            begun.append((asyncio.get_running_loop(), task))
            return await main()

        context = contextvars.copy_context()

        def work() -> T:
            return context.run(lambda: self._work(noted))

        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            for loop, task in begun:
                loop.call_soon_threadsafe(task.cancel)
            if begun or not done.cancel():
                await asyncio.wait({done})
            raise

    def _work(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        loop = cast("VirtualLoop", self._runner.get_loop())
        loop.start_ns = _real["time_ns"]() - round(loop.now * 1e9)
        token = _loop_of.set(loop)
        try:
            with coupled():
                return self._runner.run(main(), context=contextvars.copy_context())
        finally:
            _loop_of.reset(token)

    async def aclose(self) -> None:
        """Close the loop and the thread."""
        if self._runner is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._runner.close)
        self._thread.shutdown()


def current_loop() -> VirtualLoop | None:
    """The virtual loop that this code belongs to: the running one, or that of the context."""
    loop = asyncio._get_running_loop()
    return loop if isinstance(loop, VirtualLoop) else _loop_of.get() if loop is None else None


def real_time() -> float:
    """Seconds of the machine's own monotonic clock, also in virtual time."""
    return _real["monotonic"]()


def coupled() -> AbstractContextManager[None]:
    """Let the functions of ``time`` tell virtual time to code of a virtual loop, however it got them."""
    return _COUPLING.held()


def _functions() -> dict[str, Any]:
    def telling(name: str, value: Callable[[VirtualLoop], float]) -> Any:
        real = _real[name]

        def tell() -> Any:
            loop = current_loop()
            return real() if loop is None else value(loop)

        tell.__name__ = name
        return tell

    def nanoseconds(loop: VirtualLoop) -> int:
        return loop.start_ns + round(loop.now * 1e9)

    def sleep(seconds: float) -> None:
        loop = current_loop()
        if loop is None or asyncio._get_running_loop() is not loop:
            _real["sleep"](seconds)
        else:
            loop.now += seconds  # nothing else could run meanwhile in real time either

    return {
        "time": telling("time", lambda loop: nanoseconds(loop) / 1e9),
        "time_ns": telling("time_ns", nanoseconds),
        "monotonic": telling("monotonic", lambda loop: loop.time()),
        "monotonic_ns": telling("monotonic_ns", lambda loop: round(loop.time() * 1e9)),
        "perf_counter": telling("perf_counter", lambda loop: loop.time()),
        "perf_counter_ns": telling("perf_counter_ns", lambda loop: round(loop.time() * 1e9)),
        "sleep": sleep,
    }


class _Coupling:
    """Puts our functions in place of those of ``time``, in modules and in default values of functions."""

    def __init__(self) -> None:
        self._looked_into: set[str] = set()
        self._with_defaults: list[FunctionType] = []
        """Functions that take one of ``time``'s as a default, as ``def f(clock=time.time)`` does."""

    def apply(self, undo: ExitStack) -> None:
        functions = {_real[name]: function for name, function in _functions().items()}
        replace_everywhere(undo, functions)
        self._replace_defaults(undo, {id(old): new for old, new in functions.items()})

    def _replace_defaults(self, undo: ExitStack, by_identity: dict[int, Any]) -> None:
        """A default value is what stood there when the function was defined."""
        for module_name, module in list(sys.modules.copy().items()):
            if module_name not in self._looked_into and getattr(module, "time", None) is not None:
                self._looked_into.add(module_name)
                if not module_name.startswith(LEFT_ALONE):
                    self._with_defaults += (each for each in _defined_in(module) if _takes(each, by_identity))
        for function in self._with_defaults:
            values, named = _defaults(function)
            undo.callback(setattr, function, "__defaults__", values or None)
            undo.callback(setattr, function, "__kwdefaults__", named or None)
            function.__defaults__ = tuple(by_identity.get(id(value), value) for value in values) or None
            function.__kwdefaults__ = {key: by_identity.get(id(value), value) for key, value in named.items()}


_COUPLING = SharedPatch(_Coupling().apply)


def _defaults(function: FunctionType) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return function.__defaults__ or (), function.__kwdefaults__ or {}


def _takes(function: FunctionType, by_identity: dict[int, Any]) -> bool:
    values, named = _defaults(function)
    return any(id(value) in by_identity for value in (*values, *named.values()))


def _defined_in(module: Any) -> Iterator[FunctionType]:
    members: list[Any] = list(module.__dict__.values())
    for member in list(members):
        if isinstance(member, type) and member.__module__ == module.__name__:
            inside: Any = member.__dict__
            members += inside.values()
    for member in members:
        bare: Any = member.__func__ if type(member) in _METHODS else member
        if isinstance(bare, FunctionType):
            yield bare


_METHODS: tuple[type, ...] = (staticmethod, classmethod)
