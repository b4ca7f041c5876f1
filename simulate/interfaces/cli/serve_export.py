"""``simulate serve export``: what a store knows of its traces, for a data lake."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from simulate.interfaces.cli import say
from simulate.interfaces.cli.serve import add_store_option, open_store


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="where the Parquet files go"
    )
    add_store_option(parser)


def execute(args: argparse.Namespace) -> int:
    """Write traces.parquet, spans.parquet, tags.parquet and scores.parquet."""
    store: Any = open_store(args.store)
    from simulate.server.store.parquet import export

    try:
        for path, rows in export(store, args.out):
            say(f"{path}: {rows:,} rows")
        store.audit("command line", "export", f"all traces to {args.out}")
    finally:
        store.close()
    return 0
