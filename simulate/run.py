"""One conversation with an agent, judged: the whole product in one function."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import secrets
import sys
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate import determinism
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.callers import make_caller
from simulate.conversation.engine import Engine, Exchange
from simulate.determinism.clock import current_loop
from simulate.errors import Fault
from simulate.evidence import conclude, gather, ours, usage_so_far, uses_so_far
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.persona import Persona
from simulate.model.persona_details import fill
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.resources import Resources
from simulate.scoring.checks import check_all
from simulate.tools import Toolbox, using
from simulate.trace.capture import Capture, Captured
from simulate.trace.capture.simulator_tracing import OwnTrace, collecting
from simulate.trace.root import root_span_id
from simulate.trace.span import Link

if TYPE_CHECKING:
    from simulate.llm import Model
    from simulate.scoring.judge import Judge


IN_VIRTUAL_TIME = "kept in virtual time: waiting took none, and what the agent computes counts as no time"


@dataclass(slots=True)
class Plan:
    """One trial of one scenario: all that ``run_plan`` is told, and nothing that it finds out."""

    scenario: Scenario
    engine: Engine
    capture: Capture
    seed: int = 0
    case: str | None = None
    trial: int = 1
    source: str | None = None
    root: Path | None = None
    """Paths in the scenario are relative to it."""
    folder: Path | None = None
    """Where a recording goes while the call lasts."""
    caller_model: Model | None = None
    judge: Judge | None = None
    recordings: Callable[[Plan, Outcome, PinnedTools], AbstractAsyncContextManager[Toolbox]] | None = None
    """Records the agent's model and tool calls around the conversation, or answers them from a cassette."""
    said: Sequence[dict[str, Any]] = ()
    """A recorded conversation: its caller is heard again, as long as the agent stays on that path."""
    heard: Callable[[Utterance], None] = lambda utterance: None


async def run_plan(plan: Plan) -> Outcome:
    """Pin, open the capture, let caller and agent converse, flush, check, conclude."""
    pinned = _pins(plan)
    outcome = _begin(plan, pinned)
    tools = PinnedTools(plan.scenario.tools)
    fault: Fault | None = None
    with (
        ours(outcome),
        determinism.pinned(pinned),
        collecting(_own_trace(outcome, plan.capture.run_id)),
        plan.capture.open(outcome.conversation.id) as captured,
    ):
        exchange = _exchange(plan, outcome, tools, captured)
        try:
            async with _recordings(plan, outcome, tools) as toolbox:
                with using(toolbox):
                    await plan.engine.converse(exchange)
            fault = tools.fault
        except Fault as error:
            fault = error
        outside = plan.engine.outside
        evidence = await gather(plan.scenario, exchange, outcome, captured, outside=outside, fault=fault)
        evidence.judge, evidence.folder = plan.judge, plan.root
        if fault is None:
            outcome.verdicts += await check_all(plan.scenario.expect, evidence)
        conclude(outcome, evidence, fault)
    return outcome


def _own_trace(outcome: Outcome, run_id: str) -> OwnTrace:
    """Where the caller's and the judge's calls go: never into the trace that the agent is judged by."""
    conversation = outcome.conversation.id
    link = Link(conversation, root_span_id(conversation))
    attributes = {"simulate.conversation.id": conversation, "simulate.run.id": run_id}
    return OwnTrace(f"{secrets.randbits(128) or 1:032x}", link, attributes, outcome.own_spans)


def _pins(plan: Plan) -> determinism.RunContext:
    seed = determinism.derive_seed(plan.seed, plan.scenario.name, plan.case, plan.trial)
    return determinism.RunContext(random=random.Random(seed))


def _begin(plan: Plan, pinned: determinism.RunContext) -> Outcome:
    scenario = plan.scenario
    conversation = Conversation(pinned.trace_id(), scenario.medium, started_ns=pinned.clock.time_ns())
    return Outcome(
        scenario=scenario.name,
        agent=plan.engine.address,
        status="not_run",
        conversation=conversation,
        case=plan.case,
        trial=plan.trial,
        persona=_person(plan).model_dump(mode="json", exclude_defaults=True),
        seed=plan.seed,
        tags=list(scenario.tags),
        source=plan.source,
        started=datetime.fromtimestamp(conversation.started_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
        trace_id=conversation.id,
        notes=[IN_VIRTUAL_TIME] if current_loop() is not None else [],
    )


def _person(plan: Plan) -> Persona:
    """The persona as it is played, the same in every trial: what varies among trials is the agent."""
    persona = plan.scenario.persona
    return _filled((persona if isinstance(persona, Persona) else Persona()).model_dump_json(), plan.seed)


@functools.lru_cache(1024)
def _filled(persona: str, seed: int) -> Persona:
    """Faker is asked once for all trials of a scenario, and they share what it made."""
    return fill(Persona.model_validate_json(persona), seed)


def _exchange(plan: Plan, outcome: Outcome, tools: PinnedTools, captured: Captured) -> Exchange:
    # what an agent elsewhere calls shows too late to tell its path by: its words do
    said = [one for one in plan.said if "text" in one or not plan.engine.outside]
    caller = make_caller(
        plan.scenario,
        _person(plan),
        model=plan.caller_model,
        uses=(lambda: ()) if said and plan.engine.outside else (lambda: uses_so_far(tools, captured)),
        recorded=said,
        same=_same(plan.judge),
    )
    return Exchange(
        scenario=plan.scenario,
        caller=caller,
        conversation=outcome.conversation,
        tools=tools,
        headers=captured.headers,
        environment=captured.environment,
        usage=lambda: usage_so_far(captured),
        heard=plan.heard,
        folder=None if plan.folder is None else str(plan.folder),
        seed=plan.seed,
    )


def _same(judge: Judge | None) -> Callable[[str, str], Awaitable[bool]] | None:
    """Whether two answers mean the same, where there is a judge to ask."""
    if judge is None:
        return None

    async def same(then: str, now: str) -> bool:
        return (await judge.means(then, [Utterance("agent", now, 0, 0.0, 0.0)])).label == "yes"

    return same


@contextlib.asynccontextmanager
async def _recordings(plan: Plan, outcome: Outcome, tools: PinnedTools) -> AsyncGenerator[Toolbox, None]:
    if plan.recordings is None:
        yield tools
        return
    async with plan.recordings(plan, outcome, tools) as toolbox:
        yield toolbox


async def run(
    scenario: Scenario | str | Path,
    agent: str | Callable[..., Any] | None = None,
    *,
    seed: int = 0,
    trial: int = 1,
) -> Outcome:
    """Let a scenario's caller talk with an agent, and judge it.

    ``scenario`` may be a file that holds one; ``agent`` is a callable, an address or a name of
    pyproject.toml, and overrides the scenario's own. Nothing is written to disk. Raises InputError for what
    can be known before."""
    source = None if isinstance(scenario, Scenario) else str(scenario)
    loaded = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    project = Project.find(Path.cwd() if source is None else Path(source).parent)
    async with Resources(project, [loaded], agent=agent) as stage:
        plan = Plan(
            loaded,
            stage.engine(loaded),
            stage.capture,
            seed=seed if loaded.seed is None else loaded.seed,
            trial=trial,
            source=source,
            root=None if source is None else Path(source).parent,
            caller_model=stage.caller_model,
            judge=stage.judge,
        )
        return await stage.in_its_time(loaded, lambda: run_plan(plan))


def run_sync(
    scenario: Scenario | str | Path,
    agent: str | Callable[..., Any] | None = None,
    *,
    seed: int = 0,
    trial: int = 1,
) -> Outcome:
    """The same, where no event loop runs."""
    return asyncio.run(run(scenario, agent, seed=seed, trial=trial))


class _Callable(types.ModuleType):
    """Python binds a submodule's name on its package, so ``from simulate import run`` may give this module
    instead of its function; called, it is that function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Outcome]:
        return run(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
