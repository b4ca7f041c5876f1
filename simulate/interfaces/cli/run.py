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
from simulate.interfaces.cli.gate_options import add_gate_options, check_gate, hold
from simulate.interfaces.cli.output_options import add_json_option, add_junit_option
from simulate.interfaces.cli.verbs import add_no_code_option

if TYPE_CHECKING:
    from simulate.integrations.ray import RayFanOut
    from simulate.model.outcome import RunRecord
    from simulate.model.trial import TrialSpec
    from simulate.resources import Resources
    from simulate.run_folder import RunFolder
    from simulate.suite import Suite


def configure(parser: argparse.ArgumentParser) -> None:
    """Options as `docs/command-line.md` lists them."""
    add = parser.add_argument
    add(
        "paths",
        nargs="*",
        metavar="PATH",
        help="scenario files or folders (default: those of pyproject.toml)",
    )
    add("--agent", metavar="ADDRESS", help="run against this agent instead of the one that the files name")
    add(
        "-k",
        dest="select",
        metavar="TEXT",
        help="only scenarios whose name, case, file or tag holds this text",
    )
    add("--trials", type=int, metavar="N", help="how often each scenario runs")
    add(
        "--jobs",
        type=int,
        metavar="N",
        help="how many conversations at once (default 64; by voice, one for two processors)",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="seed of personas and of the caller's chance (default 0)",
    )
    add_tag_option(parser)
    _how(parser)
    _results(parser)
    add_gate_options(parser)


def add_tag_option(parser: argparse.ArgumentParser) -> None:
    """``--tag NAME=VALUE``, as `simulate.model.identity.parse_tags` reads it."""
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="on the agent's spans and in its baggage: user, session, tenant, feature, experiment, cohort, "
        "prompt_version, or any attribute by its full name (repeatable)",
    )


def _how(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_no_code_option(parser)
    tape = parser.add_mutually_exclusive_group()
    tape.add_argument("--record", metavar="DIR", help="record a cassette per scenario into this folder")
    tape.add_argument(
        "--replay", metavar="DIR", help="answer from the cassettes in this folder: nothing goes live"
    )
    add(
        "--model-port",
        type=int,
        metavar="N",
        help="with --record or --replay: where an agent that is already running asks its model",
    )
    add(
        "--time",
        choices=["real", "virtual"],
        help="virtual: waiting takes no time (agents in this process only); default: what pyproject.toml "
        "says of the agent, or else real",
    )
    add(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="run the conversations on Ray: the cluster at ADDRESS (host:port or auto) or RAY_ADDRESS, or "
        "else a Ray of the run's own on this machine",
    )


def _results(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--update",
        action="store_true",
        help="rewrite the files of `snapshot:` instead of comparing with them",
    )
    add("--out", metavar="DIR", help="run folder (default .simulate/runs/<run id>)")
    add(
        "--resume",
        metavar="RUN",
        help="continue a run with the options it began with: only what has no outcome yet; latest: the last",
    )
    add("--otlp-port", type=int, metavar="PORT", help="port of the OTLP receiver (default: a free one)")
    add("--html", metavar="FILE", help="where the HTML report goes (default: report.html in the run folder)")
    add_junit_option(parser)
    add_json_option(parser, "all outcomes")


def execute(args: argparse.Namespace) -> int:
    """Prepare, so that bad input is refused before anything runs; run; report."""
    from simulate.model.identity import parse_tags
    from simulate.model.loading.files import load_scenarios
    from simulate.model.loading.project import Project
    from simulate.resources import Resources
    from simulate.run_folder import RUNS, RunFolder, find_run, new_run_id
    from simulate.suite import TEXT_JOBS, Suite, exit_code

    _check_options(args)
    gate = check_gate(args)
    path = find_run(None if args.resume == "latest" else args.resume) if args.resume else None
    if path is not None:
        _as_it_began(args, path)
    project = Project.find(Path.cwd())
    paths = args.paths or [str(project.root / path) for path in project.scenarios]
    scenarios = _selected(load_scenarios(paths, agents=project.agents), args.select)
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
    if gate is not None:
        return hold(args, gate, path)
    return exit_code([(status, side) for *_, status, side in suite.finished])


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


def _as_it_began(args: argparse.Namespace, path: Path) -> None:
    """What is not given again is what the run was begun with: another seed would make it another run."""
    from simulate.run_folder import RunFolder

    words = RunFolder.open(path).read_run().command
    if words[:3] == ["simulate", "dataset", "run"] and not args.paths:
        raise InputError(
            "the run was begun with a dataset", hint="simulate dataset run … --resume continues it"
        )
    if words[:2] != ["simulate", "run"]:
        return
    parser = argparse.ArgumentParser()
    configure(parser)
    try:
        began = parser.parse_args(words[2:])
    except SystemExit:
        raise InputError(f"the command of {path} cannot be read: {words}") from None
    if not args.agent and "<secret:" in (began.agent or ""):
        raise InputError(
            f"the run was begun with {began.agent}, whose secret was not saved",
            hint="give its --agent again",
        )
    for name in (
        "paths",
        "agent",
        "select",
        "trials",
        "jobs",
        "seed",
        "record",
        "replay",
        "model_port",
        "time",
        "tag",
    ):
        if not getattr(args, name):
            setattr(args, name, getattr(began, name))
    args.ray = began.ray if args.ray is None else args.ray
    if began.no_code and not args.no_code:
        raise InputError(f"{path} was begun with --no-code", hint="give it again to go on")


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
    recordings = Recordings(args.record or args.replay, mode, personal=stage.project.redact.personal)
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

        stage.models = recordings.models = ModelEndpoint(args.model_port or 0, guard=bool(args.replay))
    return recordings


def _elsewhere(args: argparse.Namespace, stage: Resources, scenarios: list[TrialSpec]) -> RayFanOut | None:
    if args.ray is None:
        return None
    ports = [name for name in ("model_port", "otlp_port") if getattr(args, name)]
    if ports:
        raise InputError(
            f"--{ports[0].replace('_', '-')} is one port, and with --ray every worker has its own"
        )
    from simulate.integrations.ray import RayFanOut
    from simulate.suite import TEXT_JOBS

    virtual = args.time == "virtual"
    tape = ("all", args.record) if args.record else ("none", args.replay) if args.replay else None
    elsewhere = RayFanOut(stage, args.ray, jobs=args.jobs or TEXT_JOBS, virtual=virtual, tape=tape)
    elsewhere.check(scenarios)
    return elsewhere


def _names(scenarios: list[TrialSpec]) -> str:
    return ", ".join(dict.fromkeys(each.scenario.name for each in scenarios))


def _selected(scenarios: list[TrialSpec], text: str | None) -> list[TrialSpec]:
    if text is None:
        return scenarios
    wanted = text.casefold()
    kept = [
        each
        for each in scenarios
        if any(
            wanted in part.casefold()
            for part in (each.scenario.name, each.id, each.file, *each.scenario.tags)
        )
    ]
    if not kept:
        raise InputError(f"-k {text}: none of the {len(scenarios)} scenarios matches")
    return kept


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
