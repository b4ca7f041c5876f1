"""Running one scenario from Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulate.model.outcome import Outcome
from simulate.model.project import Project
from simulate.model.scenario import Scenario
from simulate.run import Plan, run_plan
from simulate.stage import Stage


async def run(
    scenario: Scenario | str | Path,
    agent: str | Callable[..., Any] | None = None,
    *,
    seed: int = 0,
    trial: int = 1,
) -> Outcome:
    """Let a scenario's caller talk with an agent, and judge it.

    ``scenario`` may be a file that holds one; ``agent`` is a callable, an address or a name of pyproject.toml,
    and overrides the scenario's own. Nothing is written to disk. Raises InputError for what can be known
    before."""
    source = None if isinstance(scenario, Scenario) else str(scenario)
    loaded = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    project = Project.find(Path.cwd() if source is None else Path(source).parent)
    async with Stage(project, [loaded], agent=agent) as stage:
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
        return await run_plan(plan)


def run_sync(
    scenario: Scenario | str | Path,
    agent: str | Callable[..., Any] | None = None,
    *,
    seed: int = 0,
    trial: int = 1,
) -> Outcome:
    """The same, where no event loop runs."""
    return asyncio.run(run(scenario, agent, seed=seed, trial=trial))
