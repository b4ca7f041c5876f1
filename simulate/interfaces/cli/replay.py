"""``simulate replay SOURCE --agent ADDRESS``: an agent runs again on what was recorded."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any

from simulate.conversation.engine import TrialSession
from simulate.errors import InputError
from simulate.interfaces.cli import recording_options, replay_fork, say
from simulate.interfaces.cli.output_options import folder
from simulate.interfaces.cli.trace_sources import chosen
from simulate.interfaces.cli.verbs import add_no_code_option
from simulate.interfaces.render.diff_html import write_diff_html
from simulate.interfaces.render.fork_html import write_fork_html
from simulate.model.agent_address import KINDS, scheme_of
from simulate.model.explain import told_verdict
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.persona import Persona, Voice
from simulate.model.scenario import Line, Scenario
from simulate.model.text import counted
from simulate.model.trial import TrialSpec
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stale import cassettes, find_stale, unmatched
from simulate.replay.fork import Place, Variant
from simulate.replay.intercept.guard import refuse_production
from simulate.replay.matching.rules import default_rules
from simulate.replay.report import ReplayReport
from simulate.replay.running import replayed
from simulate.replay.verify import verify_folders
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.scenario_files import load_scenarios
from simulate.tools import marked
from simulate.trace.conversations import only, read_conversations
from simulate.trace.diff import compare
from simulate.trace.files.writing import write_otlp_jsonl


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    recording_options.configure(parser)
    parser.add_argument("--agent", metavar="ADDRESS", help="the agent to run again")
    add_no_code_option(parser)
    parser.add_argument(
        "--policy",
        choices=["fail", "stop", "nearest", "live", "simulate"],
        default="fail",
        help="what happens to a request that was not recorded (default: it fails)",
    )
    _live_options(parser)
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="where an agent that is already running asks its model (default: free)",
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="HOST:PORT", help="may be reached during the replay"
    )
    parser.add_argument(
        "--recording",
        type=Path,
        metavar="WAV",
        help="of the production call, caller left, agent right: its own voice calls again",
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="a page of both conversations, with --recording to listen to; with --from or --against of all "
        "variants side by side, turn by turn",
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write the new trace here (OTLP JSON lines)"
    )
    replay_fork.add_options(parser)
    _still_options(parser)


def _live_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--budget",
        type=int,
        default=100,
        metavar="N",
        help="with live or simulate: calls that may go out (default: 100)",
    )
    parser.add_argument(
        "--side",
        type=folder,
        default=".simulate/live",
        metavar="DIR",
        help="with live or simulate: what went out is kept here (default: .simulate/live)",
    )
    parser.add_argument(
        "--live-write",
        action="append",
        default=[],
        metavar="TOOL",
        help="with live or simulate: this tool may run although it writes",
    )


def _still_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stale", action="store_true", help="run nothing: list the cassettes that no longer fit"
    )
    parser.add_argument(
        "--verify",
        type=Path,
        metavar="DIR",
        help="run nothing: compare the cassettes with those of DIR, recorded again",
    )
    parser.add_argument(
        "--scenarios",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="with --stale: name the cassettes that none of these scenarios has, and scenarios without one",
    )
    parser.add_argument(
        "--max-age", type=float, metavar="DAYS", help="with --stale: how old a cassette may be"
    )
    parser.add_argument(
        "--system", type=Path, metavar="FILE", help="with --stale: the system prompt of today"
    )


def execute(args: argparse.Namespace) -> int:
    """Exit code 0: every cassette was played as recorded; 1: one diverged, or is stale; 3: no verdict."""
    if args.stale:
        return _stale(args)
    if args.verify is not None:
        return _verify(args)
    if args.agent is None:
        raise InputError("which agent is to run again?", hint="name it with --agent")
    settings = Project.find(Path.cwd()).replay
    args.allow = [*settings.allow, *args.allow]
    rules = default_rules(ignore=(*settings.ignore, *args.ignore))
    cassettes = recording_options.load(args, rules)
    forks = args.place is not None or args.against is not None
    return asyncio.run((_fork if forks else _replay)(args, cassettes, rules))


def _stale(args: argparse.Namespace) -> int:
    system = args.system.read_text() if args.system else None
    number = sum(1 for path in args.source for _ in cassettes(path))
    if not number:
        raise InputError("there is no cassette here", where=args.source[0])
    found = [
        one
        for path in args.source
        for one in find_stale(path, system=system, model=(args.model or [None])[-1], max_age=args.max_age)
    ]
    for one in found:
        say(f"{one.folder}: {'; '.join(one.reasons)}")
    ids = [spec.id for spec in load_scenarios(args.scenarios)] if args.scenarios else None
    strays = [line for path in args.source for line in unmatched(path, ids)] if ids is not None else []
    for line in strays:
        say(line)
    say(f"{len(found)} of {number} cassettes are stale", file=sys.stderr)
    return 1 if found or strays else 0


def _verify(args: argparse.Namespace) -> int:
    if len(args.source) > 1:
        raise InputError("--verify compares one folder with another", hint="name one folder of cassettes")
    reports = verify_folders(Path(args.source[0]), args.verify)
    for name, report in reports.items():
        say(f"{name}: {report.explain()}".replace("\n", "\n  "))
    if not reports:
        raise InputError("there is no cassette here", where=args.source[0])
    return 0 if all(report.passed for report in reports.values()) else 1


async def _replay(args: argparse.Namespace, cassettes: list[Cassette], rules: Any) -> int:
    refuse_production()
    scenarios = [replay_fork.expecting(_scenario(args, cassette), args.scenario) for cassette in cassettes]
    stage = _stage(args, scenarios)
    for line in _live_tools(cassettes):
        say(line, file=sys.stderr)
    async with stage:
        if stage.models is not None:
            say(f"the agent's model: OPENAI_BASE_URL={stage.models.base_url}", file=sys.stderr)
        results = [
            await _one(args, stage, scenario, cassette, rules)
            for scenario, cassette in zip(scenarios, cassettes, strict=True)
        ]
    return 1 if 1 in results else max(results)


async def _fork(args: argparse.Namespace, cassettes: list[Cassette], rules: Any) -> int:
    """Every variant as often as asked for, and all in one table."""
    refuse_production()
    if len(cassettes) != 1:
        raise InputError(f"a fork is one recording's; here are {len(cassettes)}", where=args.source[0])
    cassette = cassettes[0]
    judged = args.scenario is not None
    scenario = replay_fork.expecting(scenario_of(cassette), args.scenario)
    if args.against is not None:
        tried = replay_fork.interventions(cassette, replay_fork.other_of(args, rules))
    else:
        place = Place.parse(args.place)
        tried = [(place, variant) for variant in replay_fork.variants(args)]
    stage = _stage(args, [scenario])
    async with stage:
        whole = replay_fork.VariantRuns(replay_fork.RECORDED)
        whole.add(await _ran(args, stage, scenario, cassette, rules, reports := []), reports)
        rows: list[replay_fork.VariantRuns] = []
        for fork in tried:
            rows.append(row := replay_fork.VariantRuns(fork[1].name))
            for _ in range(args.trials):
                row.add(await _ran(args, stage, scenario, cassette, rules, reports := [], fork), reports)
    code = replay_fork.tell(whole, rows, judged=judged)
    verdict = ""
    if args.against is not None:
        verdict = replay_fork.decided(rows, whole.judged[0] if judged and whole.judged else None)
        say(verdict)
    if args.html is not None:
        begins = f"turn {args.place}" if str(args.place).isdecimal() else args.place
        title = f"{scenario.name}: {counted(len(rows), 'variant')}" + (f" from {begins}" if begins else "")
        shown = replay_fork.shown([whole, *rows], judged=judged)
        say(f"page: {write_fork_html(args.html, title, shown, verdict)}")
    return code


def _stage(args: argparse.Namespace, scenarios: list[Scenario]) -> Resources:
    stage = Resources(Project.find(Path.cwd()), scenarios, agent=args.agent)
    if any(map(stage.outside, scenarios)):
        from simulate.replay.serving.endpoint import ModelEndpoint  # start-up time: it imports aiohttp

        # an agent that we start is told where its model is; one that runs already has to be
        stage.models = ModelEndpoint(args.port, guard=True, allow=tuple(args.allow))
    return stage


def _scenario(args: argparse.Namespace, cassette: Cassette) -> Scenario:
    """That of `scenario_of`, by voice where the agent speaks; from ``--recording`` in the caller's own."""
    scenario = scenario_of(cassette, improvises=args.policy == "simulate")
    address = Project.find(Path.cwd()).agent(args.agent).address
    spoken = KINDS[scheme_of(address)].medium == "voice"
    if args.recording is not None and not spoken:
        raise InputError("--recording is of a call, and this agent writes", where=args.agent)
    if not spoken:
        return scenario
    recording = None if args.recording is None else str(args.recording.absolute())
    persona = Persona(voice=Voice(recording=recording))
    return scenario.model_copy(update={"medium": "voice", "persona": persona})


def scenario_of(cassette: Cassette, *, improvises: bool = False) -> Scenario:
    """The scenario that says again what the caller said; or, where the caller ``improvises`` once the agent
    leaves the recorded path, one with the goal that the first line tells."""
    lines = [Line(says=said["text"]) for said in cassette.conversation if said["speaker"] == "caller"]
    if not lines:
        raise InputError(
            "the recording does not tell what the caller said",
            where=str(cassette.folder or ""),
            hint="replay the scenario that it was recorded with: simulate run --replay DIR",
        )
    first = cassette.conversation[0]["speaker"]
    name = str(cassette.scenario or cassette.manifest.get("trace_id") or "replay")
    if improvises:
        return Scenario(name=name, goal=f"Get what was asked for: {lines[0].says}", speaks_first=first)
    return Scenario(name=name, script=lines, speaks_first=first)


async def _one(
    args: argparse.Namespace, stage: Resources, scenario: Scenario, cassette: Cassette, rules: Any
) -> int:
    reports: list[ReplayReport] = []
    outcome = await _ran(args, stage, scenario, cassette, rules, reports)
    return _tell(args, outcome, cassette, reports)


async def _ran(
    args: argparse.Namespace,
    stage: Resources,
    scenario: Scenario,
    cassette: Cassette,
    rules: Any,
    reports: list[ReplayReport],
    fork: tuple[Place, Variant] | None = None,
) -> Outcome:
    def opening(session: TrialSession) -> Any:
        policy = args.policy if fork is None else "fail"
        given = {"policy": policy, "pace": args.pace, "rules": rules, "allow": tuple(args.allow)}
        given |= {"live_budget": args.budget, "live_writes": args.live_write, "fork": fork}
        given["side"] = _new(Path(args.side) / Path(str(cassette.folder or scenario.name)).name)
        return replayed(cassette, session, reports, stage.models, **given)

    stage.recordings = opening
    folder = args.save.parent if args.save is not None and scenario.medium == "voice" else None
    recorded = cassette.conversation if args.policy == "simulate" else ()
    spec = TrialSpec(scenario, recorded=recorded, folder=folder)
    return await stage.in_its_time(scenario, lambda: run_trial(spec, stage))


def _write_html(args: argparse.Namespace, outcome: Outcome) -> None:
    """The production trace and the new one, with both recordings where there are two."""
    expected = only(read_conversations(args.source[0], choice=chosen(args)), args.source[0])
    if outcome.trace is None:
        raise InputError("the agent left no trace to compare", where=args.agent)
    recordings = [args.recording, Path(outcome.recording or "")] if args.recording else []
    diff = compare(expected, outcome.trace)
    say(f"written: {write_diff_html(args.html, diff, recordings)}", file=sys.stderr)


def _live_tools(cassettes: list[Cassette]) -> list[str]:
    """The tools of production traces that nothing here can answer, told before they run."""
    names = {tool.name for one in cassettes for tool in one.tools if tool.source == "trace"} - marked()
    if not names:
        return []
    return [
        f"not marked with @simulate.tool here, so they run for real unless LangChain, pydantic-ai or the"
        f" OpenAI Agents SDK calls them: {', '.join(sorted(names))}"
    ]


def _new(wanted: Path) -> Path:
    """A folder that is not there yet: what was recorded before stays."""
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([wanted], numbered) if not path.exists())


def _tell(args: argparse.Namespace, outcome: Outcome, cassette: Cassette, reports: list[ReplayReport]) -> int:
    say(f"{outcome.scenario}:")
    for said in outcome.conversation.utterances:
        say(f"  {said.speaker}: {said.text}")
    played = [one for one in outcome.verdicts if one.check == "replay"]
    cut_off = [f"  replay: {one.fact}" for one in played if one.status == "not_run"]
    told = cut_off or ["  " + report.explain().replace("\n", "\n  ") for report in reports]
    broke = [
        told_verdict(one) for one in outcome.verdicts if one.check != "replay" and one.status != "passed"
    ]
    # an agent that broke asks for nothing more; one that got no answer may break of that
    unasked = all(report.first is None or report.first.verdict == "unplayed" for report in reports)
    for lines in broke + told if unasked else told + broke:
        say(lines)
    for note in outcome.notes:
        if "recorded path" in note:
            say(f"  {note}")
    recorded = [
        said["text"] for said in cassette.conversation if said["speaker"] == "agent" and said.get("text")
    ]
    for report in reports:
        if report.side_cassette is not None:
            say(f"  what went live is kept in {report.side_cassette}")
    now = [said.text for said in outcome.conversation.utterances if said.speaker == "agent"]
    if recorded and recorded != now and not cut_off:
        say("  the agent's words differ from the recording")
    if args.save is not None and outcome.trace is not None:
        write_otlp_jsonl(args.save, outcome.trace.spans)
    if args.html is not None:
        _write_html(args, outcome)
    if outcome.status == "error" and outcome.side != "agent":
        return 3
    return 0 if reports and all(report.passed for report in reports) and outcome.status != "error" else 1
