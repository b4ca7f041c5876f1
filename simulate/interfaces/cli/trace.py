"""``simulate trace``: one module a sub-verb, ``trace_<sub-verb>.py``."""

from __future__ import annotations

import argparse
import importlib

HELP = "show, find, convert, price, measure, redact or sample traces"

SUB_VERBS = ("show", "find", "convert", "cost", "quality", "redact", "sample")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs; their modules import what is heavy when they run."""
    verbs = parser.add_subparsers(dest="trace_verb", metavar="SUB-VERB", required=True)
    for name in SUB_VERBS:
        module = importlib.import_module(f"simulate.interfaces.cli.trace_{name}")
        sub = verbs.add_parser(
            name, help=module.HELP, description=f"{module.HELP[0].upper()}{module.HELP[1:]}."
        )
        module.configure(sub)
        sub.set_defaults(run_trace_verb=module.execute)


def execute(args: argparse.Namespace) -> int:
    """Run the sub-verb."""
    return int(args.run_trace_verb(args))
