"""``simulate trace quality``: how good the traces are, by seven signals, with an exit code for CI."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulate.errors import InputError
from simulate.interfaces.cli import trace_sources
from simulate.interfaces.cli.output_options import add_json_option
from simulate.interfaces.render.output import write_json
from simulate.interfaces.render.trace_tree import shown
from simulate.model.shapes import is_object
from simulate.model.text import counted, dollars
from simulate.trace.quality import Quality, Signal


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser)
    parser.add_argument(
        "--requests", metavar="N|FILE", help="how many requests there were, or a file of their trace ids"
    )
    parser.add_argument(
        "--feedback", metavar="FILE", help="users' answers as JSON lines, joined by trace, session or user id"
    )
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="judge a signal by another value; NAME=off",
    )
    add_json_option(parser, "the signals")


def execute(args: argparse.Namespace) -> int:
    """Exit code 1 where a measured signal misses its threshold."""
    quality = Quality(_thresholds(args.threshold))
    requests = None if args.requests is None else _requests(args.requests)
    feedback = None if args.feedback is None else _json_lines(args.feedback)
    for trace in trace_sources.traces(args):
        quality.add(trace)
    signals = quality.signals(requests, feedback)
    write_json([{**asdict(one), "passed": one.passed} for one in signals], args.json, indent=True)
    if args.json != "-":
        sys.stdout.write("".join(_told(signal) for signal in signals))
    return 1 if any(signal.passed is False for signal in signals) else 0


def _told(signal: Signal) -> str:
    verdict = {True: "ok  ", False: "LOW ", None: "    "}[signal.passed]
    if signal.passed is False and signal.name in {"latency", "ttft", "cost", "feedback"}:
        verdict = "HIGH"
    figure = "not measured" if signal.figure is None else f"{signal.figure:.4g}"
    limit = "" if signal.threshold is None else f"  (threshold {signal.threshold:g})"
    lines = [f"{verdict} {signal.name:<13}{figure}{limit}", f"     {signal.reason or signal.definition}"]
    lines += [f"       {one}" for one in _details(signal)]
    lines += [f"       - {one}" for one in signal.worst]
    return "".join(f"{shown(line)}\n" for line in lines)


MOST = 5
"""Routes, versions, cohorts and evaluators that are told; ``--json`` has them all."""


def _details(signal: Signal) -> list[str]:
    """The figure taken apart, where that says more than the figure."""
    found = signal.details
    if signal.name in ("latency", "ttft"):
        slow = sorted(found.items(), key=lambda item: -(item[1]["p99"] or 0))
        return [f"{route}: {_percentiles(told)}" for route, told in slow[:MOST]] + _more(len(slow))
    if signal.name == "cost" and signal.figure is not None:
        lines = [f"p50 {dollars(found['p50'])}, p99 {dollars(found['p99'])}, {found['outliers']} above p99"]
        if found["unknown_price"]:
            lines.append(f"of {found['unknown_price']} more the price is not known")
        for key in ("prompt_version", "cohort"):
            sums = sorted(found[f"by_{key}"].items(), key=lambda item: -(item[1] or 0))
            lines += [f"{key.replace('_', ' ')} {name}: {dollars(spent)}" for name, spent in sums[:MOST]]
        return lines
    if signal.name == "attachment":
        means = [f"{name}: {told['mean']:.3g} over {told['results']}" for name, told in found.items()]
        return means[:MOST] + _more(len(means))
    return []


def _percentiles(told: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{p} {told[p]:.3g} s" for p in ("p50", "p95", "p99") if told[p] is not None)
    count = told.get("traces")
    about = [counted(count, "trace")] if count is not None else []
    about += [f"slowest kind {told['slowest_kind']}"] if told.get("slowest_kind") else []
    return f"{figures} ({', '.join(about)})" if about else figures


def _more(count: int) -> list[str]:
    return [f"and {count - MOST} more"] if count > MOST else []


def _thresholds(given: list[str]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = None if value == "off" else float(value)
        except ValueError:
            raise InputError(f"not a threshold: {one!r}", hint="write NAME=NUMBER or NAME=off") from None
    return found


def _requests(given: str) -> int | set[str]:
    if given.isdigit():
        return int(given)
    found: set[str] = set()
    for line in _lines(given):
        if line.startswith("{"):
            record = _object(line, given)
            value = record.get("trace_id") or record.get("traceId") or record.get("trace.id")
            if not value:
                raise InputError("a request without trace_id", where=given, hint="each line needs a trace id")
            found.add(str(value))
        else:
            found.add(line.split(",")[0].strip())
    return found


def _json_lines(path: str) -> list[Mapping[str, Any]]:
    return [_object(line, path) for line in _lines(path)]


def _lines(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read it: {error}", where=path) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _object(line: str, path: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise InputError(f"not JSON: {line[:60]!r}: {error}", where=path) from error
    if not is_object(record):
        raise InputError(f"not a JSON object: {line[:60]!r}", where=path)
    return record
