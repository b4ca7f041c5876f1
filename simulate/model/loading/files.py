"""Every scenario of files and folders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from simulate.model.loading.reader import ScenarioReader
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec, with_unique_ids


def load_scenarios(paths: Sequence[Path | str], *, agents: Collection[str] | None = None) -> list[TrialSpec]:
    """The first trial of every scenario of files and folders, one for each case.

    With ``agents``, a scenario's ``agent:`` must be one of these names, or an address. Raises FileProblems
    with everything that is wrong in any file, or InputError where a path leads nowhere."""
    read = scenario_reader(agents=agents).load(paths)
    trials = [
        TrialSpec(each.scenario, each.file, each.line, each.case, text=each.text, written=each.written)
        for each in read
    ]
    return with_unique_ids(trials, Path.cwd())


def scenario_reader(*, agents: Collection[str] | None = None) -> ScenarioReader[Scenario, Persona]:
    """For data that is not a file of its own: a reader that keeps what is wrong until ``done()``."""
    return ScenarioReader(Scenario, Persona, agents=agents)
