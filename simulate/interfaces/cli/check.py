"""``simulate check``: refuse bad files before anything runs.

Functions import what is heavy, so that ``--help`` and a refusal come at once, as
`tests/commands/test_startup.py` demands.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from simulate.errors import FileProblems, InputError, MissingExtra, Problem
from simulate.interfaces.cli import say
from simulate.interfaces.cli.verbs import add_no_code_option
from simulate.model.text import counted

if TYPE_CHECKING:
    from simulate.model.loading.project import Project
    from simulate.model.trial import TrialSpec


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        type=Path,
        help="scenario files or folders; default: those of [tool.simulate] in pyproject.toml",
    )
    add_no_code_option(parser)
    parser.add_argument(
        "--no-import",
        action="store_true",
        help="do not look for agents' modules and files, nor import what `world:`, `caller:` and `python:` "
        "checks name",
    )


def execute(args: argparse.Namespace) -> int:
    from simulate.model.loading.places import short
    from simulate.model.loading.project import Project
    from simulate.scenario_files import load_scenarios

    problems: list[Problem] = []
    agents: set[str] | None = None
    folders: list[Path] = []
    root = Path()
    project: Project | None = None
    try:
        project = Project.find()
        agents, folders, root = set(project.agents), project.scenarios, project.root
    except FileProblems as error:
        problems += error.problems
    paths: list[Path] = args.paths or folders or [Path("scenarios")]
    try:
        loaded = load_scenarios([short(path) for path in paths], agents=agents)
    except FileProblems as error:
        raise FileProblems([*problems, *error.problems]) from None
    problems += _same_names(loaded) + _traces(loaded) + _forbidden(loaded)
    if project is not None and not args.no_code:
        problems += _languages(loaded, project)
    if project is not None:
        problems += _not_taken(loaded, project)
    may_look = not args.no_import and not args.no_code
    problems += _agents(loaded, project, root, may_look)
    if not problems and may_look and _names_code(loaded):
        problems += _code(loaded, root)
    if problems:
        raise FileProblems(problems)
    for note in _without_effect(loaded):
        say(note, file=sys.stderr)
    files = len({each.file for each in loaded})
    say(f"{counted(len(loaded), 'scenario')} in {counted(files, 'file')} {_are(len(loaded))} fine")
    return 0


def _without_effect(loaded: list[TrialSpec]) -> list[str]:
    """A line for each persona with fields that no scenario here reads."""
    from simulate.model.unread import unread_fields

    by_persona: dict[int, list[TrialSpec]] = {}
    for each in loaded:
        by_persona.setdefault(id(each.scenario.persona), []).append(each)
    notes: dict[str, None] = {}
    for specs in by_persona.values():
        unread = unread_fields(specs[0].scenario)
        for each in specs[1:]:
            unread &= unread_fields(each.scenario)
        if unread:
            names = ", ".join(sorted(unread))
            why = "here the caller is scripted" if specs[0].scenario.goal is None else "on the phone"
            notes[f"{specs[0].source}: note: nothing reads the persona's {names} ({why})"] = None
    return list(notes)


def _same_names(loaded: list[TrialSpec]) -> list[Problem]:
    """Scenarios of one name in two files, which reports could hardly tell apart."""
    from simulate.model.trial import files_by_name

    return [
        Problem(
            f'the name "{name}" is used in another file too',
            again.file,
            again.line,
            hint=f"first in {first.source}; a suite needs a name of its own for each scenario",
        )
        for name, (first, *others) in (
            (name, files.values()) for name, files in files_by_name(loaded).items()
        )
        for again in others
    ]


def _traces(loaded: list[TrialSpec]) -> list[Problem]:
    """Recorded traces of ``matches_trace`` that cannot be read, each once."""
    from simulate.model.expect import MatchesTrace

    wanted = {
        expectation.matches_trace: each
        for each in reversed(loaded)
        for expectation in each.scenario.expect
        if isinstance(expectation, MatchesTrace)
    }
    if not wanted:
        return []
    from simulate.trace.diff import recorded

    found: list[Problem] = []
    for path, each in wanted.items():
        try:
            recorded(path)
        except InputError as error:
            message = f"matches_trace: {error.where or path} {error.message}"
            found.append(Problem(message, each.file, each.line, hint=error.hint))
    return found


def _languages(loaded: list[TrialSpec], project: Project) -> list[Problem]:
    """Personas on the phone whose language the project's speech services do not know, each once."""
    from simulate.model.persona import Persona

    foreign = [
        each
        for each in loaded
        if each.scenario.medium == "voice"
        and isinstance(each.scenario.persona, Persona)
        and not each.scenario.persona.speaks.language.lower().startswith("en")
    ]
    if not foreign:
        return []
    found: dict[Problem, None] = {}
    for each in foreign:
        try:
            from simulate.conversation.voice.senses import Senses
            from simulate.conversation.voice.speech_services import find_stt, find_tts

            senses = Senses(find_tts(project.speech.tts), find_stt(project.speech.stt), root=project.root)
            senses.for_persona(each.scenario)
        except (MissingExtra, ModuleNotFoundError):
            return []  # the run will say which extra calls need
        except InputError as error:
            message = f"{error.where}: {error.message}" if error.where else error.message
            found[Problem(message, each.file, each.line, hint=error.hint)] = None
    return list(found)


def _not_taken(loaded: list[TrialSpec], project: Project) -> list[Problem]:
    """Scenarios whose agent cannot be given their history or attachments. Whether a Python agent can is known
    once it is imported, when they run."""
    from simulate.model.what_agents_take import not_taken

    found: list[Problem] = []
    for each in loaded:
        agent = each.scenario.agent
        if agent is None or each.scenario.medium == "voice":
            continue
        config = project.agents.get(agent)
        address, template = (agent, None) if config is None else (config.address, config.request)
        refused = not_taken(each.scenario, address, template=template)
        if refused is not None:
            found.append(Problem(refused[0], each.file, each.line, hint=refused[1]))
    return found


def _forbidden(loaded: list[TrialSpec]) -> list[Problem]:
    """With ``--no-code``, what would run code, each once."""
    from simulate.errors import Problem
    from simulate.no_code import code_of, forbidden

    if not forbidden():
        return []
    found = {(each.file, each.line, code): None for each in loaded for code in code_of(each.scenario)}
    return [Problem(f"{code} runs code", file, line) for file, line, code in found]


def _agents(loaded: list[TrialSpec], project: Project | None, root: Path, may_look: bool) -> list[Problem]:
    """Agents that cannot carry their scenario's medium, or whose module or file is not there, each once; none
    of them is imported."""
    from simulate.load_object import check_is_there
    from simulate.model.agent_address import kind_of

    named = {} if project is None else project.agents
    found: dict[tuple[str, str], Problem] = {}
    for each in loaded:
        name, medium = each.scenario.agent, each.scenario.medium
        if name is None or (name, medium) in found:
            continue
        config = named.get(name)
        address = name if config is None else config.address
        try:
            kind_of(address, medium, templated=config is not None and config.request is not None)
            if may_look:
                check_is_there(address, root)
        except InputError as error:
            found[name, medium] = Problem(error.message, each.file, each.line, hint=error.hint)
    return list(found.values())


def _code(loaded: list[TrialSpec], root: Path) -> list[Problem]:
    """Worlds, callers and checks in Python that cannot be imported or do not fit, each once."""
    from simulate.conversation.callers.own import load_caller
    from simulate.conversation.world import load_world
    from simulate.errors import InputError, Problem
    from simulate.model.expect import PythonCheck
    from simulate.scoring.checks.python_function import load_function

    found: dict[str, Problem] = {}
    for each in loaded:
        scenario = each.scenario
        loads = [functools.partial(load_world, name) for name in (scenario.world,) if name]
        loads += [functools.partial(load_caller, name) for name in (scenario.caller,) if name]
        checks = [check for check in scenario.expect if isinstance(check, PythonCheck)]
        loads += [functools.partial(load_function, check) for check in checks]
        for load in loads:
            try:
                # standard output is for results; what a module prints at its import is none
                with contextlib.redirect_stdout(sys.stderr):
                    load(root)
            except InputError as error:
                hint = "\n  ".join(part for part in (error.hint, error.proof) if part)
                problem = Problem(error.message, each.file, each.line, hint=hint or None)
                found.setdefault(error.message, problem)
    return list(found.values())


def _names_code(loaded: list[TrialSpec]) -> bool:
    """Whether any scenario does: only then is what loads it worth its import."""
    return any(
        each.scenario.world
        or each.scenario.caller
        or any(check.word == "python" for check in each.scenario.expect)
        for each in loaded
    )


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
