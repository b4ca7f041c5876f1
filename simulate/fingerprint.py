"""What a trial is made of, in a few hashes: a run that goes on runs anew what is made of something else."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulate.model.agent_address import scheme_of
from simulate.model.persona import Persona
from simulate.model.trial import TrialSpec
from simulate.resources import Resources

NOT_ITS_OWN = {"persona", "trials", "tags"}
"""Fields of a scenario that are told apart from it, or say nothing of one trial."""
IN_A_FILE = ("python", "pipecat", "livekit")


def fingerprint(spec: TrialSpec, resources: Resources) -> dict[str, str]:
    """A hash each of the scenario, its persona, the agent, the models of caller and judge, and the options.

    Of an agent in this process, the file that defines it counts, not what that file imports; of one that runs
    elsewhere, its address and settings."""
    scenario, project = spec.scenario, resources.project
    shown = scenario.model_dump_json(exclude=NOT_ITS_OWN, exclude_defaults=True, by_alias=True)
    persona = scenario.persona
    return {
        "scenario": _hash(shown),
        "persona": _hash(persona.model_dump_json() if isinstance(persona, Persona) else str(persona)),
        "agent": _hash(*_agent(spec, resources)),
        "models": _hash(project.models.model_dump_json(), project.speech.model_dump_json()),
        "options": _hash(
            str(spec.seed), str(resources.real_time), getattr(resources.recordings, "mode", "live")
        ),
    }


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What is no longer what it was, by name; nothing of a run whose outcomes tell no fingerprint."""
    return [name for name in now if before and before.get(name) != now[name]]


def _agent(spec: TrialSpec, resources: Resources) -> list[str]:
    agent: Any = resources.agent if resources.agent is not None else spec.scenario.agent
    if not isinstance(agent, str):
        return [type(agent).__qualname__, _source(agent)]
    config = resources.project.agent(agent)
    parts = [config.model_dump_json()]
    if scheme_of(config.address) in IN_A_FILE:
        place, _, _ = config.address.partition(":")[2].rpartition(":")
        root = resources.project.root
        module = root.joinpath(*place.split("."))
        files = [root / place, module.with_suffix(".py"), module / "__init__.py"]
        parts += [_read(file) for file in files if file.is_file()]
    return parts


def _source(agent: Any) -> str:
    try:
        return _read(Path(inspect.getfile(inspect.unwrap(agent))))
    except (TypeError, ValueError):
        return ""


def _read(file: Path) -> str:
    try:
        return file.read_bytes().hex()
    except OSError:
        return ""


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
