"""One conversation with an agent, judged: the whole product in one function."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from simulate.conclude import conclude, read_caller
from simulate.conversation.engine import Engine
from simulate.evidence import gather
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.scoring.checks import check_all
from simulate.session import open_session
from simulate.tools import using
from simulate.user_code import cannot_exit


async def run_trial(spec: TrialSpec, resources: Resources, engine: Engine | None = None) -> Outcome:
    """Let caller and agent converse, gather what can be known of it, check what was expected, conclude.

    ``engine`` overrides the one of the scenario's agent. Whatever breaks on the way is in the outcome, with
    whose fault it is. Raises InputError only for what ``resources.prepare`` refuses, too."""
    with open_session(spec, resources, engine) as session, cannot_exit():
        with session.keeps_faults():
            async with resources.world(spec) as world:
                session.world = session.tools.world = world
                async with resources.toolbox(session) as toolbox:
                    with using(toolbox), resources.asked_from_outside(session, toolbox):
                        await session.engine.converse(session)
        evidence, verdicts = None, None
        with session.keeps_faults():
            evidence = await gather(session, resources)
            if session.fault is None:
                verdicts = await check_all(session.scenario.expect, evidence)
                # what a replay's caller says was recorded, and a replay asks the caller's model nothing
                reader = resources.judge if session.replayed else resources.caller_reader
                await read_caller(session, reader, verdicts)
    return conclude(session, evidence, verdicts)


async def run(
    scenario: Scenario | str | Path,
    agent: str | Callable[..., Any] | Engine | None = None,
    *,
    seed: int = 0,
    trial: int = 1,
) -> Outcome:
    """Let a scenario's caller talk with an agent, and judge what the agent did.

    Args:
        scenario: The scenario, or a YAML file that holds exactly one.
        agent: A callable, an address, a name of pyproject.toml or an engine, instead of the scenario's own.
        seed: What personas and callers are drawn from; the same seed gives the same caller.
        trial: The number of this trial, from 1.

    Returns:
        The outcome. Whatever breaks while the conversation runs is in it, with whose fault it is. Nothing is
        written to disk.

    Raises:
        InputError: The scenario, the agent's address or the configuration is wrong; nothing has run.
    """
    loaded = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    file = "" if isinstance(scenario, Scenario) else str(scenario)
    project = Project.find(Path(file).parent if file else Path.cwd())
    async with Resources(project, [loaded], agent=agent) as resources:
        spec = TrialSpec(loaded, file).numbered(trial, seed=seed)
        return await resources.in_its_time(loaded, lambda: run_trial(spec, resources))


def run_sync(
    scenario: Scenario | str | Path,
    agent: str | Callable[..., Any] | Engine | None = None,
    *,
    seed: int = 0,
    trial: int = 1,
) -> Outcome:
    """`run` for code without an event loop.

    >>> from simulate import Scenario, run_sync
    >>> hours = Scenario.model_validate(
    ...     {
    ...         "name": "Opening hours",
    ...         "script": [{"says": "When are you open?"}],
    ...         "expect": [{"said": {"contains": "nine"}}],
    ...     }
    ... )
    >>> run_sync(hours, lambda message: "We are open from nine to five.").status
    'passed'
    """
    return asyncio.run(run(scenario, agent, seed=seed, trial=trial))


class _Callable(types.ModuleType):
    """Python binds a submodule's name on its package, so ``from simulate import run`` may give this module
    instead of its function; called, it is that function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Outcome]:
        return run(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
