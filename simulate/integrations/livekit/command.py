"""``simulate livekit install`` and ``status``: the livekit-server for rooms on this machine."""

from __future__ import annotations

import argparse
import os
import sys

from simulate.integrations.livekit.server import VERSION, find_server, install, version_of


def configure(parser: argparse.ArgumentParser) -> None:
    """The two sub-verbs."""
    verbs = parser.add_subparsers(dest="livekit_verb", metavar="SUB-VERB", required=True)
    for name, text, run in (
        ("install", "build the pinned livekit-server into the cache folder, unless there is one", _install),
        ("status", "say which livekit-server would be used, and how", _status),
    ):
        sub = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(run_livekit_verb=run)
        if name == "install":
            sub.add_argument("--force", action="store_true", help="build even if there is one on PATH")


def execute(args: argparse.Namespace) -> int:
    """Run the sub-verb."""
    return int(args.run_livekit_verb(args))


def _install(args: argparse.Namespace) -> int:
    # numpy, which `simulate --help` does without
    found = find_server()
    if found is not None and not args.force:
        print(f"livekit-server {version_of(found)}: {found}")
        return 0
    print(install(lambda line: print(line, file=sys.stderr, flush=True)))
    return 0


def _status(args: argparse.Namespace) -> int:
    url = os.environ.get("LIVEKIT_URL")
    if url:
        missing = [name for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET") if not os.environ.get(name)]
        print(f"LIVEKIT_URL is set, so rooms are opened at {url}")
        if missing:
            print(f"but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
        return 2 if missing else 0
    found = find_server()
    if found is None:
        print("there is no livekit-server; `simulate livekit install` builds one")
        return 3
    version = version_of(found)
    other = "" if version == VERSION else f" (this package is tested with {VERSION})"
    print(f"livekit-server {version}{other}: {found}")
    print("rooms are opened on this machine, at 127.0.0.1, for the time of a run")
    return 0
