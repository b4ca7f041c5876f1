"""What a trial is made of, in a few hashes: a run that goes on runs anew what is made of something else."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulate.model.agent_address import scheme_of
from simulate.model.expect import MatchesTrace, PythonCheck
from simulate.model.persona import Persona
from simulate.model.trial import TrialSpec
from simulate.resources import Resources

NOT_ITS_OWN = {"persona", "trials"}
"""Fields of a scenario that are told apart from it, or say nothing of one trial."""
IN_A_FILE = ("python", "pipecat", "livekit")


def fingerprint(spec: TrialSpec, resources: Resources) -> dict[str, str]:
    """A hash each of the scenario, its persona, the agent, the files that the scenario names, the models of
    caller and judge, and the options.

    Of code in this process, the file that defines it counts, not what that file imports; of an agent that
    runs elsewhere, its address and settings, and the files that its command names."""
    scenario, project = spec.scenario, resources.project
    shown = scenario.model_dump_json(exclude=NOT_ITS_OWN, exclude_defaults=True, by_alias=True)
    persona = scenario.persona
    return {
        "scenario": _hash(shown, str(spec.row or "")),
        "persona": _hash(persona.model_dump_json() if isinstance(persona, Persona) else str(persona)),
        "agent": _hash(*_agent(spec, resources)),
        "files": _hash(*_files(spec, resources)),
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
    root = resources.project.root
    if scheme_of(config.address) in IN_A_FILE:
        parts += _code(config.address, root)
    words = f"{config.command or ''} {config.address.partition(':')[2]}".split()
    return parts + [_read(root / word) for word in words if len(word) < 256 and (root / word).is_file()]


def _files(spec: TrialSpec, resources: Resources) -> list[str]:
    """What a scenario's world, caller, checks and recorded traces hold, and what is attached."""
    scenario, root = spec.scenario, resources.project.root
    named = [scenario.world, scenario.caller]
    named += [each.python for each in scenario.expect if isinstance(each, PythonCheck)]
    parts = [part for name in named if name is not None for part in _code(name, root)]
    traces = [Path(each.matches_trace) for each in scenario.expect if isinstance(each, MatchesTrace)]
    attached = [Path(name) for line in scenario.script for name in line.attachments]
    return parts + [_read(file) for file in (*traces, *attached)]


def _code(address: str, root: Path) -> list[str]:
    """The file of ``python:module:name``, with or without its scheme."""
    scheme, _, rest = address.partition(":")
    place, _, _ = (rest if scheme in IN_A_FILE else address).rpartition(":")
    module = root.joinpath(*place.split("."))
    files = [root / place, module.with_suffix(".py"), module / "__init__.py"]
    return [_read(file) for file in files if file.is_file()]


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
