"""``--gate`` and what belongs to it, the same for every verb that has a run to hold against a gate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.interfaces.cli.output_options import add_json_option, add_junit_option

if TYPE_CHECKING:
    from simulate.scoring.gate import Decision, Gate


def add_gate_options(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    add = parser.add_argument
    add(
        "--gate", metavar="FILE", help="thresholds to hold the run against; exit code 1 where one is breached"
    )
    add("--baseline", metavar="RUN", help="the run to compare with")
    add("--gate-markdown", metavar="FILE", help="write the gate's summary, as for a pull request")
    add_junit_option(parser, "the gate, a test case for each rule,", "--gate-junit")
    add_json_option(parser, "the gate's decision", "--gate-json")


def check_gate(args: argparse.Namespace) -> Gate | None:
    """Read the gate before anything runs or a judge is paid; None where no gate is asked for."""
    if args.gate is None:
        for option in ("baseline", "gate_markdown", "gate_junit", "gate_json"):
            if getattr(args, option) is not None:
                told = f"--{option.replace('_', '-')} belongs to a gate, and there is none"
                raise InputError(told, hint="name it with --gate FILE")
        return None
    if args.gate_json == "-" and getattr(args, "json", None) == "-":
        raise InputError("--json - and --gate-json - both want standard output", hint="name a file for one")
    from simulate.run_folder import find_run
    from simulate.scoring.gate import load_gate

    gate = load_gate(args.gate)
    if args.baseline is not None:
        find_run(args.baseline)
    elif gate.needs_baseline:
        raise InputError(
            f"these rules compare with an earlier run: {', '.join(gate.needs_baseline)}",
            where=str(args.gate),
            hint="name it with --baseline RUN",
        )
    return gate


def hold(
    args: argparse.Namespace,
    gate: Gate,
    run: Path,
    results: Mapping[str, Sequence[Any]] | None = None,
    baseline_results: Mapping[str, Sequence[Any]] | None = None,
) -> int:
    """Hold a finished run against a gate, say what came of it, and return the exit code.

    ``results`` are evaluators' results by `Outcome.key`; without them, the run's own ``scores:`` count."""
    from simulate.run_folder import find_run
    from simulate.scoring.gate import decide, measured_run

    baseline = None if args.baseline is None else measured_run(find_run(args.baseline), baseline_results)
    return tell(args, decide(gate, measured_run(run, results), baseline))


def tell(args: argparse.Namespace, decision: Decision) -> int:
    """Write and say what a gate decided, and return the exit code."""
    from simulate.interfaces.render.gate import markdown, to_dict
    from simulate.interfaces.render.junit import gate_junit
    from simulate.interfaces.render.output import write_json
    from simulate.model.whole_file import write_whole

    text = markdown(decision)
    if args.gate_markdown:
        write_whole(args.gate_markdown, text.encode())
    if args.gate_junit:
        write_whole(args.gate_junit, gate_junit(decision))
    write_json(to_dict(decision), args.gate_json)
    if args.gate_json != "-":
        # standard output may be for machines
        say(text, end="", file=sys.stderr if getattr(args, "json", None) == "-" else sys.stdout)
    return decision.exit_code
