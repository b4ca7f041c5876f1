"""``simulate serve import``: traces that are there already, into a store or to a server."""

from __future__ import annotations

import argparse
import sys
import time

from simulate.interfaces.cli import say
from simulate.interfaces.cli.serve import add_store_option, open_store
from simulate.interfaces.cli.traces import add_key_option, client


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="trace files, folders of them, or runs")
    add_store_option(parser)
    parser.add_argument(
        "--to", metavar="URL", help="send them to a server instead, such as http://127.0.0.1:4318"
    )
    add_key_option(parser)


def execute(args: argparse.Namespace) -> int:
    """Exit code 0 once all of them are kept."""
    from simulate.server.sources import as_otlp, traces_of

    found = (trace for source in args.source for trace in traces_of(source))
    traces = spans = 0
    if args.to is not None:
        server = client(args.to, args.key)
        for trace in found:
            spans += server.send(as_otlp(trace.spans))
            traces += 1
    else:
        store = open_store(args.store)
        from simulate.server.assembler import put_away_all
        from simulate.server.store import Store
        from simulate.server.store.incoming import put, span_row

        assert isinstance(store, Store)
        redactor = store.redactor()
        for trace in found:
            clean = [redactor.span(span) for span in as_otlp(trace.spans)]
            put(store, [span_row("default", clean[0].trace_id, clean, time.time_ns())] if clean else [])
            traces, spans = traces + 1, spans + len(clean)
            if not traces % 200:
                put_away_all(store)
        put_away_all(store)
        store.close()
    say(f"{traces} traces, {spans} spans", file=sys.stderr)
    return 0
