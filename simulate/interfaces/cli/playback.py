"""``simulate playback SOURCE``: recordings as an OpenAI-compatible server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.render.output import write_json
from simulate.replay.loaders import load_source
from simulate.replay.matching.divergence import PACES
from simulate.replay.matching.rules import default_rules
from simulate.replay.serving.server import PlaybackServer


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("source", nargs="+", help="cassettes, production traces, or folders of either")
    parser.add_argument("--port", type=int, default=0, help="listen on this port (default: a free one)")
    parser.add_argument(
        "--policy", choices=["fail", "stop", "nearest"], default="fail", help="what a miss gets"
    )
    parser.add_argument(
        "--pace",
        choices=PACES,
        default="ordered",
        help="when answers come (default: ordered: at once, and those that overlapped in the order they had)",
    )
    trace_sources.add_reading_options(parser)
    parser.add_argument("--partial", action="store_true", help="play the part of a source that is complete")
    parser.add_argument("--allow-edited", action="store_true", help="play a cassette that was edited by hand")
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="a part of requests to leave out, by its JSON path",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what was asked for, as JSON, at the end"
    )


def execute(args: argparse.Namespace) -> int:
    """Serve until interrupted; exit code 1 when a request diverged or a recording was left."""
    rules = default_rules(ignore=tuple(args.ignore))
    cassettes = load_source(
        *args.source,
        choice=trace_sources.chosen(args),
        partial=args.partial,
        allow_edited=args.allow_edited,
        tolerant=args.tolerant,
        rules=rules,
    )
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
