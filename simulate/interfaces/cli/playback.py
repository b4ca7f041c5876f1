"""``simulate playback SOURCE``: recordings as an OpenAI-compatible server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from simulate.interfaces.cli import recording_options, say
from simulate.interfaces.render.output import write_json
from simulate.replay.matching.rules import default_rules
from simulate.replay.serving.server import PlaybackServer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    recording_options.configure(parser)
    parser.add_argument("--port", type=int, default=0, help="listen on this port (default: a free one)")
    parser.add_argument(
        "--policy", choices=["fail", "stop", "nearest"], default="fail", help="what a miss gets"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what was asked for, as JSON, at the end"
    )


def execute(args: argparse.Namespace) -> int:
    """Serve until interrupted; exit code 1 when a request diverged or a recording was left."""
    rules = default_rules(ignore=tuple(args.ignore))
    cassettes = recording_options.load(args, rules)
    server = PlaybackServer(cassettes, rules=rules, policy=args.policy, pace=args.pace)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server, args.port))
    reports = server.reports()
    for report in reports:
        say(report.explain(), file=sys.stderr)
    if args.report is not None:
        write_json([report.as_dict() for report in reports], str(args.report), indent=True)
    return 0 if all(report.passed for report in reports) else 1


async def _serve(server: object, port: int) -> None:
    assert isinstance(server, PlaybackServer)
    over = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows knows no signal handlers in a loop
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with server.serve(port):
        say(f"export OPENAI_BASE_URL={server.base_url}", flush=True)
        say(f"export ANTHROPIC_BASE_URL={server.root_url}", flush=True)
        await over.wait()
