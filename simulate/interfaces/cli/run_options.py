"""The options of ``simulate run``, and those with which a run was begun that goes on."""

from __future__ import annotations

import argparse
from pathlib import Path

from simulate.errors import InputError
from simulate.interfaces.cli.gate_options import add_gate_options
from simulate.interfaces.cli.output_options import add_json_option, add_junit_option, folder
from simulate.interfaces.cli.verbs import add_no_code_option


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
    _selection(parser)
    add("--trials", type=int, metavar="N", help="how often each scenario runs")
    add(
        "--jobs",
        type=int,
        metavar="N",
        help="how many conversations at once (default 64; by voice, one for two processors, and in virtual "
        "time a process for each, up to 4)",
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help="seed of personas and of the caller's chance (default 0)",
    )
    add_tag_option(parser)
    add(
        "--env-file",
        action="append",
        default=[],
        metavar="FILE",
        help="set the variables of this file, where they are not set already (repeatable)",
    )
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


def _selection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-k",
        dest="select",
        metavar="EXPR",
        help="only scenarios whose name, case, file or tag holds this text; texts go together with and, or, "
        "not and parentheses",
    )
    add(
        "--failed",
        nargs="?",
        const="latest",
        metavar="RUN",
        help="only what did not pass in this run (default: the latest)",
    )
    add(
        "--watch",
        action="store_true",
        help="run again whenever a file of the project changes, until Ctrl-C",
    )


def _how(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_no_code_option(parser)
    tape = parser.add_mutually_exclusive_group()
    tape.add_argument(
        "--record", type=folder, metavar="DIR", help="record a cassette per scenario into this folder"
    )
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
    add("--to", metavar="URL", help="send the run's traces to a server, too: see simulate serve")
    add("--otlp-port", type=int, metavar="PORT", help="port of the OTLP receiver (default: a free one)")
    add("--html", metavar="FILE", help="where the HTML report goes (default: report.html in the run folder)")
    add_junit_option(parser)
    add_json_option(parser, "all outcomes")


def as_it_began(args: argparse.Namespace, path: Path) -> None:
    """What is not given again is what the run was begun with: another seed would make it another run."""
    from simulate.run_folder import RunFolder  # start-up time

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
        began = parser.parse_args([word for word in words[2:] if word != "--ascii"])
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
        "failed",
        "env_file",
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
