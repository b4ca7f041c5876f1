"""Conversations in processes of this machine, as many as it has processors.

A call in virtual time waits for nothing: all it takes is computing, and one Python process computes on one
processor. A process keeps its models from call to call.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from simulate import stopping
from simulate.fan_out.fan_out import FanOut
from simulate.fan_out.worker import Event, Order, Tape, carry
from simulate.masking import masked_prints
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.suite import Suite

MOST = 4
"""Processes that a run starts without being told: each holds the models, some 600 MB of memory."""
CALLS_EACH = 2
"""Calls from which on a process is worth its start, which takes as long as one and a half."""


def processes_for(calls: int, jobs: int | None) -> int:
    """How many processes these calls in virtual time are worth; ``jobs`` is what was asked for."""
    most = min(os.cpu_count() or 1, MOST) if jobs is None else jobs
    return max(1, min(most, calls // CALLS_EACH))


class WorkerDied(Exception):
    """A process ended in the middle of a conversation."""


class ProcessFanOut(FanOut["_WorkerProcess"]):
    """Has a suite's conversations in ``jobs`` processes of its own."""

    name = "in a process of its own"
    hint = "its other trials go on in another process; to see it end, run this one with --jobs 1"
    broken = WorkerDied

    def __init__(
        self, resources: Resources, *, jobs: int, virtual: bool = False, tape: Tape | None = None
    ) -> None:
        super().__init__(resources, jobs=jobs, virtual=virtual, tape=tape)
        self._idle: list[_WorkerProcess] = []
        self._busy: set[_WorkerProcess] = set()

    async def __aenter__(self) -> ProcessFanOut:
        """A process starts when it is given its first order."""
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._busy:  # the run broke off, and nobody takes in what they send
            process.kill(force=True)
        await asyncio.gather(*(process.end() for process in (*self._idle, *self._busy)))

    def at_once(self, trials: Sequence[TrialSpec]) -> int:
        return self.jobs

    def start(self, suite: Suite, trials: Sequence[TrialSpec]) -> _WorkerProcess:
        process = self._idle.pop() if self._idle else _WorkerProcess()
        self._busy.add(process)
        process.tell(self.order(suite, trials))
        return process

    async def events(self, under_way: _WorkerProcess) -> AsyncIterator[Event]:
        while (event := await under_way.next()) is not None:
            yield event
        self._busy.remove(under_way)
        self._idle.append(under_way)

    def cancel(self, under_way: _WorkerProcess, *, force: bool = False) -> None:
        under_way.kill(force=force)

    def reason(self, error: Exception) -> tuple[str, bool]:
        return str(error), False


class _WorkerProcess:
    """A process that carries out one order after another."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share threads and open connections
        self._ours, theirs = context.Pipe()
        # a daemon could not start processes, which an agent may do
        self._process = context.Process(target=_work, args=(theirs,), name="simulate-calls", daemon=False)
        self._process.start()
        atexit.register(self._process.kill)  # before multiprocessing waits for it to end
        theirs.close()

    def tell(self, order: Order | None) -> None:
        """Hand it an order; None ends it."""
        try:
            self._ours.send(order)
        except OSError:  # it is gone, as `next` will say
            return

    async def next(self) -> Event | None:
        """What it sends next; None at the end of its order. Raises WorkerDied."""
        try:
            event: Event | None = await asyncio.to_thread(self._ours.recv)
        except (EOFError, OSError):
            await asyncio.to_thread(self._process.join)
            raise WorkerDied(f"the process ended with exit code {self._process.exitcode}") from None
        return event

    def kill(self, *, force: bool) -> None:
        """End it in the middle of its order."""
        (self._process.kill if force else self._process.terminate)()

    async def end(self) -> None:
        """End it between two orders, or take leave of one that was killed."""
        self.tell(None)
        await asyncio.to_thread(self._process.join)
        atexit.unregister(self._process.kill)
        self._ours.close()


def _work(orders: Connection[Any, Any]) -> None:
    """What the process does, until it is told to end or nobody is left to tell it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches whoever started us, and that one ends us
    stopping.listen()
    multiprocessing.set_start_method(None, force=True)  # ours is spawn; the agent's is what it is elsewhere
    os.dup2(2, 1)  # results alone go to standard output
    try:
        with masked_prints(sys.stderr):
            while (order := orders.recv()) is not None:
                for event in carry(order):
                    orders.send(event)
                orders.send(None)
    except (EOFError, BrokenPipeError, KeyboardInterrupt, asyncio.CancelledError):
        return
