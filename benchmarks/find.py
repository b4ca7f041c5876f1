"""`simulate trace find` over a folder of many files, beside only reading the same files; and with its index.

    python -m benchmarks.find [--files 2000] [--spans 20]

Each is measured beside reading the files alone, and beside reading them with what the search asks about (its
facts: every span's view, cost or tool calls). A search is shared out to processes, as the command does, so
that times are those of the clock, and mean something only while the machine does nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.reading import spans
from simulate.trace.files.reader import iter_traces
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.filter import parse
from simulate.trace.find import Bound, Facts, Query, ReadFacts, Summary, TraceSearch
from simulate.trace.find_apart import latest_of, search_apart
from simulate.trace.find_index import indexed
from simulate.trace.reading import TraceReading


def folder_of(folder: Path, files: int, each: int) -> None:
    """A file a trace, as production exports them; every tenth has a user of its own."""
    for number in range(files):
        made = spans(each)
        for at, span in enumerate(made):
            span.trace_id, span.span_id = f"{number + 1:032x}", f"{number * each + at + 1:016x}"
            span.parent_id = made[0].span_id if at else None
        made[0].attributes["user.id"] = f"u-{number % 10}"
        write_otlp_jsonl(folder / f"{number:05d}.jsonl", made)


def shown(found: Iterable[Facts]) -> list[Summary]:
    """What the table shows of them."""
    return list(latest_of(found, 50)[0])


def search(query: Query, folder: Path) -> list[Summary]:
    """What the table shows of the traces in a folder that are so."""
    looking = TraceSearch(query)
    apart = search_apart(looking, [folder], limit=50, skipped=[])
    return shown(looking.among(iter_traces(folder))) if apart is None else apart[0]


def best_of(works: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """The shortest time of each in seconds."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


QUERIES: dict[str, tuple[Query, Callable[[ReadFacts], object] | None]] = {
    "--until": (Query(until=1), None),
    "--user": (Query(user="u-7"), None),
    "--error": (Query(error=True), lambda facts: facts.failed),
    "--tool": (Query(tool="lookup"), lambda facts: facts.tools),
    "--tool that is nowhere": (Query(tool="refund"), lambda facts: facts.tools),
    "--cost": (Query(cost=Bound.parse(">0.0001", "--cost", named=False)), lambda facts: facts.dollars),
    "--filter": (Query(filter=parse("kind=LLM output_tokens>290")), lambda facts: facts.reading.views),
}
"""Each option with a search, and what it asks of a trace; None where reading the file tells it."""


def main() -> None:
    """Print a line for each way to look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--spans", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder_of(folder, args.files, args.spans)
        works: dict[str, Callable[[], object]] = {"reading": lambda: sum(1 for _ in iter_traces(folder))}
        for option, (query, fact) in QUERIES.items():
            works[option] = lambda query=query: search(query, folder)
            if fact is not None:
                works[f"facts of {option}"] = lambda fact=fact: [
                    fact(ReadFacts(TraceReading(trace))) for trace in iter_traces(folder)
                ]
        indexed(folder)
        works["--user --index"] = lambda: shown(TraceSearch(Query(user="u-7")).among(indexed(folder)))
        took = best_of(works)
    reading = took.pop("reading")
    print(f"reading {args.files} files of {args.spans} spans: {reading:.2f} s")
    for option in [each for each in took if each.startswith("--")]:
        facts = took.get(f"facts of {option}", reading)
        print(
            f"find {option}: {took[option]:.2f} s, {took[option] / reading:.2f} x reading, "
            f"{took[option] / facts:.2f} x reading with its facts"
        )


if __name__ == "__main__":
    main()
