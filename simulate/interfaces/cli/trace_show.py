"""``simulate trace show``: the tree of a trace, readable on 80 columns; as JSON; as a page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import asdict
from typing import Any

from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.render.html import write_trace_html
from simulate.interfaces.render.trace_tree import TreeOptions, lines
from simulate.trace.filter import Filter, parse
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace
from simulate.trace.tree import Tree, build

WIDEST = 10_000
"""Columns."""
_COLOURS = {
    "error": "31",
    "dim": "2",
    "kind:LLM": "35",
    "kind:TOOL": "33",
    "kind:AGENT": "36",
    "kind:RETRIEVER": "34",
    "kind:UNKNOWN": "2",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser, by_trace=True)
    parser.add_argument(
        "--filter",
        metavar="QUERY",
        help="'kind=TOOL name~refund duration>1s error': these spans and what is above them",
    )
    parser.add_argument("--content", action="store_true", help="with what was asked, answered and given back")
    parser.add_argument("--all", action="store_true", help="each step of transport on a line of its own")
    parser.add_argument("--json", action="store_true", help="the canonical spans, one JSON object a line")
    parser.add_argument("--html", metavar="FILE", help="write the waterfall as a page")
    parser.add_argument("--width", type=int, metavar="N", help="columns (default: the terminal's, or 80)")


def execute(args: argparse.Namespace) -> int:
    """Exit code 0; a filter that finds nothing is 0 too, since looking is not a judgement."""
    query = parse(args.filter) if args.filter is not None else None
    mask = SecretMask()
    traces = [mask.trace(each) for each in trace_sources.conversations(args)]
    if args.html:
        write_trace_html(args.html, traces)
        say(f"wrote {args.html}", file=sys.stderr)
    if args.json:
        for trace in traces:
            _print_json(trace, query)
    elif not args.html:
        for at, trace in enumerate(traces):
            if at:
                say()
            _print_tree(trace, query, args)
    return 0


def _print_tree(trace: Trace, query: Filter | None, args: argparse.Namespace) -> None:
    tree = build(trace)
    reading = TraceReading(Trace(trace.trace_id, [node.span for node in tree]))
    only = None if query is None else _with_ancestors(tree, query)
    terminal = sys.stdout.isatty()
    columns = args.width or (shutil.get_terminal_size((80, 24)).columns if terminal else 80)
    paint = _painted if terminal and "NO_COLOR" not in os.environ else _plain
    facts = TreeOptions(
        reading, min(max(40, columns), WIDEST), only,
        fold=query is None and not args.all, content=args.content, paint=paint,
    )  # fmt: skip
    for line in lines(tree, facts):
        say(line)
    if only is not None and not only:
        say("no span matches")


def _with_ancestors(tree: Tree, query: Filter) -> set[int]:
    found = {id(span) for span in query.find(tree)}
    shown: set[int] = set()
    for node in tree:
        if id(node.span) in found:
            above = node
            while above is not None and id(above) not in shown:
                shown.add(id(above))
                above = above.parent
    return shown


def _print_json(trace: Trace, query: Filter | None) -> None:
    import orjson

    tree = build(trace)
    reading = TraceReading(Trace(trace.trace_id, [node.span for node in tree]))
    wanted = None if query is None else {id(span) for span in query.find(tree)}
    for node in tree:
        if wanted is not None and id(node.span) not in wanted:
            continue
        view = {
            key: value
            for key, value in asdict(reading.view(node.span)).items()
            if value not in (None, [], {})
        }
        record: dict[str, Any] = asdict(node.span)
        record |= {
            "duration": node.span.duration,
            "depth": node.depth,
            "placement": node.placement,
            "view": view,
        }
        print(orjson.dumps(record, default=_jsonable, option=orjson.OPT_NON_STR_KEYS).decode())


def _jsonable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def _painted(text: str, style: str) -> str:
    colour = _COLOURS.get(style)
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _plain(text: str, style: str) -> str:
    return text
