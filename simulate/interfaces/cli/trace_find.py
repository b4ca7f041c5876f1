"""``simulate trace find``: which of many traces are so, in a table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from simulate.errors import InputError, TraceFileError
from simulate.interfaces.cli import say, trace_sources
from simulate.interfaces.cli.verbs import add_search_options
from simulate.interfaces.render.trace_tree import clip, shown
from simulate.model.text import dollars
from simulate.trace.conversations import ALL
from simulate.trace.filter import parse
from simulate.trace.find import Bound, KeptFacts, Query, Summary, TraceSearch, moment
from simulate.trace.find_apart import latest_of, search_apart
from simulate.trace.find_index import NAME, indexed
from simulate.trace.mixed import mixed
from simulate.trace.redaction.mask import SecretMask


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    trace_sources.configure(parser)
    add_search_options(parser)
    parser.add_argument(
        "--filter", metavar="QUERY", help="has a span like this: 'kind=LLM output_tokens>10000'"
    )
    parser.add_argument(
        "--index", action="store_true",
        help=f"keep what is asked of the traces of a folder in {NAME} there, and look there next time",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object a line, as they are found")


def execute(args: argparse.Namespace) -> int:
    """Exit code 0, also where nothing is found: looking is not a judgement."""
    search = TraceSearch(_query(args))
    several: list[str] = []
    summaries, count = _found(args, search)
    if args.json:
        mask = SecretMask()
        for each in _noting(summaries, several):
            say(json.dumps(mask.value(asdict(each))))
    else:
        sys.stdout.writelines(_table(list(_noting(summaries, several)), count))
    for note in several[:5]:
        say(f"! {shown(note)}", file=sys.stderr)
    if len(several) > 5:
        say(f"! {len(several) - 5} more traces hold several conversations", file=sys.stderr)
    for reason, count in search.undecided.items():
        say(
            f"! {count} of {search.looked_at} traces left out: they do not tell {_TOLD[reason]}",
            file=sys.stderr,
        )
    return 0


def _found(args: argparse.Namespace, search: TraceSearch) -> tuple[Iterable[Summary], int]:
    """What the table or the JSON shows, and how many traces are so, as far as that is known."""
    if not args.index and trace_sources.chosen(args) == ALL:
        skipped: list[TraceFileError] = []
        limit = None if args.json else args.limit
        found = search_apart(search, args.files, limit=limit, tolerant=args.tolerant, skipped=skipped)
        if found is not None:
            trace_sources.tell(skipped)
            return found
    facts = search.among(_indexed(args) if args.index else trace_sources.traces(args))
    return ((each.summary for each in facts), 0) if args.json else latest_of(facts, args.limit)


def _noting(found: Iterable[Summary], several: list[str]) -> Iterator[Summary]:
    """The same, with a note of each trace that holds more than one conversation."""
    mask = SecretMask()
    for each in found:
        if each.several:
            several.append(mask.text(mixed(each.trace_id, each.several)))
        yield each


def _indexed(args: argparse.Namespace) -> list[KeptFacts]:
    folder = Path(args.files[0])
    if len(args.files) > 1 or not folder.is_dir():
        raise InputError(
            "an index is kept in one folder", where="--index", hint="name the folder of the traces"
        )
    if args.filter is not None or args.conversation is not None:
        given = "--filter" if args.filter is not None else "--conversation"
        raise InputError(f"{given} looks at spans, which an index does not keep", hint="leave out --index")
    skipped: list[TraceFileError] = []
    found = indexed(folder, tolerant=args.tolerant, skipped=skipped)
    trace_sources.tell(skipped)
    return found


_TOLD = {
    "no time": "when they began",
    "no cost": "what they cost",
    "whether the tool was called": "whether the tool was called",
}


def _query(args: argparse.Namespace) -> Query:
    return Query(
        args.user,
        args.session,
        args.tenant,
        None if args.since is None else moment(args.since, "--since"),
        None if args.until is None else moment(args.until, "--until"),
        args.tool,
        args.error,
        None if args.cost is None else Bound.parse(args.cost, "--cost", named=False),
        tuple(Bound.parse(one, "--score", named=True) for one in args.score),
        None if args.filter is None else parse(args.filter),
    )


def _table(latest: Sequence[Summary], count: int) -> Iterator[str]:
    from rich.cells import cell_len, set_cell_size

    if not latest:
        yield "no trace is like that\n"
        return
    zone = datetime.now().astimezone().strftime("%Z")
    table: list[tuple[str, ...]] = [("began " + zone, "user", "models", "cost", "status", "trace", "file")]
    table += [_cells(each) for each in latest]
    widths = [max(cell_len(row[at]) for row in table) for at in range(len(table[0]))]
    for row in table:
        cells = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip() + "\n"
    if count > len(latest):
        yield f"and {count - len(latest)} more; --limit shows more of them\n"


def _cells(each: Summary) -> tuple[str, ...]:
    mask = SecretMask()
    began = "–"
    if each.start_ns is not None:
        began = datetime.fromtimestamp(each.start_ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return (
        began,
        clip(shown(mask.text(each.user or "–")), 20),
        clip(shown(", ".join(each.models) or "–"), 28),
        "–" if each.dollars is None else dollars(each.dollars),
        "ok" if each.failing is None else clip(f"failed: {shown(mask.text(each.failing))}", 36),
        shown(each.trace_id),
        shown(each.source or ""),
    )
