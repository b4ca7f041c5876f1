"""What is asked of one conversation with an agent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

from simulate.model.persona import Persona
from simulate.model.scenario import Scenario


@dataclass(frozen=True)
class TrialSpec:
    """One trial of one scenario, its persona resolved and its case filled in: what was asked for, never what
    came of it. Loading a file gives the first trial of each scenario and case; ``numbered``, the others."""

    scenario: Scenario
    file: str = ""
    """As it was named or found; empty for a scenario that was made in Python."""
    line: int = 0
    case: str | None = None
    _: KW_ONLY
    row: Mapping[str, Any] | None = None
    """The case's columns."""
    id: str = ""
    """Of name and case; safe as a file name, and unique among those loaded together."""
    text: str = ""
    """Its document in the file, as it is written; empty for a scenario that was made in Python."""
    written: Scenario | None = None
    """The scenario before the files that it names were found."""
    title: str = ""
    """What outcomes call the scenario, where its name alone would be that of another file's scenario too."""
    trial: int = 1
    """From 1."""
    attempt: int = 0
    """From 1 where the trial is had again, because its caller left its part."""
    seed: int = 0
    """Fixes the persona's open facts and the caller's chance."""
    folder: Path | None = None
    """Where a recording goes while the call lasts."""
    world: Callable[[], Any] | None = None
    """Makes the conversation's world where the scenario names none."""
    recorded: Sequence[Mapping[str, Any]] = ()
    """A recorded conversation: its caller is heard again, as long as the agent stays on that path."""

    @property
    def digest(self) -> str:
        """SHA-256 of what the scenario says, persona and case included; of no default and no folder, so that
        neither a release that adds a key nor another machine changes it."""
        content = (self.written or self.scenario).model_dump_json(exclude_defaults=True, by_alias=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def options(self) -> Mapping[str, Any]:
        """The persona's and the scenario's, which override them."""
        persona = self.scenario.persona
        return {**(persona.options if isinstance(persona, Persona) else {}), **self.scenario.options}

    @property
    def shown(self) -> str:
        """The scenario's name in outcomes and reports; unique among the files loaded together."""
        return self.title or self.scenario.name

    @property
    def source(self) -> str | None:
        """``file:line``; None for a scenario that was made in Python."""
        return f"{self.file}:{self.line}" if self.line else self.file or None

    @property
    def root(self) -> Path | None:
        """Paths in the scenario are relative to it."""
        return Path(self.file).parent if self.file else None

    @property
    def name(self) -> str:
        """The folder's name; unique in a run."""
        return f"{self.id}-{self.trial}"

    def numbered(self, trial: int, *, seed: int = 0) -> TrialSpec:
        """The same scenario as this trial. ``seed`` is the run's; the scenario's own overrides it."""
        seed = seed if self.scenario.seed is None else self.scenario.seed
        return replace(self, trial=trial, seed=seed)


def files_by_name(found: Iterable[TrialSpec]) -> dict[str, dict[str, TrialSpec]]:
    """The files in which scenarios of each name stand, with the first of each file."""
    files: dict[str, dict[str, TrialSpec]] = {}
    for each in found:
        files.setdefault(each.scenario.name, {}).setdefault(each.file, each)
    return files
