"""``simulate dataset``: golden datasets, from production traces to regression cases."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from simulate.errors import InputError
from simulate.interfaces.cli import run, say, trace_sources
from simulate.interfaces.cli.gate_options import add_gate_options, check_gate
from simulate.interfaces.cli.output_options import add_json_option, add_junit_option
from simulate.interfaces.cli.run_options import add_tag_option
from simulate.interfaces.cli.verbs import add_no_code_option
from simulate.model.text import counted
from simulate.replay.from_trace import cassette_of
from simulate.scenario_files import load_scenarios
from simulate.scoring.datasets import Dataset, DatasetCase, Wish, add
from simulate.scoring.datasets.store import dump
from simulate.scoring.datasets.wishes import parse_expectation, parse_pin
from simulate.trace.conversations import whole_file
from simulate.trace.redaction.people import finder
from simulate.trace.redaction.redact import Redactor

DEFAULT = "datasets/golden"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest="dataset_verb", metavar="SUB-VERB", required=True)
    _add_options(_sub(verbs, "add", "make regression cases of the traces in a file", _add))
    _where(_sub(verbs, "list", "every case: its id, who verified it, why it is there", _list))
    show = _sub(verbs, "show", "one case: its scenario and where it comes from", _show)
    show.add_argument("case", metavar="CASE", help="a case's id, or the beginning of it")
    _where(show, option=True)
    _run_options(_sub(verbs, "run", "run every case against an agent", _run))
    _where(_sub(verbs, "versions", "what changed, version by version", _versions))
    accept = _sub(verbs, "accept", "make the files as they are now a version, in your name", _accept)
    _where(accept)
    accept.add_argument(
        "--case", action="append", default=[], metavar="CASE", help="verify this case (repeatable)"
    )
    accept.add_argument("--by", required=True, metavar="NAME", help="who says that it is right")


def execute(args: argparse.Namespace) -> int:
    """Run the sub-verb."""
    return int(args.run_dataset_verb(args))


def _sub(
    verbs: Any, name: str, text: str, function: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    sub = cast(
        "argparse.ArgumentParser", verbs.add_parser(name, help=text, description=f"{text.capitalize()}.")
    )
    sub.set_defaults(run_dataset_verb=function)
    return sub


def _where(parser: argparse.ArgumentParser, *, option: bool = False) -> None:
    told = f"the dataset's folder (default {DEFAULT})"
    if option:
        parser.add_argument("--dataset", default=DEFAULT, metavar="DIR", help=told)
    else:
        parser.add_argument("dataset", nargs="?", default=DEFAULT, metavar="DIR", help=told)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    trace_sources.configure(parser, by_trace=True)
    add(
        "--to",
        default=DEFAULT,
        metavar="DIR",
        help=f"the dataset (default {DEFAULT}); made where there is none",
    )
    add("--expect", action="append", default=[], metavar="YAML",
        help="what must hold, an item of `expect:` such as '{called: issue_refund}' (repeatable); "
             "without any, what happened is taken to be right")  # fmt: skip
    add("--answer", metavar="TEXT", help="the answer that would have been right")
    add("--tools", metavar="A,B", help="the tools that would have been right, in order")
    add("--pin", action="append", default=[], metavar="NAME=YAML", help="what a tool answers (repeatable)")
    add(
        "--keep-scores",
        action="store_true",
        help="hold each evaluator's result in the trace to its threshold",
    )
    add("--name", metavar="TEXT", help="what the case is called")
    add("--why", metavar="TEXT", help="why it is worth keeping")
    add("--by", metavar="NAME", help="who says that the expectations are right; without, it is a candidate")
    add("--agent", metavar="NAME", help="the agent that the case is for")
    add("--pattern", action="append", default=[], metavar="KIND=REGEX", help="redact this, too (repeatable)")
    add(
        "--path",
        action="append",
        default=[],
        metavar="PATH",
        help="redact the values at this path: **.customer.name",
    )
    add("--names", action="store_true", help="redact names of people, too (extra pii)")
    add("--partial", action="store_true", help="take the part of a trace that says enough")


def _add(args: argparse.Namespace) -> int:
    wish = Wish(
        expect=[parse_expectation(text, "--expect") for text in args.expect],
        answer=args.answer,
        tools=None if args.tools is None else [one.strip() for one in args.tools.split(",") if one.strip()],
        pins=dict(parse_pin(text, "--pin") for text in args.pin),
        keep_scores=args.keep_scores, name=args.name, why=args.why, by=args.by, agent=args.agent,
        source=Path(args.files[0]).name, partial=args.partial,
    )  # fmt: skip
    redactor = _redactor(args)
    traces = trace_sources.conversations(args)
    dataset = Dataset(args.to)
    added = add(dataset, traces, wish, redactor)
    for each in added:
        if each.case is not None:
            say(f"{'added' if each.is_new else 'there already:'} {each.case}")
        for note in each.notes:
            say(f"  {note}", file=sys.stderr)
    kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(redactor.counts.items()))
    say(f"redacted: {kinds or 'nothing was found'}", file=sys.stderr)
    say(f"{args.to} is version {dataset.version}", file=sys.stderr)
    return 0


def _redactor(args: argparse.Namespace) -> Redactor:
    finders: list[Any] = []
    if args.names:
        finders = [finder()]
    return Redactor(None, dict(_pattern(text) for text in args.pattern), args.path, finders)


def _pattern(text: str) -> tuple[str, str]:
    kind, equals, pattern = text.partition("=")
    if not equals:
        raise InputError(f"--pattern {text!r} has no =", hint="write --pattern 'customer=C-[0-9]{4}'")
    return kind, pattern


def _list(args: argparse.Namespace) -> int:
    dataset = Dataset.open(args.dataset)
    edited = dataset.edited()
    for case in dataset.cases():
        state = f"verified by {case.verified}" if case.verified else "candidate"
        changed = f", {edited[case.id]} by hand" if case.id in edited else ""
        why = case.origin.get("why")
        say(f"{case.id}  {state}{changed}" + (f"  {why}" if why else ""))
    say(f"{counted(len(dataset.ids()), 'case')}, version {dataset.version}", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace) -> int:
    case = Dataset.open(args.dataset).case(args.case)
    say(f"# {case.scenario}\n{case.scenario.read_text(encoding='utf-8').rstrip()}\n\n# where it comes from")
    say(dump(case.origin).rstrip())
    say(f"# its trace: simulate trace show {case.trace}")
    return 0


def _versions(args: argparse.Namespace) -> int:
    for version in Dataset.open(args.dataset).versions():
        say(f"{version.version}  {version.date}  {version.change}")
    return 0


def _accept(args: argparse.Namespace) -> int:
    version = Dataset.open(args.dataset).accept(args.by, args.case)
    say(f"{args.dataset} is version {version.version}")
    return 0


def _run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _where(parser)
    add_no_code_option(parser)
    add("--agent", metavar="ADDRESS", help="the agent to run against (default: each case's own)")
    add("--case", action="append", default=[], metavar="CASE", help="only this case (repeatable)")
    add("--verified", action="store_true", help="only cases that somebody has verified")
    add("--trials", type=int, metavar="N", help="how often each case runs")
    add("--jobs", type=int, metavar="N", help="how many conversations at once")
    add("--out", metavar="DIR", help="run folder (default .simulate/runs/<run id>)")
    add("--resume", metavar="RUN", help="go on with a run: only cases that have no outcome yet")
    add_tag_option(parser)
    add_junit_option(parser)
    add_json_option(parser, "all outcomes")
    add(
        "--replay",
        action="store_true",
        help="answer the agent's model calls from each case's trace: the agent's code alone is tried",
    )
    add_gate_options(parser)


PASSED_ON = (
    "agent", "trials", "jobs", "out", "resume", "junit", "json",
    "gate", "baseline", "gate_markdown", "gate_junit", "gate_json",
)  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    """Refuse a dataset that was changed, then run its cases as scenarios."""
    check_gate(args)
    dataset = Dataset.open(args.dataset)
    dataset.check()
    cases = _chosen(args, dataset)
    candidates = sum(case.verified is None for case in cases)
    if candidates:
        told = "is a candidate: nobody has verified it"
        if candidates > 1:
            told = "are candidates: nobody has verified them"
        say(f"{candidates} of {counted(len(cases), 'case')} {told}", file=sys.stderr)
    say(f"{args.dataset}, version {dataset.version}", file=sys.stderr)
    given = [str(case.scenario) for case in cases]
    for option in PASSED_ON:
        value = getattr(args, option)
        given += [] if value is None else [f"--{option.replace('_', '-')}", str(value)]
    given += [part for tag in args.tag for part in ("--tag", tag)]
    with tempfile.TemporaryDirectory() as folder:
        if args.replay:
            _cassettes(cases, Path(folder), args.trials or 1)
            given += ["--replay", folder]
        parser = argparse.ArgumentParser()
        run.configure(parser)
        return run.execute(parser.parse_args(given))


def _chosen(args: argparse.Namespace, dataset: Dataset) -> list[DatasetCase]:
    named = [dataset.case(name) for name in args.case]
    found = [case for case in named or dataset.cases() if case.verified or not args.verified]
    if found:
        return found
    if not dataset.ids():
        raise InputError("there is no case in it", where=args.dataset, hint="simulate dataset add makes one")
    raise InputError(
        "there is no verified case",
        where=args.dataset,
        hint=f"simulate dataset accept {args.dataset} --case CASE --by NAME verifies one",
    )


def _cassettes(cases: list[DatasetCase], folder: Path, trials: int) -> None:
    """Each case's trace as the cassettes that its trials are answered from."""
    for loaded, case in zip(load_scenarios([case.scenario for case in cases]), cases, strict=True):
        cassette = cassette_of(whole_file(case.trace), partial=True)
        for trial in range(1, trials + 1):
            cassette.save(folder / (loaded.id if trial == 1 else f"{loaded.id}-{trial}"))
