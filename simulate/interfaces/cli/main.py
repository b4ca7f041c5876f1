"""The command line. Each verb is a module, imported only when it is asked for."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import NoReturn

from simulate import stopping
from simulate.errors import Fault, HarnessFault, InputError, SimulateError
from simulate.interfaces.cli import hush, open_standard_streams, say
from simulate.interfaces.cli.verbs import add_verbs
from simulate.model.text import shorten, write_what_fits
from simulate.no_telemetry import switch_off

switch_off()  # before an agent imports what would report

ASCII = "--ascii"
REFUSED = 2
NO_VERDICT = 3
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""What a disk, or the standard output that leads to one, says when nothing can be written."""
PATIENCE = 5.0
"""Seconds for an agent's own threads and exit handlers once all is told."""

VERBS = {
    "run": "run scenario files or folders against an agent",
    "check": "refuse bad files before anything runs; runs nothing",
    "new": "write a first scenario and persona, or make them from a production trace",
    "schema": "print the JSON schema of scenario and persona files",
    "trace": "show, find, convert, price, measure, redact or sample traces",
    "serve": "keep the traces of every day: take them in, find them, read them, make tests of them",
    "traces": "find, show and export traces that a server keeps, and make tests of them",
    "diff": "say what changed between two traces",
    "replay": "run an agent again on a cassette or a production trace",
    "playback": "serve recordings as an OpenAI-compatible server",
    "gate": "hold a run against thresholds and against an earlier run",
    "score": "run evaluators on a trace, a run or a dataset",
    "judge": "hold the judge against labels that people gave",
    "callers": "measure what tells good simulated callers from bad ones",
    "dataset": "keep golden datasets made from traces",
    "runs": "list, show, compare or remove the runs that are kept",
    "open": "open a run's report in the browser",
    "livekit": "install or inspect a local livekit-server",
    "doctor": "say what is installed, what is missing, and what brings it",
}


def module_of(verb: str) -> ModuleType:
    """The module of a verb; that of an integration stands with the integration."""
    place = "integrations.livekit.command" if verb == "livekit" else f"interfaces.cli.{verb}"
    return importlib.import_module(f"simulate.{place}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Exit codes: 0 all passed, 1 the agent failed, 2 refused, 3 no verdict was reached."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except InputError as error:
        _tell(f"refused: {error}")
        return REFUSED
    except Fault as error:
        _tell(f"{error.side} fault: {error}")
        return NO_VERDICT
    except SimulateError as error:
        _tell(f"error: {error}")
        return NO_VERDICT
    except BrokenPipeError:
        hush()
        return 0
    except OSError as error:
        return _no_file(error, arguments)
    except UnicodeEncodeError as error:
        garbled = next((each for each in arguments if not _is_text(each)), None)
        if garbled is None:
            return _our_fault()
        _tell(f"refused: {garbled!a} is not UTF-8: {error.reason}")
        return REFUSED
    except Exception:  # noqa: BLE001 - Python's own exit code for it, 1, would say that the agent failed
        return _our_fault()
    except KeyboardInterrupt:
        say("stopped; what had finished is kept", file=sys.stderr)
        return stopping.STOPPED


def _is_text(argument: str) -> bool:
    """Whether it came as UTF-8; bytes that are none arrive as lone surrogates."""
    return not any("\ud800" <= each <= "\udfff" for each in argument)


def _no_file(error: OSError, arguments: Sequence[str]) -> int:
    """What the system said of a file: refused where the command names it, the environment's where it lies in
    a folder that the command names."""
    if error.errno in NO_ROOM:
        _tell(f"environment fault: cannot write: {error}")
        return NO_VERDICT
    if not isinstance(error.filename, str):
        return _our_fault()
    place = os.path.abspath(error.filename)
    given = {text for each in arguments for text in (each, each.partition("=")[2]) if text}
    named = {os.path.abspath(text) for text in given}
    told = f"{shorten(error.filename, 200)}: {error.strerror}"
    if place in named:
        _tell(f"refused: {told}")
        return REFUSED
    if any(place.startswith(os.path.join(folder, "")) for folder in named):
        _tell(f"environment fault: {told}")
        return NO_VERDICT
    return _our_fault()


def _our_fault() -> int:
    _tell(traceback.format_exc().rstrip())
    say("this is a fault of simulate; please report it with the lines above", file=sys.stderr)
    return NO_VERDICT


def _tell(error: str) -> None:
    """What went wrong, without the password of an address that is named in it."""
    from simulate.masking import without_secrets  # start-up time

    say(without_secrets(error), file=sys.stderr)


def entry() -> NoReturn:
    """The program ``simulate``: also ends where an agent left a thread that does not, and takes with it what
    it started when it is told to end."""
    stopping.listen()
    open_standard_streams()
    code = written(main())

    def give_up() -> None:
        time.sleep(PATIENCE)
        left = [each.name for each in threading.enumerate() if not each.daemon and each.name != "MainThread"]
        say(f"an agent left a thread running ({', '.join(left)}); it is not waited for", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        stopping.by_force(code)

    threading.Thread(target=give_up, daemon=True).start()
    sys.exit(code)


def written(code: int) -> int:
    """The exit code once standard output has taken all that was printed; 3 where it does not."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        hush()
    except OSError as error:
        hush()
        _tell(f"environment fault: cannot write to standard output: {error.strerror}")
        return NO_VERDICT
    return code


def _dispatch(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="simulate",
        description="Simulate callers against your agent, judge, diff and replay what it did.",
    )
    parser.add_argument(
        "--ascii", action="store_true", help="with any verb: write ok, x and - instead of ✓, ✗ and ○"
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    add_verbs(parser, VERBS, module_of)
    # it belongs to no verb, and may stand anywhere
    ascii_only = ASCII in arguments
    for stream in (sys.stdout, sys.stderr):
        write_what_fits(stream, ascii_only=ascii_only)
    args = parser.parse_args([word for word in arguments if word != ASCII])
    if args.version:
        say(version("simulate-agents"))
        return 0
    if args.verb is None:
        parser.print_help()
        return 0
    from simulate.no_code import forbidding  # start-up time

    try:
        with forbidding(getattr(args, "no_code", False)):
            return int(args.execute(args))
    except SystemExit as error:
        from simulate.load_object import own_traceback  # start-up time

        # code of the user's own that runs where nobody waits for it, such as a task that an agent started
        raise HarnessFault(
            f"code of an agent or a check ended the program (SystemExit: {error.code})",
            hint="what had finished is kept; the lines below show where",
            proof=own_traceback(error),
        ) from error


if __name__ == "__main__":
    entry()
