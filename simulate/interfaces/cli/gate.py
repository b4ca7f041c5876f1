"""``simulate gate RUN``: hold a run that is there against a gate, and compare it with the run before."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from simulate.errors import InputError
from simulate.interfaces.cli import say
from simulate.interfaces.cli.gate_options import add_gate_options, check_gate, hold, tell
from simulate.run_folder import find_run
from simulate.scoring.gate import decide, load_gate

if TYPE_CHECKING:
    from simulate.scoring.gate import Gate


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``--gate`` everywhere, and the run."""
    parser.add_argument(
        "run", nargs="?", default="latest", metavar="RUN", help="a run's folder or id (default: the latest)"
    )
    add_gate_options(parser)
    parser.add_argument(
        "--server", metavar="URL",
        help="hold the traces that a server keeps against the gate, in place of a run: see simulate serve",
    )  # fmt: skip
    parser.add_argument("--filter", metavar="QUERY", help="which of them: prompt=v4")
    parser.add_argument("--since", default="7d", metavar="WHEN", help="those that began then or later (7d)")
    parser.add_argument("--example", action="store_true", help="print a gate with all that it can hold")
    parser.set_defaults(gate="gate.yaml")


def execute(args: argparse.Namespace) -> int:
    """Exit code 1: a rule is broken; 3: too few conversations came to a verdict."""
    if args.example:
        from importlib.resources import files

        say((files("simulate.scoring.gate") / "example.yaml").read_text("utf-8"), end="")
        return 0
    if args.server is not None:
        return _hold_server(args, load_gate(args.gate))
    gate = check_gate(args)
    assert gate is not None  # the option has a default
    return hold(args, gate, find_run(None if args.run == "latest" else args.run))


def _hold_server(args: argparse.Namespace, gate: Gate) -> int:
    """The gate's word on what happened in production."""
    from simulate.interfaces.cli.traces import client
    from simulate.server.production import measured_on

    server = client(args.server, None)
    if gate.needs_baseline:
        raise InputError(
            f"these rules compare case by case: {', '.join(gate.needs_baseline)}; "
            "no two traces of production are one case",
            hint="give at_least or at_most, and hold each prompt version against it",
        )
    return tell(args, decide(gate, measured_on(server, args.filter or "", args.since), None))
