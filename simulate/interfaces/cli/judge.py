"""``simulate judge calibrate``: how far the configured judge agrees with labels that people gave."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.interfaces.cli.judge_options import add_judge_options
from simulate.interfaces.cli.output_options import add_json_option
from simulate.interfaces.render.output import write_json
from simulate.llm import Budget
from simulate.model.loading.project import Project
from simulate.model.text import line
from simulate.resources import Resources
from simulate.scoring.evaluators.calibration import Judged, agreement, as_data, by_question, judge_all, load
from simulate.scoring.evaluators.evaluator import NO_JUDGE_HINT
from simulate.scoring.judge import Judge
from simulate.scoring.judge.agreement import SOURCE, WEAK, LabelQuality

MARGIN = 22
SURE = ((0.0, 0.75), (0.75, 0.9), (0.9, 1.01))
"""Ranges of the judge's confidence that are told apart."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(dest="judge_verb", metavar="SUB-VERB", required=True)
    text = "score a labelled set with the configured judge: agreement, confusion, and its weak labels"
    calibrate = verbs.add_parser("calibrate", help=text, description=f"{text[0].upper()}{text[1:]}.")
    add = calibrate.add_argument
    add("file", metavar="LABELLED", type=Path, help="labelled cases: YAML or JSON lines (docs/judge.md)")
    add("--least", metavar="KAPPA", type=float, help="exit code 1 where a question's kappa is below")
    add_json_option(calibrate, "everything")
    add_judge_options(calibrate)


def execute(args: argparse.Namespace) -> int:
    """Exit code 1: agreement is below ``--least``; 3: a case could not be judged."""
    if args.least is not None and not -1 <= args.least <= 1:
        raise InputError(f"--least {args.least:g}: kappa lies between -1 and 1")
    cases = load(args.file, args.prompts)
    judge = _judge(args)
    say(
        f"{len(cases)} cases, two calls each or four if two readings disagree; the judge is "
        f"{judge.model.config.model}",
        file=sys.stderr,
    )
    count = 0

    def done(one: Judged) -> None:
        nonlocal count
        count += 1
        mark = {True: "✓", False: "✗", None: "!"}[one.agrees]
        say(f"{mark} {count}/{len(cases)} {one.case.name}", file=sys.stderr)

    judged = asyncio.run(judge_all(cases, judge, done))
    write_json(as_data(judged, judge.model.config.model), args.json, indent=True)
    if args.json != "-":
        sys.stdout.writelines(f"{line}\n" for line in told(judged, judge.model.config.model))
    return _exit_code(list(by_question(judged).values()), args.least)


def _judge(args: argparse.Namespace) -> Judge:
    """The configured judge. Raises InputError where there is none."""
    if args.prompts is not None and not args.prompts.is_dir():
        raise InputError("--prompts names no folder", where=str(args.prompts))
    configured = Resources(Project.find(Path.cwd()), []).judge
    if configured is None:
        raise InputError("no model is configured to judge", hint=NO_JUDGE_HINT)
    budget = None if args.judge_calls is None else Budget(calls=args.judge_calls)
    return Judge(configured.model.config, cache=args.judge_cache, prompts=args.prompts, budget=budget)


def _exit_code(questions: Sequence[Sequence[Judged]], least: float | None) -> int:
    if least is not None:
        for judged in questions:
            beyond = agreement(judged).kappa()
            if beyond is not None and beyond.value < least:
                return 1
            if beyond is None and any(one.agrees is False for one in judged):
                return 1
    return 3 if any(one.fault is not None for judged in questions for one in judged) else 0


def told(judged: Sequence[Judged], model: str) -> Iterator[str]:
    """All of it for people, line by line."""
    yield f"{line(model)} beside people"
    for name, found in by_question(judged).items():
        yield ""
        yield from _question(name, found)
    faults = [one for one in judged if one.fault is not None]
    for one in faults:
        assert one.fault is not None
        why = f"{one.fault.side} fault: {line(one.fault.message, 300)}"
        yield f"  ! {one.case.where} {line(one.case.name)}: {why}"
    yield ""
    yield f"kappa: {SOURCE}; shares: Wilson 1927; 95 % intervals"


def _question(name: str, judged: Sequence[Judged]) -> Iterator[str]:
    found = agreement(judged)
    lost = len(judged) - len(found.pairs)
    yield f"{name}: {len(judged)} cases" + (f", {lost} without a judgement" if lost else "")
    if not found.pairs:
        return
    share, low, high = found.share
    among = f"{found.agreed} of {len(found.pairs)}"
    yield f"  {'agreement':<{MARGIN}}{share:.2f}  ({low:.2f} to {high:.2f}): {among}"
    beyond = found.kappa()
    if beyond is None:
        yield f"  {'kappa':<{MARGIN}}none: there is one label only, so that chance alone would agree"
    else:
        within = "one side gives one label only, so that its interval is not known"
        if beyond.low is not None and beyond.high is not None:
            within = f"{beyond.low:.2f} to {beyond.high:.2f}"
        yield f"  {'kappa':<{MARGIN}}{beyond.value:.2f}  ({within})"
    yield ""
    width = max(11, *(len(label) for label in found.labels)) + 2
    yield f"  {'people ↓   judge →':<{MARGIN}}" + "".join(f"{label:>{width}}" for label in found.labels)
    for label, row in zip(found.labels, found.matrix(), strict=True):
        yield f"  {label:<{MARGIN}}" + "".join(f"{count or '·':>{width}}" for count in row)
    yield ""
    yield from _weak(found.qualities())
    yield from _confidence(judged)
    yield from _disagreements(judged)


def _weak(qualities: Sequence[LabelQuality]) -> Iterator[str]:
    for one in qualities:
        if not one.weak:
            continue
        said: list[str] = []
        if one.recall is not None and one.recall < WEAK:
            instead = f", mostly taken for “{one.taken_for}”" if one.taken_for else ""
            said.append(f"found {one.found} of {one.given}{instead}")
        if one.precision is not None and one.precision < WEAK:
            said.append(f"right {one.found} of {one.judged} times")
        yield f"  weak: “{one.label}”: {'; '.join(said)}"
    if not any(one.weak for one in qualities):
        yield f"  no label is weak (found, and right, {WEAK:.0%} of the time or more)"


def _confidence(judged: Sequence[Judged]) -> Iterator[str]:
    """How often it is right where it says how sure it is: one that is sure and wrong cannot be gated on."""
    known = [
        (one.judgement.confidence, one.agrees)
        for one in judged
        if one.judgement is not None and one.judgement.confidence is not None
    ]
    parts: list[str] = []
    for low, high in SURE:
        within = [right for sure, right in known if low <= sure < high]
        if within:
            parts.append(f"{low:g}–{min(high, 1):g}: {sum(map(bool, within))} of {len(within)}")
    if parts:
        methods = sorted({one.judgement.method for one in judged if one.judgement is not None})
        yield f"  right where its confidence ({', '.join(methods)}) is {', '.join(parts)}"


def _disagreements(judged: Sequence[Judged]) -> Iterator[str]:
    for one in judged:
        if one.agrees is not False or one.judgement is None:
            continue
        labels = f"people “{one.case.labelled.label}”, judge “{one.judgement.label}”"
        yield f"  ✗ {one.case.where} {line(one.case.name)}: {labels}: {line(one.judgement.reason, 200)}"
