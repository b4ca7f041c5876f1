"""The service's side: a client brings the agent, and our callers and checks are played to it.

Names and shapes are those that Future AGI's published client sends and reads. A run test is a scenario, a
tag, a file or a folder of the project; an execution is a run of it, with a folder like every run's.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulate.cloud_protocol.client_agent import ClientAgent, ClientAnswer
from simulate.cloud_protocol.execution import Execution, RunningCall
from simulate.cloud_protocol.metrics import call_metrics, execution_metrics
from simulate.conversation.cloud_engine import CloudEngine
from simulate.errors import AgentFault, EnvironmentFault, InputError
from simulate.model.loading.project import Project
from simulate.model.shapes import list_of, object_of
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run_folder import RunFolder
from simulate.scenario_files import load_scenarios
from simulate.suite import Suite

BATCH = 10
"""Calls that a client is given at once."""
FORGOTTEN = 600.0
"""Seconds after which a client that says nothing more is gone."""
KEPT = 200
"""Executions that are over whose metrics can still be asked for; their runs stay on disk."""
RUNS_AT_ONCE = 20
"""Executions that may go on beside each other."""


class NotThere(InputError):
    """No such run test, execution or call."""


class CloudService:
    """Plays the scenarios of one project to clients that bring an agent."""

    def __init__(self, project: Project, runs: Path | None = None) -> None:
        self.project = project
        self.ended: Callable[[Path], Awaitable[None]] | None = None
        """Told the folder of each run that has ended."""
        self._runs = runs or project.root / ".simulate" / "runs"
        self._names: dict[str, str] = {}
        self._executions: dict[str, Execution] = {}
        self._by_call: dict[str, Execution] = {}

    def run_test(self, name: str) -> str:
        """The id of a run test, the same for the same name. Raises NotThere where no scenario is meant."""
        if not self._specs(name):
            raise NotThere(
                f"no scenario, tag, file or folder of this project is called {name!r}",
                hint="`simulate check` lists the scenarios",
            )
        made = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
        self._names[made] = name
        return made

    async def execute(self, run_test: str) -> str:
        """Begin a run; the client then asks for its calls."""
        name = self._name_of(run_test)
        specs = self._specs(name)
        await self._forget()
        if sum(not each.closed for each in self._executions.values()) >= RUNS_AT_ONCE:
            raise EnvironmentFault(f"{RUNS_AT_ONCE} runs go on already", hint="wait until one of them ends")
        stand_in = CloudEngine(ClientAgent())
        stand_in.outside = False  # its traces go where the client sends them, not to a receiver of the run's
        resources = Resources(self.project, [spec.scenario for spec in specs], agent=stand_in)
        for spec in specs:
            stand_in.prepare(spec.scenario)
        folder = RunFolder.create(
            self._runs / f"{time.strftime('%Y%m%d-%H%M%S')}-cloud-{secrets.token_hex(2)}"
        )
        suite = Suite(folder, resources, command=["serve", name])
        trials = [trial for spec in specs for trial in suite.trials_of(spec)]
        record = await suite.open()
        record.planned = len(trials)
        execution = Execution(str(uuid.uuid4()), name, suite, record, trials)
        self._executions[execution.id] = execution
        return execution.id

    def batch(self, execution_id: str) -> tuple[list[str], bool, list[str]]:
        """The next calls: their ids, whether there are more, and the scenarios that they are of."""
        execution = self._execution(execution_id)
        given, execution.waiting = execution.waiting[:BATCH], execution.waiting[BATCH:]
        made = [RunningCall(str(uuid.uuid4()), spec, ClientAgent()) for spec in given]
        for call in made:
            execution.calls[call.id] = call
            self._by_call[call.id] = execution
        return [call.id for call in made], bool(execution.waiting), [call.spec.scenario.name for call in made]

    async def begin(self, call_id: str) -> dict[str, Any]:
        """The caller's first line."""
        execution, call = self._call(call_id)
        if call.task is None:
            engine = CloudEngine(call.agent)
            call.status = "ongoing"
            call.task = asyncio.create_task(execution.suite.one(call.spec, engine))
            return await self._said(execution, call)
        raise InputError(f"the call {call_id} has begun already")

    async def answer(
        self, call_id: str, messages: Sequence[Any], metrics: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The caller's next line, to what the client's agent answered."""
        execution, call = self._call(call_id)
        if call.task is None:
            raise InputError(f"the call {call_id} has not begun", hint="send initiate_chat: true first")
        told = ClientAnswer.of(list_of(messages))
        latency = object_of(metrics).get("latency")
        if isinstance(latency, (int, float)) and not isinstance(latency, bool):
            call.latencies.append(float(latency))
        if call.status == "ongoing":
            call.history.append({"role": "user", "content": told.text})
            call.agent.answer(told)
        return await self._said(execution, call)

    async def end(self, call_id: str, status: str, reason: str | None) -> None:
        """The client gives up a call."""
        execution, call = self._call(call_id)
        if call.status != "ongoing" or call.task is None:
            return
        told = f"the client ended the call ({status}): {reason or 'no reason given'}"
        # the published client says "completed" of an agent that broke after its first turn
        call.agent.answer(EnvironmentFault(told) if "cancel" in status.lower() else AgentFault(told))
        await self._ended(execution, call)

    def metrics(
        self, *, execution: str | None = None, call: str | None = None, run_test: str | None = None
    ) -> list[dict[str, Any]]:
        """What was measured: of one call, one execution, or each execution of a run test, newest first."""
        if call is not None:
            _, found = self._call(call)
            return [call_metrics(found)]
        if execution is not None:
            return [execution_metrics(self._execution(execution))]
        named = [each for each in self._executions.values() if each.test == run_test]
        return [execution_metrics(each) for each in reversed(named)]

    async def aclose(self) -> None:
        """End what goes on: calls whose client never came back are errors, and were not judged."""
        for execution in list(self._executions.values()):
            await self._abandon(execution)

    # -- one call ----------------------------------------------------------------------------------------

    async def _said(self, execution: Execution, call: RunningCall) -> dict[str, Any]:
        """What the caller says next, or that the chat has ended."""
        line: str | None = None
        if call.task is not None and not call.task.done():
            waiting = asyncio.ensure_future(call.agent.lines.get())
            await asyncio.wait({waiting, call.task}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                line = waiting.result()
            else:
                waiting.cancel()
        execution.heard = time.monotonic()
        if line is None and not call.agent.lines.empty():
            line = call.agent.lines.get_nowait()  # the caller's last words, said while it hung up
        if line is None:
            await self._ended(execution, call)
            return self._told(call, None)
        call.history.append({"role": "assistant", "content": line})
        return self._told(call, line)

    def _told(self, call: RunningCall, line: str | None) -> dict[str, Any]:
        output = None if line is None else {"role": "assistant", "content": line}
        return {
            "message_history": list(call.history),
            "output_message": output,
            "chat_ended": line is None,
        }

    async def _ended(self, execution: Execution, call: RunningCall) -> None:
        if call.task is None or call.outcome is not None:
            return
        call.outcome = await call.task
        call.outcome.trace, call.outcome.own_spans = None, []  # they are on disk
        call.status = "failed" if call.outcome.status == "error" else "completed"
        if not execution.waiting and all(each.outcome is not None for each in execution.calls.values()):
            await self._close(execution)

    # -- what goes on ------------------------------------------------------------------------------------

    async def _close(self, execution: Execution, *, whole: bool = True) -> None:
        if not execution.closed:
            execution.closed = True
            await execution.suite.close(execution.record, whole=whole)
            if self.ended is not None:
                await self.ended(execution.suite.folder.path)

    async def _forget(self) -> None:
        """Give up the runs whose client has gone, and forget the oldest that are over."""
        now = time.monotonic()
        for execution in list(self._executions.values()):
            if not execution.closed and now - execution.heard > FORGOTTEN:
                await self._abandon(execution)
        over = [each for each in self._executions.values() if each.closed]
        for execution in over[: max(0, len(over) - KEPT)]:
            del self._executions[execution.id]
            for call in execution.calls:
                del self._by_call[call]

    async def _abandon(self, execution: Execution) -> None:
        for call in execution.calls.values():
            if call.task is not None and call.outcome is None:
                call.agent.answer(EnvironmentFault("the client of this call did not come back"))
                with contextlib.suppress(Exception):
                    await self._ended(execution, call)
        await self._close(execution, whole=False)

    def _specs(self, name: str) -> list[TrialSpec]:
        """The scenarios that a name means: one of that name, those with that tag, or a file or folder."""
        every = load_scenarios(self.project.scenarios, agents=self.project.agents)
        found = [spec for spec in every if spec.scenario.name == name]
        found = found or [spec for spec in every if name in spec.scenario.tags]
        if found:
            return found
        root, wanted = self.project.root.resolve(), (self.project.root / name).resolve()
        if not wanted.is_relative_to(root):
            return []
        return [spec for spec in every if Path(spec.file).resolve().is_relative_to(wanted)]

    def _name_of(self, run_test: str) -> str:
        if run_test in self._names:
            return self._names[run_test]
        for spec in load_scenarios(self.project.scenarios, agents=self.project.agents):
            for name in (spec.scenario.name, *spec.scenario.tags):
                if str(uuid.uuid5(uuid.NAMESPACE_URL, name)) == run_test:
                    return name
        raise NotThere(f"there is no run test {run_test}")

    def _execution(self, execution_id: str) -> Execution:
        found = self._executions.get(execution_id)
        if found is None:
            raise NotThere(f"there is no execution {execution_id}")
        found.heard = time.monotonic()
        return found

    def _call(self, call_id: str) -> tuple[Execution, RunningCall]:
        execution = self._by_call.get(call_id)
        if execution is None:
            raise NotThere(f"there is no call {call_id}")
        execution.heard = time.monotonic()
        return execution, execution.calls[call_id]
