"""The leading process: starts Ray or joins it, hands out trials, takes in outcomes."""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from simulate.conversation.voice.seats import calls_at_once
from simulate.errors import EnvironmentFault, InputError, MissingExtra
from simulate.fan_out.fan_out import FanOut
from simulate.fan_out.worker import Event, Tape, carry
from simulate.integrations.ray.no_lookups import no_cloud_is_asked
from simulate.model.agent_address import scheme_of
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.suite import Suite

OWN = "local"
"""Ray's word for a Ray that is started for us, on this machine."""
TEXT_CPUS = 0.25
"""What a conversation by text takes of a machine: it waits most of the time."""
EXCLUDED = [".simulate", ".venv", ".git"]
"""Of a project's folder, beside what its .gitignore names: never sent to another machine."""


class RayFanOut(FanOut[Any]):
    """Has a suite's conversations on Ray. ``address`` is ``host:port``, ``auto`` or ``local``; left empty,
    ``RAY_ADDRESS`` says it, and where that is not set either, a Ray of the run's own is started here."""

    name = "on Ray"
    hint = "its other trials go on in another worker; to see it end, run this one without --ray"

    def __init__(
        self,
        resources: Resources,
        address: str = "",
        *,
        jobs: int,
        virtual: bool = False,
        tape: Tape | None = None,
    ) -> None:
        super().__init__(resources, jobs=jobs, virtual=virtual, tape=tape)
        self.address = address or os.environ.get("RAY_ADDRESS") or OWN
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
        self.broken: type[Exception] = self._ray.exceptions.RayError

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

    def at_once(self, trials: Sequence[TrialSpec]) -> int:
        cpus = self._ray.cluster_resources().get("CPU", 1.0)
        least = min((self._cpus(trial) for trial in trials), default=1.0)
        return min(self.jobs, int(cpus / least))

    def start(self, suite: Suite, trials: Sequence[TrialSpec]) -> Any:
        """Returns the stream of the worker's events."""
        where: dict[str, Any] = {"scratch": self._temporary}
        if not self.own:
            here = Path.cwd()
            where |= {
                "file": os.path.relpath(Path(trials[0].file).resolve(), here.resolve()),
                "cwd": None,
                "below": os.path.relpath(here, self.resources.project.root),
                "logs": None,
            }
        options = self._task.options(num_cpus=self._cpus(trials[0]))
        return options.remote(self.order(suite, trials, **where))

    async def events(self, under_way: Any) -> AsyncIterator[Event]:
        async for sent in under_way:
            yield await sent

    def _cpus(self, loaded: TrialSpec) -> float:
        """What a conversation takes of a machine; a call as much as without Ray, if any machine has that."""
        if loaded.scenario.medium == "text":
            return TEXT_CPUS
        calls = int(os.environ.get("SIMULATE_CALLS") or 0) or calls_at_once()
        largest = max(node["Resources"].get("CPU", 1.0) for node in self._ray.nodes() if node["Alive"])
        return min((os.cpu_count() or 1) / calls, largest)

    def cancel(self, under_way: Any, *, force: bool = False) -> None:
        self._ray.cancel(under_way, force=force)

    def reason(self, error: Exception) -> tuple[str, bool]:
        kinds = self._ray.exceptions
        text = str(getattr(error, "cause", None) or error).strip() or "no reason given"
        same = isinstance(error, kinds.RayTaskError | kinds.RuntimeEnvSetupError)
        return f"{type(error).__name__}: {text}", same

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
