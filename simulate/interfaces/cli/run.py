"""``simulate run``: scenario files against an agent, judged and kept.

Functions import what is heavy, so that ``--help`` and a refusal come at once, as
`tests/commands/test_startup.py` demands.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate import stopping
from simulate.errors import InputError, MissingExtra, SimulateError
from simulate.interfaces.cli.gate_options import check_gate, hold
from simulate.interfaces.cli.run_options import as_it_began, configure

if TYPE_CHECKING:
    from simulate.fan_out.processes import ProcessFanOut
    from simulate.fan_out.worker import Tape
    from simulate.integrations.ray import RayFanOut
    from simulate.model.loading.project import Project
    from simulate.model.outcome import RunRecord
    from simulate.model.trial import TrialSpec
    from simulate.resources import Resources
    from simulate.run_folder import RunFolder
    from simulate.server.client import Client
    from simulate.suite import Suite


__all__ = ["configure", "execute"]


def execute(args: argparse.Namespace) -> int:
    """Prepare, so that bad input is refused before anything runs; run; report."""
    if args.watch:
        from simulate.interfaces.cli.watch import watch

        return watch(args)
    with contextlib.ExitStack() as undo:
        return _execute(args, undo)


def _execute(args: argparse.Namespace, undo: contextlib.ExitStack) -> int:
    from simulate.model.identity import parse_tags
    from simulate.resources import Resources
    from simulate.run_folder import RUNS, RunFolder, find_run, new_run_id
    from simulate.suite import TEXT_JOBS, Suite, exit_code

    _check_options(args)
    server = _server(args)
    gate = check_gate(args)
    path = find_run(None if args.resume == "latest" else args.resume) if args.resume else None
    if path is not None:
        as_it_began(args, path)
    project, scenarios = _asked_for(args, undo)
    path = path or (Path(args.out) if args.out else RUNS / new_run_id())
    stage = Resources(
        project, [], agent=args.agent, run_id=path.name, logs=path / "logs", port=args.otlp_port,
        tags=parse_tags(args.tag),
    )  # fmt: skip
    stage.real_time = args.time == "real"
    stage.update_snapshots = args.update
    _prepare(stage, scenarios)
    recordings = _recordings(args, stage, scenarios)
    elsewhere = _elsewhere(args, stage, scenarios)
    stage.recordings = None if elsewhere else recordings
    folder = RunFolder.create(path, resume=bool(args.resume))
    with contextlib.closing(folder):
        suite = Suite(
            folder,
            stage,
            seed=args.seed or 0,
            trials=args.trials,
            jobs=args.jobs or TEXT_JOBS,
            elsewhere=elsewhere,
            command=["simulate", *sys.argv[1:]],
        )
        _run_and_report(args, suite, scenarios, virtual=args.time == "virtual" and elsewhere is None)
    if server is not None:
        _send(server, path)
    if gate is not None:
        return hold(args, gate, path)
    return exit_code(suite.finished)


def _server(args: argparse.Namespace) -> Client | None:
    """The server of ``--to``, refused before anything runs where it is not an address."""
    if args.to is None:
        return None
    from simulate.interfaces.cli.traces import client

    return client(args.to, None)


def _send(server: Client, path: Path) -> None:
    """The run's traces to the server. What came of the run stands whether they arrive or not."""
    from simulate.server.sources import as_otlp, run_traces

    try:
        sent = sum(bool(server.send(as_otlp(trace.spans))) for trace in run_traces(path))
    except SimulateError as error:
        print(f"! the traces did not reach the server: {error}", file=sys.stderr)
        print(f"! simulate serve import {path} --to {server.address} sends them again", file=sys.stderr)
    else:
        print(f"{sent} traces are at {server.address}/runs", file=sys.stderr)


def _asked_for(args: argparse.Namespace, undo: contextlib.ExitStack) -> tuple[Project, list[TrialSpec]]:
    """The project, its environment set, and the scenarios that are to run."""
    from simulate.interfaces.cli.selection import not_passed, selected
    from simulate.llm.config import placeholder_keys
    from simulate.model.loading.environment import set_environment
    from simulate.model.loading.places import short
    from simulate.model.loading.project import Project
    from simulate.scenario_files import load_scenarios

    failed = _earlier(args)
    project = Project.find(Path.cwd())
    set_environment(project, args.env_file)
    if args.replay:
        undo.enter_context(placeholder_keys(project.secret_variables()))
    paths = args.paths or [short(path) for path in project.scenarios]
    scenarios = selected(load_scenarios(paths, agents=project.agents), args.select)
    if failed is not None:
        scenarios = not_passed(scenarios, failed)
    return project, scenarios


def _check_options(args: argparse.Namespace) -> None:
    for name in ("trials", "jobs"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InputError(f"--{name} is at least 1")
    if args.update and args.ray is not None:
        raise InputError("--update writes files of this machine: run it without --ray")


def _run_and_report(
    args: argparse.Namespace, suite: Suite, scenarios: list[TrialSpec], *, virtual: bool
) -> None:
    from simulate.masking import masked_prints

    folder = suite.folder
    try:
        with masked_prints(sys.stderr):
            _run(suite, scenarios, virtual=virtual)
    except BaseException:
        # what finished is worth reading; if even that fails, why the run stopped matters more
        with contextlib.suppress(SimulateError):
            if (folder.path / "run.json").exists():
                _report(args, folder, folder.read_run())
            told = f"{folder.progress()} finished; simulate run --resume {folder.path} runs the others"
            print(told, file=sys.stderr)
        raise
    record = folder.read_run()
    _report(args, folder, record)
    for note in record.notes if args.resume else ():
        print(f"note: {note}", file=sys.stderr)


def _earlier(args: argparse.Namespace) -> Path | None:
    """The run that ``--failed`` names; ``--failed scenarios/`` means the latest, and a folder to run."""
    from simulate.run_folder import find_run

    if args.failed is None:
        return None
    if (
        args.failed != "latest"
        and Path(args.failed).exists()
        and not (Path(args.failed) / "run.json").exists()
    ):
        args.paths.insert(0, args.failed)
        args.failed = "latest"
    return find_run(None if args.failed == "latest" else args.failed)


def _prepare(stage: Resources, scenarios: list[TrialSpec]) -> None:
    """Refuse what can be known before anything runs: all of it at once, each with its file and line."""
    refused: dict[str, InputError] = {}
    missing: list[tuple[TrialSpec, MissingExtra]] = []
    # standard output is for results; what an agent prints at its import is none
    from simulate.masking import masked_prints

    with masked_prints(sys.stderr):
        for each in scenarios:
            try:
                stage.prepare(each.scenario)
            except MissingExtra as error:
                missing.append((each, error))
            except InputError as error:
                # one agent that cannot be imported is told once, not for each of its scenarios
                refused.setdefault(str(error), error)
                error.where = error.where or each.source
    if len(missing) == len(scenarios):
        raise missing[0][1]
    for each, error in missing:
        stage.set_aside(each.scenario, error)
    if refused:
        raise InputError("\n".join(str(error) for error in refused.values()))


def _recordings(args: argparse.Namespace, stage: Resources, scenarios: list[TrialSpec]) -> Any:
    """What records or replays, refused where an agent is out of its reach."""
    far = [each for each in scenarios if stage.outside(each.scenario)]
    if args.time == "virtual" and far:
        raise InputError(
            f"--time virtual reaches agents of this process only; these run in another: {_names(far)}",
            hint="leave them out with -k",
        )
    if not args.record and not args.replay:
        return None
    strangers = [each for each in far if not stage.started(each.scenario)]
    if strangers and not args.model_port:
        raise InputError(
            "these agents are already running, so we cannot tell them where their model is: "
            + _names(strangers),
            hint="give a --model-port N, and start them with OPENAI_BASE_URL=http://127.0.0.1:N/v1",
        )
    from simulate.replay.running import Recordings

    mode = "all" if args.record else "none"
    settings = stage.project.replay
    recordings = Recordings(
        args.record or args.replay,
        mode,
        personal=stage.project.redact.personal,
        ignore=settings.ignore,
        allow=tuple(settings.allow),
    )
    missing: list[InputError] = []
    for each in scenarios:
        try:
            recordings.check(each, args.trials or each.scenario.trials)
        except InputError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise InputError("\n".join(map(str, missing)))
    if far:
        from simulate.replay.serving.endpoint import ModelEndpoint

        stage.models = recordings.models = ModelEndpoint(
            args.model_port or 0, guard=bool(args.replay), allow=tuple(settings.allow)
        )
    return recordings


def _elsewhere(
    args: argparse.Namespace, stage: Resources, scenarios: list[TrialSpec]
) -> RayFanOut | ProcessFanOut | None:
    """Other processes that have the conversations; None where this one does."""
    tape = ("all", args.record) if args.record else ("none", args.replay) if args.replay else None
    virtual = args.time == "virtual"
    if args.ray is None:
        return _processes(args, stage, scenarios, tape)
    ports = [name for name in ("model_port", "otlp_port") if getattr(args, name)]
    if ports:
        raise InputError(
            f"--{ports[0].replace('_', '-')} is one port, and with --ray every worker has its own"
        )
    from simulate.integrations.ray import RayFanOut
    from simulate.suite import TEXT_JOBS

    elsewhere = RayFanOut(stage, args.ray, jobs=args.jobs or TEXT_JOBS, virtual=virtual, tape=tape)
    elsewhere.check(scenarios)
    return elsewhere


def _processes(
    args: argparse.Namespace, stage: Resources, scenarios: list[TrialSpec], tape: Tape | None
) -> ProcessFanOut | None:
    """Several processes for calls in virtual time, where there are enough calls."""
    virtual = args.time == "virtual"
    calls = all(
        each.scenario.medium == "voice" and (virtual or stage.virtual(each.scenario)) for each in scenarios
    )
    if not calls or args.update or args.time == "real":
        return None
    from simulate.fan_out.processes import ProcessFanOut, processes_for

    number = processes_for(sum(args.trials or each.scenario.trials for each in scenarios), args.jobs)
    return ProcessFanOut(stage, jobs=number, virtual=virtual, tape=tape) if number > 1 else None


def _names(scenarios: list[TrialSpec]) -> str:
    return ", ".join(dict.fromkeys(each.scenario.name for each in scenarios))


def _run(suite: Suite, scenarios: list[TrialSpec], *, virtual: bool) -> None:
    from simulate.interfaces.render.progress import make_progress

    progress = make_progress(sum(suite.trials or each.scenario.trials for each in scenarios))

    async def go() -> None:
        try:
            # an orderly end: conversations are cancelled, outcomes that finished stay
            with stopping.cancels_this_task():
                await suite.run(scenarios, progress)
        finally:
            progress.close()

    from simulate.determinism.clock import run_virtual

    try:
        run_virtual(go()) if virtual else asyncio.run(go())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _report(args: argparse.Namespace, folder: RunFolder, record: RunRecord) -> None:
    from simulate.interfaces.cli import hush
    from simulate.interfaces.render.run_reports import write_reports

    try:
        write_reports(folder, record, html=args.html, junit=args.junit, json=args.json)
    except BrokenPipeError:
        # the files are written by then; who reads the pipe has seen enough, and the exit code still counts
        hush()
