"""Every scenario of files and folders, and the ids by which runs, cassettes and reports know them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from simulate.masking import without_secrets
from simulate.model.file_names import unique_ids
from simulate.model.loading.reader import ScenarioReader
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec, files_by_name


def load_scenarios(paths: Sequence[Path | str], *, agents: Collection[str] | None = None) -> list[TrialSpec]:
    """The first trial of every scenario of files and folders, one for each case.

    With ``agents``, a scenario's ``agent:`` must be one of these names, or an address. Raises FileProblems
    with everything that is wrong in any file, or InputError where a path leads nowhere."""
    read = scenario_reader(agents=agents).load(paths)
    trials = [
        TrialSpec(
            each.scenario,
            each.file,
            each.line,
            each.case,
            row=each.row,
            text=each.text,
            written=each.written,
        )
        for each in read
    ]
    return with_unique_ids(trials, Path.cwd())


def scenario_reader(*, agents: Collection[str] | None = None) -> ScenarioReader[Scenario, Persona]:
    """For data that is not a file of its own: a reader that keeps what is wrong until ``done()``."""
    return ScenarioReader(Scenario, Persona, agents=agents, masked=without_secrets)


def with_unique_ids(specs: Sequence[TrialSpec], root: Path) -> list[TrialSpec]:
    """The same trials under ids that are unique among them. Whoever loads the same files, by whatever path,
    gives them the same ids: files count by their path from ``root``. Ids become names of folders, and hold no
    secrets of the names that they are made of."""
    ids = unique_ids(
        [
            (without_secrets(each.scenario.name), each.case, without_secrets(_from(root, each.file)))
            for each in specs
        ]
    )
    shared = {name for name, files in files_by_name(specs).items() if len(files) > 1}
    return [
        replace(each, id=unique, title=f"{name} ({each.file})" if name in shared else "")
        for each, unique in zip(specs, ids, strict=True)
        for name in [each.scenario.name]
    ]


def _from(root: Path, file: str) -> str:
    try:
        return os.path.relpath(file, root) if file else ""
    except ValueError:  # another drive of Windows
        return file
