"""``simulate trace sample``: keep the traces that matter, and a thin baseline of the rest."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator

from simulate.errors import InputError
from simulate.interfaces.cli import trace_sources
from simulate.trace.files import documents
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.sampling import Rule, Sampler, sample
from simulate.trace.span import Span, Trace


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser)
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="the kept traces, as OTLP JSON lines"
    )
    parser.add_argument(
        "--baseline",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="share of healthy traces to keep (default 0.02)",
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="ATTRIBUTE[=VALUE]:SHARE",
        help="another share for these traces",
    )
    parser.add_argument(
        "--below",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="least score of an evaluator that sets none",
    )
    parser.add_argument(
        "--outliers",
        type=float,
        default=99.0,
        metavar="P",
        help="keep costs above this percentile (default 99; 100: none)",
    )


def execute(args: argparse.Namespace) -> int:
    """Write the kept traces and say on stderr why each group was kept."""
    if "-" in args.files:
        raise InputError("stdin cannot be sampled: the files are read twice", hint="write it to a file first")
    for file in documents.sources(*args.files):
        if os.path.realpath(str(file)) == os.path.realpath(args.out):
            raise InputError("what is kept must not replace what it is chosen from", where=args.out)
    if not 0 < args.outliers <= 100:
        raise InputError(f"a percentile lies between 0 and 100, not {args.outliers}")
    sampler = Sampler(args.baseline, [Rule.parse(text) for text in args.rule], least=_least(args.below))
    why: Counter[str] = Counter()
    read: set[str] = set()

    def traces() -> Iterator[Trace]:
        for trace in trace_sources.traces(args):
            read.add(trace.trace_id)
            yield trace

    def kept() -> Iterator[Span]:
        for trace, reason in sample(traces, sampler, args.outliers if args.outliers < 100 else None):
            why[reason] += 1
            yield from trace.spans

    write_otlp_jsonl(args.out, kept())
    reasons = ", ".join(f"{count} {reason}" for reason, count in why.most_common()) or "none"
    sys.stderr.write(f"kept {why.total()} of {len(read)} traces: {reasons}\n")
    return 0


def _least(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError(f"not a threshold: {one!r}", hint="write NAME=NUMBER") from None
    return found
