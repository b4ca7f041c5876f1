"""What another process is told, does and sends when it has a suite's conversations."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from simulate import stopping
from simulate.errors import InputError, MissingExtra, SimulateError
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.trial import TrialSpec
from simulate.replay.running import Recordings
from simulate.replay.serving.endpoint import ModelEndpoint
from simulate.resources import Resources
from simulate.run_folder import RunFolder
from simulate.scenario_files import load_scenarios
from simulate.suite import Suite

Tape = tuple[Literal["all", "none"], str]


@dataclass(frozen=True)
class Order:
    """What a worker is told at once. It reads the scenario from its file: its own copy of the project."""

    file: str
    id: str
    case: str | None
    name: str
    digest: str
    trials: tuple[int, ...]
    cwd: str | None
    """Where paths are relative to; None is the working directory that the worker has."""
    below: str
    """The working directory as seen from there."""
    agent: str | None
    seed: int
    run_id: str
    scratch: str | None
    """Where outcomes wait until they are sent; None is wherever temporary files go there."""
    logs: str | None
    real_time: bool
    virtual: bool
    tags: dict[str, str]
    tape: Tape | None


@dataclass(frozen=True)
class Began:
    """A trial has begun."""

    trial: str


@dataclass(frozen=True)
class Ended:
    """A trial has ended: its outcome as JSON, and the other files of its folder."""

    trial: str
    outcome: bytes
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Closed:
    """The order is carried out; what a reader of the run should know of its capture."""

    notes: tuple[str, ...]


@dataclass(frozen=True)
class Rejected:
    """The worker cannot run the scenario: its file or its agent differs there, or a secret is missing."""

    why: str


Event = Began | Ended | Closed | Rejected


def carry(order: Order) -> Iterator[Event]:
    """Have the conversations of an order, one after the other."""
    with (
        contextlib.chdir(order.cwd or "."),
        contextlib.chdir(order.below),
        tempfile.TemporaryDirectory("", "simulate-", order.scratch, ignore_cleanup_errors=True) as scratch,
        asyncio.Runner() as runner,
    ):
        try:
            suite, loaded = _suite(order, Path(scratch) / "run")
            record = runner.run(suite.open())
        except SimulateError as error:
            yield Rejected(str(error))
            return
        try:
            for number in order.trials:
                trial = loaded.numbered(number, seed=order.seed)
                yield Began(trial.name)
                outcome = runner.run(_one(suite, trial))
                yield _ended(trial.name, Path(outcome.folder or ""))
        finally:
            runner.run(suite.close(record))
        yield Closed(tuple(record.notes))


async def _one(suite: Suite, trial: TrialSpec) -> Outcome:
    with stopping.cancels_this_task():
        return await suite.one(trial)


def _suite(order: Order, path: Path) -> tuple[Suite, TrialSpec]:
    project = Project.find(Path.cwd())
    found = [
        each
        for each in load_scenarios([order.file], agents=project.agents)
        if (each.scenario.name, each.case) == (order.name, order.case)
    ]
    if not found or found[0].digest != order.digest:
        raise InputError("the worker has another version of the scenario", where=order.file)
    loaded = replace(found[0], id=order.id)
    logs = Path(order.logs) if order.logs else path / "logs"
    agent = order.agent if order.agent is not None else loaded.scenario.agent
    if order.virtual and agent is not None:
        project.agents[agent] = project.agent(agent).model_copy(update={"time": "virtual"})
    resources = Resources(project, [], agent=order.agent, run_id=order.run_id, logs=logs, tags=order.tags)
    resources.real_time = order.real_time
    try:
        resources.prepare(loaded.scenario)
    except MissingExtra as missing:
        resources.set_aside(loaded.scenario, missing)
    if order.tape is not None:
        resources.recordings = recordings = Recordings(
            order.tape[1],
            order.tape[0],
            personal=project.redact.personal,
            ignore=project.replay.ignore,
            allow=tuple(project.replay.allow),
        )
        if resources.outside(loaded.scenario):
            resources.models = recordings.models = ModelEndpoint(
                0, guard=order.tape[0] == "none", allow=tuple(project.replay.allow)
            )
    return Suite(RunFolder.create(path), resources, seed=order.seed), loaded


def _ended(name: str, folder: Path) -> Ended:
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    shutil.rmtree(folder)
    return Ended(name, files.pop("outcome.json"), files)
