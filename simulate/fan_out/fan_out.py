"""A suite's conversations in other processes: hands out trials, takes in outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from simulate.conversation.own_process import NoEngine
from simulate.errors import EnvironmentFault
from simulate.fan_out.worker import Began, Closed, Ended, Event, Order, Rejected, Tape
from simulate.model.outcome_json import outcome_from_json
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.suite import Progress, Suite

MOST_TRIALS = 16
"""Trials of one order: few enough that the last one to end is not waited for long."""
PATIENCE = 10.0
"""Seconds for cancelled conversations to hang up and for their agents to be stopped."""

T = TypeVar("T")


class FanOut(ABC, Generic[T]):
    """Has a suite's conversations in workers; ``T`` is what stands for an order under way."""

    name: str
    """Where the workers are, as in "on Ray"."""
    hint: str
    """What to do where a worker dies."""
    broken: type[Exception]
    """What is raised where a worker did not carry out its order."""

    def __init__(self, resources: Resources, *, jobs: int, virtual: bool, tape: Tape | None) -> None:
        self.resources = resources
        self.jobs = jobs
        self.virtual = virtual
        self.tape = tape
        self.notes: list[str] = []

    @abstractmethod
    async def __aenter__(self) -> FanOut[T]: ...

    @abstractmethod
    async def __aexit__(self, *_: object) -> None: ...

    @abstractmethod
    def start(self, suite: Suite, trials: Sequence[TrialSpec]) -> T:
        """Hand the trials of one scenario to a worker."""

    @abstractmethod
    def events(self, under_way: T) -> AsyncIterator[Event]:
        """What the worker sends, to the end of the order. Raises ``broken``."""

    @abstractmethod
    def cancel(self, under_way: T, *, force: bool = False) -> None:
        """End an order: first as Ctrl-C does, then with its process."""

    @abstractmethod
    def reason(self, error: Exception) -> tuple[str, bool]:
        """What is said of an order that broke, and whether its other trials would break in the same way."""

    @abstractmethod
    def at_once(self, trials: Sequence[TrialSpec]) -> int:
        """How many orders are carried out at the same time."""

    def order(self, suite: Suite, trials: Sequence[TrialSpec], **where: Any) -> Order:
        """What a worker of this machine is told; ``where`` says what is otherwise elsewhere."""
        loaded = trials[0]
        agent = self.resources.agent
        here: dict[str, Any] = {
            "file": loaded.file,
            "cwd": str(Path.cwd()),
            "below": ".",
            "scratch": None,
            "logs": str(suite.folder.path.absolute() / "logs" / loaded.name),
        }
        return Order(
            id=loaded.id,
            case=loaded.case,
            name=loaded.scenario.name,
            digest=loaded.digest,
            trials=tuple(trial.trial for trial in trials),
            agent=None if agent is None else str(agent),
            seed=suite.seed,
            run_id=suite.folder.path.name,
            real_time=self.resources.real_time,
            virtual=self.virtual,
            tags=self.resources.tags,
            tape=self.tape,
            **(here | where),
        )

    async def carry(self, suite: Suite, trials: Sequence[TrialSpec], progress: Progress) -> None:
        """Have all these conversations, ``jobs`` orders at once. Cancelled, it keeps what had finished."""
        chunks = self._chunks(trials)
        waiting = iter(chunks)

        async def work() -> None:
            for chunk in waiting:
                await _UnderWay(self, suite, progress, chunk).run()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.jobs, len(chunks))):
                group.create_task(work())

    def _chunks(self, trials: Sequence[TrialSpec]) -> list[list[TrialSpec]]:
        size = min(MOST_TRIALS, math.ceil(len(trials) / max(1, self.at_once(trials))))
        chunks: list[list[TrialSpec]] = []
        for trial in trials:
            if not chunks or chunks[-1][0].id != trial.id or len(chunks[-1]) == size:
                chunks.append([])
            chunks[-1].append(trial)
        return chunks


class _UnderWay(Generic[T]):
    """Some trials of one scenario; where a worker dies, the rest of them in another one."""

    def __init__(
        self, fan_out: FanOut[T], suite: Suite, progress: Progress, trials: Sequence[TrialSpec]
    ) -> None:
        self.fan_out = fan_out
        self.suite = suite
        self.progress = progress
        self.left = {trial.name: trial for trial in trials}

    async def run(self) -> None:
        """Until each trial has an outcome."""
        while self.left:
            under_way = self.fan_out.start(self.suite, list(self.left.values()))
            listening = asyncio.create_task(self._listen(under_way))
            try:
                # what a worker has sent is kept also where we are cancelled
                await asyncio.shield(listening)
            except self.fan_out.broken as error:
                await self._lose(*self.fan_out.reason(error))
            except asyncio.CancelledError:
                await self._cancel(under_way, listening)
                raise

    async def _listen(self, under_way: T) -> None:
        async for event in self.fan_out.events(under_way):
            match event:
                case Began():
                    self.progress.started(event.trial)
                case Ended():
                    trial = self.left[event.trial]
                    outcome = outcome_from_json(event.outcome, where=trial.name)
                    outcome.source = trial.source
                    await self.suite.keep(trial, outcome, event.files)
                    del self.left[event.trial]
                    self.progress.finished(outcome)
                case Closed():
                    self.fan_out.notes += [note for note in event.notes if note not in self.fan_out.notes]
                case Rejected():
                    await self._lose(f"the worker cannot run it: {event.why}", all_of_them=True)

    async def _lose(self, why: str, all_of_them: bool) -> None:
        """The trial that was under way has no outcome but this; the others of the order go on in another
        worker."""
        lost = list(self.left.values())[: None if all_of_them else 1]
        for trial in lost:
            scenario = trial.scenario
            agent = self.suite.resources.agent if self.suite.resources.agent is not None else scenario.agent
            hint = None if all_of_them else self.fan_out.hint
            fault = EnvironmentFault(f"{self.fan_out.name}: {why}", hint=hint)
            outcome = await self.suite.one(trial, NoEngine(str(agent), fault))
            del self.left[trial.name]
            self.progress.finished(outcome)

    async def _cancel(self, under_way: T, listening: asyncio.Task[None]) -> None:
        self.fan_out.cancel(under_way)
        await asyncio.wait({listening}, timeout=PATIENCE)
        if not listening.done():
            self.fan_out.cancel(under_way, force=True)
            listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, self.fan_out.broken):
            await listening
