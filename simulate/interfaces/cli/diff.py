"""``simulate diff``: what changed between two traces, in ten lines.

Functions import what is heavy, so that ``--help`` and a refusal come at once, as
`tests/commands/test_startup.py` demands.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from simulate.errors import InputError, TraceFileError
from simulate.interfaces.cli import say
from simulate.interfaces.cli.output_options import add_json_option

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge
    from simulate.trace.diff import Diff
    from simulate.trace.span import Trace

TRIAL = "trace.otlp.jsonl"
"""What a run's folder calls the agent's trace of a trial."""
RECORDING = "recording.wav"
"""What it calls the recording of a call."""
CATEGORIES = ("behaviour", "content", "cost", "latency", "shape")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("expected", type=Path, metavar="EXPECTED", help="the trace as it should be")
    parser.add_argument("actual", type=Path, metavar="ACTUAL", help="the trace as it is; - is stdin")
    parser.add_argument(
        "--repeat", nargs="+", type=Path, default=[], metavar="FILE", action="extend",
        help="further runs of what made EXPECTED, or the folder of a run with its trials: what varies among "
        "them is not a change",
    )  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="FILE", help="both trees side by side")
    parser.add_argument(
        "--recordings", nargs=2, type=Path, default=None, metavar="WAV",
        help="with --html: of EXPECTED and of ACTUAL, where they are calls, caller left and agent right "
        "(default: recording.wav beside each trace)",
    )  # fmt: skip
    add_json_option(parser, "the changes")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="PATH",
        help="a JSON path of changes to leave out ($.tools.send_mail.arguments.body), or a category",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", action="append", default=[], metavar="NAME=NUMBER",
        help="tokens, cost, latency, scores (shares), seconds, arguments (absolute)",
    )  # fmt: skip
    parser.add_argument(
        "--trace", action="append", default=[], metavar="ID",
        help="only this trace, where a file holds several; twice: of EXPECTED, then of ACTUAL",
    )  # fmt: skip
    parser.add_argument(
        "--conversation", action="append", default=[], metavar="ID",
        help="which conversation, where a file holds several; twice: of EXPECTED, then of ACTUAL",
    )  # fmt: skip
    parser.add_argument(
        "--only", type=_categories, default=None, metavar="CATEGORY,…",
        help=f"show only these, and let only these decide: {', '.join(CATEGORIES)}",
    )  # fmt: skip
    parser.add_argument(
        "--judge", action="store_true",
        help="let the configured judge say whether answers worded otherwise mean the same",
    )  # fmt: skip
    parser.add_argument(
        "--strict", action="store_true",
        help="what could not be compared (content that was not captured) counts as a change",
    )  # fmt: skip
    parser.add_argument("--tolerant", action="store_true", help="read the intact part of broken files")
    parser.add_argument(
        "--lines", type=int, default=10, metavar="N", help="at most so many lines (default 10)"
    )
    parser.add_argument(
        "--update", action="store_true", help="show what changed, then make ACTUAL the new EXPECTED"
    )


def execute(args: argparse.Namespace) -> int:
    from simulate.trace.diff import compare

    # what is made here lives to the end of the process; looking for garbage in it costs a quarter of the time
    gc.disable()
    judge = _judge() if args.judge else None
    expected, actual = _one(args, args.expected, 0), _one(args, args.actual, 1)
    repeats = _repeats(args.repeat, {expected.trace_id, actual.trace_id}, args.tolerant)
    tolerance = _tolerance(args.tolerance)
    diff = compare(expected, actual, repeats=repeats, ignore=args.ignore, tolerance=tolerance)
    if judge is not None:
        diff = _judged(diff, judge)
    if args.only is not None:
        diff = diff.only(args.only)
    changed = bool(diff.changes) if args.only is not None else not diff.same
    _write(diff, args)
    if args.update:
        return _update(args.expected, actual, changed)
    return 1 if changed or (args.strict and diff.not_compared) else 0


def _write(diff: Diff, args: argparse.Namespace) -> None:
    if args.json:
        from simulate.interfaces.render.output import write_json

        write_json(diff.to_dict(), args.json)
    if args.json != "-":
        say(_fitted(diff.summary(args.lines)))
    if args.html:
        from simulate.interfaces.render.diff_html import write_diff_html

        recordings = args.recordings or [side.with_name(RECORDING) for side in (args.expected, args.actual)]
        if args.recordings is None and not all(one.is_file() for one in recordings):
            recordings = []
        say(f"written: {write_diff_html(args.html, diff, recordings)}", file=sys.stderr)


def _fitted(summary: str) -> str:
    """On a terminal, long lines go on below their sentence; elsewhere a change stays one line, for grep."""
    if not sys.stdout.isatty():
        return summary
    width = max(40, shutil.get_terminal_size((80, 24)).columns)
    return "\n".join(
        textwrap.fill(
            line, width, subsequent_indent=" " * (11 if line.startswith((*CATEGORIES, "unknown")) else 2),
            break_on_hyphens=False,
        )
        for line in summary.splitlines()
    )  # fmt: skip


def _judge() -> Judge:
    """The judge of pyproject.toml or of the environment, before any file is read."""
    from simulate.model.loading.project import Project
    from simulate.resources import Resources

    judge = Resources(Project.find(Path.cwd()), []).judge
    if judge is None:
        raise InputError(
            "no judge is configured", hint="write [tool.simulate.models] judge in pyproject.toml"
        )
    return judge


def _judged(diff: Diff, judge: Judge) -> Diff:
    import asyncio

    from simulate.scoring.checks.traces import same_meaning
    from simulate.trace.diff import judged

    return asyncio.run(judged(diff, same_meaning(judge)))


def _update(path: Path, actual: Trace, changed: bool) -> int:
    """The actual trace takes the place of the expected one, as OTLP in the form of the file's name."""
    from simulate.trace.files import writing

    if not changed:
        say(f"nothing to accept; {path} stays as it is", file=sys.stderr)
        return 0
    forms = {
        ".json": writing.write_otlp_json,
        ".jsonl": writing.write_otlp_jsonl,
        ".pb": writing.write_otlp_protobuf,
    }
    write = forms.get(path.suffix)
    if write is None:
        raise InputError(f"cannot tell in which form to write {path}", hint=f"name it {', '.join(forms)}")
    write(path, actual.spans)
    say(f"accepted: {path} is now what you saw as actual", file=sys.stderr)
    return 0


def _repeats(paths: list[Path], compared: set[str], tolerant: bool) -> list[Trace]:
    """The traces of files, and of the trials in a run's folder, where those that are compared may lie too:
    what a trace has in common with itself calibrates nothing."""
    found: list[Trace] = []
    for path in paths:
        if not path.is_dir():
            found += _all(path, tolerant)
            continue
        files = sorted(path.rglob(TRIAL))
        if len({_scenario(file) for file in files}) > 1:
            raise InputError(
                "holds trials of several scenarios, which differ more than the runs of one agent",
                where=str(path),
                hint=f"name the folders of one: {path}/{_scenario(files[0])}-*",
            )
        trials = [trace for file in files for trace in _all(file, tolerant)]
        trials = [trace for trace in trials if trace.trace_id not in compared]
        if not trials:
            raise InputError(f"no other trial with a {TRIAL} lies there", where=str(path))
        found += trials
    return found


def _scenario(file: Path) -> str:
    """A trial's folder is called by its scenario and case, and its number."""
    return file.parent.name.rpartition("-")[0]


def _one(args: argparse.Namespace, path: Path, side: int) -> Trace:
    """The conversation to compare. One id for both files is enough where only one of them holds several."""
    from simulate.trace.conversations import Choice, only, read_conversations

    if args.trace and args.conversation:
        raise InputError("--conversation and --trace choose differently", hint="give one of them")
    given: list[str] = args.trace or args.conversation
    name = given[:2][-1 if side else 0] if given else None
    choice = Choice(trace=name) if args.trace else Choice(conversation=name)
    try:
        return only(read_conversations(path, choice=choice, tolerant=args.tolerant), str(path))
    except TraceFileError:
        found = _all(path, args.tolerant) if len(given) == 1 else []
        if len(found) != 1:
            raise
        return found[0]


def _all(path: Path, tolerant: bool) -> list[Trace]:
    from simulate.trace.conversations import read_conversations

    return read_conversations(path, tolerant=tolerant)


def _tolerance(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in given:
        name, _, number = item.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--tolerance {item}: not NAME=NUMBER") from None
    return found


def _categories(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in CATEGORIES]
    if wrong or not names:
        raise argparse.ArgumentTypeError(f"not a category: {', '.join(wrong) or text!r}")
    return names
