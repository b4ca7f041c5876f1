"""`simulate trace find` over a folder of many files, beside only reading the same files; and with its index.

    python -m benchmarks.find [--files 2000] [--spans 20]

All are measured in one run, one after the other, so that what else the machine does weighs on each alike.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reading import spans
from simulate.trace.files.reader import iter_traces
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.filter import parse
from simulate.trace.find import Bound, Query, TraceSearch
from simulate.trace.find_index import indexed


def folder_of(folder: Path, files: int, each: int) -> None:
    """A file a trace, as production exports them; every tenth has a user of its own."""
    for number in range(files):
        made = spans(each)
        for at, span in enumerate(made):
            span.trace_id, span.span_id = f"{number + 1:032x}", f"{number * each + at + 1:016x}"
            span.parent_id = made[0].span_id if at else None
        made[0].attributes["user.id"] = f"u-{number % 10}"
        write_otlp_jsonl(folder / f"{number:05d}.jsonl", made)


def seconds(work: Callable[[], object]) -> float:
    """The best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    """Print a line for each way to look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--spans", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder_of(folder, args.files, args.spans)
        count = f"{args.files} files of {args.spans} spans"
        reading = seconds(lambda: sum(1 for _ in iter_traces(folder)))
        print(f"reading {count}: {reading:.2f} s")
        queries = {
            "--user": Query(user="u-7"),
            "--error": Query(error=True),
            "--tool": Query(tool="lookup"),
            "--cost": Query(cost=Bound.parse(">0.0001", "--cost", named=False)),
            "--filter": Query(filter=parse("kind=LLM output_tokens>290")),
        }
        for option, query in queries.items():
            took = seconds(lambda query=query: list(TraceSearch(query).among(iter_traces(folder))))
            print(f"find {option}: {took:.2f} s, {took / reading:.2f} x reading")
        indexed(folder)
        took = seconds(lambda: list(TraceSearch(Query(user="u-7")).among(indexed(folder))))
        print(f"find --user --index: {took:.3f} s, {took / reading:.3f} x reading")


if __name__ == "__main__":
    main()
