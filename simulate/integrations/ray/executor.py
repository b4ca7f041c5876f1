"""The leading process: starts Ray or joins it, hands out trials, takes in outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from simulate.conversation.own_process import NoEngine
from simulate.conversation.voice.seats import calls_at_once
from simulate.errors import EnvironmentFault, InputError, MissingExtra
from simulate.integrations.ray.no_lookups import no_cloud_is_asked
from simulate.integrations.ray.worker import Began, Closed, Ended, Event, Order, Rejected, Tape, carry
from simulate.model.agent_address import scheme_of
from simulate.model.outcome_json import outcome_from_json
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.suite import Progress, Suite

OWN = "local"
"""Ray's word for a Ray that is started for us, on this machine."""
TEXT_CPUS = 0.25
"""What a conversation by text takes of a machine: it waits most of the time."""
MOST_TRIALS = 16
"""Trials of one task: few enough that the last one to end is not waited for long."""
HINT = "its other trials go on in another worker; to see it end, run this one without --ray"
PATIENCE = 10.0
"""Seconds for cancelled conversations to hang up and for their agents to be stopped."""
EXCLUDED = [".simulate", ".venv", ".git"]
"""Of a project's folder, beside what its .gitignore names: never sent to another machine."""


class RayFanOut:
    """Has a suite's conversations on Ray. ``address`` is ``host:port``, ``auto`` or ``local``; left empty,
    ``RAY_ADDRESS`` says it, and where that is not set either, a Ray of the run's own is started here."""

    def __init__(
        self,
        resources: Resources,
        address: str = "",
        *,
        jobs: int,
        virtual: bool = False,
        tape: Tape | None = None,
    ) -> None:
        self.resources = resources
        self.address = address or os.environ.get("RAY_ADDRESS") or OWN
        self.jobs = jobs
        self.virtual = virtual
        self.tape = tape
        self.notes: list[str] = []
        self._temporary: str | None = None
        self._check_address()
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # what an agent prints twice was printed twice
        if self.own:
            # Ray's own switch for staying on the loopback, read when it is imported
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            if "RAY_AUTH_MODE" not in os.environ:
                # a token of this run's own, where Ray would leave one in the home folder
                os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError:
            raise MissingExtra("Ray", "ray") from None

    @property
    def own(self) -> bool:
        """Whether the Ray is started for this run, on this machine."""
        return self.address == OWN

    def check(self, scenarios: Sequence[TrialSpec]) -> None:
        """Refuse, before anything runs, what would come out otherwise than without Ray."""
        if self.tape is not None and not self.own:
            raise InputError(
                "cassettes are kept on this machine, and a cluster's workers may be elsewhere",
                hint="with --record or --replay, give --ray without ADDRESS",
            )
        for each in scenarios:
            self._check_agent(each)
            if not self.own and not Path(each.file).resolve().is_relative_to(
                self.resources.project.root.resolve()
            ):
                raise InputError(
                    f"outside of {self.resources.project.root}, the folder that workers get a copy of",
                    where=each.file,
                )

    def _check_agent(self, loaded: TrialSpec) -> None:
        """An agent outside is each worker's own: one that all shared would send its spans to one of them."""
        scenario = loaded.scenario
        if not self.resources.outside(scenario):
            return
        named = str(self.resources.agent if self.resources.agent is not None else scenario.agent)
        config = self.resources.project.agent(named)
        if scheme_of(config.address) == "livekit" and (config.command or config.address.endswith(".py")):
            return
        if not config.command or "{port}" not in config.address + config.command:
            raise InputError(
                f"with --ray each worker starts an agent of its own, and {named} cannot be started twice",
                where=loaded.source,
                hint="give it a `command` and a {port} in [tool.simulate.agents], or leave it out with -k",
            )

    async def __aenter__(self) -> RayFanOut:
        """Start Ray, or join it."""
        before = signal.getsignal(signal.SIGTERM)
        options: dict[str, Any] = {"address": self.address, "logging_level": logging.ERROR}
        if self.own:
            # short, for the sockets in it; removed at the end, for what agents print is in it
            self._temporary = tempfile.mkdtemp(
                prefix="simulate-ray-", dir="/tmp" if os.name == "posix" else None
            )
            options |= {"include_dashboard": False, "_temp_dir": self._temporary}
        else:
            # a job that was submitted with a folder has that one already, and may be given ours in its place
            os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
            working_dir = {"working_dir": str(self.resources.project.root), "excludes": EXCLUDED}
            options |= {"runtime_env": working_dir}
        try:
            with nullcontext() if self._temporary is None else no_cloud_is_asked(self._temporary):
                self._ray.init(**options)
        except Exception as error:
            self._close()
            what = "start Ray" if self.own else f"join Ray at {self.address}"
            raise EnvironmentFault(f"cannot {what}: {type(error).__name__}: {error}") from error
        finally:
            signal.signal(signal.SIGTERM, before)  # Ray's own would end us without a word
        self._task = self._ray.remote(num_returns="streaming", max_retries=0)(carry)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._ray.shutdown()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    async def carry(self, suite: Suite, trials: Sequence[TrialSpec], progress: Progress) -> None:
        """Have all these conversations, ``jobs`` tasks at once. Cancelled, it keeps what had finished."""
        chunks = self._chunks(trials)
        waiting = iter(chunks)

        async def work() -> None:
            for chunk in waiting:
                await _Task(self, suite, progress, chunk).run()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.jobs, len(chunks))):
                group.create_task(work())

    def _chunks(self, trials: Sequence[TrialSpec]) -> list[list[TrialSpec]]:
        cpus = self._ray.cluster_resources().get("CPU", 1.0)
        least = min((self._cpus(trial) for trial in trials), default=1.0)
        at_once = max(1, min(self.jobs, int(cpus / least)))
        size = min(MOST_TRIALS, math.ceil(len(trials) / at_once))
        chunks: list[list[TrialSpec]] = []
        for trial in trials:
            if not chunks or chunks[-1][0].id != trial.id or len(chunks[-1]) == size:
                chunks.append([])
            chunks[-1].append(trial)
        return chunks

    def start(self, suite: Suite, trials: Sequence[TrialSpec]) -> Any:
        """Hand the trials of one scenario to a worker; returns the stream of its events."""
        loaded = trials[0]
        root = self.resources.project.root
        here = Path.cwd()
        agent = self.resources.agent
        order = Order(
            file=loaded.file if self.own else os.path.relpath(Path(loaded.file).resolve(), here.resolve()),
            id=loaded.id,
            case=loaded.case,
            name=loaded.scenario.name,
            digest=loaded.digest,
            trials=tuple(trial.trial for trial in trials),
            cwd=str(here) if self.own else None,
            below="." if self.own else os.path.relpath(here, root),
            agent=None if agent is None else str(agent),
            seed=suite.seed,
            run_id=suite.folder.path.name,
            scratch=self._temporary,
            logs=str(suite.folder.path.absolute() / "logs" / trials[0].name) if self.own else None,
            real_time=self.resources.real_time,
            virtual=self.virtual,
            tags=self.resources.tags,
            tape=self.tape,
        )
        return self._task.options(num_cpus=self._cpus(loaded)).remote(order)

    def _cpus(self, loaded: TrialSpec) -> float:
        """What a conversation takes of a machine; a call as much as without Ray, if any machine has that."""
        if loaded.scenario.medium == "text":
            return TEXT_CPUS
        calls = int(os.environ.get("SIMULATE_CALLS") or 0) or calls_at_once()
        largest = max(node["Resources"].get("CPU", 1.0) for node in self._ray.nodes() if node["Alive"])
        return min((os.cpu_count() or 1) / calls, largest)

    def cancel(self, stream: Any, *, force: bool = False) -> None:
        """End a task: first as Ctrl-C does, then with its process."""
        self._ray.cancel(stream, force=force)

    def reason(self, error: Exception) -> tuple[str, bool]:
        """What Ray says of a task that broke, and whether its other trials would break in the same way."""
        kinds = self._ray.exceptions
        text = str(getattr(error, "cause", None) or error).strip() or "no reason given"
        same = isinstance(error, kinds.RayTaskError | kinds.RuntimeEnvSetupError)
        return f"{type(error).__name__}: {text}", same

    @property
    def broken(self) -> type[Exception]:
        """What Ray raises where a task did not end."""
        error: type[Exception] = self._ray.exceptions.RayError
        return error

    def _check_address(self) -> None:
        """Refuse what is not an address, and an address where nobody listens."""
        if self.address in (OWN, "auto"):
            return
        host, _, port = self.address.rpartition(":")
        if "://" in self.address:
            raise InputError(
                f"--ray {self.address}: outcomes cannot be streamed to a client outside of the cluster",
                hint="run on one of its machines, with host:port or auto; `ray job submit` brings you there",
            )
        if not host or not port.isdigit():
            raise InputError(
                f"--ray {self.address}: this is not an address of a Ray cluster",
                hint="host:port, auto or local; write PATHs before --ray, or --ray=ADDRESS",
            )
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"--ray {self.address}: nobody answers there ({error})") from error


class _Task:
    """Some trials of one scenario; where a worker dies, the rest of them in another one."""

    def __init__(self, ray: RayFanOut, suite: Suite, progress: Progress, trials: Sequence[TrialSpec]) -> None:
        self.ray = ray
        self.suite = suite
        self.progress = progress
        self.left = {trial.name: trial for trial in trials}

    async def run(self) -> None:
        """Until each trial has an outcome."""
        while self.left:
            stream = self.ray.start(self.suite, list(self.left.values()))
            listening = asyncio.create_task(self._listen(stream))
            try:
                # what a worker has sent is kept also where we are cancelled
                await asyncio.shield(listening)
            except self.ray.broken as error:
                await self._lose(*self.ray.reason(error))
            except asyncio.CancelledError:
                await self._cancel(stream, listening)
                raise

    async def _listen(self, stream: Any) -> None:
        async for sent in stream:
            event: Event = await sent
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
                    self.ray.notes += [note for note in event.notes if note not in self.ray.notes]
                case Rejected():
                    await self._lose(f"the worker cannot run it: {event.why}", all_of_them=True)

    async def _lose(self, why: str, all_of_them: bool) -> None:
        """The trial that was under way has no outcome but this; the others of the task go on in another."""
        lost = list(self.left.values())[: None if all_of_them else 1]
        for trial in lost:
            scenario = trial.scenario
            agent = self.suite.resources.agent if self.suite.resources.agent is not None else scenario.agent
            fault = EnvironmentFault(f"on Ray: {why}", hint=None if all_of_them else HINT)
            engine = NoEngine(str(agent), fault)
            outcome = await self.suite.one(trial, engine)
            del self.left[trial.name]
            self.progress.finished(outcome)

    async def _cancel(self, stream: Any, listening: asyncio.Task[None]) -> None:
        self.ray.cancel(stream)
        await asyncio.wait({listening}, timeout=PATIENCE)
        if not listening.done():
            self.ray.cancel(stream, force=True)
            listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, self.ray.broken):
            await listening
