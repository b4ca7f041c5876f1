"""The command line. Each verb is a module of `simulate.commands`, imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from simulate.errors import Fault, InputError, SimulateError

REFUSED = 2
NO_VERDICT = 3

VERBS = {
    "run": "run scenario files or folders against an agent",
    "check": "refuse bad files before anything runs; runs nothing",
    "new": "write a first scenario and persona, or make them from a production trace",
    "schema": "print the JSON schema of scenario and persona files",
    "trace": "show, convert, measure, redact or sample traces",
    "diff": "say what changed between two traces",
    "replay": "run an agent again on a cassette or a production trace",
    "playback": "serve recordings as an OpenAI-compatible server",
    "score": "run evaluators on a trace, a run or a dataset",
    "dataset": "keep golden datasets made from traces",
    "open": "open a run's report in the browser",
    "livekit": "install or inspect a local livekit-server",
    "doctor": "say what is installed, what is missing, and what brings it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Exit codes: 0 all passed, 1 the agent failed, 2 refused, 3 no verdict was reached."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except InputError as error:
        print(f"refused: {error}", file=sys.stderr)
        return REFUSED
    except Fault as error:
        print(f"{error.side} fault: {error}", file=sys.stderr)
        return NO_VERDICT
    except SimulateError as error:
        print(f"error: {error}", file=sys.stderr)
        return NO_VERDICT
    except KeyboardInterrupt:
        print("stopped; what had finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of a pipe (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(arguments: list[str]) -> int:
    verb = next((word for word in arguments if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="simulate",
        description="Simulate callers against your agent, judge, diff and replay what it did.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for name, text in VERBS.items():
        # parsing one verb needs its module only; the others are there for --help and for near misses
        sub = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == verb:
            module = importlib.import_module(f"simulate.commands.{name}")
            module.configure(sub)
            sub.set_defaults(execute=module.execute)
    args = parser.parse_args(arguments)
    if args.version:
        from importlib.metadata import version

        print(version("simulate-agents"))
        return 0
    if args.verb is None:
        parser.print_help()
        return 0
    return int(args.execute(args))


if __name__ == "__main__":
    sys.exit(main())
