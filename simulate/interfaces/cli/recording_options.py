"""The recordings that `simulate replay` and `simulate playback` answer from, and how they are read."""

from __future__ import annotations

import argparse

from simulate.interfaces.cli import trace_sources
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.loaders import load_source
from simulate.replay.matching.rules import Rules


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare ``SOURCE …`` and what goes with it."""
    parser.add_argument("source", nargs="+", help="cassettes, production traces, or folders of either")
    trace_sources.add_reading_options(parser)
    parser.add_argument("--pace", choices=["instant", "recorded"], default="instant", help="when chunks come")
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="a part of requests to leave out, by its JSON path",
    )
    parser.add_argument("--partial", action="store_true", help="play the part of a source that is complete")
    parser.add_argument("--allow-edited", action="store_true", help="play a cassette that was edited by hand")


def load(args: argparse.Namespace, rules: Rules) -> list[Cassette]:
    """What the arguments name, as cassettes."""
    return load_source(
        *args.source,
        choice=trace_sources.chosen(args),
        partial=args.partial,
        allow_edited=args.allow_edited,
        tolerant=args.tolerant,
        rules=rules,
    )
