"""``simulate gate RUN``: hold a run that is there against a gate, and compare it with the run before."""

from __future__ import annotations

import argparse

from simulate.interfaces.cli import say
from simulate.interfaces.cli.gate_options import add_gate_options, check_gate, hold
from simulate.run_folder import find_run


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``--gate`` everywhere, and the run."""
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="a run's folder or id (default: the latest)"
    )
    add_gate_options(parser)
    parser.add_argument("--example", action="store_true", help="print a gate with all that it can hold")
    parser.set_defaults(gate="gate.yaml")


def execute(args: argparse.Namespace) -> int:
    """Exit code 1: a rule is broken; 3: too few conversations came to a verdict."""
    if args.example:
        from importlib.resources import files

        say((files("simulate.scoring.gate") / "example.yaml").read_text("utf-8"), end="")
        return 0
    gate = check_gate(args)
    assert gate is not None  # the option has a default
    return hold(args, gate, find_run(None if args.run == "latest" else args.run))
